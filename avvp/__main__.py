"""``python -m avvp``: the command, from a checkout in which nothing is installed."""

import sys

from avvp.cli import main

if __name__ == "__main__":
    sys.exit(main())

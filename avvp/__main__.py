"""``python -m avvp``: the command, from a checkout in which nothing is installed."""

import sys

from avvp.cli import main

sys.exit(main())

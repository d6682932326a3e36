"""What kills the process that looks at it."""

import os
import signal


class Deadly:
    """Options that kill whatever process reads them, but for one."""

    def __init__(self) -> None:
        self.spared = os.getpid()

    def keys(self) -> list:
        if os.getpid() != self.spared:
            os.kill(os.getpid(), signal.SIGKILL)
        return []

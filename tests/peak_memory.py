"""What a child process held at its peak."""

import resource
import sys
from pathlib import Path


def peak_memory() -> int:
    """Bytes that this process held at its peak, since it was started.

    ``ru_maxrss`` on Linux begins with what the parent held when it forked, and a test process that
    has become large hides all that its children do. The mark of the address space begins anew.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (t for t in status.read_text("ascii").splitlines() if t.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak

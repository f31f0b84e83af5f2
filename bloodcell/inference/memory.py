"""How much memory this process holds and held at most.

Linux keeps the peak of `getrusage` across the start of a program, so that a child begins with its parent's peak; the
kernel's own numbers of the running program are read first.
"""

import contextlib
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def peak_memory_bytes() -> int:
    """Return the most physical memory that this process held at once since it started or `reset_peak` was called."""
    return _read_status("VmHWM") or _peak_of_getrusage()


def reset_peak() -> int:
    """Start the peak afresh, where the system allows it, and return what `peak_memory_bytes` gives from here, bytes."""
    with contextlib.suppress(OSError):  # not Linux, or not allowed: the peak goes on from what it was
        _CLEAR.write_text("5")
    return peak_memory_bytes()


def _read_status(field: str) -> int:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)


def _peak_of_getrusage() -> int:
    import resource  # not on Windows, where nothing else is known either

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

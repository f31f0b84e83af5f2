"""How much memory and processor time a process takes, read from Linux's /proc."""

import os
from pathlib import Path


def resident_mb(pid: int) -> float | None:
    """Return the resident memory of a process and all below it, bytes / 1024²; None where it cannot be read."""
    try:
        total = _resident_kb(pid)
    except (OSError, StopIteration, ValueError):
        return None
    for child in _children(pid):
        total += round(1024 * (resident_mb(child) or 0))
    return total / 1024


def cpu_seconds(pid: int) -> float:
    """Return the processor seconds that a process has taken so far, all threads together; NaN where unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return float("nan")


def _resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text(encoding="utf-8").split()
        ]
    except OSError:
        return []

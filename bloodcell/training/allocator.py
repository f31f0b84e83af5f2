"""Makes the C library keep the memory that a training frees, instead of giving it back and asking for it anew.

A step frees and takes the same hundreds of megabytes as the one before it. By default glibc returns every large block
to the system, which hands it out again page by page, each page cleared first; on a virtual machine that can take
longer than the arithmetic. (GNU C Library manual, Malloc Tunable Parameters:
https://sourceware.org/glibc/manual/latest/html_node/Malloc-Tunable-Parameters.html)
"""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8  # of <malloc.h>
_PAD_BYTES = 256 * 2**20


def keep_freed_memory() -> bool:
    """Keep what is freed from now on for this process, and return whether the C library understood.

    For processes that train and end: one that goes on would hold the most that it ever needed. What is computed stays
    the same to the last bit. Does nothing where the C library is not glibc.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, _PAD_BYTES), (_ARENA_MAX, 1))
    understood = [mallopt(parameter, value) == 1 for parameter, value in settings]
    return all(understood)

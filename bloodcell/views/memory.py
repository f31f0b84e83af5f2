"""What a long-lived server with many readers does about memory. Nothing here imports Streamlit."""

import gc
import sys
import threading
from dataclasses import dataclass, field


@dataclass
class _Spared:
    """How many modules were loaded when the garbage collector last learned to leave them alone."""

    num_modules: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


_SPARED = _Spared()


def spare_what_stays() -> bool:
    """Take what is loaded by now out of the garbage collector's sight, where modules came since the last time.

    Streamlit collects all garbage after every rerun; looking through the libraries each time took more than a quarter
    of the processor with many readers at once. They stay loaded anyhow.

    Returns:
        Whether anything was taken out.
    """
    num_modules = len(sys.modules)
    with _SPARED.lock:
        if num_modules == _SPARED.num_modules:
            return False
        _SPARED.num_modules = num_modules
    gc.freeze()
    return True

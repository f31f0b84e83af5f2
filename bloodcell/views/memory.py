"""What a long-lived server with many readers does about memory. Nothing here imports Streamlit."""

import gc
import sys
import threading
import time
from dataclasses import dataclass, field

COLLECT_S = 5.0


@dataclass
class _Spared:
    """How many modules were loaded when the collector last learned to leave them alone, and when it last ran."""

    num_modules: int = 0
    collected: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


_SPARED = _Spared()


def tidy() -> None:
    """At the beginning of a rerun: spare what stays, and collect garbage where that was not done for `COLLECT_S`.

    Streamlit would collect all garbage after every rerun, a fifth of the processor with many readers at once
    (`runner.postScriptGC`, which .streamlit/config.toml switches off); left to Python alone, what reruns leave, figures
    and messages among it, grows to a gigabyte.
    """
    spare_what_stays()
    now = time.monotonic()
    with _SPARED.lock:
        if now - _SPARED.collected < COLLECT_S:
            return
        _SPARED.collected = now
    gc.collect()


def spare_what_stays() -> bool:
    """Take what is loaded by now out of the garbage collector's sight, where modules came since the last time.

    Looking through all libraries at each collection costs many times what a rerun leaves. They stay loaded anyhow.

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

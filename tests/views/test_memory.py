"""What is loaded leaves the garbage collector's sight, once; what a rerun leaves is collected now and then."""

import gc
import sys
import tomllib
import types
from pathlib import Path

from bloodcell.views import memory
from bloodcell.views.memory import spare_what_stays

PROJECT = Path(__file__).parents[2]


def test_modules_are_spared_once(monkeypatch):
    try:
        spare_what_stays()
        assert gc.get_freeze_count() > 0
        assert not spare_what_stays()
        monkeypatch.setitem(sys.modules, "a_module_of_this_test", types.ModuleType("a_module_of_this_test"))
        assert spare_what_stays()
    finally:
        gc.unfreeze()


def test_garbage_is_collected_now_and_then_and_by_nobody_else(monkeypatch):
    settings = tomllib.loads((PROJECT / ".streamlit" / "config.toml").read_text())
    assert settings["runner"]["postScriptGC"] is False
    collected, clock = [], [1000.0]
    monkeypatch.setattr(memory.gc, "collect", lambda: collected.append(clock[0]))
    monkeypatch.setattr(memory.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(memory._SPARED, "collected", 0.0)
    try:
        for _ in range(100):
            memory.tidy()
            clock[0] += memory.COLLECT_S / 10
    finally:
        gc.unfreeze()
    assert len(collected) == 10

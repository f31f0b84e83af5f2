"""What is loaded leaves the garbage collector's sight, once."""

import gc
import sys
import types

from bloodcell.views.memory import spare_what_stays


def test_modules_are_spared_once(monkeypatch):
    try:
        spare_what_stays()
        assert gc.get_freeze_count() > 0
        assert not spare_what_stays()
        monkeypatch.setitem(sys.modules, "a_module_of_this_test", types.ModuleType("a_module_of_this_test"))
        assert spare_what_stays()
    finally:
        gc.unfreeze()

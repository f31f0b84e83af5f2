"""A way to two modules of the `medmnist` package that does not pass through torch."""

import importlib
import importlib.util
import sys
import threading
from types import ModuleType

_LOCK = threading.RLock()


def load_medmnist_module(name: str) -> ModuleType:
    """Return the module `medmnist.info` or `medmnist.evaluator` as it was installed.

    `import medmnist.info` runs the package's `__init__` first. That imports torch, which this project never installs,
    and answers its absence by printing advice to standard output, where the command line writes JSON. So the package
    is entered under an empty stand-in that knows the folder but runs nothing; the stand-in is gone afterwards, and the
    modules stay registered, so that a second call costs nothing. (`medmnist.info` makes an empty `~/.medmnist`, or
    warns where it cannot; nothing of this project is kept there.)

    Args:
        name: "info" (addresses, MD5, labels) or "evaluator" (the benchmark's own AUC and ACC).

    Raises:
        ModuleNotFoundError: The package is not installed.
    """
    full_name = f"medmnist.{name}"
    with _LOCK:
        if full_name in sys.modules:
            return sys.modules[full_name]
        if "medmnist" in sys.modules:
            return importlib.import_module(full_name)
        spec = importlib.util.find_spec("medmnist")  # finds the folder, runs nothing
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError("The package medmnist is not installed: run `./dev` again.", name="medmnist")
        stand_in = ModuleType("medmnist")
        stand_in.__path__ = list(spec.submodule_search_locations)
        sys.modules["medmnist"] = stand_in
        try:
            return importlib.import_module(full_name)
        finally:
            del sys.modules["medmnist"]

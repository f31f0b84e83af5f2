"""What an answer costs: latency, step time, throughput and memory of every trained model, measured side by side.

All models take turns in one child process, round after round, so that a machine that slows down slows all of them;
memory is measured in a short-lived process per model and engine. The record names the machine, the versions and the
date, and is only worth as much as the machine was quiet.
"""

import datetime
import json
import logging
import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bloodcell.artifact import Artifact
from bloodcell.errors import EngineError
from bloodcell.files import artifacts_directory, write_atomically
from bloodcell.inference.child import KERAS_ENVIRONMENT, OnProgress, run_child
from bloodcell.inference.engine import NUM_THREADS
from bloodcell.inference.forms import Precision, ensure_litert
from bloodcell.inference.record_checks import check_benchmark
from bloodcell.models import get_spec
from bloodcell.models.graphs import find_graph

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

BENCHMARK_FILE = "benchmark.json"
EngineName = Literal["litert", "keras"]
ENGINES: tuple[EngineName, ...] = ("litert", "keras")
STEP_BATCH_SIZE = 32
"""Images of the step whose time is given, as in the study's "ms/step"."""

_PACKAGES = ("ai-edge-litert", "tensorflow", "keras", "numpy")
_TIMEOUT_S = 4 * 3600.0


@dataclass(frozen=True)
class Effort:
    """How long is measured.

    Attributes:
        num_rounds: Turns that every model, engine and batch size gets.
        visit_s: Seconds of one turn, at least: two passes or more, or one that takes longer than that.
        batch_sizes: Images per pass that are timed; 1 gives the latency, 32 the step, all of them the throughput.
    """

    num_rounds: int
    visit_s: float
    batch_sizes: tuple[int, ...]


FULL = Effort(num_rounds=7, visit_s=0.4, batch_sizes=(1, 8, STEP_BATCH_SIZE, 128, 256))
QUICK = Effort(num_rounds=3, visit_s=0.08, batch_sizes=(1, STEP_BATCH_SIZE, 128))
MOST_PASSES = 400
"""Passes of one turn; the fastest networks would otherwise fill the record's process with numbers."""
OF_TRAINING = frozenset({"dropout", "l2", "attention_l2"})
"""Options that leave no trace in a graph that answers."""


@dataclass(frozen=True)
class Contender:
    """One model in one engine, as a child process finds it.

    Attributes:
        name, folder: The artifact.
        engine, precision: What runs it, and the precision of the weights it holds.
        form: The LiteRT form; empty for Keras.
    """

    name: str
    folder: str
    engine: EngineName
    precision: str
    form: str


@dataclass(frozen=True)
class Benchmark:
    """A record that was read back."""

    record: dict[str, Any]

    @property
    def date(self) -> str:
        """Day of the measurement, ISO."""
        return self.record["date"]

    @property
    def machine(self) -> dict[str, Any]:
        """Processor, num_cores, memory_gb, system and python of the machine that was measured on."""
        return self.record["machine"]

    @property
    def threads(self) -> int:
        """Processor threads of one pass."""
        return self.record["threads"]

    @property
    def note(self) -> str:
        """How it was measured, in sentences to show beside the numbers."""
        return self.record["note"]

    @cached_property
    def rows(self) -> "pd.DataFrame":
        """One row per model, engine and precision, with the columns of the record's rows."""
        import pandas as pd

        return pd.DataFrame(self.record["rows"])

    def latencies(self) -> dict[str, float]:
        """Return the median time for one image in LiteRT with float16 weights by model, ms."""
        return {
            row["name"]: row["latency_ms_median"]
            for row in self.record["rows"]
            if (row["engine"], row["precision"]) == ("litert", "float16")
        }


def load_benchmark(directory: Path | None = None, file_name: str = BENCHMARK_FILE) -> Benchmark | None:
    """Return a record that lies in a folder, the artifacts' own by default; None where there is none.

    A record that cannot be read, or in which a field is not what pages read, is said in the log and counts as none:
    timings are no reason to stop a page.
    """
    path = (directory or artifacts_directory()) / file_name
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        check_benchmark(record)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        command = "benchmark --save" if file_name == BENCHMARK_FILE else "measure ladder"
        logger.warning("%s is no benchmark record (%s). Delete it, or run `%s` again.", path, error, command)
        return None
    return Benchmark(record)


def save_benchmark(record: dict[str, Any], path: Path) -> None:
    """Write a record to a file, `artifacts/benchmark.json` or another.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    write_atomically(path, (json.dumps(record, indent=1) + "\n").encode())


def run_benchmark(
    artifacts: Sequence[Artifact],
    *,
    engines: Sequence[EngineName] = ENGINES,
    precisions: Sequence[Precision] = ("float16",),
    num_threads: int = NUM_THREADS,
    effort: Effort = FULL,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Measure models against each other and return the record; see `artifacts/benchmark.json` for its form.

    LiteRT alone with `QUICK` takes under a minute for all networks of the study; everything takes half an hour.

    Args:
        engines: "litert", "keras" (compiled, float32 weights) or both.
        precisions: LiteRT forms to measure; "int8" needs the dataset.
        on_progress: Called with steps done, steps in all, and what happens now.

    Raises:
        EngineError: A form cannot be built, or a measuring process failed.
    """
    if not artifacts:
        raise ValueError("Expected at least one artifact. Received: none")
    by_name = {artifact.name: artifact for artifact in artifacts}
    groups = group_alike({artifact.name: artifact.model_name for artifact in artifacts})
    contenders = _list_contenders([by_name[first] for first in groups], engines, precisions, on_progress)
    num_turns = effort.num_rounds * len(contenders)
    total = num_turns + len(contenders)
    load_before = _load_average()
    with tempfile.TemporaryDirectory() as folder:
        timings = _measure_times(contenders, effort, num_threads, Path(folder), on_progress, total)
        load_after = _load_average()
        memory = []
        for index, contender in enumerate(contenders):
            if on_progress is not None:
                on_progress(num_turns + index, total, f"Memory of {contender.name} in {contender.engine}.")
            memory.append(_measure_memory(contender, num_threads, Path(folder)))
    if on_progress is not None:
        on_progress(total, total, "Measured.")
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "versions": _versions(engines),
        "threads": num_threads,
        "note": _describe_method(engines, effort, num_threads, load_before, load_after),
        "rows": [
            _row(contender, by_name[name], timing, used)
            for contender, timing, used in zip(contenders, timings, memory, strict=True)
            for name in groups[contender.name]
        ],
    }


def group_alike(models: Mapping[str, str]) -> dict[str, list[str]]:
    """Return names of networks that answer by the same graph under the first of them: they differ in training alone.

    Args:
        models: Catalog row or combination of each name.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name, model in models.items():
        spec = get_spec(model)
        options = {key: value for key, value in spec.all_options.items() if key not in OF_TRAINING}
        groups.setdefault((spec.family, repr(sorted(options.items()))), []).append(name)
    return {alike[0]: alike for alike in groups.values()}


def describe_machine() -> dict[str, Any]:
    """Return processor, num_cores, memory_gb (bytes / 1024³), system and python of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    try:
        memory_gb = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3, 1)
    except (ValueError, OSError, AttributeError):
        memory_gb = None
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": processor,
        "num_cores": num_cores,
        "memory_gb": memory_gb,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _list_contenders(
    artifacts: Sequence[Artifact],
    engines: Sequence[EngineName],
    precisions: Sequence[Precision],
    on_progress: OnProgress | None,
) -> list[Contender]:
    found = []
    for artifact in artifacts:
        folder = str(artifact.directory.resolve())
        if "litert" in engines:
            for precision in precisions:
                form = ensure_litert(artifact, on_progress, precision=precision)
                found.append(Contender(artifact.name, folder, "litert", precision, str(form.resolve())))
        if "keras" in engines:
            found.append(Contender(artifact.name, folder, "keras", "float32", ""))
    return found


def _measure_times(
    contenders: Sequence[Contender],
    effort: Effort,
    num_threads: int,
    folder: Path,
    on_progress: OnProgress | None,
    total: int,
) -> list[dict[str, Any]]:
    job = {
        "contenders": [asdict(contender) for contender in contenders],
        "effort": asdict(effort),
        "num_threads": num_threads,
    }
    (folder / "job.json").write_text(json.dumps(job))
    run_child(
        "bloodcell.inference.measure_time",
        [str(folder / "job.json"), str(folder / "times.json")],
        purpose="Measuring times",
        on_progress=None if on_progress is None else lambda done, _, message: on_progress(done, total, message),
        environment=KERAS_ENVIRONMENT,
        timeout_s=_TIMEOUT_S,
    )
    return json.loads((folder / "times.json").read_text())


def _measure_memory(contender: Contender, num_threads: int, folder: Path) -> dict[str, float]:
    job = {"contender": asdict(contender), "num_threads": num_threads, "batch_size": STEP_BATCH_SIZE}
    (folder / "job.json").write_text(json.dumps(job))
    run_child(
        "bloodcell.inference.measure_memory",
        [str(folder / "job.json"), str(folder / "memory.json")],
        purpose=f"Measuring the memory of {contender.name}",
        environment=KERAS_ENVIRONMENT,
        timeout_s=600,
    )
    return json.loads((folder / "memory.json").read_text())


def _row(
    contender: Contender,
    artifact: Artifact,
    timing: dict[str, Any],
    memory: dict[str, float],
) -> dict[str, Any]:
    manifest = artifact.manifest
    graph = find_graph(artifact.model_name)
    if graph is None:
        raise EngineError(
            f"The layers of {artifact.model_name!r} are not listed: run `python -m bloodcell.models.graphs`."
        )
    return {
        "name": artifact.name,
        "engine": contender.engine,
        "precision": contender.precision,
        **timing,
        **memory,
        "parameters": manifest.parameters,
        "flops": graph["flops"],
        "weights_bytes_float32": manifest.weights_bytes_float32,
        "weights_bytes_stored": manifest.weights_bytes_stored,
        "litert_bytes": Path(contender.form).stat().st_size if contender.form else None,
    }


def _describe_method(
    engines: Sequence[EngineName],
    effort: Effort,
    num_threads: int,
    load_before: float | None,
    load_after: float | None,
) -> str:
    sizes = ", ".join(map(str, effort.batch_sizes))
    words = {"litert": "LiteRT runs its XNNPACK kernels.", "keras": "Keras runs a compiled tf.function, never predict."}
    how = " ".join(words[engine] for engine in engines)
    loads = "" if load_before is None else f" Load average {load_before:.1f} before and {load_after:.1f} after."
    return (
        f"Forward passes on {num_threads} threads of the processor, from a prepared array to an array of logits. "
        f"All models and engines took turns in {effort.num_rounds} rounds of at least {effort.visit_s:g} s or "
        f"{MOST_PASSES} passes per batch size ({sizes}); medians over all passes. Models that answer by the same graph "
        f"and differ in training alone are measured as one. {how} Memory is the peak of a process of its own over that "
        f"of the same process before the model was loaded, for one image and then {STEP_BATCH_SIZE}.{loads}"
    )


def _load_average() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _versions(engines: Sequence[EngineName]) -> dict[str, str]:
    found = {}
    for package in _PACKAGES if "keras" in engines else ("ai-edge-litert", "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found

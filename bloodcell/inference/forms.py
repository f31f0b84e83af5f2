"""Where the LiteRT form of a trained model lies: in its artifact, in the reader's cache, or still to be built there."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from bloodcell.artifact import Artifact
from bloodcell.errors import EngineError, StorageError
from bloodcell.files import cache_directory
from bloodcell.inference.child import KERAS_ENVIRONMENT, OnProgress, run_child

Precision = Literal["float16", "float32", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
CONVERSION = 3
"""Counts changes of the conversion; forms in the cache made by another are not used."""

_WEIGHTS_FILE = "weights.safetensors"
_BUILD_TIMEOUT_S = 1800.0


def ensure_litert(
    artifact: Artifact, on_progress: OnProgress | None = None, *, precision: Precision = "float16"
) -> Path:
    """Return the path of a model's LiteRT form, building it into the reader's cache where it is nowhere yet.

    A build takes some ten seconds in a process of its own; of two readers who ask at once one builds and the other
    waits for the result.

    Raises:
        EngineError: The artifact is a run without weights, or its form cannot be built.
        StorageError: The cache cannot be written.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"Expected a precision among {', '.join(PRECISIONS)}. Received: {precision!r}")
    if precision == "float16" and artifact.litert_path is not None:
        return artifact.litert_path
    path = _cached_path(artifact, precision)
    if path.is_file():
        return path
    with lock_of(path, on_progress):
        if not path.is_file():  # the one who waited finds it built
            build_in_child(artifact, path, precision, on_progress)
    return path


def find_litert(artifact: Artifact, precision: Precision = "float16") -> Path | None:
    """Return the path of a model's LiteRT form where there is one already, else None; builds nothing."""
    if precision == "float16" and artifact.litert_path is not None:
        return artifact.litert_path
    path = _cached_path(artifact, precision)
    return path if path.is_file() else None


def build_in_child(
    artifact: Artifact, target: Path, precision: Precision, on_progress: OnProgress | None = None
) -> None:
    """Write a model's LiteRT form to `target` in a process of its own; see `convert.build_litert`.

    Raises:
        EngineError: The child failed; nothing is left at `target` that was not there before.
    """
    if artifact.kind != "artifact":
        raise EngineError(
            f"{artifact.name!r} is a run, which keeps no weights, so it cannot answer. Choose a model of the shelf."
        )
    folder = artifact.directory.resolve()
    run_child(
        "bloodcell.inference.convert",
        [folder.name, "--directory", str(folder.parent), "--precision", precision, "--output", str(target.resolve())],
        purpose=f"Converting {artifact.name} to LiteRT",
        on_progress=on_progress,
        environment=KERAS_ENVIRONMENT,
        timeout_s=_BUILD_TIMEOUT_S,
    )


def is_cached_form(path: Path) -> bool:
    """Whether a form lies in the reader's cache, from where it may be deleted and built again."""
    return path.parent == _forms_directory()


def _forms_directory() -> Path:
    return cache_directory() / "litert"


def _cached_path(artifact: Artifact, precision: Precision) -> Path:
    # By the weights, not the whole artifact: a reworded manifest changes no answer.
    weights = artifact.manifest.files.get(_WEIGHTS_FILE, artifact.fingerprint)
    return _forms_directory() / f"{artifact.model_name}-{weights[:24]}-{precision}-{CONVERSION}.tflite"


@contextlib.contextmanager
def lock_of(path: Path, on_progress: OnProgress | None) -> Iterator[None]:
    """Hold the right to build one form, across processes and threads; given back even by a killed process."""
    try:
        import fcntl
    except ImportError:  # Windows: two readers may build at once, and either result is whole
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = open(path.with_suffix(".lock"), "a")  # noqa: SIM115 closed below
    except OSError as error:
        raise StorageError(f"The folder {path.parent} cannot be written: {error.strerror or error}.") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if on_progress is not None:
                on_progress(0, 0, "Another window is building this model's LiteRT form.")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield

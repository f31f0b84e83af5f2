"""What the pages read, kept in memory between reruns. The only place with Streamlit's caches.

Everything that comes from a trained model is keyed by the artifact's fingerprint, and the shelf itself by names, sizes
and times of its files: a retrained model can never show an old report. Nothing here imports Keras; scikit-learn, LiteRT
and the dataset are imported where they are needed, so that the first paint does not wait for them.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import streamlit as st

from bloodcell.files import artifacts_directory, cache_directory, own_models_directory
from bloodcell.published import load_summary
from bloodcell.views.selection import OWN, quick_selections, read_number

if TYPE_CHECKING:
    from bloodcell.artifact import Artifact, Predictions, Shelf
    from bloodcell.dataset import Matching, Split
    from bloodcell.evaluation import Evaluation
    from bloodcell.inference.benchmark import Benchmark
    from bloodcell.inference.engine import Engine
    from bloodcell.models import ModelSpec

LEADERBOARD_COLUMNS = (
    "name",
    "family",
    "origin",
    "published_accuracy",
    "test_accuracy",
    "test_low",
    "test_high",
    "val_accuracy",
    "weighted_f1",
    "parameters",
    "weights_mb",
    "latency_ms",
    "step_time_ms",
    "ece",
    "published_memory_mb",
    "published_step_time_ms",
    "dataset",
    "epochs",
)
BYTES_PER_MB = 1024**2
LOOK_S = 0.5
Kept = TypeVar("Kept")
_RUN = threading.local()
"""What this thread, which runs one reader's page, has read from the disk since the page began."""


def load_shelf() -> "Shelf":
    """Return every trained model, every run, and what is damaged, as it is on disk now: the project's, then the own."""
    return _once("shelf", _look_at_shelf)


def load_artifact(name: str) -> "Artifact | None":
    """Return one trained model of the shelf, or None if it is not there or is damaged."""
    return load_shelf().artifacts.get(name)


def load_evaluation(name: str, split: str = "test") -> "Evaluation | None":
    """Return the stored numbers of a model on `val` or `test`, or None if the model is not on the shelf."""
    artifact = load_artifact(name)
    return None if artifact is None else _load_evaluation(name, artifact.fingerprint, split, artifact)


def load_predictions(name: str, split: str = "test") -> "Predictions | None":
    """Return a model's true labels, logits and image hashes, read only, or None if it is not on the shelf."""
    artifact = load_artifact(name)
    return None if artifact is None else _load_predictions(name, artifact.fingerprint, split, artifact)


def load_probabilities(name: str, split: str = "test") -> np.ndarray | None:
    """Return calibrated probabilities (n, 8) float32 of a model, in the order of its predictions. Read only."""
    artifact = load_artifact(name)
    return None if artifact is None else _load_probabilities(name, artifact.fingerprint, split, artifact)


def load_history(name: str) -> pd.DataFrame | None:
    """Return one row per training epoch, or None if the model is not on the shelf."""
    artifact = load_artifact(name)
    return None if artifact is None else _load_history(name, artifact.fingerprint, artifact)


def load_benchmark() -> "Benchmark | None":
    """Return the benchmark record that travels with the artifacts, or None if there is none."""
    return _load_benchmark(str(artifacts_directory()), file_state(artifacts_directory() / "benchmark.json"))


def load_record(name: str) -> dict[str, Any] | None:
    """Return a record of `measure` that lies beside the artifacts, such as trust.json; None if it was not measured."""
    return _load_record(name, str(artifacts_directory()), file_state(artifacts_directory() / name))


def load_own_benchmark() -> "Benchmark | None":
    """Return what was measured on this machine from the Compare page, or None if nothing was."""
    directory = own_benchmark_directory()
    return _load_benchmark(str(directory), file_state(directory / "benchmark.json"))


def forget_own_benchmark() -> None:
    """Delete what was measured on this machine; nothing happens where nothing was.

    Raises:
        StorageError: The file cannot be removed.
    """
    from bloodcell.errors import StorageError

    path = own_benchmark_directory() / "benchmark.json"
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be deleted: {error.strerror or error}. Check who owns its folder, or delete it by hand."
        ) from error


def own_benchmark_directory() -> Path:
    """Return the folder in the user's cache that holds this machine's own benchmark.json; it may not exist."""
    return cache_directory() / "benchmark"


def load_split(name: str) -> "Split":
    """Return one split of the dataset, shared between all readers: never write into its arrays.

    Raises:
        DatasetError: The dataset is missing or damaged; `components.missing_dataset` tells the reader.
    """
    from bloodcell.dataset import find_dataset

    path = find_dataset()
    return _load_split(name, str(path), file_state(path))


def load_class_counts() -> pd.DataFrame:
    """Return images per class (rows) and split (columns), read without any image.

    Raises:
        DatasetError: The dataset is missing or damaged.
    """
    from bloodcell.dataset import find_dataset

    path = find_dataset()
    return _load_class_counts(str(path), file_state(path))


def load_typical_rows(split: str) -> dict[int, int]:
    """Return class index -> row of its most typical image in a split.

    Raises:
        DatasetError: The dataset is missing or damaged.
    """
    from bloodcell.dataset import find_dataset

    path = find_dataset()
    return _load_typical_rows(split, str(path), file_state(path))


def find_cell(text: str) -> tuple[str, int] | None:
    """Return split and row of a text such as "test-123", None if that is no place in the dataset at hand."""
    from bloodcell.dataset import SPLITS

    split, _, digits = text.partition("-")
    row = read_number(digits)
    if split not in SPLITS or row is None or not dataset_status()["available"]:
        return None
    return (split, row) if row < load_split(split).num_images else None


def match_predictions(name: str, split: str) -> "Matching | None":
    """Return where a model's stored rows of `val` or `test` lie in the dataset at hand; None if it is not on the shelf.

    Raises:
        DatasetError: The dataset is missing or damaged.
    """
    from bloodcell.dataset import find_dataset

    artifact = load_artifact(name)
    path = find_dataset()
    return (
        None if artifact is None else _match_predictions(name, artifact.fingerprint, split, str(path), file_state(path))
    )


def load_engine(name: str) -> "Engine | None":
    """Return the loaded LiteRT engine of a model, shared between all readers, or None if it is not on the shelf.

    Raises:
        EngineError: The LiteRT form cannot be built or run.
    """
    artifact = load_artifact(name)
    return None if artifact is None else _load_engine(name, artifact.fingerprint, artifact)


def dataset_status() -> dict[str, Any]:
    """Return where the dataset is, which file it is, and how to call it beside a number (`data status`)."""
    from bloodcell.dataset import describe_status, find_dataset
    from bloodcell.errors import DatasetNotFoundError

    try:
        path = find_dataset()
    except DatasetNotFoundError:
        return describe_status()
    return _dataset_status(str(path), file_state(path))


def leaderboard() -> pd.DataFrame:
    """Return one row per trained model, best test accuracy first, in the columns of LEADERBOARD_COLUMNS.

    Accuracies, F1 and ECE are fractions; `test_low` and `test_high` bound the Wilson 95 % interval; `weights_mb` is
    float32 parameters in bytes / 1024²; `latency_ms` is the median for one image and `step_time_ms` that of 32, both
    from the LiteRT rows of the benchmark record. What was not measured or published is missing (NaN).
    `epochs` is text: "20", or "10 of 20" where the recipe plans more than was trained.
    """
    return _once("leaderboard", _look_at_leaderboard).copy(deep=False)  # pandas copies what one of them writes


def default_model() -> str | None:
    """Return the default classifier (`evaluation.choose_default`), or None if nothing is trained.

    A model of the user's own is never it: a lesson's experiment must not answer for a cell by itself.
    """
    return _once("default model", _look_at_default)


def quick_choices() -> dict[str, tuple[list[str], str]]:
    """Return the quick buttons of the model selection (`selection.quick_selections`); never alter it."""
    return _quick_choices(*_leaderboard_state(), leaderboard())


def find_spec(name: str) -> "ModelSpec | None":
    """Return the row of a network, of the catalog or of a combination, or None if neither has that name any more."""
    from bloodcell.errors import ModelNotFoundError
    from bloodcell.models import get_spec

    try:
        return get_spec(name)
    except ModelNotFoundError:
        return None


def file_state(path: Path) -> str:
    """Return a string that changes when the file does; empty where there is none."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size}:{status.st_mtime_ns}"


def begin_run() -> None:
    """Note that a page begins: for a moment, it looks once at what lies on the disk, and all its parts agree."""
    _RUN.kept, _RUN.until = {}, time.monotonic() + LOOK_S


def continue_run() -> None:
    """Note that a part of a page begins, which may be all that is drawn: what the page has just seen still holds."""
    if time.monotonic() > getattr(_RUN, "until", 0.0):
        begin_run()


def _once(what: str, look: Callable[[], Kept]) -> Kept:
    """Return what a look at the disk finds; within a run it may be `LOOK_S` old."""
    if time.monotonic() > getattr(_RUN, "until", 0.0):
        return look()
    kept: dict[str, Any] = _RUN.kept
    if what not in kept:
        kept[what] = look()
    return kept[what]


def _look_at_shelf() -> "Shelf":
    directory, own = artifacts_directory(), own_models_directory()
    return _load_shelf(str(directory), _folder_state(directory), str(own), _folder_state(own))


def _look_at_leaderboard() -> pd.DataFrame:
    return _leaderboard(*_leaderboard_state(), load_shelf(), load_benchmark())


def _look_at_default() -> str | None:
    table = leaderboard()
    table = table[table["origin"] != OWN]
    return None if table.empty else _default_model(*_leaderboard_state(), table)


def _leaderboard_state() -> tuple[tuple[tuple[str, str], ...], str]:
    """Return what the leaderboard depends on: every model's fingerprint and the state of the benchmark record."""
    fingerprints = tuple(sorted((name, artifact.fingerprint) for name, artifact in load_shelf().artifacts.items()))
    return fingerprints, file_state(artifacts_directory() / "benchmark.json")


def _folder_state(directory: Path) -> str:
    """Return a string that changes when any file below the folder does."""
    found = sorted(_list_states(str(directory)))
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _list_states(folder: str) -> Iterator[str]:
    """Yield the path and state of every file below a folder; what goes while one looks is left out."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    yield from _list_states(entry.path)
                else:
                    status = entry.stat()
                    yield f"{entry.path}={status.st_size}:{status.st_mtime_ns}"
    except OSError:
        return


def _locked(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


@st.cache_resource(max_entries=4, show_spinner=False)
def _load_shelf(directory: str, state: str, own_directory: str, own_state: str) -> "Shelf":
    from bloodcell.artifact import join_shelves, load_own_shelf
    from bloodcell.artifact import load_shelf as read_shelf

    return join_shelves(read_shelf(Path(directory)), load_own_shelf())


@st.cache_resource(max_entries=256, show_spinner=False)
def _load_evaluation(name: str, fingerprint: str, split: str, _artifact: "Artifact") -> "Evaluation":
    from bloodcell.evaluation import Evaluation

    return Evaluation.from_dict(_artifact.load_evaluation(split))


@st.cache_resource(max_entries=128, show_spinner=False)
def _load_predictions(name: str, fingerprint: str, split: str, _artifact: "Artifact") -> "Predictions":
    predictions = _artifact.load_predictions(split)
    for array in (predictions.y_true, predictions.logits, predictions.image_hashes):
        _locked(array)
    return predictions


@st.cache_resource(max_entries=128, show_spinner=False)
def _load_probabilities(name: str, fingerprint: str, split: str, _artifact: "Artifact") -> np.ndarray:
    from bloodcell.evaluation import softmax

    predictions = _load_predictions(name, fingerprint, split, _artifact)
    return _locked(np.asarray(softmax(predictions.logits, _artifact.manifest.temperature), np.float32))


@st.cache_data(max_entries=128, show_spinner=False)
def _load_history(name: str, fingerprint: str, _artifact: "Artifact") -> pd.DataFrame:
    return _artifact.load_history()


@st.cache_resource(max_entries=8, show_spinner=False)
def _load_benchmark(directory: str, state: str) -> "Benchmark | None":
    if not state:
        return None
    from bloodcell.inference.benchmark import load_benchmark as read_benchmark

    return read_benchmark(Path(directory))


@st.cache_data(max_entries=8, show_spinner=False)
def _load_record(name: str, directory: str, state: str) -> dict[str, Any] | None:
    if not state:
        return None
    from bloodcell.inference.trust import load_record as read_record

    return read_record(name, Path(directory))


@st.cache_data(max_entries=1, show_spinner=False)
def draw_noncells() -> dict[str, np.ndarray]:
    """Return one picture without a cell of every kind that `measure trust` draws, (64, 64, 3) uint8."""
    from bloodcell.inference.noncells import draw_noncells as draw
    from bloodcell.inference.trust import NONCELL_SEED

    return {kind: images[0] for kind, images in draw(1, NONCELL_SEED).items()}


@st.cache_resource(max_entries=3, show_spinner=False)
def _load_split(name: str, path: str, state: str) -> "Split":
    from bloodcell.dataset import load_split as read_split

    split = read_split(name, Path(path))
    _locked(split.images)
    _locked(split.labels)
    return split


@st.cache_data(max_entries=2, show_spinner=False)
def _load_class_counts(path: str, state: str) -> pd.DataFrame:
    from bloodcell.dataset import load_labels
    from bloodcell.views.tables_dataset import count_classes

    return count_classes(load_labels(Path(path)))


@st.cache_data(max_entries=6, show_spinner=False)
def _load_typical_rows(split: str, path: str, state: str) -> dict[int, int]:
    from bloodcell.views.tables_dataset import find_typical_rows

    images = _load_split(split, path, state)
    return find_typical_rows(images.images, images.labels)


@st.cache_resource(max_entries=128, show_spinner=False)
def _match_predictions(name: str, fingerprint: str, split: str, path: str, state: str) -> "Matching":
    from bloodcell.dataset import match_images

    predictions = load_predictions(name, split)
    assert predictions is not None
    return match_images(predictions.image_hashes, predictions.y_true, _load_split(split, path, state))


@st.cache_resource(max_entries=32, show_spinner=False)
def _load_engine(name: str, fingerprint: str, _artifact: "Artifact") -> "Engine":
    from bloodcell.inference.engine import load_engine as read_engine

    return read_engine(_artifact)


@st.cache_data(max_entries=4, show_spinner=False)
def _dataset_status(path: str, state: str) -> dict[str, Any]:
    from bloodcell.dataset import describe_status

    return describe_status()


@st.cache_data(max_entries=8, show_spinner=False)
def _leaderboard(
    fingerprints: tuple[tuple[str, str], ...],
    benchmark_state: str,
    _shelf: "Shelf",
    _benchmark: "Benchmark | None",
) -> pd.DataFrame:
    from bloodcell.artifact.trials import count_epochs

    timings = benchmark_timings(_benchmark)
    published = load_summary().set_index("name")
    rows: list[dict[str, Any]] = []
    for name, artifact in _shelf.artifacts.items():
        manifest = artifact.manifest
        test, val = artifact.load_evaluation("test"), artifact.load_evaluation("val")
        spec = find_spec(manifest.model)
        study = published.loc[name] if name in published.index else None
        asked, planned = count_epochs(artifact)
        rows.append(
            {
                "name": name,
                "family": "other" if spec is None else spec.family,
                "origin": OWN if artifact.own else "other" if spec is None else spec.origin,
                "published_accuracy": np.nan if study is None else study["accuracy"],
                "test_accuracy": test["accuracy"],
                "test_low": test["accuracy_interval"][0],
                "test_high": test["accuracy_interval"][1],
                "val_accuracy": val["accuracy"],
                "weighted_f1": test["weighted_f1"],
                "parameters": manifest.parameters,
                "weights_mb": manifest.weights_bytes_float32 / BYTES_PER_MB,
                "latency_ms": timings.get(name, (np.nan, np.nan))[0],
                "step_time_ms": timings.get(name, (np.nan, np.nan))[1],
                "ece": test["ece"],
                "published_memory_mb": np.nan if study is None else study["memory_mb"],
                "published_step_time_ms": np.nan if study is None else study["step_time_ms"],
                "dataset": manifest.dataset["label"],
                "epochs": f"{asked}" if asked >= planned else f"{asked} of {planned}",
            }
        )
    table = pd.DataFrame(rows, columns=list(LEADERBOARD_COLUMNS))
    return table.sort_values(["test_accuracy", "weights_mb"], ascending=[False, True], ignore_index=True)


def benchmark_timings(benchmark: "Benchmark | None") -> dict[str, tuple[float, float]]:
    """Return name -> (ms for one image, ms for a batch of 32) of the LiteRT float16 rows of a benchmark record."""
    if benchmark is None:
        return {}
    rows = benchmark.rows
    rows = rows[(rows["engine"] == "litert") & (rows["precision"] == "float16")]
    times = zip(rows["latency_ms_median"], rows["step_time_ms"], strict=True)
    return {str(name): (float(latency), float(step)) for name, (latency, step) in zip(rows["name"], times, strict=True)}


@st.cache_data(max_entries=8, show_spinner=False)
def _default_model(fingerprints: tuple[tuple[str, str], ...], benchmark_state: str, _table: pd.DataFrame) -> str:
    from bloodcell.evaluation.comparison import choose_default

    return choose_default(_table)


@st.cache_resource(max_entries=8, show_spinner=False)
def _quick_choices(
    fingerprints: tuple[tuple[str, str], ...], benchmark_state: str, _table: pd.DataFrame
) -> dict[str, tuple[list[str], str]]:
    return quick_selections(_table, load_summary())

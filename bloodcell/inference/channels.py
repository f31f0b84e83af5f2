"""What single channels respond to: for each channel of each layer, the cells of the test split that excite it most.

    python -m bloodcell.inference.channels FORM OUTPUT.npz

A cell counts by the channel's highest value anywhere in its map, and where that place is, is kept. Runs as a process of
its own, at a low priority: it keeps a processor busy for up to a minute, and pages must go on meanwhile.
"""

import contextlib
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bloodcell.artifact import Artifact
from bloodcell.dataset import DatasetIdentity, Split, find_dataset, identify_dataset, load_split, prepare_images
from bloodcell.errors import EngineError
from bloodcell.files import DAMAGED_ARRAYS, write_atomically
from bloodcell.inference.child import OnProgress, report_progress, run_child, run_main
from bloodcell.inference.forms import lock_of
from bloodcell.inference.inside import (
    RESTING,
    InsideEngine,
    ensure_inside,
    inside_directory,
    weights_key,
)

NUM_TOP = 12
"""Cells that are kept per channel."""

SPLIT = "test"
VERSION = 1
"""Counts changes of these files; files in the cache made by another are not used."""

_BATCH = 16
_TIMEOUT_S = 1800.0


@dataclass(frozen=True, eq=False)
class TopCells:
    """Of one layer, the cells that excite each channel most, strongest first.

    Attributes:
        rows: (channels, k) int32, rows of the test split.
        values: (channels, k) float32, the channel's highest value in that cell.
        places: (channels, k) int32, where it is: row times width plus column; 0 in layers without places.
        active: (channels,) float32, share of the cells in which the channel's highest value is above 0.
    """

    rows: np.ndarray
    values: np.ndarray
    places: np.ndarray
    active: np.ndarray


def find_top_cells(
    engine: InsideEngine, images: np.ndarray, on_progress: Callable[[int, int, str], None] = report_progress
) -> dict[str, TopCells]:
    """Return the most exciting cells by layer, for every layer that computes something.

    Args:
        images: (n, 64, 64, 3) uint8.
    """
    layers = [layer["name"] for layer in engine.graph.layers if layer["type"] not in RESTING]
    peaks: dict[str, list[np.ndarray]] = {name: [] for name in layers}
    places: dict[str, list[np.ndarray]] = {name: [] for name in layers}
    for start in range(0, len(images), _BATCH):
        on_progress(start, len(images), f"Cell {start + 1} of {len(images)}.")
        found = engine.compute_layers(prepare_images(images[start : start + _BATCH]))
        for name in layers:
            highest, place = find_peaks(found[name])
            peaks[name].append(highest)
            places[name].append(place)
    on_progress(len(images), len(images), "Sorting.")
    return {name: rank_cells(np.concatenate(peaks[name]), np.concatenate(places[name])) for name in layers}


def find_peaks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each channel's highest value, (n, channels) float32, and its place, (n, channels) int32.

    Args:
        values: (n, ..., channels); whatever lies between are places, counted in that order.
    """
    flat = values.reshape(len(values), -1, values.shape[-1])
    place = flat.argmax(axis=1)
    highest = np.take_along_axis(flat, place[:, None], axis=1)[:, 0]
    return highest.astype(np.float32), place.astype(np.int32)


def rank_cells(peaks: np.ndarray, places: np.ndarray, num_top: int = NUM_TOP) -> TopCells:
    """Return the strongest cells of each channel; equal ones in the order of the file.

    Args:
        peaks, places: (n, channels), one row per cell.
    """
    rows = np.argsort(-peaks, axis=0, kind="stable")[:num_top]
    return TopCells(
        rows=rows.T.astype(np.int32),
        values=np.take_along_axis(peaks, rows, axis=0).T.astype(np.float32),
        places=np.take_along_axis(places, rows, axis=0).T.astype(np.int32),
        active=(peaks > 0).mean(axis=0).astype(np.float32),
    )


def find_channels(artifact: Artifact) -> Path | None:
    """Return the file of a model's most exciting cells in the dataset at hand, if it was computed, else None.

    Raises:
        DatasetError: The dataset is missing.
    """
    path = _cached_path(artifact, identify_dataset(find_dataset()))
    return path if path.is_file() else None


def ensure_channels(artifact: Artifact, on_progress: OnProgress | None = None) -> Path:
    """Return the file of a model's most exciting cells, computing it in a process of its own where needed.

    Raises:
        DatasetError: The dataset is missing or damaged.
        EngineError: The network cannot be opened or run.
        StorageError: The cache cannot be written.
    """
    path = _cached_path(artifact, identify_dataset(find_dataset()))
    form = ensure_inside(artifact, on_progress)
    if path.is_file():
        return path
    with lock_of(path, on_progress):
        if not path.is_file():
            run_child(
                "bloodcell.inference.channels",
                [str(form.resolve()), str(path.resolve())],
                purpose=f"Finding what the channels of {artifact.name} respond to",
                on_progress=on_progress,
                timeout_s=_TIMEOUT_S,
            )
    return path


def load_channels(path: Path) -> dict[str, TopCells]:
    """Return what `ensure_channels` stored, by layer.

    Raises:
        EngineError: The file is damaged; it is deleted, so that the next attempt computes it again.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            names = {key.partition("/")[0] for key in stored.files}
            return {
                name: TopCells(*(stored[f"{name}/{part}"] for part in ("rows", "values", "places", "active")))
                for name in names
            }
    except DAMAGED_ARRAYS as error:
        path.unlink(missing_ok=True)
        raise EngineError(f"{path} was damaged ({error}) and is deleted. Try again.") from error


def store_channels(path: Path, found: dict[str, TopCells]) -> None:
    """Write what `find_top_cells` found.

    Raises:
        StorageError: The disk is full.
    """
    buffer = io.BytesIO()
    arrays = {
        f"{name}/{part}": getattr(cells, part)
        for name, cells in found.items()
        for part in ("rows", "values", "places", "active")
    }
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


def _cached_path(artifact: Artifact, identity: DatasetIdentity) -> Path:
    return inside_directory() / f"{weights_key(artifact)}-{identity.md5[:12]}-channels.{VERSION}.npz"


def main(arguments: Sequence[str]) -> None:
    """Run every test cell through one opened form."""
    form, output = map(Path, arguments)
    with contextlib.suppress(AttributeError, OSError):  # Windows has no such call
        os.nice(10)
    report_progress(0, 0, "Reading the test cells.")
    split: Split = load_split(SPLIT)
    store_channels(output, find_top_cells(InsideEngine(form), split.images))


if __name__ == "__main__":
    run_main(main)

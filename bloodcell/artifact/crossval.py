"""Cross-validations on disk: what networks answered to train images that they had not learned from.

One file, `crossval.npz` beside the artifacts, all of one dataset: labels and hashes of its train images once, folds and
logits for each cross-validated network, and a record in JSON of how each came to be. No weights are kept.
"""

import io
import json
import typing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from bloodcell.artifact.store import Predictions
from bloodcell.dataset import CLASS_NAMES
from bloodcell.errors import ArtifactDamagedError, StorageError
from bloodcell.files import DAMAGED_ARRAYS, artifacts_directory, write_atomically
from bloodcell.locks import lock_folder

CROSSVAL_FILE = "crossval.npz"
_SHARED = ("y_true", "image_hashes")
_FLOAT16_RANGE = (np.finfo(np.float16).min, np.finfo(np.float16).max)


@dataclass(frozen=True)
class Origin:
    """How a cross-validation came to be.

    Attributes:
        name: Catalog row, or the row with a tag after a dot for another recipe.
        model: Catalog row of the graph.
        recipe_name, recipe: How every fold was trained, every field of the recipe.
        num_folds: Networks that were trained; each was asked about the images that it had not learned from.
        dataset: kind, md5 and label of the dataset file.
        duration_s: Seconds of training, over all folds.
        device, backend: Where and on what they were trained.
        created: UTC time in ISO 8601.
        command: The one command that reproduces it.
        notes: What a reader should know.
    """

    name: str
    model: str
    recipe_name: str
    recipe: dict[str, Any]
    num_folds: int
    dataset: dict[str, Any]
    duration_s: float
    device: str
    backend: str
    created: str
    command: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """One cross-validated network.

    Attributes:
        origin: How it came to be.
        folds: (n,) int64 fold in [0, num_folds) that each train image was held out in.
        predictions: Of train, in the order of the dataset: logits of the network that had not seen the image.
    """

    origin: Origin
    folds: np.ndarray
    predictions: Predictions

    @property
    def name(self) -> str:
        """Catalog row, or the row with a tag."""
        return self.origin.name


def load_crossvals(directory: Path | None = None) -> dict[str, CrossValidation]:
    """Return every cross-validation by name, in the order of the file; none where there is no file.

    Raises:
        ArtifactDamagedError: The file cannot be read.
    """
    path = (directory or artifacts_directory()) / CROSSVAL_FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _damaged(path, error) from error
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            shared = {name: stored[name] for name in _SHARED}
            found = [_read(row, stored, shared) for row in json.loads(str(stored["origins"]))]
    except (*DAMAGED_ARRAYS, TypeError, KeyError) as error:
        raise _damaged(path, error) from error
    return {one.name: one for one in found}


def check_storable(name: str, dataset_md5: str, directory: Path | None = None) -> dict[str, CrossValidation]:
    """Return what is there, if a cross-validation of that name and dataset can be stored beside it.

    Raises:
        ArtifactDamagedError: The file that is there cannot be read, so that what it holds would be lost.
        StorageError: It holds others of another dataset, or the folder cannot be written.
    """
    folder = directory or artifacts_directory()
    with lock_folder(folder):
        return _load_if_storable(name, dataset_md5, folder)


def save_crossval(one: CrossValidation, directory: Path | None = None) -> Path:
    """Put one cross-validation into the file, in place of an older one of its name, and return where.

    Raises:
        ArtifactDamagedError: The file that is there cannot be read, so that what it holds would be lost.
        StorageError: It holds others of another dataset, the disk is full or the folder cannot be written.
    """
    folder = directory or artifacts_directory()
    path = folder / CROSSVAL_FILE
    with lock_folder(folder):
        found = _load_if_storable(one.name, one.origin.dataset["md5"], folder)
        found[one.name] = one
        arrays: dict[str, np.ndarray] = {
            "y_true": one.predictions.y_true.astype(np.uint8),
            "image_hashes": one.predictions.image_hashes.astype(np.uint64),
            "origins": np.array(json.dumps([asdict(each.origin) for each in found.values()])),
        }
        for each in found.values():
            arrays[f"{each.name}/folds"] = each.folds.astype(np.uint8)
            arrays[f"{each.name}/logits"] = each.predictions.logits.clip(*_FLOAT16_RANGE).astype(np.float16)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_atomically(path, buffer.getvalue())
    return path


def _load_if_storable(name: str, dataset_md5: str, folder: Path) -> dict[str, CrossValidation]:
    found = load_crossvals(folder)
    strangers = [
        other.name for other in found.values() if other.name != name and other.origin.dataset["md5"] != dataset_md5
    ]
    if strangers:
        raise StorageError(
            f"{folder / CROSSVAL_FILE} holds {', '.join(strangers)} on another dataset file, and a file is of one "
            f"dataset: those would be lost. Move {CROSSVAL_FILE} away to begin another; what was trained for {name} is "
            "kept."
        )
    return found


def _read(row: dict[str, Any], stored: Any, shared: dict[str, np.ndarray]) -> CrossValidation:
    origin = Origin(**{**row, "notes": tuple(row["notes"])})
    _check_origin(origin)
    folds = stored[f"{origin.name}/folds"].astype(np.int64)
    predictions = Predictions(
        "train",
        shared["y_true"].astype(np.int64),
        stored[f"{origin.name}/logits"].astype(np.float32),
        shared["image_hashes"].astype(np.uint64),
    )
    num_images = len(np.atleast_1d(predictions.y_true))
    shapes = [folds.shape, predictions.y_true.shape, predictions.image_hashes.shape, predictions.logits.shape]
    if shapes != [(num_images,)] * 3 + [(num_images, len(CLASS_NAMES))]:
        raise ValueError(f"the arrays of {origin.name} do not fit each other: {', '.join(map(str, shapes))}")
    if not np.isfinite(predictions.logits).all():
        raise ValueError(f"some logits of {origin.name} are no numbers")
    for word, values, end in (("label", predictions.y_true, len(CLASS_NAMES)), ("fold", folds, origin.num_folds)):
        if not num_images or values.min() < 0 or values.max() >= end:
            raise ValueError(f"{origin.name} has a {word} outside 0 to {end - 1}")
    return CrossValidation(origin, folds, predictions)


def _check_origin(origin: Origin) -> None:
    """Raise ValueError where a field is of another kind than it should be."""
    kinds = typing.get_type_hints(Origin)
    for field in fields(Origin):
        kind = typing.get_origin(kinds[field.name]) or kinds[field.name]
        value = getattr(origin, field.name)
        if not isinstance(value, (int, float) if kind is float else kind):
            raise ValueError(f"the {field.name} of {origin.name} is {value!r}")
    texts = [*origin.notes, *(origin.dataset.get(key) for key in ("kind", "md5", "label"))]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"the dataset or a note of {origin.name} is no text")


def _damaged(path: Path, error: Exception) -> ArtifactDamagedError:
    return ArtifactDamagedError(
        f"{path} cannot be read ({error}). Restore it, or move it away and run "
        "`./dev python -m bloodcell measure crossval` again."
    )

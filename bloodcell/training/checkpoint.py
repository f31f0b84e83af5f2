"""The state of an unfinished training, in one file that is replaced whole after every epoch."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bloodcell.errors import StorageError
from bloodcell.files import DAMAGED_ARRAYS, write_atomically

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        history: One dict of numbers per finished epoch.
        best_epoch: Epoch, from 1, of the best weights; 0 before the first.
        best_weights: Weights of that epoch, in the order of `model.weights`.
        seconds: Training time so far, over all parts.
    """

    history: list[dict[str, float]]
    best_epoch: int
    best_weights: list[np.ndarray]
    seconds: float


def save_checkpoint(path: Path, model: keras.Model, progress: Progress) -> bool:
    """Replace the checkpoint; say so and go on where the disk is full, keeping the older one.

    Returns:
        Whether it was written.
    """
    arrays: dict[str, np.ndarray] = {}
    for prefix, values in (("state", _state(model)), ("best", progress.best_weights)):
        arrays |= {f"{prefix}_{index}": np.asarray(value) for index, value in enumerate(values)}
    words = {"history": progress.history, "best_epoch": progress.best_epoch, "seconds": progress.seconds}
    buffer = io.BytesIO()
    np.savez(buffer, words=np.frombuffer(json.dumps(words).encode(), np.uint8), allow_pickle=False, **arrays)
    try:
        write_atomically(path, buffer.getvalue())
    except StorageError as error:
        logger.warning("The training goes on without a new checkpoint. %s", error)
        return False
    return True


def load_checkpoint(path: Path, model: keras.Model) -> Progress | None:
    """Fill a compiled model and its optimizer with a checkpoint and return how far it was.

    Returns:
        None where there is no checkpoint, or none that fits; a damaged one is said and deleted.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            words = json.loads(stored["words"].tobytes())
            variables = _state(model)
            values = [stored[f"state_{index}"] for index in range(len(variables))]
            if f"state_{len(variables)}" in stored or any(
                v.shape != tuple(w.shape) for v, w in zip(values, variables, strict=True)
            ):
                raise ValueError("it belongs to another graph or optimizer")
            best = [stored[f"best_{index}"] for index in range(len(model.weights))]
    except DAMAGED_ARRAYS as error:
        logger.warning("The checkpoint %s cannot be used (%s); the training starts again.", path, error)
        path.unlink(missing_ok=True)
        return None
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return Progress(words["history"], words["best_epoch"], best, words["seconds"])


def _state(model: keras.Model) -> list[Any]:
    """Every variable that decides how the training goes on: weights, dropout seeds, optimizer and averages."""
    return [*model.variables, *model.optimizer.variables]

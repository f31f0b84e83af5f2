"""Cross-validation: every train image is answered by a network that never saw it (Stone 1974, JRSS B 36, 111).

Train is seven times val and three and a half times test, and no choice was made on these answers. So they tell more
exactly than either what a recipe gives, and which labels the networks contradict without having learned them by heart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bloodcell.dataset import Split
from bloodcell.errors import TrainingError
from bloodcell.files import cache_directory
from bloodcell.training.recipes import TrainingRecipe
from bloodcell.training.targets import NUM_CLASSES
from bloodcell.training.trainer import compute_logits, train

if TYPE_CHECKING:
    from bloodcell.training.trainer import OnBatch, OnEpoch

NUM_FOLDS = 5


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What networks answered to the images that each had not learned from.

    Attributes:
        folds: (n,) int64 fold in [0, num_folds) that each image was held out in.
        logits: (n, 8) float32 of the network trained without that fold.
        duration_s: Seconds of training over all folds, those of earlier parts included.
        device: Processor or accelerator, in words.
        backend: Keras backend.
    """

    folds: np.ndarray
    logits: np.ndarray
    duration_s: float
    device: str
    backend: str


def assign_folds(labels: np.ndarray, num_folds: int = NUM_FOLDS) -> np.ndarray:
    """Return the fold of each image, (n,) int64: equal in size and in every class up to one image, always the same.

    Args:
        labels: (n,) class indices.
        num_folds: From 2 to n.
    """
    if not 2 <= num_folds <= len(labels):
        raise ValueError(f"Expected 2 to {len(labels)} folds for {len(labels)} images. Received: {num_folds}")
    mixed = np.random.default_rng(0).permutation(len(labels))
    folds = np.empty(len(labels), dtype=np.int64)
    folds[mixed[np.argsort(labels[mixed], kind="stable")]] = np.arange(len(labels)) % num_folds
    return folds


def cross_validate(
    model_name: str,
    recipe: TrainingRecipe,
    train_split: Split,
    val_split: Split,
    *,
    num_folds: int = NUM_FOLDS,
    on_fold: Callable[[int], None] | None = None,
    on_epoch: OnEpoch | None = None,
    on_batch: OnBatch | None = None,
    directory: Path | None = None,
) -> HeldOut:
    """Train one network per fold on the other folds, with the fold as seed, and ask it about the images of the fold.

    The last epoch's weights answer: nothing is chosen, not even an epoch. A killed cross-validation goes on from the
    epoch that it had reached; finished folds are only asked again.

    Args:
        val_split: Watched while training; decides nothing.
        num_folds: From 2 to the number of train images.
        on_fold: Called before each fold with its number.
        on_epoch, on_batch: As in `train`.
        directory: Folder of checkpoints; the user's cache by default.

    Raises:
        TrainingError: The recipe has a teacher, who may have seen what is held out; or as `train` raises it.
    """
    if recipe.teacher is not None:
        raise TrainingError(
            f"{recipe.teacher} may have learned from the images that are held out, so it cannot teach here. Give a "
            "recipe without a teacher: --set teacher=none"
        )
    from bloodcell.models import answers_model

    folds = assign_folds(train_split.labels, num_folds)
    logits = np.empty((len(folds), NUM_CLASSES), dtype=np.float32)
    duration_s, device, backend = 0.0, "", ""
    for fold in range(num_folds):
        if on_fold:
            on_fold(fold)
        held = folds == fold
        result = train(
            model_name,
            recipe,
            _take(train_split, ~held),
            val_split,
            seed=fold,
            on_epoch=on_epoch,
            on_batch=on_batch,
            directory=checkpoint_folder(fold, num_folds, directory),
            keep_last=True,
        )
        logits[held] = compute_logits(answers_model(result.model), train_split.images[held])[:, :NUM_CLASSES]
        duration_s, device, backend = duration_s + result.duration_s, result.device, result.backend
    return HeldOut(folds, logits, duration_s, device, backend)


def checkpoint_folder(fold: int, num_folds: int, directory: Path | None = None) -> Path:
    """Return where the checkpoints of a fold lie, apart from those of other trainings."""
    return (directory or cache_directory() / "training") / f"fold{fold}of{num_folds}"


def _take(split: Split, chosen: np.ndarray) -> Split:
    return Split(split.name, split.images[chosen], split.labels[chosen], split.identity)

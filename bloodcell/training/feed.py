"""Hands one epoch of images to `fit`; imports Keras, so only a running training imports this file."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from bloodcell.dataset import prepare_images
from bloodcell.training.augmentation import Augmentation, epoch_order
from bloodcell.training.recipes import TrainingRecipe
from bloodcell.training.targets import Teacher

if TYPE_CHECKING:
    from bloodcell.training.trainer import OnBatch


class EpochFeed(keras.utils.PyDataset):
    """The batches of one epoch, each a pure function of seed, epoch and step.

    Where a teacher is given, `teacher_share` of a batch's targets over classes are its probabilities of these inputs.
    """

    def __init__(
        self,
        images: np.ndarray,
        targets: np.ndarray,
        order: np.ndarray,
        batch_size: int,
        augmentation: Augmentation,
        seed: int,
        epoch: int,
        teacher: Teacher | None = None,
        teacher_share: float = 0.0,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self._images = images
        self._targets = targets
        self._order = order
        self._batch_size = batch_size
        self._augmentation = augmentation
        self._key = (seed, epoch)
        self._teacher = teacher
        self._teacher_share = teacher_share

    @classmethod
    def create(
        cls,
        images: np.ndarray,
        labels: np.ndarray,
        targets: np.ndarray,
        recipe: TrainingRecipe,
        augmentation: Augmentation,
        *,
        seed: int,
        epoch: int,
        teacher: Teacher | None = None,
    ) -> EpochFeed:
        """Return the feed of epoch `epoch`, counted from 1.

        Args:
            images: (n, 64, 64, 3) uint8.
            labels: (n,) class indices, by which the epoch is ordered.
            targets: (n, any) float32, what the network is asked to answer.
            teacher: Required where the recipe names one.
        """
        order = epoch_order(labels, recipe.augmentation, np.random.default_rng((seed, epoch)))
        share = recipe.teacher_share
        return cls(images, targets, order, recipe.batch_size, augmentation, seed, epoch, teacher, share)

    def __len__(self) -> int:
        return math.ceil(len(self._order) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        inputs, targets = self._show(index), self._targets[self._rows(index)]
        if self._teacher is None:
            return inputs, targets
        answers = self._teacher.answer(inputs)
        mixed = targets.copy()
        classes = mixed[:, : answers.shape[1]]  # what a network is asked on finer types stays
        classes += np.float32(self._teacher_share) * (answers - classes)
        return inputs, mixed

    def samples(self, num_images: int) -> Iterator[np.ndarray]:
        """Yield the epoch's first images as it shows them, in batches of about 256, `num_images` in all or fewer."""
        per_yield = max(1, 256 // self._batch_size)
        num_batches = min(len(self), math.ceil(num_images / self._batch_size))
        for first in range(0, num_batches, per_yield):
            batches = [self._show(index) for index in range(first, min(first + per_yield, num_batches))]
            yield np.concatenate(batches)

    def _rows(self, index: int) -> np.ndarray:
        return self._order[index * self._batch_size : (index + 1) * self._batch_size]

    def _show(self, index: int) -> np.ndarray:
        generator = np.random.default_rng((*self._key, index + 1))
        inputs = self._augmentation(prepare_images(self._images[self._rows(index)]), generator)
        return np.ascontiguousarray(inputs, dtype=np.float32)


class BatchReporter(keras.callbacks.Callback):
    """Passes the running numbers of each step on, and keeps the seconds that this took apart from the training's."""

    def __init__(self, num_steps: int, on_batch: OnBatch | None) -> None:
        super().__init__()
        self._num_steps = num_steps
        self._on_batch = on_batch
        self.seconds = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Report step `batch`, counted from 0 by Keras and from 1 here."""
        if self._on_batch:
            started = time.monotonic()
            self._on_batch(batch + 1, self._num_steps, {k: float(v) for k, v in (logs or {}).items()})
            self.seconds += time.monotonic() - started

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

if TYPE_CHECKING:
    from bloodcell.training.trainer import OnBatch


class EpochFeed(keras.utils.PyDataset):
    """The batches of one epoch, each a pure function of seed, epoch and step."""

    def __init__(
        self,
        images: np.ndarray,
        targets: np.ndarray,
        order: np.ndarray,
        batch_size: int,
        augmentation: Augmentation,
        seed: int,
        epoch: int,
        mixup: float = 0.0,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self._images = images
        self._targets = targets
        self._order = order
        self._batch_size = batch_size
        self._augmentation = augmentation
        self._key = (seed, epoch)
        self._mixup = mixup

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
    ) -> EpochFeed:
        """Return the feed of epoch `epoch`, counted from 1.

        Args:
            images: (n, 64, 64, 3) uint8.
            labels: (n,) class indices, by which the epoch is ordered.
            targets: (n, any) float32, what the network is asked to answer.
        """
        order = epoch_order(labels, recipe.augmentation, np.random.default_rng((seed, epoch)))
        return cls(images, targets, order, recipe.batch_size, augmentation, seed, epoch, recipe.mixup)

    def __len__(self) -> int:
        return math.ceil(len(self._order) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        inputs, targets = self._show(index), self._targets[self._rows(index)]
        if not self._mixup:
            return inputs, targets
        generator = np.random.default_rng((*self._key, index + 1, 1))
        shares = generator.beta(self._mixup, self._mixup, size=len(inputs)).astype(np.float32)
        shares = np.maximum(shares, 1 - shares)  # the image that is shown weighs more than the one that is added
        return _blend(inputs, shares), _blend(targets, shares)

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


def _blend(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return every row mixed with the row at the same place from the end, which keeps `1 - shares` of it."""
    weights = shares.reshape(-1, *[1] * (values.ndim - 1))
    return weights * values + (1 - weights) * values[::-1]


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

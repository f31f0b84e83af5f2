"""Several trainings of one network, seed by seed: how good it is, how far the seeds lie apart, which images change."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

"""Half the width of a 95 % interval of a normal distribution, in standard deviations."""


@dataclass(frozen=True, eq=False)
class Repeated:
    """The answers of several trainings that differ in the seed alone.

    Attributes:
        seeds: Seed of each training.
        y_true: (n,) int64 class indices.
        y_pred: (trainings, n) int64 answers.
        image_hashes: (n,) uint64 of the pixels; the same hash is the same image.
    """

    seeds: tuple[int, ...]
    y_true: np.ndarray
    y_pred: np.ndarray
    image_hashes: np.ndarray

    @property
    def num_trainings(self) -> int:
        """Number of seeds."""
        return len(self.seeds)

    @property
    def accuracies(self) -> np.ndarray:
        """Accuracy of each training, (trainings,) float64."""
        return (self.y_pred == self.y_true).mean(axis=1)

    @property
    def accuracy(self) -> float:
        """Mean accuracy over the trainings."""
        return float(self.accuracies.mean())

    @property
    def spread(self) -> float:
        """Standard deviation of the accuracy over the seeds (n − 1 below); NaN with one seed."""
        return float(self.accuracies.std(ddof=1)) if self.num_trainings > 1 else float("nan")

    @property
    def share_right(self) -> np.ndarray:
        """Share of the trainings that are right about each image, (n,) float64."""
        return (self.y_pred == self.y_true).mean(axis=0)


def pool_spread(networks: Iterable[Repeated]) -> float:
    """Return the standard deviation of the accuracy over seeds, pooled over networks; 0 where none has two seeds."""
    squares = [(one.num_trainings - 1, one.spread**2) for one in networks if one.num_trainings > 1]
    freedom = sum(degrees for degrees, _ in squares)
    return float(np.sqrt(sum(degrees * square for degrees, square in squares) / freedom)) if freedom else 0.0


@dataclass(frozen=True)
class ClassChange:
    """How often images of one class are right with two networks: recall of the first and second, and their images."""

    class_index: int
    first: float
    second: float
    num_images: int

    @property
    def difference(self) -> float:
        """Recall of the first minus that of the second."""
        return self.first - self.second


@dataclass(frozen=True, eq=False)
class Change:
    """What the first of two networks does better or worse than the second, on the images that both answered.

    Attributes:
        difference: Mean accuracy of the first minus that of the second.
        num_images: Images that both answered.
        per_class: One entry per class.
        rows_first, rows_second: (m,) rows of the first and second whose images differ in the share of seeds that are
            right; the largest differences first.
        gains: (m,) share right in the first minus share right in the second, in [-1, 1], never 0.
    """

    difference: float
    num_images: int
    per_class: tuple[ClassChange, ...]
    rows_first: np.ndarray
    rows_second: np.ndarray
    gains: np.ndarray

    @property
    def num_gained(self) -> int:
        """Images that the first gets right more often."""
        return int((self.gains > 0).sum())

    @property
    def num_lost(self) -> int:
        """Images that the first gets right less often."""
        return int((self.gains < 0).sum())


def gather_trainings(trainings: Sequence[tuple[int, Any]]) -> Repeated:
    """Return the trainings of one network side by side, on the images that all of them answered.

    Args:
        trainings: Seed and predictions (`artifact.Predictions`: y_true, logits, image_hashes) of each; at least one.
    """
    if not trainings:
        raise ValueError("Expected at least one training. Received: none")
    reference = trainings[0][1]
    rows = [np.arange(len(reference.y_true))]
    for _, other in trainings[1:]:
        rows.append(match_rows(reference.image_hashes, other.image_hashes))
    kept = np.all([found >= 0 for found in rows], axis=0)
    y_pred = [
        predictions.logits.argmax(axis=1)[found[kept]] for (_, predictions), found in zip(trainings, rows, strict=True)
    ]
    return Repeated(
        tuple(seed for seed, _ in trainings),
        reference.y_true[kept],
        np.array(y_pred, dtype=np.int64),
        reference.image_hashes[kept],
    )


def shares_images(first: Repeated, second: Repeated) -> bool:
    """Return whether two networks answered any of the same images, so that they can be compared."""
    return bool(np.isin(first.image_hashes, second.image_hashes).any())


def compare_repeated(first: Repeated, second: Repeated, num_classes: int) -> Change:
    """Return on which images two networks differ; `evidence.find_evidence` says what that proves."""
    rows = match_rows(first.image_hashes, second.image_hashes)
    rows_first = np.flatnonzero(rows >= 0)
    if not len(rows_first):
        raise ValueError("Expected two networks measured on shared images. Received: none is shared")
    rows_second = rows[rows_first]
    right_first, right_second = first.share_right[rows_first], second.share_right[rows_second]
    gains = right_first - right_second
    difference = float(gains.mean())
    y_true = first.y_true[rows_first]
    per_class = tuple(
        ClassChange(index, float(right_first[of].mean()), float(right_second[of].mean()), int(of.sum()))
        for index in range(num_classes)
        if (of := y_true == index).any()
    )
    changed = np.flatnonzero(np.abs(gains) > 1e-9)
    changed = changed[np.argsort(-np.abs(gains[changed]), kind="stable")]
    return Change(
        difference,
        len(rows_first),
        per_class,
        rows_first[changed],
        rows_second[changed],
        gains[changed],
    )


def match_rows(wanted: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Return for each wanted hash its row in `hashes`, (n,) int64, -1 for none; repeated hashes pair up in order."""
    if np.array_equal(wanted, hashes):
        return np.arange(len(wanted))
    places: dict[int, list[int]] = {}
    for row, image_hash in reversed(list(enumerate(hashes.tolist()))):
        places.setdefault(image_hash, []).append(row)
    return np.array([found.pop() if (found := places.get(h)) else -1 for h in wanted.tolist()], dtype=np.int64)

"""What every good model gets wrong: the images that set a ceiling, and those whose label may be what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bloodcell.evaluation.repeated import match_rows

GOOD_MARGIN = 0.01
"""A good model is at most a point below the best on val."""
SURE = 0.9
"""Mean confidence in the same wrong class from which a label is worth a second look."""


@dataclass(frozen=True, eq=False)
class Answered:
    """What one model says about the images of a split, with calibrated probabilities (n, classes)."""

    y_true: np.ndarray
    y_score: np.ndarray
    image_hashes: np.ndarray


@dataclass(frozen=True, eq=False)
class Ceiling:
    """The images that all of some models get wrong.

    Attributes:
        names: The models.
        num_images: Images that all of them answered.
        num_wrong: (models + 1,) images that 0, 1, … all of them get wrong.
        rows: (m,) rows of the first model's predictions that all get wrong, the surest common mistake first.
        y_true: (m,) true class of these.
        answers: (models, m) class that each model gives.
        confidence: (models, m) probability of that class.
    """

    names: tuple[str, ...]
    num_images: int
    num_wrong: np.ndarray
    rows: np.ndarray
    y_true: np.ndarray
    answers: np.ndarray
    confidence: np.ndarray

    @property
    def num_missed(self) -> int:
        """Images that every model gets wrong."""
        return len(self.rows)

    @property
    def highest_accuracy(self) -> float:
        """Accuracy of someone who picks the right model for each image: no vote among these can exceed it."""
        return 1 - self.num_missed / self.num_images

    @property
    def is_unanimous(self) -> np.ndarray:
        """Whether all models give the same wrong class, (m,) bool."""
        return (self.answers == self.answers[:1]).all(axis=0)

    @property
    def is_doubtful(self) -> np.ndarray:
        """Whether all give the same wrong class, and are sure on average: the label may be wrong, (m,) bool."""
        return self.is_unanimous & (self.confidence.mean(axis=0) >= SURE)

    @property
    def majority(self) -> np.ndarray:
        """The class that most models give, (m,) int64; of equals the surer one."""
        num_classes = int(max(self.answers.max(initial=0), self.y_true.max(initial=0))) + 1
        votes = np.zeros((num_classes, self.num_missed))
        for answer, confidence in zip(self.answers, self.confidence, strict=True):
            votes[answer, np.arange(self.num_missed)] += 1 + confidence / (1 + len(self.names))
        return votes.argmax(axis=0) if self.num_missed else np.zeros(0, dtype=np.int64)


def choose_good(val_accuracies: Mapping[str, float], margin: float = GOOD_MARGIN) -> list[str]:
    """Return the models within `margin` of the best val accuracy, best first; test has no say."""
    best = max(val_accuracies.values(), default=0.0)
    good = [name for name, accuracy in val_accuracies.items() if accuracy >= best - margin - 1e-9]
    return sorted(good, key=lambda name: (-val_accuracies[name], name))


def find_ceiling(answered: Mapping[str, Answered]) -> Ceiling:
    """Return what all models get wrong, among the images that all of them answered.

    Args:
        answered: By name; rows are brought together by the images' hashes.
    """
    if not answered:
        raise ValueError("Expected at least one model. Received: none")
    names = tuple(answered)
    first = answered[names[0]]
    rows = np.array([match_rows(first.image_hashes, answered[name].image_hashes) for name in names])
    kept = np.flatnonzero((rows >= 0).all(axis=0))
    scores = [answered[name].y_score[of[kept]] for name, of in zip(names, rows, strict=True)]
    answers = np.array([one.argmax(axis=1) for one in scores])
    confidence = np.array([one.max(axis=1) for one in scores], dtype=np.float64)
    y_true = first.y_true[kept]
    num_wrong = (answers != y_true).sum(axis=0)
    missed = np.flatnonzero(num_wrong == len(names))
    unanimous = (answers[:, missed] == answers[:1, missed]).all(axis=0)
    order = np.lexsort((-confidence[:, missed].mean(axis=0), ~unanimous))
    missed = missed[order]
    return Ceiling(
        names,
        len(kept),
        np.bincount(num_wrong, minlength=len(names) + 1),
        kept[missed],
        y_true[missed],
        answers[:, missed],
        confidence[:, missed],
    )

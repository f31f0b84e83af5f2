"""What a network is asked to answer, and the loss that measures how far it is: of classes, and of finer types inside.

A row of targets is a class, one of 8, and beside it the finer type inside that class, one of the 5 columns of the
subtypes' logits, or none where it is not known. The loss is the negative log-likelihood of what is known: a finer type
is as probable as its class times its share within the class, so -log of it is the class's cross-entropy plus that of
the share; an image without a subtype adds none, which is -log of the summed probability over the types that it may be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bloodcell.dataset import CLASS_NAMES, FINER_NAMES, SUBTYPE_COLUMNS, SUBTYPE_NAMES
from bloodcell.errors import TrainingError

Tensor = Any  # of the Keras backend in use
NUM_CLASSES = len(CLASS_NAMES)


@dataclass(frozen=True)
class Teacher:
    """A trained network, or several, whose answers become a share of the targets.

    Attributes:
        name: Its artifact, or several joined by `+`.
        digest: SHA-256 of its stored weights, or of those of all in turn, 64 hexadecimal digits.
        answer: From stored pixels, (n, 64, 64, 3) uint8, to probabilities of the classes, (n, 8) float32.
        words: Its artifacts and their weights, to be read in a sentence.
    """

    name: str
    digest: str
    answer: Callable[[np.ndarray], np.ndarray]
    words: str = ""


def make_targets(labels: np.ndarray, finer: np.ndarray | None = None) -> np.ndarray:
    """Return targets, (n, 8) float32, or (n, 13) with finer types.

    Args:
        labels: (n,) class indices.
        finer: (n,) index in FINER_NAMES or UNKNOWN, as `dataset.find_subtypes` gives them; None for a network that
            does not tell finer types apart.

    Raises:
        TrainingError: No image's subtype is known, so that there is nothing to learn them from.
    """
    classes = np.eye(NUM_CLASSES, dtype=np.float32)[labels]
    if finer is None:
        return classes
    subtypes = np.zeros((len(labels), len(SUBTYPE_NAMES)), np.float32)
    for column, name in enumerate(SUBTYPE_NAMES):
        subtypes[finer == FINER_NAMES.index(name), column] = 1
    if not subtypes.any():
        raise TrainingError(
            "This network tells finer types apart, and of no train image it is known which it shows: the table of "
            "subtypes knows the pixels of BloodMNIST alone. Let BLOODCELL_SUBTYPES name a table for this dataset, or "
            "train the network that does not, NAME.eight."
        )
    return np.concatenate([classes, subtypes], axis=1)


def follow_teacher(targets: np.ndarray, answers: np.ndarray, share: float) -> np.ndarray:
    """Return targets of which a teacher's answers decide a share; what is asked on finer types stays.

    Args:
        targets: (n, 8 or more) float32, the classes first.
        answers: (n, 8) probabilities.
        share: Above 0 and up to 1.
    """
    mixed = targets.copy()
    classes = mixed[:, :NUM_CLASSES]
    classes += np.float32(share) * (answers - classes)
    return mixed


def hierarchical_loss(label_smoothing: float = 0.0) -> Any:
    """Return the loss of answers (n, 13) against targets (n, 13), as a function for Keras; see the top of this file.

    Args:
        label_smoothing: Share of a target that is spread over all classes, and within a class over its types.
    """
    from keras import losses, ops

    classes = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing, reduction=None)

    def loss(targets: Tensor, answers: Tensor) -> Tensor:
        total = classes(targets[:, :NUM_CLASSES], answers[:, :NUM_CLASSES])
        for columns in SUBTYPE_COLUMNS.values():
            place = slice(NUM_CLASSES + columns.start, NUM_CLASSES + columns.stop)
            known = ops.sum(targets[:, place], axis=1, keepdims=True)
            shares = targets[:, place] * (1 - label_smoothing) + known * label_smoothing / (place.stop - place.start)
            total = total - ops.sum(shares * ops.log_softmax(answers[:, place]), axis=1)
        return total

    return loss


def accuracy(targets: Tensor, answers: Tensor) -> Tensor:
    """Return per image whether the class is right, whatever the finer type; a metric for Keras."""
    from keras import metrics

    return metrics.categorical_accuracy(targets[:, :NUM_CLASSES], answers[:, :NUM_CLASSES])

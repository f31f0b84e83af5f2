"""Sets of classes that hold the right one as often as promised, instead of one class that is sometimes wrong."""

import math
from collections.abc import Sequence

import numpy as np

COVERAGE = 0.996
"""Share of images whose set holds the right class, promised for images like those of val, where none is chosen.

Chosen on val for hemanet_tiny, 2026-11-26: the most careful of 0.99, 0.994, 0.995, 0.996, 0.997 and 0.998 that still
answers 98 % of the cells; 0.994 lets 0.5 % of its answers be wrong, this one 0.2 %.
"""
COVERAGES = (0.9, 0.95, 0.98, 0.99, 0.996, 0.998)
"""What a reader may choose from; a thousand images of val cannot promise much more than the last."""


def fit_set_threshold(y_true: np.ndarray, y_score: np.ndarray, coverage: float = COVERAGE) -> float:
    """Return the lowest probability with which a class still enters a set (split conformal prediction, Sadinle 2019).

    Of n images that were not trained on, the ⌈(n + 1) · coverage⌉-th best probability of the right class: a new image
    of the same kind is covered with at least that probability, whatever the network is worth. Too few images promise
    nothing, and the threshold is 0: every class is in every set.

    Args:
        y_true: (n,) class indices of val.
        y_score: (n, classes) probabilities of val.
    """
    return threshold_of_scores(y_score[np.arange(len(y_true)), y_true], coverage)


def threshold_of_scores(true_scores: np.ndarray, coverage: float) -> float:
    """Return the threshold of `fit_set_threshold` from the probabilities of the right classes alone, (n,)."""
    if not 0 < coverage < 1:
        raise ValueError(f"Expected a coverage between 0 and 1. Received: {coverage}")
    rank = math.ceil((len(true_scores) + 1) * coverage)
    return float(np.sort(true_scores)[::-1][rank - 1]) if rank <= len(true_scores) else 0.0


def predict_set(y_score: np.ndarray, threshold: float, class_names: Sequence[str]) -> tuple[str, ...]:
    """Return the classes of one image's set by name, most probable first; see `list_possible`."""
    return tuple(class_names[index] for index in list_possible(y_score, threshold))


def list_possible(y_score: np.ndarray, threshold: float) -> list[int]:
    """Return the classes of one image's set by index, most probable first; there is at least one.

    Where none reaches the threshold, the two most probable remain possible: one alone would look certain.

    Args:
        y_score: (classes,) probabilities of one image.
    """
    order = np.argsort(-y_score, kind="stable")
    num_possible = int((y_score >= threshold).sum()) if reaches_threshold(y_score, threshold) else 2
    return [int(index) for index in order[:num_possible]]


def reaches_threshold(y_score: np.ndarray, threshold: float) -> bool:
    """Whether any class is probable enough for the set of an image; the lower the coverage, the fewer images have one.

    Args:
        y_score: (classes,) probabilities of one image.
    """
    return bool(y_score.max() >= threshold)


def explain_unreached(names: Sequence[str], threshold: float, coverage: float) -> str:
    """Return the reason for an uncertain answer where no class reaches the threshold.

    Args:
        names: The most probable classes, which remain possible.
    """
    return (
        f"No type is as probable as {100 * coverage:g} % coverage asks for ({100 * threshold:.1f} %); the most "
        f"probable are {' and '.join(names)}."
    )

"""Which labels are probably wrong: confident learning (Northcutt, Jiang and Chuang 2021, JAIR 70, 1373).

A label is an issue where another class is at least as probable as it is, on average, for the images that carry that
class as label. Only answers to images that were not learned from can tell: whoever learned a label repeats it.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """Images whose label the answers contradict, the clearest contradiction first.

    Attributes:
        num_images: Images that were looked at.
        rows: (m,) which of them are issues.
        labels: (m,) class indices that they are labelled with.
        suggested: (m,) class indices of the most probable class.
        label_probability: (m,) probability of the label.
        suggested_probability: (m,) probability of the suggested class.
    """

    num_images: int
    rows: np.ndarray
    labels: np.ndarray
    suggested: np.ndarray
    label_probability: np.ndarray
    suggested_probability: np.ndarray


def find_label_issues(y_true: np.ndarray, y_score: np.ndarray) -> LabelIssues:
    """Return the labels that are probably wrong, ordered by how much more probable the suggested class is.

    Args:
        y_true: (n,) class indices as labelled; of a class without an image nothing is suspected.
        y_score: (n, classes) calibrated probabilities of networks that had not learned from these images.
    """
    present = np.unique(y_true)
    limits = np.full(y_score.shape[1], np.inf)
    limits[present] = [y_score[y_true == label, label].mean() for label in present]
    reached = np.where(y_score >= limits, y_score, 0.0)
    called = reached.argmax(axis=1)
    images = np.arange(len(y_true))
    rows = np.flatnonzero((reached.max(axis=1) > 0) & (called != y_true) & (y_score.argmax(axis=1) != y_true))
    margin = y_score[images, y_true] - y_score.max(axis=1)
    rows = rows[np.argsort(margin[rows], kind="stable")]
    return LabelIssues(
        len(y_true), rows, y_true[rows], y_score[rows].argmax(axis=1), y_score[rows, y_true[rows]], y_score[rows].max(1)
    )

"""Which of two models is better, which models are worth their cost, and which one answers by default."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bloodcell.evaluation.metrics import wilson_interval

if TYPE_CHECKING:
    import pandas as pd

NUM_RESAMPLES = 10_000
DEFAULT_MARGIN = 0.002
"""How far below the best val accuracy the default model may be: 0.2 points."""


@dataclass(frozen=True)
class PairedDifference:
    """How two models differ on the same images.

    Attributes:
        difference: Accuracy of a minus accuracy of b, in [-1, 1].
        interval: Bootstrap 95 % interval of the difference, (low, high).
        p_value: Exact McNemar test of "both are right equally often", two-sided.
        num_only_a: Images that only a gets right.
        num_only_b: Images that only b gets right.
        num_images: Images in all.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float
    num_only_a: int
    num_only_b: int
    num_images: int


def paired_difference(
    y_true: np.ndarray,
    a_pred: np.ndarray,
    b_pred: np.ndarray,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> PairedDifference:
    """Return how two models differ in accuracy on the same images.

    An image counts +1 where only a is right, -1 where only b is, else 0, so drawing images with replacement is drawing
    the three counts from a multinomial distribution: the same bootstrap, all resamples at once.

    Args:
        y_true: (n,) class indices.
        a_pred: (n,) class indices predicted by a; b alike.
        num_resamples: Bootstrap resamples.
        seed: Of the resampling; the same seed gives the same interval.
    """
    y_true, a_pred, b_pred = np.asarray(y_true), np.asarray(a_pred), np.asarray(b_pred)
    if y_true.ndim != 1 or len(y_true) == 0 or not y_true.shape == a_pred.shape == b_pred.shape:
        shapes = f"{y_true.shape}, {a_pred.shape}, {b_pred.shape}"
        raise ValueError(f"Expected three arrays of shape (n,) with n of 1 or more. Received: {shapes}")
    from scipy.stats import binomtest

    a_right, b_right = a_pred == y_true, b_pred == y_true
    only_a, only_b = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
    num_images = len(y_true)
    shares = np.array([only_a, only_b, num_images - only_a - only_b]) / num_images
    drawn = np.random.default_rng(seed).multinomial(num_images, shares, size=num_resamples)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / num_images, [0.025, 0.975])
    differing = only_a + only_b
    p_value = float(binomtest(only_a, differing).pvalue) if differing else 1.0
    return PairedDifference(
        (only_a - only_b) / num_images, (float(low), float(high)), p_value, only_a, only_b, num_images
    )


def unpaired_interval(a: tuple[int, int], b: tuple[int, int], num_comparisons: int = 1) -> tuple[float, float]:
    """Return the 95 % interval of the difference between two accuracies on different images, a minus b.

    Newcombe's hybrid score interval (1998, Statistics in Medicine 17, 873), which also holds near 100 %.

    Args:
        a: (right, images) of the first accuracy; b alike.
        num_comparisons: Intervals that shall all hold together in 95 % of cases (Bonferroni).
    """
    from scipy.stats import norm

    z = float(norm.ppf(1 - 0.025 / num_comparisons))
    p, q = a[0] / a[1], b[0] / b[1]
    (p_low, p_high), (q_low, q_high) = wilson_interval(*a, z), wilson_interval(*b, z)
    return p - q - math.hypot(p - p_low, q_high - q), p - q + math.hypot(p_high - p, q - q_low)


def holm_correction(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return p-values corrected for testing all of them at once (Holm 1979), (n,) float64 in the order given."""
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"Expected p-values in [0, 1]. Received: {values}")
    order = np.argsort(values, kind="stable")
    stepped = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return corrected


def pareto_front(cost: Sequence[float] | np.ndarray, score: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return which points no other beats, (n,) bool: none costs as little and scores as high and is better in one.

    Args:
        cost: (n,) lower is better, such as MB or ms.
        score: (n,) higher is better. A point with a NaN in either is never on the front and beats none.
    """
    costs, scores = np.asarray(cost, dtype=np.float64), np.asarray(score, dtype=np.float64)
    if costs.ndim != 1 or costs.shape != scores.shape:
        raise ValueError(f"Expected one cost and one score per point. Received: {costs.shape} and {scores.shape}")
    as_cheap = costs[:, None] <= costs[None, :]
    as_good = scores[:, None] >= scores[None, :]
    better = (costs[:, None] < costs[None, :]) | (scores[:, None] > scores[None, :])
    beaten = (as_cheap & as_good & better).any(axis=0)
    return ~beaten & ~np.isnan(costs) & ~np.isnan(scores)


def choose_default(rows: "pd.DataFrame | Mapping[str, Sequence]", margin: float = DEFAULT_MARGIN) -> str:
    """Return the model that answers by default: the fastest whose val accuracy is within `margin` of the best.

    Chosen on val and on time alone, so that test stays unread. Where none of these was timed, the most accurate of
    them; ties go to the more accurate, then to the first name. A name with a tag (`hemanet_tiny.eleven`) is another
    head or training of a row and never chosen before a row: the noise of a timing must not decide between twins.

    Args:
        rows: Columns name, val_accuracy (fraction), latency_ms (NaN where it was not measured), as a DataFrame or, for
            those who cannot wait for pandas, a dict; at least one row with a val accuracy.
    """
    names = [str(name) for name in rows["name"]]
    accuracies = np.asarray(rows["val_accuracy"], dtype=np.float64)
    latencies = np.asarray(rows["latency_ms"], dtype=np.float64)
    if np.isnan(accuracies).all():
        raise ValueError(f"Expected at least one model with a val accuracy. Received: {len(names)} rows without one")
    is_tagged = np.array(["." in name for name in names])
    if not np.isnan(accuracies[~is_tagged]).all():
        accuracies = np.where(is_tagged, np.nan, accuracies)
    near = np.flatnonzero(accuracies >= np.nanmax(accuracies) - margin - 1e-9)  # a NaN is never near
    ranks = {
        row: (np.isnan(latencies[row]), np.nan_to_num(latencies[row]), -accuracies[row], names[row]) for row in near
    }
    return names[min(ranks, key=ranks.__getitem__)]

"""Differences, fronts and the default, each against plain reasoning or scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, bootstrap

from bloodcell.evaluation import choose_default, holm_correction, paired_difference, pareto_front, unpaired_interval


def make_pair(both, only_a, only_b, neither):
    a_right = np.repeat([1, 1, 0, 0], [both, only_a, only_b, neither])
    b_right = np.repeat([1, 0, 1, 0], [both, only_a, only_b, neither])
    y_true = np.zeros(len(a_right), np.int64)
    return y_true, 1 - a_right, 1 - b_right


def test_difference_and_mcnemar_by_hand():
    result = paired_difference(*make_pair(80, 9, 1, 10))
    assert result.difference == pytest.approx(0.08)
    assert (result.num_only_a, result.num_only_b, result.num_images) == (9, 1, 100)
    assert result.p_value == pytest.approx(2 * binom.cdf(1, 10, 0.5))
    assert result.interval[0] < 0.08 < result.interval[1]
    assert result.interval[0] > 0


def test_swapping_the_models_swaps_the_sign():
    y_true, a_pred, b_pred = make_pair(500, 40, 25, 20)
    there, back = paired_difference(y_true, a_pred, b_pred), paired_difference(y_true, b_pred, a_pred)
    assert there.difference == -back.difference and there.p_value == back.p_value
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]), abs=3e-3)


def test_interval_is_that_of_scipys_bootstrap():
    y_true, a_pred, b_pred = make_pair(900, 60, 30, 10)
    gains = (a_pred == y_true).astype(float) - (b_pred == y_true)
    expected = bootstrap((gains,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(0))
    found = paired_difference(y_true, a_pred, b_pred).interval
    assert found == pytest.approx(tuple(expected.confidence_interval), abs=2e-3)


def test_the_same_seed_gives_the_same_interval():
    pair = make_pair(100, 20, 10, 5)
    assert paired_difference(*pair, seed=3) == paired_difference(*pair, seed=3)


def test_equal_models_do_not_differ():
    result = paired_difference(*make_pair(90, 0, 0, 10))
    assert (result.difference, result.interval, result.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_different_mistakes_on_the_same_image_are_no_difference():
    result = paired_difference(np.array([0, 0]), np.array([1, 0]), np.array([2, 0]))
    assert result.difference == 0 and result.num_only_a == result.num_only_b == 0


@pytest.mark.parametrize("sizes", [(0, 0, 0), (3, 3, 2)])
def test_unequal_lengths_are_a_wrong_argument(sizes):
    with pytest.raises(ValueError, match="Received"):
        paired_difference(*(np.zeros(size, np.int64) for size in sizes))


def test_holm_by_hand():
    np.testing.assert_allclose(holm_correction([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm_correction([0.9, 0.8]), [1.0, 1.0])
    assert holm_correction([]).shape == (0,)
    with pytest.raises(ValueError, match="Received"):
        holm_correction([0.5, 1.5])


def test_pareto_front_by_hand():
    cost = [1, 2, 2, 3, 4, np.nan, 5]
    score = [0.8, 0.9, 0.85, 0.9, 0.95, 0.99, np.nan]
    assert pareto_front(cost, score).tolist() == [True, True, False, False, True, False, False]


def test_twins_on_the_front_stay_together():
    assert pareto_front([1, 1, 2], [0.9, 0.9, 0.9]).tolist() == [True, True, False]
    assert pareto_front([], []).shape == (0,)
    with pytest.raises(ValueError, match="Received"):
        pareto_front([1, 2], [1])


def make_rows(*rows):
    return pd.DataFrame(rows, columns=["name", "val_accuracy", "latency_ms"])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("best", 0.990, 9.0), ("near", 0.988, 1.0), ("far", 0.9879, 0.1)], "near"),
        ([("best", 0.990, 9.0), ("near", 0.989, np.nan)], "best"),
        ([("best", 0.990, np.nan), ("near", 0.989, 5.0)], "near"),
        ([("b", 0.989, np.nan), ("a", 0.990, np.nan)], "a"),
        ([("slow", 0.990, 2.0), ("good", 0.990, 1.0), ("less", 0.989, 1.0)], "good"),
        ([("b", 0.990, 1.0), ("a", 0.990, 1.0)], "a"),
        ([("unknown", np.nan, 0.1), ("only", 0.5, 3.0)], "only"),
        ([("row", 0.990, 2.0), ("row.eleven", 0.995, 1.0)], "row"),
        ([("row.mine", 0.990, 2.0), ("row.other", 0.990, 1.0)], "row.other"),
        ([("row", np.nan, 0.1), ("row.mine", 0.990, 2.0)], "row.mine"),
    ],
)
def test_the_default_is_the_fastest_near_the_best(rows, expected):
    assert choose_default(make_rows(*rows)) == expected


def test_no_default_without_a_val_accuracy():
    with pytest.raises(ValueError, match="Received: 1 rows"):
        choose_default(make_rows(("unknown", np.nan, 1.0)))


def test_unpaired_interval_as_published():
    """Newcombe 1998, table II, method 10: 56 of 70 against 48 of 80, and two without a failure."""
    assert unpaired_interval((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert unpaired_interval((10, 10), (20, 20)) == pytest.approx((-0.2775, 0.1611), abs=5e-5)

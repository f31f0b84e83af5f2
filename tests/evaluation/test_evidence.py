"""Comparisons of networks with one seed or several: by hand, against scipy, and what may be claimed from them."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from scipy.stats import binomtest, permutation_test

from bloodcell.evaluation import holm_correction, paired_difference
from bloodcell.evaluation.evidence import ONE_SEED_LIMIT, PRIOR_FREEDOM, correct_together, find_evidence
from bloodcell.evaluation.repeated import Repeated, pool_spread

NUM_IMAGES = 1000


def trainings(*wrong, hashes=None):
    """Return the trainings of a network, each wrong on the given images."""
    y_true = np.arange(NUM_IMAGES) % 8
    y_pred = np.tile(y_true, (len(wrong), 1))
    for row, images in enumerate(wrong):
        y_pred[row, list(images)] = (y_true[list(images)] + 1) % 8
    hashes = np.arange(NUM_IMAGES, dtype=np.uint64) if hashes is None else hashes
    return Repeated(tuple(range(len(wrong))), y_true, y_pred, hashes)


def test_one_seed_each_is_mcnemar_and_the_paired_bootstrap():
    first, second = trainings(range(20)), trainings(range(10, 60))
    found = find_evidence("a", "b", first, second)
    assert found.difference == pytest.approx((950 - 980) / 1000 * -1)
    assert (found.num_more_a, found.num_more_b) == (40, 10)
    assert found.p_value == pytest.approx(binomtest(40, 50).pvalue)
    known = paired_difference(first.y_true, first.y_pred[0], second.y_pred[0])
    assert (found.difference, found.p_value) == (pytest.approx(known.difference), pytest.approx(known.p_value))
    np.testing.assert_allclose(found.interval, known.interval, atol=2e-3)
    assert found.verdict == "better"
    assert find_evidence("b", "a", second, first).verdict == "worse"


def test_several_seeds_agree_with_scipys_permutation_test():
    generator = np.random.default_rng(1)
    first = trainings(*(generator.choice(NUM_IMAGES, 30, replace=False) for _ in range(3)))
    second = trainings(*(generator.choice(NUM_IMAGES, 45, replace=False) for _ in range(2)))
    found = find_evidence("a", "b", first, second)
    share_a, share_b = first.share_right, second.share_right
    assert found.difference == pytest.approx(share_a.mean() - share_b.mean())
    assert found.spread_a == pytest.approx(0, abs=1e-12) and found.accuracy_b == pytest.approx(0.955)
    assert (found.num_more_a, found.num_more_b) == ((share_a > share_b).sum(), (share_a < share_b).sum())
    known = permutation_test(
        (share_a, share_b),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=4000,
        rng=np.random.default_rng(0),
    )
    assert found.p_value == pytest.approx(known.pvalue, abs=0.02)
    error = (share_a - share_b).std() / np.sqrt(NUM_IMAGES)
    half_width = (found.interval[1] - found.interval[0]) / 2
    assert 1.96 * error < half_width < 2.6 * error  # seeds drawn anew add to what images alone give


def test_seeds_that_differ_widen_the_interval():
    steady = trainings(range(40), range(40))
    unsteady = trainings(range(10), range(70))
    base = trainings(range(50), range(50))
    width = [np.ptp(find_evidence("a", "b", one, base).interval) for one in (steady, unsteady)]
    assert width[1] > 2 * width[0]


def test_one_seed_carries_no_claim_below_the_limit():
    small = find_evidence("a", "b", trainings(range(98, 100)), trainings(range(98)))
    assert small.verdict == "better"
    below = dataclasses.replace(small, difference=ONE_SEED_LIMIT - 1e-4, interval=(0.001, 0.004), p_corrected=0.001)
    assert below.is_significant and below.verdict == "undecided"
    assert dataclasses.replace(below, difference=ONE_SEED_LIMIT).verdict == "better"
    several = dataclasses.replace(below, seeds_a=(0, 1, 2), seeds_b=(0, 1, 2), are_apart=True)
    assert several.verdict == "better"
    assert dataclasses.replace(several, are_apart=False).verdict == "undecided"
    assert dataclasses.replace(several, seeds_b=(0,)).verdict == "undecided"
    one_inside_three = dataclasses.replace(several, seeds_b=(0,), difference=2 * ONE_SEED_LIMIT, are_apart=False)
    assert one_inside_three.verdict == "undecided"
    assert dataclasses.replace(several, p_corrected=0.06).verdict == "undecided"
    assert dataclasses.replace(several, interval=(-0.001, 0.004)).verdict == "undecided"


def test_equal_networks_are_no_evidence():
    found = find_evidence("a", "b", trainings(range(5)), trainings(range(5)))
    assert (found.difference, found.p_value, found.interval, found.verdict) == (0, 1, (0, 0), "undecided")


def test_images_are_paired_by_their_hash():
    order = np.random.default_rng(0).permutation(NUM_IMAGES)
    first, second = trainings(range(20)), trainings(range(10, 60))
    shuffled = Repeated(second.seeds, second.y_true[order], second.y_pred[:, order], second.image_hashes[order])
    assert repr(find_evidence("a", "b", first, shuffled)) == repr(find_evidence("a", "b", first, second))
    with pytest.raises(ValueError, match="shared images"):
        find_evidence("a", "b", first, trainings(range(3), hashes=np.arange(5000, 6000, dtype=np.uint64)))


def test_comparisons_of_one_question_are_corrected_together():
    base = trainings(range(30))
    found = [find_evidence(str(n), "base", trainings(range(n, n + 30)), base) for n in (0, 5, 40)]
    corrected = correct_together(found)
    np.testing.assert_allclose([one.p_corrected for one in corrected], holm_correction([one.p_value for one in found]))
    assert correct_together([]) == []


def test_the_spread_of_others_moderates_a_pairs_own():
    """Two seeds that happen to tie do not make training certain, and one seed learns what others show."""
    tie, base = trainings(range(40), range(40)), trainings(range(50), range(50))
    once = [trainings(range(40)), trainings(range(50))]
    widths = [np.ptp(find_evidence("a", "b", *pair, seed_spread=0.01).interval) for pair in ((tie, base), once)]
    alone = [np.ptp(find_evidence("a", "b", *pair).interval) for pair in ((tie, base), once)]
    assert widths[0] > 1.2 * alone[0] and widths[1] > widths[0]
    assert pool_spread([tie, base]) == 0 and pool_spread(once) == 0
    unsteady = trainings(range(10), range(70))
    assert pool_spread([unsteady, tie]) == pytest.approx(unsteady.spread / np.sqrt(2))


def test_few_degrees_of_freedom_give_the_interval_long_tails():
    """With one training each, the spread of others counts as four degrees of freedom: Student's t, not a normal one."""
    found = find_evidence("a", "b", trainings(range(1)), trainings(range(1, 2)), seed_spread=0.1)
    expected = 2 * scipy.stats.t(PRIOR_FREEDOM).ppf(0.975) * 0.1 * np.sqrt(2)
    assert np.ptp(found.interval) == pytest.approx(expected, rel=0.05)


def test_an_interval_that_ends_a_third_of_an_image_from_zero_leaves_it_in():
    small = find_evidence("a", "b", trainings(range(98, 100)), trainings(range(98)))
    near = dataclasses.replace(small, interval=(0.3 / small.num_images, 0.01), p_corrected=0.001)
    assert not near.is_significant
    assert dataclasses.replace(near, interval=(0.6 / small.num_images, 0.01)).is_significant

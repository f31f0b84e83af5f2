"""Temperature, calibration error and the two curves, each against a slower way to the same number."""

import numpy as np
import pytest
from scipy.special import softmax as reference_softmax

from bloodcell.evaluation import (
    calibration_error_interval,
    compare_with_perfect,
    expected_calibration_error,
    fit_temperature,
    reliability_curve,
    risk_coverage_curve,
    softmax,
    wilson_interval,
)
from bloodcell.evaluation.calibration import TEMPERATURE_RANGE


def sample_labels(probabilities, seed=0):
    """Draw each label from its own row, so that the rows are calibrated by construction."""
    draws = np.random.default_rng(seed).random((len(probabilities), 1))
    return np.minimum((probabilities.cumsum(axis=1) < draws).sum(axis=1), probabilities.shape[1] - 1)


def make_logits(num_images=20_000, num_classes=8, seed=1):
    return np.random.default_rng(seed).normal(scale=2.5, size=(num_images, num_classes))


def test_softmax_is_scipys_and_keeps_the_order():
    logits = make_logits(50)
    for temperature in (0.3, 1.0, 4.0):
        scores = softmax(logits, temperature)
        np.testing.assert_allclose(scores, reference_softmax(logits / temperature, axis=1), rtol=1e-6)
        np.testing.assert_array_equal(scores.argmax(axis=1), logits.argmax(axis=1))
        assert scores.dtype == np.float32
    np.testing.assert_allclose(softmax(logits[0]), softmax(logits)[0])


def test_softmax_of_huge_logits_stays_finite():
    scores = softmax(np.array([[1e5, 0, -1e5], [-1e5, -1e5, -1e5]], np.float32))
    np.testing.assert_allclose(scores, [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_a_temperature_is_above_zero(temperature):
    with pytest.raises(ValueError, match="above 0"):
        softmax(np.zeros((1, 2)), temperature)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 5.0])
def test_the_temperature_that_spoiled_calibrated_logits_is_found(temperature):
    logits = make_logits()
    y_true = sample_labels(reference_softmax(logits, axis=1))
    assert fit_temperature(logits * temperature, y_true) == pytest.approx(temperature, rel=0.03)


def test_the_fit_is_the_least_log_loss_on_a_fine_grid():
    logits = make_logits(300)
    y_true = np.random.default_rng(2).integers(0, 8, 300)
    y_true[:200] = logits[:200].argmax(axis=1)

    def loss(temperature):
        return -np.log(reference_softmax(logits / temperature, axis=1)[np.arange(300), y_true]).mean()

    grid = np.exp(np.linspace(*np.log(TEMPERATURE_RANGE), 4001))
    best = min(loss(value) for value in grid)
    assert loss(fit_temperature(logits, y_true)) <= best + 1e-9


def test_hopeless_cases_stay_within_the_bounds():
    """All right: no loss is left. All wrong: the flattest that is allowed."""
    logits = 10 * np.eye(8)
    temperature = fit_temperature(logits, np.arange(8))
    assert temperature >= TEMPERATURE_RANGE[0] and softmax(logits, temperature).diagonal().min() == 1.0
    assert fit_temperature(0.1 * logits, np.arange(8)) == pytest.approx(TEMPERATURE_RANGE[0], rel=1e-3)
    assert fit_temperature(logits, (np.arange(8) + 1) % 8) == pytest.approx(TEMPERATURE_RANGE[1], rel=1e-3)


@pytest.mark.parametrize(
    ("logits", "y_true"),
    [(np.zeros((0, 8)), []), (np.zeros(8), [0]), (np.zeros((2, 8)), [0]), (np.full((1, 8), np.inf), [0])],
)
def test_what_cannot_be_fitted_is_a_wrong_argument(logits, y_true):
    with pytest.raises(ValueError, match="Received"):
        fit_temperature(logits, np.array(y_true, np.int64))


def slow_error(y_true, y_score, num_bins):
    confidence, right = y_score.max(axis=1), y_score.argmax(axis=1) == y_true
    total = 0.0
    for index in range(num_bins):
        inside = (confidence > index / num_bins) & (confidence <= (index + 1) / num_bins)
        if inside.any():
            total += inside.sum() * abs(confidence[inside].mean() - right[inside].mean())
    return total / len(y_true)


@pytest.mark.parametrize("num_bins", [1, 10, 15])
def test_calibration_error_is_that_of_a_plain_loop(num_bins):
    y_score = reference_softmax(make_logits(500), axis=1)
    y_true = np.random.default_rng(3).integers(0, 8, 500)
    y_true[:250] = y_score[:250].argmax(axis=1)
    found = expected_calibration_error(y_true, y_score, num_bins)
    assert found == pytest.approx(slow_error(y_true, y_score, num_bins), abs=1e-12)


def test_calibration_error_of_extreme_answers():
    sure = np.eye(3)
    assert expected_calibration_error(np.arange(3), sure) == 0.0
    assert expected_calibration_error((np.arange(3) + 1) % 3, sure) == 1.0


def test_interval_holds_the_error_and_narrows_with_more_images():
    y_score = reference_softmax(make_logits(4000), axis=1)
    y_true = sample_labels(y_score)
    y_true[:600] = (y_score[:600].argmax(axis=1) + 1) % 8
    error = expected_calibration_error(y_true, y_score)
    low, high = calibration_error_interval(y_true, y_score)
    assert 0 <= low < error < high <= 1
    few_low, few_high = calibration_error_interval(y_true[::10], y_score[::10])
    assert few_high - few_low > 2 * (high - low)
    assert calibration_error_interval(y_true, y_score) == (low, high)


def test_interval_is_that_of_drawing_images_one_by_one():
    y_score = reference_softmax(make_logits(200), axis=1)
    y_true = sample_labels(y_score, seed=4)
    generator = np.random.default_rng(9)
    errors = []
    for _ in range(1500):
        rows = generator.integers(0, 200, 200)
        errors.append(slow_error(y_true[rows], y_score[rows], 15))
    excess = np.mean(errors) - slow_error(y_true, y_score, 15)
    expected = np.clip(np.quantile(errors, [0.025, 0.975]) - excess, 0, 1)
    assert calibration_error_interval(y_true, y_score) == pytest.approx(expected, abs=0.006)


def test_reliability_curve_counts_every_image_once_and_gives_the_error_again():
    y_score = reference_softmax(make_logits(1000), axis=1)
    y_true = sample_labels(y_score)
    curve = reliability_curve(y_true, y_score)
    assert len(curve) == 15 and curve["num_images"].sum() == 1000
    assert curve["bin_low"].iloc[0] == 0 and curve["bin_high"].iloc[-1] == 1
    filled = curve[curve["num_images"] > 0]
    assert curve[curve["num_images"] == 0]["accuracy"].isna().all() and len(filled) < 15
    assert ((filled["confidence"] > filled["bin_low"]) & (filled["confidence"] <= filled["bin_high"])).all()
    gaps = (filled["confidence"] - filled["accuracy"]).abs() * filled["num_images"]
    assert gaps.sum() / 1000 == pytest.approx(expected_calibration_error(y_true, y_score))
    last = filled.iloc[-1]
    num_right = round(last["accuracy"] * last["num_images"])
    bounds = wilson_interval(num_right, int(last["num_images"]))
    assert (last["accuracy_low"], last["accuracy_high"]) == pytest.approx(bounds)


def test_risk_coverage_by_hand_with_a_tie():
    y_score = np.array([[0.9, 0.1], [0.2, 0.8], [0.8, 0.2], [0.4, 0.6]])
    curve = risk_coverage_curve(np.array([0, 1, 1, 1]), y_score)
    assert curve["threshold"].tolist() == [0.9, 0.8, 0.6]
    assert curve["num_images"].tolist() == [1, 3, 4]
    assert curve["coverage"].tolist() == [0.25, 0.75, 1.0]
    assert curve["risk"].tolist() == pytest.approx([0, 1 / 3, 1 / 4])
    assert curve["accuracy"].tolist() == pytest.approx([1, 2 / 3, 3 / 4])


@pytest.mark.parametrize("compute", [expected_calibration_error, reliability_curve, risk_coverage_curve])
def test_nothing_to_judge_is_a_wrong_argument(compute):
    with pytest.raises(ValueError, match="Received"):
        compute(np.zeros(0, np.int64), np.zeros((0, 8)))


def test_a_perfect_model_is_not_told_from_perfect_and_a_boastful_one_is():
    """Answers that are right as often as they say; then the same answers, said with more confidence than is due."""
    generator = np.random.default_rng(4)
    confidence = generator.uniform(0.6, 1.0, 3000)
    rest = ((1 - confidence) / 7)[:, None]
    y_score = np.concatenate([confidence[:, None], np.repeat(rest, 7, axis=1)], axis=1)
    y_true = np.where(generator.random(3000) < confidence, 0, 1)
    honest = compare_with_perfect(y_true, y_score)
    assert not honest.differs
    assert honest.error == pytest.approx(expected_calibration_error(y_true, y_score))
    assert honest.expected_if_perfect < honest.highest_if_perfect < 0.03
    assert honest.interval == calibration_error_interval(y_true, y_score)
    boastful = compare_with_perfect(np.where(generator.random(3000) < confidence - 0.1, 0, 1), y_score)
    assert boastful.differs and boastful.p_value < 0.01


def test_certain_and_right_answers_have_no_error_at_all():
    found = compare_with_perfect(np.zeros(50, int), np.eye(8)[np.zeros(50, int)])
    assert found.error == found.expected_if_perfect == 0 and not found.differs

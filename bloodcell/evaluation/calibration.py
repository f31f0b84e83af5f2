"""How far a probability can be believed: temperature, calibration error, reliability, risk against coverage."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

NUM_BINS = 15
TEMPERATURE_RANGE = (0.05, 20.0)


@dataclass(frozen=True)
class CalibrationTest:
    """A model's calibration error beside that of a perfectly calibrated model with the same confidences.

    Attributes:
        error: Expected calibration error as measured.
        interval: Its bootstrap 95 % interval, (low, high).
        expected_if_perfect: Mean error that chance alone gives at this number of images.
        highest_if_perfect: Error that chance alone exceeds in one of twenty such samples.
        p_value: Share of such samples with an error at least as large as the measured one.
        num_images: Images in the sample.
    """

    error: float
    interval: tuple[float, float]
    expected_if_perfect: float
    highest_if_perfect: float
    p_value: float
    num_images: int

    @property
    def differs(self) -> bool:
        """Whether the model differs from perfect calibration, at the 5 % level."""
        return self.p_value < 0.05


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return probabilities softmax(logits / temperature), (n, classes) float32, each row sums to 1.

    Args:
        logits: (n, classes), or (classes,) for one image; computed in float64, so that large logits do not overflow.
        temperature: Above 0; above 1 it flattens, below 1 it sharpens. The order of the classes never changes.
    """
    return _softmax64(logits, temperature).astype(np.float32)


def fit_temperature(logits: np.ndarray, y_true: np.ndarray) -> float:
    """Return the temperature under which the true classes are most probable, by bounded search in [0.05, 20].

    Minimises the mean negative log-likelihood (Guo et al. 2017, temperature scaling) over log T, in which it has one
    minimum. Rows that are all right drive it down until the loss vanishes, at the latest to the lower bound; rows
    without signal drive it to the upper.

    Args:
        logits: (n, classes) of the val split, n of 1 or more, finite.
        y_true: (n,) class indices.
    """
    logits = np.asarray(logits, dtype=np.float64)
    y_true = np.asarray(y_true)
    if logits.ndim != 2 or len(logits) == 0 or y_true.shape != (len(logits),):
        raise ValueError(f"Expected (n, classes) logits and n labels. Received: {logits.shape} and {y_true.shape}")
    if not np.isfinite(logits).all():
        raise ValueError("Expected finite logits. Received: at least one that is infinite or not a number")
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(logits))
    centred = logits - logits.max(axis=1, keepdims=True)
    true_logits = centred[rows, y_true]

    def negative_log_likelihood(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        return float(np.mean(np.log(np.exp(centred * scale).sum(axis=1)) - true_logits * scale))

    low, high = np.log(TEMPERATURE_RANGE)
    found = minimize_scalar(
        negative_log_likelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-7, "maxiter": 200}
    )
    return float(np.exp(found.x))


def calibrate(logits: np.ndarray, y_true: np.ndarray) -> np.ndarray:
    """Return probabilities, (n, classes), at the temperature that fits these very answers best.

    For answers to images that neither the network nor any choice has seen, so that one number can be fitted on them.

    Args:
        logits: (n, classes), before softmax.
        y_true: (n,) class indices.
    """
    return softmax(logits, fit_temperature(logits, y_true))


def expected_calibration_error(y_true: np.ndarray, y_score: np.ndarray, num_bins: int = NUM_BINS) -> float:
    """Return the mean distance between confidence and accuracy over bins of equal width, weighted by images, in [0, 1].

    Args:
        y_true: (n,) class indices.
        y_score: (n, classes) probabilities.
        num_bins: Bins over [0, 1]; a confidence on an edge belongs to the lower bin.
    """
    confidence, correct = _confidence_and_correct(y_true, y_score)
    bins = _bin_of(confidence, num_bins)
    gaps = np.bincount(bins, weights=confidence - correct, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(confidence))


def calibration_error_interval(
    y_true: np.ndarray,
    y_score: np.ndarray,
    num_bins: int = NUM_BINS,
    num_resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return a bootstrap 95 % interval (low, high) of the expected calibration error, in [0, 1].

    A resample's error is larger than the sample's, because noise in a bin never cancels; the interval is therefore
    shifted down by the mean of that excess, and cut at 0.

    Args:
        y_true: (n,) class indices.
        y_score: (n, classes) probabilities.
        num_bins: As in `expected_calibration_error`.
        num_resamples: Bootstrap resamples of the n images.
        seed: Of the resampling; the same seed gives the same interval.
    """
    confidence, correct = _confidence_and_correct(y_true, y_score)
    bins, gaps, num_images = _bin_of(confidence, num_bins), confidence - correct, len(confidence)
    gap_of_bin = np.zeros((num_images, num_bins))
    gap_of_bin[np.arange(num_images), bins] = gaps
    generator = np.random.default_rng(seed)
    errors = []
    for start in range(0, num_resamples, 100):
        size = min(100, num_resamples - start)
        draws = generator.multinomial(num_images, np.full(num_images, 1 / num_images), size=size)
        errors.append(np.abs(draws @ gap_of_bin).sum(axis=1) / num_images)
    resampled = np.concatenate(errors)
    excess = resampled.mean() - expected_calibration_error(y_true, y_score, num_bins)
    low, high = np.clip(np.quantile(resampled, [0.025, 0.975]) - excess, 0, 1)
    return float(low), float(high)


def compare_with_perfect(
    y_true: np.ndarray,
    y_score: np.ndarray,
    num_bins: int = NUM_BINS,
    num_resamples: int = 1000,
    seed: int = 0,
) -> CalibrationTest:
    """Return whether a model's calibration error is more than chance gives a perfectly calibrated one.

    The expected calibration error of a finite sample is above zero even for a perfect model. How far is simulated: the
    confidences stay, and each answer is right with exactly its confidence (Vaicenavicius et al. 2019,
    https://arxiv.org/abs/1902.06977, consistency resampling).

    Args:
        y_true: (n,) class indices.
        y_score: (n, classes) probabilities.
        num_bins: As in `expected_calibration_error`.
        num_resamples: Simulated samples, and bootstrap resamples.
        seed: Of both.
    """
    confidence, _ = _confidence_and_correct(y_true, y_score)
    num_images = len(confidence)
    in_bin = np.zeros((num_images, num_bins))
    in_bin[np.arange(num_images), _bin_of(confidence, num_bins)] = 1
    generator = np.random.default_rng(seed)
    errors = []
    for start in range(0, num_resamples, 100):
        size = min(100, num_resamples - start)
        right = generator.random((size, num_images)) < confidence
        errors.append(np.abs((confidence - right) @ in_bin).sum(axis=1) / num_images)
    simulated = np.concatenate(errors)
    error = expected_calibration_error(y_true, y_score, num_bins)
    return CalibrationTest(
        error=error,
        interval=calibration_error_interval(y_true, y_score, num_bins, num_resamples, seed),
        expected_if_perfect=float(simulated.mean()),
        highest_if_perfect=float(np.quantile(simulated, 0.95)),
        p_value=float((1 + (simulated >= error).sum()) / (1 + num_resamples)),
        num_images=num_images,
    )


def reliability_curve(y_true: np.ndarray, y_score: np.ndarray, num_bins: int = NUM_BINS) -> "pd.DataFrame":
    """Return how often answers of a given confidence are right, one row per bin of confidence.

    Args:
        y_true: (n,) class indices.
        y_score: (n, classes) probabilities.
        num_bins: Bins of equal width over [0, 1].

    Returns:
        Columns bin_low, bin_high, num_images, confidence (mean), accuracy, accuracy_low, accuracy_high (Wilson 95 %);
        the last four are NaN in a bin without images.
    """
    import pandas as pd

    from bloodcell.evaluation.metrics import wilson_interval

    confidence, correct = _confidence_and_correct(y_true, y_score)
    bins = _bin_of(confidence, num_bins)
    counts = np.bincount(bins, minlength=num_bins)
    num_right = np.bincount(bins, weights=correct, minlength=num_bins).astype(np.int64)
    divisor = np.where(counts > 0, counts, np.nan)
    intervals = [
        wilson_interval(int(right), int(count)) if count else (np.nan, np.nan)
        for right, count in zip(num_right, counts, strict=True)
    ]
    edges = np.linspace(0, 1, num_bins + 1)
    return pd.DataFrame(
        {
            "bin_low": edges[:-1],
            "bin_high": edges[1:],
            "num_images": counts,
            "confidence": np.bincount(bins, weights=confidence, minlength=num_bins) / divisor,
            "accuracy": num_right / divisor,
            "accuracy_low": [low for low, _ in intervals],
            "accuracy_high": [high for _, high in intervals],
        }
    )


def risk_coverage_curve(y_true: np.ndarray, y_score: np.ndarray) -> "pd.DataFrame":
    """Return what is wrong among the answers if only the more confident ones are given.

    Args:
        y_true: (n,) class indices.
        y_score: (n, classes) probabilities.

    Returns:
        One row per distinct confidence, highest first: threshold (lowest confidence that is answered), num_images
        answered, coverage (their fraction, the last is 1), risk (fraction wrong among them), accuracy (1 - risk).
    """
    import pandas as pd

    confidence, correct = _confidence_and_correct(y_true, y_score)
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    num_wrong = np.cumsum(1 - correct[order])
    last_of_tie = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    num_images = last_of_tie + 1
    risk = num_wrong[last_of_tie] / num_images
    return pd.DataFrame(
        {
            "threshold": ranked[last_of_tie],
            "num_images": num_images,
            "coverage": num_images / len(ranked),
            "risk": risk,
            "accuracy": 1 - risk,
        }
    )


def _softmax64(logits: np.ndarray, temperature: float) -> np.ndarray:
    if not temperature > 0:
        raise ValueError(f"Expected a temperature above 0. Received: {temperature}")
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _bin_of(confidence: np.ndarray, num_bins: int) -> np.ndarray:
    return np.clip(np.ceil(confidence * num_bins).astype(np.int64) - 1, 0, num_bins - 1)


def _confidence_and_correct(y_true: np.ndarray, y_score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y_true, y_score = np.asarray(y_true), np.asarray(y_score)
    if y_score.ndim != 2 or len(y_score) == 0 or y_true.shape != (len(y_score),):
        raise ValueError(f"Expected n labels and (n, classes) scores. Received: {y_true.shape} and {y_score.shape}")
    confidence = y_score.max(axis=1).astype(np.float64)
    correct = (y_score.argmax(axis=1) == y_true).astype(np.float64)
    return confidence, correct

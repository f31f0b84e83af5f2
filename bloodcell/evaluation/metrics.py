"""What a model gets right, class by class and over all, as numbers that can be stored and read back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from bloodcell.dataset.medmnist_modules import load_medmnist_module
from bloodcell.evaluation.calibration import expected_calibration_error

WILSON_Z = 1.959963984540054
"""Quantile 0.975 of the normal distribution: the width of a 95 % interval."""


@dataclass(frozen=True)
class ClassReport:
    """Precision, recall and F1 of one class in [0, 1], 0 where undefined, and the number of its images."""

    name: str
    precision: float
    recall: float
    f1_score: float
    support: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The numbers of one model on one split.

    Attributes:
        n: Number of images.
        accuracy: Fraction that is right, by MedMNIST's evaluator.
        accuracy_interval: Wilson 95 % interval of the accuracy, (low, high).
        weighted_precision: Mean over classes weighted by support; recall and F1 alike.
        macro_precision: Plain mean over the classes that have an image; recall and F1 alike.
        per_class: One report per class, in the order of the labels.
        confusion_matrix: (classes, classes) int64, rows true, columns predicted.
        auc: Mean one-against-rest area under the ROC curve, by MedMNIST's evaluator; NaN if a class has no image.
        ece: Expected calibration error, 15 bins of equal width.
        log_loss: Mean negative log-likelihood of the true class, nats.
    """

    n: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    weighted_precision: float
    weighted_recall: float
    weighted_f1: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    per_class: tuple[ClassReport, ...]
    confusion_matrix: np.ndarray
    auc: float
    ece: float
    log_loss: float

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the labels."""
        return tuple(report.name for report in self.per_class)

    @property
    def num_errors(self) -> int:
        """Number of images that are wrong."""
        return self.n - int(np.trace(self.confusion_matrix))

    @classmethod
    def from_predictions(cls, y_true: np.ndarray, y_score: np.ndarray, class_names: Sequence[str]) -> Self:
        """Return the numbers of one model's scores.

        Args:
            y_true: (n,) class indices.
            y_score: (n, classes) probabilities, each row sums to 1.
            class_names: One name per column of the scores.
        """
        y_true, y_score = _check_predictions(y_true, y_score, len(class_names))
        confusion_matrix = compute_confusion_matrix(y_true, y_score.argmax(axis=1), len(class_names))
        per_class = _report_classes(confusion_matrix, class_names)
        values = np.array([(report.precision, report.recall, report.f1_score) for report in per_class])
        weights = confusion_matrix.sum(axis=1) / len(y_true)
        macro, weighted = values[weights > 0].mean(axis=0).tolist(), (weights @ values).tolist()
        accuracy, auc = _score_by_medmnist(y_true, y_score)
        return cls(
            n=len(y_true),
            accuracy=accuracy,
            accuracy_interval=wilson_interval(int(np.trace(confusion_matrix)), len(y_true)),
            weighted_precision=weighted[0],
            weighted_recall=weighted[1],
            weighted_f1=weighted[2],
            macro_precision=macro[0],
            macro_recall=macro[1],
            macro_f1=macro[2],
            per_class=per_class,
            confusion_matrix=confusion_matrix,
            auc=auc,
            ece=expected_calibration_error(y_true, y_score),
            log_loss=_mean_log_loss(y_true, y_score),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain JSON values; an AUC that is not defined becomes None."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["accuracy_interval"] = list(self.accuracy_interval)
        values["per_class"] = [asdict(report) for report in self.per_class]
        values["confusion_matrix"] = self.confusion_matrix.tolist()
        values["auc"] = None if math.isnan(self.auc) else self.auc
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the evaluation that `to_dict` wrote; keys that it does not know are left out.

        Raises:
            ValueError: A number is missing or is not one.
        """
        try:
            known = {name: values[name] for name in cls.__dataclass_fields__}
            known["accuracy_interval"] = tuple(float(bound) for bound in known["accuracy_interval"])
            known["per_class"] = tuple(ClassReport(**report) for report in known["per_class"])
            known["confusion_matrix"] = np.array(known["confusion_matrix"], dtype=np.int64)
            known["auc"] = math.nan if known["auc"] is None else float(known["auc"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"Expected an evaluation as `to_dict` writes it. Received one with: {error}") from error
        known["confusion_matrix"].flags.writeable = False
        return cls(**known)


def compute_confusion_matrix(y_true: np.ndarray, y_pred: np.ndarray, num_classes: int) -> np.ndarray:
    """Return counts, (num_classes, num_classes) int64, rows true, columns predicted; the array is read-only."""
    counts = np.bincount(np.asarray(y_true) * num_classes + np.asarray(y_pred), minlength=num_classes**2)
    matrix = counts.reshape(num_classes, num_classes).astype(np.int64)
    matrix.flags.writeable = False
    return matrix


def wilson_interval(num_successes: int, num_trials: int, z: float = WILSON_Z) -> tuple[float, float]:
    """Return the Wilson interval (low, high) of a proportion, 95 % unless `z` says otherwise.

    Raises:
        ValueError: There is no trial, or there are more successes than trials.
    """
    if num_trials < 1 or not 0 <= num_successes <= num_trials:
        raise ValueError(f"Expected 0 to n successes of n trials. Received: {num_successes} of {num_trials}")
    proportion = num_successes / num_trials
    denominator = 1 + z**2 / num_trials
    centre = (proportion + z**2 / (2 * num_trials)) / denominator
    half = z / denominator * math.sqrt(proportion * (1 - proportion) / num_trials + z**2 / (4 * num_trials**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def _check_predictions(y_true: np.ndarray, y_score: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    y_true, y_score = np.asarray(y_true), np.asarray(y_score, dtype=np.float64)
    if y_true.ndim != 1 or len(y_true) == 0 or y_score.shape != (len(y_true), num_classes):
        raise ValueError(
            f"Expected (n,) labels and (n, {num_classes}) scores. Received: {y_true.shape} and {y_score.shape}"
        )
    if y_true.dtype.kind not in "iu" or y_true.min() < 0 or y_true.max() >= num_classes:
        raise ValueError(f"Expected class indices in [0, {num_classes}). Received: {np.unique(y_true)[:10]}")
    if not np.isfinite(y_score).all() or y_score.min() < 0 or np.abs(y_score.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError("Expected probabilities, each row summing to 1. Received: scores that do not")
    return y_true.astype(np.int64), y_score


def _report_classes(confusion_matrix: np.ndarray, class_names: Sequence[str]) -> tuple[ClassReport, ...]:
    right = np.diagonal(confusion_matrix)
    support, predicted = confusion_matrix.sum(axis=1), confusion_matrix.sum(axis=0)
    precision = _divide(right, predicted)
    recall = _divide(right, support)
    f1_score = _divide(2 * right, support + predicted)
    columns = (precision.tolist(), recall.tolist(), f1_score.tolist(), support.tolist())
    return tuple(ClassReport(name, *row) for name, *row in zip(class_names, *columns, strict=True))


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)


def _score_by_medmnist(y_true: np.ndarray, y_score: np.ndarray) -> tuple[float, float]:
    """Return (accuracy, AUC) by the benchmark's own functions; the AUC is NaN if a class has none or all images."""
    if len(y_true) == 1:  # MedMNIST's functions squeeze their arguments, which takes a single row apart
        return float(y_score[0].argmax() == y_true[0]), math.nan
    evaluator = load_medmnist_module("evaluator")
    accuracy = float(evaluator.getACC(y_true, y_score, "multi-class"))
    counts = np.bincount(y_true, minlength=y_score.shape[1])
    if (counts == 0).any() or (counts == len(y_true)).any():
        return accuracy, math.nan
    return accuracy, float(evaluator.getAUC(y_true, y_score, "multi-class"))


def _mean_log_loss(y_true: np.ndarray, y_score: np.ndarray) -> float:
    smallest = np.finfo(np.float64).eps  # as in scikit-learn: a probability of 0 costs 36, not infinity
    true_scores = np.clip(y_score[np.arange(len(y_true)), y_true], smallest, 1 - smallest)
    return float(-np.log(true_scores).mean())

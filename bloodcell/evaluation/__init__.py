"""From true labels and scores to numbers."""

from bloodcell.evaluation.calibration import (
    expected_calibration_error,
    fit_temperature,
    softmax,
)
from bloodcell.evaluation.metrics import ClassReport, Evaluation, compute_confusion_matrix, wilson_interval

__all__ = [
    "ClassReport",
    "Evaluation",
    "compute_confusion_matrix",
    "expected_calibration_error",
    "fit_temperature",
    "softmax",
    "wilson_interval",
]

"""From true labels and scores to numbers."""

from bloodcell.evaluation.agreement import compare_predictions, most_confused_pairs
from bloodcell.evaluation.calibration import (
    CalibrationTest,
    calibrate,
    calibration_error_interval,
    compare_with_perfect,
    expected_calibration_error,
    fit_temperature,
    reliability_curve,
    risk_coverage_curve,
    softmax,
)
from bloodcell.evaluation.comparison import (
    PairedDifference,
    choose_default,
    holm_correction,
    paired_difference,
    pareto_front,
    unpaired_interval,
)
from bloodcell.evaluation.finer import FinerEvaluation, Within, finer_probabilities, fit_subtype_temperature
from bloodcell.evaluation.metrics import ClassReport, Evaluation, compute_confusion_matrix, wilson_interval

__all__ = [
    "CalibrationTest",
    "ClassReport",
    "Evaluation",
    "FinerEvaluation",
    "PairedDifference",
    "Within",
    "calibrate",
    "calibration_error_interval",
    "choose_default",
    "compare_predictions",
    "compare_with_perfect",
    "compute_confusion_matrix",
    "expected_calibration_error",
    "finer_probabilities",
    "fit_subtype_temperature",
    "fit_temperature",
    "holm_correction",
    "most_confused_pairs",
    "paired_difference",
    "pareto_front",
    "reliability_curve",
    "risk_coverage_curve",
    "softmax",
    "unpaired_interval",
    "wilson_interval",
]

"""Metrics are those of scikit-learn and MedMNIST, and of one matrix worked out by hand."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as reference

from bloodcell.dataset import CLASS_NAMES
from bloodcell.dataset.medmnist_modules import load_medmnist_module
from bloodcell.evaluation import Evaluation, compute_confusion_matrix, softmax, wilson_interval


def make_predictions(num_images=400, num_classes=8, skill=1.5, seed=0):
    generator = np.random.default_rng(seed)
    y_true = generator.integers(0, num_classes, num_images)
    y_true[:num_classes] = np.arange(num_classes)
    logits = generator.normal(size=(num_images, num_classes))
    logits[np.arange(num_images), y_true] += skill
    return y_true, softmax(logits)


@pytest.mark.parametrize("seed", range(4))
def test_numbers_are_those_of_scikit_learn(seed):
    y_true, y_score = make_predictions(seed=seed)
    y_pred = y_score.argmax(axis=1)
    evaluation = Evaluation.from_predictions(y_true, y_score, CLASS_NAMES)
    per_class = reference.precision_recall_fscore_support(y_true, y_pred)
    ours = [(r.precision, r.recall, r.f1_score, r.support) for r in evaluation.per_class]
    np.testing.assert_allclose(ours, np.transpose(per_class), rtol=1e-12)
    for average in ("weighted", "macro"):
        expected = reference.precision_recall_fscore_support(y_true, y_pred, average=average)[:3]
        found = [getattr(evaluation, f"{average}_{name}") for name in ("precision", "recall", "f1")]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(evaluation.confusion_matrix, reference.confusion_matrix(y_true, y_pred))
    assert evaluation.accuracy == reference.accuracy_score(y_true, y_pred)
    assert evaluation.auc == pytest.approx(reference.roc_auc_score(y_true, y_score, multi_class="ovr"), rel=1e-6)
    in_double = y_score.astype(np.float64)
    in_double /= in_double.sum(axis=1, keepdims=True)
    assert evaluation.log_loss == pytest.approx(reference.log_loss(y_true, in_double), rel=1e-6)
    assert evaluation.n == 400 and evaluation.class_names == CLASS_NAMES
    assert evaluation.num_errors == (y_pred != y_true).sum()


def test_auc_and_accuracy_are_medmnists():
    evaluator = load_medmnist_module("evaluator")
    y_true, y_score = make_predictions(seed=7)
    evaluation = Evaluation.from_predictions(y_true, y_score, CLASS_NAMES)
    labels = y_true[:, None]
    assert evaluation.auc == evaluator.getAUC(labels, y_score.astype(np.float64), "multi-class")
    assert evaluation.accuracy == evaluator.getACC(labels, y_score, "multi-class")


def test_one_matrix_by_hand():
    """Three classes, ten images: 4 of 5 right, 2 of 3 right, 1 of 2 right."""
    y_true = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])
    y_pred = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 0])
    y_score = np.full((10, 3), 0.2)
    y_score[np.arange(10), y_pred] = 0.6
    evaluation = Evaluation.from_predictions(y_true, y_score, ("a", "b", "c"))
    assert evaluation.confusion_matrix.tolist() == [[4, 1, 0], [0, 2, 1], [1, 0, 1]]
    found = [(r.name, r.precision, r.recall, r.f1_score, r.support) for r in evaluation.per_class]
    expected = [("a", 4 / 5, 4 / 5, 4 / 5, 5), ("b", 2 / 3, 2 / 3, 2 / 3, 3), ("c", 1 / 2, 1 / 2, 1 / 2, 2)]
    for ours, by_hand in zip(found, expected, strict=True):
        assert ours == pytest.approx(by_hand)
    assert evaluation.accuracy == pytest.approx(0.7)
    assert evaluation.weighted_f1 == pytest.approx((5 * 4 / 5 + 3 * 2 / 3 + 2 * 1 / 2) / 10)
    assert evaluation.macro_recall == pytest.approx((4 / 5 + 2 / 3 + 1 / 2) / 3)
    assert evaluation.ece == pytest.approx(0.1)  # every confidence 0.6, 0.7 right
    assert evaluation.log_loss == pytest.approx(-(7 * math.log(0.6) + 3 * math.log(0.2)) / 10)
    assert evaluation.num_errors == 3


def test_a_class_without_an_image_has_no_part_in_the_plain_mean():
    """A set of a person's own cells seldom holds all types: what is right throughout scores 1."""
    y_true = np.arange(20) % 2
    evaluation = Evaluation.from_predictions(y_true, np.eye(8)[y_true], tuple("abcdefgh"))
    assert (evaluation.macro_precision, evaluation.macro_recall, evaluation.macro_f1) == (1, 1, 1)


def test_a_class_that_is_never_met_or_never_said_counts_zero():
    y_true = np.array([0, 0, 1, 1])
    y_score = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.7, 0.3, 0.0], [0.6, 0.4, 0.0]])
    evaluation = Evaluation.from_predictions(y_true, y_score, ("a", "b", "c"))
    assert [(r.precision, r.recall, r.f1_score, r.support) for r in evaluation.per_class[1:]] == [
        (0.0, 0.0, 0.0, 2),
        (0.0, 0.0, 0.0, 0),
    ]
    assert math.isnan(evaluation.auc)
    assert evaluation.to_dict()["auc"] is None
    assert math.isnan(Evaluation.from_dict(evaluation.to_dict()).auc)


@pytest.mark.parametrize(("label", "accuracy"), [(0, 1.0), (1, 0.0)])
def test_a_single_image(label, accuracy):
    evaluation = Evaluation.from_predictions(np.array([label]), np.array([[0.7, 0.3]]), ("a", "b"))
    assert evaluation.accuracy == accuracy and evaluation.n == 1 and math.isnan(evaluation.auc)


@pytest.mark.parametrize(
    ("y_true", "y_score"),
    [
        ([], np.zeros((0, 2))),
        ([0, 1], [[0.5, 0.5]]),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]]),
        ([0, -1], [[0.5, 0.5], [0.5, 0.5]]),
        ([0.0, 1.0], [[0.5, 0.5], [0.5, 0.5]]),
        ([0, 1], [[3.0, -1.0], [0.5, 0.5]]),
        ([0, 1], [[1.5, -0.5], [0.5, 0.5]]),
        ([0, 1], [[np.nan, 1.0], [0.5, 0.5]]),
        ([0, 1], [[0.2, 0.3, 0.5], [0.2, 0.3, 0.5]]),
    ],
)
def test_what_is_no_prediction_is_a_wrong_argument(y_true, y_score):
    with pytest.raises(ValueError, match="Received"):
        Evaluation.from_predictions(np.array(y_true), np.array(y_score), ("a", "b"))


def test_an_evaluation_survives_json():
    evaluation = Evaluation.from_predictions(*make_predictions(), CLASS_NAMES)
    again = Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict(), allow_nan=False)))
    assert again.to_dict() == evaluation.to_dict()
    assert again.confusion_matrix.dtype == np.int64 and again.per_class == evaluation.per_class
    assert again.accuracy_interval == evaluation.accuracy_interval and isinstance(again.accuracy_interval, tuple)
    with pytest.raises(ValueError, match="read-only"):
        again.confusion_matrix[0, 0] = 1


@pytest.mark.parametrize("change", [{"accuracy": ...}, {"per_class": [{"name": "a"}]}, {"confusion_matrix": None}])
def test_a_mangled_evaluation_is_a_value_error(change):
    values = Evaluation.from_predictions(*make_predictions(), CLASS_NAMES).to_dict() | change
    values = {name: value for name, value in values.items() if value is not ...}
    with pytest.raises(ValueError, match="Received"):
        Evaluation.from_dict(values)


def test_numbers_are_read_back_without_scikit_learn_scipy_or_pandas():
    values = json.dumps(Evaluation.from_predictions(*make_predictions(), CLASS_NAMES).to_dict())
    code = (
        "import json, sys; from bloodcell.evaluation import Evaluation, softmax;"
        "Evaluation.from_dict(json.loads(sys.stdin.read()));"
        "print([name for name in ('sklearn', 'scipy', 'pandas', 'medmnist.evaluator') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], input=values, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (1, 3), (3363, 3421), (1, 1)])
def test_wilson_interval_is_that_of_scipy(successes, trials):
    from scipy.stats import binomtest

    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (4, 3), (-1, 3)])
def test_an_impossible_proportion_is_a_wrong_argument(successes, trials):
    with pytest.raises(ValueError, match="Received"):
        wilson_interval(successes, trials)


def test_confusion_matrix_has_true_rows_and_predicted_columns():
    matrix = compute_confusion_matrix(np.array([0, 0, 2], np.uint8), np.array([1, 1, 2], np.uint8), 3)
    assert matrix.tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 1]] and matrix.dtype == np.int64

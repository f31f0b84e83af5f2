"""Eleven types: their probabilities add up to the eight, and their numbers agree with scikit-learn's."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from bloodcell.dataset import FINER_CLASSES, FINER_NAMES, UNKNOWN
from bloodcell.evaluation import FinerEvaluation, finer_probabilities, fit_subtype_temperature, softmax

CLASS_OF = np.array(FINER_CLASSES)


@pytest.fixture
def answers():
    """Random answers of 600 images that are right more often than not, and 40 of unknown type."""
    generator = np.random.default_rng(5)
    finer = generator.integers(0, 11, 640)
    logits, subtype_logits = generator.normal(0, 1, (640, 8)), generator.normal(0, 1, (640, 5))
    logits[np.arange(640), CLASS_OF[finer]] += 3
    column = {3: 0, 4: 1, 5: 2, 8: 3, 9: 4}
    for row, type_ in enumerate(finer):
        if type_ in column:
            subtype_logits[row, column[type_]] += 1.5
    finer[600:] = UNKNOWN
    return finer, logits, subtype_logits


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.7])
def test_the_eight_are_the_sums_of_the_eleven(answers, temperature):
    _, logits, subtype_logits = answers
    found = finer_probabilities(logits, subtype_logits, temperature)
    assert found.shape == (640, 11) and found.dtype == np.float32
    sums = np.stack([found[:, label == CLASS_OF].sum(axis=1) for label in range(8)], axis=1)
    np.testing.assert_allclose(sums, softmax(logits, temperature), atol=1e-6)


def test_numbers_agree_with_scikit_learn(answers):
    finer, logits, subtype_logits = answers
    y_score = finer_probabilities(logits, subtype_logits)
    found = FinerEvaluation.from_predictions(finer, y_score)
    y_true, y_pred = finer[:600], y_score[:600].argmax(axis=1)
    assert found.overall.accuracy == pytest.approx(accuracy_score(y_true, y_pred))
    assert found.overall.macro_f1 == pytest.approx(f1_score(y_true, y_pred, average="macro"))
    assert found.overall.class_names == FINER_NAMES
    assert found.num_unknown == 40
    low, high = found.macro_f1_interval
    assert low < found.overall.macro_f1 < high < low + 0.12


def test_within_a_class_only_its_own_images_and_types_count(answers):
    finer, logits, subtype_logits = answers
    found = FinerEvaluation.from_predictions(finer, finer_probabilities(logits, subtype_logits))
    assert [one.class_name for one in found.within] == ["immature granulocyte", "neutrophil"]
    for one, first, columns in zip(found.within, (3, 8), (slice(0, 3), slice(3, 5)), strict=True):
        rows = np.flatnonzero((finer >= first) & (finer < first + len(one.names)))
        right = subtype_logits[rows, columns].argmax(axis=1) == finer[rows] - first
        assert one.accuracy == pytest.approx(right.mean())
        assert one.accuracy_interval[0] < one.accuracy < one.accuracy_interval[1]
        assert one.confusion_matrix.sum() == len(rows)


def test_numbers_survive_json(answers):
    finer, logits, subtype_logits = answers
    found = FinerEvaluation.from_predictions(finer, finer_probabilities(logits, subtype_logits))
    values = found.to_dict()
    assert FinerEvaluation.from_dict(json.loads(json.dumps(values))).to_dict() == values
    with pytest.raises(ValueError, match="as `to_dict` writes"):
        FinerEvaluation.from_dict({"overall": values["overall"]})


def test_a_split_of_unknown_types_has_no_numbers(answers):
    with pytest.raises(ValueError, match="known finer type"):
        FinerEvaluation.from_predictions(np.full(640, UNKNOWN), np.zeros((640, 11)))


def test_the_temperature_of_shares_undoes_their_scale(answers):
    finer, _, subtype_logits = answers
    own = fit_subtype_temperature(subtype_logits, finer)
    assert fit_subtype_temperature(4 * subtype_logits, finer) == pytest.approx(4 * own, rel=1e-3)
    assert fit_subtype_temperature(subtype_logits, np.full(640, UNKNOWN)) == 1.0

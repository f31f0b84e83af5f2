"""What every good model gets wrong, by hand."""

import numpy as np
import pytest

from bloodcell.dataset.twins import Twin, find_twins
from bloodcell.evaluation.ceiling import Answered, choose_good, find_ceiling

Y_TRUE = np.array([0, 1, 2, 3, 4])
HASHES = np.arange(5, dtype=np.uint64)


def answered(answers, confidences, order=None):
    order = np.arange(5) if order is None else np.asarray(order)
    y_score = np.full((5, 8), 0.0)
    for row, (answer, confidence) in enumerate(zip(answers, confidences, strict=True)):
        y_score[row] = (1 - confidence) / 7
        y_score[row, answer] = confidence
    return Answered(Y_TRUE[order], y_score[order], HASHES[order])


def test_by_hand():
    # Image 0: all right. 1: one wrong. 2: all say 5, sure. 3: all wrong, not alike. 4: all say 0, unsure.
    ceiling = find_ceiling(
        {
            "a": answered([0, 1, 5, 6, 0], [0.9, 0.9, 0.99, 0.8, 0.5]),
            "b": answered([0, 2, 5, 7, 0], [0.9, 0.9, 0.97, 0.9, 0.6], order=[4, 3, 2, 1, 0]),
        }
    )
    assert ceiling.num_images == 5
    assert ceiling.num_wrong.tolist() == [1, 1, 3]
    assert ceiling.rows.tolist() == [2, 4, 3]  # agreed first, the surest before the less sure
    assert ceiling.is_unanimous.tolist() == [True, True, False]
    assert ceiling.is_doubtful.tolist() == [True, False, False]
    assert ceiling.majority.tolist() == [5, 0, 7]  # of two that differ the surer one
    assert ceiling.confidence[:, 0] == pytest.approx([0.99, 0.97])
    assert ceiling.highest_accuracy == pytest.approx(0.4)


def test_nothing_is_missed_by_a_perfect_model():
    ceiling = find_ceiling({"a": answered(Y_TRUE, [0.9] * 5), "b": answered([7] * 5, [0.9] * 5)})
    assert ceiling.num_missed == 0 and ceiling.highest_accuracy == 1
    assert len(ceiling.majority) == 0
    with pytest.raises(ValueError, match="at least one model"):
        find_ceiling({})


def test_good_models_are_chosen_on_val():
    assert choose_good({"a": 0.95, "b": 0.98, "c": 0.97, "d": 0.9699}) == ["b", "c"]
    assert choose_good({}) == []


def test_twins_are_found_across_splits_with_their_labels():
    first = (np.array([1, 2, 3], np.uint64), np.array([0, 1, 2]))
    second = (np.array([3, 9], np.uint64), np.array([5, 6]))
    assert find_twins({"train": first, "test": second}) == [(Twin("train", 2, 2), Twin("test", 0, 5))]
    assert find_twins({}) == []

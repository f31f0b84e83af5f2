"""Several seeds of one network: accuracies, spread, and what changed against another network, by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from bloodcell.evaluation.repeated import compare_repeated, gather_trainings, shares_images


def answers(y_pred, y_true, hashes=None):
    logits = np.eye(8, dtype=np.float32)[np.asarray(y_pred)]
    hashes = np.arange(len(y_true)) if hashes is None else hashes
    return SimpleNamespace(y_true=np.asarray(y_true), logits=logits, image_hashes=np.asarray(hashes, dtype=np.uint64))


Y_TRUE = [0, 0, 1, 1]
FIRST = gather_trainings([(0, answers([0, 0, 1, 1], Y_TRUE)), (1, answers([0, 0, 1, 2], Y_TRUE))])
SECOND = gather_trainings([(0, answers([0, 3, 2, 2], Y_TRUE)), (1, answers([0, 3, 1, 2], Y_TRUE))])


def test_accuracy_and_spread_by_hand():
    assert FIRST.seeds == (0, 1)
    assert FIRST.accuracies.tolist() == [1.0, 0.75]
    assert FIRST.accuracy == 0.875
    assert FIRST.spread == pytest.approx(0.25 / np.sqrt(2))
    assert FIRST.share_right.tolist() == [1, 1, 1, 0.5]
    assert np.isnan(gather_trainings([(3, answers([0, 0, 1, 1], Y_TRUE))]).spread)


def test_change_by_hand():
    change = compare_repeated(FIRST, SECOND, 8)
    assert change.difference == pytest.approx(0.875 - 0.375)
    assert [(c.class_index, c.first, c.second, c.num_images) for c in change.per_class] == [
        (0, 1.0, 0.5, 2),
        (1, 0.75, 0.25, 2),
    ]
    assert (change.num_gained, change.num_lost) == (3, 0)
    assert change.rows_first.tolist() == [1, 2, 3]
    assert change.gains.tolist() == [1, 0.5, 0.5]
    back = compare_repeated(SECOND, FIRST, 8)
    assert (back.num_gained, back.num_lost) == (0, 3)
    assert back.difference == -change.difference


def test_images_meet_by_their_pixels_not_by_their_place():
    shuffled = gather_trainings([(0, answers([1, 5, 0], [1, 0, 0], hashes=[3, 9, 0]))])
    change = compare_repeated(FIRST, shuffled, 8)
    assert change.num_images == 2  # hashes 0 and 3
    assert change.rows_first.tolist() == [3]
    assert change.rows_second.tolist() == [0]
    assert change.gains.tolist() == [-0.5]
    together = gather_trainings([(0, answers([0, 0, 1, 1], Y_TRUE)), (1, answers([1, 0], [1, 0], hashes=[3, 0]))])
    assert together.y_true.tolist() == [0, 1]
    assert together.y_pred.tolist() == [[0, 1], [0, 1]]


def test_equal_pixels_pair_up_once():
    twins = gather_trainings([(0, answers([0, 0, 1, 1], Y_TRUE, hashes=[7, 7, 2, 3]))])
    other = gather_trainings([(0, answers([1, 0, 0, 1], [1, 0, 0, 1], hashes=[3, 7, 7, 2]))])
    assert compare_repeated(twins, other, 8).num_images == 4


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="at least one training"):
        gather_trainings([])
    elsewhere = gather_trainings([(0, answers([0], [0], hashes=[99]))])
    assert not shares_images(FIRST, elsewhere)
    assert shares_images(FIRST, SECOND)
    with pytest.raises(ValueError, match="none is shared"):
        compare_repeated(FIRST, elsewhere, 8)

"""Cells as sentences and lists, and the single images with every model's answer."""

import numpy as np
import pytest

from bloodcell.artifact import Predictions
from bloodcell.dataset import CLASS_NAMES, Matching
from bloodcell.published import load_summary
from bloodcell.views import tables_confusion as tables

NAMES = ("monocyte", "neutrophil", "platelet")
COUNTS = np.array([[8, 2, 0], [1, 18, 1], [0, 0, 5]])


def predictions(y_true, y_pred, hashes, split="test", confidence=2.0):
    logits = np.zeros((len(y_true), 3), np.float32)
    logits[np.arange(len(y_true)), y_pred] = confidence
    return Predictions(split, np.array(y_true), logits, np.array(hashes, np.uint64))


def test_a_cell_is_a_sentence():
    neutrophils = np.zeros((8, 8), int)
    neutrophils[6, 6], neutrophils[6, 3] = 654, 12
    sentence = tables.describe_cell(neutrophils, CLASS_NAMES, 6, 3)
    assert sentence == "12 neutrophils called immature granulocyte, 1.8 % of neutrophils"
    assert tables.describe_cell(COUNTS, NAMES, 1, 0) == "1 neutrophil called monocyte, 5.0 % of neutrophils"
    assert tables.describe_cell(COUNTS, NAMES, 2, 2) == "5 platelets called platelet (right), 100.0 % of platelets"
    assert tables.describe_cell(np.zeros((3, 3), int), NAMES, 2, 0) == "0 platelets called monocyte"


def test_rows_and_columns_sum_to_one_and_empty_ones_are_missing():
    counts = np.array([[1, 1, 0], [0, 2, 0], [0, 0, 0]])
    np.testing.assert_allclose(tables.normalize_matrix(counts, "row")[:2].sum(axis=1), 1)
    assert np.isnan(tables.normalize_matrix(counts, "row")[2]).all()
    assert np.isnan(tables.normalize_matrix(counts, "column")[:, 2]).all()
    with pytest.raises(ValueError, match="true"):
        tables.normalize_matrix(counts, "true")


def test_confused_pairs_come_most_frequent_first_with_their_shares():
    pairs = tables.list_confused_pairs(COUNTS, NAMES)
    assert [(pair.true, pair.predicted, pair.num_images) for pair in pairs] == [(0, 1, 2), (1, 0, 1), (1, 2, 1)]
    assert pairs[0].share == pytest.approx(0.2) and pairs[0].share_of_errors == pytest.approx(0.5)
    assert len(tables.list_confused_pairs(COUNTS, NAMES, 1)) == 1
    assert tables.list_confused_pairs(np.eye(3, dtype=int), NAMES) == []


def test_changes_come_largest_difference_of_shares_first():
    second = np.array([[9, 1, 0], [1, 18, 1], [0, 1, 4]])
    changes = tables.list_largest_changes(COUNTS, second)
    assert [(change.true, change.predicted) for change in changes] == [(2, 1), (2, 2), (0, 0), (0, 1)]
    assert changes[0].difference == pytest.approx(-0.2) and (changes[0].num_first, changes[0].num_second) == (0, 1)
    assert tables.list_largest_changes(COUNTS, COUNTS) == []


@pytest.mark.parametrize("name", tables.list_published_matrices())
def test_a_published_matrix_gives_the_published_accuracy(name):
    matrix = tables.find_published_matrix(name, 8)
    accuracy = load_summary().set_index("name").loc[name, "accuracy"]
    assert matrix.sum() == 3421
    assert np.trace(matrix) / matrix.sum() == pytest.approx(accuracy, abs=1e-4)


def test_a_network_without_a_published_matrix_has_none():
    assert tables.list_published_matrices() == ("vgg16_dropout", "resnet18")
    assert tables.find_published_matrix("cnn_4", 8) is None


def test_answers_follow_the_pixels_not_the_places():
    reference = predictions([0, 1, 2], [0, 1, 2], [10, 20, 30], split="val")
    other = predictions([2, 0, 1], [2, 1, 1], [30, 10, 20], split="val")
    answers = tables.collect_answers("other", other, 1.0, reference)
    assert answers.y_pred.tolist() == [1, 1, 2]
    assert answers.num_missing == 0


def test_the_temperature_divides_the_logits_before_the_confidence():
    reference = predictions([0], [0], [10])
    sharp, flat = (tables.collect_answers("a", reference, t, reference).confidence[0] for t in (1.0, 2.0))
    assert sharp == pytest.approx(np.exp(2) / (np.exp(2) + 2), rel=1e-5)
    assert flat == pytest.approx(np.exp(1) / (np.exp(1) + 2), rel=1e-5)


def test_in_test_an_unknown_image_is_taken_by_place_only_where_the_label_agrees():
    reference = predictions([0, 1, 2], [0, 1, 2], [10, 20, 30])
    other = predictions([0, 1, 1], [0, 2, 2], [10, 99, 98])
    assert tables.find_rows(reference, other).tolist() == [0, 1, -1]
    in_val = tables.find_rows(
        predictions([0, 1, 2], [0, 1, 2], [10, 20, 30], "val"), predictions([0, 1, 1], [0, 2, 2], [10, 99, 98], "val")
    )
    assert in_val.tolist() == [0, -1, -1]
    answers = tables.collect_answers("other", other, 1.0, reference)
    assert answers.y_pred.tolist() == [0, 2, -1] and np.isnan(answers.confidence[2]) and answers.num_missing == 1


def test_the_most_confident_mistakes_come_first_and_the_most_doubtful_right_answers():
    reference = predictions([1, 1, 1, 1], [0, 0, 1, 1], [1, 2, 3, 4])
    logits = np.zeros((4, 3), np.float32)
    logits[[0, 1, 2, 3], [0, 0, 1, 1]] = [1, 3, 4, 2]
    graded = Predictions("test", reference.y_true, logits, reference.image_hashes)
    answers = {"a": tables.collect_answers("a", graded, 1.0, graded)}
    assert tables.select_rows(graded, 1, 0, answers, ["a"]).tolist() == [1, 0]
    assert tables.select_rows(graded, 1, 1, answers, ["a"]).tolist() == [3, 2]
    assert tables.select_rows(graded, 0, 0, answers, ["a"]).tolist() == []


def test_a_cell_of_two_models_holds_the_images_of_either():
    reference = predictions([1, 1, 1], [0, 1, 1], [1, 2, 3])
    other = predictions([1, 1, 1], [1, 0, 1], [1, 2, 3], confidence=5.0)
    answers = {
        name: tables.collect_answers(name, one, 1.0, reference) for name, one in (("a", reference), ("b", other))
    }
    assert tables.select_rows(reference, 1, 0, answers, ["a", "b"]).tolist() == [1, 0]
    assert tables.select_rows(reference, 1, 0, answers, ["b"]).tolist() == [1]


def test_the_table_of_answers_names_every_image_and_every_model():
    reference = predictions([1, 2], [0, 2], [255, 4096])
    answers = {"a": tables.collect_answers("a", reference, 1.0, reference)}
    table = tables.answers_table(np.array([1, 0]), reference, answers, NAMES)
    assert table["image"].tolist() == [1, 0]
    assert table["pixel hash"].tolist() == ["0000000000001000", "00000000000000ff"]
    assert table["true class"].tolist() == ["platelet", "neutrophil"]
    assert table["a"].tolist() == ["platelet", "monocyte"]


def test_an_answer_carries_a_tick_or_a_cross_and_words():
    answer = tables.Answers("a", np.array([0, 1, -1]), np.array([0.5, 0.75, np.nan]))
    right, wrong, missing = (tables.describe_answer(answer, row, 0, NAMES) for row in range(3))
    assert "check" in right and "50.0" in right
    assert "close" in wrong and "neutrophil" in wrong and "75.0" in wrong
    assert "no stored answer" in missing


def test_what_did_not_match_is_said():
    sentence = tables.describe_matching(Matching(np.array([0, -1, 2]), 1, 1, 1))
    assert "1 by their place" in sentence and "1 did not match" in sentence
    assert "none is left over" in tables.describe_matching(Matching(np.arange(3), 3, 0, 0))


def test_the_twin_of_a_matrix_has_class_names_on_both_sides():
    table = tables.matrix_table(COUNTS, NAMES)
    assert table.loc["neutrophil", "platelet"] == 1 and list(table.columns) == list(NAMES)

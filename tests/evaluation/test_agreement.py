"""What is mixed up, and who disagrees."""

import numpy as np
import pytest

from bloodcell.evaluation import compare_predictions, most_confused_pairs


def test_mistakes_come_most_frequent_first_with_their_share():
    matrix = np.array([[8, 2, 0], [0, 5, 5], [2, 0, 18]])
    table = most_confused_pairs(matrix, ("a", "b", "c"))
    assert table.to_numpy().tolist() == [["b", "c", 5, 0.5], ["a", "b", 2, 0.2], ["c", "a", 2, 0.1]]
    assert table.columns.tolist() == ["true_class", "predicted_class", "count", "share_of_true"]
    assert matrix[0, 0] == 8


def test_a_perfect_matrix_has_no_mistakes():
    assert most_confused_pairs(np.diag([1, 0, 3]), ("a", "b", "c")).empty
    with pytest.raises(ValueError, match="Received"):
        most_confused_pairs(np.zeros((2, 3)), ("a", "b"))


def test_models_are_compared_image_by_image():
    table = compare_predictions(np.array([0, 1, 2]), {"x": np.array([0, 1, 1]), "y": np.array([0, 2, 1])})
    assert table.columns.tolist() == ["index", "y_true", "x", "y", "num_right", "agree"]
    assert table["num_right"].tolist() == [2, 1, 0]
    assert table["agree"].tolist() == [True, False, True]


def test_predictions_of_other_images_are_a_wrong_argument():
    with pytest.raises(ValueError, match="of y"):
        compare_predictions(np.array([0, 1]), {"x": np.array([0, 1]), "y": np.array([0])})
    with pytest.raises(ValueError, match="none"):
        compare_predictions(np.array([0, 1]), {})

"""Labels in doubt, counted by hand and as cleanlab counts them."""

import numpy as np

from bloodcell.evaluation.label_issues import find_label_issues


def test_by_hand():
    """Class 0 is believed at 0.7 on average, class 1 at 0.6: whoever reaches the other's average is in doubt."""
    y_true = np.array([0, 0, 0, 1, 1, 1])
    first = np.array([0.95, 0.9, 0.25, 0.1, 0.2, 0.9])
    y_score = np.column_stack([first, 1 - first])
    assert y_score[:3, 0].mean() < 0.71 and abs(y_score[3:, 1].mean() - 0.6) < 1e-9
    found = find_label_issues(y_true, y_score)
    assert found.rows.tolist() == [5, 2]  # the clearer one first: 0.9 against 0.1, 0.75 against 0.25
    assert found.labels.tolist() == [1, 0] and found.suggested.tolist() == [0, 1]
    np.testing.assert_allclose(found.label_probability, [0.1, 0.25])
    np.testing.assert_allclose(found.suggested_probability, [0.9, 0.75])
    assert found.num_images == 6


def test_a_wrong_answer_below_the_other_classs_average_is_no_issue():
    y_true = np.array([0, 0, 1, 1])
    first = np.array([0.99, 0.45, 0.02, 0.02])
    found = find_label_issues(y_true, np.column_stack([first, 1 - first]))
    assert not len(found.rows)  # 0.55 for class 1, whose own images have 0.98


def test_a_class_without_an_image_is_never_suggested():
    y_score = np.array([[0.1, 0.1, 0.8], [0.9, 0.1, 0.0], [0.1, 0.9, 0.0]])
    assert not len(find_label_issues(np.array([0, 0, 1]), y_score).rows)


def test_as_cleanlab_counts():
    """`cleanlab.filter.find_label_issues`, version 2.9: confident learning, ranked by normalized margin."""
    generator = np.random.default_rng(1)
    y_true = generator.integers(0, 4, 300)
    y_score = generator.dirichlet([0.6] * 4, 300)
    found = find_label_issues(y_true, y_score).rows.tolist()
    assert found[:12] == [200, 231, 220, 0, 124, 9, 46, 168, 187, 215, 277, 158] and len(found) == 234

"""What held-out cells tell: words and numbers from made-up cross-validations, counted by hand."""

import numpy as np
import pytest
from made_crossval import made_train, make_crossval

from bloodcell.evaluation.repeated import Repeated
from bloodcell.views import figures_findings as figures
from bloodcell.views.findings import Network
from bloodcell.views.findings_held_out import (
    answer_held_out,
    answer_labels,
    collect_scores,
    describe_crossval,
    find_issues,
    issue_captions,
    issues_table,
    scores_table,
)

NUM_IMAGES = 800


def repeated(wrong: tuple[int, ...], num_images: int) -> Repeated:
    y_true = np.zeros(num_images, dtype=np.int64)
    y_pred = np.array([[1] * count + [0] * (num_images - count) for count in wrong])
    return Repeated(tuple(range(len(wrong))), y_true, y_pred, np.arange(num_images, dtype=np.uint64))


def network(val_wrong: tuple[int, ...], test_wrong: tuple[int, ...]) -> Network:
    return Network(
        "hemanet_small", "hemanet_small", repeated(val_wrong, 1000), repeated(test_wrong, 1000), (0.01,), 1.0
    )


def test_val_that_flatters_is_told_from_test_that_does_not():
    """784 of 800 held out; val 0.5 points above 98 would be chance, 1.9 are not; test is within it."""
    wrong = {row: (row + 1) % 8 for row in range(16)}
    crossvals = {"hemanet_small": make_crossval(made_train(NUM_IMAGES), contradicted=wrong, changes={"num_epochs": 50})}
    found = answer_held_out(crossvals, {"hemanet_small": network((1, 1, 1), (15, 16, 20))})
    assert found.is_answered and found.key == "held-out"
    assert "**hemanet_small reads 98.00 % of 800 train cells right, each while it was held out**" in found.answer
    assert "by 5 networks, each trained on the other 4 of 5 parts, with 50 epochs in place of 80" in found.answer
    assert "On test its 3 trainings have on average 98.30 %, +0.30 points" in found.answer
    assert "the same within chance; on validation 99.90 %, +1.90 points" in found.answer
    assert "more than chance between the images explains" in found.answer
    assert found.short.endswith("; 98.30 % on test, 99.90 % on val.")
    low = answer_held_out(crossvals, {"hemanet_small": network((100,), (100,))}).answer
    assert "On test its one training has 90.00 %, −8.00 points" in low and "less than chance between" in low


def test_another_recipe_is_compared_on_the_same_cells():
    split = made_train(NUM_IMAGES)
    one = make_crossval(split, contradicted=dict.fromkeys((0, 1, 2, 3), 7))
    other = make_crossval(
        split, "hemanet_small.no_mixup", {row: 7 for row in range(2, 50) if row % 8 != 7}, {"mixup": 0.0}
    )
    answer = answer_held_out({one.name: one, other.name: other}, {}).answer
    assert "hemanet_small.no_mixup (alpha of mixup 0 in place of 0.2) reads 94.75 %: −4.75 points" in answer
    assert "p < 0.001" in answer and "no difference" not in answer
    same = make_crossval(split, "hemanet_small.again", dict.fromkeys((0, 1, 2, 3), 7))
    assert (
        "p = 1.00, no difference that these cells can show"
        in answer_held_out({one.name: one, same.name: same}, {}).answer
    )


def test_labels_in_doubt_are_counted_listed_and_captioned():
    split = made_train(NUM_IMAGES)
    one = make_crossval(split, contradicted={6: 3, 14: 3, 5: 0})
    issues = find_issues({one.name: one})
    assert issues is not None and sorted(issues.rows.tolist()) == [5, 6, 14]
    found = answer_labels(issues, ["hemanet_small"], ["", "test 4 as monocyte", ""])
    assert found.short.startswith("**3 of 800 train labels (0.38 %) are contradicted")
    assert "Most often it is 2 neutrophils that look like immature granulocyte" in found.answer
    assert "1 of them stands in the dataset a second time." in found.answer
    assert "None of them stands" in answer_labels(issues, ["a"], ["", "", ""]).answer
    assert "a second time" not in answer_labels(issues, ["a"]).answer  # without the dataset nothing is said of it
    table = issues_table(issues, ["", "x", ""]).set_index("Train row")
    assert table.loc[5, "Label"] == "monocyte" and table.loc[5, "Looks like"] == "basophil"
    assert (table["Probability of that"] > table["of the label"]).all() and "Also in the dataset" in table
    assert "label: **" in issue_captions(issues)[0] and "train row" in issue_captions(issues)[0]


def test_two_networks_must_agree_for_a_label_to_be_in_doubt():
    split = made_train(NUM_IMAGES)
    one, other = make_crossval(split, contradicted={6: 3, 5: 0}), make_crossval(split, "cnn_4", {5: 0})
    issues = find_issues({"a": one, "b": other})
    assert issues is not None and issues.rows.tolist() == [5]


def test_nothing_in_doubt_is_an_answer_too():
    issues = find_issues({"a": make_crossval(made_train(NUM_IMAGES))})
    assert issues is not None
    found = answer_labels(issues, ["a"])
    assert found.is_answered and "**0 of 800 train labels (0.00 %)" in found.answer and "Most often" not in found.answer


def test_without_a_cross_validation_the_command_is_named_and_damage_is_said():
    for found in (answer_held_out({}, {}), answer_labels(None, [])):
        assert not found.is_answered and "no network is cross-validated here" in found.answer
        assert found.missing[0].command == "./dev python -m bloodcell measure crossval hemanet_small"
    for found in (answer_held_out({}, {}, "It is damaged."), answer_labels(None, [], None, "It is damaged.")):
        assert found.answer == "It is damaged." and not found.missing


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_figure_marks_every_accuracy_with_its_interval(mode):
    one = make_crossval(made_train(NUM_IMAGES), contradicted={0: 3})
    scores = collect_scores({one.name: one}, {"hemanet_small": network((1, 3), (15, 17))})
    assert [(score.part, score.num_trainings) for score in scores] == [("held out", 1), ("val", 2), ("test", 2)]
    table = scores_table(scores)
    assert table["Accuracy"].round(3).tolist() == [99.875, 99.8, 98.4]
    assert ((table["95 % from"] < table["Accuracy"]) & (table["Accuracy"] < table["to"])).all()
    figure = figures.held_out_figure(table, mode)
    assert list(figure.data[0].y) == [
        "hemanet_small<br>train, held out",
        "hemanet_small<br>validation",
        "hemanet_small<br>test",
    ]
    assert len(set(figure.data[0].marker.symbol)) == 3
    np.testing.assert_allclose(figure.data[0].x[0] + figure.data[0].error_x.array[0], table["to"][0])


def test_how_it_was_trained_is_told():
    text = describe_crossval(make_crossval(made_train(NUM_IMAGES), notes=("A note.",), backend="jax"))
    assert text.startswith("**hemanet_small**: 5 folds on a made-up dataset") and "JAX (a device)" in text
    assert text.endswith("2026-11-26. A note.")

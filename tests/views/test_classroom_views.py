"""The Classroom in words, tables and drawings: who says what, what a change did, where a network looked."""

import numpy as np
import pytest

from bloodcell.dataset import CLASS_NAMES
from bloodcell.views import figures_classroom as figures
from bloodcell.views import tables_classroom as tables


def say(label: int, probability: float = 0.9) -> np.ndarray:
    """Return probabilities of a model that says `label`."""
    values = np.full(8, (1 - probability) / 7, np.float32)
    values[label] = probability
    return values


@pytest.mark.parametrize(
    ("answers", "label", "sentence"),
    [
        ({}, 6, "No model has answered yet."),
        ({"a": 6}, 6, "a says **★ neutrophil**, 90.0 % (✓ right)."),
        ({"a": 6, "b": 6}, 5, "Both models say **★ neutrophil** (✗ wrong)."),
        ({"a": 6, "b": 6, "c": 6}, None, "All 3 models say **★ neutrophil**."),
        ({"a": 6, "b": 6, "c": 3}, 6, "2 of 3 models say **★ neutrophil** (✓ right); c says ▲ immature granulocyte."),
        (
            {"a": 6, "b": 1},
            6,
            "The 2 models are divided: b says **● eosinophil** (✗ wrong), a says **★ neutrophil** (✓ right).",
        ),
        (
            {"a": 6, "b": 1, "c": 6, "d": 1},
            None,
            "The 4 models are divided: b and d say **● eosinophil**, a and c say **★ neutrophil**.",
        ),
    ],
)
def test_the_vote_is_a_sentence(answers, label, sentence):
    scores = {name: say(answer) for name, answer in answers.items()}
    said = tables.describe_vote(scores, label).replace(tables.name_class(6), "★ neutrophil")
    assert said.replace(tables.name_class(1), "● eosinophil") == sentence


def test_many_dissenters_are_counted_and_few_are_named():
    scores = {f"m{i}": say(6 if i < 12 else 3 if i < 17 else 5) for i in range(19)}
    sentence = tables.describe_vote(scores, 6)
    assert sentence.startswith("12 of 19 models say")
    assert "5 say" in sentence and "m17 and m18 say" in sentence
    assert sentence.index("5 say") < sentence.index("m17"), "the larger party first"


def test_what_a_change_did_is_told():
    before = {"a": say(6, 0.98), "b": say(6, 0.96)}
    assert tables.describe_moves(before, before) == (
        "No answer changed. The probability of the first answer went from 97.0 % to 97.0 % on average."
    )
    after = {"a": say(3, 0.93), "b": say(6, 0.9)}
    sentence = tables.describe_moves(before, after)
    assert "**1 of 2 changed their answer:** a (NEU → IG)." in sentence
    assert "from 97.0 % to 45.5 % on average" in sentence
    many = {f"m{i}": say(6) for i in range(9)}
    assert "**9 of 9 changed their answer.**" in tables.describe_moves(many, {name: say(1) for name in many})
    assert tables.describe_moves({}, {}) == ""


def test_rows_carry_a_mark_and_both_where_it_changed():
    before, after = {"a": say(6), "b": say(6)}, {"a": say(6), "b": say(3)}
    assert tables.row_labels(before, after, 6) == ["a ✓", "b ✓→✗"]
    assert tables.row_labels(before, after, None) == ["a", "b"]


def test_the_table_holds_both_answers_and_all_probabilities():
    table = tables.scores_table({"a": say(6, 0.98)}, {"a": say(3, 0.93)}, 6)
    row = table.iloc[0]
    assert row["probability as it is"] == pytest.approx(0.98) and row["probability as changed"] == pytest.approx(0.93)
    assert row["verdict"] == "✗ wrong"
    assert sum(row[name] for name in CLASS_NAMES) == pytest.approx(1, abs=1e-6)
    assert "verdict" not in tables.scores_table({"a": say(6)}, {"a": say(6)}, None)


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("num_models", [1, 25])
def test_the_heat_map_draws_the_probabilities_it_was_given(mode, num_models):
    names = [f"m{i} ✓" for i in range(num_models)]
    first = np.stack([say(i % 8) for i in range(num_models)])
    second = np.stack([say((i + 1) % 8, 0.7) for i in range(num_models)])
    figure = figures.scores_figure({"As it is": first, "As changed": second}, names, 3, mode)
    maps = [trace for trace in figure.data if trace.type == "heatmap"]
    np.testing.assert_allclose(maps[0].z, first)
    np.testing.assert_allclose(maps[1].z, second)
    assert maps[0].text[0][0] == "90.0" and maps[0].text[0][1] == ""
    assert maps[1].customdata[0][1] == "m0 ✓: eosinophil 70.0 %"
    assert list(figure.layout.yaxis.ticktext) == names
    assert "<b>" in maps[0].x[3] and "<b>" not in maps[0].x[2]
    assert len(figure.layout.shapes) == 2
    single = figures.scores_figure({"As changed": first}, names, None, mode)
    assert not single.layout.shapes and len(single.data) == 1


def test_the_spotlight_keeps_the_bright_place_and_shades_the_rest():
    pixels = np.full((64, 64, 3), 200, np.uint8)
    attention = np.zeros((64, 64), np.float32)
    attention[20:40, 20:40] = 1
    picture = figures.spotlight(pixels, attention, factor=4)
    assert picture.shape == (256, 256, 3)
    assert (picture[120, 120] == 200).all()
    assert picture[10, 10, 0] == int(200 * figures.DARKEST)
    dark = figures.spotlight(pixels, np.zeros((4, 4), np.float32))
    assert (dark == dark[0, 0]).all(), "a network that looked nowhere lights nothing"

"""Answers in words and tables: agreement is counted, a bad file has its row and its sentence."""

import numpy as np
import pytest

from bloodcell.dataset import CLASS_NAMES, Framed
from bloodcell.dataset.images import Box
from bloodcell.views import tables_classify as tables
from bloodcell.views.uploads import CellImage


def sure(label, probability=0.93):
    values = np.full(8, (1 - probability) / 7, dtype=np.float32)
    values[label] = probability
    return values


def cell(key, **fields):
    framed = Framed(np.zeros((64, 64, 3), np.uint8), Box(0, 0, 64, 64), "dataset", fields.pop("warning", None))
    return CellImage(key, f"{key}.png", framed, (64, 64), framed.pixels, framed.box, **fields)


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ({}, "No model has answered yet."),
        ({"a": sure(0)}, "One model has answered; it says basophil."),
        ({"a": sure(0), "b": sure(0)}, "Both models say basophil."),
        ({"a": sure(7), "b": sure(7), "c": sure(7)}, "All 3 models say platelet."),
        ({"a": sure(0), "b": sure(6, 0.5)}, "1 of 2 models say basophil; b (50.0 %) says neutrophil."),
        (
            {"a": sure(0), "b": sure(6, 0.5), "c": sure(6, 0.7), "d": sure(5)},
            "1 of 4 models say basophil; b (50.0 %) and c (70.0 %) say neutrophil; d (93.0 %) says monocyte.",
        ),
    ],
)
def test_agreement_is_said_in_words(scores, sentence):
    assert tables.describe_agreement(scores) == sentence


def test_a_batch_is_counted_by_the_leading_models_answers():
    cells = [cell("x"), cell("y"), cell("z"), CellImage("bad", "bad.png", error="bad.png is empty.")]
    scores = {"x": {"a": sure(0)}, "y": {"a": sure(0)}, "z": {"a": sure(6), "b": sure(0)}}
    assert (
        tables.describe_batch(cells, scores) == "4 files: 3 answered (2 basophil, 1 neutrophil), 1 could not be read."
    )


def test_the_batch_table_shows_picture_answer_agreement_and_remark():
    cells = [
        cell("x", notes=("It holds 2 pages.",), warning="Framing."),
        CellImage("b", "b.png", error="b.png is empty."),
    ]
    table = tables.batch_table(cells, {"x": {"m": sure(6), "n": sure(6), "o": sure(0)}})
    first, second = table.to_dict("records")
    assert first["image"].startswith("data:image/png;base64,")
    assert (first["answer"], first["agree"]) == ("★ neutrophil", "2 of 3")
    assert first["probability"] == pytest.approx(93.0, abs=1e-3)
    assert first["remark"] == "It holds 2 pages. Framing."
    assert (second["image"], second["answer"], second["remark"]) == ("", "not read", "b.png is empty.")
    assert np.isnan(second["probability"])


def test_agreement_has_no_column_where_one_model_answered():
    assert "agree" not in tables.batch_table([cell("x")], {"x": {"m": sure(6)}}).columns


def test_the_answers_have_one_row_per_file_and_model_and_one_per_bad_file():
    cells = [cell("x"), CellImage("b", "b.png", error="b.png is empty.")]
    table = tables.answers_table(cells, {"x": {"m": sure(2), "n": sure(3)}})
    assert table[["file", "status", "label", "model"]].fillna("").to_numpy().tolist() == [
        ["x.png", "ok", "erythroblast", "m"],
        ["x.png", "ok", "immature granulocyte", "n"],
        ["b.png", "error", "", ""],
    ]
    np.testing.assert_allclose(table[list(CLASS_NAMES)].iloc[:2].astype(float).sum(axis=1), 1, rtol=1e-6)
    assert table["remark"].iloc[2] == "b.png is empty."


def test_opinions_and_probabilities_hold_the_numbers_that_the_charts_draw():
    opinions = tables.opinions_table({"m": sure(1), "n": sure(2)})
    assert opinions["says"].tolist() == ["■ eosinophil", "◆ erythroblast"]
    assert opinions["eosinophil"].tolist() == pytest.approx([0.93, 0.01])
    assert tables.probabilities_table(sure(4))["probability"].tolist() == pytest.approx(
        [0.01] * 4 + [0.93] + [0.01] * 3
    )

"""Answers in words and tables: agreement is counted, a bad file has its row and its sentence."""

from dataclasses import replace

import numpy as np
import pytest

from bloodcell.cases.differential import compute_differential
from bloodcell.dataset import CLASS_NAMES
from bloodcell.inference.classifier import Answer
from bloodcell.inference.finder_frame import frame_cell
from bloodcell.inference.specimens import Specimen
from bloodcell.views import tables_classify as tables
from bloodcell.views.opinions import opinions_html
from bloodcell.views.uploads import CellImage, Photo


def sure(label, probability=0.93):
    values = np.full(8, (1 - probability) / 7, dtype=np.float32)
    values[label] = probability
    return values


def photo(key, num_cells=1, **fields):
    """An image of one cell, or a field of several."""
    frame = frame_cell(np.zeros((64, 64, 3), np.uint8))
    numbers = [None] if num_cells == 1 else list(range(1, num_cells + 1))
    cells = tuple(CellImage(f"{key}{n or ''}", f"{key}.png", frame, key, n, **fields) for n in numbers)
    specimen = Specimen("crop" if num_cells == 1 else "field", None, (frame,) * num_cells)
    return Photo(key, f"{key}.png", specimen=specimen, cells=cells, size=(64, 64))


def failed(key):
    return Photo(key, f"{key}.png", error=f"{key}.png is empty.")


def answer(label=None, status="ok", probability=0.93, possible=()):
    name = None if label is None else CLASS_NAMES[label]
    values = None if status in ("unfamiliar", "not_a_cell") else sure(label if label is not None else 0, probability)
    probabilities = None if values is None else dict(zip(CLASS_NAMES, map(float, values), strict=True))
    named = (name, probability) if status == "ok" else (None, None)
    return Answer("f", status, *named, probabilities, tuple(possible), "m", (f"It is {status}.",))


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


def test_a_batch_is_counted_by_what_was_answered_and_refused():
    photos = [photo("x"), photo("y"), photo("z"), photo("w"), failed("bad")]
    answers = {"x": answer(0), "y": answer(0), "z": answer(6), "w": answer(status="unfamiliar")}
    assert tables.describe_batch(photos, answers) == (
        "5 files: 3 answered (2 basophil, 1 neutrophil), 1 refused, 1 could not be read."
    )
    assert tables.describe_batch([photo("f", 2)], {"f1": answer(1), "f2": answer(1)}) == (
        "1 file with 2 cells: 2 answered (2 eosinophil)."
    )


def test_groups_begin_with_the_refused_and_the_least_certain():
    cells = [photo(key).cells[0] for key in "abcdef"]
    answers = {
        "a": answer(6, probability=0.99),
        "b": answer(status="not_a_cell"),
        "c": answer(6, probability=0.6),
        "d": answer(0),
        "e": answer(status="uncertain", possible=("basophil", "monocyte")),
    }
    groups = tables.group_cells(cells, answers)
    assert {words: [cell.key for cell in ones] for words, ones in groups.items()} == {
        "uncertain": ["e"],
        "no cell": ["b"],
        "● basophil": ["d"],
        "★ neutrophil": ["c", "a"],
        "not answered yet": ["f"],
    }
    assert list(groups)[:2] == ["uncertain", "no cell"]


def test_the_batch_table_shows_picture_answer_agreement_and_remark():
    photos = [photo("x", notes=("It holds 2 pages.",)), photo("u"), photo("n"), failed("b")]
    answers = {"x": answer(6), "u": answer(status="uncertain", possible=("basophil", "monocyte"))}
    table = tables.batch_table(photos, answers, {"x": {"m": sure(6), "n": sure(6), "o": sure(0)}})
    first, second, third, fourth = table.to_dict("records")
    assert first["image"].startswith("data:image/png;base64,")
    assert (first["answer"], first["agree"]) == ("★ neutrophil", "2 of 3")
    assert first["probability"] == pytest.approx(93.0, abs=1e-3)
    assert second["answer"] == "uncertain: basophil or monocyte" and np.isnan(second["probability"])
    assert second["remark"] == "It is uncertain."
    assert third["answer"] == "…"
    assert (fourth["image"], fourth["answer"], fourth["remark"]) == ("", "not read", "b.png is empty.")


def test_agreement_has_no_column_where_one_model_answered():
    assert "agree" not in tables.batch_table([photo("x")], {"x": answer(6)}, {"x": {"m": sure(6)}}).columns


def test_the_answers_have_one_row_per_cell_and_model_and_one_per_bad_file():
    empty = replace(photo("e"), cells=(), notes=("No cell was found.",))
    photos = [photo("x"), photo("u"), photo("r"), failed("b"), empty]
    answers = {"x": answer(2), "u": answer(status="uncertain"), "r": answer(status="unfamiliar")}
    scores = {key: {"m": sure(2), "n": sure(3)} for key in "xur"}
    table = tables.answers_table(photos, answers, scores)
    assert table[["file", "status", "label", "model"]].fillna("").to_numpy().tolist() == [
        ["x.png", "ok", "erythroblast", "m"],
        ["x.png", "ok", "immature granulocyte", "n"],
        ["u.png", "uncertain", "", "m"],
        ["u.png", "uncertain", "", "n"],
        ["r.png", "unfamiliar", "", "m"],
        ["b.png", "error", "", ""],
        ["e.png", "not_a_cell", "", ""],
    ]
    np.testing.assert_allclose(table[list(CLASS_NAMES)].iloc[:4].astype(float).sum(axis=1), 1, rtol=1e-5)
    assert table[list(CLASS_NAMES)].iloc[4].isna().all(), "a refused cell has no probabilities"
    assert table["remark"].tolist()[5:] == ["b.png is empty.", "No cell was found."]


def test_the_answer_of_the_page_stands_first_whichever_models_are_on():
    given = answer(2)
    for scores in ({}, {"x": {"n": sure(3)}}, {"x": {"n": sure(3), given.model: sure(5)}}):
        table = tables.answers_table([photo("x")], {"x": given}, scores)
        first = table.iloc[0]
        assert (first["label"], first["model"], first["status"]) == (given.label, given.model, "ok")
        assert first["probability"] == pytest.approx(given.probability, abs=1e-5)
        assert table["model"].tolist()[1:] == (["n"] if scores else [])


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", " =1", "＝1"])
def test_a_file_name_is_no_formula_in_the_csv(name):
    """Names come from outside, and a spreadsheet would compute them."""
    table = tables.answers_table([photo(name), failed(name)], {name: answer(2)}, {name: {"m": sure(2)}})
    assert table["file"].tolist() == [f"'{name}.png", f"'{name}.png"]
    assert table["remark"].iloc[1].startswith("'")


def test_the_differential_counts_what_the_model_answered():
    cells = [photo(key).cells[0] for key in "abcd"]
    answers = {"a": answer(6), "b": answer(4), "c": answer(7), "d": answer(status="unfamiliar")}
    found = compute_differential(tables.case_cells(cells, answers, "print"))
    assert (found.num_white, found.num_platelets, found.num_unanswered) == (2, 1, 1)
    assert found.is_preliminary


def test_small_multiples_say_who_differs_and_name_every_bar():
    text = opinions_html({"first": sure(1), "same": sure(1), "<b>other</b>": sure(6, 0.5)}, "light")
    assert text.count('role="listitem"') == 3 and text.count("≠") == 1
    assert "&lt;b&gt;other&lt;/b&gt;" in text and "<b>other" not in text
    assert text.count('role="img"') == 3 and "neutrophil 50.0 %" in text


def test_opinions_and_probabilities_hold_the_numbers_that_the_charts_draw():
    opinions = tables.opinions_table({"m": sure(1), "n": sure(2)})
    assert opinions["says"].tolist() == ["■ eosinophil", "◆ erythroblast"]
    assert opinions["eosinophil"].tolist() == pytest.approx([0.93, 0.01])
    assert tables.probabilities_table(sure(4))["probability"].tolist() == pytest.approx(
        [0.01] * 4 + [0.93] + [0.01] * 3
    )

"""What the gallery shows and how what it sends becomes records."""

import base64
import io
import json

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from bloodcell.cases import DISCARDED, OTHER, CaseStore, Choice, NewCell, NewImage
from bloodcell.dataset import CLASS_NAMES, Box
from bloodcell.views.review import (
    MOST_DETAILED_CELLS,
    Outcome,
    apply_events,
    gallery_data,
    group_cells,
    picture_addresses,
)
from tests.made_cases import make_answer, make_image


@pytest.fixture
def store(tmp_path):
    return CaseStore(sa.engine.make_url(f"sqlite:///{tmp_path / 'cases.sqlite'}"))


def fill(store, answers, identifier="S"):
    case_id = store.create_case(identifier, "Ana")
    store.add_images(case_id, [make_image(n) for n in range(len(answers))], [[a] for a in answers], "Ana")
    return store.load_case(case_id)


def event(sequence, cells=(), kind="decide", client="tab-1", **more):
    given = {"type": kind, "client": client, "sequence": sequence, "cells": list(cells)}
    if kind == "decide":
        given |= {"label": "monocyte", "text": "", "is_white": True, "seen": 99}
    return given | more


def test_groups_are_predicted_classes_with_the_least_certain_first(store):
    answers = [
        make_answer("monocyte", 0.9),
        make_answer("basophil", 0.8),
        make_answer("monocyte", 0.6),
        make_answer("monocyte", 0.5, status="uncertain"),
        make_answer(None, status="unfamiliar"),
        make_answer("monocyte", 0.75),
        None,
    ]
    case = fill(store, answers)
    groups = group_cells(case.cells)
    positions = {cell.id: cell.position for cell in case.cells}
    assert [(group.title, [positions[c] for c in group.cells]) for group in groups] == [
        ("Not answered: uncertain", [4]),
        ("Not answered: unfamiliar", [5]),
        ("No model asked", [7]),
        ("Basophil", [2]),
        ("Monocyte", [3, 6, 1]),
    ]


def test_groups_can_follow_what_counts_now_and_leave_out_what_is_done(store):
    case = fill(store, [make_answer("monocyte")] * 4)
    ids = [cell.id for cell in case.cells]
    choices = [Choice(ids[0], "basophil"), Choice(ids[1], DISCARDED), Choice(ids[2], OTHER)]
    store.decide(case.id, choices, "Ana", case.num_records)
    case = store.load_case(case.id)
    by_decision = {group.title: list(group.cells) for group in group_cells(case.cells, "decision")}
    assert by_decision == {
        "Basophil": [ids[0]],
        "Monocyte": [ids[3]],
        "Other or abnormal": [ids[2]],
        "Discarded": [ids[1]],
    }
    still_open = [cell for group in group_cells(case.cells, only_open=True) for cell in group.cells]
    assert set(still_open) == {ids[2], ids[3]}, "an other cell without a text is not done"
    assert [g.title for g in group_cells(case.cells)] == ["Monocyte"], "by prediction nothing jumps"


@pytest.mark.parametrize("by", ["model", "decision"])
def test_every_cell_is_in_exactly_one_group(store, by):
    answers = [make_answer(name, status=status) for name in CLASS_NAMES for status in ("ok", "uncertain", "new kind")]
    case = fill(store, [*answers, None, make_answer(None, status="error"), make_answer(None, status="not_a_cell")])
    shown = [cell for group in group_cells(case.cells, by) for cell in group.cells]
    assert sorted(shown) == sorted(cell.id for cell in case.cells)


def test_events_become_records_in_order_and_once(store):
    case = fill(store, [make_answer("monocyte")] * 3)
    ids = [cell.id for cell in case.cells]
    events = [
        event(1, ids[:2], label="basophil", seen=case.num_records),
        event(2, [ids[2]], label=OTHER, text="blast", is_white=False, seen=case.num_records),
        event(3, [ids[0]], "comment", text="smudged"),
        event(4, [ids[0]], label="neutrophil", seen=case.num_records),
    ]
    first = apply_events(store, case.id, events[:2], "Ana")
    assert (first.handled, first.messages) == ({"tab-1": 2}, [])
    second = apply_events(store, case.id, events, "Ana", first.handled)
    assert second.handled == {"tab-1": 4}
    after = store.load_case(case.id)
    assert [record.action for record in after.records[4:]] == [
        "reclassified", "reclassified", "other", "commented", "reclassified",
    ]  # fmt: skip
    assert [cell.label for cell in after.cells] == ["neutrophil", "basophil", OTHER]
    assert after.cells[2].decision.is_white is False and after.cells[0].comments[0].text == "smudged"
    apply_events(store, case.id, events, "Ana", {})
    assert store.load_case(case.id) == after, "a session that forgot sends everything again, and nothing doubles"


def test_undo_says_which_cell_to_look_at(store):
    case = fill(store, [make_answer("monocyte")] * 2)
    ids = [cell.id for cell in case.cells]
    apply_events(store, case.id, [event(1, [ids[1]], seen=case.num_records)], "Ana")
    outcome = apply_events(store, case.id, [event(2, (), "undo")], "Ana", {"tab-1": 1})
    assert outcome.focus == ids[1] and outcome.messages == []
    again = apply_events(store, case.id, [event(3, (), "undo")], "Ana", {"tab-1": 2})
    assert "nothing of yours left" in again.messages[0]


def test_undo_passes_over_what_was_overruled_and_says_so(store):
    case = fill(store, [make_answer("monocyte")] * 2)
    ids = [cell.id for cell in case.cells]
    decided = apply_events(store, case.id, [event(1, ids[:1]), event(2, ids[1:])], "unnamed reviewer 1a2b")
    store.decide(case.id, [Choice(ids[1], "basophil")], "Ben", store.newest_record(case.id))
    outcome = apply_events(
        store, case.id, [event(3, (), "undo")], "Ana", decided.handled, marks=["unnamed reviewer 1a2b"]
    )
    assert outcome.focus == ids[0] and "Ben said 'basophil' of cell no. 2" in outcome.messages[0]
    assert store.load_case(case.id).cells[0].decision is None


def test_confirming_cells_of_several_types_is_one_move(store):
    case = fill(store, [make_answer("monocyte"), make_answer("basophil"), make_answer("monocyte")])
    cells = [cell.id for cell in case.cells]
    said = ["monocyte", "basophil", "monocyte"]
    apply_events(store, case.id, [event(1, cells, "confirm", labels=said, seen=99)], "Ana")
    after = store.load_case(case.id)
    assert [(cell.label, cell.decision.action) for cell in after.cells] == [(label, "confirmed") for label in said]
    apply_events(store, case.id, [event(2, (), "undo")], "Ana", {"tab-1": 1})
    assert [cell.decision for cell in store.load_case(case.id).cells] == [None] * 3


def test_what_another_reviewer_did_first_is_told_and_not_overwritten(store):
    case = fill(store, [make_answer("monocyte")])
    cell = case.cells[0].id
    store.decide(case.id, [Choice(cell, "basophil")], "Ben", case.num_records)
    outcome = apply_events(store, case.id, [event(1, [cell], label="neutrophil", seen=case.num_records)], "Ana")
    assert "Ben said 'basophil'" in outcome.messages[0] and outcome.focus == cell
    assert outcome.handled == {"tab-1": 1}, "it is handled: sent again it would be refused again"
    assert store.load_case(case.id).cells[0].label == "basophil"


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "text",
        {"type": "decide"},
        [None, 5, [], {}],
        [event(1, ["no such cell"], kind="destroy")],
        [event(1, ["x"], label="blast")],
        [event(1, ["x"], is_white="yes")],
        [event(1, ["x"], text=5)],
        [event(1, ["x"], text="x" * 301)],
        [event(1, ["x"], client="../../etc")],
        [event(1, ["x"], client="")],
        [event(True, ["x"])],
        [event(-1, ["x"])],
        [event(1, ["x"], seen="1")],
        [event(1, ["x"], "confirm", seen=99)],
        [event(1, ["x"], "confirm", seen=99, labels=["blast"])],
        [event(1, ["x"], "confirm", seen=99, labels=["monocyte"] * 2)],
        [event(1, ["x"], "confirm", labels=["monocyte"])],
        [event(1, [["x"]])],
        [event(1, ["x", "x"])],
        [event(1, [])],
        [event(1, [], "comment", text="words")],
        [event(1, ["x"], "comment", text="  ")],
    ],
)
def test_what_a_browser_may_send_wrongly_is_left_out(store, wrong):
    case = fill(store, [make_answer("monocyte")])
    outcome = apply_events(store, case.id, wrong, "Ana")
    assert outcome.messages == [] and outcome.handled == {}
    assert store.load_case(case.id) == case


def test_a_decision_on_a_foreign_cell_is_refused_in_words(store):
    case, other = fill(store, [make_answer("monocyte")], "one"), fill(store, [make_answer("monocyte")], "two")
    outcome = apply_events(store, case.id, [event(1, [other.cells[0].id])], "Ana")
    assert "does not hold" in outcome.messages[0]
    assert store.load_case(other.id) == other


def test_gallery_data_is_json_and_complete(store):
    answer = make_answer("monocyte", 0.7, status="uncertain", finer_label="promonocyte")
    case = fill(store, [answer, None])
    cell = case.cells[0].id
    store.decide(case.id, [Choice(cell, OTHER, "hairy thing", is_white=False)], "Ana", case.num_records)
    store.comment(case.id, [cell], "<b>odd</b>", "Ben")
    case = store.load_case(case.id)
    data = gallery_data(case, group_cells(case.cells), "Ana", Outcome({"tab-1": 3}, [], cell), True, 7)
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert [one["name"] for one in data["classes"]] == list(CLASS_NAMES)
    shown = data["cells"][0]
    assert shown["decision"] == {"label": OTHER, "text": "hairy thing", "is_white": False, "by": "Ana"}
    assert shown["comments"] == [{"by": "Ben", "text": "<b>odd</b>"}]
    assert (shown["model"]["status"], shown["model"]["finer"]) == ("uncertain", "promonocyte")
    assert data["cells"][1]["model"] is None and data["cells"][1]["decision"] is None
    assert data["suggestions"][0] == {"text": "hairy thing", "is_white": False}
    proposed = {one["text"]: one["is_white"] for one in data["suggestions"]}
    assert proposed["blast"] and not any(proposed[text] for text in ("giant platelet", "platelet clump", "artefact"))
    assert (data["seen"], data["handled"], data["locked"]) == (case.num_records, {"tab-1": 3}, False)


def decode(address: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB"))


def test_pictures_show_the_frame_as_the_file_had_it(store):
    """An original's 200 x 200, not the 64 x 64 made of it; nothing enlarged, nothing lossy."""
    pixels = np.random.default_rng(0).integers(0, 256, (363, 360, 3), dtype=np.uint8)
    seen = np.zeros((64, 64, 3), np.uint8)
    original = NewImage("original.jpg", pixels, (NewCell(seen, Box(80, 82, 200, 200)),))
    large = np.random.default_rng(1).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    huge = NewImage("huge.png", large, (NewCell(seen + 1, Box(0, 0, 900, 900)),))
    small = make_image(3)
    case_id = store.create_case("S", "Ana")
    store.add_images(case_id, [original, huge, small], [[None]] * 3, "Ana")
    case = store.load_case(case_id)
    addresses = picture_addresses(case, store.load_pictures(case_id), store.load_images(case_id))
    first, second, third = (decode(addresses[cell.id]) for cell in case.cells)
    np.testing.assert_array_equal(first, pixels[82:282, 80:280])
    assert second.shape == (180, 180, 3)
    np.testing.assert_array_equal(third, small.pixels)


def test_a_large_case_sends_small_pictures_and_a_dropped_one_none(store):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    cells = tuple(
        NewCell(np.full((64, 64, 3), n % 256, np.uint8), Box(n % 40, n // 40, 100, 100))
        for n in range(MOST_DETAILED_CELLS + 1)
    )
    case_id = store.create_case("S", "Ana")
    store.add_images(case_id, [NewImage("field.png", pixels, cells)], [[None] * len(cells)], "Ana")
    case = store.load_case(case_id)
    addresses = picture_addresses(case, store.load_pictures(case_id), store.load_images(case_id))
    assert len(addresses) == len(cells) and all(decode(a).shape == (64, 64, 3) for a in addresses.values())
    assert picture_addresses(case, {}, {}) == {}

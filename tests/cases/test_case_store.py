"""Cases are found, filled, judged, signed and deleted, and nothing that happened to them is lost or altered."""

import sqlite3
import stat
from datetime import UTC, datetime

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image, PngImagePlugin
from sqlalchemy.exc import DBAPIError

from bloodcell.cases import DISCARDED, OTHER, CaseStore, Choice, NewCell, NewImage, decode_pixels, open_store, schema
from bloodcell.cases.database import database_url, describe
from bloodcell.cases.records import ModelAnswer
from bloodcell.dataset import CLASS_NAMES, Box
from bloodcell.errors import (
    CaseChangedError,
    CaseDatabaseError,
    CaseExistsError,
    CaseLockedError,
    CaseNotFoundError,
    CaseUnfinishedError,
)
from bloodcell.inference import read_image
from tests.made_cases import FINGERPRINT, MODEL, make_answer, make_image


def decide_all(store: CaseStore, case_id: str, reviewer: str = "Ana", label: str = "monocyte") -> None:
    case = store.load_case(case_id)
    store.decide(case_id, [Choice(cell.id, label) for cell in case.cells], reviewer, case.num_records)


def test_a_decision_is_a_record_of_model_and_person(store, make_case):
    """Time, reviewer, hashes, what the model said and how sure, what the person said: all in one record."""
    case_id = make_case(labels=("lymphocyte",))
    cell = store.load_case(case_id).cells[0]
    before = datetime.now(UTC)
    number = store.decide(case_id, [Choice(cell.id, "monocyte")], "Ben", seen=2)
    record = store.load_case(case_id).records[-1]
    assert record.number == number == 3
    assert before <= datetime.fromisoformat(record.time) <= datetime.now(UTC)
    assert (record.reviewer, record.action, record.label) == ("Ben", "reclassified", "monocyte")
    assert (record.cell_id, record.image_hash) == (cell.id, cell.image_hash)
    assert (record.model, record.fingerprint, record.model_label) == (MODEL, FINGERPRINT, "lymphocyte")
    assert (record.model_status, record.model_probability, record.prediction_set) == ("ok", 0.9, ("lymphocyte",))


def test_confirming_reclassifying_and_the_rest_are_told_apart(store, make_case):
    case_id = make_case(labels=("lymphocyte",) * 4)
    cells = store.load_case(case_id).cells
    choices = [
        Choice(cells[0].id, "lymphocyte"),
        Choice(cells[1].id, "neutrophil"),
        Choice(cells[2].id, OTHER, "blast"),
        Choice(cells[3].id, DISCARDED),
    ]
    store.decide(case_id, choices, "Ana", seen=5)
    after = store.load_case(case_id)
    assert [cell.decision.action for cell in after.cells] == ["confirmed", "reclassified", "other", "discarded"]
    assert [cell.is_corrected for cell in after.cells] == [False, True, True, True]
    assert after.cells[2].decision.text == "blast"
    assert after.num_reviewed == 4


def test_an_answer_is_stored_whole(store):
    """Thresholds, versions and whatever else the classifier gave come back as they were."""

    class Answer:
        def to_dict(self):
            return {
                "file": "a.png",
                "status": "uncertain",
                "label": "monocyte",
                "probability": 0.5,
                "probabilities": {"monocyte": 0.5, "lymphocyte": 0.5},
                "prediction_set": ["monocyte", "lymphocyte"],
                "model": MODEL,
                "reasons": ["Two types are left."],
                "finer_label": "promonocyte",
            }

    case_id = store.create_case("Smear", "Ana")
    answer = ModelAnswer.from_answer(Answer(), FINGERPRINT, {"coverage": 0.99}, {"numpy": "2.4"})
    store.add_images(case_id, [make_image(1)], [[answer]], "Ana")
    cell = store.load_case(case_id).cells[0]
    assert cell.answer == answer
    assert cell.answer.details["thresholds"] == {"coverage": 0.99}
    assert cell.answer.finer_label == "promonocyte"
    assert cell.label is None, "a model that refused has no say until a person has"


def test_undo_takes_back_a_whole_move_and_only_once(store, make_case):
    case_id = make_case(labels=("monocyte",) * 3)
    cells = store.load_case(case_id).cells
    store.decide(case_id, [Choice(cells[0].id, "monocyte")], "Ana", seen=4)
    store.decide(case_id, [Choice(cell.id, "basophil") for cell in cells], "Ana", seen=5)
    assert set(store.undo(case_id, "Ana").cells) == {cell.id for cell in cells}
    after = store.load_case(case_id)
    assert [cell.label for cell in after.cells] == ["monocyte"] * 3
    assert [cell.status for cell in after.cells] == ["reviewed", "unreviewed", "unreviewed"]
    assert store.undo(case_id, "Ana").cells == (cells[0].id,)
    assert store.undo(case_id, "Ana").cells == ()
    assert len(store.load_case(case_id).records) == 4 + 1 + 3 + 3 + 1, "undoing adds records and removes none"


def test_undo_takes_back_comments_and_only_what_the_reviewer_did(store, make_case):
    case_id = make_case(labels=("monocyte",))
    cell = store.load_case(case_id).cells[0]
    store.comment(case_id, [cell.id], "smudged", "Ben")
    store.decide(case_id, [Choice(cell.id, "basophil")], "Ana", seen=3)
    store.undo(case_id, "Ben")
    after = store.load_case(case_id).cells[0]
    assert after.comments == () and after.label == "basophil"


def test_a_second_reviewer_is_shown_the_first_ones_decision(store, make_case):
    """Both saw the same screen; the second one's decision on the same cell is refused, on another cell it counts."""
    case_id = make_case(labels=("monocyte", "monocyte"))
    first, second = store.load_case(case_id).cells
    seen = store.newest_record(case_id)
    store.decide(case_id, [Choice(first.id, "basophil")], "Ana", seen)
    with pytest.raises(CaseChangedError, match=r"Ana said 'basophil' of cell no\. 1"):
        store.decide(case_id, [Choice(second.id, "monocyte"), Choice(first.id, "monocyte")], "Ben", seen)
    assert store.load_case(case_id).cells[1].decision is None, "a move is saved whole or not at all"
    store.decide(case_id, [Choice(second.id, "monocyte")], "Ben", seen)
    store.decide(case_id, [Choice(first.id, "neutrophil")], "Ben", store.newest_record(case_id))
    assert [cell.label for cell in store.load_case(case_id).cells] == ["neutrophil", "monocyte"]


def test_the_same_message_twice_is_one_decision_and_a_client_need_not_wait_for_itself(store, make_case):
    case_id = make_case(labels=("monocyte",))
    cell = store.load_case(case_id).cells[0]
    first = store.decide(case_id, [Choice(cell.id, "basophil")], "Ana", 2, batch="tab1:1")
    assert store.decide(case_id, [Choice(cell.id, "basophil")], "Ana", 2, batch="tab1:1") == first
    store.decide(case_id, [Choice(cell.id, "neutrophil")], "Ana", 2, batch="tab1:2")
    assert store.load_case(case_id).cells[0].label == "neutrophil"
    with pytest.raises(CaseChangedError):
        store.decide(case_id, [Choice(cell.id, "basophil")], "Ana", 2, batch="tab2:1")


def test_undo_does_not_take_back_what_somebody_else_decided_since(store, make_case):
    case_id = make_case(labels=("monocyte",))
    cell = store.load_case(case_id).cells[0]
    store.decide(case_id, [Choice(cell.id, "basophil")], "Ana", 2)
    store.decide(case_id, [Choice(cell.id, "neutrophil")], "Ben", 3)
    with pytest.raises(CaseChangedError, match="Ben said 'neutrophil'"):
        store.undo(case_id, "Ana")
    assert store.load_case(case_id).cells[0].label == "neutrophil"


def test_an_overruled_decision_does_not_keep_earlier_ones_from_being_undone(store, make_case):
    case_id = make_case(labels=("monocyte",) * 3)
    first, second, third = store.load_case(case_id).cells
    for seen, cell in ((4, first), (5, second), (6, third)):
        store.decide(case_id, [Choice(cell.id, "basophil")], "Ana", seen)
    store.decide(case_id, [Choice(second.id, "neutrophil"), Choice(third.id, "neutrophil")], "Ben", 7)
    undone = store.undo(case_id, "Ana")
    assert undone.cells == (first.id,)
    assert "Ben said 'neutrophil' of cell no. 3" in undone.passed_over and "earlier one" in undone.passed_over
    assert [cell.label for cell in store.load_case(case_id).cells] == ["monocyte", "neutrophil", "neutrophil"]
    with pytest.raises(CaseChangedError, match="no longer stands"):
        store.undo(case_id, "Ana")


def test_what_was_decided_without_a_name_is_undone_under_the_name_given_later(store, make_case):
    case_id = make_case(labels=("monocyte",) * 2)
    first, second = store.load_case(case_id).cells
    store.decide(case_id, [Choice(first.id, "basophil")], "unnamed reviewer 1a2b", 3)
    store.decide(case_id, [Choice(second.id, "basophil")], "unnamed reviewer 3c4d", 4)
    assert store.undo(case_id, "Ana").cells == ()
    assert store.undo(case_id, "Ana", marks=["unnamed reviewer 1a2b"]).cells == (first.id,)
    assert store.undo(case_id, "Ana", marks=["unnamed reviewer 1a2b"]).cells == (), "the other one is somebody else"
    assert store.load_case(case_id).records[-1].reviewer == "Ana"


def test_sign_off_is_refused_while_a_cell_is_unreviewed_or_undecided(store, make_case):
    case_id = make_case(labels=("monocyte",) * 3)
    cells = store.load_case(case_id).cells
    store.decide(case_id, [Choice(cells[0].id, "monocyte"), Choice(cells[1].id, OTHER)], "Ana", 4)
    with pytest.raises(CaseUnfinishedError, match=r"not reviewed \(no\. 3\) and .*without a text \(no\. 2\)"):
        store.sign_off(case_id, "Ana", keep_images=True, seen=6)
    store.decide(case_id, [Choice(cells[1].id, OTHER, "plasma cell"), Choice(cells[2].id, DISCARDED)], "Ana", 6)
    store.undo(case_id, "Ana")
    with pytest.raises(CaseUnfinishedError):
        store.sign_off(case_id, "Ana", keep_images=True, seen=store.newest_record(case_id))
    store.decide(case_id, [Choice(cell.id, "monocyte") for cell in cells], "Ana", store.newest_record(case_id))
    with pytest.raises(ValueError, match="name"):
        store.sign_off(case_id, "  ", keep_images=True, seen=store.newest_record(case_id))
    store.sign_off(case_id, "Dr. Ana Ruiz", keep_images=True, seen=store.newest_record(case_id))
    case = store.load_case(case_id)
    assert (case.state, case.signed_by, case.records[-1].action) == ("signed", "Dr. Ana Ruiz", "signed")


def test_an_empty_case_cannot_be_signed(store):
    case_id = store.create_case("Empty", "Ana")
    with pytest.raises(CaseUnfinishedError, match="no cell"):
        store.sign_off(case_id, "Ana", keep_images=True, seen=1)


def test_what_is_signed_is_what_was_seen(store, make_case):
    case_id = make_case()
    decide_all(store, case_id)
    seen = store.newest_record(case_id)
    cell = store.load_case(case_id).cells[0]
    store.decide(case_id, [Choice(cell.id, "basophil")], "Ben", seen)
    with pytest.raises(CaseChangedError, match=r"Ben said 'basophil' of cell no\. 1"):
        store.sign_off(case_id, "Ana", keep_images=True, seen=seen)


def test_a_signed_case_is_locked_until_it_is_reopened_on_record(store, make_case):
    case_id = make_case()
    decide_all(store, case_id)
    store.sign_off(case_id, "Ana", keep_images=True, seen=store.newest_record(case_id))
    case = store.load_case(case_id)
    cell = case.cells[0]
    for change in (
        lambda: store.decide(case_id, [Choice(cell.id, "basophil")], "Ana", case.num_records),
        lambda: store.comment(case_id, [cell.id], "late", "Ana"),
        lambda: store.undo(case_id, "Ana"),
        lambda: store.add_images(case_id, [make_image(99)], [[None]], "Ana"),
        lambda: store.change_notes(case_id, "late", "Ana", case.notes),
        lambda: store.set_white_count(case_id, 5.0, "Ana"),
        lambda: store.sign_off(case_id, "Ana", True, case.num_records),
    ):
        with pytest.raises(CaseLockedError, match="signed by Ana"):
            change()
    assert store.load_case(case_id) == case
    store.reopen(case_id, "Ben", "a cell was mistaken")
    reopened = store.load_case(case_id)
    assert (reopened.state, reopened.signed_by) == ("open", None)
    assert (reopened.records[-1].action, reopened.records[-1].text) == ("reopened", "a cell was mistaken")
    assert [r.action for r in reopened.records].count("signed") == 1, "that it was signed once stays on record"
    with pytest.raises(CaseLockedError, match="open already"):
        store.reopen(case_id, "Ben", "again")


def test_images_are_kept_or_dropped_at_sign_off(store, make_case):
    kept, dropped = make_case("kept"), make_case("dropped")
    pixels = make_image(sum(map(ord, "kept")) * 1000).pixels
    for case_id in (kept, dropped):
        decide_all(store, case_id)
        store.sign_off(case_id, "Ana", keep_images=case_id == kept, seen=store.newest_record(case_id))
    pictures = store.load_pictures(kept)
    np.testing.assert_array_equal(decode_pixels(pictures[store.load_case(kept).cells[0].id]), pixels)
    assert len(store.load_images(kept)) == 3
    assert store.load_pictures(dropped) == {} and store.load_images(dropped) == {}
    case = store.load_case(dropped)
    assert not case.has_pixels and case.records[-1].action == "images dropped"
    assert len({cell.image_hash for cell in case.cells}) == 3, "hashes stay"


def test_dropped_pictures_come_back_where_the_very_same_pixels_come_again(store):
    case_id = store.create_case("S", "Ana")
    images = [make_image(n, side=200) for n in range(2)]
    store.add_images(case_id, images, [[None]] * 2, "Ana")
    assert store.refill_pictures(case_id, images, "Ben") == 0, "nothing is missing"
    decide_all(store, case_id)
    store.sign_off(case_id, "Ana", keep_images=False, seen=store.newest_record(case_id))
    with pytest.raises(CaseLockedError):
        store.refill_pictures(case_id, images, "Ben")
    store.reopen(case_id, "Ana", "a cell was mistaken")
    newest = store.newest_record(case_id)
    moved = NewImage("b.png", images[1].pixels, (NewCell(images[1].pixels[9:73, 9:73].copy(), Box(9, 9, 64, 64)),))
    assert store.refill_pictures(case_id, [images[0], moved, make_image(7)], "Ben") == 1
    first, second = store.load_case(case_id).cells
    assert (first.has_pixels, second.has_pixels) == (True, False), "another frame has other pixels"
    np.testing.assert_array_equal(decode_pixels(store.load_pictures(case_id)[first.id]), images[0].cells[0].pixels)
    assert len(store.load_images(case_id)) == 2
    record = store.load_case(case_id).records[-1]
    assert (record.number, record.action, record.text) == (newest + 1, "images returned", "cell 0.png, b.png")
    assert store.refill_pictures(case_id, images, "Ben") == 1, "the frame that was missing"
    assert store.refill_pictures(case_id, images, "Ben") == 0 and store.newest_record(case_id) == newest + 2


def test_stored_pictures_carry_no_metadata(store, tmp_path):
    """A name and a text inside the file that was read are not in the picture that is kept."""
    path = tmp_path / "named.png"
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", "Maria Muster")
    Image.fromarray(make_image(3).pixels).save(path, pnginfo=text)
    assert b"Maria Muster" in path.read_bytes()
    pixels = read_image(path.read_bytes(), path.name).pixels
    case_id = store.create_case("S", "Ana")
    store.add_images(case_id, [NewImage(path.name, pixels, (NewCell(pixels.copy(), Box(0, 0, 64, 64)),))], [[None]], "")
    stored = next(iter(store.load_images(case_id).values()))
    assert b"Maria Muster" not in stored and b"tEXt" not in stored
    np.testing.assert_array_equal(decode_pixels(stored), pixels)


def test_the_same_cell_is_added_once(store):
    """The same file dropped twice would count twice; another frame in the same image is another cell."""
    case_id = store.create_case("S", "Ana")
    image = make_image(1, side=200)
    assert len(store.add_images(case_id, [image, image], [[None], [None]], "Ana")) == 1
    assert store.add_images(case_id, [image], [[None]], "Ana") == []
    other = NewImage(
        "again.png", image.pixels, (NewCell(image.pixels[100:164, 100:164].copy(), Box(100, 100, 64, 64)),)
    )
    assert len(store.add_images(case_id, [other], [[None]], "Ana")) == 1
    case = store.load_case(case_id)
    assert [cell.position for cell in case.cells] == [1, 2]
    assert case.cells[0].image_id == case.cells[1].image_id
    assert len(store.load_images(case_id)) == 1


def test_deleting_a_case_deletes_it_from_the_file_too(store, make_case, tmp_path):
    case_id = make_case("Very secret identifier")
    other = make_case("another")
    store.delete_case(case_id)
    with pytest.raises(CaseNotFoundError):
        store.load_case(case_id)
    with store.engine.connect() as connection:
        for table in ("cases", "images", "cells", "records"):
            column = "id" if table == "cases" else "case_id"
            query = sa.text(f"SELECT count(*) FROM {table} WHERE {column} = :id")
            assert connection.execute(query, {"id": case_id}).scalar() == 0
    assert len(store.load_case(other).cells) == 3
    if store.engine.dialect.name == "sqlite":
        left = b"".join(path.read_bytes() for path in tmp_path.glob("cases.sqlite*"))
        assert b"Very secret identifier" not in left and b"another" in left
    with pytest.raises(CaseNotFoundError):
        store.delete_case(case_id)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET label = 'basophil'",
        "UPDATE records SET reviewer = 'Ben' WHERE number = 1",
        "DELETE FROM records WHERE number = 2",
        "DELETE FROM records",
    ],
)
def test_the_database_itself_refuses_to_alter_records(store, make_case, database, statement):
    """Also for a program that does not go through the store."""
    case_id = make_case()
    before = store.load_case(case_id).records
    with sa.create_engine(database).connect() as connection, pytest.raises(DBAPIError, match="only ever added"):
        connection.execute(sa.text(statement))
    assert store.load_case(case_id).records == before


def test_cases_are_searched_by_every_word_and_by_state(store, make_case):
    first = store.create_case("Müller 17", "Ana", notes="Anaemia, follow-up")
    second = make_case("müller 18")
    third = make_case("Smear 100%_a")
    decide_all(store, third)
    store.sign_off(third, "Dr. Ben", keep_images=True, seen=store.newest_record(third))
    found = {case.id for case in store.list_cases("MÜLLER")}
    assert found == {first, second}
    assert [case.id for case in store.list_cases("müller follow-UP")] == [first]
    assert [case.id for case in store.list_cases("100%_")] == [third]
    assert [case.id for case in store.list_cases(state="signed")] == [third]
    assert [case.id for case in store.list_cases("dr. ben", "signed")] == [third]
    assert store.list_cases("%") == store.list_cases("100%_a") and store.list_cases("nothing like it") == []
    assert store.list_cases()[0].id == third, "changed last comes first"


def test_list_and_case_agree_on_what_is_done(store, make_case):
    """The counts that the list shows are those of the cells themselves, after every kind of change."""
    case_id = make_case(labels=("monocyte",) * 4)
    cells = store.load_case(case_id).cells

    def check() -> None:
        case, (summary,) = store.load_case(case_id), store.list_cases()
        assert (summary.num_cells, summary.num_records) == (len(case.cells), len(case.records))
        assert summary.num_reviewed == sum(cell.status == "reviewed" for cell in case.cells) == case.num_reviewed

    check()
    store.decide(case_id, [Choice(cell.id, "monocyte") for cell in cells[:2]], "Ana", 5)
    check()
    store.decide(case_id, [Choice(cells[2].id, OTHER)], "Ana", 7)
    check()
    store.undo(case_id, "Ana")
    store.undo(case_id, "Ana")
    check()
    store.add_images(case_id, [make_image(5)], [[make_answer("monocyte")]], "Ana")
    check()


def place_cells(*boxes):
    """Return one image, the same at each call, with cells in these frames."""
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    cells = tuple(NewCell(np.full((64, 64, 3), sum(box) % 256, np.uint8), Box(*box)) for box in boxes)
    return NewImage("field.png", pixels, cells)


def test_a_cell_whose_frame_moved_is_the_same_cell(store):
    """It counts once, in the frame that came first; a neighbour, and the same place in another image, are others."""
    case_id = store.create_case("S", "Ana")

    def add(*boxes):
        return len(store.add_images(case_id, [place_cells(*boxes)], [[None] * len(boxes)], "Ana"))

    assert add((0, 0, 100, 100)) == 1
    assert add((10, 10, 100, 100)) == 0, "68 % are shared"
    assert add((5, 5, 90, 90), (30, 0, 100, 100)) == 1, "one known cell stands for one found now, not for its neighbour"
    assert add((200, 0, 60, 60), (210, 0, 60, 60)) == 2, "two cells found at once are two, however close"
    assert add((0, 60, 100, 100)) == 1, "a quarter shared is another cell"
    assert len(store.add_images(case_id, [make_image(1)], [[None]], "Ana")) == 1
    case = store.load_case(case_id)
    assert [cell.box[:2] for cell in case.cells] == [(0, 0), (30, 0), (200, 0), (210, 0), (0, 60), (0, 0)]
    assert [cell.position for cell in case.cells] == list(range(1, 7))


def test_identifiers_are_the_users_own_and_name_one_case(store):
    odd = 'Präparat № 7 / 血液 — O\'Neil "x" 😀'
    case_id = store.create_case(f"  {odd} ", "Ana")
    assert store.load_case(case_id).identifier == odd
    assert store.find_case(odd).id == case_id and store.find_case("nobody") is None
    assert store.find_case(odd.replace(" ", "  ")).id == case_id, "found by the same rule as it was named"
    with pytest.raises(CaseExistsError, match="already a case"):
        store.create_case(odd, "Ben")


def test_letter_case_makes_no_second_case(store, make_case):
    case_id = make_case("Präparat Odd")
    assert store.find_case("PRÄPARAT odd").id == case_id
    with pytest.raises(CaseExistsError, match="already a case 'Präparat Odd'"):
        store.create_case("präparat ODD", "Ben")
    with store.transaction() as connection:  # as an older version made it
        row = {"identifier": "präparat odd", "created": "2020", "changed": "2020"}
        connection.execute(schema.cases.insert().values(id="0" * 32, **row))
    assert store.find_case("Präparat Odd").id == case_id and store.find_case("präparat odd").id == "0" * 32
    assert store.find_case("präparat ODD").id == "0" * 32, "of several the first that was made"


def test_a_change_of_notes_or_white_count_returns_the_number_of_its_record(store, make_case):
    case_id = make_case()
    assert store.set_white_count(case_id, 5.0, "Ana") == store.newest_record(case_id)
    assert store.set_white_count(case_id, 5.0, "Ana") is None, "nothing changed"
    assert store.change_notes(case_id, "new", "Ana", "") == store.newest_record(case_id)
    for wrong in ("", " \n ", "x" * 121, "\x00"):
        with pytest.raises(ValueError, match="1 to 120"):
            store.create_case(wrong, "Ana")
    assert len(store.list_cases()) == 1


def test_notes_of_two_reviewers_do_not_overwrite_each_other(store):
    case_id = store.create_case("S", "Ana", notes="first")
    store.change_notes(case_id, "Ana's", "Ana", before="first")
    with pytest.raises(CaseChangedError, match="Ana's"):
        store.change_notes(case_id, "Ben's", "Ben", before="first")
    assert store.load_case(case_id).notes == "Ana's"


def test_white_count_is_recorded_once_per_change(store):
    case_id = store.create_case("S", "Ana")
    store.set_white_count(case_id, 6.2, "Ana")
    store.set_white_count(case_id, 6.2, "Ana")
    store.set_white_count(case_id, None, "Ana")
    assert [record.text for record in store.load_case(case_id).records[1:]] == ["6.2 x 10^9 per litre", "none"]
    for wrong in (0, -1, 20_000, float("nan")):
        with pytest.raises(ValueError, match="white count"):
            store.set_white_count(case_id, wrong, "Ana")


def test_wrong_arguments_change_nothing(store, make_case):
    case_id, other = make_case("a"), make_case("b")
    before = store.load_case(case_id)
    with pytest.raises(ValueError, match="Expected one of"):
        store.decide(case_id, [Choice(before.cells[0].id, "blast")], "Ana", before.num_records)
    with pytest.raises(CaseNotFoundError, match="does not hold"):
        store.decide(case_id, [Choice(store.load_case(other).cells[0].id, "monocyte")], "Ana", before.num_records)
    with pytest.raises(ValueError, match="comment in words"):
        store.comment(case_id, [before.cells[0].id], " \x00 ", "Ana")
    with pytest.raises(ValueError, match="one answer"):
        store.add_images(case_id, [make_image(1)], [[None, None]], "Ana")
    assert store.load_case(case_id) == before


def test_open_store_lies_in_the_home_folder_and_only_its_owner_reads_it(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_HOME", str(tmp_path / "my home"))
    store = open_store()
    path = tmp_path / "my home" / "cases.sqlite"
    store.create_case("S", "Ana")
    assert open_store() is store
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    assert open_store().list_cases() == [], "a file that was moved away is made anew"


def test_a_damaged_or_foreign_or_newer_database_is_refused_in_a_sentence(tmp_path, monkeypatch):
    for name, content in (
        ("text", b"no database at all, but long enough" * 99),
        ("cut", b"SQLite format 3\x00" + b"x" * 84),
    ):
        path = tmp_path / name / "cases.sqlite"
        path.parent.mkdir()
        path.write_bytes(content)
        monkeypatch.setenv("BLOODCELL_HOME", str(path.parent))
        with pytest.raises(CaseDatabaseError, match="cannot be used"):
            open_store()
        assert path.read_bytes() == content, "what is there is not touched"
    monkeypatch.setenv("BLOODCELL_HOME", str(tmp_path / "newer"))
    CaseStore()
    with sqlite3.connect(tmp_path / "newer" / "cases.sqlite") as connection:
        connection.execute("UPDATE facts SET value = '99'")
    with pytest.raises(CaseDatabaseError, match="newer version"):
        CaseStore()
    monkeypatch.setenv("BLOODCELL_HOME", str(tmp_path / "text" / "cases.sqlite"))
    with pytest.raises(CaseDatabaseError, match="BLOODCELL_HOME"):
        open_store()


@pytest.mark.parametrize(
    "address",
    [
        "mysql://u:secret@h/d",
        "not an address",
        "oracle://x",
        "postgresql://u:p@secret@server/d",
        "postgresql://u:p@secret/x@server/d",
        "postgresql://u:p@h:secret@server/d",
        "postgresql://u:secret@server:port/d",
    ],
)
def test_an_address_of_another_kind_is_refused_without_its_password(monkeypatch, address):
    monkeypatch.setenv("BLOODCELL_DATABASE_URL", address)
    with pytest.raises(CaseDatabaseError, match="BLOODCELL_DATABASE_URL") as caught:
        open_store()
    assert "secret" not in str(caught.value) and "percent-encoded" in str(caught.value)


def test_a_password_is_taken_percent_encoded_and_shown_nowhere(monkeypatch):
    monkeypatch.setenv(
        "BLOODCELL_DATABASE_URL", "postgresql://u:p%40s%3A%2F%25@server/d?sslpassword=secret&sslmode=require"
    )
    url = database_url()
    assert (url.password, url.host) == ("p@s:/%", "server")
    assert describe(url) == "postgresql+psycopg://u:***@server/d?sslmode=require"


def test_cells_are_what_the_networks_see():
    with pytest.raises(ValueError, match=r"\(64, 64, 3\)"):
        NewCell(np.zeros((65, 64, 3), np.uint8), Box(0, 0, 64, 65))


def test_every_class_can_be_said(store, make_case):
    case_id = make_case(labels=CLASS_NAMES)
    cells = store.load_case(case_id).cells
    store.decide(case_id, [Choice(c.id, name) for c, name in zip(cells, CLASS_NAMES, strict=True)], "Ana", 9)
    assert [cell.decision.action for cell in store.load_case(case_id).cells] == ["confirmed"] * 8

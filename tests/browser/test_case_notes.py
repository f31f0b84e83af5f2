"""A case's notes in Chromium: what somebody is writing stays where it is, whatever a colleague saves meanwhile."""

import pytest
import sqlalchemy as sa
from browsing import settle, start_server

from bloodcell.cases import CaseStore
from tests.made_cases import make_answer, make_image

pytestmark = pytest.mark.browser


@pytest.fixture
def open_notes(chromium, shelf_folder, open_tab, tmp_path):
    """A page with a fresh case and its notes unfolded, the store, and the case."""
    store = CaseStore(sa.engine.make_url(f"sqlite:///{tmp_path / 'home' / 'cases.sqlite'}"))
    case_id = store.create_case("Smear 1", "Ana")
    store.add_images(case_id, [make_image(1)], [[make_answer("monocyte")]], "Ana")
    process, url = start_server(shelf_folder, tmp_path)
    try:
        page = open_tab(f"{url}/cases?case={case_id}")
        page.locator("summary", has_text="Notes").click()
        settle(page)
        yield page, store, case_id
    finally:
        process.terminate()
        process.wait(10)


def test_what_is_typed_survives_a_colleagues_notes_and_is_saved_by_one_click(open_notes):
    page, store, case_id = open_notes
    box = page.get_by_role("textbox", name="Notes")
    box.press_sequentially("Ana writes")
    store.change_notes(case_id, "Ben's", "Ben", "")
    page.get_by_text("Ben changed the notes meanwhile").wait_for()
    assert box.input_value() == "Ana writes", "nothing was sent yet, and nothing is lost"
    box.press_sequentially(" on")
    page.get_by_role("button", name="Save mine in their place").click()
    page.get_by_text("The notes are saved.").wait_for()
    settle(page)
    assert store.load_case(case_id).notes == "Ana writes on" == box.input_value()
    assert [record.text for record in store.load_case(case_id).records][-2:] == ["Ben's", "Ana writes on"]


def test_a_corrected_white_count_appears_in_the_field(open_notes):
    page, store, case_id = open_notes
    field = page.get_by_role("spinbutton", name="White count")
    field.fill("6.4")
    field.press("Enter")
    settle(page)
    store.set_white_count(case_id, 7.2, "Ben")
    page.wait_for_function("() => document.querySelector('input[type=number]').value === '7.20'")
    assert store.load_case(case_id).white_count == 7.2


def test_signing_right_after_typing_notes_is_refused_and_the_notes_stay_also_when_the_case_is_left(open_notes):
    page, store, case_id = open_notes
    box = page.get_by_role("textbox", name="Notes")
    box.press_sequentially("typed, not saved")
    page.get_by_label("Reviewer's name").fill("Dr. Ruiz")
    page.get_by_role("button", name="Sign and lock the case").click()
    page.get_by_text("Your notes are not saved yet").wait_for()
    settle(page)
    assert box.input_value() == "typed, not saved" and store.load_case(case_id).state == "open"
    page.get_by_role("button", name="All cases").click()
    page.locator(f".st-key-cases_open_{case_id} button").click()
    box.wait_for()
    assert box.input_value() == "typed, not saved", "and its box is unfolded"

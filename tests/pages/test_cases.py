"""The page Cases: empty, a list, one case open and signed, two compared, and what can go wrong."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bloodcell.cases import OTHER, Choice, open_store
from bloodcell.cases.backup import restore_backup, write_backup
from bloodcell.cases.reports import RESEARCH_USE
from tests.made_cases import make_answer, make_image

LONG_ADDRESS = f"{'long' * 20}@example.org"
PAGE = Path(__file__).parents[2] / "pages" / "cases.py"


@pytest.fixture
def empty_shelf(tmp_path, monkeypatch):
    """No trained model: the page must do without."""
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "none"))


@pytest.fixture
def make_case(empty_shelf):
    """Return a function that fills a case in the store that the page uses."""

    def make(identifier="Smear 1", labels=("neutrophil",) * 3 + ("lymphocyte",), decided=0):
        store = open_store()
        case_id = store.create_case(identifier, "Ana")
        offset = sum(map(ord, identifier)) * 1000
        answers = [[make_answer(label)] for label in labels]
        store.add_images(case_id, [make_image(offset + n) for n in range(len(labels))], answers, "Ana")
        case = store.load_case(case_id)
        if decided:
            choices = [Choice(cell.id, cell.answer.label) for cell in case.cells[:decided]]
            store.decide(case_id, choices, "Ana", case.num_records)
        return case_id

    return make


def open_page(*case_ids):
    at = AppTest.from_file(str(PAGE), default_timeout=120)
    if case_ids:
        at.query_params["case"] = list(case_ids)
    return at.run()


def words(at):
    """Return everything that the page says, as one text without the backslashes of escaped Markdown."""
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error, at.success, at.header, at.subheader, at.title)
    return "\n".join(str(element.value) for kind in kinds for element in kind).replace("\\", "")


def address(at):
    """Return the cases in the address."""
    value = at.query_params.get("case", [])
    return [value] if isinstance(value, str) else value


def click(at, label, key=None):
    button = next(b for b in at.button if b.label == label and (key is None or b.key == key))
    return button.click().run()


def test_an_empty_list_says_how_to_begin(empty_shelf):
    at = open_page()
    assert not at.exception
    assert "No case yet" in words(at) and RESEARCH_USE in words(at)


def test_a_case_is_started_and_opens(empty_shelf):
    at = open_page()
    at.text_input(key="cases_new_identifier").set_value("Präparat 7 *x*")
    at.text_area(key="cases_new_notes").set_value("first")
    click(at, "Start the case")
    assert not at.exception
    case = open_store().list_cases()[0]
    assert (case.identifier, case.notes) == ("Präparat 7 *x*", "first")
    assert address(at) == [case.id]
    assert "no cells yet" in words(at) and "Präparat 7 *x*" in words(at)


def test_a_taken_or_empty_identifier_is_refused_in_words(make_case):
    make_case("Smear 1")
    at = open_page()
    at.text_input(key="cases_new_identifier").set_value("Smear 1")
    click(at, "Start the case")
    assert "already a case" in words(at)
    at.text_input(key="cases_new_identifier").set_value("   ")
    click(at, "Start the case")
    assert "needs an identifier" in words(at)
    assert len(open_store().list_cases()) == 1


def test_the_list_is_searched_and_filtered(make_case):
    make_case("Smear 1")
    signed = make_case("Smear 2", labels=("neutrophil",), decided=1)
    store = open_store()
    store.sign_off(signed, "Dr. Ruiz", True, store.newest_record(signed))
    at = open_page()
    assert "Smear 1" in words(at) and "signed by Dr. Ruiz" in words(at)
    assert [b.label for b in at.button if b.key.startswith("cases_open_")] == ["Open", "Open"]
    at.text_input(key="cases_search").set_value("ruiz").run()
    assert "Smear 2" in words(at) and "Smear 1" not in words(at)
    at.text_input(key="cases_search").set_value("nothing").run()
    assert "No case matches" in words(at)


def test_a_case_begun_can_be_resumed(make_case):
    case_id = make_case(decided=2)
    at = open_page()
    assert "2 of 4 cells reviewed" in words(at)
    click(at, "Resume")
    assert address(at) == [case_id]
    assert not at.exception and "4 white cells" in words(at) and "preliminary" in words(at)


def test_an_open_case_shows_review_differential_sign_off_and_reports(make_case):
    case_id = make_case(decided=1)
    at = open_page(case_id)
    assert not at.exception
    text = words(at)
    assert "Only 4 white cells: below 100" in text and "Grey: adult ranges of" in text and RESEARCH_USE in text
    assert "Sign-off" in [subheader.value for subheader in at.subheader]
    offered = ["PDF", "Cells, CSV", "Differential, CSV", "JSON", "Labelled set"]
    assert [button.label for button in at.get("download_button") if button.label != "CSV"] == offered
    store = open_store()
    case = store.load_case(case_id)
    store.decide(case_id, [Choice(case.cells[1].id, "platelet")], "Ana", case.num_records)
    labels = [button.label for button in at.run().get("download_button") if button.label != "CSV"]
    assert labels == [*offered, "Corrections only"], "an empty set of corrections is not offered"


def test_the_same_case_twice_in_the_address_is_that_case(make_case):
    case_id = make_case(decided=1)
    at = open_page(case_id, case_id)
    assert not at.exception and "4 white cells" in words(at)


def test_sign_off_is_refused_then_done_and_locks(make_case):
    case_id = make_case(decided=3)
    at = open_page(case_id)
    at.text_input(key=f"cases_sign_name_{case_id}").set_value("Dr. Ruiz")
    click(at, "Sign and lock the case")
    assert "cannot be signed yet: 1 cell is not reviewed (no. 4)" in words(at)
    store = open_store()
    case = store.load_case(case_id)
    store.decide(case_id, [Choice(case.cells[3].id, OTHER, "blast")], "Ana", case.num_records)
    at.run()
    at.text_input(key=f"cases_sign_name_{case_id}").set_value("  ")
    click(at, "Sign and lock the case")
    assert "needs the reviewer's name" in words(at)
    at.text_input(key=f"cases_sign_name_{case_id}").set_value("Dr. Ruiz")
    at.radio(key=f"cases_sign_pictures_{case_id}").set_value("drop")
    click(at, "Sign and lock the case")
    assert "Signed by Dr. Ruiz" in words(at) and "dropped at sign-off" in words(at)
    after = store.load_case(case_id)
    assert (after.state, after.has_pixels) == ("signed", False)
    assert not [b for b in at.button if b.label == "Sign and lock the case"]


def test_what_changed_unseen_is_not_signed(make_case):
    case_id = make_case(decided=4)
    at = open_page(case_id)
    store = open_store()
    case = store.load_case(case_id)
    store.decide(case_id, [Choice(case.cells[0].id, "basophil")], "Ben", case.num_records)
    at.text_input(key=f"cases_sign_name_{case_id}").set_value("Dr. Ruiz")
    click(at, "Sign and lock the case")
    assert "Ben said 'basophil' of cell no. 1" in words(at)
    assert store.load_case(case_id).state == "open"


def test_a_signed_case_is_reopened_with_a_reason(make_case):
    case_id = make_case(decided=4)
    store = open_store()
    store.sign_off(case_id, "Dr. Ruiz", True, store.newest_record(case_id))
    at = open_page(case_id)
    click(at, "Reopen the case")
    assert "needs a reason" in words(at)
    at.text_input(key="cases_sign_reason").set_value("second opinion")
    click(at, "Reopen the case")
    assert "open again" in words(at)
    assert store.load_case(case_id).records[-1].text == "second opinion"


def test_notes_and_white_count_are_kept(make_case):
    case_id = make_case(decided=4)
    at = open_page(case_id)
    at.number_input(key=f"cases_white_{case_id}").set_value(6.4).run()
    assert open_store().load_case(case_id).white_count == 6.4
    notes(at).set_value("second smear").run()
    click(at, "Save the notes")
    assert open_store().load_case(case_id).notes == "second smear" and "notes are saved" in words(at)
    notes(at).set_value("third smear")
    click(at, "Save the notes")
    assert open_store().load_case(case_id).notes == "third smear", "typed and clicked at once"
    assert notes(at).value == "third smear"


def notes(at):
    """Return the box of the notes of the case that is open."""
    return next(area for area in at.text_area if area.key.startswith("cases_notes_"))


def test_notes_that_two_people_write_are_both_seen_and_neither_is_lost(make_case):
    case_id, store = make_case(), open_store()
    at = open_page(case_id)
    notes(at).set_value("Ana's").run()
    store.change_notes(case_id, "Ben's", "Ben", "")
    at.run()
    text = "\n".join(element.value for element in at.text)
    assert "Ben changed the notes meanwhile" in words(at) and text == "Ben's"
    assert notes(at).value == "Ana's", "what somebody is writing stays"
    assert not [button for button in at.button if button.label == "Save the notes"]
    click(at, "Save mine in their place")
    assert store.load_case(case_id).notes == "Ana's" and "changed the notes meanwhile" not in words(at)


def test_notes_changed_since_the_page_was_drawn_are_not_written_over(make_case):
    case_id, store = make_case(), open_store()
    at = open_page(case_id)
    store.change_notes(case_id, "Ben's", "Ben", "")
    notes(at).set_value("Ana's")
    click(at, "Save the notes")
    assert store.load_case(case_id).notes == "Ben's" and "Yours were not saved" in words(at)
    assert notes(at).value == "Ana's"
    click(at, "Drop mine, edit these")
    assert notes(at).value == "Ben's" and "changed the notes meanwhile" not in words(at)
    notes(at).set_value("Ben's and Ana's")
    click(at, "Save the notes")
    assert store.load_case(case_id).notes == "Ben's and Ana's"


def test_notes_that_are_not_saved_are_not_left_out_of_what_is_signed(make_case):
    case_id, store = make_case(decided=4), open_store()
    at = open_page(case_id)
    notes(at).set_value("typed, not saved")
    at.text_input(key=f"cases_sign_name_{case_id}").set_value("Dr. Ruiz")
    click(at, "Sign and lock the case")
    assert "Your notes are not saved yet" in words(at) and store.load_case(case_id).state == "open"
    assert notes(at).value == "typed, not saved"
    click(at, "Save the notes")
    click(at, "Sign and lock the case")
    case = store.load_case(case_id)
    assert (case.state, case.notes) == ("signed", "typed, not saved")


def test_notes_that_are_not_saved_are_there_when_the_case_is_opened_again(make_case):
    case_id, other, store = make_case(), make_case("Smear 2"), open_store()
    at = open_page(case_id)
    notes(at).set_value("typed, not saved").run()
    click(at, "All cases")
    click(at, "Open", f"cases_open_{other}")
    assert notes(at).value == ""
    click(at, "All cases")
    click(at, "Open", f"cases_open_{case_id}")
    assert notes(at).value == "typed, not saved"
    click(at, "All cases")
    store.change_notes(case_id, "Ben's", "Ben", "")
    click(at, "Open", f"cases_open_{case_id}")
    assert notes(at).value == "typed, not saved" and "Ben changed the notes meanwhile" in words(at)
    click(at, "Drop mine, edit these")
    assert notes(at).value == "Ben's"


@pytest.mark.parametrize("meanwhile", [False, True])
def test_ones_own_white_count_hinders_no_signature_but_anothers_change_does(make_case, meanwhile):
    case_id, store = make_case(decided=4), open_store()
    at = open_page(case_id)
    at.text_input(key=f"cases_sign_name_{case_id}").set_value("Dr. Ruiz")
    if meanwhile:
        store.set_white_count(case_id, 7.2, "Ben")
    at.number_input(key=f"cases_white_{case_id}").set_value(6.4)
    click(at, "Sign and lock the case")
    case = store.load_case(case_id)
    assert (case.state, case.white_count) == ("open" if meanwhile else "signed", 6.4)
    assert ("because it changed meanwhile" in words(at)) == meanwhile


def test_a_white_count_that_was_so_already_hides_no_change_of_another(make_case):
    case_id, store = make_case(decided=4), open_store()
    at = open_page(case_id)
    at.text_input(key=f"cases_sign_name_{case_id}").set_value("Dr. Ruiz")
    store.set_white_count(case_id, 6.4, "Ben")
    at.number_input(key=f"cases_white_{case_id}").set_value(6.4)
    click(at, "Sign and lock the case")
    assert store.load_case(case_id).state == "open" and "because it changed meanwhile" in words(at)


def test_a_white_count_that_somebody_else_corrects_reaches_the_field(make_case):
    case_id, store = make_case(), open_store()
    at = open_page(case_id)
    field = f"cases_white_{case_id}"
    assert at.number_input(key=field).value is None
    at.number_input(key=field).set_value(6.4).run()
    store.set_white_count(case_id, 7.2, "Ben")
    at.run()
    assert at.number_input(key=field).value == 7.2
    store.set_white_count(case_id, None, "Ben")
    at.run()
    assert at.number_input(key=field).value is None
    assert [record.reviewer for record in store.load_case(case_id).records[-2:]] == ["Ben", "Ben"]


def test_a_white_count_that_cannot_be_kept_leaves_the_field(make_case):
    case_id, store = make_case(decided=4), open_store()
    at = open_page(case_id)
    store.sign_off(case_id, "Dr. Ruiz", True, store.newest_record(case_id))
    at.number_input(key=f"cases_white_{case_id}").set_value(6.4).run()
    assert "was signed by Dr. Ruiz" in words(at)
    assert at.number_input(key=f"cases_white_{case_id}").value is None


def test_deleting_asks_first(make_case):
    case_id = make_case()
    at = open_page(case_id)
    click(at, "Delete")
    assert "will be gone" in words(at) and open_store().list_cases()
    click(at, "Delete for good")
    assert open_store().list_cases() == [] and "case" not in at.query_params
    assert "was deleted" in words(at)


def test_two_cases_are_compared(make_case):
    first = make_case("Monday", labels=("neutrophil",) * 40 + ("lymphocyte",) * 10)
    second = make_case("Friday", labels=("neutrophil",) * 10 + ("lymphocyte",) * 40)
    at = open_page()
    for case_id in (first, second):
        at.checkbox(key=f"cases_tick_{case_id}").check().run()
    click(at, "Compare the two that are ticked")
    assert not at.exception and "Clearly different" in words(at)
    assert "neutrophil −60.0 points" in words(at) or "neutrophil +60.0 points" in words(at)


def test_two_cases_on_different_pages_of_the_list_are_compared(make_case):
    ids = [make_case(f"case {number}", labels=("neutrophil",) * 5) for number in range(13)]
    at = open_page()
    at.checkbox(key=f"cases_tick_{ids[-1]}").check().run()
    assert "Tick two cases to compare them (1 is ticked)" in [button.label for button in at.button]
    at.session_state["cases_page"] = 2
    at.run()
    at.checkbox(key=f"cases_tick_{ids[0]}").check().run()
    click(at, "Compare the two that are ticked")
    assert not at.exception and "No clear difference" in words(at)


def test_a_name_that_is_given_later_is_offered_for_signing(make_case):
    case_id = make_case(decided=4)
    at, field = open_page(case_id), f"cases_sign_name_{case_id}"
    assert at.text_input(key=field).value == ""
    at.text_input(key="reviewer").set_value("Dr. Ruiz").run()
    assert at.text_input(key=field).value == "Dr. Ruiz"
    at.text_input(key="reviewer").set_value("Dr. Okoye").run()
    assert at.text_input(key=field).value == "Dr. Okoye"


def test_a_deleted_case_in_the_address_is_a_sentence(empty_shelf):
    at = open_page("0" * 32)
    assert not at.exception and "This case is not there" in words(at)
    click(at, "To the list of cases")
    assert "No case yet" in words(at)


def test_a_database_that_cannot_be_used_is_a_sentence(empty_shelf, tmp_path, monkeypatch):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "cases.sqlite").write_bytes(b"no database" * 100)
    monkeypatch.setenv("BLOODCELL_HOME", str(tmp_path / "bad"))
    at = open_page()
    assert not at.exception and "cannot be used" in words(at) and RESEARCH_USE in words(at)


def test_images_are_added_without_a_model_and_wrong_ones_are_named(empty_shelf):
    from bloodcell.cases import encode_pixels

    case_id = open_store().create_case("S", "Ana")
    at = open_page(case_id)
    at.file_uploader[0].upload("good.png", encode_pixels(make_image(1).pixels), "image/png")
    at.file_uploader[0].upload("bad.png", b"text", "image/png")
    at.run()
    click(at, "Add 2 to this case")
    assert "1 cell was added, 1 file could not be read" in words(at) and "bad.png" in words(at)
    assert [cell.file for cell in open_store().load_case(case_id).cells] == ["good.png"]


def test_more_files_than_a_session_keeps_are_left_out_of_a_case(empty_shelf, monkeypatch):
    from bloodcell.cases import encode_pixels
    from bloodcell.views import uploads

    case_id = open_store().create_case("S", "Ana")
    content = encode_pixels(make_image(1).pixels)
    monkeypatch.setattr(uploads, "MAXIMUM_SESSION_BYTES", len(content))
    at = open_page(case_id)
    for name in ("one.png", "two.png"):
        at.file_uploader[0].upload(name, content, "image/png")
    at.run()
    assert "1 file was left out. Add the rest afterwards" in words(at)
    click(at, "Add 1 to this case")
    assert [cell.file for cell in open_store().load_case(case_id).cells] == ["one.png"]


def test_what_the_server_holds_of_a_file_is_freed(monkeypatch):
    from types import SimpleNamespace

    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
    from streamlit.runtime.uploaded_file_manager import UploadedFileRec

    from bloodcell.views import components_cases

    manager = MemoryUploadedFileManager("/upload")
    for file_id in ("a", "b"):
        manager.add_file("mine", UploadedFileRec(file_id, f"{file_id}.png", "image/png", b"data"))
    context = SimpleNamespace(session_id="mine", uploaded_file_mgr=manager)
    monkeypatch.setattr(components_cases, "get_script_run_ctx", lambda: context)
    components_cases.forget_uploads(["a", "unknown"])
    assert [record.file_id for record in manager.get_files("mine", ["a", "b"])] == ["b"]


def test_a_backup_is_restored(make_case, tmp_path):
    case_id = make_case("Smear 1", decided=2)
    write_backup(open_store(), tmp_path / "b")
    open_store().delete_case(case_id)
    at = open_page()
    assert "cases restore FILE" in words(at), "the way for a backup that is too large for the browser"
    at.file_uploader(key="cases_restore_file").upload("b", (tmp_path / "b").read_bytes(), "application/octet-stream")
    at.text_input(key="reviewer").set_value("Dr. Cem").run()
    click(at, "Restore what is not here")
    assert "1 case was restored." in words(at)
    case = open_store().load_case(case_id)
    assert case.num_reviewed == 2
    assert case.restored.text == "from the backup b" and case.restored.reviewer == "Dr. Cem"


def test_a_signed_case_that_was_restored_says_so(make_case, tmp_path):
    case_id = make_case(decided=4)
    store = open_store()
    store.sign_off(case_id, "Dr. Ruiz", True, store.newest_record(case_id))
    assert "restored" not in signature(open_page(case_id))
    write_backup(store, tmp_path / "b")
    store.delete_case(case_id)
    restore_backup(store, tmp_path / "b", "Dr. Cem")
    at = open_page(case_id)
    assert "Signed by **Dr. Ruiz**" in signature(at)
    assert "It was restored from the backup b by **Dr. Cem**" in signature(at)
    history = next(frame.value for frame in at.dataframe if "undoes no." in frame.value.columns)
    assert history[["who", "what"]].iloc[0].tolist() == ["Dr. Cem", "restored"]


def signature(at):
    """Return what the page says of the signature."""
    return next(str(one.value) for one in at.success if "Signed by" in one.value).replace("\\", "")


def test_the_reviewers_name_stands_in_the_records(make_case):
    case_id = make_case()
    at = open_page(case_id)
    at.text_input(key="reviewer").set_value("Dr. Ben").run()
    at.number_input(key=f"cases_white_{case_id}").set_value(5.0).run()
    assert open_store().load_case(case_id).records[-1].reviewer == "Dr. Ben"


def test_a_login_gives_the_name(make_case):
    case_id = make_case()
    at = AppTest.from_file(str(PAGE), default_timeout=120)
    at.user = {"is_logged_in": True, "name": "Dr. Login", "email": "login@example.org"}
    at.query_params["case"] = case_id
    at.run()
    assert "Reviewing as **Dr. Login <login@example.org>**" in words(at)
    at.number_input(key=f"cases_white_{case_id}").set_value(5.0).run()
    assert open_store().load_case(case_id).records[-1].reviewer == "Dr. Login <login@example.org>"


def test_a_login_signs_under_its_own_name(make_case):
    who = f"Dr. *Login* <{LONG_ADDRESS}>"
    case_id = make_case(decided=4)
    at = AppTest.from_file(str(PAGE), default_timeout=120)
    at.user = {"is_logged_in": True, "name": "Dr. *Login*", "email": LONG_ADDRESS}
    at.query_params["case"] = case_id
    at.run()
    assert f"Reviewing as **{who}**" in words(at)  # words() drops the backslashes that keep the stars plain
    name = at.text_input(key=f"cases_sign_name_{case_id}")
    assert (name.value, name.disabled) == (who, True)
    click(at, "Sign and lock the case")
    assert open_store().load_case(case_id).signed_by == who


@pytest.mark.parametrize(
    "claims, who",
    [
        ({"name": "Ana", "email": "a@lab.example", "sub": "17"}, "Ana <a@lab.example>"),
        ({"name": "Ana", "email": "b@lab.example", "sub": "18"}, "Ana <b@lab.example>"),
        ({"name": "Ana", "sub": "17"}, "Ana <17>"),
        ({"email": "a@lab.example", "sub": "17"}, "a@lab.example"),
        ({"name": "a@lab.example", "email": "a@lab.example"}, "a@lab.example"),
        ({"sub": "17"}, "17"),
        ({"name": " Ana\n", "email": ""}, "Ana"),
        ({}, None),
    ],
)
def test_two_accounts_are_never_one_reviewer(claims, who, monkeypatch):
    import streamlit as st

    from bloodcell.views.components_review import login_name

    class User(dict):
        is_logged_in = True

    monkeypatch.setattr(st, "user", User(claims))
    assert login_name() == who


def test_a_colleague_of_the_same_name_undoes_nothing_of_mine(make_case):
    from bloodcell.cases.records import undoable_moves

    case_id = make_case()
    store = open_store()
    case = store.load_case(case_id)
    store.decide(case_id, [Choice(case.cells[0].id, "neutrophil")], "Ana <a@lab.example>", case.num_records)
    records = store.load_case(case_id).records
    assert undoable_moves(records, "Ana <a@lab.example>") == [records[-1:]]
    assert undoable_moves(records, "Ana <b@lab.example>") == []


def test_a_login_without_any_claim_says_which_are_missing(make_case):
    case_id = make_case()
    at = AppTest.from_file(str(PAGE), default_timeout=120)
    at.secrets["auth"] = {"redirect_uri": "https://lab.example.org/oauth2callback"}
    at.user = {"is_logged_in": True}
    at.query_params["case"] = case_id
    at.run()
    assert not at.exception
    assert "none of the claims `name`, `email`, `sub`" in words(at) and "Smear 1" not in words(at)
    assert [button.label for button in at.button if button.key == "cases_login"] == ["Log out"]


def test_where_a_login_is_configured_cases_wait_for_it(make_case):
    case_id = make_case()
    at = AppTest.from_file(str(PAGE), default_timeout=120)
    at.secrets["auth"] = {"redirect_uri": "https://lab.example.org/oauth2callback"}
    at.query_params["case"] = case_id
    at.run()
    assert not at.exception
    assert "asks who you are" in words(at) and "Smear 1" not in words(at)
    assert "Afterwards you are on the Overview: open this address again." in words(at), "Streamlit returns there"
    assert [button.label for button in at.button if button.key == "cases_login"] == ["Log in"]
    at.user = {"is_logged_in": True, "name": "Dr. Login"}
    at.run()
    assert "Smear 1" in words(at)


def test_settings_of_the_login_that_cannot_be_read_keep_cases_closed(make_case, tmp_path, monkeypatch):
    import streamlit as st
    from streamlit.runtime.secrets import Secrets

    (tmp_path / "secrets.toml").write_text("[auth")
    files = {"secrets.files": [str(tmp_path / "secrets.toml")]}
    monkeypatch.setattr(st, "get_option", lambda name, known=st.get_option: files.get(name) or known(name))
    monkeypatch.setattr(Secrets, "load_if_toml_exists", lambda _: False)
    at = open_page(make_case())
    assert "Cases stay closed" in words(at) and "Smear 1" not in words(at)


@pytest.fixture
def offer(empty_shelf, monkeypatch):
    """Return a function that drops files beside the way from Classify to a case, and the cases that were opened."""
    import streamlit as st

    from bloodcell.cases import encode_pixels

    gone: list[dict] = []
    monkeypatch.setattr(st, "switch_page", lambda page, query_params: gone.append(query_params))

    def script():
        import streamlit as st

        from bloodcell.views.components_cases import offer_case
        from bloodcell.views.intake import GivenFile

        files = st.file_uploader("Files", accept_multiple_files=True, key="files")
        given = [GivenFile(file.name, file.getvalue()) for file in files]
        offer_case(given, len(given), key="try", on_kept=lambda: st.session_state.update(is_over=True))

    def drop(num_files):
        at = AppTest.from_function(script, default_timeout=60).run()
        for number in range(num_files):
            at.file_uploader[0].upload(f"{number}.png", encode_pixels(make_image(number).pixels), "image/png")
        return at.run()

    return drop, gone


def test_files_dropped_on_classify_become_a_case(offer):
    """The way on from Classify: what would be kept, an identifier, one click, and the review of what was dropped."""
    drop, gone = offer
    at = drop(3)
    assert "3 cells of 3 files: 0.png, 1.png, 2.png" in words(at)
    assert at.button(key="try_go").disabled
    at.text_input(key="try_identifier").set_value("Smear 9").run()
    assert not at.warning
    click(at, "Keep and review")
    case = open_store().list_cases()[0]
    assert (case.identifier, case.num_cells, gone) == ("Smear 9", 3, [{"case": case.id}])
    assert at.session_state["is_over"], "what was kept does not stay on Classify for the next case"


@pytest.mark.parametrize(
    "address, where",
    [
        ("", "are stored, without metadata, on the computer that runs this dashboard."),
        ("sqlite:////data/cases.sqlite", "are stored, without metadata, on the computer that runs this dashboard."),
        ("postgresql://lab@server/cases", "are stored, without metadata, in the laboratory's database."),
    ],
)
def test_where_images_are_kept_is_said(address, where, monkeypatch):
    from bloodcell.views.components_cases import describe_keeping

    monkeypatch.setenv("BLOODCELL_DATABASE_URL", address)
    said = describe_keeping()
    assert where in said and "Their file names are kept and stand in reports" in said


def test_what_is_kept_is_said_before_it_is_kept(offer, empty_shelf):
    """A viewer may sit elsewhere, and a file's name may be a patient's."""
    drop, _ = offer
    case_id = open_store().create_case("S", "Ana")
    for said in (words(drop(1)), words(open_page(case_id))):
        assert "Their file names are kept and stand in reports: use names without patients' data." in said
        assert "leaves this machine" not in said


def test_a_login_from_classify_says_that_images_have_to_be_dropped_again(offer):
    drop, _ = offer
    at = drop(1)
    at.secrets["auth"] = {"redirect_uri": "https://lab.example.org/oauth2callback"}
    at.run()
    assert "try_login" in [button.key for button in at.button]
    assert "you are on the Overview" in words(at) and "drop your images again" in words(at)


def test_many_files_are_named_in_short(offer):
    drop, _ = offer
    assert "10 cells of 10 files: 0.png, 1.png, 2.png, 3.png, 4.png, 5.png, 6.png, 7.png and 2 more" in words(drop(10))


def test_cells_go_into_a_case_that_is_there_only_after_a_question(offer, make_case):
    drop, gone = offer
    case_id = make_case("Smear 1")
    at = drop(2)
    at.text_input(key="try_identifier").set_value("Smear 10").run()
    at.text_input(key="try_identifier").set_value("Smear 1")
    at.button(key="try_go").click().run()  # typed and clicked at once: the question comes first
    assert "Smear 1** is there already (open, 0 of 4 cells reviewed)" in words(at)
    assert at.button(key="try_go").disabled and not gone
    assert open_store().load_case(case_id).num_cells == 4
    at.checkbox(key=f"try_add_{case_id}").check().run()
    click(at, "Keep and review")
    assert open_store().load_case(case_id).num_cells == 6 and gone == [{"case": case_id}]


def test_a_signed_case_takes_nothing_from_classify(offer, make_case):
    drop, gone = offer
    case_id = make_case("Smear 1", decided=4)
    store = open_store()
    store.sign_off(case_id, "Dr. Ruiz", True, store.newest_record(case_id))
    at = drop(1)
    at.text_input(key="try_identifier").set_value("Smear 1").run()
    assert "signed by Dr. Ruiz" in words(at) and "locked" in words(at)
    assert at.button(key="try_go").disabled and not gone and "is_over" not in at.session_state

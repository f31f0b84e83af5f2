"""All cases go into one file and come back from it, from either kind of database into either."""

import csv
import io
import json
import sqlite3
from dataclasses import replace

import pytest
import sqlalchemy as sa
from pypdf import PdfReader

from bloodcell.cases import CaseStore, Choice
from bloodcell.cases.backup import restore_backup, write_backup
from bloodcell.cases.pdf import write_pdf
from bloodcell.cases.reports import write_differential_csv, write_json
from bloodcell.errors import CaseDatabaseError, StorageError


@pytest.fixture
def other(tmp_path):
    """A second, empty database."""
    return CaseStore(sa.engine.make_url(f"sqlite:///{tmp_path / 'other' / 'cases.sqlite'}"))


def review(store, case_id):
    case = store.load_case(case_id)
    store.decide(case_id, [Choice(cell.id, "monocyte") for cell in case.cells], "Ana", case.num_records)


def without_restore(case):
    """Return a case as it was before its newest record, which must be that of a restore."""
    assert case.records[-1].action == "restored" and case.records[-1].number == case.num_records
    return replace(case, records=case.records[:-1], num_records=case.num_records - 1)


def test_a_backup_brings_everything_back(store, make_case, other, tmp_path):
    first, second = make_case("Präparat 1"), make_case("Smear 2")
    review(store, first)
    store.sign_off(first, "Dr. Ruiz", keep_images=True, seen=store.newest_record(first))
    write_backup(store, tmp_path / "all.bloodcell")
    restored = restore_backup(other, tmp_path / "all.bloodcell", "Cem")
    assert set(restored.identifiers) == {"Präparat 1", "Smear 2"} and restored.present == () and restored.renamed == {}
    for case_id in (first, second):
        assert without_restore(other.load_case(case_id)) == store.load_case(case_id)
        assert other.load_pictures(case_id) == store.load_pictures(case_id)
        assert other.load_images(case_id) == store.load_images(case_id)
    assert [replace(case, num_records=case.num_records - 1) for case in other.list_cases()] == store.list_cases()
    assert [path.name for path in tmp_path.glob("*.bloodcell*")] == ["all.bloodcell"], "one file, nothing beside it"


def test_a_restored_case_says_who_restored_it_and_stays_signed(store, make_case, other, tmp_path):
    """A backup can be forged, a signature in it too: what a file says is not taken for what was done here."""
    case_id = make_case()
    review(store, case_id)
    store.sign_off(case_id, "Dr. Ruiz", keep_images=True, seen=store.newest_record(case_id))
    assert store.load_case(case_id).restored is None
    write_backup(store, tmp_path / "all.bloodcell")
    with sqlite3.connect(tmp_path / "all.bloodcell") as forged:
        forged.execute("UPDATE cases SET signed_by = 'Dr. Nobody', num_records = 2")
    restore_backup(other, tmp_path / "all.bloodcell", "Cem", "night.backup")
    case = other.load_case(case_id)
    record = case.records[-1]
    assert (record.action, record.reviewer, record.text) == ("restored", "Cem", "from the backup night.backup")
    assert case.restored == record and record.time > case.changed
    assert [one.number for one in case.records] == list(range(1, case.num_records + 1))
    assert (case.state, case.signed_by) == ("signed", "Dr. Nobody")
    assert json.loads(write_json(case))["records"][-1]["action"] == "restored"
    row = next(csv.DictReader(io.StringIO(write_differential_csv(case).decode("utf-8-sig"))))
    assert (row["signed_by"], row["restored_by"], row["restored_at_utc"]) == ("Dr. Nobody", "Cem", record.time)


def test_the_pdf_says_that_a_case_was_restored_however_long_ago(store, make_case, tmp_path):
    case_id = make_case()
    review(store, case_id)
    write_backup(store, tmp_path / "b")
    store.delete_case(case_id)
    restore_backup(store, tmp_path / "b", "Cem")
    for number in range(4):
        store.sign_off(case_id, "Dr. Ruiz", True, store.newest_record(case_id))
        store.reopen(case_id, "Ana", f"reason {number}")
    text = PdfReader(io.BytesIO(write_pdf(store.load_case(case_id), {}))).pages[0].extract_text()
    assert "restored by Cem: from the backup b" in text and "reason 3" in text and "reason 1" not in text


def test_a_restore_needs_a_name(store, make_case, other, tmp_path):
    make_case()
    write_backup(store, tmp_path / "b")
    with pytest.raises(ValueError, match="who restores"):
        restore_backup(other, tmp_path / "b", " ")
    assert not other.list_cases()


def test_a_restored_case_goes_on(store, make_case, tmp_path):
    """Deleted and restored into the same database: it can be reviewed as before, and its records are still kept."""
    case_id = make_case()
    write_backup(store, tmp_path / "b")
    store.delete_case(case_id)
    restore_backup(store, tmp_path / "b", "Cem")
    review(store, case_id)
    assert store.load_case(case_id).num_reviewed == 3
    with store.engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="only ever added"):
        connection.execute(sa.text("DELETE FROM records"))


def test_what_is_here_stays_as_it_is(store, make_case, tmp_path):
    case_id = make_case()
    write_backup(store, tmp_path / "b")
    review(store, case_id)
    before = store.load_case(case_id)
    assert restore_backup(store, tmp_path / "b", "Cem").present == ("Smear 1",)
    assert store.load_case(case_id) == before


def test_a_taken_identifier_is_renamed_and_said_so(store, make_case, other, tmp_path):
    make_case("Smear 1")
    write_backup(store, tmp_path / "b")
    mine = other.create_case("Smear 1", "Ben")
    assert restore_backup(other, tmp_path / "b", "Cem").renamed == {"Smear 1": "Smear 1 (restored)"}
    assert {case.identifier for case in other.list_cases()} == {"Smear 1", "Smear 1 (restored)"}
    assert other.find_case("Smear 1").id == mine


def test_what_is_no_backup_changes_nothing(store, make_case, tmp_path):
    make_case()
    before = store.list_cases()
    write_backup(store, tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    with sqlite3.connect(tmp_path / "foreign") as connection:
        connection.execute("CREATE TABLE letters (a)")
    with sqlite3.connect(tmp_path / "newer") as connection:
        connection.execute("CREATE TABLE facts (name, value)")
        connection.execute("INSERT INTO facts VALUES ('schema', '99')")
    (tmp_path / "text").write_bytes(b"a letter")
    (tmp_path / "cut").write_bytes(good[: len(good) // 2])
    for name in ("foreign", "newer", "text", "cut", "missing"):
        with pytest.raises(CaseDatabaseError):
            restore_backup(store, tmp_path / name, "Cem")
        assert store.list_cases() == before
    assert (tmp_path / "good").read_bytes() == good


def test_a_backup_that_cannot_be_written_leaves_the_old_one(store, make_case, tmp_path):
    make_case()
    folder = tmp_path / "a file"
    folder.write_text("in the way")
    with pytest.raises(StorageError, match="could not be written"):
        write_backup(store, folder / "b")
    assert folder.read_text() == "in the way"

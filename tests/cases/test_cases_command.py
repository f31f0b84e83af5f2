"""`cases backup` and `cases restore`: JSON alone on standard output, nothing that is there is replaced."""

import json
import stat

import pytest

from bloodcell import __main__ as command_line
from bloodcell.cases import open_store
from tests.made_cases import make_answer, make_image


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Return a function that runs `cases` with a home of its own and gives (exit code, output, messages)."""

    def run_command(home, *arguments):
        monkeypatch.setenv("BLOODCELL_HOME", str(tmp_path / home))
        try:
            code = command_line.main(["cases", *map(str, arguments)])
        except SystemExit as ending:
            code = ending.code
        return code, *capsys.readouterr()

    monkeypatch.delenv("BLOODCELL_DATABASE_URL", raising=False)
    monkeypatch.setenv("BLOODCELL_HOME", str(tmp_path / "first"))
    return run_command


def start_case(identifier):
    store = open_store()
    case_id = store.create_case(identifier, "Ana")
    store.add_images(case_id, [make_image(1)], [[make_answer("monocyte")]], "Ana")
    return store.load_case(case_id)


def test_cases_go_into_a_file_and_come_back(run, tmp_path):
    case, file = start_case("Smear 1"), tmp_path / "night" / "b"
    code, out, messages = run("first", "backup", file)
    assert (code, json.loads(out)) == (0, {"file": str(file), "num_cases": 1, "num_bytes": file.stat().st_size})
    assert "1 case is in" in messages
    assert stat.S_IMODE(file.stat().st_mode) == 0o600, "cases are nobody else's business"
    code, out, messages = run("second", "restore", file, "--reviewer", "Dr. Cem")
    assert (code, json.loads(out)) == (0, {"identifiers": ["Smear 1"], "present": [], "renamed": {}})
    assert messages == "1 case was restored.\n"
    *before, restored = open_store().load_case(case.id).records
    assert tuple(before) == case.records
    assert (restored.reviewer, restored.text) == ("Dr. Cem", "from the backup b")
    code, out, messages = run("second", "restore", file)
    assert json.loads(out)["present"] == ["Smear 1"]
    assert messages == "0 cases were restored. 1 was here already and stayed as it is.\n"


def test_without_a_name_the_account_restores(run, tmp_path, monkeypatch):
    case = start_case("Smear 1")
    run("first", "backup", tmp_path / "b")
    monkeypatch.setattr("getpass.getuser", lambda: "labuser")
    run("second", "restore", tmp_path / "b")
    assert open_store().load_case(case.id).restored.reviewer == "labuser"


def test_where_nobody_has_a_name_nothing_is_restored(run, tmp_path, monkeypatch):
    def fail():
        raise KeyError("uid not found")

    start_case("Smear 1")
    run("first", "backup", tmp_path / "b")
    monkeypatch.setattr("getpass.getuser", fail)
    for arguments in ((), ("--reviewer", " ")):
        code, out, messages = run("second", "restore", tmp_path / "b", *arguments)
        assert (code, out) == (2, "") and "give --reviewer NAME" in messages
        assert not open_store().list_cases()


def test_an_identifier_that_is_taken_is_told(run, tmp_path, monkeypatch):
    start_case("Smear 1")
    run("first", "backup", tmp_path / "b")
    monkeypatch.setenv("BLOODCELL_HOME", str(tmp_path / "second"))
    mine = start_case("Smear 1")
    code, out, messages = run("second", "restore", tmp_path / "b")
    assert (code, json.loads(out)["renamed"]) == (0, {"Smear 1": "Smear 1 (restored)"})
    assert "Smear 1 is now called Smear 1 (restored)." in messages
    assert open_store().load_case(mine.id) == mine


def test_a_file_that_is_there_is_not_replaced(run, tmp_path):
    start_case("Smear 1")
    (tmp_path / "b").write_text("mine")
    code, out, messages = run("first", "backup", tmp_path / "b")
    assert (code, out) == (1, "") and "was not replaced. Choose another name" in messages
    assert (tmp_path / "b").read_text() == "mine"


@pytest.mark.parametrize("content", [None, b"a letter"])
def test_what_is_no_backup_is_a_sentence_and_changes_nothing(run, tmp_path, content):
    case = start_case("Smear 1")
    if content is not None:
        (tmp_path / "b").write_bytes(content)
    code, out, messages = run("first", "restore", tmp_path / "b")
    assert (code, out) == (1, "") and len(messages.splitlines()) == 1
    assert open_store().load_case(case.id) == case


@pytest.mark.parametrize("arguments", [(), ("backup",), ("restore",), ("forget", "b"), ("backup", "a", "b")])
def test_wrong_usage_ends_with_2(run, arguments):
    code, out, messages = run("first", *arguments)
    assert (code, out) == (2, "") and "usage" in messages

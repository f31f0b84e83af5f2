"""Decisions survive a killed process, and several writers at once lose nothing."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from bloodcell.cases import CaseStore, Choice
from bloodcell.errors import CaseChangedError, CaseDatabaseError
from tests.made_cases import make_answer, make_image

# Decides on one cell after the other and says so after each; it is killed while it does.
WORKER = """
import itertools, sys
from bloodcell.cases import Choice, open_store
store = open_store()
case = store.load_case(sys.argv[1])
seen = case.num_records
for cell in itertools.cycle(case.cells):
    seen = store.decide(case.id, [Choice(cell.id, "monocyte")], sys.argv[2], seen, None)
    print(seen, flush=True)
"""


def test_a_killed_process_loses_no_decision_that_was_reported(store, make_case):
    case_id = make_case(labels=("monocyte",) * 5)
    process = subprocess.Popen([sys.executable, "-c", WORKER, case_id, "Ana"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    reported = [int(process.stdout.readline()) for _ in range(12)]
    os.kill(process.pid, signal.SIGKILL)
    reported += [int(line) for line in process.stdout if line.strip()]
    process.wait()
    again = CaseStore()
    case = again.load_case(case_id)
    assert reported[-1] in (len(case.records), len(case.records) - 1), "at most the one on its way is unreported"
    assert [record.number for record in case.records] == list(range(1, len(case.records) + 1))
    assert case.num_reviewed == sum(cell.status == "reviewed" for cell in case.cells) == 5
    again.decide(case_id, [Choice(case.cells[0].id, "basophil")], "Ben", case.num_records)


def test_two_programs_write_at_once_and_nothing_is_lost(store, make_case):
    case_ids = [make_case("one", labels=("monocyte",) * 4), make_case("two", labels=("monocyte",) * 4)]
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, case_id, "Ana"], stdout=subprocess.PIPE, text=True)
        for case_id in case_ids
    ]
    last = {}
    for case_id, worker in zip(case_ids, workers, strict=True):
        assert worker.stdout is not None
        last[case_id] = [int(worker.stdout.readline()) for _ in range(10)][-1]
        worker.kill()
        worker.communicate()
    for case_id in case_ids:
        case = store.load_case(case_id)
        assert len(case.records) >= last[case_id]
        assert [record.number for record in case.records] == list(range(1, len(case.records) + 1))


def test_of_reviewers_who_saw_the_same_screen_one_is_first(store, make_case):
    """Eight threads judge the same cell at once, all having seen the same: one decision stands, seven are told."""
    case_id = make_case(labels=("monocyte",))
    cell, seen = store.load_case(case_id).cells[0], store.newest_record(case_id)
    outcomes: list[str] = []
    gate = threading.Barrier(8)

    def judge(name: str) -> None:
        gate.wait()
        try:
            store.decide(case_id, [Choice(cell.id, "basophil")], name, seen)
            outcomes.append("saved")
        except CaseChangedError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=judge, args=(f"Reviewer {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("saved") == 1 and len(outcomes) == 8
    case = store.load_case(case_id)
    assert len(case.records) == seen + 1
    assert sum(f"{case.records[-1].reviewer} said 'basophil'" in outcome for outcome in outcomes) == 7


def test_reviewers_of_different_cells_do_not_disturb_each_other(store, make_case):
    case_id = make_case(labels=("monocyte",) * 6)
    case = store.load_case(case_id)
    failures: list[Exception] = []

    def judge(name: str, cells: tuple) -> None:
        try:
            for cell in cells:
                store.decide(case_id, [Choice(cell.id, "basophil")], name, case.num_records)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=judge, args=(name, case.cells[n::2])) for n, name in enumerate(("Ana", "Ben"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = store.load_case(case_id)
    assert not failures and after.num_reviewed == 6
    assert [cell.decision.reviewer for cell in after.cells] == ["Ana", "Ben"] * 3


def test_two_first_starts_at_once_make_one_database(database, monkeypatch):
    monkeypatch.setenv("BLOODCELL_DATABASE_URL", database.render_as_string(hide_password=False))
    gate, stores, failures = threading.Barrier(4), [], []

    def start() -> None:
        gate.wait()
        try:
            stores.append(CaseStore())
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(stores) == 4
    case_id = stores[0].create_case("S", "Ana")
    assert stores[3].load_case(case_id).identifier == "S"
    for store in stores:
        store.engine.dispose()


def test_a_failed_write_leaves_the_case_as_it_was(store, make_case, monkeypatch):
    """The program fails between the first and the second record of one move: neither is there."""
    case_id = make_case(labels=("monocyte",) * 2)
    before = store.load_case(case_id)
    real, calls = store.engine.dialect.do_execute, []

    def fail_on_second(cursor, statement, parameters, context=None):
        if "INSERT INTO records" in statement:
            calls.append(statement)
            if len(calls) == 2:
                raise store.engine.dialect.loaded_dbapi.OperationalError("database or disk is full")
        return real(cursor, statement, parameters, context)

    with monkeypatch.context() as patch:
        patch.setattr(store.engine.dialect, "do_execute", fail_on_second)
        with pytest.raises(CaseDatabaseError, match="full"):
            store.decide(case_id, [Choice(cell.id, "basophil") for cell in before.cells], "Ana", before.num_records)
    assert len(calls) == 2 and store.load_case(case_id) == before
    store.decide(case_id, [Choice(cell.id, "basophil") for cell in before.cells], "Ana", before.num_records)


def test_an_unreachable_server_is_a_sentence_without_the_password(monkeypatch, tmp_path):
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    monkeypatch.setenv("BLOODCELL_DATABASE_URL", f"postgresql://ana:geheim@/cases?host={tmp_path}")
    with pytest.raises(CaseDatabaseError, match="Check that the server runs") as caught:
        CaseStore()
    assert "geheim" not in str(caught.value)


def test_without_psycopg_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setenv("BLOODCELL_DATABASE_URL", "postgresql://ana@localhost/cases")
    with pytest.raises(CaseDatabaseError, match=r"psycopg\[binary\]"):
        CaseStore()


def test_a_large_case_is_added_and_judged_whole(store):
    """Two hundred cells in one call, all judged in one move, one undo."""
    case_id = store.create_case("large", "Ana")
    store.add_images(case_id, [make_image(n) for n in range(200)], [[make_answer("neutrophil")]] * 200, "Ana")
    case = store.load_case(case_id)
    store.decide(case_id, [Choice(cell.id, "neutrophil") for cell in case.cells], "Ana", case.num_records)
    assert store.load_case(case_id).num_reviewed == 200
    assert len(store.undo(case_id, "Ana").cells) == 200
    assert store.load_case(case_id).num_reviewed == 0

"""The load test's arithmetic by hand, its limits, and two real viewers on a small dashboard."""

import asyncio
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "tests" / "load"))

import load_test  # noqa: E402
from process import cpu_seconds, resident_mb  # noqa: E402
from viewer import Reaction, Viewer  # noqa: E402

REACTIONS = [
    Reaction("open", "", 4.0),
    *(Reaction("browse", "reports", seconds) for seconds in (0.1, 0.2, 0.3)),
    Reaction("toggle", "build", 0.4),
    Reaction("toggle", "build", 0.0, "ValueError: no"),
]


def summarize(reactions=REACTIONS, memory=(200.0, 300.0)):
    return load_test.summarize(reactions, memory, 3, 15, cpu_s=2.0, has_dataset=True)


def test_times_by_hand():
    result = summarize()
    assert result["reactions"] == {"count": 4, "median_s": 0.25, "p95_s": 0.4}
    assert result["first_paint"] == {"count": 1, "median_s": 4.0, "p95_s": 4.0}
    assert result["pages"]["build"]["count"] == 1
    assert result["errors"] == ["toggle build: ValueError: no"]
    assert (result["memory_start_mb"], result["memory_peak_mb"], result["cpu_s"]) == (200, 300, 2.0)


def test_missed_aims_are_named():
    assert load_test.list_failures(summarize()) == ["toggle build: ValueError: no"]
    slow = summarize([Reaction("browse", "", 2.5)], memory=[4000.0])
    assert len(load_test.list_failures(slow)) == 2
    assert load_test.list_failures(summarize([Reaction("browse", "", 0.5)])) == []
    assert load_test.list_failures(summarize([])) == ["The median reaction is not under 2 s."]


def test_result_is_put_between_the_marks():
    text = load_test.describe_result(summarize())
    assert "| Going to another page | 3 | 0.20 | 0.30 |" in text
    assert "with the dataset" in text
    assert "without the dataset" in load_test.describe_result(summarize() | {"has_dataset": False})
    document = f"before\n{load_test.START_MARK}\nold\n{load_test.END_MARK}\nafter"
    changed = load_test.put_into_document(text, document)
    assert "old" not in changed and changed.startswith("before") and changed.endswith("after")
    assert load_test.put_into_document(text, changed) == changed
    with pytest.raises(ValueError, match="marks"):
        load_test.put_into_document(text, "nothing")


def test_the_document_shows_the_stored_result():
    document = load_test.DOCUMENT_PATH.read_text(encoding="utf-8")
    assert load_test.START_MARK in document and load_test.END_MARK in document
    if load_test.RESULT_PATH.is_file():
        result = json.loads(load_test.RESULT_PATH.read_text(encoding="utf-8"))
        assert load_test.describe_result(result) in document
        assert result["num_errors"] == 0
    assert "(docs/classroom.md)" in (PROJECT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [["--viewers", "1000"], ["--seconds", "100000"], ["--viewers", "0"]])
def test_what_is_too_much_is_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        load_test.main(arguments)
    assert "Expected 1 to" in capsys.readouterr().err


def test_memory_and_time_of_this_process():
    memory = resident_mb(os.getpid())
    assert memory is None or 10 < memory < 100_000
    seconds = cpu_seconds(os.getpid())
    assert seconds != seconds or 0 < seconds < 100_000
    assert resident_mb(2**30) is None
    assert cpu_seconds(2**30) != cpu_seconds(2**30)


def test_viewers_browse_and_toggle_a_real_dashboard(tmp_path, monkeypatch):
    from shelf import write_shelf

    write_shelf(tmp_path / "artifacts")
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "artifacts"))
    with load_test.running_dashboard() as (port, _):
        viewers = [Viewer(f"ws://127.0.0.1:{port}/_stcore/stream", seed, timeout_s=240) for seed in (0, 1)]

        async def visit():
            await viewers[0].tour()
            await asyncio.gather(*(viewer.run(time.monotonic() + 8, (0.0, 0.2)) for viewer in viewers))

        with ThreadPoolExecutor(max_workers=1) as pool:  # the main thread's loop may be that of the browser tests
            pool.submit(lambda: asyncio.run(visit())).result()
    reactions = [reaction for viewer in viewers for reaction in viewer.reactions]
    assert [reaction.error for reaction in reactions if reaction.error] == []
    assert {reaction.action for reaction in reactions} == {"open", "browse", "toggle"}
    assert {one.page for one in viewers[0].reactions} >= {"reports", "build", "lessons", "quiz"}


def test_an_exception_on_a_page_is_an_error():
    from streamlit.proto.Element_pb2 import Element

    element = Element()
    element.exception.type, element.exception.message = "ValueError", "no"
    assert Viewer("", 0)._note(element, "") == "ValueError: no"


def test_a_widget_in_a_fragment_asks_for_the_fragment_and_one_outside_for_the_page():
    from streamlit.proto.Element_pb2 import Element

    viewer = Viewer("", 0)
    for fragment in ("part", ""):
        element = Element()
        element.checkbox.id = f"box in {fragment}"
        viewer.widgets = {}
        viewer._note(element, fragment)
        viewer._toggle()
        assert viewer.fragment == fragment
        assert viewer.states[element.checkbox.id].bool_value
    viewer.fragment = "part"
    viewer._go("elsewhere")
    assert viewer.fragment == "" and not viewer.widgets and not viewer.states

"""Child processes: progress reaches the parent, a failure reaches it as a sentence, a crash never does."""

import time

import pytest

from bloodcell.errors import EngineError
from bloodcell.inference.child import run_child

HEAD = """
import os, sys, time
from bloodcell.errors import ImageError
from bloodcell.inference.child import report_progress, run_main
"""


@pytest.fixture
def child(tmp_path, monkeypatch):
    """Return a function that runs a piece of code as a child's `main`."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(body: str, *arguments: str, **options):
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        (tmp_path / "a_child.py").write_text(f"{HEAD}\ndef main(arguments):\n{lines}\n\nrun_main(main)\n")
        return run_child("a_child", list(arguments), purpose="Converting cnn_3", **options)

    return run


def test_progress_arrives_in_order_amid_other_output(child):
    heard = []
    body = """
print("chatter of a library")
report_progress(0, 2, "Loading.")
print("more chatter", file=sys.stderr)
report_progress(2, 2, f"Done with {arguments[0]}.")
"""
    child(body, "cnn_3", on_progress=lambda *report: heard.append(report))
    assert heard == [(0, 2, "Loading."), (2, 2, "Done with cnn_3.")]


def test_environment_is_added(child):
    child("assert os.environ['COLOUR'] == 'violet'", environment={"COLOUR": "violet"})


def test_a_stated_reason_is_the_message(child):
    with pytest.raises(EngineError, match=r"^There is no such cell\.$"):
        child("raise ImageError('There is no such cell.')")


def test_an_unexpected_failure_ends_with_its_last_words(child):
    with pytest.raises(
        EngineError, match=r"Converting cnn_3 failed: its process ended with code 1\. .*ZeroDivisionError"
    ):
        child("1 / 0")


def test_a_crash_is_named_by_its_signal(child):
    with pytest.raises(EngineError, match=r"was ended by SIGABRT.*double free"):
        child("print('double free', file=sys.stderr, flush=True)\nos.abort()")


def test_a_silent_failure_says_so(child):
    with pytest.raises(EngineError, match=r"code 7\. It left no message"):
        child("sys.exit(7)")


def test_a_child_that_hangs_is_ended(child):
    start = time.monotonic()
    with pytest.raises(EngineError, match="took more than 1 s"):
        child("time.sleep(60)", timeout_s=1.0)
    assert time.monotonic() - start < 30


def test_an_interrupt_of_the_parent_ends_the_child(child, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    body = """
report_progress(0, 1, "Loading.")
time.sleep(20)
open(arguments[0], "w").write("went on")
"""
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        child(body, str(tmp_path / "trace"), on_progress=stop)
    assert time.monotonic() - start < 15
    assert not (tmp_path / "trace").exists()

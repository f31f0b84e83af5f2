"""Work that takes longer than a reader waits: in the background, one piece at a time, and it shows how far it is."""

import threading
from collections.abc import Callable
from typing import Any

import streamlit as st

from bloodcell.errors import BloodCellError
from bloodcell.views.background import Job, OnProgress, find_job, forget_job, start_job

_TURN = threading.Lock()
"""Held by the piece of work that runs: thirty readers who ask for thirty models must not start thirty processes."""


def run_in_background(name: str, work: Callable[[OnProgress], Any], doing: str) -> None:
    """Start work unless it runs or has failed, and show how far it is; when it ends, the page is drawn again.

    Call it while the result is missing. A failure is one sentence with a button to try again.

    Args:
        name: What the work is found by; only one of a name runs at a time.
        work: Called in a thread with a function that takes reports of progress; must not call Streamlit.
        doing: What happens, in Markdown, to stand before the report.
    """
    job = find_job(name)
    if job is not None and job.state == "failed":
        _show_failure(name, job)
        return
    if job is None or job.state == "done":
        start_job(name, lambda report: _in_turn(work, report))
    st.fragment(_show_progress, run_every=1.0)(name, doing)


def _in_turn(work: Callable[[OnProgress], Any], report: OnProgress) -> Any:
    if not _TURN.acquire(blocking=False):
        report(0, 0, "Waits for another preparation.")
        _TURN.acquire()
    try:
        return work(report)
    finally:
        _TURN.release()


def _show_progress(name: str, doing: str) -> None:
    job = find_job(name)
    if job is None or job.state != "running":
        st.rerun()
    st.progress(job.fraction, text=f"{doing} {job.message}")


def _show_failure(name: str, job: Job) -> None:
    if not isinstance(job.error, BloodCellError):
        raise job.error or RuntimeError(f"The job {name} ended without a reason.")
    st.error(str(job.error), icon=":material/error:")
    st.button("Try again", key=f"retry_{name}", on_click=forget_job, args=(name,), icon=":material/refresh:")

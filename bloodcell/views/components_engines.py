"""Which models can answer now, and the preparation of those that cannot yet."""

from collections.abc import Sequence

import streamlit as st

from bloodcell.artifact import Artifact
from bloodcell.errors import BloodCellError
from bloodcell.inference import ensure_litert, find_litert
from bloodcell.views import cache
from bloodcell.views.background import Job, find_job, forget_job, start_job


def ready_models(names: Sequence[str]) -> tuple[dict[str, Artifact], list[str]]:
    """Return the models that can answer now, the leading one first, and the names of those still to be built.

    The default classifier leads where it is selected and ready, else the best on val of those that are.
    """
    artifacts = {name: artifact for name in names if (artifact := cache.load_artifact(name)) is not None}
    ready: dict[str, Artifact] = {}
    for name, artifact in artifacts.items():
        try:
            if find_litert(artifact) is not None and cache.load_engine(name) is not None:
                ready[name] = artifact
        except BloodCellError as error:
            st.error(f"**{name}** cannot answer: {error}", icon=":material/error:")
    table = cache.leaderboard()
    val_accuracy = dict(zip(table["name"], table["val_accuracy"], strict=True))
    order = sorted(ready, key=lambda name: (name != cache.default_model(), -val_accuracy[name]))
    return {name: ready[name] for name in order}, [name for name in artifacts if find_litert(artifacts[name]) is None]


def pending_models(names: Sequence[str]) -> list[str]:
    """Return those of the models without a LiteRT form whose build has not failed."""
    return [name for name in names if (job := find_job(f"LiteRT {name}")) is None or job.state != "failed"]


def prepare_models(names: Sequence[str]) -> None:
    """Build the LiteRT forms that are not there yet, one after the other in the background, and show how far it is."""
    jobs = {name: find_job(f"LiteRT {name}") for name in names}
    waiting = [name for name in pending_models(names) if (job := jobs[name]) is None or job.state == "done"]
    for name, job in jobs.items():
        if job is not None and job.state == "failed":
            _show_failed_build(name, job)
    running = next((name for name, job in jobs.items() if job is not None and job.state == "running"), None)
    if running is None and waiting:
        running = waiting[0]
        artifact = cache.load_shelf().artifacts[running]
        start_job(f"LiteRT {running}", lambda report: ensure_litert(artifact, report))
    if running is not None:
        others = [name for name in waiting if name != running]
        st.fragment(_show_build, run_every=1.0)(running, others)


def _show_build(name: str, others: Sequence[str]) -> None:
    """How far one build is; when it ends, the page is drawn again with the model's answers."""
    job = find_job(f"LiteRT {name}")
    if job is None or job.state != "running":
        st.rerun()
    then = f" Then {', '.join(others)}." if others else ""
    st.progress(job.fraction, text=f"**{name}** is prepared for its first answer on this machine: {job.message}{then}")


def _show_failed_build(name: str, job: Job) -> None:
    """Why a model cannot answer, with a way to try again."""
    if not isinstance(job.error, BloodCellError):
        raise job.error or RuntimeError(f"The build of {name} ended without a reason.")
    st.error(f"**{name}** cannot answer: {job.error}", icon=":material/error:")
    st.button(f"Try {name} again", key=f"retry_{name}", on_click=forget_job, args=(f"LiteRT {name}",))

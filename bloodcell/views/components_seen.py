"""What the networks see of a cell, and where one of them looked: a colour laid over the 64 × 64 pixels."""

from typing import cast

import numpy as np
import streamlit as st

from bloodcell.dataset import CLASS_NAMES
from bloodcell.errors import BloodCellError
from bloodcell.inference.attention_store import explain_and_store, hash_pixels
from bloodcell.inference.classifier import Answer
from bloodcell.views import cache, cache_classroom
from bloodcell.views import figures_images as pictures
from bloodcell.views.background import Job, find_job, forget_job, start_job
from bloodcell.views.components_selection import selected_models
from bloodcell.views.tables_classify import name_class
from bloodcell.views.uploads import CellImage

SEEN_SIDE = 256
ATTENTION_COLOUR = "#F0E442"


def seen_picture(cell: CellImage, answer: Answer | None, label: int | None, key: str) -> None:
    """Show the 64 × 64 pixels that the networks see, with where one looked where the reader wants it.

    Args:
        cell: The cell.
        answer: The default model's word, None while there is none.
        label: The class that was named, None where none was.
        key: Beginning of the widgets' keys, the page's name.
    """
    st.fragment(_seen_and_attended)(cell, answer, label, key)


def _seen_and_attended(cell: CellImage, answer: Answer | None, label: int | None, key: str) -> None:
    pixels, caption = cell.frame.pixels, "What the networks see: 64 × 64 pixels."
    slot = st.empty()
    if answer is not None:
        wanted = st.toggle(
            "Where the network looked",
            key=f"{key}_attention",
            persist_state="session",
            help="What speaks for a type, laid over the picture: class activation maps or Grad-CAM.",
        )
        if wanted:
            name, about, opacity = _choose(answer, label, key)
            attention = _explain(cell, name, about, key)
            if attention is not None:
                pixels = pictures.overlay_map(pixels, attention, ATTENTION_COLOUR, opacity / 100)
                caption = f"Yellow: what speaks for {CLASS_NAMES[about]} in the eyes of {name}."
                if not attention.any():
                    caption = f"Nothing in this picture speaks for {CLASS_NAMES[about]} in the eyes of {name}."
    with slot.container():
        st.image(
            pictures.enlarge_to(pixels, SEEN_SIDE),
            width=SEEN_SIDE,
            alt=f"{cell.name} as the networks see it. {caption}",
        )
        st.caption(caption)


def _choose(answer: Answer, label: int | None, key: str) -> tuple[str, int, float]:
    """Let the reader choose the network, the type that is explained, and the opacity."""
    names = list(dict.fromkeys([answer.model, *selected_models()]))
    if st.session_state.get(f"{key}_attention_model") not in names:
        st.session_state[f"{key}_attention_model"] = answer.model
    first = label
    if first is None:
        first = CLASS_NAMES.index(answer.prediction_set[0]) if answer.prediction_set else 0
    with st.container(horizontal=True, gap="small"):
        name = st.selectbox("Network", names, key=f"{key}_attention_model", width=170)
        about = st.selectbox(
            "Type",
            range(len(CLASS_NAMES)),
            index=first,
            format_func=name_class,
            key=f"{key}_attention_type_{first}",
            width=170,
        )
    opacity = st.slider("Opacity, %", 0, 100, 60, key=f"{key}_attention_opacity", persist_state="session")
    return cast(str, name), cast(int, about), float(opacity)


def _explain(cell: CellImage, name: str, label: int, key: str) -> np.ndarray | None:
    """Return the map, at once or from a child process that the reader starts; None while there is none."""
    pixels = cell.frame.pixels
    try:
        found = cache_classroom.load_attention(name, pixels, label)
    except BloodCellError as error:
        st.error(f"**{name}**: {error}", icon=":material/error:")
        return None
    if found is not None:
        return found
    job_name = f"attention {name} {hash_pixels(pixels)}-{label}"
    job = find_job(job_name)
    if job is not None and job.state == "running":
        st.fragment(_show_job, run_every=1.0)(job)
        return None
    if job is not None and job.error is not None:
        if not isinstance(job.error, BloodCellError):
            raise job.error
        st.error(str(job.error), icon=":material/error:")
    st.caption(f"{name} does not end in an average of its last map: Keras follows the gradient, some ten seconds.")
    st.button(
        "Explain it",
        icon=":material/visibility:",
        key=f"{key}_attention_go",
        on_click=_start,
        args=(job_name, name, pixels, label),
    )
    return None


def _show_job(job: Job) -> None:
    """How far an explanation is; when it ends, the page is drawn again with it."""
    if job.state != "running":
        st.rerun()
    st.progress(job.fraction, text=job.message or "Starting Keras in a process of its own …")


def _start(job_name: str, name: str, pixels: np.ndarray, label: int) -> None:
    artifact, engine = cache.load_artifact(name), cache.load_engine(name)
    if artifact is not None and engine is not None:
        forget_job(job_name)
        start_job(job_name, lambda report: explain_and_store(artifact, engine, [pixels], [label], report))

"""Where up to four models looked, side by side: at once where the network pools its maps, by Keras on request."""

import threading
from collections.abc import Sequence

import numpy as np
import streamlit as st

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.errors import BloodCellError
from bloodcell.inference.attention_store import explain_and_store, hash_pixels
from bloodcell.views import cache, cache_classroom
from bloodcell.views.background import Job, find_job, forget_job, start_job
from bloodcell.views.components import (
    choose,
    keep_choice,
    read_choices,
    remembered_segments,
    restore_choice,
    write_choices,
)
from bloodcell.views.quantities import percent, points, probability_text
from bloodcell.views.tables_classify import name_class
from bloodcell.views.theme import CLASS_GLYPHS

MOST_MODELS = 4
LOOK, KIND, TARGET = "classroom_look", "classroom_look_kind", "classroom_look_class"
ATTENTION, COVERING = "attention", "covering"
NO_BREAK = "\N{NO-BREAK SPACE}"
OWN = "its own answer"
TARGETS = [OWN, *CLASS_CODES]
_ONE_KERAS = threading.Lock()
"""Children with TensorFlow take half a gigabyte each: one explains at a time, whoever asks."""

Pictures = dict[str, np.ndarray]
"""Title -> (64, 64, 3) uint8: the cell as it is and, where something is changed, as changed; the last is looked at."""


def show_attention(images: Pictures, scores: dict[str, dict[str, np.ndarray]]) -> None:
    """Draw the section: its choices, and one column per model.

    Args:
        images: The cell, once or twice.
        scores: By title, (8,) probabilities by the name of every model that is ready.
    """
    names = list(next(iter(scores.values())))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        kind = remembered_segments(
            "Show",
            {ATTENTION: "Attention", COVERING: "What if it were covered"},
            KIND,
            help="Attention: the parts of the last feature map that speak for the class. Covered: a 16 × 16 square "
            "slides over the cell; bright is where the probability falls most.",
        )
        restore_choice(TARGET, TARGETS, OWN)
        target = st.selectbox(
            "For", TARGETS, key=TARGET, format_func=_describe_target, on_change=choose, args=(TARGET,), width=220,
            persist_state="session",
        )  # fmt: skip
        keep_choice(TARGET, OWN)
        shown = _choose_models(names)
    if not shown:
        st.info("Choose up to four of the models that are on.", icon=":material/visibility:")
        return
    with st.grid(MOST_MODELS, min_column_width=190, gap="small"):
        for name in shown:
            with st.container(border=True, gap="xsmall"):
                classes = {title: _class_of(target, by_name[name]) for title, by_name in scores.items()}
                _show_model(name, images, classes, {title: scores[title][name] for title in images}, kind)


def _describe_target(target: str) -> str:
    return target if target == OWN else name_class(CLASS_CODES.index(target))


def _class_of(target: str, values: np.ndarray) -> int:
    return int(values.argmax()) if target == OWN else CLASS_CODES.index(target)


def _choose_models(names: Sequence[str]) -> list[str]:
    """Let the reader choose up to four models; those that left the selection leave the choice."""
    brought = read_choices(LOOK)
    wanted = [name for name in brought if name in names] if brought is not None else st.session_state.get(LOOK)
    st.session_state[LOOK] = [name for name in wanted or [] if name in names][:MOST_MODELS] or list(names[:MOST_MODELS])
    st.multiselect(
        f"Models, up to {MOST_MODELS}", names, key=LOOK, max_selections=MOST_MODELS, on_change=choose, args=(LOOK,),
        persist_state="session", select_all=False,
    )  # fmt: skip
    chosen = list(st.session_state[LOOK])
    if chosen != list(names[:MOST_MODELS]) or LOOK in st.query_params:
        write_choices(LOOK, chosen)
    return chosen


def _show_model(name: str, images: Pictures, classes: dict[str, int], scores: dict[str, np.ndarray], kind: str) -> None:
    """One model: its pictures beside each other, what it says, and how the map was made or can be made."""
    from bloodcell.views.figures_classroom import spotlight

    try:
        maps = {title: _find_map(name, pixels, classes[title], kind) for title, pixels in images.items()}
    except BloodCellError as error:
        st.error(f"**{name}**: {error}", icon=":material/error:")
        return
    st.markdown(f"**{name}**")
    with st.container(horizontal=True, gap="xsmall", wrap=False):
        for title, pixels in images.items():
            values, found = scores[title], maps[title]
            label, watched = int(values.argmax()), classes[title]
            probability = probability_text(float(values[label])).replace(" ", NO_BREAK)
            said = f"{CLASS_GLYPHS[label]}{NO_BREAK}{CLASS_CODES[label]} {probability}"
            with st.container(gap=None):
                if found is None:
                    st.image(pixels, width="stretch", alt=f"The cell {title}; {name} is not explained yet")
                else:
                    light = np.clip(found / max(float(found.max()), 1e-6), 0, 1)
                    alt = f"{name}, {title}: bright where it looked for {CLASS_NAMES[watched]}"
                    st.image(spotlight(pixels, light), width="stretch", alt=alt)
                about = "" if label == watched else f", for {CLASS_CODES[watched]} {percent(float(values[watched]))}"
                note = f"{title}: {said}{about}" if len(images) > 1 else f"{said}{about}"
                if kind == COVERING and found is not None:
                    note += f"; at most {points(-max(float(found.max()), 0.0))} when covered"
                st.caption(note)
    if any(found is None for found in maps.values()):
        todo = {title: pixels for title, pixels in images.items() if maps[title] is None}
        _offer_keras(name, list(todo.values()), [classes[title] for title in todo])


def _find_map(name: str, pixels: np.ndarray, class_index: int, kind: str) -> np.ndarray | None:
    if kind == COVERING:
        return cache_classroom.load_occlusion(name, pixels, class_index)
    return cache_classroom.load_attention(name, pixels, class_index)


def _job_name(name: str, images: Sequence[np.ndarray], classes: Sequence[int]) -> str:
    parts = [f"{hash_pixels(pixels)}-{label}" for pixels, label in zip(images, classes, strict=True)]
    return f"attention {name} {' '.join(parts)}"


def _offer_keras(name: str, images: Sequence[np.ndarray], classes: Sequence[int]) -> None:
    """A network without a pooled map: the button that starts Keras, how far it is, or why it failed."""
    job_name = _job_name(name, images, classes)
    job = find_job(job_name)
    if job is not None and job.state == "running":
        st.fragment(_show_progress, run_every=1.0)(job_name)
        return
    if job is not None and job.error is not None:
        if not isinstance(job.error, BloodCellError):
            raise job.error
        st.error(str(job.error), icon=":material/error:")
    st.caption("It does not end in an average of its last map: Keras follows the gradient, some ten seconds.")
    st.button(
        "Explain it", icon=":material/visibility:", key=f"classroom_explain_{name}", on_click=_start_keras,
        args=(name, list(images), list(classes)),
    )  # fmt: skip


def _start_keras(name: str, images: list[np.ndarray], classes: list[int]) -> None:
    artifact, engine = cache.load_artifact(name), cache.load_engine(name)
    if artifact is None or engine is None:
        return
    job_name = _job_name(name, images, classes)
    forget_job(job_name)

    def work(report):
        report(0, 2, "Waiting for its turn.")
        with _ONE_KERAS:
            explain_and_store(artifact, engine, images, classes, report)

    start_job(job_name, work)


def _show_progress(job_name: str) -> None:
    """How far Keras is; when it ends, the page is drawn again."""
    job: Job | None = find_job(job_name)
    if job is None or job.state != "running":
        st.rerun()
    st.progress(job.fraction, text=job.message or "Starting.")

"""Train a network live, and watch it learn."""

import streamlit as st

from bloodcell.errors import BloodCellError, DatasetError
from bloodcell.training.live import queued_runs
from bloodcell.views import cache, cache_training, tables_training
from bloodcell.views.components import (
    how_computed,
    missing_dataset,
    open_page,
    remembered_segments,
    research_use_notice,
    show_damaged,
)
from bloodcell.views.components_selection import remembered_list
from bloodcell.views.components_training import (
    RUNS_KEY,
    live_view,
    other_own_models,
    run_rows,
    show_error,
    start_training,
    training_form,
    viewer_rights,
)
from bloodcell.views.figures_training import MOST_RUNS

ROWS_PER_PAGE = 8
AXES = {"position": "Epochs", "seconds": "Seconds"}
DEFINITIONS = """
- **Training** (dotted): mean loss and accuracy over the steps since the point before, on the images of those steps,
  as the network was at each of them.
- **Loss**: of val the plain cross-entropy. That of training includes what the recipe adds (label smoothing, L2 penalty)
  and is taken with dropout and augmentation at work: compare how the two go, not how high they lie.
- **Val** (solid): the same val cells each time, up to 40 of a class, asked every few seconds. The marks stand for all
  of val, at the end of each epoch; the epoch with the best of them is the one whose weights are kept.
- **Batch normalization** keeps moving averages for later use. Keras lets them follow by 1 % a step, so that a training
  of a hundred steps looks broken on val and is not; here they follow by 10 %.
- **Learning rate**: the highest; it decays to zero along half a cosine. What you do not choose (warm-up, label
  smoothing, clipping) is the network's own recipe. No training is ended early.
- **Seconds**: of training alone, without pauses and without the time for looking.
- A finished model is measured on val and test like every other and joins the comparisons as **your own**; it lies in
  your data folder, not with the project's models, and never becomes the default classifier by itself.
"""


def show_form(has_dataset: bool) -> None:
    """What is to be trained, and the button that starts it."""
    request = training_form()
    shown = [str(number) for number in st.session_state.get(RUNS_KEY, [])] or newest
    st.button(
        "Start" if not any_active else "Add to the queue",
        key="train_start",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=not (rights.allowed and has_dataset),
        on_click=start_training,
        args=(request, shown),
    )
    if not rights.allowed:
        st.caption(f":material/lock: {rights.reason}")


def show_queue() -> None:
    """Everything that waits, in order, then everything that was, the newest first."""
    waiting = queued_runs(runs)
    st.header("Queue and earlier runs", anchor=False)
    if waiting:
        st.markdown(f"**{len(waiting)} waiting**, one training at a time:")
        run_rows(waiting, rights.allowed)
    earlier = [run for run in runs if run.state != "queued"]
    if not earlier:
        st.caption("Runs stand here with their settings and results as soon as there are any.")
    num_pages = max(1, -(-len(earlier) // ROWS_PER_PAGE))
    first = ROWS_PER_PAGE * (min(st.session_state.get("train_page", 1), num_pages) - 1)
    run_rows(earlier[first : first + ROWS_PER_PAGE], rights.allowed)
    if num_pages > 1:
        st.pagination(num_pages, key="train_page")
    other_own_models(runs, rights.allowed)


open_page(
    "Train", "Train a network on the blood cells and watch it learn. It goes on while you look at other pages or leave."
)
rights = viewer_rights()
try:
    runs = cache_training.load_runs()
except BloodCellError as error:
    st.error(str(error), icon=":material/error:")
    st.stop()
show_error()
any_active = any(run.state in ("queued", "running", "paused") for run in runs)
newest = [str(run.number) for run in runs if run.started_at][:1]
status = cache.dataset_status()
if not status["available"]:
    missing_dataset(DatasetError(status["error"]), key="train")
form_side, live_side = st.columns([3, 8], gap="medium")
with form_side:
    show_form(status["available"])
with live_side:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = remembered_list(
            "On the chart",
            {str(run.number): tables_training.run_label(run) for run in runs},
            RUNS_KEY,
            most=MOST_RUNS,
            placeholder="The run that is training, or the newest" if runs else "No run yet",
            help="Up to four runs on one chart; the first one's answers stand below",
        )
        axis = remembered_segments("Against", AXES, "train_axis")
    live_view(runs, chosen, axis, rights.allowed)
show_queue()
research_use_notice()
show_damaged()
how_computed(DEFINITIONS)

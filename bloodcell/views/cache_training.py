"""What the Train page reads: runs and what they have shown, shared between all viewers so that thirty cost as one."""

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.training import live
from bloodcell.training.live_log import LOG_FILE, LiveProgress, read_log
from bloodcell.views import cache, figures_training, tables_training
from bloodcell.views.figures_evaluation import confusion_matrix_figure
from bloodcell.views.figures_images import cell_tile, encode_png
from bloodcell.views.theme import CLASS_COLORS, Mode

if TYPE_CHECKING:
    import plotly.graph_objects as go

LISTED_FOR_S = 0.5
MATRIX_HEIGHT = 370
Key = tuple[int, str]
"""A run's number and a string that changes when its log does."""


def load_runs() -> list[live.LiveRun]:
    """Return every run, the newest first, as they stand now; where some wait and nobody works, a worker is started.

    Shared between all viewers: not to be altered.

    Raises:
        BloodCellError: The folder of the runs cannot be read or written.
    """
    return _load_runs(str(live.trainings_directory()))


def forget_runs() -> None:
    """Read the runs anew: this viewer has just changed one."""
    _load_runs.clear()


def load_progress(run: live.LiveRun) -> LiveProgress:
    """Return what a run has shown so far. Read only."""
    return _load_progress(str(run.folder), log_key(run)[1])


def log_key(run: live.LiveRun) -> Key:
    """Return what tells this state of a run's log from every other."""
    try:
        status = (run.folder / LOG_FILE).stat()
    except OSError:
        return run.number, ""
    return run.number, f"{run.queued_at}:{status.st_size}:{status.st_mtime_ns}"


def curves_figure(runs: list[live.LiveRun], measure: str, axis: str, mode: Mode) -> "go.Figure":
    """Return the curves of some runs, drawn once for all viewers. Not to be altered."""
    curves = {tables_training.run_label(run): load_progress(run) for run in runs}
    return _curves_figure(tuple(log_key(run) for run in runs), measure, axis, mode, curves)


def matrix_figure(run: live.LiveRun, mode: Mode) -> "go.Figure":
    """Return the confusion matrix of a run's latest look at its val cells; it has looked at least once."""
    return _matrix_figure(log_key(run), mode, load_progress(run).looks[-1]["matrix"])


def sample_tile(row: int, label: int) -> bytes | None:
    """Return the picture of a val cell, bordered in the colour of its class, as PNG; None without the dataset."""
    from bloodcell.errors import DatasetError

    try:
        split = cache.load_split("val")
    except DatasetError:
        return None
    if row >= split.num_images or int(split.labels[row]) != label:
        return None
    return _tile(split.identity.md5, row, label, split.images[row])


@st.cache_resource(ttl=LISTED_FOR_S, max_entries=4, show_spinner=False)
def _load_runs(directory: str) -> list[live.LiveRun]:
    runs = live.list_runs()
    if any(run.state == "queued" for run in runs):
        live.ensure_worker()
    return runs


@st.cache_resource(max_entries=32, show_spinner=False)
def _load_progress(folder: str, state: str) -> LiveProgress:
    from pathlib import Path

    return read_log(Path(folder))


@st.cache_resource(max_entries=64, show_spinner=False)
def _curves_figure(
    keys: tuple[Key, ...], measure: str, axis: str, mode: Mode, _curves: dict[str, LiveProgress]
) -> "go.Figure":
    return figures_training.curves_figure(_curves, measure, axis, mode)


@st.cache_resource(max_entries=32, show_spinner=False)
def _matrix_figure(key: Key, mode: Mode, _matrix: list[list[int]]) -> "go.Figure":
    return confusion_matrix_figure(
        np.array(_matrix), CLASS_NAMES, CLASS_CODES, normalize="count", mode=mode, small=True, height=MATRIX_HEIGHT
    )


@st.cache_data(max_entries=256, show_spinner=False)
def _tile(md5: str, row: int, label: int, _pixels: np.ndarray) -> bytes:
    return encode_png(cell_tile(_pixels, CLASS_COLORS[label]))

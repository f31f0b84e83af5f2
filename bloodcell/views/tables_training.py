"""Live trainings in a reader's words: how far a run is, what it was asked for, its curves as a table."""

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.training.live import LiveRun
from bloodcell.training.live_log import LiveProgress
from bloodcell.training.live_request import LiveRequest
from bloodcell.views.quantities import percent

AUGMENTATION_WORDS = {
    "none": "none",
    "symmetries_shift": "turns, flips, shifts",
    "symmetries_shift_color": "turns, flips, shifts, colour",
    "study_balanced": "rotations and flips, classes balanced",
}
OPTIMIZER_WORDS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD with momentum"}
STATE_WORDS = {
    "queued": ("waits", ":material/hourglass_empty:", "gray"),
    "running": ("runs", ":material/play_circle:", "violet"),
    "paused": ("paused", ":material/pause_circle:", "orange"),
    "done": ("done", ":material/check_circle:", "green"),
    "stopped": ("stopped", ":material/stop_circle:", "gray"),
    "failed": ("failed", ":material/error:", "red"),
}
MEASURES = {"accuracy": "Accuracy", "loss": "Loss"}
AXES = {"position": "epochs", "seconds": "seconds"}


def run_label(run: LiveRun) -> str:
    """Return a run's short name: `7 · net3_bn`."""
    return f"{run.number} · {run.request.model if run.request else 'damaged'}"


def describe_request(request: LiveRequest | None) -> str:
    """Return what was asked for in one line."""
    if request is None:
        return "its record cannot be read"
    epochs = "1 epoch" if request.num_epochs == 1 else f"{request.num_epochs} epochs"
    return (
        f"{epochs} on {percent(request.share, 0)} of the images, batches of {request.batch_size}, "
        f"{OPTIMIZER_WORDS.get(request.optimizer, request.optimizer)} at {request.learning_rate:g}, "
        f"augmentation {AUGMENTATION_WORDS.get(request.augmentation, request.augmentation)}, seed {request.seed}"
    )


def describe_progress(run: LiveRun, progress: LiveProgress) -> str:
    """Say how far a run is."""
    num_epochs = run.request.num_epochs if run.request else 0
    if run.state == "queued":
        return "waits for its turn"
    if not progress.num_steps:
        return run.phase or STATE_WORDS[run.state][0]
    position = progress.position
    epoch = min(math.floor(position) + 1, num_epochs)
    step = round((position - math.floor(position)) * progress.num_steps)
    where = f"epoch {epoch} of {num_epochs}, step {step} of {progress.num_steps}"
    if run.state == "running" and run.phase == "Training":
        if run.wish == "finish":
            return f"{where}, ends after this epoch{_time_left(progress, epoch)}"
        return f"{where}{_time_left(progress, num_epochs)}"
    if run.state in ("running", "paused"):
        return f"{run.phase}: {where}" if run.state == "paused" else run.phase
    done = len(progress.epochs)
    return f"{done} of {num_epochs} epochs"


def fraction_done(run: LiveRun, progress: LiveProgress) -> float:
    """Return how much of its epochs a run has trained, in [0, 1]."""
    return min(1.0, progress.position / run.request.num_epochs) if run.request else 0.0


def latest_accuracy(progress: LiveProgress) -> float:
    """Return the best val accuracy of a finished epoch, else that of the latest look; NaN before the first."""
    if progress.epochs:
        return max(row["val_accuracy"] for row in progress.epochs)
    return float(progress.looks[-1]["accuracy"]) if progress.looks else math.nan


def curve_rows(progress: LiveProgress) -> pd.DataFrame:
    """Return all points of a run's curves: what they are of, position in epochs, seconds, loss, accuracy.

    "training" has the means over some steps, "val cells" the cells that are asked again and again, "all of val" the
    finished epochs.
    """
    columns = ["what", "position", "seconds", "loss", "accuracy"]
    rows = [{"what": "training", **{key: row[key] for key in columns[1:]}} for row in progress.batches]
    rows += [{"what": "val cells", **{key: row[key] for key in columns[1:]}} for row in progress.looks]
    rows += [
        {
            "what": "all of val",
            "position": float(row["epoch"]),
            "seconds": row["seconds"],
            "loss": row["val_loss"],
            "accuracy": row["val_accuracy"],
        }
        for row in progress.epochs
    ]
    return pd.DataFrame(rows, columns=columns)


def curves_table(curves: Mapping[str, LiveProgress], measure: str) -> pd.DataFrame:
    """Return the points of several runs in a reader's units: accuracy in percent."""
    scale = 100 if measure == "accuracy" else 1
    heading = "Accuracy, %" if measure == "accuracy" else "Loss"
    parts = []
    for label, progress in curves.items():
        rows = curve_rows(progress)
        parts.append(
            pd.DataFrame(
                {
                    "Run": label,
                    "On": rows["what"],
                    "Epochs": rows["position"].astype(float).round(3),
                    "Seconds": rows["seconds"].astype(float).round(1),
                    heading: (scale * rows[measure].astype(float)).round(3),
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def matrix_table(matrix: Sequence[Sequence[int]]) -> pd.DataFrame:
    """Return a confusion matrix as a table, true class in front."""
    table = pd.DataFrame(list(matrix), columns=list(CLASS_CODES))
    table.insert(0, "True class", list(CLASS_NAMES)[: len(table)])
    return table


class Sample(NamedTuple):
    """One val cell and the latest answer: its row in val, true and answered class, the answer's probability."""

    row: int
    label: int
    answer: int
    probability: float

    @property
    def right(self) -> bool:
        """Whether the answer is the true class."""
        return self.answer == self.label


def list_samples(progress: LiveProgress) -> list[Sample]:
    """Return the shown cells with the latest answer; empty before the first look."""
    if not progress.looks or not progress.cells:
        return []
    rows, labels = progress.cells["rows"], progress.cells["labels"]
    found = []
    for place, scores in zip(progress.cells["samples"], progress.looks[-1]["samples"], strict=False):
        answer = max(range(len(scores)), key=scores.__getitem__)
        found.append(Sample(int(rows[place]), int(labels[place]), answer, float(scores[answer])))
    return found


def when(seconds: float) -> str:
    """Return a moment as this machine's clock shows it; a dash for 0."""
    return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M") if seconds else "–"


def _time_left(progress: LiveProgress, num_epochs: int) -> str:
    if not progress.batches or progress.batches[-1]["position"] <= 0:
        return ""
    latest = progress.batches[-1]
    left = latest["seconds"] / latest["position"] * max(0.0, num_epochs - latest["position"])
    return f", about {left / 60:.0f} min left" if left >= 90 else f", about {left:.0f} s left"

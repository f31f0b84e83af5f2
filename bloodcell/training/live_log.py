"""What a live training has shown so far: written line by line as it happens, read by any number of pages.

Every line of `progress.jsonl` is one JSON object with a "kind":

    start   a process begins or continues: epochs_done, steps per epoch, num_images
    cells   the val images that are looked at again and again: rows, labels, samples (places in rows), md5 of the file
    batch   loss and accuracy over the steps since the last one: epoch, step, seconds
    look    what the network says of those cells now: loss, accuracy, matrix, probabilities of the samples
    epoch   a finished epoch with the numbers of the whole of val

A line that a killed process left unfinished is skipped, and what it had shown of an epoch that is trained again is
forgotten when the next process starts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bloodcell.errors import StorageError

LOG_FILE = "progress.jsonl"


@dataclass(frozen=True)
class LiveProgress:
    """What a run has shown so far.

    Attributes:
        num_steps: Steps of one epoch; 0 before the first.
        num_images: Training images of one epoch.
        cells: rows (of val), labels, samples and md5; empty before they were chosen.
        batches: One dict per report: position (in epochs), seconds, loss, accuracy.
        looks: One dict per look: position, seconds, loss, accuracy, matrix (8 x 8 counts) and samples (n x 8).
        epochs: One dict per finished epoch: epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, seconds.
    """

    num_steps: int = 0
    num_images: int = 0
    cells: dict[str, Any] = field(default_factory=dict)
    batches: list[dict[str, float]] = field(default_factory=list)
    looks: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)

    @property
    def position(self) -> float:
        """How far it is, in epochs."""
        marks = [float(rows[-1]["position"]) for rows in (self.batches, self.looks) if rows]
        return max([*marks, float(len(self.epochs))])


class LiveLog:
    """The one writer of a run's log."""

    def __init__(self, folder: Path) -> None:
        """Continue the log in `folder`; nothing is written yet."""
        self._path = folder / LOG_FILE

    def write(self, kind: str, **words: Any) -> None:
        """Add one event.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        line = json.dumps({"kind": kind, **words}, separators=(",", ":"))
        try:
            with open(self._path, "ab") as stream:
                stream.write(f"\n{line}\n".encode())  # a line of its own, whatever a killed writer left behind
        except OSError as error:
            raise StorageError(f"Could not write {self._path}: {error.strerror or error}.") from error


def read_log(folder: Path) -> LiveProgress:
    """Return what a run has shown so far; a run that has shown nothing is no error."""
    try:
        text = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return LiveProgress()
    steps, images, cells = 0, 0, {}
    batches: list[dict[str, float]] = []
    looks: list[dict[str, Any]] = []
    epochs: dict[int, dict[str, float]] = {}
    for line in text.splitlines():
        event = _parse(line)
        kind = event.pop("kind", None)
        if kind == "start":
            steps, images = event["steps"], event["images"]
            done = event["epochs_done"]
            batches = [row for row in batches if row["position"] <= done]
            looks = [row for row in looks if row["position"] <= done]
            epochs = {number: row for number, row in epochs.items() if number <= done}
        elif kind == "cells":
            cells = event
        elif kind == "batch":
            batches.append(event)
        elif kind == "look":
            looks.append(event)
        elif kind == "epoch":
            epochs[int(event["epoch"])] = event
    return LiveProgress(steps, images, cells, batches, looks, [epochs[number] for number in sorted(epochs)])


def choose_cells(labels: np.ndarray, per_class: int, samples_per_class: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the same cells of every class, each time: rows of val, and which of them are shown as pictures.

    Args:
        labels: (n,) class indices of val.
        per_class: Most cells of a class.
        samples_per_class: Most cells of a class that are shown.

    Returns:
        Rows, class by class, and places in these rows.
    """
    generator = np.random.default_rng(0)
    rows: list[int] = []
    samples: list[int] = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        chosen = np.sort(generator.permutation(own)[:per_class])
        samples += range(len(rows), len(rows) + min(samples_per_class, len(chosen)))
        rows += chosen.tolist()
    return np.array(rows, np.int64), np.array(samples, np.int64)


def _parse(line: str) -> dict[str, Any]:
    if not line.strip():
        return {}
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}

"""Works on the queue of trainings that pages have started; no page and no server is needed while it does.

`python -m bloodcell.live` works on whatever waits, one run at a time, each in a child of its own, so that a run which
is killed takes neither the queue nor its reason with it. `python -m bloodcell.live 7` is that child, for run 7.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import signal
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bloodcell.dataset import CLASS_NAMES, Split, load_split
from bloodcell.errors import BloodCellError, StorageError, TrainingError
from bloodcell.files import PROJECT_DIRECTORY
from bloodcell.locks import try_lock
from bloodcell.training.live import (
    ACTIVE,
    PREPARING,
    TESTING,
    LiveRun,
    claim_next,
    find_run,
    list_runs,
    queued_runs,
    worker_lock_path,
    write_state,
)
from bloodcell.training.live_log import LiveLog, choose_cells

if TYPE_CHECKING:
    import keras

LOOKED_AT_PER_CLASS = 40
SHOWN_PER_CLASS = 2
REPORT_EVERY_S = 0.3
LOOK_EVERY_S = 2.0
LONGEST_PAUSE_S = 1800.0
NICENESS = 5
ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1"}
CHILD = (sys.executable, "-m", "bloodcell.live")
OUT_OF_MEMORY = (
    "The machine ran out of memory. Close other programs, or train a smaller network or with a smaller batch; "
    "Resume continues from the last finished epoch."
)
_RESERVE_BYTES = 64 * 1024
_MEMORY_WORDS = ("MemoryError", "ResourceExhausted", "bad_alloc", "Cannot allocate memory")


class StoppedError(Exception):
    """A viewer stopped the training; says why in a sentence."""


def work() -> None:
    """Work on the queue until it is empty; end at once where another process does."""
    while True:
        with try_lock(worker_lock_path()) as right:
            if right is None:
                return
            while (run := claim_next()) is not None:
                _run_in_child(run, right.fileno())
        if not queued_runs(list_runs()):  # what came while the right was given back
            return


def train_run(run: LiveRun) -> None:
    """Train one run to its end and store its model; every way to end is written into its state."""
    reserve = run.folder / "reserve"
    with contextlib.suppress(OSError):
        reserve.write_bytes(bytes(_RESERVE_BYTES))  # room for the last words on a full disk
    try:
        model = _train_and_store(run)
    except StoppedError as stop:
        ending: dict[str, Any] = {"state": "stopped", "reason": str(stop)}
    except Exception as error:
        traceback.print_exc()
        ending = {"state": "failed", "reason": describe_failure(error, run.folder)}
    else:
        ending = {"state": "done", "model": model, "reason": ""}
    reserve.unlink(missing_ok=True)
    write_state(find_run(run.number) or run, phase="", ended_at=time.time(), keep=False, **ending)


class Watcher:
    """Sits in a training: writes down what it shows, and does what the viewers want."""

    def __init__(self, run: LiveRun, num_images: int, val_split: Split) -> None:
        """Choose the cells that are looked at; nothing is written before the first step."""
        self.run = run
        self._log = LiveLog(run.folder)
        self._num_images = num_images
        self._val = val_split
        self._rows, self._samples = choose_cells(val_split.labels, LOOKED_AT_PER_CLASS, SHOWN_PER_CLASS)
        self._model: keras.Model | None = None
        self._epochs_done = 0
        self._seconds = 0.0
        self._last_step = 0
        self._last = {"loss": 0.0, "accuracy": 0.0}
        self._resumed_at = time.monotonic()
        self._report_due = self._look_due = 0.0
        self._is_started = False

    def on_model(self, model: keras.Model) -> None:
        """Take the model that is going to learn."""
        self._model = model
        self.say("Compiling the first step")

    def on_epoch(self, numbers: dict[str, float]) -> None:
        """Write down a finished epoch; one of an earlier part again, for the log may lack it or count it otherwise."""
        self._epochs_done = int(numbers["epoch"])
        self._seconds += numbers["seconds"]
        self._log.write("epoch", **{**numbers, "seconds": self._seconds})
        self._start_epoch()

    def on_batch(self, step: int, num_steps: int, numbers: dict[str, float]) -> None:
        """Write down the running numbers now and then, look at the chosen cells now and then, and obey.

        Raises:
            TrainingError: The loss is no number any more.
        """
        if not math.isfinite(numbers["loss"]):
            raise TrainingError(
                f"The training diverged in epoch {self._epochs_done + 1}, at step {step} of {num_steps}: its loss is "
                "no number any more. Start it anew with a lower learning rate."
            )
        if not self._is_started:
            self._begin(num_steps)
        now = time.monotonic()
        if now >= self._report_due:
            self._report(step, num_steps, numbers)
        if now >= self._look_due:
            self._look(step, num_steps)
        self.obey()

    def should_end(self) -> bool:
        """Whether a viewer wants the model of the epochs so far."""
        self.obey()
        return self.run.wish == "finish"

    def obey(self) -> None:
        """Stop here if a viewer wants that; wait here while one wants a pause.

        Raises:
            StoppedError: A viewer wants it to stop, or has paused it for too long.
        """
        if self.run.wish == "pause":
            self._wait()
        if self.run.wish == "stop":
            raise StoppedError("Stopped by a viewer. Resume continues from the last finished epoch.")

    def say(self, phase: str) -> None:
        """Show what happens now."""
        self.run = write_state(self.run, state="running", phase=phase)

    def _begin(self, num_steps: int) -> None:
        self._is_started = True
        self._log.write("start", epochs_done=self._epochs_done, steps=num_steps, images=self._num_images)
        self._log.write(
            "cells",
            rows=self._rows.tolist(),
            labels=self._val.labels[self._rows].tolist(),
            samples=self._samples.tolist(),
            md5=self._val.identity.md5,
        )
        self._start_epoch()
        self.say("Training")

    def _start_epoch(self) -> None:
        self._last_step, self._last = 0, {"loss": 0.0, "accuracy": 0.0}
        self._resumed_at = time.monotonic()

    def _report(self, step: int, num_steps: int, numbers: dict[str, float]) -> None:
        """Write the mean over the steps since the last report; Keras gives the mean since the epoch began."""
        if step == num_steps and self._last_step:
            return  # a last batch of another size; the finished epoch has the whole
        span = step - self._last_step
        means = {
            name: max(0.0, (step * numbers[name] - self._last_step * self._last[name]) / span)
            for name in ("loss", "accuracy")
        }
        self._last_step, self._last = step, {name: numbers[name] for name in ("loss", "accuracy")}
        self._log.write(
            "batch",
            position=self._epochs_done + step / num_steps,
            seconds=round(self._now(), 2),
            loss=means["loss"],
            accuracy=min(1.0, means["accuracy"]),
        )
        self._report_due = time.monotonic() + REPORT_EVERY_S

    def _look(self, step: int, num_steps: int) -> None:
        """Ask the network about the chosen cells."""
        from bloodcell.evaluation import softmax
        from bloodcell.training.trainer import compute_logits, score_logits

        seconds, started = self._now(), time.monotonic()
        logits = compute_logits(self._model, self._val.images[self._rows])[:, : len(CLASS_NAMES)]
        labels = self._val.labels[self._rows]
        loss, accuracy = score_logits(logits, labels)
        matrix = np.zeros((logits.shape[1],) * 2, np.int64)
        np.add.at(matrix, (labels, logits.argmax(axis=1)), 1)
        self._log.write(
            "look",
            position=self._epochs_done + step / num_steps,
            seconds=round(seconds, 2),
            loss=loss,
            accuracy=accuracy,
            matrix=matrix.tolist(),
            samples=np.round(softmax(logits[self._samples], 1.0).astype(np.float64), 4).tolist(),
        )
        took = time.monotonic() - started
        self._resumed_at += took  # looking is not training
        self._look_due = time.monotonic() + max(LOOK_EVERY_S, 5 * took, seconds / 100)

    def _now(self) -> float:
        """Seconds of training so far."""
        return self._seconds + time.monotonic() - self._resumed_at

    def _wait(self) -> None:
        started = time.monotonic()
        phase = self.run.phase
        self.run = write_state(self.run, state="paused", phase="Paused")
        while self.run.wish == "pause":
            if time.monotonic() - started > LONGEST_PAUSE_S:
                raise StoppedError(
                    f"Paused for {LONGEST_PAUSE_S / 60:.0f} minutes, so it made room for others. "
                    "Resume continues from the last finished epoch."
                )
            time.sleep(0.2)
        self._resumed_at += time.monotonic() - started
        self.say(phase)


def describe_failure(error: Exception, folder: Path) -> str:
    """Say in a sentence why a training failed."""
    if isinstance(error, BloodCellError):
        return str(error)
    kind, words = type(error).__name__, str(error).strip()
    if any(word in f"{kind} {words}" for word in _MEMORY_WORDS):
        return OUT_OF_MEMORY
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"The disk is full: {words}. Free some space; Resume continues from the last finished epoch."
    first = words.splitlines()[0] if words else "no message"
    return f"{kind}: {first} The whole traceback is in {folder / 'log.txt'}."


def describe_ending(code: int, num_memory_kills: int, last_words: str) -> str:
    """Say in a sentence why a process ended that wrote no reason.

    Args:
        code: Its return code; negative where a signal ended it.
        num_memory_kills: Processes that the system killed for lack of memory meanwhile.
        last_words: The end of what it wrote.
    """
    if (code == -signal.SIGKILL and num_memory_kills) or any(word in last_words for word in _MEMORY_WORDS):
        return OUT_OF_MEMORY
    then = "Resume continues from the last finished epoch."
    if code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            return f"Its process was ended by {name}: by somebody, or by the system. {then}"
    lines = [line.strip() for line in last_words.splitlines() if line.strip()]
    return f"Its process ended with code {code}{f': {lines[-1]}' if lines else ' and left no message'}. {then}"


def _run_in_child(run: LiveRun, right: int) -> None:
    """Run one training and wait; if it ended without writing why, write what can be known."""
    kills_before = _count_memory_kills()
    log_path = run.folder / "log.txt"
    try:
        with open(log_path, "ab") as log:
            code = subprocess.Popen(
                [*CHILD, str(run.number)],
                cwd=PROJECT_DIRECTORY,
                env={**os.environ, **ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(right,),  # the child holds the right to work as well, should this process be killed
            ).wait()
        reason = describe_ending(code, _count_memory_kills() - kills_before, _read_end(log_path))
    except OSError as error:
        reason = f"Its process could not be started: {error.strerror or error}."
    now = find_run(run.number)
    if now is not None and now.state in ACTIVE:
        (run.folder / "reserve").unlink(missing_ok=True)
        write_state(now, state="failed", phase="", reason=reason, ended_at=time.time())


def _train_and_store(run: LiveRun) -> str:
    """Train, store the model among the user's own, and return its name."""
    request = run.request
    assert request is not None
    run = write_state(run, phase="Loading TensorFlow and the images (ten seconds or so)")
    with ThreadPoolExecutor(1) as pool:
        data = pool.submit(lambda: (load_split("train"), load_split("val")))
        import keras  # noqa: F401 the slow part; meanwhile the images are read

        train_split, val_split = data.result()
    from bloodcell.pipeline import attach_litert, publish_training
    from bloodcell.training import train

    recipe_name, recipe = request.make_recipe(train_split.num_images)
    num_images = recipe.max_images or train_split.num_images
    watcher = Watcher(run, num_images, val_split)
    watcher.obey()
    result = train(
        request.model,
        recipe,
        train_split,
        val_split,
        seed=request.seed,
        on_model=watcher.on_model,
        on_epoch=watcher.on_epoch,
        on_batch=watcher.on_batch,
        should_end=watcher.should_end,
        directory=run.folder,
    )
    watcher.say(TESTING)
    notes = [f"Trained from the Train page, on {num_images:,} of {train_split.num_images:,} training images."]
    if len(result.history) < recipe.num_epochs:
        notes.append(f"Finished by its user after epoch {len(result.history)} of {recipe.num_epochs}.")
    artifact = publish_training(
        run.model_name,
        "artifact",
        recipe_name,
        recipe,
        request.seed,
        result,
        train_split,
        val_split,
        own=True,
        notes=tuple(notes),
    )
    watcher.say(PREPARING)
    attach_litert(artifact)
    for checkpoint in run.folder.glob("*.npz"):
        checkpoint.unlink(missing_ok=True)
    return artifact.name


def _count_memory_kills() -> int:
    """Return how many processes the system has killed for lack of memory since it started, where it tells."""
    total = 0
    for path in (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events")):
        with contextlib.suppress(OSError, ValueError):
            for line in path.read_text(encoding="utf-8").splitlines():
                name, _, value = line.partition(" ")
                total += int(value) if name == "oom_kill" else 0
    return total


def _read_end(path: Path, num_bytes: int = 8000) -> str:
    try:
        with open(path, "rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - num_bytes))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""


def main(arguments: list[str]) -> None:
    """Work on the queue, or train the run of the given number."""
    if not arguments:
        work()
        return
    run = find_run(int(arguments[0]))
    if run is None or run.request is None:
        raise SystemExit(f"There is no run {arguments[0]} that could be trained.")
    with contextlib.suppress(OSError):
        os.nice(NICENESS)  # pages go first
    with contextlib.suppress(StorageError):
        train_run(run)


if __name__ == "__main__":
    main(sys.argv[1:])

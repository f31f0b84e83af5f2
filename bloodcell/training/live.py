"""Trainings that are started from a page: what was asked for, how each one stands, and the queue, all of it on disk.

One folder per run below `trainings/` in the user's data folder, so that page changes, closed browsers and restarted
servers change nothing and every viewer sees the same:

    trainings/7/
      request.json      what was asked for
      state.json        how it stands; replaced whole
      control           what the viewers want: run, pause, stop or finish
      progress.jsonl    what it has shown so far, one event a line, see `live_log`
      log.txt           what its process wrote, the traceback of a failure included
      *.npz             the checkpoint of the last finished epoch, until the model is stored

Nothing here trains: `python -m bloodcell.live` does, one run at a time, and holds `worker.lock` while it lives. The
kernel gives that lock back however a process ends, so a run that still says "running" while nobody holds the lock is
dead. Changes of state happen under `queue.lock`.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from bloodcell.errors import StorageError, TrainingError
from bloodcell.files import PROJECT_DIRECTORY, data_directory, own_models_directory, write_atomically
from bloodcell.locks import hold_lock, is_held
from bloodcell.training.live_request import LiveRequest

State = Literal["queued", "running", "paused", "done", "stopped", "failed"]
Wish = Literal["run", "pause", "stop", "finish"]
STATES: tuple[State, ...] = get_args(State)
WISHES: tuple[Wish, ...] = get_args(Wish)
ACTIVE: tuple[State, ...] = ("running", "paused")
MOST_QUEUED = 20
TESTING, PREPARING = "Testing it on every image of val and test", "Preparing its answers on this machine"
CUT_OFF = (
    "Its process ended without a word: the machine was restarted, or somebody ended it. "
    "Resume continues from the last finished epoch."
)
_LOCKED_WITHIN_S = 30.0
_RETRY_S = 10.0

_start_lock = threading.Lock()
_started: dict[Path, tuple[subprocess.Popen[bytes], float]] = {}


@dataclass(frozen=True)
class LiveRun:
    """One run as it stands on disk.

    Attributes:
        number: Counts all runs of this user from 1; a number is not given twice.
        folder: Where it lies.
        request: What was asked for; None where the record is damaged.
        state: One of `STATES`.
        phase: What happens now, in a few words.
        reason: Why it stopped or failed, in a sentence; empty otherwise.
        queued_at, started_at, ended_at: Seconds since 1970; 0 where it did not happen.
        model: Name of the stored model, once done.
        keep: Whether it was started again only to store what it had learned when it stopped.
    """

    number: int
    folder: Path
    request: LiveRequest | None
    state: State = "queued"
    phase: str = ""
    reason: str = ""
    queued_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    model: str = ""
    keep: bool = False

    @property
    def model_name(self) -> str:
        """Name under which its model is stored: `cnn_4.own7`."""
        return f"{self.request.model if self.request else 'unknown'}.own{self.number}"

    @property
    def is_storing(self) -> bool:
        """Whether it has learned all it will learn and is being stored, so that nobody can pause or stop it."""
        return self.state == "running" and self.phase in (TESTING, PREPARING)

    @property
    def wish(self) -> Wish:
        """What the viewers want of it."""
        try:
            word = (self.folder / "control").read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return "run"
        return word if word in WISHES else "run"

    @property
    def has_checkpoint(self) -> bool:
        """Whether it has finished an epoch that is not stored as a model yet."""
        return any(self.folder.glob("*.npz"))


_STATE_FIELDS = tuple(f.name for f in fields(LiveRun) if f.name not in ("number", "folder", "request"))


def trainings_directory() -> Path:
    """Return the folder of all runs, in the user's data folder. It may not exist yet."""
    return data_directory() / "trainings"


def list_runs() -> list[LiveRun]:
    """Return every run, the newest first; one whose process has died is marked as failed on the way."""
    runs = [_read_run(folder) for folder in _run_folders()]
    if any(run.state in ACTIVE for run in runs) and not is_worker_alive():
        with hold_lock(_queue_lock_path()):
            if not is_worker_alive():
                with contextlib.suppress(StorageError):  # a full disk; what is dead is shown as dead all the same
                    _bury_dead()
                runs = [_read_run(folder) for folder in _run_folders()]
                runs = [replace(run, state="failed", reason=CUT_OFF) if run.state in ACTIVE else run for run in runs]
    return sorted(runs, key=lambda run: -run.number)


def find_run(number: int) -> LiveRun | None:
    """Return one run, or None if there is none of that number."""
    folder = trainings_directory() / str(number)
    return _read_run(folder) if folder.is_dir() else None


def queued_runs(runs: list[LiveRun]) -> list[LiveRun]:
    """Return the runs that wait, the next one first."""
    return sorted((run for run in runs if run.state == "queued"), key=lambda run: (run.queued_at, run.number))


def enqueue(request: LiveRequest) -> LiveRun:
    """Put a training at the end of the queue and see to it that somebody works.

    Raises:
        BloodCellError: It cannot be trained, the queue is full, or the folder cannot be written.
    """
    request.check()
    with hold_lock(_queue_lock_path()):
        if len(queued_runs([_read_run(folder) for folder in _run_folders()])) >= MOST_QUEUED:
            raise TrainingError(f"{MOST_QUEUED} trainings wait already. Take one out of the queue, or wait for one.")
        number = _next_number()
        folder = trainings_directory() / str(number)
        write_atomically(folder / "request.json", (json.dumps(asdict(request)) + "\n").encode())
        run = LiveRun(number, folder, request, queued_at=time.time(), phase="Waits for its turn")
        write_state(run)
    ensure_worker()
    return run


def ask(number: int, wish: Wish) -> None:
    """Pass on what a viewer wants of a run: pause it, let it run, stop it, or finish it after this epoch.

    A run that waits is taken out of the queue by "stop"; other wishes leave it there. One that ends after this epoch
    does so: a pause would be forgotten with the wish to finish, and is not taken.

    Raises:
        TrainingError: There is no such run, or it has ended.
    """
    with hold_lock(_queue_lock_path()):
        run = _existing(number)
        if run.state == "queued" and wish == "stop":
            write_state(run, state="stopped", phase="", reason="Taken out of the queue.", ended_at=time.time())
        elif run.state in ACTIVE:
            if (run.wish, wish) != ("finish", "pause"):
                write_atomically(run.folder / "control", wish.encode())
        elif run.state != "queued":
            raise TrainingError(f"Run {number} has ended: it is {run.state}. Resume it first.")


def resume(number: int, *, keep: bool = False) -> None:
    """Let a paused run go on, or put one that stopped or failed at the end of the queue.

    Args:
        keep: Train no further; only store the model of the best epoch so far.

    Raises:
        TrainingError: There is no such run, it is done, or there is nothing to keep.
    """
    with hold_lock(_queue_lock_path()):
        run = _existing(number)
        if run.request is None:
            raise TrainingError(f"The record of run {number} is damaged. Delete it and start another.")
        if run.state in ACTIVE or run.state == "queued":
            write_atomically(run.folder / "control", b"run")
            return
        if run.state == "done":
            raise TrainingError(f"Run {number} is done; its model is {run.model}.")
        if keep and not run.has_checkpoint:
            raise TrainingError(f"Run {number} has not finished an epoch, so there is nothing to keep yet.")
        write_atomically(run.folder / "control", b"finish" if keep else b"run")
        write_state(
            run, state="queued", phase="Waits for its turn", reason="", queued_at=time.time(), ended_at=0.0, keep=keep
        )
    ensure_worker()


def delete_run(number: int) -> None:
    """Delete a run and the model that it made.

    Raises:
        TrainingError: It is running or waits for its turn.
        StorageError: A file cannot be removed.
    """
    with hold_lock(_queue_lock_path()):
        run = _existing(number)
        if run.state in ACTIVE and is_worker_alive():
            raise TrainingError(f"Run {number} is {run.state}. Stop it before you delete it.")
        if run.request is not None:
            delete_own_model(run.model_name)
        _remove(run.folder)


def delete_own_model(name: str) -> None:
    """Delete one of this user's own models, whole or damaged; nothing happens where there is none.

    Raises:
        ValueError: The name is no name of a folder.
        StorageError: A file cannot be removed.
    """
    if Path(name).name != name or name.startswith("."):
        raise ValueError(f"Expected the name of a model. Received: {name!r}")
    _remove(own_models_directory() / name)


def is_worker_alive() -> bool:
    """Return whether a process works on the queue."""
    return is_held(worker_lock_path())


def worker_lock_path() -> Path:
    """Return the file that the one process that works on the queue holds locked."""
    return trainings_directory() / "worker.lock"


def claim_next() -> LiveRun | None:
    """Mark the next run of the queue as running and return it; None where none waits. For the holder of the lock."""
    with hold_lock(_queue_lock_path()):
        _bury_dead()
        waiting = queued_runs([_read_run(folder) for folder in _run_folders()])
        if not waiting:
            return None
        if not waiting[0].keep:
            write_atomically(waiting[0].folder / "control", b"run")
        return write_state(waiting[0], state="running", phase="Starting", started_at=time.time(), ended_at=0.0)


def ensure_worker() -> None:
    """Start a worker where runs wait and none is alive; it outlives this process and its terminal."""
    waits = any(_read_run(folder).state == "queued" for folder in _run_folders())
    if not waits or is_worker_alive():
        return
    root = trainings_directory()
    with _start_lock:
        process, started = _started.get(root, (None, 0.0))
        code = None if process is None else process.poll()
        quiet_s = 0.0 if process is None or code == 0 else _LOCKED_WITHIN_S if code is None else _RETRY_S
        if time.monotonic() - started < quiet_s:
            return  # it has not taken the lock yet, or has just failed
        with open(root / "worker.txt", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "bloodcell.live"],
                cwd=PROJECT_DIRECTORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _started[root] = (process, time.monotonic())


def write_state(run: LiveRun, **changes: Any) -> LiveRun:
    """Replace a run's state on disk, and return the run as it is now.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    changed = replace(run, **changes)
    words = {name: getattr(changed, name) for name in _STATE_FIELDS}
    write_atomically(run.folder / "state.json", (json.dumps(words) + "\n").encode())
    return changed


def _read_run(folder: Path) -> LiveRun:
    number = int(folder.name)
    try:
        request = LiveRequest(**json.loads((folder / "request.json").read_text(encoding="utf-8")))
        words = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        words["state"]  # the one field that no default stands for
        run = LiveRun(number, folder, request, **{name: words[name] for name in _STATE_FIELDS if name in words})
        if run.state not in STATES:
            raise ValueError(f"unknown state {run.state!r}")
    except (OSError, ValueError, TypeError, KeyError) as error:
        return LiveRun(number, folder, None, "failed", reason=f"Its record in {folder} is damaged ({error}).")
    return run


def _bury_dead() -> None:
    """Mark the runs that an ended worker left behind; for someone who knows that none is alive."""
    for folder in _run_folders():
        run = _read_run(folder)
        if run.state in ACTIVE:
            write_state(run, state="failed", phase="", reason=CUT_OFF, ended_at=time.time())


def _queue_lock_path() -> Path:
    return trainings_directory() / "queue.lock"


def _existing(number: int) -> LiveRun:
    run = find_run(number)
    if run is None:
        raise TrainingError(f"There is no run {number} any more; somebody deleted it.")
    return run


def _run_folders() -> list[Path]:
    root = trainings_directory()
    if not root.is_dir():
        return []
    return sorted((p for p in root.iterdir() if p.name.isdecimal() and p.is_dir()), key=lambda path: int(path.name))


def _next_number() -> int:
    counter = trainings_directory() / "counter"
    known = [int(folder.name) for folder in _run_folders()]
    with contextlib.suppress(OSError, ValueError):
        known.append(int(counter.read_text(encoding="utf-8")))
    for path in own_models_directory().glob("*.own*"):
        with contextlib.suppress(ValueError):
            known.append(int(path.name.rpartition(".own")[2]))
    number = max(known, default=0) + 1
    write_atomically(counter, str(number).encode())
    return number


def _remove(folder: Path) -> None:
    if not folder.is_dir():
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StorageError(f"Could not delete {folder}: {error.strerror or error}.") from error

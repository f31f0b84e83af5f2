"""The worker: one run at a time in a child of its own, every ending written down, the model among the user's own."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from bloodcell import live as worker
from bloodcell.artifact import load_own_artifact, load_own_shelf, load_shelf
from bloodcell.errors import StorageError
from bloodcell.files import PROJECT_DIRECTORY
from bloodcell.locks import is_held, try_lock
from bloodcell.training import live
from bloodcell.training.live import claim_next, find_run, list_runs
from bloodcell.training.live_log import read_log
from bloodcell.training.live_request import LiveRequest

TINY = LiveRequest("cnn_3", num_epochs=3, batch_size=16, learning_rate=3e-3, share=1.0)
ENDS = """
import sys; from bloodcell.training.live import find_run, write_state
write_state(find_run(int(sys.argv[1])), state="done", phase="", model="m")
"""


@pytest.fixture(autouse=True)
def prepared(monkeypatch, tmp_path):
    """Keep the tests quick: they work on the queue themselves, and conversions are tested elsewhere."""
    monkeypatch.setattr(live, "ensure_worker", lambda: None)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "artifacts"))
    converted = []
    monkeypatch.setattr("bloodcell.pipeline.attach_litert", lambda artifact: converted.append(artifact.name))
    return converted


@pytest.fixture
def child(monkeypatch):
    """A function that replaces the child that trains by a few lines of Python."""

    def replace_by(code):
        monkeypatch.setattr(worker, "CHILD", (sys.executable, "-c", code))

    return replace_by


def train_in_this_process(request=TINY):
    run = live.enqueue(request)
    with try_lock(live.worker_lock_path()):
        worker.train_run(claim_next())
    return find_run(run.number)


# the supervisor, with children that do not train


def test_the_queue_is_worked_off_one_after_the_other(child):
    numbers = [live.enqueue(TINY).number for _ in range(3)]
    child(ENDS)
    worker.work()
    runs = {run.number: run for run in list_runs()}
    assert [runs[number].state for number in numbers] == ["done"] * 3
    assert sorted(runs.values(), key=lambda run: run.started_at) == [runs[number] for number in numbers]
    assert not live.is_worker_alive()


def test_a_second_worker_leaves_the_first_alone(child):
    live.enqueue(TINY)
    child(ENDS)
    with try_lock(live.worker_lock_path()):
        worker.work()
        assert list_runs()[0].state == "queued"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "ended by SIGTERM"),
        ("raise SystemExit(3)", "ended with code 3 and left no message"),
        ("1 / 0", "ended with code 1: ZeroDivisionError: division by zero"),
        ("raise MemoryError", "ran out of memory"),
        ("import sys; sys.exit('std::bad_alloc')", "ran out of memory"),
    ],
)
def test_a_child_that_dies_says_why_and_the_next_has_its_turn(child, code, words):
    first, second = live.enqueue(TINY), live.enqueue(TINY)
    child(f"import sys\nif sys.argv[1] == '2':\n exec('''{ENDS}''')\nelse:\n {code}")
    worker.work()
    assert find_run(first.number).state == "failed" and words in find_run(first.number).reason
    assert find_run(second.number).state == "done"


def test_a_kill_by_the_system_for_lack_of_memory_is_told_from_any_other():
    assert "ran out of memory" in worker.describe_ending(-signal.SIGKILL, 1, "")
    assert "SIGKILL" in worker.describe_ending(-signal.SIGKILL, 0, "")
    assert worker._count_memory_kills() >= 0


def test_a_child_keeps_the_right_to_work_when_its_supervisor_is_killed(tmp_path):
    """Nobody starts a second training beside the first, whose supervisor is gone."""
    live.enqueue(TINY)
    script = tmp_path / "slow.py"
    script.write_text("import time; print('here', flush=True); time.sleep(60)")
    code = f"import sys; from bloodcell import live; live.CHILD = (sys.executable, {str(script)!r}); live.work()"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_DIRECTORY)}
    supervisor = subprocess.Popen([sys.executable, "-c", code], env=environment)
    log = find_run(1).folder / "log.txt"
    deadline = time.monotonic() + 60
    while not (log.is_file() and "here" in log.read_text()):
        assert time.monotonic() < deadline and supervisor.poll() is None
        time.sleep(0.05)
    (pid,) = [int(line) for line in children_of(supervisor.pid)]
    supervisor.kill()
    supervisor.wait()
    assert is_held(live.worker_lock_path()) and list_runs()[0].state == "running"
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while is_held(live.worker_lock_path()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert list_runs()[0].state == "failed"


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as stream:
        return stream.read().split()


# a real training, tiny


def test_a_run_learns_shows_itself_and_stores_its_model(small_dataset, prepared):
    run = train_in_this_process()
    assert (run.state, run.reason, run.model) == ("done", "", "cnn_3.own1")
    progress = read_log(run.folder)
    assert progress.num_steps == 6 and progress.num_images == 96
    assert [row["epoch"] for row in progress.epochs] == [1, 2, 3]
    assert 0 < progress.batches[0]["position"] < 1  # within the first epoch
    look = progress.looks[0]
    assert sum(map(sum, look["matrix"])) == len(progress.cells["rows"]) == 40
    assert len(look["samples"]) == len(progress.cells["samples"]) == 16
    assert all(abs(sum(row) - 1) < 1e-2 for row in look["samples"])
    artifact = load_own_artifact("cnn_3.own1")
    assert artifact.own and artifact.model_name == "cnn_3"
    assert artifact.manifest.recipe["norm_momentum"] == 0.9 and prepared == ["cnn_3.own1"]
    assert "96 of 96 training images" in artifact.manifest.notes[0]
    assert "train cnn_3.own1 --epochs 3 --set batch_size=16" in artifact.manifest.command
    assert artifact.manifest.command.endswith("--seed 0 --own --force")
    assert "cnn_3.own1" not in load_shelf().artifacts and list(load_own_shelf().artifacts) == ["cnn_3.own1"]
    assert not run.has_checkpoint and not (run.folder / "reserve").exists()
    live.delete_run(run.number)
    assert load_own_shelf().artifacts == {}


def test_pause_holds_stop_ends_and_resume_goes_on(small_dataset, monkeypatch):
    """What the viewers want comes in between two steps; a pause is no training time."""
    steps = []
    obey = worker.Watcher.obey

    def watch(self):
        if self._is_started:
            steps.append(self._epochs_done)
            if len(steps) == 2:
                live.ask(1, "pause")
            if len(steps) == 10:
                live.ask(1, "stop")
        obey(self)

    def wake():
        while find_run(1) is None or find_run(1).state != "paused":
            time.sleep(0.05)
        seen.append(list_runs()[0])
        live.resume(1)

    seen = []
    waker = threading.Thread(target=wake, daemon=True)
    waker.start()
    monkeypatch.setattr(worker.Watcher, "obey", watch)
    monkeypatch.setattr(worker, "REPORT_EVERY_S", 0.0)
    run = train_in_this_process()
    assert [one.phase for one in seen] == ["Paused"]
    assert run.state == "stopped" and "Stopped by a viewer" in run.reason
    assert run.has_checkpoint and load_own_shelf().artifacts == {}
    before = read_log(run.folder)
    assert len(before.epochs) == 1 and 1 < before.position < 2

    monkeypatch.setattr(worker.Watcher, "obey", obey)
    live.resume(1)
    with try_lock(live.worker_lock_path()):
        worker.train_run(claim_next())
    assert find_run(1).state == "done"
    progress = read_log(run.folder)
    positions = [row["position"] for row in progress.batches]
    assert positions == sorted(set(positions)) and [row["epoch"] for row in progress.epochs] == [1, 2, 3]
    assert load_own_artifact("cnn_3.own1").manifest.num_epochs == 3


@pytest.mark.parametrize("checkpoint", [None, b"not one", "that of the first epoch"])
def test_epochs_that_a_resumed_run_trains_again_are_shown_again(small_dataset, monkeypatch, tmp_path, checkpoint):
    """The checkpoint is lost, damaged, or older than what was shown: the disk was full when the next one was due."""
    older = tmp_path / "older.npz"
    on_epoch = stop_after(2, worker.Watcher.on_epoch)

    def keep_older(self, numbers):
        if numbers["epoch"] == 1:
            (found,) = self.run.folder.glob("*.npz")
            shutil.copyfile(found, older)
        on_epoch(self, numbers)

    with monkeypatch.context() as patch:
        patch.setattr(worker.Watcher, "on_epoch", keep_older)
        run = train_in_this_process()
    assert [row["epoch"] for row in read_log(run.folder).epochs] == [1, 2]
    (path,) = run.folder.glob("*.npz")
    path.unlink()
    if checkpoint is not None:
        path.write_bytes(checkpoint if isinstance(checkpoint, bytes) else older.read_bytes())
    live.resume(1)
    with try_lock(live.worker_lock_path()):
        worker.train_run(claim_next())
    assert find_run(1).state == "done"
    assert [row["epoch"] for row in read_log(run.folder).epochs] == [1, 2, 3]


def test_a_loss_that_is_no_number_ends_the_training_at_once(small_dataset, monkeypatch):
    on_batch = worker.Watcher.on_batch

    def diverge(self, step, num_steps, numbers):
        on_batch(self, step, num_steps, {**numbers, "loss": float("nan")})

    monkeypatch.setattr(worker.Watcher, "on_batch", diverge)
    run = train_in_this_process()
    assert run.state == "failed" and "diverged in epoch 1, at step 1 of 6" in run.reason
    assert "lower learning rate" in run.reason and not read_log(run.folder).batches


def test_a_forgotten_pause_makes_room(small_dataset, monkeypatch):
    monkeypatch.setattr(worker, "LONGEST_PAUSE_S", -1.0)
    monkeypatch.setattr(worker.Watcher, "on_model", lambda self, model: live.ask(1, "pause") or self.obey())
    run = train_in_this_process()
    assert run.state == "stopped" and "made room" in run.reason


def test_what_was_learned_until_the_stop_can_be_kept(small_dataset, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(worker.Watcher, "on_epoch", stop_after(1, worker.Watcher.on_epoch))
        run = train_in_this_process()
    assert run.state == "stopped" and run.has_checkpoint
    live.resume(1, keep=True)
    with try_lock(live.worker_lock_path()):
        worker.train_run(claim_next())
    assert find_run(1).state == "done"
    manifest = load_own_artifact("cnn_3.own1").manifest
    assert manifest.num_epochs == 1 and "Finished by its user after epoch 1 of 3." in manifest.notes


def stop_after(epoch, on_epoch):
    def watch(self, numbers):
        on_epoch(self, numbers)
        if numbers["epoch"] == epoch:
            live.ask(self.run.number, "stop")
            self.obey()

    return watch


def test_without_the_dataset_it_says_what_to_do():
    run = train_in_this_process()
    assert run.state == "failed" and "data download" in run.reason


def test_a_diverging_run_says_what_to_do(small_dataset):
    run = train_in_this_process(LiveRequest("cnn_3", optimizer="sgd", learning_rate=10.0, share=1.0, num_epochs=30))
    assert run.state == "failed" and "lower learning rate" in run.reason


def test_a_full_disk_ends_a_run_with_its_reason(small_dataset, monkeypatch):
    def refuse(self, kind, **words):
        assert (self._path.parent / "reserve").stat().st_size  # the room for these words
        raise StorageError("Could not write progress.jsonl: No space left on device.")

    monkeypatch.setattr(worker.LiveLog, "write", refuse)
    run = train_in_this_process()
    assert run.state == "failed" and "No space left" in run.reason
    assert not (run.folder / "reserve").exists()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "ran out of memory"),
        (RuntimeError("ResourceExhaustedError: OOM when allocating"), "ran out of memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full"),
        (ValueError("first\nsecond"), r"ValueError: first The whole traceback is in .*log\.txt"),
    ],
)
def test_a_failure_is_one_sentence(error, words, tmp_path):
    import re

    assert re.search(words, worker.describe_failure(error, tmp_path))


def test_killed_in_the_middle_it_says_so_and_continues(small_dataset):
    """SIGKILL to the process that trains: its reason is there at once, and what it had learned can be kept."""
    run = live.enqueue(LiveRequest("cnn_3", num_epochs=200, batch_size=8, share=1.0))
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_DIRECTORY)}
    supervisor = subprocess.Popen([sys.executable, "-m", "bloodcell.live"], env=environment)
    try:
        deadline = time.monotonic() + 500
        while not find_run(run.number).has_checkpoint:
            assert time.monotonic() < deadline and supervisor.poll() is None, find_run(run.number)
            time.sleep(0.05)
    finally:
        for pid in children_of(supervisor.pid):
            os.kill(int(pid), signal.SIGKILL)
    supervisor.wait(60)
    dead = find_run(run.number)
    assert dead.state == "failed" and "ended by SIGKILL" in dead.reason and dead.has_checkpoint
    done = len(read_log(run.folder).epochs)
    live.resume(run.number, keep=True)
    with try_lock(live.worker_lock_path()):
        worker.train_run(claim_next())
    assert find_run(run.number).state == "done"
    assert load_own_artifact(find_run(run.number).model).manifest.num_epochs >= max(1, done)

"""The queue of trainings: on disk, in order, one at a time, and nothing that is dead looks alive."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from bloodcell.errors import ModelNotFoundError, StorageError, TrainingError
from bloodcell.locks import hold_lock, is_held, try_lock
from bloodcell.training import RECIPES, live, recipe_for
from bloodcell.training.live import LiveRun, claim_next, find_run, list_runs, queued_runs
from bloodcell.training.live_log import LiveLog, choose_cells, read_log
from bloodcell.training.live_request import LiveRequest

REQUEST = LiveRequest("cnn_3")


@pytest.fixture(autouse=True)
def no_worker(monkeypatch):
    """Nothing is started here; the queue alone is under test."""
    started = []
    monkeypatch.setattr(live, "ensure_worker", lambda: started.append(True))
    return started


# what may be asked


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_epochs": 0}, "epochs must be 1 to 200, received 0"),
        ({"num_epochs": 201}, "received 201"),
        ({"batch_size": 0}, "batch size"),
        ({"learning_rate": 0.0}, "learning rate"),
        ({"learning_rate": float("nan")}, "received nan"),
        ({"share": 0.0}, "share of the data"),
        ({"share": 1.5}, "received 1.5"),
        ({"seed": -1}, "seed"),
        ({"optimizer": "lion"}, "adam, adamw, sgd, received 'lion'"),
        ({"augmentation": "mixup"}, "none, symmetries_shift"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_sentence(changes, words):
    with pytest.raises(TrainingError, match=words):
        dataclasses.replace(REQUEST, **changes).check()


def test_any_row_and_any_combination_may_be_asked_for():
    for name in ("cnn_3", "hemanet_tiny", "net3_bn_se"):
        LiveRequest(name).check()
    with pytest.raises(ModelNotFoundError, match="net9"):
        live.enqueue(LiveRequest("net9"))
    assert list_runs() == []


def test_a_short_training_gets_quick_averages_and_no_early_stopping():
    name, recipe = LiveRequest("hemanet_tiny", num_epochs=4, share=0.1).make_recipe(11_959)
    assert name == recipe_for("hemanet_tiny")[0]
    assert recipe.max_images == 1196 and recipe.norm_momentum == 0.9
    assert recipe.ema_decay is None and recipe.patience is None and recipe.warmup_epochs <= 1
    assert recipe.label_smoothing == RECIPES[name].label_smoothing  # the network's own


def test_the_whole_of_the_data_and_a_long_training_keep_the_networks_own_averages():
    recipe = LiveRequest("hemanet_tiny", num_epochs=50, batch_size=64, optimizer="adamw", share=1.0).make_recipe(11_959)
    own = recipe_for("hemanet_tiny")[1]
    assert recipe[1].max_images is None
    assert (recipe[1].ema_decay, recipe[1].weight_decay) == (own.ema_decay, own.weight_decay)
    assert LiveRequest("cnn_3", optimizer="adamw").make_recipe(100)[1].weight_decay > 0
    assert LiveRequest("cnn_3", share=0.001).make_recipe(100)[1].max_images == 1


# the queue


def test_runs_queue_in_order_and_every_viewer_sees_the_same(no_worker):
    numbers = [live.enqueue(dataclasses.replace(REQUEST, seed=seed)).number for seed in range(3)]
    assert numbers == [1, 2, 3] and len(no_worker) == 3
    assert [run.number for run in list_runs()] == [3, 2, 1]
    assert [run.number for run in queued_runs(list_runs())] == numbers
    assert find_run(2).request.seed == 1 and find_run(2).model_name == "cnn_3.own2"
    assert find_run(9) is None


def test_the_next_one_is_claimed_once():
    first, second = live.enqueue(REQUEST), live.enqueue(REQUEST)
    with try_lock(live.worker_lock_path()):
        assert claim_next().number == first.number
        assert [run.state for run in list_runs()] == ["queued", "running"]
        live.write_state(find_run(first.number), state="done")
        assert claim_next().number == second.number
        live.write_state(find_run(second.number), state="done")
        assert claim_next() is None


def test_a_full_queue_says_so(monkeypatch):
    monkeypatch.setattr(live, "MOST_QUEUED", 1)
    live.enqueue(REQUEST)
    with pytest.raises(TrainingError, match="1 trainings wait already"):
        live.enqueue(REQUEST)
    assert len(list_runs()) == 1


def test_a_waiting_run_can_be_taken_out_and_put_back_at_the_end():
    first, second = live.enqueue(REQUEST), live.enqueue(REQUEST)
    live.ask(first.number, "stop")
    assert find_run(first.number).state == "stopped" and "queue" in find_run(first.number).reason
    live.resume(first.number)
    assert [run.number for run in queued_runs(list_runs())] == [second.number, first.number]
    assert find_run(first.number).reason == ""


def test_wishes_reach_a_running_run_only():
    run = live.enqueue(REQUEST)
    live.ask(run.number, "pause")
    assert find_run(run.number).wish == "run"  # it waits anyway
    with try_lock(live.worker_lock_path()):
        claim_next()
        for wish in ("pause", "finish"):
            live.ask(run.number, wish)
            assert find_run(run.number).wish == wish
        live.ask(run.number, "pause")
        assert find_run(run.number).wish == "finish", "it ends after this epoch; a pause would make it go on after that"
        live.ask(run.number, "stop")
        assert find_run(run.number).wish == "stop"
        live.resume(run.number)
        assert find_run(run.number).wish == "run" and find_run(run.number).state == "running"
    live.write_state(find_run(run.number), state="done", model="cnn_3.own1")
    with pytest.raises(TrainingError, match="it is done"):
        live.ask(run.number, "pause")
    with pytest.raises(TrainingError, match=r"its model is cnn_3\.own1"):
        live.resume(run.number)
    with pytest.raises(TrainingError, match="no run 7"):
        live.ask(7, "stop")


def test_a_run_is_deleted_with_its_model_and_its_number_is_not_given_again():
    run = live.enqueue(REQUEST)
    model = live.own_models_directory() / run.model_name
    model.mkdir(parents=True)
    (model / "manifest.json").write_text("{}")
    with try_lock(live.worker_lock_path()):
        claim_next()
        with pytest.raises(TrainingError, match="Stop it before"):
            live.delete_run(run.number)
    live.write_state(find_run(run.number), state="done")
    live.delete_run(run.number)
    assert not model.exists() and not run.folder.exists() and list_runs() == []
    assert live.enqueue(REQUEST).number == 2
    with pytest.raises(TrainingError, match="somebody deleted it"):
        live.delete_run(run.number)


@pytest.mark.parametrize("name", ["../runs", ".", "a/b", ".hidden"])
def test_nothing_outside_the_own_models_is_deleted(name):
    with pytest.raises(ValueError, match="Expected the name of a model"):
        live.delete_own_model(name)


def test_there_is_nothing_to_keep_before_the_first_epoch():
    run = live.enqueue(REQUEST)
    live.ask(run.number, "stop")
    with pytest.raises(TrainingError, match="nothing to keep"):
        live.resume(run.number, keep=True)
    (run.folder / "cnn_3.npz").write_bytes(b"")
    live.resume(run.number, keep=True)
    with try_lock(live.worker_lock_path()):
        claimed = claim_next()
    assert claimed.keep and claimed.wish == "finish"


# what died


def test_a_run_whose_worker_died_says_so_and_can_be_resumed():
    run = live.enqueue(REQUEST)
    with try_lock(live.worker_lock_path()):
        claim_next()
        assert list_runs()[0].state == "running"
    (dead,) = list_runs()
    assert dead.state == "failed" and "ended without a word" in dead.reason and dead.ended_at
    live.resume(run.number)
    assert find_run(run.number).state == "queued"


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / "worker.lock"
    code = (
        "import sys, time; from pathlib import Path; from bloodcell.locks import try_lock\n"
        f"with try_lock(Path({str(path)!r})):\n print('held', flush=True); time.sleep(60)"
    )
    assert not is_held(path)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    assert is_held(path)
    with try_lock(path, patience_s=0.1) as right:
        assert right is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not is_held(path)
    with try_lock(path) as right:
        assert right is not None


def test_a_lock_without_a_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"), hold_lock(tmp_path / "file" / "lock"):
        pass


@pytest.mark.parametrize("file", ["request.json", "state.json"])
@pytest.mark.parametrize("content", ["", "[]", '{"state": "flying"}', '{"model": 3, "wings": 2}'])
def test_a_damaged_record_is_named_and_can_be_deleted(file, content):
    run, other = live.enqueue(REQUEST), live.enqueue(REQUEST)
    (run.folder / file).write_text(content)
    damaged = find_run(run.number)
    assert damaged.state == "failed" and "damaged" in damaged.reason
    assert [one.number for one in queued_runs(list_runs())] == [other.number]
    with pytest.raises(TrainingError):
        live.resume(run.number)
    live.delete_run(run.number)
    assert [one.number for one in list_runs()] == [other.number]


def test_a_full_disk_leaves_the_dead_looking_dead(monkeypatch):
    live.enqueue(REQUEST)
    with try_lock(live.worker_lock_path()):
        claim_next()

    def refuse(path, data):
        raise StorageError("No space left on device.")

    monkeypatch.setattr(live, "write_atomically", refuse)
    assert list_runs()[0].state == "failed"


# what was shown


def test_the_log_is_read_as_it_grows_and_a_torn_line_is_skipped(tmp_path):
    log = LiveLog(tmp_path)
    assert read_log(tmp_path).position == 0
    log.write("start", epochs_done=0, steps=10, images=320)
    log.write("batch", position=0.1, seconds=1.0, loss=2.0, accuracy=0.2)
    with open(tmp_path / "progress.jsonl", "ab") as stream:
        stream.write(b'{"kind":"batch","position":0.2,"sec')
    log.write("batch", position=0.3, seconds=2.0, loss=1.5, accuracy=0.3)
    progress = read_log(tmp_path)
    assert [row["position"] for row in progress.batches] == [0.1, 0.3]
    assert (progress.num_steps, progress.num_images, progress.position) == (10, 320, 0.3)


def test_a_resumed_run_forgets_what_it_trains_again(tmp_path):
    log = LiveLog(tmp_path)
    log.write("start", epochs_done=0, steps=2, images=64)
    for position in (0.5, 1.0, 1.5):
        log.write("batch", position=position, seconds=1.0, loss=1.0, accuracy=0.5)
        log.write("look", position=position, seconds=1.0, loss=1.0, accuracy=0.5, matrix=[], samples=[])
    log.write("epoch", epoch=1, loss=1.0)
    log.write("epoch", epoch=2, loss=1.0)
    log.write("start", epochs_done=1, steps=2, images=64)
    log.write("batch", position=1.5, seconds=2.0, loss=0.9, accuracy=0.6)
    progress = read_log(tmp_path)
    assert [row["position"] for row in progress.batches] == [0.5, 1.0, 1.5]
    assert progress.batches[-1]["loss"] == 0.9 and len(progress.looks) == 2
    assert [row["epoch"] for row in progress.epochs] == [1]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_full_disk_is_one_sentence(tmp_path):
    (tmp_path / "progress.jsonl").symlink_to("/dev/full")
    with pytest.raises(StorageError, match="No space left on device"):
        LiveLog(tmp_path).write("start", epochs_done=0)


def test_the_same_cells_of_every_class_are_looked_at():
    labels = np.array([0] * 50 + [3] * 5 + [7] * 1)
    rows, samples = choose_cells(labels, 40, 2)
    again, _ = choose_cells(labels, 40, 2)
    np.testing.assert_array_equal(rows, again)
    assert np.bincount(labels[rows], minlength=8).tolist() == [40, 0, 0, 5, 0, 0, 0, 1]
    assert labels[rows[samples]].tolist() == [0, 0, 3, 3, 7]


def test_state_survives_unknown_fields_of_a_later_version():
    run = live.enqueue(REQUEST)
    path = run.folder / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"from_the_future": 1}))
    assert find_run(run.number).state == "queued"
    assert isinstance(find_run(run.number), LiveRun) and time.time() - find_run(run.number).queued_at < 60

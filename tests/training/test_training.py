"""A training learns, follows its seed, survives a kill and never leaves half a file."""

import dataclasses
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bloodcell.dataset import load_split
from bloodcell.errors import RecipeNotFoundError, StorageError, TrainingError
from bloodcell.locks import try_lock
from bloodcell.models import CATALOG
from bloodcell.training import (
    RECIPES,
    TrainingRecipe,
    describe_changes,
    live_request,
    parse_changes,
    recipe_for,
    recipes,
    train,
)
from bloodcell.training.augmentation import AUGMENTATIONS, epoch_order, symmetry
from bloodcell.training.trainer import checkpoint_path

SHORT = TrainingRecipe(num_epochs=4, batch_size=16, learning_rate=3e-3, patience=None)


class KilledError(Exception):
    """Stands for a process that ends between two epochs."""


@pytest.fixture
def splits(small_dataset):
    return load_split("train"), load_split("val")


@pytest.mark.parametrize("name", CATALOG)
def test_every_network_has_a_recipe(name):
    recipe_name, recipe = recipe_for(name)
    assert recipe is RECIPES[recipe_name]
    assert recipe.augmentation in AUGMENTATIONS


def test_the_study_is_trained_without_augmentation():
    assert {recipe_for(name)[1].augmentation for name, spec in CATALOG.items() if spec.origin == "study"} == {"none"}


def test_an_unknown_recipe_is_one_sentence():
    with pytest.raises(RecipeNotFoundError, match="Available: study"):
        recipe_for("cnn_4", "no such")


def test_a_training_learns_and_keeps_its_best_epoch(splits):
    result = train("cnn_bn_dropout40", SHORT.replace(num_epochs=6), *splits)
    history = result.history
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    assert history[-1]["loss"] < history[0]["loss"] / 2
    best = history[result.best_epoch - 1]
    assert best["val_accuracy"] == max(row["val_accuracy"] for row in history)
    scores = np.asarray(result.model.predict_on_batch(splits[1].images.astype("float32") / 255))
    assert (scores.argmax(1) == splits[1].labels).mean() == pytest.approx(best["val_accuracy"])


@pytest.mark.parametrize(
    "changes", [{}, {"optimizer": "adamw", "weight_decay": 0.02, "ema_decay": 0.9, "warmup_epochs": 1.0}]
)
def test_a_killed_training_ends_where_the_uninterrupted_one_does(splits, tmp_path, changes):
    """The same numbers to the last digits that float32 keeps, dropout and averaged weights included."""
    recipe = SHORT.replace(augmentation="symmetries_shift", **changes)
    whole = train("cnn_dropout40", recipe, *splits, seed=3, directory=tmp_path / "whole")

    def kill_after_two(numbers):
        if numbers["epoch"] == 2:
            raise KilledError

    with pytest.raises(KilledError):
        train("cnn_dropout40", recipe, *splits, seed=3, directory=tmp_path / "parts", on_epoch=kill_after_two)
    seen = []
    resumed = train(
        "cnn_dropout40",
        recipe,
        *splits,
        seed=3,
        directory=tmp_path / "parts",
        on_batch=lambda step, steps, numbers: seen.append(step),
    )
    assert len(seen) == 2 * 6  # two epochs were left, of six steps each
    for key in ("loss", "val_loss", "val_accuracy", "learning_rate"):
        np.testing.assert_allclose(
            [row[key] for row in resumed.history], [row[key] for row in whole.history], rtol=1e-3, atol=1e-5
        )


def test_a_process_killed_mid_training_resumes(small_dataset, tmp_path):
    """SIGKILL at any moment: the same command ends well, and no partial file remains in the artifacts."""
    environment = {
        **os.environ,
        "BLOODCELL_DATA": str(small_dataset),
        "BLOODCELL_CACHE": str(tmp_path / "cache"),
        "BLOODCELL_ARTIFACTS": str(tmp_path / "artifacts"),
    }
    command = [sys.executable, "-m", "bloodcell", "train", "cnn_4", "--epochs", "40"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("cache/training/*.npz")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list((tmp_path).glob("artifacts/*/manifest.json"))
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert (tmp_path / "artifacts" / "cnn_4" / "manifest.json").is_file()
    assert not list(tmp_path.rglob("*.part"))


def test_a_damaged_checkpoint_starts_again(splits, tmp_path, caplog):
    path = checkpoint_path("cnn_4", SHORT, 0, splits[0], tmp_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no checkpoint")
    result = train("cnn_4", SHORT.replace(num_epochs=4), *splits, directory=tmp_path)
    assert len(result.history) == 4
    assert "cannot be used" in caplog.text


def test_a_full_disk_ends_no_training(splits, tmp_path, monkeypatch, caplog):
    def refuse(path: Path, data: bytes) -> None:
        raise StorageError(f"Could not write {path}: No space left on device.")

    monkeypatch.setattr("bloodcell.training.checkpoint.write_atomically", refuse)
    assert len(train("cnn_4", SHORT, *splits, directory=tmp_path).history) == 4
    assert "No space left" in caplog.text


def test_two_processes_do_not_train_the_same_at_once(splits, tmp_path):
    place = checkpoint_path("cnn_2", SHORT, 0, splits[0], tmp_path)
    with try_lock(place.with_suffix(".lock")):
        with pytest.raises(TrainingError, match="Another process trains cnn_2"):
            train("cnn_2", SHORT, *splits, directory=tmp_path)
        train("cnn_2", SHORT.replace(num_epochs=1), *splits, directory=tmp_path)  # another recipe is another training
    assert not place.is_file()
    train("cnn_2", SHORT, *splits, directory=tmp_path)


def test_a_folder_that_cannot_be_written_ends_no_training(splits, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    assert len(train("cnn_2", SHORT, *splits, directory=tmp_path / "file").history) == SHORT.num_epochs
    assert "without a new checkpoint" in caplog.text


def test_early_stopping_ends_a_training_that_stands_still(splits, tmp_path):
    recipe = SHORT.replace(num_epochs=12, learning_rate=0.0, schedule="constant", patience=2)
    assert len(train("cnn_3", recipe, *splits, directory=tmp_path).history) == 3


def test_a_diverging_loss_says_what_to_do(splits, tmp_path):
    with pytest.raises(TrainingError, match="Lower the learning rate"):
        train("cnn_4", SHORT.replace(optimizer="sgd", learning_rate=float("inf")), *splits, directory=tmp_path)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_keep_shape_range_and_input(name):
    generator = np.random.default_rng(0)
    inputs = generator.random((5, 64, 64, 3), dtype=np.float32)
    before = inputs.copy()
    outputs = AUGMENTATIONS[name](inputs, np.random.default_rng(1))
    assert outputs.shape == inputs.shape and outputs.dtype == np.float32
    assert outputs.min() >= 0 and outputs.max() <= 1
    np.testing.assert_array_equal(inputs, before)
    np.testing.assert_array_equal(outputs, AUGMENTATIONS[name](inputs, np.random.default_rng(1)))
    assert (name == "none") == np.array_equal(outputs, inputs)


def test_the_eight_symmetries_are_eight():
    image = np.random.default_rng(0).random((1, 6, 6, 3))
    forms = {symmetry(image, index).tobytes() for index in range(8)}
    assert len(forms) == 8


def test_balanced_classes_are_equally_often():
    labels = np.array([0] * 10 + [1] * 3 + [2] * 7)
    order = epoch_order(labels, "study_balanced", np.random.default_rng(0))
    assert list(np.bincount(labels[order])) == [10, 10, 10]
    assert set(order) == set(range(20))
    assert sorted(epoch_order(labels, "none", np.random.default_rng(0))) == list(range(20))


def test_quick_averages_show_on_val_what_a_short_training_learned(splits, tmp_path):
    """Keras's own momentum lags by hundreds of steps: after twelve, val looks broken and is not."""
    recipe = SHORT.replace(num_epochs=2)
    lagging = train("net2_bn", recipe, *splits, directory=tmp_path / "a").history[-1]
    quick = train("net2_bn", recipe.replace(norm_momentum=0.9), *splits, directory=tmp_path / "b").history[-1]
    assert quick["val_loss"] < lagging["val_loss"]
    assert quick["loss"] == pytest.approx(lagging["loss"], rel=1e-3)  # training itself is the same


def test_a_field_that_came_later_leaves_older_checkpoints_in_their_place(splits, tmp_path):
    same = checkpoint_path("cnn_4", SHORT, 0, splits[0], tmp_path)
    assert same == checkpoint_path("cnn_4", SHORT.replace(norm_momentum=None), 0, splits[0], tmp_path)
    assert same != checkpoint_path("cnn_4", SHORT.replace(norm_momentum=0.9), 0, splits[0], tmp_path)


def test_a_training_can_be_watched_and_ended_between_epochs(splits, tmp_path):
    """What watching takes is no training time."""
    models, epochs, held_up = [], [], []
    started = time.monotonic()
    result = train(
        "cnn_3",
        SHORT,
        *splits,
        directory=tmp_path,
        on_model=models.append,
        on_epoch=epochs.append,
        on_batch=lambda *_: held_up.append(time.sleep(0.05)),
        should_end=lambda: len(epochs) == 2,
    )
    assert len(result.history) == 2 and models[0].output_shape == (None, 8)
    assert sum(row["seconds"] for row in result.history) < time.monotonic() - started - 0.05 * len(held_up)


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (["batch_size=32", "learning_rate=1e-2"], {"batch_size": 32, "learning_rate": 0.01}),
        (["patience=none", "max_images=96"], {"patience": None, "max_images": 96}),
        (["xla=true", "optimizer=sgd"], {"xla": True, "optimizer": "sgd"}),
        ([], {}),
    ],
)
def test_changes_of_a_recipe_are_read_as_they_are_written(words, changes):
    assert parse_changes(words) == changes
    recipe = TrainingRecipe().replace(**changes)
    assert parse_changes(describe_changes(recipe, TrainingRecipe())) == changes


@pytest.mark.parametrize(
    "word",
    [
        "depth=3",
        "batch_size",
        "batch_size=many",
        "xla=yes",
        "num_epochs=none",
        "num_epochs=0",
        "batch_size=0",
        "max_images=0",
        "patience=0",
        "learning_rate=0",
        "learning_rate=nan",
        "warmup_epochs=-1",
        "warmup_epochs=1e308",
        "weight_decay=-0.1",
        "label_smoothing=1",
        "label_smoothing=-0.1",
        "ema_decay=1",
        "clip_norm=-1",
        "norm_momentum=1.5",
        "augmentation=x",
        "optimizer=x",
        "schedule=x",
        "compute_dtype=float8",
    ],
)
def test_changes_that_are_none_are_refused(word):
    with pytest.raises(ValueError, match="received"):
        parse_changes([word])


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_asked_for_in_words(name):
    """What is allowed in words holds all that the project itself trains by."""
    words = [f"{field}={value}" for field, value in dataclasses.asdict(RECIPES[name]).items()]
    assert TrainingRecipe().replace(**parse_changes(words)) == RECIPES[name]


def test_the_page_offers_the_optimizers_that_there_are():
    assert live_request.OPTIMIZERS == recipes.OPTIMIZERS


MEASURE_FAULTS = """
import resource, sys
import numpy as np
from bloodcell.training.allocator import keep_freed_memory

def count_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(2_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = count_faults()
assert keep_freed_memory()
count_faults()  # takes what is then kept
print(before, count_faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tells glibc what to do")
def test_a_training_process_keeps_the_memory_that_it_frees():
    output = subprocess.run([sys.executable, "-c", MEASURE_FAULTS], check=True, capture_output=True, text=True).stdout
    before, after = map(int, output.split())
    assert after < before / 100


def test_a_system_without_file_locks_trains_all_the_same(splits, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert len(train("cnn_4", SHORT.replace(num_epochs=1), *splits, directory=tmp_path).history) == 1

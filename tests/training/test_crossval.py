"""Cross-validation: who has learned from an image never answers it, nothing is chosen, and it goes on after a kill."""

import numpy as np
import pytest

from bloodcell.dataset import load_split
from bloodcell.errors import TrainingError
from bloodcell.training import recipe_for
from bloodcell.training.crossval import assign_folds, checkpoint_folder, cross_validate
from bloodcell.training.trainer import TrainingResult, train


def test_folds_are_equal_in_size_and_class():
    labels = np.repeat(np.arange(8), [30, 7, 51, 12, 33, 18, 44, 9])
    folds = assign_folds(labels, 5)
    assert np.ptp(np.bincount(folds)) <= 1
    for label in range(8):
        assert np.ptp(np.bincount(folds[labels == label], minlength=5)) <= 1
    assert np.array_equal(folds, assign_folds(labels, 5))  # the same whenever it is asked
    assert not np.array_equal(folds[:20], np.arange(20) % 5)  # and not the dataset's own order


@pytest.mark.parametrize("num_folds", [0, 1, 9])
def test_folds_must_be_two_or_more_and_no_more_than_images(num_folds):
    with pytest.raises(ValueError, match=rf"Expected 2 to 8 folds for 8 images\. Received: {num_folds}"):
        assign_folds(np.arange(8), num_folds)


def test_no_network_answers_what_it_learned_from(small_dataset, monkeypatch, tmp_path):
    """Each fold's network gets every other image and no image of the fold; the fold's number is its seed."""
    seen = []

    def remember(model_name, recipe, train_split, val_split, **settings):
        seen.append((set(train_split.image_hashes.tolist()), settings))
        return TrainingResult(None, [], 1, 2.5, "a device", "tensorflow")

    def answer(model, images):
        return np.full((len(images), 13), len(seen), dtype=np.float32)  # one with subtypes: only the classes are kept

    monkeypatch.setattr("bloodcell.training.crossval.train", remember)
    monkeypatch.setattr("bloodcell.training.crossval.compute_logits", answer)
    monkeypatch.setattr("bloodcell.models.answers_model", lambda model: model)
    split = load_split("train")
    found = cross_validate("cnn_3", recipe_for("cnn_3")[1], split, load_split("val"), num_folds=3, directory=tmp_path)
    hashes = split.image_hashes
    for fold, (learned, settings) in enumerate(seen):
        held = set(hashes[found.folds == fold].tolist())
        assert not learned & held and learned | held == set(hashes.tolist())
        assert settings["seed"] == fold and settings["keep_last"]
        assert settings["directory"] == checkpoint_folder(fold, 3, tmp_path)
    assert np.array_equal(found.logits[:, 0], found.folds + 1) and found.logits.shape == (split.num_images, 8)
    assert (found.duration_s, found.device, found.backend) == (7.5, "a device", "tensorflow")


def test_a_teacher_is_refused(small_dataset):
    recipe = recipe_for("cnn_3")[1].replace(teacher="cnn_4")
    with pytest.raises(TrainingError, match="cnn_4 may have learned from the images that are held out"):
        cross_validate("cnn_3", recipe, load_split("train"), load_split("val"))


def test_it_goes_on_after_a_kill_and_keeps_the_last_epoch(small_dataset, tmp_path):
    """Killed in the second fold, the same call trains what is missing and gives what an uninterrupted one gives."""
    recipe = recipe_for("cnn_3")[1].replace(num_epochs=2, patience=None)
    splits = load_split("train"), load_split("val")

    class Killed(Exception):
        pass

    def kill(numbers):
        epochs.append(numbers["epoch"])
        if len(epochs) == 3:
            raise Killed

    epochs: list[float] = []
    with pytest.raises(Killed):
        cross_validate("cnn_3", recipe, *splits, num_folds=2, on_epoch=kill, directory=tmp_path / "killed")
    folds: list[int] = []
    epochs = [0] * 4  # so that nothing is killed any more
    resumed = cross_validate(
        "cnn_3", recipe, *splits, num_folds=2, on_fold=folds.append, on_epoch=kill, directory=tmp_path / "killed"
    )
    whole = cross_validate("cnn_3", recipe, *splits, num_folds=2, directory=tmp_path / "whole")
    assert folds == [0, 1]
    assert epochs[4:] == [1, 2, 1, 2]  # those done are told again, and only one was trained
    np.testing.assert_allclose(resumed.logits, whole.logits, atol=1e-4)


def test_the_last_epoch_is_kept_where_val_prefers_an_earlier_one(small_dataset, tmp_path, monkeypatch):
    scores = iter([(0.1, 0.9), (0.5, 0.2)] * 2)
    monkeypatch.setattr("bloodcell.training.trainer.score_logits", lambda logits, labels: next(scores))
    recipe = recipe_for("cnn_3")[1].replace(num_epochs=2, patience=None)
    splits = load_split("train"), load_split("val")
    best = train("cnn_3", recipe, *splits, directory=tmp_path / "best")
    last = train("cnn_3", recipe, *splits, directory=tmp_path / "last", keep_last=True)
    assert (best.best_epoch, last.best_epoch) == (1, 2)

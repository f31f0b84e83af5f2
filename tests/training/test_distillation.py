"""A teacher's answers become a share of what a step asks, on the very images that the step shows."""

import numpy as np
import pytest

from bloodcell.artifact import load_artifact
from bloodcell.dataset import load_split
from bloodcell.errors import TrainingError
from bloodcell.pipeline import load_or_train
from bloodcell.training import TrainingRecipe, parse_changes, train
from bloodcell.training.augmentation import AUGMENTATIONS
from bloodcell.training.feed import EpochFeed
from bloodcell.training.targets import Teacher, make_targets
from bloodcell.training.trainer import checkpoint_path

SHORT = TrainingRecipe(num_epochs=2, batch_size=16, learning_rate=3e-3, patience=None, augmentation="symmetries_shift")


def make_feed(split, recipe, teacher=None, targets=None):
    targets = make_targets(split.labels) if targets is None else targets
    augmentation = AUGMENTATIONS[recipe.augmentation]
    return EpochFeed.create(split.images, split.labels, targets, recipe, augmentation, seed=1, epoch=2, teacher=teacher)


def test_a_batch_asks_for_labels_and_the_teachers_answers_to_its_own_images(small_dataset):
    split = load_split("train")
    shown = []

    def teacher(inputs):
        shown.append(inputs)
        answers = np.full((len(inputs), 8), 0.05, np.float32)
        answers[:, 2] = 0.65
        return answers

    plain, plain_targets = make_feed(split, SHORT)[0]
    before = make_targets(split.labels)
    inputs, targets = make_feed(
        split, SHORT.replace(teacher="any", teacher_share=0.25), Teacher("any", "0", teacher), before
    )[0]
    np.testing.assert_array_equal(inputs, plain)
    np.testing.assert_array_equal(shown[0], plain)
    np.testing.assert_allclose(targets, 0.75 * plain_targets + 0.25 * teacher(plain), atol=1e-6)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(before, make_targets(split.labels))


def test_what_is_asked_on_finer_types_stays(small_dataset):
    split = load_split("train")
    asked = np.concatenate([make_targets(split.labels), np.eye(5, dtype=np.float32)[split.labels % 5]], axis=1)
    teacher = Teacher("any", "0", lambda inputs: np.full((len(inputs), 8), 0.125, np.float32))
    _, plain = make_feed(split, SHORT, targets=asked)[0]
    _, targets = make_feed(split, SHORT.replace(teacher="any", teacher_share=1.0), teacher, asked)[0]
    np.testing.assert_array_equal(targets[:, 8:], plain[:, 8:])
    np.testing.assert_allclose(targets[:, :8], 0.125)


def test_a_recipe_and_its_teacher_come_together(small_dataset, tmp_path):
    splits = load_split("train"), load_split("val")
    with pytest.raises(ValueError, match="teacher"):
        train("cnn_4", SHORT.replace(teacher="cnn_3"), *splits, directory=tmp_path)
    with pytest.raises(ValueError, match="teacher"):
        train("cnn_4", SHORT, *splits, directory=tmp_path, teacher=Teacher("cnn_3", "0", lambda inputs: inputs))
    plain, taught = (
        checkpoint_path("cnn_4", one, 0, splits[0], tmp_path) for one in (SHORT, SHORT.replace(teacher="a"))
    )
    assert plain != taught
    assert plain == checkpoint_path("cnn_4", SHORT.replace(teacher_share=0.7), 0, splits[0], tmp_path)
    by_weights = {
        checkpoint_path("cnn_4", SHORT.replace(teacher="a"), 0, splits[0], tmp_path, Teacher("a", digest, lambda x: x))
        for digest in ("0", "1")
    }
    assert len(by_weights) == 2, "a teacher that was trained again is another teacher"


def test_a_share_is_above_nothing_and_at_most_everything():
    assert parse_changes(["teacher=hemanet_base", "teacher_share=1"]) == {
        "teacher": "hemanet_base",
        "teacher_share": 1.0,
    }
    assert parse_changes(["teacher=none"]) == {"teacher": None}
    for wrong in ("teacher_share=0", "teacher_share=1.1", "teacher_share=nan"):
        with pytest.raises(ValueError, match="teacher_share must be above 0"):
            parse_changes([wrong])


def test_the_road_with_a_teacher(small_dataset, tmp_path, monkeypatch):
    """The student is asked what the teacher answers, so it ends nearer to it than a twin that learned from labels."""
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setenv("BLOODCELL_CACHE", str(tmp_path / "cache"))
    changes = {"batch_size": 16, "patience": None}
    load_or_train("cnn_3", num_epochs=3, changes=changes)
    alone = load_or_train("cnn_4", num_epochs=3, changes=changes, run_tag="alone")
    taught = load_or_train(
        "cnn_4", num_epochs=3, changes={**changes, "teacher": "cnn_3", "teacher_share": 1.0}, run_tag="taught"
    )
    teacher = load_artifact("cnn_3")
    assert taught.manifest.notes == (
        f"It learned from the answers of cnn_3 (weights {teacher.manifest.files['weights.safetensors'][:12]}) alone.",
    )
    assert not alone.manifest.notes
    assert "--set teacher=cnn_3 --set teacher_share=1.0" in taught.manifest.command

    def shares(artifact):
        logits = artifact.load_predictions("val").logits
        values = np.exp(logits - logits.max(axis=1, keepdims=True))
        return values / values.sum(axis=1, keepdims=True)

    distance = {one.name: np.abs(shares(one) - shares(teacher)).mean() for one in (alone, taught)}
    assert distance["cnn_4.taught"] < distance["cnn_4.alone"]


def test_a_teacher_that_is_not_there_is_one_sentence(small_dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "artifacts"))
    with pytest.raises(TrainingError, match="teacher cnn_3 cannot be read"):
        load_or_train("cnn_4", changes={"teacher": "cnn_3"}, run_tag="taught")
    with pytest.raises(TrainingError, match="its own teacher"):
        load_or_train("cnn_4", changes={"teacher": "cnn_4"})


def test_an_own_model_teaches_own_models(small_dataset, tmp_path, monkeypatch):
    for name in ("ARTIFACTS", "CACHE", "HOME"):
        monkeypatch.setenv(f"BLOODCELL_{name}", str(tmp_path / name.lower()))
    changes = {"batch_size": 16, "patience": None}
    load_or_train("cnn_3.mine", num_epochs=1, changes=changes, own=True)
    taught = {**changes, "teacher": "cnn_3.mine"}
    with pytest.raises(TrainingError, match="with --own"):
        load_or_train("cnn_4", num_epochs=1, changes=taught, run_tag="taught")
    found = load_or_train("cnn_4.mine", num_epochs=1, changes=taught, own=True, run_tag="taught")
    assert "cnn_3.mine" in found.manifest.notes[0] and "50 % from the former" in found.manifest.notes[0]
    assert " train cnn_4.mine " in found.manifest.command and "--run taught --own" in found.manifest.command

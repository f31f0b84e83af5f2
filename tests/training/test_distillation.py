"""A teacher's answers become a share of the targets, and mixup blends images and targets alike."""

import numpy as np
import pytest

from bloodcell.artifact import load_artifact
from bloodcell.dataset import Split, load_split, prepare_images
from bloodcell.errors import TrainingError
from bloodcell.evaluation import softmax
from bloodcell.inference import load_engine
from bloodcell.inference.views import make_views
from bloodcell.pipeline import load_or_train
from bloodcell.teachers import find_teacher
from bloodcell.training import TrainingRecipe, parse_changes, train
from bloodcell.training.augmentation import AUGMENTATIONS
from bloodcell.training.feed import EpochFeed
from bloodcell.training.targets import Teacher, follow_teacher, make_targets
from bloodcell.training.trainer import checkpoint_path

SHORT = TrainingRecipe(num_epochs=2, batch_size=16, learning_rate=3e-3, patience=None, augmentation="symmetries_shift")


def make_feed(split: Split, recipe: TrainingRecipe, targets: np.ndarray) -> EpochFeed:
    augmentation = AUGMENTATIONS[recipe.augmentation]
    return EpochFeed.create(split.images, split.labels, targets, recipe, augmentation, seed=1, epoch=2)


def test_a_teacher_decides_a_share_of_the_classes_and_nothing_on_finer_types():
    labels = np.arange(24) % 8
    asked = np.concatenate([make_targets(labels), np.eye(5, dtype=np.float32)[labels % 5]], axis=1)
    before = asked.copy()
    answers = np.full((24, 8), 0.05, np.float32)
    answers[:, 2] = 0.65
    targets = follow_teacher(asked, answers, 0.25)
    np.testing.assert_allclose(targets[:, :8], 0.75 * asked[:, :8] + 0.25 * answers, atol=1e-6)
    np.testing.assert_allclose(targets[:, :8].sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(targets[:, 8:], asked[:, 8:])
    np.testing.assert_array_equal(asked, before)
    np.testing.assert_allclose(follow_teacher(asked, answers, 1.0)[:, :8], answers, atol=1e-6)


def test_mixup_blends_images_and_targets_by_the_same_shares(small_dataset):
    split = load_split("train")
    targets = make_targets(split.labels)
    plain, asked = make_feed(split, SHORT, targets)[0]
    inputs, blended = make_feed(split, SHORT.replace(mixup=0.4), targets)[0]
    again, _ = make_feed(split, SHORT.replace(mixup=0.4), targets)[0]
    np.testing.assert_array_equal(inputs, again)
    partners = np.arange(len(plain))[::-1]
    apart = asked.argmax(axis=1) != asked[partners].argmax(axis=1)
    assert apart.any()
    shares = (blended * asked).sum(axis=1)  # what is left of an image's own class where its partner is of another
    assert (shares >= 0.5).all() and (shares[apart] < 1).all()
    assert len(np.unique(shares[apart].round(4))) > 2, "every image has a share of its own"
    for row in np.flatnonzero(apart):
        expected = shares[row] * plain[row] + (1 - shares[row]) * plain[partners[row]]
        np.testing.assert_allclose(inputs[row], expected, atol=1e-5)
    np.testing.assert_allclose(blended.sum(axis=1), 1, atol=1e-6)


def test_batch_statistics_are_made_from_images_as_they_are_evaluated(small_dataset):
    split = load_split("train")
    targets = make_targets(split.labels)
    plain, mixed = (make_feed(split, SHORT.replace(mixup=share), targets) for share in (0.0, 0.4))
    np.testing.assert_array_equal(next(plain.samples(16)), next(mixed.samples(16)))


def test_a_training_asks_its_teacher_once_and_learns_what_it_says(small_dataset, tmp_path):
    """All images are one class to this teacher, so that a network which learns from it alone calls them so."""
    asked = []

    def answer(images):
        asked.append(images)
        return np.eye(8, dtype=np.float32)[np.full(len(images), 3)]

    splits = load_split("train"), load_split("val")
    recipe = SHORT.replace(teacher="any", teacher_share=1.0)
    result = train("cnn_4", recipe, *splits, directory=tmp_path, teacher=Teacher("any", "0", answer))
    assert len(asked) == 1
    np.testing.assert_array_equal(asked[0], splits[0].images)
    answers = np.asarray(result.model.predict_on_batch(prepare_images(splits[1].images)))
    assert (answers.argmax(axis=1) == 3).all()


def test_several_teachers_answer_by_their_mean_from_eight_sides(small_dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "artifacts"))
    for name in ("cnn_3", "cnn_4"):
        load_or_train(name, num_epochs=1, changes={"batch_size": 16, "patience": None})
    images = load_split("train").images[:20]
    teacher = find_teacher("cnn_3+cnn_4", "cnn_2", own=False)
    answers = teacher.answer(images)
    means = []
    for name in ("cnn_3", "cnn_4"):
        engine = load_engine(load_artifact(name))
        means.append([softmax(engine.compute_logits(view), 1.0) for view in make_views(prepare_images(images))])
    np.testing.assert_allclose(answers, np.mean(means, axis=(0, 1)), atol=1e-5)
    assert teacher.digest != find_teacher("cnn_3", "cnn_2", own=False).digest
    (kept,) = (tmp_path / "cache" / "teachers").glob("*.npy")
    np.save(kept, answers + 1)
    np.testing.assert_array_equal(teacher.answer(images), answers + 1, "what was answered once is kept")
    kept.write_bytes(b"cut")
    np.testing.assert_allclose(teacher.answer(images), answers, atol=1e-6)
    turned = find_teacher("cnn_4+cnn_3+cnn_4", "cnn_2", own=False)
    assert (turned.name, turned.digest) == (teacher.name, teacher.digest), "the order of names decides nothing"
    for one in ("cnn_3", "cnn_4"):
        assert f"{one} (weights {load_artifact(one).manifest.files['weights.safetensors'][:12]})" in teacher.words
    load_or_train("cnn_4", num_epochs=1, changes={"batch_size": 16, "patience": None}, run_tag="s1", seed=1)
    with pytest.raises(TrainingError, match="is a run, which keeps no weights"):
        find_teacher("cnn_3+runs/cnn_4.s1", "cnn_2", own=False)
    with pytest.raises(TrainingError, match="own teacher"):
        find_teacher("cnn_3+cnn_4", "cnn_4", own=False)


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
    assert plain != checkpoint_path("cnn_4", SHORT.replace(mixup=0.2), 0, splits[0], tmp_path)
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
    assert parse_changes(["mixup=0.2"]) == {"mixup": 0.2}
    with pytest.raises(ValueError, match="mixup must be"):
        parse_changes(["mixup=-1"])
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

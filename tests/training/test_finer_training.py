"""A network learns finer types where they are known, and from the rest of the images their class alone."""

import csv

import numpy as np
import pytest

from bloodcell.artifact import load_artifact, load_model
from bloodcell.dataset import FINER_NAMES, SUBTYPE_COLUMNS, SUBTYPE_NAMES, UNKNOWN, load_split, prepare_images
from bloodcell.dataset.subtypes import format_subtypes
from bloodcell.errors import TrainingError
from bloodcell.evaluation import finer_probabilities, softmax
from bloodcell.inference import load_engine
from bloodcell.pipeline import load_or_train
from bloodcell.training import TrainingRecipe, train
from bloodcell.training.targets import accuracy, hierarchical_loss, make_targets


@pytest.fixture
def known_types(small_dataset, tmp_path, monkeypatch):
    """Half of the images with subtypes are given one, by turns."""
    rows = []
    for name in ("train", "val", "test"):
        split = load_split(name)
        for label, columns in SUBTYPE_COLUMNS.items():
            types = SUBTYPE_NAMES[columns]
            for turn, row in enumerate(np.flatnonzero(split.labels == label)[::2].tolist()):
                rows.append((name, row, int(split.image_hashes[row]), types[turn % len(types)]))
    path = tmp_path / "subtypes.csv"
    path.write_text(format_subtypes(rows))
    monkeypatch.setenv("BLOODCELL_SUBTYPES", str(path))
    return len(list(csv.reader(path.read_text().splitlines()))) - 1


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_likelihood_of_what_is_known(smoothing):
    """Without smoothing: -log of the type's probability, or of the sum over its class where the type is unknown."""
    generator = np.random.default_rng(2)
    answers = generator.normal(0, 2, (4, 13)).astype(np.float32)
    labels = np.array([3, 3, 6, 0])
    finer = np.array([FINER_NAMES.index("myelocyte"), UNKNOWN, FINER_NAMES.index("segmented neutrophil"), 0])
    found = np.asarray(hierarchical_loss(smoothing)(make_targets(labels, finer), answers))
    eleven = finer_probabilities(answers[:, :8], answers[:, 8:])
    expected = -np.log([eleven[0, 4], eleven[1, 3:6].sum(), eleven[2, 9], eleven[3, 0]])
    if not smoothing:
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        return
    spread = -np.log(softmax(answers[:, :8])).mean(axis=1)
    classes = -np.log(softmax(answers[:, :8])[np.arange(4), labels])
    np.testing.assert_allclose(found[[1, 3]], (0.9 * classes + 0.1 * spread)[[1, 3]], rtol=1e-5)
    shares = -np.log(softmax(answers[2:3, 11:13]))[0]
    inside = 0.9 * shares[1] + 0.1 * shares.mean()
    np.testing.assert_allclose(found[2], (0.9 * classes + 0.1 * spread)[2] + inside, rtol=1e-5)


def test_the_metric_looks_at_classes_alone():
    targets = make_targets(np.array([3, 6]), np.array([3, 8]))
    answers = np.zeros((2, 13), np.float32)
    answers[0, 3] = answers[1, 5] = 1
    answers[:, 8:] = 9
    np.testing.assert_array_equal(np.asarray(accuracy(targets, answers)), [1, 0])


def test_a_dataset_without_known_types_is_refused(small_dataset, tmp_path):
    recipe = TrainingRecipe(num_epochs=1, batch_size=48)
    with pytest.raises(TrainingError, match="BLOODCELL_SUBTYPES"):
        train("hemanet_nano.eleven", recipe, load_split("train"), load_split("val"), directory=tmp_path)


def test_from_training_to_answers(small_dataset, known_types, tmp_path, monkeypatch):
    """One artifact, walked through: stored answers, numbers, Keras and LiteRT say the same of finer types."""
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "artifacts"))
    load_or_train("hemanet_nano.eleven", recipe_name="hemanet_nano", num_epochs=3)
    artifact = load_artifact("hemanet_nano.eleven")
    assert artifact.model_name in ("hemanet_nano", "hemanet_nano.eleven")
    assert "train hemanet_nano.eleven" in artifact.manifest.command
    assert artifact.manifest.recipe_name == "hemanet_nano"
    stored = artifact.load_predictions("test")
    split = load_split("test")
    assert stored.logits.shape == (48, 8) and stored.subtype_logits.shape == (48, 5)
    lumped = np.isin(split.labels, list(SUBTYPE_COLUMNS))
    assert (stored.finer_true[lumped] == UNKNOWN).sum() == lumped.sum() // 2
    numbers = artifact.load_evaluation("test")["finer"]
    assert numbers["num_unknown"] == lumped.sum() // 2
    assert numbers["overall"]["n"] == 48 - lumped.sum() // 2
    assert sum(map(sum, numbers["within"][1]["confusion_matrix"])) == (split.labels == 6).sum() // 2

    inputs = prepare_images(split.images)
    scores, subtype_logits = (np.asarray(one) for one in load_model(artifact)(inputs, training=False))
    np.testing.assert_allclose(subtype_logits, stored.subtype_logits, atol=1e-3)
    engine = load_engine(artifact)
    outputs = engine.compute_outputs(inputs)
    assert engine.gives_subtypes and engine.gives_features
    np.testing.assert_allclose(softmax(outputs.logits), scores, atol=2e-3)
    np.testing.assert_allclose(outputs.subtype_logits, stored.subtype_logits, atol=2e-2)
    np.testing.assert_array_equal(engine.compute_logits(inputs), outputs.logits)

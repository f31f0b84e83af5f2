"""Artifacts are verified when they are read, and a bad one never takes a good one with it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bloodcell.artifact import add_file, load_artifact, load_model, load_shelf
from bloodcell.artifact.manifest import Manifest
from bloodcell.artifact.weights import fill_weights, serialize_weights, to_stored
from bloodcell.errors import ArtifactDamagedError, ArtifactNotFoundError


@pytest.fixture
def folder(small_artifacts: Path, tmp_path: Path) -> Path:
    """A copy of the small artifacts that a test may damage."""
    return Path(shutil.copytree(small_artifacts, tmp_path / "artifacts"))


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def test_an_artifact_holds_what_its_page_needs(folder):
    artifact = load_artifact("cnn_4", folder)
    assert artifact.manifest.parameters == 130_792
    assert artifact.manifest.weights_bytes_float32 == 4 * 130_792
    assert list(artifact.load_history()["epoch"]) == [1, 2]
    for split, count in (("val", 40), ("test", 48)):
        predictions = artifact.load_predictions(split)
        assert predictions.logits.shape == (count, 8)
        evaluation = artifact.load_evaluation(split)
        assert evaluation["accuracy"] == pytest.approx((predictions.logits.argmax(1) == predictions.y_true).mean())
    assert artifact.litert_path is not None and artifact.litert_path.is_file()


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "predictions.npz", "evaluation.json", "history.csv", "model.tflite"]
)
def test_a_changed_byte_is_noticed_and_named(folder, name):
    flip_byte(folder / "cnn_4" / name)
    with pytest.raises(ArtifactDamagedError, match=name):
        load_artifact("cnn_4", folder)
    shelf = load_shelf(folder)
    assert list(shelf.artifacts) == ["cnn_3"]
    assert [(d.name, name in d.reason) for d in shelf.damaged] == [("cnn_4", True)]


def test_a_missing_file_is_noticed(folder):
    (folder / "cnn_4" / "history.csv").unlink()
    with pytest.raises(ArtifactDamagedError, match=r"history\.csv is missing"):
        load_artifact("cnn_4", folder)


def test_an_edited_manifest_is_noticed(folder):
    path = folder / "cnn_4" / "manifest.json"
    content = json.loads(path.read_text())
    content["temperature"] = 0.1
    path.write_text(json.dumps(content))
    with pytest.raises(ArtifactDamagedError, match="changed after it was written"):
        load_artifact("cnn_4", folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"manifest_sha256": ""}', '"words"'])
def test_a_broken_manifest_is_one_sentence(folder, text):
    (folder / "cnn_4" / "manifest.json").write_text(text)
    assert [d.name for d in load_shelf(folder).damaged] == ["cnn_4"]


def test_a_folder_without_manifest_is_incomplete(folder):
    (folder / "cnn_4" / "manifest.json").unlink()
    with pytest.raises(ArtifactDamagedError, match="incomplete"):
        load_artifact("cnn_4", folder)


def test_a_renamed_artifact_is_foreign(folder):
    (folder / "cnn_4").rename(folder / "vgg16")
    with pytest.raises(ArtifactDamagedError, match="copied or renamed"):
        load_artifact("vgg16", folder)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../artifacts/cnn_4", "/", "runs/../cnn_4", "a/cnn_4", "cnn\0", "runs/"]
)
def test_a_name_that_leads_elsewhere_is_none(folder, name):
    with pytest.raises(ArtifactNotFoundError, match="is not the name of a trained model"):
        load_artifact(name, folder)


def test_a_copy_under_an_odd_name_is_set_aside_by_name(folder):
    shutil.copytree(folder / "cnn_4", folder / "cnn_4 (copy)")
    (damaged,) = load_shelf(folder).damaged
    assert damaged.name == "cnn_4 (copy)"
    assert "copied or renamed" in damaged.reason


def test_nothing_trained_says_how_to_train(tmp_path):
    with pytest.raises(ArtifactNotFoundError, match="train cnn_4"):
        load_artifact("cnn_4", tmp_path)
    assert load_shelf(tmp_path / "nowhere").artifacts == {}


def test_weights_of_another_graph_are_refused(folder):
    from bloodcell.models import build_model

    data = (folder / "cnn_3" / "weights.safetensors").read_bytes()
    with pytest.raises(ArtifactDamagedError, match="another graph"):
        fill_weights(build_model("cnn_4"), data, "test")


def test_stored_weights_come_back_as_they_were_evaluated(folder, small_dataset):
    """The loaded model gives the stored logits of the test split."""
    from bloodcell.dataset import load_split
    from bloodcell.models import logits_model
    from bloodcell.training.trainer import compute_logits

    artifact = load_artifact("cnn_4", folder)
    logits = compute_logits(logits_model(load_model(artifact)), load_split("test").images)
    np.testing.assert_allclose(logits, artifact.load_predictions("test").logits, atol=1e-4)


def test_every_network_keeps_its_weights_by_name():
    """Building a network twice gives the same weight names, so that stored weights find their places."""
    from bloodcell.models import CATALOG, build_model

    for name in CATALOG:
        first = build_model(name)
        data = serialize_weights(first)
        second = build_model(name)
        fill_weights(second, data, name)
        for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
            np.testing.assert_array_equal(to_stored(a), to_stored(b))


def test_adding_a_file_keeps_the_artifact_whole(folder):
    artifact = add_file(load_artifact("cnn_4", folder), "model.tflite", b"new form")
    assert load_artifact("cnn_4", folder).fingerprint == artifact.fingerprint
    assert artifact.litert_path.read_bytes() == b"new form"


def test_a_manifest_survives_the_way_to_disk_and_back(folder):
    manifest = load_artifact("cnn_3", folder).manifest
    assert Manifest.from_json(manifest.to_json(), "here") == manifest

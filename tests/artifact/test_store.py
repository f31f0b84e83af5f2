"""Artifacts are verified when they are read, and a bad one never takes a good one with it."""

import hashlib
import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from bloodcell.artifact import add_file, load_artifact, load_model, load_shelf, writer
from bloodcell.artifact.manifest import Manifest
from bloodcell.artifact.store import NEXT_MANIFEST_FILE
from bloodcell.artifact.weights import fill_weights, serialize_weights, to_stored
from bloodcell.errors import ArtifactDamagedError, ArtifactNotFoundError, StorageError
from bloodcell.files import write_atomically
from bloodcell.locks import lock_folder
from tests.shelf import write_artifact


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


def test_files_that_two_processes_add_at_once_both_stay(folder):
    """Each has loaded the artifact before the other stores its file: the later one knows the file of the earlier."""
    first, second = load_artifact("cnn_4", folder), load_artifact("cnn_4", folder)
    add_file(first, "guard.npz", b"guard")
    added = add_file(second, "map.npz", b"map")
    loaded = load_artifact("cnn_4", folder)
    assert {"guard.npz", "map.npz"} <= loaded.manifest.files.keys()
    assert loaded.fingerprint == added.fingerprint


def test_a_file_made_for_an_older_training_is_refused(tmp_path):
    old = write_artifact(tmp_path, "cnn_4", accuracy=0.8)
    new = write_artifact(tmp_path, "cnn_4", accuracy=0.9)
    with pytest.raises(StorageError, match=r"trained anew while its guard\.npz was made"):
        add_file(old, "guard.npz", b"guard of the old")
    assert load_artifact("cnn_4", tmp_path).fingerprint == new.fingerprint
    assert not (new.directory / "guard.npz").exists()


@pytest.mark.parametrize("killed_at", ["map.npz", "manifest.json"])
def test_killed_while_a_file_is_replaced_the_artifact_still_loads(folder, monkeypatch, killed_at):
    """Either the old file is listed or the new one; the next process that adds a file keeps what it finds."""
    artifact = add_file(load_artifact("cnn_4", folder), "map.npz", b"old")

    class Killed(BaseException):
        pass

    def replace(source, target, replace=os.replace):
        if Path(target).name == killed_at:
            raise Killed
        replace(source, target)

    for rest, data in (("note.txt", b"new"), ("more.txt", b"newer")):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(os, "replace", replace)
            add_file(artifact, "map.npz", data)
        expected = (artifact.directory / "map.npz").read_bytes()
        assert expected == (b"old" if killed_at == "map.npz" else data)
        artifact = load_artifact("cnn_4", folder)
        assert artifact.manifest.files["map.npz"] == hashlib.sha256(expected).hexdigest()
        artifact = add_file(artifact, rest, b"more")
        assert load_artifact("cnn_4", folder).fingerprint == artifact.fingerprint
        assert not (artifact.directory / NEXT_MANIFEST_FILE).exists()


def test_killed_again_at_the_next_file_the_artifact_still_loads(tmp_path, monkeypatch):
    """The second one was killed with its own next manifest in place of the one that had been in force."""
    artifact = add_file(write_artifact(tmp_path, "cnn_4"), "guard.npz", b"old guard")
    targets = []

    def replace(source, target, replace=os.replace):
        targets.append(Path(target).name)
        if len(targets) == 3:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        for name in ("guard.npz", "map.npz"):
            targets.clear()
            with pytest.raises(KeyboardInterrupt):
                add_file(artifact, name, b"new")
    assert targets == ["manifest.json", NEXT_MANIFEST_FILE, "map.npz"]
    files = load_artifact("cnn_4", tmp_path).manifest.files
    assert files["guard.npz"] == hashlib.sha256(b"new").hexdigest() and "map.npz" not in files


def test_a_full_disk_leaves_the_artifact_as_it_was(folder, monkeypatch):
    artifact = add_file(load_artifact("cnn_4", folder), "map.npz", b"old")

    def refuse(path, data):
        if path.name == "map.npz":
            raise StorageError("No space left on device.")
        write_atomically(path, data)

    monkeypatch.setattr(writer, "write_atomically", refuse)
    with pytest.raises(StorageError, match="No space"):
        add_file(artifact, "map.npz", b"new")
    assert load_artifact("cnn_4", folder).fingerprint == artifact.fingerprint
    assert not (artifact.directory / NEXT_MANIFEST_FILE).exists()


def test_a_next_manifest_saves_no_damaged_artifact(folder):
    manifest = (folder / "cnn_4" / "manifest.json").read_bytes()
    (folder / "cnn_4" / NEXT_MANIFEST_FILE).write_bytes(manifest)
    flip_byte(folder / "cnn_4" / "model.tflite")
    with pytest.raises(ArtifactDamagedError, match=r"model\.tflite"):
        load_artifact("cnn_4", folder)


@pytest.mark.parametrize("change", ["add_file", "publish"])
def test_who_changes_an_artifact_waits_for_who_is_at_it(tmp_path, change):
    artifact = write_artifact(tmp_path, "cnn_4", accuracy=0.8)
    changes = {
        "add_file": lambda: add_file(artifact, "map.npz", b"map"),
        "publish": lambda: write_artifact(tmp_path, "cnn_4", accuracy=0.9),
    }
    thread = threading.Thread(target=changes[change])
    with lock_folder(tmp_path):
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        assert load_artifact("cnn_4", tmp_path).fingerprint == artifact.fingerprint
    thread.join(30)
    assert load_artifact("cnn_4", tmp_path).fingerprint != artifact.fingerprint


def test_a_folder_that_cannot_be_locked_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be used"), lock_folder(tmp_path / "file" / "folder"):
        pass


def test_a_manifest_survives_the_way_to_disk_and_back(folder):
    manifest = load_artifact("cnn_3", folder).manifest
    assert Manifest.from_json(manifest.to_json(), "here") == manifest


def test_a_folder_of_artifacts_may_be_called_runs(tmp_path):
    artifact = write_artifact(tmp_path / "runs", "cnn_4")
    assert load_artifact("cnn_4", tmp_path / "runs").fingerprint == artifact.fingerprint
    assert load_shelf(tmp_path / "runs").damaged == ()

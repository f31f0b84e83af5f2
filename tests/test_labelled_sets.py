"""Reviewed cells go the whole road: exported from a case, measured by `evaluate`, learned from by `train`."""

import json
import shutil

import numpy as np
import pytest
from made_cases import make_answer

from bloodcell import __main__ as command_line
from bloodcell.artifact import load_artifact
from bloodcell.cases import CaseStore, Choice, NewCell, NewImage
from bloodcell.cases.reports import write_labelled_set
from bloodcell.dataset import CLASS_NAMES, Box, add_labelled_set, load_split
from bloodcell.errors import DatasetDamagedError
from bloodcell.inference.classifier import read_cell


def export_cells(path, images, labels):
    """Review images in a case, export the case as a labelled set, and return the set's path."""
    store = CaseStore()
    case_id = store.create_case("Smear 7", "Ana")
    given = [NewImage(f"{n}.png", image, (NewCell(image, Box(0, 0, 64, 64)),)) for n, image in enumerate(images)]
    cells = store.add_images(case_id, given, [[make_answer("neutrophil")]] * len(given), "Ana")
    choices = [Choice(cell, CLASS_NAMES[label]) for cell, label in zip(cells, labels, strict=True)]
    store.decide(case_id, choices, "Ana", store.newest_record(case_id))
    path.write_bytes(write_labelled_set([(store.load_case(case_id), store.load_pictures(case_id))]))
    return path


@pytest.fixture
def reviewed(small_dataset, tmp_path):
    """Sixteen cells that no split holds: images of val mirrored."""
    val = load_split("val")
    images = val.images[:16, :, ::-1].copy()
    return export_cells(tmp_path / "Smear 7-labelled.zip", images, val.labels[:16])


@pytest.fixture
def shelf(small_artifacts, tmp_path, monkeypatch):
    folder = shutil.copytree(small_artifacts, tmp_path / "artifacts")
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    return folder


def test_a_model_is_measured_on_an_exported_set(reviewed, shelf, capsys):
    assert command_line.main(["evaluate", "cnn_3", "cnn_4", "--cells", str(reviewed), "--json"]) == 0
    reports = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["split"], one["n"]) for one in reports] == [("cnn_3", "set", 16), ("cnn_4", "set", 16)]
    assert all(one["dataset"] == "the labelled set Smear 7-labelled.zip" for one in reports)
    assert sum(map(sum, reports[0]["confusion_matrix"])) == 16
    assert [one["support"] for one in reports[0]["per_class"]] == [2] * 8


def test_a_training_adds_an_exported_set_and_says_so(reviewed, shelf, capsys):
    command = ["train", "cnn_4.lab", "--add", str(reviewed), "--recipe", "smoke"]
    assert command_line.main(command) == 0
    manifest = load_artifact("cnn_4.lab").manifest
    assert manifest.dataset["num_images"] == {"train": 96 + 16, "val": 40, "test": 48}
    assert "16 labelled cells were added to train" in manifest.dataset["label"]
    assert manifest.dataset["md5"] == load_split("test").identity.md5 != manifest.dataset["train_md5"]
    assert "--add 'Smear 7-labelled.zip'" in manifest.command
    capsys.readouterr()
    assert command_line.main(command) == 0
    assert "already trained" in capsys.readouterr().out
    assert command_line.main(["evaluate", "cnn_4.lab", "--cells", str(reviewed)]) == 0
    assert "the numbers flatter it" in capsys.readouterr().err


def test_added_cells_need_a_name_of_their_own(reviewed, shelf, capsys):
    assert command_line.main(["train", "cnn_4", "--add", str(reviewed)]) == 1
    assert "give it a tag, such as cnn_4.lab" in capsys.readouterr().err


def test_what_models_are_judged_by_is_never_trained_on(small_dataset, tmp_path):
    val, test, train = load_split("val"), load_split("test"), load_split("train")
    held_out = [val, test]
    images, labels = [*val.images[:2], *test.images[:3], *train.images[:1]], [*val.labels[:2], *test.labels[:3], 5]
    path = export_cells(tmp_path / "set.zip", images, labels)
    added, num_left_out = add_labelled_set(train, path, held_out, read_cell)
    assert (added.num_images, num_left_out) == (train.num_images + 1, 5)
    assert added.labels[-1] == 5
    assert (added.images[-1] == train.images[0]).all()
    assert (added.labels[:-1] == train.labels).all()
    assert added.identity.md5 != train.identity.md5
    with pytest.raises(DatasetDamagedError, match="must not be trained on those"):
        add_labelled_set(train, path, [*held_out, train], read_cell)


def test_what_models_are_judged_by_is_recognised_with_slightly_changed_pixels(small_dataset, tmp_path):
    """As JPEG changes them, by some grey levels in the mean; a cell framed anew is another."""
    held_out, train = [load_split("val"), load_split("test")], load_split("train")
    saved_again = [split.images[0] ^ np.uint8(4) for split in held_out]
    moved = np.roll(held_out[1].images[1], 5, axis=1)
    path = export_cells(tmp_path / "set.zip", [*saved_again, moved], [0, 0, 1])
    added, num_left_out = add_labelled_set(train, path, held_out, read_cell)
    assert (added.num_images, num_left_out) == (train.num_images + 1, 2)
    assert (added.images[-1] == moved).all()

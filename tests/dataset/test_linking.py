"""Originals find their rows by pixels, and their names tell the finer types."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from bloodcell.__main__ import main
from bloodcell.dataset import FINER_NAMES, UNKNOWN, find_subtypes, load_split
from bloodcell.dataset.linking import link_originals
from bloodcell.dataset.subtypes import linked_table_path
from bloodcell.errors import DatasetDamagedError, DatasetNotFoundError


@pytest.fixture
def originals(small_dataset, tmp_path):
    """Neutrophils of train under the names of originals: one as it is, one a little altered, one of another class."""
    folder = tmp_path / "originals"
    (folder / "neutrophil").mkdir(parents=True)
    split = load_split("train")
    rows = np.flatnonzero(split.labels == 6)
    Image.fromarray(split.images[rows[0]]).save(folder / "neutrophil" / "BNE_1.png")
    altered = split.images[rows[1]].astype(int) + np.random.default_rng(0).integers(-1, 2, (64, 64, 3))
    Image.fromarray(np.clip(altered, 0, 255).astype(np.uint8)).save(folder / "neutrophil" / "SNE_2.png")
    Image.fromarray(split.images[np.flatnonzero(split.labels == 1)[0]]).save(folder / "BNE_3.png")
    Image.fromarray(split.images[np.flatnonzero(split.labels == 0)[0]]).save(folder / "BA_4.png")
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(folder / "MY_5.png")
    (folder / "PMY_6.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("not an image")
    return folder


def test_names_of_matched_originals_become_finer_types(originals):
    reports = []
    found = link_originals(originals, lambda done, total: reports.append((done, total)))
    counted = (found.num_files, found.num_unreadable, found.num_exact, found.num_close, found.num_unmatched)
    assert counted == (6, 1, 3, 1, 1)
    assert {name: n for name, n in found.subtypes.items() if n} == {"band neutrophil": 1, "segmented neutrophil": 1}
    assert found.num_contradicting == 1 and found.num_new == 2 and found.differing == ()
    assert reports[-1] == (6, 6)
    split = load_split("train")
    finer = find_subtypes(split)
    rows = np.flatnonzero(split.labels == 6)
    assert [FINER_NAMES[finer[row]] for row in rows[:2]] == ["band neutrophil", "segmented neutrophil"]
    assert (finer[rows[2:]] == UNKNOWN).all()


def test_the_command_says_what_it_found(originals, capsys):
    assert main(["data", "link", str(originals)]) == 0
    output = capsys.readouterr()
    found = json.loads(output.out)
    assert found["num_exact"] == 3 and found["table"] == str(linked_table_path())
    assert "4 of 6 images" in output.err


def test_a_folder_without_images_is_one_sentence(small_dataset, tmp_path):
    with pytest.raises(DatasetNotFoundError, match="no folder"):
        link_originals(tmp_path / "none")
    with pytest.raises(DatasetNotFoundError, match="no image file"):
        link_originals(tmp_path)


def test_nothing_learned_writes_nothing(originals):
    for path in originals.rglob("[BSMP]?*_[12356].*"):
        path.unlink()
    assert link_originals(originals).table is None
    assert not linked_table_path().exists()


def test_a_second_folder_adds_to_the_first(originals, tmp_path, capsys):
    """What is found anew counts: one more cell, and another name for a cell that was linked already."""
    first = link_originals(originals)
    assert (first.num_added, first.num_linked) == (2, 2)
    second = tmp_path / "second"
    second.mkdir()
    split = load_split("train")
    rows = np.flatnonzero(split.labels == 6)
    Image.fromarray(split.images[rows[2]]).save(second / "SNE_7.png")
    (originals / "neutrophil" / "BNE_1.png").rename(second / "SNE_1.png")
    assert main(["data", "link", str(second)]) == 0
    output = capsys.readouterr()
    found = json.loads(output.out)
    assert (found["num_added"], found["num_linked"]) == (1, 3)
    assert "1 of these rows were not linked before; 3 are linked in all." in output.err
    words = ["segmented neutrophil"] * 3
    assert [FINER_NAMES[one] for one in find_subtypes(split)[rows[:3]]] == words
    assert len(linked_table_path().read_text().splitlines()) == 4
    before = linked_table_path().read_bytes()
    again = link_originals(second)
    assert (again.num_added, again.num_linked, linked_table_path().read_bytes()) == (0, 3, before)


def test_a_folder_that_tells_nothing_leaves_what_was_linked(originals):
    link_originals(originals)
    before = linked_table_path().read_bytes()
    for path in originals.rglob("[BSMP]?*_[12356].*"):
        path.unlink()
    found = link_originals(originals)
    assert (found.table, found.num_added, found.num_linked) == (None, 0, 2)
    assert linked_table_path().read_bytes() == before


@pytest.mark.parametrize("text", ["split;row\n", "split,row,image_hash,subtype\nholdout,1,0f,BNE\n", "x\n"])
def test_what_was_linked_and_cannot_be_read_is_not_replaced(originals, text):
    linked_table_path().parent.mkdir(parents=True)
    linked_table_path().write_text(text)
    with pytest.raises(DatasetDamagedError, match="Delete it, and link every folder again"):
        link_originals(originals)
    assert linked_table_path().read_text() == text


def test_real_originals_agree_with_the_package(real_dataset, real_samples, tmp_path):
    """All 48 samples are rows of test, and the twelve whose names tell agree with the committed table."""
    shutil.copytree(real_samples, tmp_path / "cells", ignore=shutil.ignore_patterns("*.csv"))
    found = link_originals(tmp_path / "cells")
    assert (found.num_files, found.num_exact) == (48, 48)
    assert found.num_agreeing == sum(found.subtypes.values()) == 12
    assert found.num_new == found.num_contradicting == 0 and found.differing == ()

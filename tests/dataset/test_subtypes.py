"""Which image shows which of the eleven finer types, from the package's table, a reader's own, or both."""

import csv
from pathlib import Path

import numpy as np
import pytest

from bloodcell.dataset import (
    CLASS_NAMES,
    FINER_CLASSES,
    FINER_NAMES,
    SUBTYPE_COLUMNS,
    SUBTYPE_NAMES,
    SUBTYPES,
    UNKNOWN,
    find_subtypes,
    load_split,
)
from bloodcell.dataset.subtypes import TABLE_PATH, format_subtypes, linked_table_path, load_subtypes
from bloodcell.errors import DatasetDamagedError, DatasetNotFoundError


def write_table(path: Path, split, wanted: dict[int, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(format_subtypes((split.name, r, int(split.image_hashes[r]), name) for r, name in wanted.items()))
    return path


def test_the_eleven_types_are_the_eight_classes_taken_apart():
    assert len(FINER_NAMES) == len(FINER_CLASSES) == 11
    assert sorted(set(FINER_CLASSES)) == list(range(8))
    for label, columns in SUBTYPE_COLUMNS.items():
        assert SUBTYPE_NAMES[columns] == SUBTYPES[CLASS_NAMES[label]]
        own = [name for name, of in zip(FINER_NAMES, FINER_CLASSES, strict=True) if of == label]
        assert tuple(own) == SUBTYPES[CLASS_NAMES[label]]


def test_the_package_knows_6023_images_by_their_pixels():
    rows = list(csv.DictReader(TABLE_PATH.read_text().splitlines()))
    counts = {code: sum(row["subtype"] == code for row in rows) for code in ("PMY", "MY", "MMY", "BNE", "SNE")}
    assert counts == {"PMY": 592, "MY": 1137, "MMY": 1015, "BNE": 1633, "SNE": 1646}  # as the source has them
    assert len(load_subtypes().by_hash) == 6020  # three pairs of images are identical


def test_other_classes_are_known_and_foreign_pixels_are_not(small_dataset):
    split = load_split("train")
    finer = find_subtypes(split)
    lumped = np.isin(split.labels, list(SUBTYPE_COLUMNS))
    assert (finer[lumped] == UNKNOWN).all()
    assert [FINER_CLASSES[type_] for type_ in finer[~lumped]] == split.labels[~lumped].tolist()


def test_a_readers_table_counts_by_pixels_or_by_rows(small_dataset, tmp_path, monkeypatch):
    split = load_split("train")
    first = int(np.flatnonzero(split.labels == 6)[0])
    for text in (
        format_subtypes([("train", 90, int(split.image_hashes[first]), "band neutrophil")]),
        f"split,index,label,subtype\ntrain,{first},6,band_neutrophil\n",
        f"split,row,subtype\ntrain,{first},BNE\n",
    ):
        path = tmp_path / "table.csv"
        path.write_text(text)
        monkeypatch.setenv("BLOODCELL_SUBTYPES", str(path))
        finer = find_subtypes(split)
        assert FINER_NAMES[finer[first]] == "band neutrophil"
        assert (finer[split.labels == 6] == UNKNOWN).sum() == (split.labels == 6).sum() - 1


def test_a_type_of_another_class_is_not_believed(small_dataset, tmp_path, monkeypatch):
    """One original lies in the dataset under two labels; its name settles only one of them."""
    split = load_split("test")
    row = int(np.flatnonzero(split.labels == 1)[0])
    monkeypatch.setenv("BLOODCELL_SUBTYPES", str(write_table(tmp_path / "t.csv", split, {row: "band neutrophil"})))
    assert FINER_NAMES[find_subtypes(split)[row]] == "eosinophil"


def test_what_was_linked_is_added_to_the_package(small_dataset):
    split = load_split("val")
    row = int(np.flatnonzero(split.labels == 3)[0])
    write_table(linked_table_path(), split, {row: "myelocyte"})
    assert FINER_NAMES[find_subtypes(split)[row]] == "myelocyte"
    assert len(load_subtypes().by_hash) == 6021


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,type\n", "needs the column 'subtype'"),
        ("image_hash,subtype\n00ff,blast\n", "line 2: expected one of promyelocyte"),
        ("image_hash,subtype\nxyz,BNE\n", "line 2: expected a hash"),
        ("split,row,subtype\ntrain,one,BNE\n", "line 2: expected a hash"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_wrong_table_is_one_sentence(small_dataset, tmp_path, monkeypatch, text, words):
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    monkeypatch.setenv("BLOODCELL_SUBTYPES", str(path))
    with pytest.raises(DatasetDamagedError, match=words):
        find_subtypes(load_split("train"))


def test_a_missing_table_is_one_sentence(small_dataset, monkeypatch):
    monkeypatch.setenv("BLOODCELL_SUBTYPES", "/nowhere.csv")
    with pytest.raises(DatasetNotFoundError, match="BLOODCELL_SUBTYPES names"):
        find_subtypes(load_split("train"))


def test_the_real_dataset_is_known_but_for_201_images(real_dataset):
    known = [find_subtypes(load_split(name)) for name in ("train", "val", "test")]
    unknown = [int((finer == UNKNOWN).sum()) for finer in known]
    assert sum(unknown) == 201
    assert unknown[2] == 3421 - 3386

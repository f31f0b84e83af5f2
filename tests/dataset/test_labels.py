"""Labels come without the images, and a file that is not the dataset is named as such."""

import numpy as np
import pytest

from bloodcell.dataset import load_labels, load_split
from bloodcell.errors import DatasetDamagedError, DatasetNotFoundError


def test_labels_of_every_split_equal_those_read_with_the_images(small_dataset):
    labels = load_labels()
    assert list(labels) == ["train", "val", "test"]
    for name, values in labels.items():
        np.testing.assert_array_equal(values, load_split(name).labels)
        assert values.dtype == np.int64


def test_a_label_outside_the_classes_is_named_with_its_row(small_dataset, tmp_path):
    with np.load(small_dataset) as archive:
        arrays = dict(archive)
    arrays["val_labels"] = arrays["val_labels"].copy()
    arrays["val_labels"][3] = 8
    path = tmp_path / "wrong.npz"
    np.savez(path, **arrays)
    with pytest.raises(DatasetDamagedError, match="8 in row 3"):
        load_labels(path)


def test_no_file_is_one_sentence(tmp_path):
    with pytest.raises(DatasetNotFoundError):
        load_labels(tmp_path / "nowhere.npz")

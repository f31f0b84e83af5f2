"""Files become cells or sentences, and what is kept of them is small."""

import io

import numpy as np
import pytest
from PIL import Image

from bloodcell.dataset import load_split
from bloodcell.views.uploads import PREVIEW_SIDE, cell_of_split, choose_examples, read_cell


def png(width, height, colour="purple"):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_an_original_keeps_its_frame_and_its_pixels():
    cell = read_cell(png(360, 363), "cell.png", "a")
    assert cell.error is None and cell.framed is not None
    assert (cell.size, cell.framed.kind, cell.framed.box) == ((360, 363), "original", (80, 82, 200, 200))
    assert cell.framed.pixels.shape == (64, 64, 3)
    assert cell.preview.shape == (363, 360, 3) and cell.preview_box == (80, 82, 200, 200)
    assert cell.framed.warning is None


def test_a_large_image_is_kept_as_a_small_preview_with_its_frame_scaled():
    cell = read_cell(png(1800, 1200), "large.png", "a")
    assert max(cell.preview.shape) == PREVIEW_SIDE
    left, top, width, height = cell.preview_box
    assert (width, height) == (320, 320) and (left, top) == (80, 0)
    assert "framing unlike the training data" in cell.framed.warning


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (b"", "is empty"),
        (b"not a picture", "is not an image"),
        (png(360, 363)[:200], "damaged"),
        (png(1, 1), "too small"),
    ],
)
def test_a_bad_file_is_a_sentence_and_no_exception(data, fragment):
    cell = read_cell(data, "bad.png", "a")
    assert cell.framed is None and cell.preview is None
    assert fragment in cell.error


def test_a_cell_of_the_dataset_knows_its_class(small_dataset):
    split = load_split("test")
    cell = cell_of_split(split, 5)
    assert (cell.key, cell.label, cell.framed.kind) == ("test-5", int(split.labels[5]), "dataset")
    np.testing.assert_array_equal(cell.framed.pixels, split.images[5])


def test_examples_are_one_per_class_and_change_with_the_seed():
    labels = np.repeat(np.arange(8), 50)
    rows = choose_examples(labels, 0)
    assert labels[rows].tolist() == list(range(8))
    assert choose_examples(labels, 0) == rows
    assert choose_examples(labels, 1) != rows

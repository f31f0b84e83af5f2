"""Files become crops, fields or sentences, and what is kept of them is small."""

import base64
import io

import numpy as np
import pytest
from made_smears import draw_smear
from PIL import Image

from bloodcell.dataset import Box, load_split
from bloodcell.views import uploads
from bloodcell.views.uploads import LEAST_FRAME, PREVIEW_SIDE, Wish, choose_examples, move_frame, photo_of_split
from bloodcell.views.uploads import read_photo as read


def png(width, height, colour="purple"):
    return encode(np.array(Image.new("RGB", (width, height), colour)))


def encode(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def shown(photo):
    """Return the picture that the page shows of an image."""
    kind, _, content = photo.address.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


@pytest.fixture
def field():
    return encode(draw_smear(white_cells=((70, 70), (240, 80))).pixels)


def test_an_original_keeps_its_frame_and_its_pixels():
    photo = read(png(360, 363), "cell.png", "a")
    assert photo.error is None and not photo.is_field
    (cell,) = photo.cells
    assert (photo.size, cell.frame.kind, cell.frame.box) == ((360, 363), "original", (80, 82, 200, 200))
    assert cell.frame.pixels.shape == (64, 64, 3) and cell.number is None
    assert shown(photo).size == (360, 363)


def test_a_large_image_is_kept_as_a_small_preview_and_its_boxes_stay_in_its_own_pixels():
    photo = read(encode(draw_smear(600, 450, white_cells=((300, 225),), factor=3).pixels), "large.png", "a")
    assert photo.size == (1800, 1350) and max(shown(photo).size) == PREVIEW_SIDE
    outline = photo.cells[0].outline
    assert outline.left < 900 < outline.left + outline.width


def test_a_field_gives_its_cells_by_number_with_keys_of_their_own(field):
    photo = read(field, "field.png", "a")
    assert photo.is_field and [cell.number for cell in photo.cells] == [1, 2]
    assert [cell.name for cell in photo.cells] == ["field.png, cell 1", "field.png, cell 2"]
    assert len({cell.key for cell in photo.cells}) == 2 and {cell.photo for cell in photo.cells} == {"a"}


def test_the_reader_says_otherwise(field):
    crop = read(field, "field.png", "a", Wish("crop"))
    assert not crop.is_field and crop.specimen.guess.kind == "field"
    drawn = read(field, "field.png", "a", Wish("crop", Box(200, 40, 80, 80)))
    assert drawn.cells[0].frame.box == (200, 40, 80, 80)
    assert drawn.cells[0].key != crop.cells[0].key, "answers are kept by how a cell was framed"
    assert "too small" in read(field, "field.png", "a", Wish("crop", Box(0, 0, 3, 3))).error


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
    photo = read(data, "bad.png", "a")
    assert not photo.cells and not photo.address and photo.data is None
    assert fragment in photo.error


def test_a_cell_of_the_dataset_knows_its_class(small_dataset):
    split = load_split("test")
    photo = photo_of_split(split, 5)
    (cell,) = photo.cells
    assert (cell.key, cell.label, cell.frame.kind) == ("test-5", int(split.labels[5]), "dataset")
    np.testing.assert_array_equal(cell.frame.pixels, split.images[5])


def test_a_frame_moves_with_its_middle_in_the_image():
    before = Box(10, 10, 50, 50)
    assert move_frame(before, (300, 200), 100, 80, 40) == (80, 60, 40, 40)
    assert move_frame(before, (300, 200), -50, 900, 40) == (-20, 179, 40, 40)
    assert move_frame(before, (300, 200), 100, 80, 1).width == LEAST_FRAME
    assert move_frame(before, (300, 200), 100, 80, 5000).width == 600


def test_examples_are_one_per_class_and_change_with_the_seed():
    labels = np.repeat(np.arange(8), 50)
    rows = choose_examples(labels, 0)
    assert labels[rows].tolist() == list(range(8))
    assert choose_examples(labels, 0) == rows
    assert choose_examples(labels, 1) != rows


def test_files_above_the_budget_are_left_out_and_smaller_ones_still_fit(monkeypatch):
    monkeypatch.setattr(uploads, "MAXIMUM_SESSION_BYTES", 100)
    assert uploads.choose_left_out({"a": 60, "b": 40}, {}) == set()
    assert uploads.choose_left_out({"a": 60, "b": 50, "c": 40}, {}) == {"b"}
    assert uploads.choose_left_out({"a": 60, "b": 50}, {"a": 60, "old": 40}) == {"b"}, "what is kept stays"


def test_two_hundred_of_the_largest_files_are_more_than_a_session_keeps():
    largest = uploads.MAXIMUM_UPLOAD_MB * 1024**2
    left_out = uploads.choose_left_out({str(number): largest for number in range(uploads.MAXIMUM_FILES)}, {})
    assert (uploads.MAXIMUM_FILES - len(left_out)) * largest == 1024**3

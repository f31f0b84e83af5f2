"""Framing and preparing: the same pixels for training and for uploads."""

import csv

import numpy as np
import pytest
from PIL import Image

from bloodcell.dataset import Box, frame_image, load_split, prepare_images
from bloodcell.errors import ImageError


def make_pixels(width, height):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=-1).astype(np.uint8)


def test_prepared_images_are_float32_between_0_and_1():
    images = np.zeros((2, 64, 64, 3), np.uint8)
    images[1] = 255
    inputs = prepare_images(images)
    assert inputs.dtype == np.float32 and inputs.shape == images.shape
    assert inputs[0].max() == 0.0 and inputs[1].min() == inputs[1].max() == 1.0
    assert prepare_images(images[:0]).shape == (0, 64, 64, 3)


@pytest.mark.parametrize(
    "images", [np.zeros((64, 64, 3), np.uint8), np.zeros((1, 64, 64, 3)), np.zeros((1, 28, 28, 3))]
)
def test_anything_else_is_not_prepared(images):
    with pytest.raises(ValueError, match="Received"):
        prepare_images(images)


def test_an_image_of_the_dataset_is_taken_as_it_is():
    pixels = make_pixels(64, 64)
    framed = frame_image(pixels)
    np.testing.assert_array_equal(framed.pixels, pixels)
    assert (framed.box, framed.kind, framed.warning) == (Box(0, 0, 64, 64), "dataset", None)
    framed.pixels[0, 0, 0] ^= 1
    assert framed.pixels[0, 0, 0] != pixels[0, 0, 0]


@pytest.mark.parametrize(
    ("width", "height", "left", "top"),
    [(360, 363, 80, 82), (360, 360, 80, 80), (340, 380, 70, 90), (361, 360, 80, 80), (380, 341, 90, 70)],
)
def test_an_original_gives_its_middle_200(width, height, left, top):
    pixels = make_pixels(width, height)
    framed = frame_image(pixels)
    assert (framed.box, framed.kind, framed.warning) == (Box(left, top, 200, 200), "original", None)
    crop = Image.fromarray(pixels).crop((left, top, left + 200, top + 200))
    np.testing.assert_array_equal(framed.pixels, np.array(crop.resize((64, 64), Image.Resampling.BILINEAR)))


@pytest.mark.parametrize(
    ("width", "height", "box"),
    [
        (200, 200, Box(0, 0, 200, 200)),
        (339, 360, Box(0, 10, 339, 339)),
        (360, 381, Box(0, 10, 360, 360)),
        (640, 480, Box(80, 0, 480, 480)),
        (16, 4000, Box(0, 1992, 16, 16)),
        (4000, 100, Box(1950, 0, 100, 100)),
        (65, 64, Box(0, 0, 64, 64)),
    ],
)
def test_any_other_size_gives_its_middle_square_and_a_warning(width, height, box):
    framed = frame_image(make_pixels(width, height))
    assert framed.box == box and framed.kind == "other"
    assert framed.pixels.shape == (64, 64, 3) and framed.pixels.dtype == np.uint8
    assert f"{width} x {height} pixels" in framed.warning and "unlike the training data" in framed.warning


@pytest.mark.parametrize(("width", "height"), [(1, 1), (10, 4000), (4000, 15), (15, 15)])
def test_an_image_too_small_for_a_cell_is_refused(width, height):
    with pytest.raises(ImageError, match=rf"{width} x {height} pixels, too small .* at least 16 pixels"):
        frame_image(make_pixels(width, height))


@pytest.mark.parametrize(
    "pixels", [np.zeros((64, 64), np.uint8), np.zeros((64, 64, 4), np.uint8), np.zeros((64, 64, 3))]
)
def test_what_is_no_rgb_image_is_a_wrong_argument(pixels):
    with pytest.raises(ValueError, match="Received"):
        frame_image(pixels)


def test_the_original_samples_give_exactly_the_pixels_of_the_dataset(real_dataset, real_samples):
    test = load_split("test", real_dataset)
    with open(real_samples / "labels.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 48
    for row in rows:
        with Image.open(real_samples / row["file"]) as image:
            framed = frame_image(np.array(image.convert("RGB")))
        index = int(row["test_index"])
        np.testing.assert_array_equal(framed.pixels, test.images[index], err_msg=row["file"])
        assert framed.kind == "original" and framed.warning is None
        assert test.labels[index] == int(row["label"])

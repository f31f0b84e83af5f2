"""Pictures of cells keep their pixels: enlarged whole, bordered around, framed in place."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from bloodcell.dataset import Box, frame_image
from bloodcell.views import figures_images as figures


@pytest.fixture
def cell():
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def test_enlarging_repeats_every_pixel_and_smooths_nothing(cell):
    large = figures.enlarge(cell, 3)
    assert large.shape == (192, 192, 3)
    for offset in range(3):
        np.testing.assert_array_equal(large[offset::3, offset::3], cell)


@pytest.mark.parametrize(("side", "expected"), [(64, 64), (65, 128), (256, 256), (10, 64)])
def test_enlarging_to_a_side_takes_the_smallest_whole_factor(cell, side, expected):
    assert figures.enlarge_to(cell, side).shape == (expected, expected, 3)


def test_enlarging_by_less_than_one_is_refused(cell):
    with pytest.raises(ValueError, match="Received: 0"):
        figures.enlarge(cell, 0)


def test_a_border_surrounds_the_whole_image(cell):
    tile = figures.cell_tile(cell, "#E69F00", factor=2, border=5)
    assert tile.shape == (138, 138, 3)
    np.testing.assert_array_equal(tile[5:-5, 5:-5], figures.enlarge(cell, 2))
    for edge in (tile[:5], tile[-5:], tile[:, :5], tile[:, -5:]):
        assert np.unique(edge.reshape(-1, 3), axis=0).tolist() == [[0xE6, 0x9F, 0x00]]


def test_a_label_names_the_cell_and_carries_its_pixels(cell):
    label = figures.tile_label(cell, "#000000", "platelet [row 3]", "row 3")
    assert label.startswith("![platelet (row 3)](data:image/png;base64,")
    assert label.endswith(") row 3")
    data = label.split("base64,")[1].split(")")[0]
    shown = np.array(Image.open(io.BytesIO(base64.b64decode(data))))
    np.testing.assert_array_equal(shown, figures.cell_tile(cell, "#000000"))


def test_the_frame_leaves_the_inside_as_it_is_and_dims_the_rest():
    pixels = np.full((363, 360, 3), 200, dtype=np.uint8)
    box = frame_image(pixels).box
    framed = figures.draw_frame(pixels, box, "#B5557A")
    assert framed[0, 0].tolist() == [90, 90, 90]
    assert framed[box.top, box.left].tolist() == [0xB5, 0x55, 0x7A]
    assert framed[box.top + box.height - 1, box.left + box.width - 1].tolist() == [0xB5, 0x55, 0x7A]
    assert framed[box.top - 1, box.left].tolist() == [90, 90, 90]
    assert framed[181, 180].tolist() == [200, 200, 200]
    assert (pixels == 200).all(), "the caller's pixels are untouched"


@pytest.mark.parametrize("size", [(10, 4000), (4000, 10), (360, 363), (64, 64), (3, 3)])
def test_a_shrunken_image_keeps_its_frame_within_its_pixels(size):
    width, height = size
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    side = min(width, height)
    box = Box(round((width - side) / 2), round((height - side) / 2), side, side)
    smaller, new_box = figures.shrink_to(pixels, box, 480)
    assert max(smaller.shape[:2]) <= 480
    assert new_box.width >= 1 and new_box.height >= 1
    assert new_box.left + new_box.width <= smaller.shape[1] and new_box.top + new_box.height <= smaller.shape[0]
    assert figures.draw_frame(smaller, new_box, "#4B2E83").shape == smaller.shape


def test_an_image_that_is_small_enough_is_not_touched(cell):
    smaller, box = figures.shrink_to(cell, Box(0, 0, 64, 64), 480)
    assert smaller is cell and box == Box(0, 0, 64, 64)


def test_a_colour_that_is_none_is_refused():
    with pytest.raises(ValueError, match="Received: 'red'"):
        figures.rgb_of("red")


def test_a_tile_is_encoded_once_and_holds_the_pixels_of_the_tile():
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    content = figures.tile_png(pixels, "#FF0000")
    assert figures.tile_png(pixels.copy(), "#FF0000") is content
    assert figures.tile_png(pixels, "#00FF00") != content
    for encoded, expected in (
        (content, figures.cell_tile(pixels, "#FF0000")),
        (figures.enlarged_png(pixels, 3), figures.enlarge(pixels, 3)),
    ):
        np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(encoded))), expected)

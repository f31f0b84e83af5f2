"""Spoiled images: of the right kind, worse with every severity, the same for the same seed."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from bloodcell.inference.corruptions import CORRUPTIONS, SEVERITIES, corrupt_images


@pytest.fixture
def cells(drawn_cells) -> np.ndarray:
    return drawn_cells[:8]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_keeps_the_form_and_grows_with_severity(cells, name):
    changes = []
    for severity in SEVERITIES:
        spoiled = corrupt_images(cells, name, severity)
        assert spoiled.shape == cells.shape
        assert spoiled.dtype == np.uint8
        changes.append(np.abs(spoiled.astype(float) - cells).mean())
    assert changes[0] > 0.2
    assert all(later > 0.95 * earlier for earlier, later in itertools.pairwise(changes)), changes
    assert changes[-1] > 1.3 * changes[0]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_equal_seeds_spoil_equally(cells, name):
    np.testing.assert_array_equal(corrupt_images(cells, name, 3, seed=5), corrupt_images(cells, name, 3, seed=5))


@pytest.mark.parametrize("name", ["motion", "stain"])
def test_other_seeds_spoil_otherwise(cells, name):
    assert (corrupt_images(cells, name, 3, seed=5) != corrupt_images(cells, name, 3, seed=6)).any()


@pytest.mark.parametrize("name", ["blur", "motion"])
def test_blurs_take_detail_and_leave_the_mean(cells, name):
    spoiled = corrupt_images(cells, name, 5).astype(float)
    assert abs(spoiled.mean() - cells.mean()) < 2
    for before, after in zip(cells.astype(float), spoiled, strict=True):
        assert ndimage.laplace(after.mean(axis=-1)).std() < 0.5 * ndimage.laplace(before.mean(axis=-1)).std()


@pytest.mark.parametrize(("severity", "radius", "sigma"), [(1, 3, 3), (2, 5, 5), (3, 10, 5), (4, 10, 7), (5, 10, 9)])
def test_motion_is_as_strong_as_medmnist_cs(severity, radius, sigma):
    """A point of light moves as far, in the mean, as under ImageMagick's kernel at 224 pixels, scaled by 64/224."""
    taps = np.arange(2 * radius + 1)
    expected = np.average(taps, weights=np.exp(-0.5 * (taps / sigma) ** 2)) * 64 / 224
    point = np.zeros((1, 64, 64, 3), np.uint8)
    point[0, 32, 32] = 255
    spoiled = corrupt_images(point, "motion", severity)[0, :, :, 0].astype(float)
    rows, columns = np.indices(spoiled.shape) - 32
    shift = np.hypot((rows * spoiled).sum(), (columns * spoiled).sum()) / spoiled.sum()
    assert shift == pytest.approx(expected, abs=0.03)
    assert CORRUPTIONS["motion"].strengths[severity - 1] == pytest.approx(expected, abs=0.005)


def test_flat_images_stay_flat_under_blurs():
    flat = np.full((1, 64, 64, 3), 137, np.uint8)
    for name in ("blur", "motion", "pixelation"):
        np.testing.assert_array_equal(corrupt_images(flat, name, 4), flat)


def test_brightness_by_hand():
    image = np.full((1, 64, 64, 3), 100, np.uint8)
    assert (corrupt_images(image, "darker", 5) == 50).all()
    assert np.abs(corrupt_images(image, "brighter", 1).astype(int) - 110).max() <= 1


def test_jpeg_is_pillows(cells):
    buffer = io.BytesIO()
    Image.fromarray(cells[0]).save(buffer, "JPEG", quality=CORRUPTIONS["jpeg"].strengths[2])
    np.testing.assert_array_equal(corrupt_images(cells, "jpeg", 3)[0], np.array(Image.open(buffer)))


def test_pixelation_leaves_as_many_pixels_as_it_says(cells):
    spoiled = corrupt_images(cells, "pixelation", 5)[0]
    assert len({tuple(row) for row in spoiled[:, :, 0].tolist()}) <= 16


def test_a_stain_shift_of_nothing_changes_nothing(cells):
    unchanged = CORRUPTIONS["stain"].apply(cells[0], 0.0, np.random.default_rng(0))
    assert np.abs(unchanged.astype(int) - cells[0]).max() <= 1


def test_wrong_names_and_severities_are_refused(cells):
    for name, severity in (("rust", 1), ("blur", 0), ("blur", 6)):
        with pytest.raises(ValueError, match="Expected a corruption"):
            corrupt_images(cells, name, severity)
    assert corrupt_images(cells[:0], "blur", 1).shape == (0, 64, 64, 3)

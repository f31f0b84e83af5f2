"""One image changed by hand: each change does what it says, and an address brings all of them back."""

import io

import numpy as np
import pytest
from PIL import Image

from bloodcell.inference.perturbations import (
    CONTROLS,
    compute_occlusion_map,
    cover_square,
    describe_amounts,
    keep_changes,
    perturb_image,
    read_amounts,
    write_amounts,
)


@pytest.fixture
def cell(drawn_cells) -> np.ndarray:
    return drawn_cells[0]


def test_without_changes_the_image_stays_and_is_a_copy(cell):
    before = cell.copy()
    same = perturb_image(cell, {})
    np.testing.assert_array_equal(same, cell)
    same[:] = 0
    np.testing.assert_array_equal(cell, before)
    neutral = {key: control.neutral for key, control in CONTROLS.items()}
    np.testing.assert_array_equal(perturb_image(cell, neutral), cell)


@pytest.mark.parametrize("key", [key for key in CONTROLS if not key.startswith("cover_")])
def test_both_ends_of_every_control_change_the_image_and_keep_its_form(cell, key):
    control = CONTROLS[key]
    for end in {control.lowest, control.highest} - {control.neutral}:
        changed = perturb_image(cell, {key: end})
        assert changed.shape == cell.shape and changed.dtype == np.uint8
        assert (changed != cell).any(), f"{key} at {end}"
    assert control.snap(control.neutral) == control.neutral


def test_turns_flips_and_shifts_move_pixels_where_they_say(cell):
    np.testing.assert_array_equal(perturb_image(cell, {"mirror": 1}), cell[:, ::-1])
    np.testing.assert_array_equal(perturb_image(cell, {"flip": 1}), cell[::-1])
    np.testing.assert_array_equal(perturb_image(cell, {"rotate": 90}), np.rot90(cell))
    np.testing.assert_array_equal(perturb_image(cell, {"rotate": -90}), np.rot90(cell, 3))
    np.testing.assert_array_equal(perturb_image(cell, {"rotate": 180}), cell[::-1, ::-1])
    moved = perturb_image(cell, {"right": 5, "down": -3})
    np.testing.assert_array_equal(moved[:-3, 5:], cell[3:, :-5])


def test_small_turns_go_the_same_way_as_quarter_turns(cell):
    marked = np.full_like(cell, 240)
    marked[28:36, 48:56] = 20  # to the right of the middle
    rows, columns = np.nonzero(perturb_image(marked, {"rotate": 45})[:, :, 0] < 120)
    assert rows.mean() < 25 and columns.mean() > 38, "up and to the right after a counter-clockwise turn"


def test_more_haematoxylin_darkens_the_nucleus_and_less_makes_it_pale(cell):
    nucleus = (cell.mean(axis=-1) < 120) & (cell[:, :, 2] > 80)
    means = [perturb_image(cell, {"violet": amount})[nucleus].mean() for amount in (0.5, 1.0, 1.5)]
    assert means[0] > means[1] > means[2]


def test_brightness_blur_and_jpeg_by_hand(cell):
    flat = np.full((64, 64, 3), 100, np.uint8)
    assert (perturb_image(flat, {"light": 0.5}) == 50).all()
    np.testing.assert_array_equal(perturb_image(flat, {"blur": 3}), flat)
    assert perturb_image(cell, {"blur": 2}).std() < cell.std()
    buffer = io.BytesIO()
    Image.fromarray(cell).save(buffer, "JPEG", quality=10)
    np.testing.assert_array_equal(perturb_image(cell, {"jpeg": 10}), np.array(Image.open(buffer)))


def test_the_square_covers_its_place_and_is_cut_off_at_the_rim(cell):
    covered = perturb_image(cell, {"cover": 10, "cover_x": 20, "cover_y": 40})
    different = (covered != cell).any(axis=-1)
    rows, columns = np.nonzero(different)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (35, 44, 15, 24)
    assert len(np.unique(covered[35:45, 15:25].reshape(-1, 3), axis=0)) == 1
    corner = cover_square(cell, 20, 0, 0)
    assert (corner[:10, :10] == corner[0, 0]).all()
    np.testing.assert_array_equal(corner[10:], cell[10:])


def test_the_occlusion_map_is_highest_where_the_score_looks(cell):
    def score(images):
        dark = (images[:, 8:24, 40:56].mean(axis=(1, 2, 3)) < 100).astype(np.float32)
        return np.stack([1 - dark, dark], axis=1)

    image = np.full((64, 64, 3), 250, np.uint8)
    image[8:24, 40:56] = 10
    drop = compute_occlusion_map(score, image, 1)
    assert drop.shape == (16, 16) and drop.dtype == np.float32
    row, column = np.unravel_index(drop.argmax(), drop.shape)
    assert drop.max() == 1 and 1 <= row <= 5 and 9 <= column <= 13
    assert (drop[8:] == 0).all()


def test_an_address_brings_the_same_image_back(cell):
    amounts = {"rotate": -30, "blur": 1.5, "violet": 0.65, "cover": 12, "cover_x": 10, "mirror": 1, "right": 0}
    text = write_amounts(amounts)
    assert text == "rotate:-30,mirror:1,violet:0.65,blur:1.5,cover:12,cover_x:10"
    assert read_amounts(text) == keep_changes(amounts)
    np.testing.assert_array_equal(perturb_image(cell, read_amounts(text)), perturb_image(cell, amounts))
    assert write_amounts({}) == "" and read_amounts("") == {}


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("rust:3,rotate:30", {"rotate": 30}),
        ("rotate:9999", {"rotate": 180}),
        ("rotate:nan,blur:inf,light:x,:,jpeg", {}),
        ("rotate:31", {"rotate": 30}),
        ("cover_x:10", {}),
    ],
)
def test_what_an_address_should_not_say_is_passed_over_or_cut(text, amounts):
    assert read_amounts(text) == amounts


def test_changes_are_told_in_words():
    assert describe_amounts({"rotate": -30, "blur": 1.5, "mirror": 1, "light": 1}) == (
        "rotated by −30°, flipped left and right, blurred by 1.5 px"
    )
    assert describe_amounts({}) == ""


def test_wrong_keys_and_forms_are_refused(cell):
    with pytest.raises(ValueError, match="rust"):
        perturb_image(cell, {"rust": 1})
    with pytest.raises(ValueError, match="uint8"):
        perturb_image(cell.astype(np.float32), {})

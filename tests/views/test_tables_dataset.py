"""What the dataset page counts and chooses, checked by hand."""

import numpy as np
import pytest

from bloodcell.dataset import CLASS_NAMES
from bloodcell.inference.finder_frame import frame_cell
from bloodcell.views import tables_dataset as tables


def test_classes_are_counted_per_split_in_class_order():
    counts = tables.count_classes({"test": np.array([0, 0, 7]), "train": np.array([3])})
    assert list(counts.columns) == ["train", "test"]
    assert list(counts.index) == list(CLASS_NAMES)
    assert counts["test"].tolist() == [2, 0, 0, 0, 0, 0, 0, 1]
    assert counts["train"].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]


def test_the_balance_adds_totals_and_shares():
    table = tables.balance_table(tables.count_classes({"val": np.array([0, 1, 1]), "test": np.array([1])}))
    assert table["total"].tolist()[:3] == [1, 3, 0]
    assert table["share"].tolist()[:3] == [0.25, 0.75, 0.0]
    assert table.loc[1, ["label", "class", "code", "val", "test"]].tolist() == [1, "eosinophil", "EO", 2, 1]


def test_the_typical_image_is_the_one_nearest_to_the_mean_of_its_class():
    images = np.zeros((5, 64, 64, 3), dtype=np.uint8)
    images[:3] += np.array([10, 100, 250], dtype=np.uint8).reshape(3, 1, 1, 1)  # mean 120
    images[3:] += np.array([7, 9], dtype=np.uint8).reshape(2, 1, 1, 1)
    assert tables.find_typical_rows(images, np.array([2, 2, 2, 5, 5])) == {2: 1, 5: 3}


def test_stored_answers_follow_the_image_and_not_its_position():
    scores = np.eye(8, dtype=np.float32)[[4, 6]] * 0.9 + 0.0125
    answers = {"m": (scores, np.array([9, 3])), "n": (scores, np.array([3, -1])), "o": (scores, np.array([0, 1]))}
    table = tables.stored_answers_table(3, 6, answers)
    assert table["verdict"].tolist() == ["✓ right", "✗ wrong", "not among the stored"]
    assert table["answer"].tolist() == ["★ neutrophil", "▼ lymphocyte", "–"]
    assert table["probability"].tolist()[:2] == pytest.approx([0.9125, 0.9125])
    assert np.isnan(table["probability"].tolist()[2])


@pytest.mark.parametrize(
    ("size", "titles", "fragments"),
    [
        ((360, 363), 3, ["360 × 363", "200 × 200 pixels from column 80, row 82 on: the middle 200 × 200, 31 %", "3.1"]),
        (
            (128, 128),
            3,
            ["128 × 128", "128 × 128 pixels from column 0, row 0 on: the largest middle square, 100 %", "2.0"],
        ),
        ((64, 64), 1, ["64 × 64 pixels"]),
    ],
)
def test_framing_steps_tell_sizes_and_end_with_what_the_network_sees(size, titles, fragments):
    width, height = size
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    framed = frame_cell(pixels)
    steps = tables.framing_steps(pixels, framed)
    assert len(steps) == titles
    for step, fragment in zip(steps, fragments, strict=True):
        assert fragment in step.text
    assert steps[-1].pixels is framed.pixels
    if titles == 3:
        assert steps[1].pixels.shape == (framed.box.height, framed.box.width, 3)

"""Figures about cells draw the numbers that they were given, on either ground."""

import numpy as np
import pytest

from bloodcell.dataset import CLASS_NAMES
from bloodcell.views import figures_cells as figures
from bloodcell.views.quantities import probability_text
from bloodcell.views.tables_dataset import count_classes


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_balance_stacks_one_part_per_split_and_names_totals(mode):
    counts = count_classes({"train": np.repeat(np.arange(8), 7), "test": np.repeat(np.arange(8), 3)})
    figure = figures.class_balance_figure(counts, mode)
    drawn = [trace for trace in figure.data if trace.type == "bar" and trace.showlegend is False]
    assert [list(trace.x) for trace in drawn] == [[7] * 8, [3] * 8]
    assert [trace.name for trace in figure.data if trace.type == "bar" and trace.showlegend is not False] == [
        "train",
        "test",
    ]
    assert list(figure.data[-1].text) == [" 10"] * 8
    assert figure.data[-1].customdata[0] == "10 images, 12.5 % of all"


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_probability_bars_keep_class_order_and_mark_the_highest(mode):
    values = np.array([0.05, 0.7, 0.1, 0.05, 0.05, 0.03, 0.02, 0.0])
    bar = figures.probability_bars_figure(values, mode).data[0]
    np.testing.assert_allclose(bar.x, values)
    assert [CLASS_NAMES[i] in name for i, name in enumerate(bar.y)] == [True] * 8
    assert [name.startswith("<b>") for name in bar.y] == [False, True] + [False] * 6
    assert bar.text[1] == "70.0 %"


def test_opinions_divide_one_bar_per_model_among_the_classes():
    scores = {"first": np.eye(8)[2], "second": np.array([0.5, 0.4, 0.1, 0, 0, 0, 0, 0])}
    parts = figures.opinions_figure(scores, "light").data
    assert all(list(part.y) == ["first", "second"] for part in parts)
    np.testing.assert_allclose([part.x for part in parts], np.stack(list(scores.values())).T)
    assert list(parts[2].text) == ["◆ ERB > 99.9 %", ""], "a part of 10 % has no room for words"
    assert list(parts[0].text) == ["", "● BA 50.0 %"]
    assert list(parts[2].customdata) == ["> 99.9 %", "10.0 %"]


def test_pixel_values_are_the_red_of_the_middle_divided_by_255():
    pixels = np.zeros((64, 64, 3), dtype=np.uint8)
    pixels[29:35, 29:35, 0] = np.arange(36).reshape(6, 6)
    heatmap = figures.pixel_values_figure(pixels, "light").data[0]
    np.testing.assert_allclose(heatmap.z, np.arange(36).reshape(6, 6) / 255)
    assert (heatmap.x0, heatmap.y0) == (29, 29)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "> 99.9 %"), (0.9996, "> 99.9 %"), (0.999, "99.9 %"), (0.5, "50.0 %"), (0.0004, "< 0.1 %"), (0.0, "0.0 %")],
)
def test_what_only_rounds_to_certain_or_impossible_says_so(value, text):
    assert probability_text(value) == text

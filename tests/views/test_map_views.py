"""The map's table, regions as text, and the figure."""

import numpy as np
import pytest

from bloodcell.artifact import Predictions
from bloodcell.dataset import CLASS_NAMES
from bloodcell.views import figures_map as figures
from bloodcell.views import tables_map as tables


@pytest.fixture
def table():
    """Ten cells on a line; the third is called otherwise, the last has no place."""
    y_true = np.arange(10) % 8
    y_pred = y_true.copy()
    y_pred[2], y_pred[4] = 7, 0
    y_score = np.full((10, 8), 0.01, np.float32)
    y_score[np.arange(10), y_pred] = np.linspace(0.5, 0.93, 10)
    places = np.stack([np.arange(10.0), np.zeros(10)], axis=1)
    places[9] = np.nan
    predictions = Predictions("test", y_true, np.zeros((10, 8), np.float32), np.arange(10, dtype=np.uint64))
    return tables.map_table(places, predictions, y_score)


def test_a_row_for_every_cell_with_a_place(table):
    assert table["image"].tolist() == list(range(9))
    assert table.loc[2, ["true", "answer", "right"]].tolist() == ["erythroblast", "platelet", False]
    assert table.loc[0, "probability"] == pytest.approx(0.5)
    assert "true_index" not in tables.shown_columns(table)


def test_a_drawn_region_is_the_same_after_the_address(table):
    box = tables.format_box([4.2, 0.6], [1, -1])
    np.testing.assert_array_equal(np.flatnonzero(tables.select_region(box, table)), [1, 2, 3, 4])
    lasso = tables.format_polygon([0.5, 3.5, 3.5, 0.5], [-1, -1, 1, 1])
    assert np.flatnonzero(tables.select_region(lasso, table)).tolist() == [1, 2, 3]
    assert tables.is_region(lasso, table)


def test_a_long_lasso_keeps_its_shape_in_few_corners():
    angles = np.linspace(0, 2 * np.pi, 500)
    region = tables.format_polygon((10 * np.cos(angles)).tolist(), (10 * np.sin(angles)).tolist())
    corners = tables.parse_polygon(region)
    assert len(corners) <= tables.MOST_CORNERS and len(region) < 500
    points = np.array([[0, 0], [9, 0], [0, -9], [8, 8], [11, 0]])
    assert tables.points_in_polygon(points, corners).tolist() == [True, True, True, False, False]


def test_a_region_that_bends_inwards():
    corners = np.array([[0, 0], [4, 0], [4, 4], [2, 1], [0, 4]])
    points = np.array([[2, 0.5], [2, 3], [0.5, 2], [3.5, 2], [5, 1]])
    assert tables.points_in_polygon(points, corners).tolist() == [True, False, True, True, False]


def test_regions_without_drawing(table):
    assert np.flatnonzero(tables.select_region(tables.WRONG, table)).tolist() == [2, 4]
    assert np.flatnonzero(tables.select_region("class-BA", table)).tolist() == [0, 8]
    assert np.flatnonzero(tables.select_region("3", table)).tolist() == [3]
    assert tables.is_region("wrong", table) and tables.is_region("class-BA", table) and tables.is_region("3", table)


@pytest.mark.parametrize(
    "region", ["99", "9", "class-XYZ", "1,2;3,4", "1,2;3;4,5", "a,b;c,d;e,f", "nan,1;2,3;4,5", "wr", ";;;"]
)
def test_what_names_no_region(table, region):
    assert not tables.is_region(region, table)
    assert not tables.select_region(region, table).any()


def test_wrong_answers_come_first_the_surest_of_them_first(table):
    ordered = tables.order_cells(table)
    assert ordered["image"].tolist()[:3] == [4, 2, 0]
    counts = tables.count_classes(table[table["true_index"] < 3])
    assert counts.to_dict("list") == {
        "true class": list(CLASS_NAMES[:3]),
        "cells": [2, 1, 1],
        "wrong": [0, 0, 1],
    }


@pytest.mark.parametrize("colouring", ["class", "answer", "error"])
def test_every_cell_is_drawn_once_and_errors_have_their_own_mark(table, colouring):
    figure = figures.cell_map_figure(table, colouring, "light")
    drawn = np.concatenate([trace.customdata for trace in figure.data])
    assert sorted(drawn.tolist()) == table["image"].tolist()
    crosses = figure.data[-1]
    assert crosses.marker.symbol == "x" and crosses.customdata.tolist() == [2, 4]
    assert crosses.text[0].startswith("erythroblast, answered platelet, ")
    assert len({trace.marker.symbol for trace in figure.data}) == (2 if colouring == "error" else 9)


def test_what_is_not_selected_fades_and_the_region_is_outlined(table):
    selected = tables.select_region("wrong", table)
    figure = figures.cell_map_figure(table, "error", "dark", selected, np.array([[0, 0], [1, 0], [1, 1]]))
    right, wrong = figure.data
    assert max(right.marker.opacity) < 0.2 < min(wrong.marker.opacity)
    assert figure.layout.shapes[0].path == "M0,0L1,0L1,1Z"
    assert not figures.cell_map_figure(table, "class", "dark").layout.shapes

"""The map of all test cells as a table, and regions of it as text that an address can hold. No Streamlit here."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bloodcell.artifact import Predictions
from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.views.selection import read_number

NOTHING = ""
WRONG = "wrong"
_CLASS = "class-"
MOST_CORNERS = 40
"""Corners that are kept of a lasso: an address has to hold them."""


def map_table(places: np.ndarray, predictions: Predictions, y_score: np.ndarray) -> pd.DataFrame:
    """Return one row per cell that has a place: image, x, y, true, answer, probability, right, and both as indices.

    Args:
        places: (n, 2), not a number where a cell has no place.
        predictions: Of the same cells in the same order.
        y_score: (n, 8) calibrated probabilities.
    """
    y_pred = y_score.argmax(axis=1)
    names = np.array(CLASS_NAMES)
    table = pd.DataFrame(
        {
            "image": np.arange(len(places)),
            "x": places[:, 0].astype(np.float64),
            "y": places[:, 1].astype(np.float64),
            "true": names[predictions.y_true],
            "answer": names[y_pred],
            "probability": y_score[np.arange(len(y_pred)), y_pred].astype(np.float64),
            "right": y_pred == predictions.y_true,
            "true_index": predictions.y_true,
            "answer_index": y_pred,
        }
    )
    return table[np.isfinite(places).all(axis=1)].reset_index(drop=True)


def class_region(label: int) -> str:
    """Return the region that holds all cells of one true class."""
    return f"{_CLASS}{CLASS_CODES[label]}"


def format_polygon(xs: Sequence[float], ys: Sequence[float]) -> str:
    """Return a lasso or the corners of a box as text: "x,y;x,y;…" with one decimal and at most 40 corners."""
    step = max(1, math.ceil(len(xs) / MOST_CORNERS))
    corners = list(zip(xs, ys, strict=True))[::step]
    return ";".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def format_box(xs: Sequence[float], ys: Sequence[float]) -> str:
    """Return the rectangle between two corners as text."""
    (left, right), (low, high) = sorted(xs), sorted(ys)
    return format_polygon([left, right, right, left], [low, low, high, high])


def parse_polygon(region: str) -> np.ndarray | None:
    """Return the corners (n, 2) of a region that is a polygon, else None."""
    try:
        corners = np.array([[float(part) for part in corner.split(",")] for corner in region.split(";")])
    except ValueError:
        return None
    whole = corners.ndim == 2 and corners.shape[1] == 2 and 3 <= len(corners) <= 2 * MOST_CORNERS
    return corners if whole and np.isfinite(corners).all() else None


def is_region(region: str, table: pd.DataFrame) -> bool:
    """Return whether a text names a region: a polygon, one cell's image number, a class, or all wrong answers."""
    number = read_number(region)
    if number is not None:
        return bool((table["image"] == number).any())
    known = region in (WRONG, *(class_region(label) for label in range(len(CLASS_NAMES))))
    return known or parse_polygon(region) is not None


def select_region(region: str, table: pd.DataFrame) -> np.ndarray:
    """Return which rows of the map's table lie in a region, (n,) bool; none where the text names none."""
    if region == WRONG:
        return ~table["right"].to_numpy()
    if region.startswith(_CLASS):
        codes = np.array(CLASS_CODES)[table["true_index"].to_numpy(np.int64)]
        return codes == region.removeprefix(_CLASS)
    number = read_number(region)
    if number is not None:
        return (table["image"] == number).to_numpy()
    corners = parse_polygon(region)
    if corners is None:
        return np.zeros(len(table), bool)
    return points_in_polygon(table[["x", "y"]].to_numpy(), corners)


def points_in_polygon(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return which points (n, 2) lie inside a polygon (k, 2), by the number of its edges to their right."""
    x, y = points[:, 0], points[:, 1]
    inside = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


def order_cells(selected: pd.DataFrame) -> pd.DataFrame:
    """Return cells with the wrong answers first, the most confident of them first; then the right, in their order."""
    keys = selected.assign(sure=np.where(selected["right"], 0.0, -selected["probability"]))
    return selected.loc[keys.sort_values(["right", "sure", "image"], kind="stable").index]


def count_classes(selected: pd.DataFrame) -> pd.DataFrame:
    """Return cells and wrong answers per true class that occurs in a selection, in class order."""
    groups = selected.groupby("true_index", sort=True)["right"]
    counts = pd.DataFrame({"cells": groups.size(), "wrong": groups.size() - groups.sum()})
    counts.insert(0, "true class", [CLASS_NAMES[int(label)] for label in counts.index])
    return counts.reset_index(drop=True)


def shown_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the map's table that a reader and a CSV file get."""
    return table.drop(columns=["true_index", "answer_index"])

"""The scatter of all test cells. Numbers come in, a figure goes out."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bloodcell.dataset import CLASS_NAMES
from bloodcell.views import theme
from bloodcell.views.quantities import probability_text

HEIGHT = 540
_RIGHT_SIZE, _WRONG_SIZE = 6, 11
_FADED = 0.12


def cell_map_figure(
    table: pd.DataFrame,
    colouring: str,
    mode: theme.Mode,
    selected: np.ndarray | None = None,
    corners: np.ndarray | None = None,
) -> go.Figure:
    """Return the map: one mark per cell, by class in its colour and shape; wrong answers are large crosses on top.

    Args:
        table: As `tables_map.map_table` gives it.
        colouring: "class" for the true class, "answer", or "error" for right and wrong alone.
        mode: The ground it will stand on.
        selected: Which rows stand out, (n,) bool; None for all.
        corners: (k, 2) outline of the selected region, if it has one.
    """
    colors = theme.palette(mode)
    figure = go.Figure()
    chosen = np.ones(len(table), bool) if selected is None else selected
    right = table["right"].to_numpy()
    if colouring == "error":
        _add_marks(figure, table, right, chosen, "right", colors.muted, "circle", _RIGHT_SIZE, colors.ground)
    else:
        labels = table["true_index" if colouring == "class" else "answer_index"].to_numpy()
        for label, name in enumerate(CLASS_NAMES):
            title = f"{theme.CLASS_GLYPHS[label]} {name}"
            colour, symbol = theme.class_color(label), theme.CLASS_SYMBOLS[label]
            _add_marks(
                figure, table, right & (labels == label), chosen, title, colour, symbol, _RIGHT_SIZE, colors.ground
            )
    wrong_colours: Any = colors.bad
    if colouring != "error":
        wrong_colours = [theme.class_color(label) for label in labels[~right]]
    _add_marks(figure, table, ~right, chosen, "✖ wrong", wrong_colours, "x", _WRONG_SIZE, colors.text)
    if corners is not None:
        path = "M" + "L".join(f"{x},{y}" for x, y in corners) + "Z"
        figure.add_shape(type="path", path=path, line={"color": colors.text, "width": 1.5, "dash": "dot"})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x")
    figure.update_layout(
        dragmode="lasso",
        uirevision="map",
        legend={"orientation": "h", "y": -0.02, "yanchor": "top", "x": 0, "itemsizing": "constant"},
    )
    return theme.style_figure(figure, mode, height=HEIGHT)


def _add_marks(
    figure: go.Figure,
    table: pd.DataFrame,
    rows: np.ndarray,
    chosen: np.ndarray,
    name: str,
    colour: Any,
    symbol: str,
    size: int,
    outline: str,
) -> None:
    part = table[rows]
    figure.add_scattergl(
        x=part["x"].round(2),
        y=part["y"].round(2),
        mode="markers",
        name=name,
        marker={
            "color": colour,
            "symbol": symbol,
            "size": size,
            "opacity": np.where(chosen[rows], 0.9, _FADED),
            "line": {"color": outline, "width": 1.2 if symbol == "x" else 0.3},
        },
        customdata=part["image"],
        text=[
            f"{true}, answered {answer}, {probability_text(probability)}"
            for true, answer, probability in zip(part["true"], part["answer"], part["probability"], strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
        # Which marks stand out is the page's to say, by the region in the address; the browser's own fading would add.
        selected={"marker": {"opacity": 0.9}},
        unselected={"marker": {"opacity": 0.9}},
    )

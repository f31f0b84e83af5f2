"""Learning curves of trainings that run now. Numbers come in, figures go out; nothing else is touched."""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from bloodcell.training.live_log import LiveProgress
from bloodcell.views import theme
from bloodcell.views.tables_training import AXES, curve_rows

MOST_POINTS = 300
_RUN_STYLES = (("primary", "circle"), ("accent", "square"), ("good", "diamond"), ("muted", "triangle-up"))
MOST_RUNS = len(_RUN_STYLES)


def curves_figure(
    curves: Mapping[str, LiveProgress], measure: str, axis: str, mode: theme.Mode, height: int = 265
) -> go.Figure:
    """Return loss or accuracy of up to four runs: training dotted and thin, val solid, whole epochs as marks.

    Args:
        curves: What each run has shown, by its label; the first keeps the first colour.
        measure: "loss" or "accuracy".
        axis: "position" for epochs or "seconds" of training.
        mode: The ground it will stand on.
        height: Pixels.
    """
    colors = theme.palette(mode)
    figure = go.Figure()
    scale, unit, number = (100, " %", ".1f") if measure == "accuracy" else (1, "", ".3f")
    x_words = "epoch %{x:.2f}" if axis == "position" else "%{x:.0f} s"
    for (label, progress), (name, symbol) in zip(curves.items(), _RUN_STYLES, strict=False):
        color = getattr(colors, name)
        rows = curve_rows(progress)
        looks = {
            "training": {"mode": "lines", "line": {"color": color, "dash": "dot", "width": 1.5}},
            "val cells": {"mode": "lines", "line": {"color": color, "width": 2.5}},
            "all of val": {"mode": "markers", "marker": {"color": color, "symbol": symbol, "size": 9}},
        }
        for what, look in looks.items():
            points = thin_out(rows[rows["what"] == what])
            figure.add_scatter(
                x=points[axis],
                y=scale * points[measure].astype(float),
                name=label,
                legendgroup=label,
                showlegend=what == "val cells",
                hovertemplate=f"{label}, {what}, {x_words}: %{{y:{number}}}{unit}<extra></extra>",
                **look,
            )
    figure.update_layout(
        legend={"orientation": "h", "y": 1.14, "x": 0, "itemclick": False, "itemdoubleclick": False},
        uirevision=axis,  # a reader's zoom survives the next numbers
        showlegend=True,
    )
    figure.update_xaxes(title=AXES[axis], rangemode="tozero")
    if measure == "accuracy":
        figure.update_yaxes(range=[0, 102], ticksuffix=" %")
    else:
        figure.update_yaxes(rangemode="tozero")
    return theme.style_figure(figure, mode, height=height)


def thin_out(points: pd.DataFrame) -> pd.DataFrame:
    """Return at most 300 points: means over neighbours, so that a long training draws as quickly as a short one."""
    if len(points) <= MOST_POINTS:
        return points
    numbers = points.drop(columns="what").astype(float)
    groups = [index * MOST_POINTS // len(points) for index in range(len(points))]
    return numbers.groupby(groups).mean()

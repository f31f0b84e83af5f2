"""Drawings of when an answer can be believed. Numbers come in, figures go out; nothing else is touched."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bloodcell.views import theme
from bloodcell.views.tables_trust import MEASURES, STATUS_WORDS
from bloodcell.views.theme import Mode

_ROW_HEIGHT = 26
_STATUS_PATTERNS = {"answered": "", "uncertain": "/", "unfamiliar": "x", "no cell": "."}


def coverage_figure(table: pd.DataFrame, coverage: float, mode: Mode) -> go.Figure:
    """Return how often each class's sets held the right type, with intervals, against the promise.

    Args:
        table: type, n, held, share, low, high, as `tables_trust.coverage_table` gives it.
        coverage: The promise, drawn as a line.
    """
    colors = theme.palette(mode)
    figure = go.Figure()
    figure.add_scatter(
        x=100 * table["share"],
        y=table["type"],
        mode="markers",
        marker={"size": 10, "color": [colors.primary] * (len(table) - 1) + [colors.accent], "symbol": "diamond"},
        error_x={
            "type": "data",
            "array": 100 * (table["high"] - table["share"]),
            "arrayminus": 100 * (table["share"] - table["low"]),
            "color": colors.muted,
            "thickness": 1.4,
            "width": 4,
        },
        customdata=table[["held", "n", "low", "high"]],
        hovertemplate=(
            "%{y}: the set held the right type for %{customdata[0]} of %{customdata[1]} cells, %{x:.1f} % "
            "(%{customdata[2]:.1%} to %{customdata[3]:.1%})<extra></extra>"
        ),
        showlegend=False,
    )
    figure.add_vline(
        x=100 * coverage,
        line={"color": colors.text, "dash": "dash", "width": 1.2},
        annotation={"text": f"promised {100 * coverage:g} %", "font": {"color": colors.text}},
        annotation_position="top left",
    )
    lowest = min(float(100 * table["low"].min()), 100 * coverage)
    figure.update_xaxes(title="cells whose set holds the right type, %", range=[lowest - 1, 100.4])
    figure.update_yaxes(autorange="reversed")
    return theme.style_figure(figure, mode, height=90 + _ROW_HEIGHT * len(table))


def statuses_figure(table: pd.DataFrame, name_column: str, mode: Mode) -> go.Figure:
    """Return what became of each row's images as a bar of shares: answered, uncertain, unfamiliar, no cell.

    Args:
        table: A column of names and one column of counts per status of `tables_trust.STATUS_WORDS`.
    """
    colors = theme.palette(mode)
    shades = {
        "answered": colors.good,
        "uncertain": colors.accent,
        "unfamiliar": colors.primary,
        "no cell": colors.muted,
    }
    words = list(STATUS_WORDS.values())
    total = table[words].sum(axis=1)
    figure = go.Figure()
    for word in words:
        figure.add_bar(
            x=100 * table[word] / total,
            y=table[name_column],
            name=word,
            orientation="h",
            marker={"color": shades[word], "pattern": _pattern(word, colors.ground)},
            customdata=pd.DataFrame({"count": table[word], "total": total}),
            hovertemplate=f"%{{y}}: {word} %{{customdata[0]}} of %{{customdata[1]}}, %{{x:.1f}} %<extra></extra>",
        )
    figure.update_layout(barmode="stack", legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    figure.update_xaxes(title="share of images, %", range=[0, 100])
    figure.update_yaxes(autorange="reversed")
    return theme.style_figure(figure, mode, height=110 + _ROW_HEIGHT * len(table))


def spoiled_figure(table: pd.DataFrame, models: Sequence[str], guarded: str, mode: Mode) -> go.Figure:
    """Return three small charts over the severities of one corruption: named rightly, refused, wrong among answered.

    Args:
        table: model, severity and the three shares, as `tables_trust.robustness_table` gives it for one corruption.
        models: Names in the order to draw.
        guarded: The model whose guard refuses; what it refuses is drawn once.
    """
    colors = theme.palette(mode)
    titles = list(MEASURES.values())
    figure = make_subplots(rows=1, cols=3, subplot_titles=titles, horizontal_spacing=0.07)
    for model in models:
        rows = table[table["model"] == model]
        own = model == guarded
        for column, measure in enumerate(titles, start=1):
            if measure == "refused" and not own:
                continue
            figure.add_scatter(
                x=rows["severity"],
                y=100 * rows[measure],
                name=model,
                legendgroup=model,
                showlegend=column == 1,
                mode="lines+markers",
                line={"color": colors.primary if own else colors.muted, "dash": "solid" if own else "dot"},
                marker={"symbol": "star" if own else "circle-open", "size": 9},
                hovertemplate=f"{model}, severity %{{x}}: {measure} %{{y:.1f}} %<extra></extra>",
                row=1,
                col=column,
            )
    figure.update_xaxes(title="severity", dtick=1, range=[-0.2, 5.2])
    figure.update_yaxes(rangemode="tozero", ticksuffix=" %")
    figure.update_yaxes(range=[0, 103], col=1)
    figure.update_yaxes(range=[0, 103], col=2)
    figure.update_layout(legend={"orientation": "h", "y": -0.28, "x": 0})
    figure = theme.style_figure(figure, mode, height=330)
    return figure.update_layout(margin={"t": 36})


def spoiled_overview_figure(record: Mapping[str, Any], measure: str, mode: Mode) -> go.Figure:
    """Return one measure of the guarded model for every corruption (rows) and severity (columns) as a heat map.

    Args:
        record: Of `measure robustness`.
        measure: Key of `tables_trust.MEASURES`.
    """
    model = record["model"]["name"]
    keys = [one["key"] for one in record["corruptions"]]
    names = [one["name"] for one in record["corruptions"]]
    severities = sorted({row["severity"] for row in record["rows"] if row["corruption"]})
    shares = {
        (row["corruption"], row["severity"]): row[measure]["share"] for row in record["rows"] if row["model"] == model
    }
    values = [[_percent_or_none(shares.get((key, severity))) for severity in severities] for key in keys]
    text = [["none answered" if value is None else f"{value:.1f} %" for value in row] for row in values]
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=[str(severity) for severity in severities],
            y=names,
            text=text,
            texttemplate="%{text}",
            colorscale=theme.SEQUENTIAL_SCALE,
            reversescale=mode == "light",
            showscale=False,
            xgap=2,
            ygap=2,
            hoverongaps=False,
            hovertemplate=f"%{{y}}, severity %{{x}}: {MEASURES[measure]} %{{text}}<extra></extra>",
        )
    )
    figure.update_xaxes(title="severity", type="category", showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return theme.style_figure(figure, mode, height=80 + 32 * len(keys))


def unseen_figure(table: pd.DataFrame, mode: Mode) -> go.Figure:
    """Return for each type that a network never saw the share of its cells that were refused, with intervals.

    Args:
        table: `type never seen`, cells, refused, share, low, high, as `tables_trust.unseen_table` gives it.
    """
    colors = theme.palette(mode)
    figure = go.Figure()
    figure.add_bar(
        x=100 * table["share"],
        y=table["type never seen"],
        orientation="h",
        marker={"color": colors.primary},
        error_x={
            "type": "data",
            "array": 100 * (table["high"] - table["share"]),
            "arrayminus": 100 * (table["share"] - table["low"]),
            "color": colors.text,
        },
        customdata=table[["refused", "cells", "called instead"]],
        hovertemplate=(
            "%{y}: %{customdata[0]} of %{customdata[1]} refused, %{x:.1f} %; the others were called "
            "%{customdata[2]}<extra></extra>"
        ),
    )
    figure.update_xaxes(title="refused, %", range=[0, 100])
    figure.update_yaxes(autorange="reversed")
    return theme.style_figure(figure, mode, height=80 + 34 * len(table))


def _pattern(word: str, color: str) -> dict[str, Any]:
    """Return lines or dots over a bar, so that no status is told by colour alone."""
    return {"shape": _STATUS_PATTERNS[word], "fgcolor": color, "fillmode": "overlay", "size": 6, "solidity": 0.25}


def _percent_or_none(value: float | None) -> float | None:
    return None if value is None else 100 * value

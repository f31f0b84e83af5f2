"""Drawings of how good a model is and what it mixes up. Numbers come in, figures go out; nothing else is touched."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import get_colorscale
from plotly.subplots import make_subplots

from bloodcell.views import theme
from bloodcell.views.quantities import percent
from bloodcell.views.tables_confusion import describe_cell, normalize_matrix, plural
from bloodcell.views.theme import Mode

CELL_TRACE = "cells"
"""Name of the invisible squares over a matrix: the only trace that reports clicks (a heat map never does)."""

_DIVERGING = {
    "light": ((0.0, "#B35806"), (0.25, "#F1A340"), (0.5, "#F7F4F0"), (0.75, "#998EC3"), (1.0, "#542788")),
    "dark": ((0.0, "#FDB863"), (0.25, "#A9692A"), (0.5, "#241D30"), (0.75, "#6F5FA8"), (1.0, "#B9AEEA")),
}
_MATRIX_HEIGHT = 540


def confusion_matrix_figure(
    confusion_matrix: np.ndarray,
    class_names: Sequence[str],
    class_codes: Sequence[str],
    *,
    normalize: str,
    mode: Mode,
    errors_only: bool = False,
    selected: tuple[int, int] | None = None,
    small: bool = False,
    highest: float | None = None,
    height: int = _MATRIX_HEIGHT,
) -> go.Figure:
    """Return one confusion matrix whose cells can be pointed at and clicked.

    Colour follows the square root of the value, so that a share of 1 % can be told from none; empty cells stay blank.

    Args:
        confusion_matrix: (classes, classes) counts, rows true, columns predicted.
        class_names, class_codes: Names for rows and sentences, and short names for the columns.
        normalize: `"row"`, `"column"` or `"count"`, see `tables_confusion.NORMALIZATIONS`.
        mode: The ground it stands on.
        errors_only: Leave out the diagonal and stretch the colours over the rest.
        selected: (true, predicted) of the cell to outline.
        small: Short names on both sides and smaller numbers, for matrices side by side.
        highest: Value of the strongest colour, so that matrices side by side can share it; None takes `highest_value`.
        height: Pixels.
    """
    counts = np.asarray(confusion_matrix)
    shown = counts > 0
    if errors_only:
        shown = shown & ~np.eye(len(counts), dtype=bool)
    values = np.where(shown, normalize_matrix(counts, normalize), np.nan)
    text = [[_cell_text(value, normalize) for value in row] for row in values]
    scale = _sequential_scale(mode)
    strongest = highest or highest_value(counts, normalize, errors_only)
    figure = _matrix_figure(np.sqrt(values), text, scale, (0.0, np.sqrt(strongest)))
    sentences = [
        [_hover(describe_cell(counts, class_names, i, j), counts, class_names, j) for j in range(len(counts))]
        for i in range(len(counts))
    ]
    row_labels = class_codes if small else [_row_label(*pair) for pair in zip(class_names, class_codes, strict=True)]
    return _finish_matrix(figure, sentences, row_labels, class_codes, mode, selected, height, small)


def highest_value(confusion_matrix: np.ndarray, normalize: str, errors_only: bool) -> float:
    """Return the value of a matrix's strongest colour: 1 for shares, else the largest that is shown, and never 0."""
    if normalize != "count" and not errors_only:
        return 1.0
    values = np.nan_to_num(normalize_matrix(confusion_matrix, normalize))
    if errors_only:
        np.fill_diagonal(values, 0.0)
    return float(values.max()) or 1.0


def difference_matrix_figure(
    first: np.ndarray,
    second: np.ndarray,
    class_names: Sequence[str],
    class_codes: Sequence[str],
    *,
    names: tuple[str, str],
    normalize: str,
    mode: Mode,
    errors_only: bool = False,
    selected: tuple[int, int] | None = None,
    small: bool = False,
    height: int = _MATRIX_HEIGHT,
) -> go.Figure:
    """Return the first matrix minus the second on a diverging scale centred on zero; equal cells are blank.

    Args:
        first, second: (classes, classes) counts.
        names: What to call the two.
        normalize: Differences of shares (shown in points) or of counts.
        class_names, class_codes, mode, errors_only, selected, small, height: As in `confusion_matrix_figure`.
    """
    first, second = np.asarray(first), np.asarray(second)
    values = np.nan_to_num(normalize_matrix(first, normalize)) - np.nan_to_num(normalize_matrix(second, normalize))
    shown = np.abs(values) > 1e-12
    if errors_only:
        shown = shown & ~np.eye(len(first), dtype=bool)
    values = np.where(shown, values, np.nan)
    text = [[_difference_text(value, normalize) for value in row] for row in values]
    reach = float(np.nanmax(np.abs(values))) if shown.any() else 1.0
    signed_root = np.sign(values) * np.sqrt(np.abs(values))
    scale = [list(stop) for stop in _DIVERGING[mode]]
    figure = _matrix_figure(signed_root, text, scale, (-np.sqrt(reach), np.sqrt(reach)))
    sentences = [
        [_difference_sentence(first, second, class_names, names, i, j) for j in range(len(first))]
        for i in range(len(first))
    ]
    row_labels = class_codes if small else [_row_label(*pair) for pair in zip(class_names, class_codes, strict=True)]
    return _finish_matrix(figure, sentences, row_labels, class_codes, mode, selected, height, small)


def learning_curves_figure(history: pd.DataFrame, best_epoch: int, mode: Mode, height: int = 380) -> go.Figure:
    """Return loss above accuracy over the epochs, training dotted and validation solid, the kept epoch marked.

    Args:
        history: epoch, loss, accuracy, val_loss, val_accuracy; accuracies as fractions.
        best_epoch: The epoch, from 1, whose weights were kept.
    """
    colors = theme.palette(mode)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.1)
    series = (("Training", "", colors.accent, "dot"), ("Validation", "val_", colors.primary, "solid"))
    for row, (measure, unit) in enumerate((("loss", ""), ("accuracy", " %")), start=1):
        number = "%{y:.1f}" if unit else "%{y:.3f}"
        for label, prefix, color, dash in series:
            values = history[f"{prefix}{measure}"] * (100 if unit else 1)
            figure.add_scatter(
                x=history["epoch"],
                y=values,
                name=label,
                legendgroup=label,
                showlegend=row == 1,
                mode="lines+markers" if len(history) < 3 else "lines",
                line={"color": color, "dash": dash, "width": 2},
                hovertemplate=f"epoch %{{x}}: {label.lower()} {measure} {number}{unit}<extra></extra>",
                row=row,
                col=1,
            )
        kept = history[history["epoch"] == best_epoch]
        figure.add_scatter(
            x=kept["epoch"],
            y=kept[f"val_{measure}"] * (100 if unit else 1),
            name="Kept epoch",
            legendgroup="kept",
            showlegend=row == 1,
            mode="markers",
            marker={
                "symbol": "star",
                "size": 13,
                "color": colors.primary,
                "line": {"color": colors.ground, "width": 1},
            },
            hovertemplate=f"epoch %{{x}}, kept: {number}{unit}<extra></extra>",
            row=row,
            col=1,
        )
        figure.add_vline(x=best_epoch, line={"color": colors.muted, "dash": "dash", "width": 1}, row=row, col=1)
    figure.update_yaxes(title_text="Loss", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="Accuracy, %", row=2, col=1)
    figure.update_xaxes(title_text="Epoch", row=2, col=1)
    theme.style_figure(figure, mode, height)
    return _legend_on_top(figure)


def reliability_figure(curve: pd.DataFrame, mode: Mode, height: int = 340) -> go.Figure:
    """Return accuracy against confidence per bin with its interval; the larger the mark, the more images in the bin.

    Args:
        curve: As `evaluation.reliability_curve` gives it; bins without images are left out.
    """
    colors = theme.palette(mode)
    filled = curve[curve["num_images"] > 0]
    share = filled["num_images"] / filled["num_images"].sum()
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="Perfectly calibrated",
        line={"color": colors.muted, "dash": "dash", "width": 1},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=filled["confidence"] * 100,
        y=filled["accuracy"] * 100,
        error_y={
            "array": (filled["accuracy_high"] - filled["accuracy"]) * 100,
            "arrayminus": (filled["accuracy"] - filled["accuracy_low"]) * 100,
            "color": colors.muted,
            "thickness": 1.5,
            "width": 3,
        },
        customdata=filled[["num_images", "accuracy_low", "accuracy_high"]] * [1, 100, 100],
        mode="markers",
        name="Measured, 95 % interval",
        marker={
            "color": colors.primary,
            "size": 7 + 20 * np.sqrt(share),
            "line": {"color": colors.ground, "width": 1},
        },
        hovertemplate="%{customdata[0]:,.0f} images: %{x:.1f} % sure on average, %{y:.1f} % right "
        "(95 %: %{customdata[1]:.1f} to %{customdata[2]:.1f})<extra></extra>",
    )
    figure.update_xaxes(title_text="Confidence, %", range=[0, 103], dtick=20)
    figure.update_yaxes(title_text="Right, %", range=[0, 105], dtick=20)
    theme.style_figure(figure, mode, height)
    return _legend_on_top(figure)


def risk_coverage_figure(curve: pd.DataFrame, mode: Mode, height: int = 340) -> go.Figure:
    """Return the share of wrong answers against the share of images answered, least confident ones refused first.

    Args:
        curve: As `evaluation.risk_coverage_curve` gives it: coverage and risk as fractions, threshold as a probability.
    """
    colors = theme.palette(mode)
    figure = go.Figure(
        go.Scatter(
            x=curve["coverage"] * 100,
            y=curve["risk"] * 100,
            customdata=curve["threshold"] * 100,
            mode="lines",
            line={"color": colors.primary, "width": 2},
            hovertemplate="%{x:.1f} % answered (at least %{customdata:.1f} % sure): %{y:.2f} % of them wrong"
            "<extra></extra>",
        )
    )
    figure.update_xaxes(title_text="Answered, % of images", range=[0, 101])
    figure.update_yaxes(title_text="Wrong among the answered, %", rangemode="tozero")
    return theme.style_figure(figure, mode, height)


def layer_costs_figure(costs: pd.DataFrame, mode: Mode, height: int | None = None) -> go.Figure:
    """Return two bars per block: its share of the parameters (solid) and of the arithmetic (striped).

    Args:
        costs: block, parameters, flops, parameter_share, flop_share, as `tables_evaluation.block_costs` gives it.
    """
    colors = theme.palette(mode)
    figure = go.Figure()
    for column, label, unit, color, pattern in (
        ("flop", "FLOPs", "flops", colors.accent, "/"),
        ("parameter", "Parameters", "parameters", colors.primary, ""),
    ):
        figure.add_bar(
            y=costs["block"],
            x=costs[f"{column}_share"] * 100,
            customdata=costs[unit],
            name=label,
            orientation="h",
            marker={
                "color": color,
                "pattern": {"shape": pattern, "fillmode": "overlay", "fgcolor": colors.ground, "size": 6},
            },
            hovertemplate=f"%{{y}}: %{{customdata:,}} {label} (%{{x:.1f}} %)<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.25)
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title_text="Share of the network, %", rangemode="tozero")
    theme.style_figure(figure, mode, height or 90 + 34 * len(costs))
    return _legend_on_top(figure, reverse=True)


def _sequential_scale(mode: Mode) -> list[list[float | str]]:
    """Return Cividis with more further from the ground; on the light ground its bright end fades for the least."""
    stops = [list(stop) for stop in get_colorscale(theme.SEQUENTIAL_SCALE)]
    if mode == "dark":
        return stops
    flipped = [[1 - position, color] for position, color in reversed(stops)]
    return [[0.0, "#FBF3CE"], *([0.12 + 0.88 * position, color] for position, color in flipped)]


def _matrix_figure(z: np.ndarray, text: list[list[str]], scale: object, limits: tuple[float, float]) -> go.Figure:
    return go.Figure(
        go.Heatmap(
            z=z,
            text=text,
            texttemplate="%{text}",
            colorscale=scale,
            zmin=limits[0],
            zmax=limits[1],
            showscale=False,
            xgap=2,
            ygap=2,
            hoverinfo="skip",
        )
    )


def _finish_matrix(
    figure: go.Figure,
    sentences: list[list[str]],
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    mode: Mode,
    selected: tuple[int, int] | None,
    height: int,
    small: bool,
) -> go.Figure:
    """Lay the clickable squares over a matrix, outline the selected cell, and label the axes."""
    colors = theme.palette(mode)
    size = len(row_labels)
    true, predicted = (axis.ravel().tolist() for axis in np.indices((size, size)))
    invisible = {"marker": {"opacity": 0}}
    figure.add_scatter(
        x=predicted,
        y=true,
        name=CELL_TRACE,
        mode="markers",
        marker={"symbol": "square", "size": 34, "opacity": 0},
        selected=invisible,
        unselected=invisible,
        text=[sentences[i][j] for i, j in zip(true, predicted, strict=True)],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )
    if selected is not None:
        i, j = selected
        figure.add_shape(
            type="rect", x0=j - 0.5, x1=j + 0.5, y0=i - 0.5, y1=i + 0.5, line={"color": colors.accent, "width": 4}
        )
    ends = [-0.5, size - 0.5]
    shared = {"tickvals": list(range(size)), "showgrid": False, "zeroline": False, "fixedrange": True}
    figure.update_xaxes(**shared, ticktext=column_labels, range=ends, title_text="answered", title_standoff=4)
    figure.update_yaxes(**shared, ticktext=row_labels, range=ends[::-1], title_text="true class", title_standoff=14)
    figure.update_layout(hovermode="closest", hoverdistance=60, dragmode=False, clickmode="event+select")
    theme.style_figure(figure, mode, height)
    for update_axes in (figure.update_xaxes, figure.update_yaxes):
        update_axes(tickfont={"size": 11 if small else 12})
    figure.update_traces(textfont={"size": 11 if small else 13}, selector={"type": "heatmap"})
    return figure


def _row_label(name: str, code: str) -> str:
    """Return "immature / granulocyte IG" on as many lines as the name has words."""
    return f"{name.replace(' ', '<br>')} <b>{code}</b>"


def _legend_on_top(figure: go.Figure, reverse: bool = False) -> go.Figure:
    return figure.update_layout(
        legend={
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1.02,
            "xanchor": "left",
            "x": 0,
            "traceorder": "reversed" if reverse else "normal",
        }
    )


def _cell_text(value: float, normalize: str) -> str:
    if np.isnan(value):
        return ""
    if normalize == "count":
        return f"{value:.0f}"
    return f"{value * 100:.1f}" if value >= 0.0005 else "<0.1"


def _difference_text(value: float, normalize: str) -> str:
    if np.isnan(value):
        return ""
    number = f"{abs(value):.0f}" if normalize == "count" else f"{abs(value) * 100:.1f}"
    return f"{'+' if value > 0 else '−'}{number}"


def _hover(sentence: str, counts: np.ndarray, class_names: Sequence[str], predicted: int) -> str:
    called = int(counts[:, predicted].sum())
    return f"{sentence}<br>{called:,} cells of all types were called {class_names[predicted]}"


def _difference_sentence(
    first: np.ndarray,
    second: np.ndarray,
    class_names: Sequence[str],
    names: tuple[str, str],
    true: int,
    predicted: int,
) -> str:
    lines = [f"{plural(class_names[true])} called {class_names[predicted]}".capitalize()]
    for name, matrix in zip(names, (first, second), strict=True):
        total = int(matrix[true].sum())
        count = int(matrix[true, predicted])
        share = f" ({percent(count / total)})" if total else ""
        lines.append(f"{name}: {count:,} of {total:,}{share}")
    return "<br>".join(lines)

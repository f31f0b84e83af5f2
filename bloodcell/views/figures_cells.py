"""Figures about the classes and about single answers: how many images, which probabilities, who agrees."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.views import theme
from bloodcell.views.quantities import probability_text

LABELLED_PART = 0.3
"""Smallest probability whose part of a bar has room for its class and its number, on a narrow screen too."""

SPLIT_PATTERNS: dict[str, str] = {"train": "", "val": "/", "test": "."}
"""Hatching of each split's part of a bar."""


def class_balance_figure(counts: pd.DataFrame, mode: theme.Mode) -> go.Figure:
    """Return stacked bars, one per class, one part per split.

    Args:
        counts: One row per class in class order; a column per known split, numbers of images.
        mode: The ground it will stand on.
    """
    figure = go.Figure()
    colors = theme.palette(mode)
    totals = counts.sum(axis=1)
    share = totals / max(int(totals.sum()), 1)
    labels = [f"{theme.CLASS_GLYPHS[index]} {name}" for index, name in enumerate(CLASS_NAMES)]
    for split in counts.columns:
        shape = SPLIT_PATTERNS[split]
        figure.add_bar(
            y=labels,
            x=counts[split],
            orientation="h",
            marker={"color": theme.CLASS_COLORS, "pattern": {"shape": shape, "size": 7}},
            hovertemplate="%{x:,} " + split + " images of %{y}<extra></extra>",
            showlegend=False,
        )
        # The legend names splits and no class: a grey bar of no length stands for each.
        grey = {"color": colors.muted, "pattern": {"shape": shape, "size": 7}}
        figure.add_bar(y=labels[:1], x=[0], orientation="h", name=split, marker=grey, hoverinfo="skip")
    figure.add_scatter(
        y=labels,
        x=totals,
        mode="text",
        text=[f" {total:,}" for total in totals],
        customdata=[f"{total:,} images, {100 * part:.1f} % of all" for total, part in zip(totals, share, strict=True)],
        textposition="middle right",
        textfont={"color": colors.text},
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
        cliponaxis=False,
    )
    figure.update_layout(barmode="stack", legend={"orientation": "h", "y": 1.08, "x": 0, "traceorder": "normal"})
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(title="images", range=[0, float(totals.max()) * 1.22 if len(totals) else 1], tickformat=",")
    return theme.style_figure(figure, mode, height=360)


def probability_bars_figure(probabilities: Sequence[float] | np.ndarray, mode: theme.Mode) -> go.Figure:
    """Return one horizontal bar per class, in class order, with its calibrated probability in per cent.

    Args:
        probabilities: (8,) in [0, 1], summing to 1.
        mode: The ground it will stand on.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    colors = theme.palette(mode)
    best = int(values.argmax())
    names = [
        f"<b>{theme.CLASS_GLYPHS[index]} {name}</b>" if index == best else f"{theme.CLASS_GLYPHS[index]} {name}"
        for index, name in enumerate(CLASS_NAMES)
    ]
    figure = go.Figure(
        go.Bar(
            y=names,
            x=values,
            orientation="h",
            marker={"color": list(theme.CLASS_COLORS), "line": {"color": colors.text, "width": 0}},
            text=[probability_text(value) for value in values],
            textposition="outside",
            textfont={"color": colors.text},
            cliponaxis=False,
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(range=[0, 1.32], tickvals=[0, 0.25, 0.5, 0.75, 1], tickformat=".0%")
    figure.update_layout(showlegend=False, bargap=0.28)
    return theme.style_figure(figure, mode, height=270)


def opinions_figure(opinions: Mapping[str, np.ndarray], mode: theme.Mode) -> go.Figure:
    """Return one bar per model, divided among the classes by their probabilities; large parts carry their class.

    Args:
        opinions: (8,) probabilities by model name, first to last from the top.
        mode: The ground it will stand on.
    """
    names = list(opinions)
    values = np.stack([np.asarray(opinions[name], dtype=np.float64) for name in names])
    figure = go.Figure()
    for index, class_name in enumerate(CLASS_NAMES):
        label = f"{theme.CLASS_GLYPHS[index]} {CLASS_CODES[index]}"
        part = values[:, index]
        figure.add_bar(
            y=names,
            x=part,
            name=f"{theme.CLASS_GLYPHS[index]} {class_name}",
            orientation="h",
            marker={"color": theme.class_color(index), "line": {"color": theme.palette(mode).ground, "width": 1}},
            text=[f"{label} {probability_text(value)}" if value >= LABELLED_PART else "" for value in part],
            textposition="inside",
            insidetextanchor="start",
            insidetextfont={"color": "#17121F"},
            constraintext="none",
            textangle=0,
            customdata=[probability_text(value) for value in part],
            hovertemplate=f"%{{y}}: %{{customdata}} {class_name}<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.25, showlegend=False)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    figure.update_xaxes(range=[0, 1.03], tickvals=[0, 0.25, 0.5, 0.75, 1], tickformat=".0%")
    return theme.style_figure(figure, mode, height=50 + 36 * len(names))


def pixel_values_figure(pixels: np.ndarray, mode: theme.Mode, side: int = 6) -> go.Figure:
    """Return the middle of an image as the numbers that a network reads: its red values divided by 255.

    Args:
        pixels: (64, 64, 3) uint8.
        mode: The ground it will stand on.
        side: Rows and columns that are shown.
    """
    first = (pixels.shape[0] - side) // 2
    values = pixels[first : first + side, first : first + side, 0].astype(np.float64) / 255
    figure = go.Figure(
        go.Heatmap(
            z=values,
            texttemplate="%{z:.2f}",
            hovertemplate="row %{y}, column %{x}: %{z:.4f}<extra></extra>",
            x0=first,
            y0=first,
            colorscale="Greys_r",
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x", constrain="domain")
    return theme.style_figure(figure, mode, height=190).update_layout(margin={"l": 0, "r": 0, "t": 0, "b": 0})

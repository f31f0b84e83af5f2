"""Drawings of the Classroom: all models × all classes for one cell, and where in the cell a network looked."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots
from scipy import ndimage

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES, INPUT_SIZE
from bloodcell.views import theme
from bloodcell.views.figures_images import enlarge, rgb_of
from bloodcell.views.quantities import probability_text

WRITTEN_FROM = 0.095
"""Smallest probability that is written into its square."""
DARKEST = 0.22
"""Brightness that is left where a network did not look at all."""


def scores_figure(
    panels: dict[str, np.ndarray], row_names: Sequence[str], label: int | None, mode: theme.Mode
) -> go.Figure:
    """Return heat maps of probabilities, models × classes, side by side with one list of models.

    Args:
        panels: Title -> (models, 8) probabilities; one or two of them.
        row_names: One per model.
        label: The right class, whose name is marked; None where it is not known.
        mode: The ground it will stand on.
    """
    titles = list(panels) if len(panels) > 1 else None
    figure = make_subplots(1, len(panels), shared_yaxes=True, horizontal_spacing=0.02, column_titles=titles)
    codes = [
        f"<b>{theme.CLASS_GLYPHS[index]}<br>{code}</b>" if index == label else f"{theme.CLASS_GLYPHS[index]}<br>{code}"
        for index, code in enumerate(CLASS_CODES)
    ]
    for column, values in enumerate(panels.values(), start=1):
        told = [
            [
                f"{name}: {class_name} {probability_text(value)}"
                for class_name, value in zip(CLASS_NAMES, row, strict=True)
            ]
            for name, row in zip(row_names, values.tolist(), strict=True)
        ]
        figure.add_heatmap(
            z=values,
            x=codes,
            y=list(range(len(row_names))),
            zmin=0,
            zmax=1,
            colorscale=theme.SEQUENTIAL_SCALE,
            text=[[_write(value) for value in row] for row in values.tolist()],
            texttemplate="%{text}",
            textfont={"size": 11},
            customdata=told,
            hovertemplate="%{customdata}<extra></extra>",
            showscale=False,
            xgap=2,
            ygap=2,
            row=1,
            col=column,
        )
        if label is not None:
            edge = {"color": theme.palette(mode).accent, "width": 2}
            figure.add_shape(
                type="rect", x0=label - 0.5, x1=label + 0.5, y0=-0.5, y1=len(row_names) - 0.5, line=edge,
                row=1, col=column,
            )  # fmt: skip
    figure.update_xaxes(side="bottom", showgrid=False, tickangle=0, fixedrange=True)
    figure.update_yaxes(autorange="reversed", showgrid=False, zeroline=False, fixedrange=True)
    figure.update_yaxes(showticklabels=False, ticks="")
    named = {"tickvals": list(range(len(row_names))), "ticktext": list(row_names), "showticklabels": True}
    figure.update_yaxes(**named, row=1, col=1)
    height = 62 + (24 if titles else 0) + (30 if len(row_names) < 12 else 24) * len(row_names)
    theme.style_figure(figure, mode, height=height)
    figure.update_yaxes(tickfont={"color": theme.palette(mode).text, "size": 12})
    figure.update_annotations(font={"size": 13, "color": theme.palette(mode).text})
    return figure.update_layout(margin={"l": 4, "r": 4, "t": 26 if titles else 6, "b": 4})


def _write(value: float) -> str:
    """Return per cent without its sign, which has no room; never 100.0 for what is not certain, nothing for little."""
    return f"{min(100 * value, 99.9):.1f}" if value >= WRITTEN_FROM else ""


def spotlight(pixels: np.ndarray, attention: np.ndarray, factor: int = 4) -> np.ndarray:
    """Return the cell with light where a network looked and shade elsewhere, and a line around the brighter half.

    Args:
        pixels: (64, 64, 3) uint8.
        attention: (h, w) in [0, 1]; smaller maps are enlarged smoothly.
        factor: Enlargement by whole pixels.
    """
    light = smooth_map(attention, INPUT_SIZE * factor)
    shade = DARKEST + (1 - DARKEST) * light
    picture = (enlarge(pixels, factor) * shade[..., None]).astype(np.uint8)
    inside = light >= 0.5
    if inside.any():
        picture[inside & ~ndimage.binary_erosion(inside)] = rgb_of(theme.PALETTES["dark"].accent)
    return picture


def smooth_map(values: np.ndarray, side: int) -> np.ndarray:
    """Return a map at another size, (side, side) float32, interpolated, negative parts cut off."""
    image = Image.fromarray(np.clip(values, 0, 1).astype(np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))

"""Pictures of what a layer computes: maps in Cividis, filters as colours, long lists as a sheet of squares."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import plotly.graph_objects as go

from bloodcell.dataset import INPUT_SIZE, Box
from bloodcell.models.map_grids import MapGrid
from bloodcell.views import theme
from bloodcell.views.figures_images import data_address, enlarge, enlarge_to

SHEET_COLUMNS = 32
TILE_SIDE = 96
SMALLEST_FRAME = 7
"""Side of the frame that marks a place in a cell, pixels, where the map's own places are smaller."""


CROWDED = 14
"""Per cent of a colour scale next to its ends in which there is no room to write where zero is."""


@dataclass(frozen=True)
class Scale:
    """The two values that are drawn darkest and brightest."""

    low: float
    high: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Scale":
        """Return the scale from the lowest to the highest value, with 0 in it where nothing lies below."""
        low, high = float(values.min()), float(values.max())
        return cls(min(low, 0.0), max(high, low + 1e-6, 1e-6))


@lru_cache(maxsize=1)
def cividis() -> np.ndarray:
    """Return the 256 colours of Cividis, dark to bright, (256, 3) uint8."""
    from plotly.colors import sample_colorscale, unlabel_rgb

    colours = sample_colorscale(theme.SEQUENTIAL_SCALE, np.linspace(0, 1, 256).tolist())
    table = np.array([unlabel_rgb(colour) for colour in colours]).round().astype(np.uint8)
    table.setflags(write=False)
    return table


def colour_map(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Return one map as colours, (h, w, 3) uint8; what lies outside the scale gets its end.

    Args:
        values: (h, w).
    """
    share = (values.astype(np.float64) - scale.low) / (scale.high - scale.low)
    return cividis()[np.clip(np.rint(255 * share), 0, 255).astype(np.int64)]


def split_maps(values: np.ndarray) -> np.ndarray | None:
    """Return a layer's output for one cell as maps, (h, w, channels), or None where it is a list of numbers.

    Args:
        values: (h, w, channels), (places, channels) or (units,).
    """
    if values.ndim == 2:  # an image whose places were written in a row
        side = round(values.shape[0] ** 0.5)
        return values.reshape(side, side, -1) if side * side == values.shape[0] and side > 1 else None
    return values if values.ndim == 3 and values.shape[0] * values.shape[1] > 1 else None


def colour_filters(kernel: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the filters of a first layer as colours and the weight that is drawn at full strength.

    Args:
        kernel: (height, width, 3, filters) float32.

    Returns:
        (filters, height, width, 3) uint8, grey where a weight is 0, and the largest weight without its sign.
    """
    strongest = max(float(np.abs(kernel).max()), 1e-12)
    colours = np.rint(127.5 + 127.5 * kernel / strongest).astype(np.uint8)
    return np.moveaxis(colours, -1, 0), strongest


def picture_label(pixels: np.ndarray, description: str, caption: str) -> str:
    """Return a button's label that shows a small picture, every place of it as a square.

    Args:
        pixels: (h, w, 3) uint8.
        description: What a screen reader says, the name of the button.
        caption: Short text below the picture.
    """
    return f"![{description}]({data_address(enlarge_to(pixels, TILE_SIDE))}) {caption}"


def frame_of_place(place: tuple[int, int], grid: MapGrid) -> Box:
    """Return where a map's place lies in the cell, as a square of its size or at least large enough to be seen.

    Args:
        place: (row, column) in the map.
        grid: Where the map's places lie.
    """
    sides, edges = [], []
    for index, start, step in zip(place, (grid.top, grid.left), (grid.height, grid.width), strict=True):
        side = min(max(round(step), SMALLEST_FRAME), INPUT_SIZE)
        sides.append(side)
        edges.append(min(max(round(start + (index + 0.5) * step - side / 2), 0), INPUT_SIZE - side))
    return Box(edges[1], edges[0], sides[1], sides[0])


def mark_place(pixels: np.ndarray, place: tuple[int, int], grid: MapGrid, factor: int = 1) -> np.ndarray:
    """Return a cell, enlarged by a whole factor, with a white frame in a black one where a map's place lies.

    Args:
        pixels: (64, 64, 3) uint8.
        place: (row, column) in the map.
        grid: Where the map's places lie.
    """
    marked = enlarge(pixels, factor).copy()
    box = frame_of_place(place, grid)
    top, left = box.top * factor, box.left * factor
    bottom, right = top + box.height * factor, left + box.width * factor
    line = max(1, factor // 2)
    for inset, colour in ((0, 0), (line, 255)):
        part = marked[top + inset : bottom - inset, left + inset : right - inset]
        for edge in (part[:line], part[-line:], part[:, :line], part[:, -line:]):
            edge[:] = colour
    return marked


def scale_html(scale: Scale, mode: theme.Mode) -> str:
    """Return the colour scale as a bar with its two values, and zero where it lies between them."""
    colours = ", ".join(f"rgb{tuple(int(part) for part in cividis()[place])}" for place in (0, 51, 102, 153, 204, 255))
    text = theme.palette(mode).muted
    zero = ""
    place = 100 * -scale.low / (scale.high - scale.low)
    if CROWDED < place < 100 - CROWDED:
        zero = f'<span style="position:absolute;left:{place:.1f}%;transform:translateX(-50%)">0</span>'
    return (
        f'<div style="max-width:20rem;font-size:.8rem;color:{text};font-variant-numeric:tabular-nums">'
        f'<div style="height:.6rem;border-radius:3px;background:linear-gradient(90deg, {colours})"></div>'
        f'<div style="display:flex;justify-content:space-between;position:relative">'
        f"<span>{number_text(scale.low)}</span>{zero}<span>{number_text(scale.high)}</span></div></div>"
    )


def number_text(value: float) -> str:
    """Write a value of a layer, which has no unit, with three figures."""
    return f"{value:.3g}".replace("-", "−")


def sheet_figure(values: np.ndarray, mode: theme.Mode) -> go.Figure:
    """Return a list of numbers as a sheet of squares in reading order, one for each unit.

    Args:
        values: (units,).
    """
    columns = min(SHEET_COLUMNS, len(values))
    rows = -(-len(values) // columns)
    padded = np.full(rows * columns, np.nan)
    padded[: len(values)] = values
    units = np.arange(rows * columns).reshape(rows, columns)
    scale = Scale.of(values)
    figure = go.Figure(
        go.Heatmap(
            z=padded.reshape(rows, columns),
            customdata=units,
            hovertemplate="unit %{customdata}: %{z:.3g}<extra></extra>",
            hoverongaps=False,
            colorscale=theme.SEQUENTIAL_SCALE,
            zmin=scale.low,
            zmax=scale.high,
            xgap=1,
            ygap=1,
            colorbar={"title": {"text": "value"}, "thickness": 12, "len": 1.0, "outlinewidth": 0},
        )
    )
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x", constrain="domain")
    return theme.style_figure(figure, mode, height=min(70 + 28 * rows, 480))


def class_values_figure(values: np.ndarray, names: list[str], mode: theme.Mode) -> go.Figure:
    """Return one bar per class for the last layers, in class order, numbers as they are.

    Args:
        values: (8,) logits or shares.
        names: The classes.
    """
    labels = [f"{glyph} {name}" for glyph, name in zip(theme.CLASS_GLYPHS, names, strict=True)]
    figure = go.Figure(
        go.Bar(
            y=labels,
            x=values,
            orientation="h",
            marker={"color": list(theme.CLASS_COLORS)},
            text=[number_text(float(value)) for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.4g}<extra></extra>",
        )
    )
    span = float(values.max() - min(values.min(), 0)) or 1.0
    room = 0.24 * span if values.min() < 0 else 0.0  # for the numbers left of bars that go to the left
    figure.update_xaxes(range=[min(float(values.min()), 0) - room, max(float(values.max()), 0) + 0.2 * span])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return theme.style_figure(figure, mode, height=290)

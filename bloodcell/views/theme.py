"""Colours, marks and chart style. Plain data: nothing here imports Streamlit.

The colours come from the stain: violet nuclei, rose cytoplasm. Every colour has a form for the light ground and one
for the dark ground, because the violet of the one would vanish on the other. `.streamlit/config.toml` holds the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import plotly.graph_objects as go

Mode = Literal["light", "dark"]


@dataclass(frozen=True)
class Palette:
    """The colours of one ground, as hexadecimal strings."""

    ground: str
    panel: str
    text: str
    muted: str
    grid: str
    primary: str
    accent: str
    good: str
    bad: str


PALETTES: dict[str, Palette] = {
    "light": Palette(
        ground="#FBF8F4",
        panel="#F1ECE6",
        text="#150D20",
        muted="#6B6475",
        grid="#DDD6CE",
        primary="#4B2E83",
        accent="#B5557A",
        good="#1B7F5C",
        bad="#B3402A",
    ),
    "dark": Palette(
        ground="#17121F",
        panel="#241D30",
        text="#EFEAF5",
        muted="#A59DB3",
        grid="#3A3148",
        primary="#9D80E3",
        accent="#E08FB0",
        good="#4CC29A",
        bad="#F0876F",
    ),
}

# Okabe and Ito's eight in class order. Their black is the usual grey #999999 here: black is lost on the dark ground.
CLASS_COLORS: tuple[str, ...] = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
    "#999999",
)
# A mark beside the colour, so that no class is told by colour alone: Plotly's name and the same shape as a character.
CLASS_SYMBOLS: tuple[str, ...] = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "triangle-down",
    "cross",
    "star",
    "hexagon",
)
CLASS_GLYPHS: tuple[str, ...] = ("●", "■", "◆", "▲", "▼", "✚", "★", "⬢")

SEQUENTIAL_SCALE = "Cividis"
# Purple to orange through white; draw it centred on zero.
DIVERGING_SCALE = "PuOr"


@dataclass(frozen=True)
class FamilyStyle:
    """How one family of networks is drawn: colour on this ground, Plotly symbol, Vega shape, and the shape as text."""

    color: str
    symbol: str
    shape: str
    glyph: str


# Our own family in the primary colour; the study's in muted colours, one mark shape each.
_FAMILIES: dict[str, tuple[str, str, str, str, str]] = {
    "hemanet": (
        "#4B2E83",
        "#9D80E3",
        "star",
        "M0,-1L.24,-.32L.95,-.31L.38,.12L.59,.81L0,.4L-.59,.81L-.38,.12L-.95,-.31L-.24,-.32Z",
        "★",
    ),
    "cnn": ("#5C7A99", "#8FAECB", "circle", "circle", "●"),
    "resnet": ("#8A7350", "#C4AB82", "square", "square", "■"),
    "inception": ("#7A8450", "#B2BD82", "triangle-up", "triangle-up", "▲"),
    "vgg": ("#4F8080", "#86BABA", "diamond", "diamond", "◆"),
}
_OTHER_FAMILY = ("#6B6475", "#A59DB3", "cross", "cross", "✚")


def palette(mode: Mode) -> Palette:
    """Return the colours of the light or the dark ground."""
    return PALETTES[mode]


def class_color(index: int) -> str:
    """Return the colour of a class by its index in [0, 8)."""
    return CLASS_COLORS[index]


def family_style(family: str, mode: Mode) -> FamilyStyle:
    """Return colour and mark of a family; one that is not listed gets a grey cross."""
    light, dark, symbol, shape, glyph = _FAMILIES.get(family, _OTHER_FAMILY)
    return FamilyStyle(light if mode == "light" else dark, symbol, shape, glyph)


def legend_html(families: Mapping[str, str], mode: Mode, notes: Sequence[tuple[str, str]] = ()) -> str:
    """Return a legend as one line of HTML that wraps on narrow screens.

    Args:
        families: Key of each family and the name that a reader knows.
        mode: The ground it will stand on.
        notes: Further marks as (characters, what they mean), in the muted colour.
    """
    styles = {name: family_style(family, mode) for family, name in families.items()}
    entries = [(style.glyph, style.color, name) for name, style in styles.items()]
    entries += [(glyph, palette(mode).muted, meaning) for glyph, meaning in notes]
    spans = (
        f'<span style="white-space:nowrap"><span style="color:{color}" aria-hidden="true">{glyph}</span> {name}</span>'
        for glyph, color, name in entries
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:.1rem 1rem;font-size:.85rem">{"".join(spans)}</div>'


def style_figure(figure: "go.Figure", mode: Mode, height: int | None = None) -> "go.Figure":
    """Give a Plotly figure the project's look, in place, and return it: no own ground, quiet grid, small margins.

    Args:
        figure: Any Plotly figure.
        mode: The ground it will stand on.
        height: Pixels; None leaves the figure's own.
    """
    colors = palette(mode)
    figure.update_layout(
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": colors.text, "size": 13},
        margin={"l": 8, "r": 8, "t": 28 if figure.layout.title.text else 8, "b": 8},
        hoverlabel={"bgcolor": colors.panel, "bordercolor": colors.grid, "font": {"color": colors.text}},
        legend={"font": {"color": colors.text}},
    )
    for update_axes in (figure.update_xaxes, figure.update_yaxes):
        update_axes(
            gridcolor=colors.grid,
            linecolor=colors.grid,
            zerolinecolor=colors.grid,
            tickfont={"color": colors.muted},
            title_font={"color": colors.text},
            automargin=True,
        )
    if height is not None:
        figure.update_layout(height=height)
    return figure

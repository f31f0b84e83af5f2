"""Colours: the same in charts and in Streamlit's configuration, and strong enough to read."""

import tomllib
from pathlib import Path

import plotly.graph_objects as go
import pytest

from bloodcell.dataset import CLASS_NAMES
from bloodcell.models.catalog import FAMILIES
from bloodcell.views import theme

PROJECT = Path(__file__).resolve().parents[2]
MODES = ("light", "dark")


def luminance(color: str) -> float:
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """Contrast ratio as WCAG defines it."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", MODES)
def test_configuration_holds_the_same_colors(mode):
    configured = tomllib.loads((PROJECT / ".streamlit" / "config.toml").read_text())["theme"][mode]
    colors = theme.palette(mode)
    assert configured["backgroundColor"] == colors.ground
    assert configured["secondaryBackgroundColor"] == colors.panel
    assert configured["textColor"] == colors.text
    assert configured["primaryColor"] == colors.primary
    assert configured["borderColor"] == colors.grid


@pytest.mark.parametrize("mode", MODES)
def test_text_and_marks_can_be_read_on_their_ground(mode):
    colors = theme.palette(mode)
    for name in ("text", "muted", "primary"):
        assert contrast(getattr(colors, name), colors.ground) >= 4.5, name
    for name in ("accent", "good", "bad"):
        assert contrast(getattr(colors, name), colors.ground) >= 3, name
    for family in (*FAMILIES, "no such family"):
        assert contrast(theme.family_style(family, mode).color, colors.ground) >= 3, family


def test_every_family_and_class_has_a_mark_of_its_own():
    """Colour never carries meaning alone."""
    styles = [theme.family_style(family, "light") for family in FAMILIES]
    assert len({style.symbol for style in styles}) == len({style.glyph for style in styles}) == len(FAMILIES)
    for marks in (theme.CLASS_COLORS, theme.CLASS_SYMBOLS, theme.CLASS_GLYPHS):
        assert len(set(marks)) == len(marks) == len(CLASS_NAMES)


def test_our_family_is_drawn_in_the_primary_colour():
    for mode in MODES:
        assert theme.family_style("hemanet", mode).color == theme.palette(mode).primary


def test_style_leaves_the_ground_to_the_page_and_sets_the_height():
    figure = theme.style_figure(go.Figure(go.Scatter(x=[1], y=[1])), "dark", height=321)
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.height == 321
    assert figure.layout.font.color == theme.palette("dark").text


def test_legend_names_every_family_and_note():
    html = theme.legend_html({"vgg": "VGG", "cnn": "CNN"}, "light", (("○", "published"),))
    for part in ("◆", "VGG", "●", "CNN", "○", "published", theme.family_style("vgg", "light").color):
        assert part in html

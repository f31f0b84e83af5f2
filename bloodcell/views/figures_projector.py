"""Any figure with larger words, for a room that reads it from a projector. A figure in, a copy out."""

import copy
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    import altair as alt
    import plotly.graph_objects as go

FACTOR = 1.3
"""How much larger words are drawn on a projector."""
_ROOM = 1.15
"""How much taller a figure becomes, so that its words have room."""
_PLOTLY_DEFAULT, _VEGA_DEFAULT = 12, 12
_PLOTLY_FONTS = {"font", "tickfont", "textfont", "insidetextfont", "outsidetextfont", "title_font", "titlefont"}
_VEGA_SIZES = {"fontSize", "labelFontSize", "titleFontSize", "subtitleFontSize"}


Figure: TypeAlias = "go.Figure | alt.TopLevelMixin | dict[str, Any]"


def enlarge_words(figure: Figure) -> Figure:
    """Return a copy of a figure whose words are larger by `FACTOR`, with a little more height.

    Args:
        figure: Plotly, Altair, or Vega-Lite as a dictionary.
    """
    if isinstance(figure, dict):
        return _enlarge_vega(copy.deepcopy(figure))
    if type(figure).__module__.startswith("plotly"):
        return _enlarge_plotly(cast("go.Figure", figure))
    return _enlarge_altair(cast("alt.TopLevelMixin", figure))


def _enlarge_plotly(figure: "go.Figure") -> "go.Figure":
    import plotly.graph_objects as go

    content = figure.to_dict()
    content.get("layout", {}).pop("template", None)
    _scale_fonts(content)
    large = go.Figure(content)
    large.update_layout(template=figure.layout.template)
    if figure.layout.font.size is None:
        large.update_layout(font_size=round(_PLOTLY_DEFAULT * FACTOR))
    if figure.layout.height is not None:
        large.update_layout(height=round(figure.layout.height * _ROOM))
    return large


def _scale_fonts(content: Any) -> None:
    """Enlarge every font below a part of a Plotly figure, in place."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key in _PLOTLY_FONTS and isinstance(value, dict) and isinstance(value.get("size"), int | float):
                value["size"] = round(value["size"] * FACTOR)
            else:
                _scale_fonts(value)
    elif isinstance(content, list | tuple):
        for part in content:
            _scale_fonts(part)


def _enlarge_altair(chart: "alt.TopLevelMixin") -> "alt.TopLevelMixin":
    import altair as alt

    return cast("alt.TopLevelMixin", alt.Chart.from_dict(_enlarge_vega(chart.to_dict())))


def _enlarge_vega(content: dict[str, Any]) -> dict[str, Any]:
    """Enlarge the words of a Vega-Lite figure, in place, and return it; its data stay as they are."""
    datasets = content.pop("datasets", None)
    _scale_sizes(content)
    config = content.setdefault("config", {})
    for part, names in (
        ("axis", ("labelFontSize", "titleFontSize")),
        ("legend", ("labelFontSize", "titleFontSize")),
        ("header", ("labelFontSize", "titleFontSize")),
        ("title", ("fontSize",)),
        ("text", ("fontSize",)),
    ):
        config[part] = dict.fromkeys(names, round(_VEGA_DEFAULT * FACTOR)) | config.get(part, {})
    if datasets is not None:
        content["datasets"] = datasets
    return content


def _scale_sizes(content: Any) -> None:
    """Enlarge every stated size of words, and every stated height, below a part of a Vega-Lite figure, in place."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key in _VEGA_SIZES and isinstance(value, int | float):
                content[key] = round(value * FACTOR)
            elif key == "height" and isinstance(value, int | float):
                content[key] = round(value * _ROOM)
            else:
                _scale_sizes(value)
    elif isinstance(content, list):
        for part in content:
            _scale_sizes(part)

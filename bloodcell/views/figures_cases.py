"""The differential of a case, drawn."""

import plotly.graph_objects as go

from bloodcell.cases.differential import REFERENCE_PERCENT, Differential, ShareDifference
from bloodcell.dataset import CLASS_NAMES
from bloodcell.views.theme import CLASS_COLORS, Mode, palette, style_figure


def differential_figure(found: Differential, mode: Mode) -> go.Figure:
    """Return each type's percentage as a bar with its interval, over the adult range as a pale band.

    Args:
        found: The differential.
        mode: The ground that it will stand on.
    """
    colors = palette(mode)
    shares = list(reversed(found.shares))
    names = [f"<i>{share.name}</i>" if share.is_finer_opinion else share.name for share in shares]
    percents = [share.percent or 0.0 for share in shares]
    figure = go.Figure()
    ranged = [
        (name, REFERENCE_PERCENT[share.name])
        for name, share in zip(names, shares, strict=True)
        if share.name in REFERENCE_PERCENT
    ]
    figure.add_bar(
        y=[name for name, _ in ranged],
        x=[reference.high - reference.low for _, reference in ranged],
        base=[reference.low for _, reference in ranged],
        orientation="h",
        width=0.86,
        marker={"color": colors.grid},
        name="adult range",
        hovertemplate="%{y}: adults %{customdata} %<extra></extra>",
        customdata=[reference.text for _, reference in ranged],
    )
    figure.add_bar(
        y=names,
        x=percents,
        orientation="h",
        width=0.5,
        marker={
            "color": [_bar_color(share.name, colors.muted) for share in shares],
            "opacity": [0.5 if share.is_finer_opinion else 1.0 for share in shares],
            "line": {"color": colors.text, "width": 0.5},
        },
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [(share.high or 0.0) - p for share, p in zip(shares, percents, strict=True)],
            "arrayminus": [p - (share.low or 0.0) for share, p in zip(shares, percents, strict=True)],
            "color": colors.text,
            "thickness": 1.5,
            "width": 3,
        },
        name="this case, 95 % interval",
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
    )
    figure.update_layout(
        barmode="overlay",
        showlegend=False,
        yaxis={"categoryorder": "array", "categoryarray": names},
        xaxis={"range": [0, 100], "title": {"text": "% of white cells", "font": {"size": 12}}, "dtick": 25},
    )
    return style_figure(figure, mode, height=62 + 30 * len(shares))


def comparison_figure(differences: tuple[ShareDifference, ...], names: tuple[str, str], mode: Mode) -> go.Figure:
    """Return how the percentages of two cases differ, with 95 % intervals around each difference.

    Args:
        differences: As `compare_differentials` gives them.
        names: Identifiers of the first and the second case.
        mode: The ground that it will stand on.
    """
    colors = palette(mode)
    known = [one for one in reversed(differences) if one.difference is not None]
    values = [one.difference or 0.0 for one in known]
    figure = go.Figure(
        go.Scatter(
            y=[one.name for one in known],
            x=values,
            mode="markers",
            marker={
                "size": 11,
                "color": [colors.accent if one.is_clear else colors.muted for one in known],
                "symbol": ["diamond" if one.is_clear else "circle-open" for one in known],
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [(one.high or 0.0) - v for one, v in zip(known, values, strict=True)],
                "arrayminus": [v - (one.low or 0.0) for one, v in zip(known, values, strict=True)],
                "color": colors.muted,
            },
            hovertemplate="%{y}: %{x:+.1f} points<extra></extra>",
        )
    )
    figure.add_vline(x=0, line={"color": colors.text, "width": 1})
    figure.update_xaxes(title_text=f"points, {names[1]} less {names[0]}", zeroline=False)
    return style_figure(figure, mode, height=80 + 34 * max(len(known), 1))


def _bar_color(name: str, other: str) -> str:
    return CLASS_COLORS[CLASS_NAMES.index(name)] if name in CLASS_NAMES else other

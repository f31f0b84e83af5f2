"""What accuracy costs: scatter plots of accuracy against size and time, and F1 of models by class."""

from collections.abc import Collection, Sequence

import altair as alt
import pandas as pd
import plotly.graph_objects as go

from bloodcell.evaluation.comparison import pareto_front
from bloodcell.views.tables import family_name
from bloodcell.views.theme import SEQUENTIAL_SCALE, Mode, family_style, palette, style_figure

FAINT = 0.35
POINT_SIZE = 110


def scatter_points(table: pd.DataFrame, cost: str, published_cost: str | None, on: Collection[str]) -> pd.DataFrame:
    """Return one row per model that has this cost or its published twin, ready to draw and to read as a table.

    Args:
        table: The leaderboard.
        cost: Column of the measured cost, lower is better.
        published_cost: Column of the published cost that may stand on the same axis, or None.
        on: Names of the models that are on.

    Returns:
        Columns name, family, cost, accuracy, low, high (percent), published_cost, published_accuracy, front, on.
    """
    points = pd.DataFrame(
        {
            "name": table["name"],
            "family": table["family"].map(family_name),
            "cost": table[cost],
            "accuracy": 100 * table["test_accuracy"],
            "low": 100 * table["test_low"],
            "high": 100 * table["test_high"],
            "published_cost": table[published_cost] if published_cost else float("nan"),
            "published_accuracy": 100 * table["published_accuracy"],
            "front": pareto_front(table[cost], table["test_accuracy"]),
            "on": table["name"].isin(list(on)),
        }
    )
    return points[points["cost"].notna() | points["published_cost"].notna()].reset_index(drop=True)


def scatter_table(points: pd.DataFrame, title: str) -> pd.DataFrame:
    """Return the numbers of a scatter plot under a reader's headings; `title` names the cost and its unit."""
    return pd.DataFrame(
        {
            "Model": points["name"],
            "Family": points["family"],
            title: points["cost"].round(3),
            "Measured, %": points["accuracy"].round(2),
            "95 % from": points["low"].round(2),
            "to": points["high"].round(2),
            "Published cost": points["published_cost"].round(3),
            "Published, %": points["published_accuracy"].round(2),
            "On the Pareto front": points["front"],
        }
    ).sort_values(title, ignore_index=True)


def cost_chart(points: pd.DataFrame, title: str, families: Sequence[str], mode: Mode, *, height: int) -> alt.LayerChart:
    """Return accuracy against one cost on a log axis: measured filled, published hollow and tied to it, Pareto front.

    Models that are on are named and drawn full, the others are faint; pointing at one names it.

    Args:
        points: What `scatter_points` returns.
        title: Of the cost axis, with the unit.
        families: Families in the order of the legend, as keys of the catalog.
        mode: The ground it will stand on.
        height: Pixels of the plot.
    """
    return _cost_layers(points, title, families, mode, _pointed()).properties(height=height)


def linked_cost_charts(
    panels: Sequence[tuple[pd.DataFrame, str]], families: Sequence[str], mode: Mode, *, height: int
) -> alt.VConcatChart:
    """Return several cost charts below each other; pointing at a model in one highlights it in all.

    Args:
        panels: (points, axis title) of each, as for `cost_chart`.
        families: Families in the order of the legend, as keys of the catalog.
        mode: The ground they will stand on.
        height: Pixels of each plot.
    """
    pointed = _pointed()
    charts = [
        _cost_layers(points, title, families, mode, pointed).properties(height=height) for points, title in panels
    ]
    return alt.vconcat(*charts, spacing=18)


def f1_heat_map(f1_scores: pd.DataFrame, mode: Mode) -> go.Figure:
    """Return models × classes F1 as a heat map.

    Args:
        f1_scores: One row per model (index), one column per class; fractions.
        mode: The ground it will stand on.
    """
    figure = go.Figure(
        go.Heatmap(
            z=100 * f1_scores.to_numpy(),
            x=list(f1_scores.columns),
            y=list(f1_scores.index),
            colorscale=SEQUENTIAL_SCALE,
            texttemplate="%{z:.1f}",
            hovertemplate="%{y}: F1 of %{x} is %{z:.1f} %<extra></extra>",
            colorbar={"title": {"text": "F1 %"}, "thickness": 10, "outlinewidth": 0},
            xgap=2,
            ygap=2,
        )
    )
    figure.update_xaxes(side="top", showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return style_figure(figure, mode, height=110 + 30 * len(f1_scores))


def _pointed() -> alt.Parameter:
    return alt.selection_point(name="pointed", fields=["name"], on="pointerover", clear="pointerout", empty=False)


def _cost_layers(
    points: pd.DataFrame, title: str, families: Sequence[str], mode: Mode, pointed: alt.Parameter
) -> alt.LayerChart:
    colors = palette(mode)
    styles = [family_style(family, mode) for family in families]
    domain = [family_name(family) for family in families]
    legend = alt.Legend(title=None, orient="top", symbolSize=90)
    color = alt.Color("family:N", scale=alt.Scale(domain=domain, range=[s.color for s in styles]), legend=legend)
    shape = alt.Shape("family:N", scale=alt.Scale(domain=domain, range=[s.shape for s in styles]), legend=legend)
    lowest = pd.concat([points["low"].fillna(100), points["published_accuracy"].fillna(100)]).min()
    x = alt.X("cost:Q", title=title, scale=alt.Scale(type="log", nice=False, padding=24))
    y = alt.Y("accuracy:Q", title="Accuracy, %", scale=alt.Scale(domain=[min(lowest, 99) - 0.5, 100], nice=False))
    opacity = alt.when(pointed).then(alt.value(1)).when("datum.on").then(alt.value(1)).otherwise(alt.value(FAINT))
    tooltip = [
        alt.Tooltip("name:N", title="Model"),
        alt.Tooltip("accuracy:Q", title="Measured, %", format=".2f"),
        alt.Tooltip("cost:Q", title=title, format=".3~g"),
        alt.Tooltip("published_accuracy:Q", title="Published, %", format=".2f"),
        alt.Tooltip("published_cost:Q", title="Published cost", format=".3~g"),
    ]
    measured = alt.Chart(points[points["cost"].notna()]).encode(x=x, y=y)
    both = alt.Chart(points[points["published_cost"].notna() & points["published_accuracy"].notna()])
    published_x, published_y = alt.X("published_cost:Q"), alt.Y("published_accuracy:Q")
    front = points[points["front"]].sort_values("cost")
    layers = [
        alt.Chart(front)
        .mark_line(interpolate="step-after", color=colors.accent, strokeDash=[5, 3], strokeWidth=1.5)
        .encode(x=x, y=y),
        both.transform_filter("isValid(datum.cost)")
        .mark_rule(strokeWidth=1, color=colors.muted)
        .encode(x=x, y=y, x2="published_cost:Q", y2="published_accuracy:Q", opacity=opacity),
        both.mark_point(filled=False, size=POINT_SIZE * 0.7, strokeWidth=1.5).encode(
            x=published_x, y=published_y, color=color, shape=shape, opacity=opacity, tooltip=tooltip
        ),
        measured.mark_rule(strokeWidth=1, color=colors.muted).encode(y=alt.Y("low:Q"), y2="high:Q", opacity=opacity),
        measured.mark_point(filled=True)
        .encode(
            color=color,
            shape=shape,
            opacity=opacity,
            size=alt.when(pointed).then(alt.value(3 * POINT_SIZE)).otherwise(alt.value(POINT_SIZE)),
            tooltip=tooltip,
        )
        .add_params(pointed),
        measured.mark_text(align="left", dx=9, dy=-7, fontSize=11, color=colors.text).encode(
            text="name:N",
            opacity=alt.when(pointed).then(alt.value(1)).when("datum.on").then(alt.value(1)).otherwise(alt.value(0)),
        ),
    ]
    return alt.layer(*layers)

"""What accuracy costs: scatter plots of accuracy against size and time."""

import math
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal, cast

import altair as alt
import numpy as np
import pandas as pd

from bloodcell.evaluation.comparison import pareto_front
from bloodcell.views.tables import family_name
from bloodcell.views.theme import Mode, family_style, palette

FAINT = 0.35
POINT_SIZE = 110
FORM_SIZE = 32
MOST_LABELS = 8
# A letter, a line, and how far a name goes down to stand below its mark, as shares of a plot on a narrow screen.
LETTER, LINE, BELOW = 0.0155, 0.08, 0.09
_MEASURED = "isValid(datum.cost)"
_PUBLISHED = "isValid(datum.published_cost) && isValid(datum.published_accuracy)"


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
            "cost": table[cost].where(table["test_accuracy"].notna()),
            "accuracy": 100 * table["test_accuracy"],
            "low": 100 * table["test_low"],
            "high": 100 * table["test_high"],
            "published_cost": table[published_cost] if published_cost else float("nan"),
            "published_accuracy": 100 * table["published_accuracy"],
            "front": pareto_front(table[cost].to_numpy(), table["test_accuracy"].to_numpy()),
            "on": table["name"].isin(list(on)),
        }
    )
    return points[points["cost"].notna() | points["published_cost"].notna()].reset_index(drop=True)


def published_points(table: pd.DataFrame, cost: str, on: Collection[str]) -> pd.DataFrame:
    """Return the published figures alone, in the form of `scatter_points`: for a cost that cannot share our axis.

    Args:
        table: The leaderboard.
        cost: Column of the published cost.
        on: Names of the models that are on.
    """
    points = scatter_points(table.assign(unmeasured=float("nan")), "unmeasured", cost, on)
    return points[points["published_accuracy"].notna()].reset_index(drop=True)


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

    Models that are on are named and drawn full, the others are faint; pointing at one names it. The chart names its
    data, which `cost_data` returns: what is on is a matter of the data alone, and one chart serves every choice.

    Args:
        points: What `scatter_points` returns; the chart needs them for its axes.
        title: Of the cost axis, with the unit.
        families: Families in the order of the legend, as keys of the catalog.
        mode: The ground it will stand on.
        height: Pixels of the plot.
    """
    return _cost_layers(points, title, families, mode, _pointed(), pd.DataFrame(), 0).properties(height=height)


def linked_cost_charts(
    panels: Sequence[tuple[pd.DataFrame, str]],
    families: Sequence[str],
    mode: Mode,
    *,
    height: int,
    forms: Sequence[pd.DataFrame] = (),
) -> alt.VConcatChart:
    """Return several cost charts below each other; pointing at a model in one highlights it in all.

    Args:
        panels: (points, axis title) of each, as for `cost_chart`.
        families: Families in the order of the legend, as keys of the catalog.
        mode: The ground they will stand on.
        height: Pixels of each plot.
        forms: Of each panel, the exported forms that are drawn as smaller marks (`tables_forms.form_points`).
    """
    pointed = _pointed()
    charts = [
        _cost_layers(points, title, families, mode, pointed, own, place).properties(height=height)
        for place, ((points, title), own) in enumerate(zip(panels, _fill(forms, len(panels)), strict=True))
    ]
    with warnings.catch_warnings():  # that the panels share one parameter is what links them
        warnings.filterwarnings("ignore", "Automatically deduplicated selection parameter")
        return alt.vconcat(*charts, spacing=14)


def cost_data(panels: Sequence[pd.DataFrame], forms: Sequence[pd.DataFrame] = ()) -> dict[str, pd.DataFrame]:
    """Return the data of cost charts by the names that the charts give them.

    Args:
        panels: The points of each chart, in order.
        forms: The exported forms of each, as for `linked_cost_charts`.
    """
    data = {}
    for place, (points, own) in enumerate(zip(panels, _fill(forms, len(panels)), strict=True)):
        data[f"points{place}"] = _place_labels(points)
        if not own.empty:
            data[f"forms{place}"] = own
    return data


def _fill(forms: Sequence[pd.DataFrame], number: int) -> list[pd.DataFrame]:
    return [*forms, *[pd.DataFrame()] * (number - len(forms))]


def _pointed() -> alt.Parameter:
    return alt.selection_point(name="pointed", fields=["name"], on="pointerover", clear="pointerout", empty=False)


def _cost_layers(
    points: pd.DataFrame,
    title: str,
    families: Sequence[str],
    mode: Mode,
    pointed: alt.Parameter,
    forms: pd.DataFrame,
    place: int,
) -> alt.LayerChart:
    colors = palette(mode)
    x, y = _axes(points if forms.empty else pd.concat([points, forms[["cost", "low"]]]), title)
    styles = [family_style(family, mode) for family in families]
    domain = [family_name(family) for family in families]
    opacity = alt.when(pointed).then(alt.value(1)).when("datum.on").then(alt.value(1)).otherwise(alt.value(FAINT))
    marks: dict[str, Any] = {
        "color": alt.Color("family:N", scale=alt.Scale(domain=domain, range=[s.color for s in styles]), legend=None),
        "shape": alt.Shape("family:N", scale=alt.Scale(domain=domain, range=[s.shape for s in styles]), legend=None),
        "opacity": opacity,
        "tooltip": [
            alt.Tooltip("name:N", title="Model"),
            alt.Tooltip("accuracy:Q", title="Measured, %", format=".2f"),
            alt.Tooltip("cost:Q", title=title, format=".3~g"),
            alt.Tooltip("published_accuracy:Q", title="Published, %", format=".2f"),
            alt.Tooltip("published_cost:Q", title="Published cost", format=".3~g"),
        ],
    }
    data = alt.NamedData(f"points{place}")
    thin: dict[str, Any] = {"strokeWidth": 1, "color": colors.muted}
    layers: list[alt.Chart] = []
    has_published = points["published_cost"].notna() & points["published_accuracy"].notna()
    if has_published.any():
        published = alt.Chart(data).transform_filter(_PUBLISHED)
        hollow = published.mark_point(filled=False, size=POINT_SIZE * 0.7, strokeWidth=1.5)
        layers.append(hollow.encode(x=x("published_cost"), y=y("published_accuracy"), **marks))
        if points.loc[has_published, "cost"].notna().any():
            tied = alt.Chart(data).transform_filter(f"{_MEASURED} && {_PUBLISHED}")
            ends = {"x2": "published_cost:Q", "y2": "published_accuracy:Q"}
            layers.append(tied.mark_rule(**thin).encode(x=x("cost"), y=y("accuracy"), opacity=opacity, **ends))
    if not forms.empty:
        layers += _form_layers(alt.NamedData(f"forms{place}"), x, y, marks, colors.muted)
    if points["cost"].notna().any():
        base = alt.Chart(data).transform_filter(_MEASURED).encode(x=x("cost"), y=y("accuracy"))
        front = alt.Chart(data).transform_filter(f"{_MEASURED} && datum.front").encode(x=x("cost"), y=y("accuracy"))
        size = alt.when(pointed).then(alt.value(3 * POINT_SIZE)).otherwise(alt.value(POINT_SIZE))
        layers += [
            front.mark_line(interpolate="step-after", color=colors.accent, strokeDash=[5, 3], strokeWidth=1.5),
            base.mark_rule(**thin).encode(y=y("low"), y2="high:Q", opacity=opacity),
            base.mark_point(filled=True).encode(size=size, **marks),
        ]
    layers[-1] = layers[-1].add_params(pointed)
    return cast(alt.LayerChart, alt.layer(*layers, *_labels(data, x, y, colors.text, pointed)))


def _form_layers(
    data: alt.NamedData,
    x: Callable[[str], alt.X],
    y: Callable[[str], alt.Y],
    marks: dict[str, Any],
    color: str,
) -> list[alt.Chart]:
    """Return the exported forms as smaller marks, each tied to its model's own by a thin line."""
    tooltip = [
        alt.Tooltip("name:N", title="Model"),
        alt.Tooltip("precision:N", title="Exported form"),
        alt.Tooltip("accuracy:Q", title="Measured, %", format=".2f"),
        alt.Tooltip("cost:Q", title="Cost of this form", format=".3~g"),
    ]
    base = alt.Chart(data).encode(x=x("cost"), y=y("accuracy"), opacity=marks["opacity"])
    tied = base.transform_filter("isValid(datum.main_cost)")
    return [
        tied.mark_rule(strokeWidth=1, color=color, strokeDash=[1, 2]).encode(x2="main_cost:Q", y2="main_accuracy:Q"),
        base.mark_point(filled=True, size=FORM_SIZE).encode(**marks | {"tooltip": tooltip}),
    ]


def _axes(points: pd.DataFrame, title: str) -> tuple[Callable[[str], alt.X], Callable[[str], alt.Y]]:
    """Return makers of both axes for a column; the labels of accuracy stand inside, so that the plot has no margin."""
    left, right = _cost_range(points)
    x_scale = alt.Scale(type="log", domain=[left, right], nice=False)
    y_scale = alt.Scale(domain=_accuracy_range(points), nice=False)
    y_axis = alt.Axis(
        title=None,
        ticks=False,
        domain=False,
        labelAlign="left",
        labelBaseline="bottom",
        labelPadding=-2,
        labelExpr="datum.value <= 100 ? datum.label + ' %' : ''",
        tickCount=6,
    )
    x_axis = alt.Axis(format="~g", labelOverlap=True, values=_ticks(left, right))
    return (
        lambda column: alt.X(f"{column}:Q", title=title, scale=x_scale, axis=x_axis),
        lambda column: alt.Y(f"{column}:Q", scale=y_scale, axis=y_axis),
    )


def _accuracy_range(points: pd.DataFrame) -> list[float]:
    """Return the ends of the accuracy axis, %."""
    lowest = float(np.nanmin(points[["low", "published_accuracy"]].to_numpy()))
    return [min(lowest, 99) - 1, 100.6]


def _ticks(left: float, right: float) -> list[float]:
    """Return 1, 2, 5, 10 … within a log axis, or every digit where that would leave fewer than three."""
    for digits in ((1, 2, 5), range(1, 10), (1, *(tenth / 10 for tenth in range(11, 100)))):
        steps = [round(digit * 10.0**power, 6) for power in range(-4, 6) for digit in digits]
        ticks = [step for step in steps if left <= step <= right]
        if len(ticks) >= 3:
            break
    return ticks


def _cost_range(points: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of the cost axis: room for the labels of accuracy on the left, a little on the right."""
    costs = points[["cost", "published_cost"]].to_numpy()
    low, high = float(np.nanmin(costs)), float(np.nanmax(costs))
    span = max(math.log(high / low), 0.5)
    return low * math.exp(-0.12 * span), high * math.exp(0.05 * span)


def _place_labels(points: pd.DataFrame) -> pd.DataFrame:
    """Add `label` (named without being pointed at) and `side` of each name, so that few names cover each other."""
    named = points["on"] if points["on"].sum() <= MOST_LABELS else points["front"]
    left, right = _cost_range(points)
    costs = points["cost"].fillna(points["published_cost"])
    accuracies = points["accuracy"].where(points["cost"].notna(), points["published_accuracy"])
    across = [math.log(cost / left) / math.log(right / left) for cost in costs]
    lowest, highest = _accuracy_range(points)
    up = (accuracies / (highest - lowest)).tolist()
    taken: list[tuple[float, float, float]] = []
    sides = [""] * len(points)
    for row in np.argsort(-np.asarray(up)):
        wanted = ["left", "right"] if across[row] > 0.6 else ["right", "left"]
        wanted += [f"{side} below" for side in wanted]
        spans = {side: _span(side, across[row], up[row], str(points["name"].iloc[row])) for side in wanted}
        inside = [side for side in wanted if spans[side][0] >= 0 and spans[side][1] <= 1]
        free = [side for side in inside or wanted if not any(_covers(spans[side], other) for other in taken)]
        sides[row] = (free or wanted)[0] if named.iloc[row] else wanted[0]
        if named.iloc[row]:
            taken.append(spans[sides[row]])
    return points.assign(label=named, side=sides, label_cost=costs, label_accuracy=accuracies)


def _span(side: str, across: float, up: float, name: str) -> tuple[float, float, float]:
    """Return where a name begins and ends and how high it stands, as shares of a plot on a narrow screen."""
    width = LETTER * len(name)
    begin = across if side.startswith("right") else across - width
    return begin, begin + width, up - (BELOW if side.endswith("below") else 0)


def _covers(one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    """Whether two names would overlap."""
    return one[0] < other[1] and other[0] < one[1] and abs(one[2] - other[2]) < LINE


def _labels(
    data: alt.NamedData,
    x: Callable[[str], alt.X],
    y: Callable[[str], alt.Y],
    color: str,
    pointed: alt.Parameter,
) -> list[alt.Chart]:
    opacity = alt.when(pointed).then(alt.value(1)).when("datum.label").then(alt.value(1)).otherwise(alt.value(0))
    sides: tuple[tuple[str, Literal["left", "right"], int, int], ...] = (
        ("right", "left", 9, -7),
        ("left", "right", -9, -7),
        ("right below", "left", 9, 9),
        ("left below", "right", -9, 9),
    )
    return [
        alt.Chart(data)
        .transform_filter(f"datum.side == '{side}'")
        .mark_text(align=align, dx=dx, dy=dy, fontSize=11, color=color, clip=True)
        .encode(x=x("label_cost"), y=y("label_accuracy"), text="name:N", opacity=opacity)
        for side, align, dx, dy in sides
    ]

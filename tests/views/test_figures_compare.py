"""The cost charts as specifications: what is drawn, on which axes, and where the names stand."""

import numpy as np
import pandas as pd
import pytest

from bloodcell.views import figures_compare as figures
from bloodcell.views.figures_f1 import f1_heat_map
from bloodcell.views.theme import palette

TABLE = pd.DataFrame(
    {
        "name": ["a", "b", "c", "d"],
        "family": ["cnn", "cnn", "vgg", "hemanet"],
        "test_accuracy": [0.90, 0.95, 0.94, 0.99],
        "test_low": [0.89, 0.94, 0.93, 0.98],
        "test_high": [0.91, 0.96, 0.95, 0.995],
        "weights_mb": [0.5, 2.0, 20.0, 0.6],
        "latency_ms": [0.1, 0.3, np.nan, 0.4],
        "published_accuracy": [0.88, np.nan, 0.96, np.nan],
        "published_memory_mb": [0.51, np.nan, 22.0, np.nan],
        "published_step_time_ms": [6.0, np.nan, 21.0, np.nan],
    }
)
FAMILIES = ["hemanet", "cnn", "vgg"]


def points(on=("a",)):
    return figures.scatter_points(TABLE, "weights_mb", "published_memory_mb", on)


def layers(chart):
    """Return (mark type, encoding, condition on the data) of every layer; all of them read the first panel's data."""
    spec = chart.to_dict()
    assert spec.get("data", {"name": "points0"}) == {"name": "points0"}
    assert all(layer.get("data", {"name": "points0"}) == {"name": "points0"} for layer in spec["layer"])
    return [(layer["mark"]["type"], layer["encoding"], layer["transform"][0]["filter"]) for layer in spec["layer"]]


def test_points_hold_the_front_and_what_is_on():
    rows = points().set_index("name")
    assert rows["front"].to_dict() == {"a": True, "b": False, "c": False, "d": True}
    assert rows["on"].to_dict() == {"a": True, "b": False, "c": False, "d": False}
    assert rows.loc["a", "accuracy"] == pytest.approx(90)


def test_points_without_this_cost_are_left_out():
    timed = figures.scatter_points(TABLE, "latency_ms", None, ())
    assert timed["name"].tolist() == ["a", "b", "d"]
    assert timed["published_cost"].isna().all()


def test_published_times_stand_alone():
    """They never share an axis with measured ones."""
    alone = figures.published_points(TABLE, "published_step_time_ms", ())
    assert alone["name"].tolist() == ["a", "c"]
    assert alone["cost"].isna().all()
    drawn = layers(figures.cost_chart(alone, "published", FAMILIES, "light", height=100))
    assert [mark for mark, _, _ in drawn if mark in ("point", "rule", "line")] == ["point"]


def test_published_points_are_hollow_and_tied_to_the_measured_ones():
    chart = figures.cost_chart(points(), "MB", FAMILIES, "light", height=100)
    spec = chart.to_dict()["layer"]
    hollow = [layer for layer in spec if layer["mark"]["type"] == "point" and not layer["mark"]["filled"]]
    filled = [layer for layer in spec if layer["mark"]["type"] == "point" and layer["mark"]["filled"]]
    ties = [layer for layer in spec if layer["mark"]["type"] == "rule" and "x2" in layer["encoding"]]
    assert len(hollow) == len(filled) == len(ties) == 1
    assert hollow[0]["encoding"]["x"]["field"] == "published_cost"
    assert ties[0]["encoding"]["y2"]["field"] == "published_accuracy"


def test_cost_axis_is_logarithmic_and_every_mark_lies_on_it():
    chart = figures.cost_chart(points(), "MB", FAMILIES, "light", height=100)
    scales = [encoding["x"]["scale"] for _, encoding, _ in layers(chart)]
    assert all(scale["type"] == "log" for scale in scales)
    low, high = scales[0]["domain"]
    assert low < 0.5 and high > 22


def test_front_is_drawn_through_its_points_only():
    drawn = layers(figures.cost_chart(points(), "MB", FAMILIES, "dark", height=100))
    assert [condition for mark, _, condition in drawn if mark == "line"] == ["isValid(datum.cost) && datum.front"]
    (table,) = figures.cost_data([points()]).values()
    assert table.loc[table["front"], "name"].tolist() == ["a", "d"]


def test_what_is_on_is_a_matter_of_the_data_alone():
    few, many = points(("a",)), points(("a", "b", "d"))
    charts = [
        figures.cost_chart(one.drop(columns="on"), "MB", FAMILIES, "dark", height=100).to_dict() for one in (few, many)
    ]
    assert charts[0] == charts[1]
    assert [int(figures.cost_data([one])["points0"]["on"].sum()) for one in (few, many)] == [1, 3]


def test_linked_charts_share_what_is_pointed_at():
    timed = figures.scatter_points(TABLE, "latency_ms", None, ())
    spec = figures.linked_cost_charts([(points(), "MB"), (timed, "ms")], FAMILIES, "light", height=100).to_dict()
    assert len(spec["vconcat"]) == 2
    pointed = [param for param in spec["params"] if param["name"] == "pointed"]
    assert len(pointed) == 1
    for panel in spec["vconcat"]:
        assert {layer.get("name") for layer in panel["layer"]} & set(pointed[0]["views"])
    assert pointed[0]["select"]["fields"] == ["name"]


def test_few_names_are_written_and_many_only_along_the_front():
    assert figures._place_labels(points(on=("a", "b")))["label"].tolist() == [True, True, False, False]
    many = pd.concat([TABLE] * 3, ignore_index=True)
    many["name"] = [f"model_{index}" for index in range(len(many))]
    crowd = figures.scatter_points(many, "weights_mb", None, many["name"])
    placed = figures._place_labels(crowd)
    assert placed["on"].all()
    assert placed["label"].tolist() == crowd["front"].tolist()


def test_names_that_would_cover_each_other_take_two_sides():
    close = TABLE.assign(weights_mb=[1.0, 1.01, 20.0, 0.2], test_accuracy=[0.95, 0.951, 0.90, 0.99])
    placed = figures._place_labels(figures.scatter_points(close, "weights_mb", None, ("a", "b")))
    sides = placed.set_index("name")["side"]
    assert sides["a"] != sides["b"]


def test_long_names_on_two_sides_do_not_meet_in_the_middle():
    names = ["a_rather_long_name", "another_long_name", "c", "d"]
    near = TABLE.assign(name=names, latency_ms=[0.4, 0.3, 5.0, 0.1], test_accuracy=[0.988, 0.986, 0.977, 0.943])
    placed = figures._place_labels(figures.scatter_points(near, "latency_ms", None, names[:2])).set_index("name")
    spans = []
    left, right = figures._cost_range(placed.reset_index())
    lowest, highest = figures._accuracy_range(placed)
    for name in names[:2]:
        row = placed.loc[name]
        across = np.log(row["label_cost"] / left) / np.log(right / left)
        spans.append(figures._span(row["side"], across, row["label_accuracy"] / (highest - lowest), name))
    assert not figures._covers(*spans)
    assert len(set(placed["side"][:2])) == 2


@pytest.mark.parametrize(("left", "right"), [(0.1, 50), (0.12, 0.21), (0.9, 1.4)])
def test_a_log_axis_has_at_least_three_ticks(left, right):
    ticks = figures._ticks(left, right)
    assert len(ticks) >= 3
    assert all(left <= tick <= right for tick in ticks)


def test_table_twin_holds_the_same_numbers():
    twin = figures.scatter_table(points(), "MB")
    assert twin["MB"].is_monotonic_increasing
    row = twin.set_index("Model").loc["a"]
    assert (row["MB"], row["Measured, %"], row["Published, %"]) == (0.5, 90.0, 88.0)


def test_f1_heat_map_has_a_row_per_model_and_a_column_per_class():
    scores = pd.DataFrame([[0.9, 0.5], [1.0, 0.75]], index=["a", "b"], columns=["monocyte", "platelet"])
    figure = f1_heat_map(scores, "dark")
    heat = figure.data[0]
    np.testing.assert_allclose(heat.z, [[90, 50], [100, 75]])
    assert list(heat.y) == ["a", "b"] and list(heat.x) == ["monocyte", "platelet"]
    assert figure.layout.font.color == palette("dark").text

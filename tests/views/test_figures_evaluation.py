"""The evaluation's drawings: every number in them is one that came in, and cells can be pointed at."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.evaluation import reliability_curve, risk_coverage_curve
from bloodcell.views import figures_evaluation as figures
from bloodcell.views.theme import palette

NAMES = ("monocyte", "neutrophil", "platelet")
CODES = ("MO", "NEU", "PLT")
COUNTS = np.array([[8, 2, 0], [1, 18, 1], [0, 0, 5]])


def draw(counts=COUNTS, **options):
    return figures.confusion_matrix_figure(counts, NAMES, CODES, **{"normalize": "row", "mode": "light", **options})


def heat(figure: go.Figure) -> go.Heatmap:
    return next(trace for trace in figure.data if isinstance(trace, go.Heatmap))


def cells(figure: go.Figure) -> go.Scatter:
    return next(trace for trace in figure.data if trace.name == figures.CELL_TRACE)


@pytest.mark.parametrize(
    ("normalize", "expected"),
    [
        ("row", [["80.0", "20.0", ""], ["5.0", "90.0", "5.0"], ["", "", "100.0"]]),
        ("column", [["88.9", "10.0", ""], ["11.1", "90.0", "16.7"], ["", "", "83.3"]]),
        ("count", [["8", "2", ""], ["1", "18", "1"], ["", "", "5"]]),
    ],
)
def test_a_matrix_shows_shares_or_counts_and_leaves_empty_cells_blank(normalize, expected):
    assert [list(row) for row in heat(draw(normalize=normalize)).text] == expected


def test_errors_only_leaves_the_diagonal_blank_and_stretches_the_colours():
    whole, errors = heat(draw()), heat(draw(errors_only=True))
    assert [errors.text[i][i] for i in range(3)] == ["", "", ""]
    assert errors.text[0][1] == "20.0"
    assert np.isnan(np.diagonal(np.array(errors.z, dtype=float))).all()
    assert errors.zmax == pytest.approx(np.sqrt(0.2)) and whole.zmax == pytest.approx(1.0)


def test_matrices_side_by_side_can_share_the_strongest_colour():
    assert figures.highest_value(COUNTS, "row", errors_only=False) == 1
    assert figures.highest_value(COUNTS, "count", errors_only=False) == 18
    assert figures.highest_value(COUNTS, "row", errors_only=True) == pytest.approx(0.2)
    assert COUNTS[1, 1] == 18, "the counts that came in are untouched"
    assert heat(draw(errors_only=True, highest=0.5)).zmax == pytest.approx(np.sqrt(0.5))


def test_a_matrix_without_any_error_can_be_drawn_with_errors_only():
    figure = draw(np.diag([3, 4, 5]), errors_only=True)
    assert {text for row in heat(figure).text for text in row} == {""}


def test_a_share_that_rounds_to_nothing_is_not_shown_as_nothing():
    assert heat(draw(np.array([[5000, 1, 0], [0, 9, 0], [0, 0, 9]]))).text[0][1] == "<0.1"


def test_colour_grows_away_from_the_ground_in_both_modes():
    light, dark = (heat(draw(mode=mode)).colorscale for mode in ("light", "dark"))
    assert light[-1][1] == dark[0][1], "most in the light is what least is in the dark"
    for scale in (light, dark):
        positions = [stop[0] for stop in scale]
        assert positions == sorted(positions) and positions[0] == 0 and positions[-1] == pytest.approx(1)


def test_every_cell_has_a_square_that_reports_clicks_and_says_its_sentence():
    trace = cells(draw())
    assert len(trace.x) == 9 and trace.hoverinfo != "skip"
    place = next(k for k in range(9) if (trace.y[k], trace.x[k]) == (1, 0))
    assert trace.text[place].startswith("1 neutrophil called monocyte, 5.0 % of neutrophils")
    assert "9 cells of all types were called monocyte" in trace.text[place]
    assert heat(draw()).hoverinfo == "skip", "or the heat map would take the pointer from the squares"


def test_the_selected_cell_is_outlined():
    assert not draw().layout.shapes
    shape = draw(selected=(1, 2)).layout.shapes[0]
    assert (shape.x0, shape.x1, shape.y0, shape.y1) == (1.5, 2.5, 0.5, 1.5)


def test_the_first_class_is_at_the_top_and_columns_carry_short_names():
    large, small = (
        figures.confusion_matrix_figure(
            np.eye(8, dtype=int), CLASS_NAMES, CLASS_CODES, normalize="row", mode="dark", small=small
        )
        for small in (False, True)
    )
    for figure in (large, small):
        assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
        assert list(figure.layout.xaxis.ticktext) == list(CLASS_CODES)
    assert large.layout.yaxis.ticktext[3] == "immature<br>granulocyte <b>IG</b>"
    assert list(small.layout.yaxis.ticktext) == list(CLASS_CODES)


def test_a_difference_is_first_minus_second_centred_on_zero():
    second = np.array([[9, 1, 0], [1, 18, 1], [0, 1, 4]])
    figure = figures.difference_matrix_figure(
        COUNTS, second, NAMES, CODES, names=("ours", "theirs"), normalize="row", mode="light"
    )
    drawn = heat(figure)
    assert [list(row) for row in drawn.text] == [["−10.0", "+10.0", ""], ["", "", ""], ["", "−20.0", "+20.0"]]
    assert drawn.zmin == -drawn.zmax == pytest.approx(-np.sqrt(0.2))
    assert np.array(drawn.z)[0][1] == pytest.approx(np.sqrt(0.1))
    sentence = cells(figure).text[1]
    assert "Monocytes called neutrophil" in sentence
    assert "ours: 2 of 10 (20.0 %)" in sentence and "theirs: 1 of 10 (10.0 %)" in sentence


def test_two_equal_matrices_have_a_blank_difference():
    figure = figures.difference_matrix_figure(
        COUNTS, COUNTS, NAMES, CODES, names=("a", "b"), normalize="count", mode="dark", errors_only=True
    )
    assert {text for row in heat(figure).text for text in row} == {""}


def test_differences_of_counts_are_whole_images():
    figure = figures.difference_matrix_figure(
        COUNTS, COUNTS[::-1], NAMES, CODES, names=("a", "b"), normalize="count", mode="light"
    )
    assert heat(figure).text[0][0] == "+8" and heat(figure).text[2][0] == "−8"


def test_learning_curves_draw_both_measures_and_mark_the_kept_epoch():
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "loss": [1.0, 0.5, 0.3],
            "accuracy": [0.5, 0.7, 0.9],
            "val_loss": [1.1, 0.6, 0.7],
            "val_accuracy": [0.4, 0.8, 0.75],
        }
    )
    figure = figures.learning_curves_figure(history, 2, "light")
    named = {(trace.name, trace.yaxis): list(trace.y) for trace in figure.data}
    assert named["Training", "y"] == [1.0, 0.5, 0.3]
    assert named["Validation", "y2"] == pytest.approx([40, 80, 75])
    assert named["Kept epoch", "y"] == [0.6] and named["Kept epoch", "y2"] == pytest.approx([80])
    assert {shape.x0 for shape in figure.layout.shapes} == {2}
    dashes = {trace.name: trace.line.dash for trace in figure.data}
    assert dashes["Training"] != dashes["Validation"], "the two are told apart without colour"


def test_reliability_leaves_empty_bins_out_and_keeps_the_numbers():
    y_score = np.array([[0.9, 0.1], [0.95, 0.05], [0.4, 0.6], [0.7, 0.3]])
    curve = reliability_curve(np.array([0, 1, 1, 0]), y_score)
    figure = figures.reliability_figure(curve, "dark")
    measured = figure.data[1]
    filled = curve[curve["num_images"] > 0]
    np.testing.assert_allclose(measured.x, filled["confidence"] * 100)
    np.testing.assert_allclose(measured.y, filled["accuracy"] * 100)
    top = np.array(measured.y) + np.array(measured.error_y.array)
    np.testing.assert_allclose(top, filled["accuracy_high"] * 100)


def test_risk_is_drawn_against_coverage_in_percent():
    y_score = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
    curve = risk_coverage_curve(np.array([0, 0, 1, 1]), y_score)
    figure = figures.risk_coverage_figure(curve, "light")
    np.testing.assert_allclose(figure.data[0].x, [25, 50, 75, 100])
    np.testing.assert_allclose(figure.data[0].y, curve["risk"] * 100)


def test_layer_costs_are_two_bars_per_block_told_apart_by_hatching():
    costs = pd.DataFrame(
        {
            "block": ["block1", "head"],
            "parameters": [100, 300],
            "flops": [900, 100],
            "parameter_share": [0.25, 0.75],
            "flop_share": [0.9, 0.1],
        }
    )
    figure = figures.layer_costs_figure(costs, "light")
    bars = {bar.name: bar for bar in figure.data}
    assert list(bars["Parameters"].x) == [25, 75] and list(bars["FLOPs"].x) == [90, 10]
    assert bars["Parameters"].marker.pattern.shape != bars["FLOPs"].marker.pattern.shape


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_figures_take_the_text_colour_of_their_ground(mode):
    assert draw(mode=mode).layout.font.color == palette(mode).text

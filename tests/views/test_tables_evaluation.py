"""One model's numbers as tables, beside the published ones."""

import numpy as np
import pytest

from bloodcell.dataset import CLASS_NAMES
from bloodcell.evaluation import Evaluation
from bloodcell.models.catalog import CATALOG
from bloodcell.models.graphs import load_graphs
from bloodcell.views import tables_evaluation as tables


@pytest.fixture
def evaluation():
    """Four images per class; one neutrophil is called monocyte, two monocytes are called neutrophil."""
    y_true = np.repeat(np.arange(8), 4)
    y_pred = y_true.copy()
    y_pred[24], y_pred[20], y_pred[21] = 5, 6, 6
    y_score = np.full((32, 8), 0.02)
    y_score[np.arange(32), y_pred] = 0.86
    return Evaluation.from_predictions(y_true, y_score, CLASS_NAMES)


def test_the_report_gives_the_evaluations_numbers(evaluation):
    table = tables.report_table(evaluation).set_index("class")
    assert table.loc["monocyte", ["precision", "recall", "support"]].tolist() == [2 / 3, 0.5, 4]
    assert "published_recall" not in table


def test_the_published_report_stands_beside_and_the_difference_is_measured_minus_published(evaluation):
    published = tables.find_published_report("cnn_4")
    table = tables.report_table(evaluation, published).set_index("class")
    row = published.set_index("class_index").loc[5]
    assert table.loc["monocyte", "published_recall"] == row["recall"]
    assert table.loc["monocyte", "difference_recall"] == pytest.approx(0.5 - row["recall"])
    assert tables.find_published_report("hemanet") is None


def test_the_drawn_report_shows_both_lines_and_says_no_more_digits_than_were_published(evaluation):
    published = tables.find_published_report("cnn_4").copy()
    published["recall"] = 0.76
    html = tables.report_html(tables.report_table(evaluation, published), evaluation, "#4B2E83")
    assert "50.0 %</span><small>76 % (−26)</small>" in html
    assert "100.0 %</span><small>76 % (+24)</small>" in html
    assert html.count('scope="row"') == 10 and "Weighted by images" in html


def test_bars_of_a_report_never_leave_their_cell(evaluation):
    table = tables.report_table(evaluation)
    html = tables.report_html(table, evaluation, "#4B2E83")
    widths = [float(part.split("%")[0]) for part in html.split("background-size:")[1:]]
    assert len(widths) == 24 and min(widths) >= 0 and max(widths) == 100


def test_the_summary_has_published_figures_where_there_are_any(evaluation):
    summary = tables.find_published_summary("cnn_4")
    assert summary["accuracy"] == 0.8878 and tables.find_published_summary("hemanet") == {}
    assert "memory_mb" not in tables.find_published_summary("cnn_2")


def test_weak_spots_name_the_weakest_class_and_the_largest_confusion(evaluation):
    spots = tables.find_weak_spots(evaluation, num_pairs=1)
    assert spots[0].startswith("Weakest class: monocyte, F1 57.1 %")
    assert spots[1] == "2 monocytes called neutrophil, 50.0 % of them and 66.7 % of all errors."


def test_a_faultless_model_has_no_confused_pair():
    perfect = Evaluation.from_predictions(np.arange(8), np.eye(8), CLASS_NAMES)
    assert tables.find_weak_spots(perfect)[1] == "No image of this split was answered wrongly."


@pytest.mark.parametrize("name", CATALOG)
def test_layers_and_blocks_sum_to_the_whole_network(name):
    graph = load_graphs()[name]
    layers = tables.layers_table(graph)
    assert len(layers) == len(graph["layers"])
    assert layers["parameters"].sum() == graph["parameters"] and layers["flops"].sum() == graph["flops"]
    blocks = tables.block_costs(layers)
    assert blocks["parameter_share"].sum() == pytest.approx(1) and blocks["flop_share"].sum() == pytest.approx(1)
    assert blocks["block"].is_unique


def test_a_shape_is_written_without_the_batch():
    assert tables.describe_shape([None, 32, 32, 16]) == "32 × 32 × 16"
    assert tables.describe_shape([1024]) == "1,024"
    assert tables.describe_shape((64, 64, 3)) == "64 × 64 × 3"

"""The committed layers of the design space equal the built networks, and stand for every combination."""

import subprocess
import sys

import pytest

from bloodcell.models import CATALOG, build_model
from bloodcell.models.catalog import name_of
from bloodcell.models.combinations import ATTENTIONS, DEPTHS, Combination, all_combinations, parse_combination
from bloodcell.models.graphs import (
    COMBINATIONS_PATH,
    describe_model,
    format_packed,
    graph_name,
    load_combination_graphs,
    load_graphs,
    pack_graphs,
    unpack_graphs,
)


@pytest.fixture(scope="module")
def graphs():
    return load_combination_graphs()


def test_every_combination_has_a_graph(graphs):
    names = {graph_name(combination) for combination in all_combinations()}
    assert names == set(graphs)
    assert len(graphs) == 3 * 2 * 2 * 3 * 2


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_committed_graphs_equal_the_built_networks(graphs, depth, attention):
    for name, graph in graphs.items():
        combination = parse_combination(name)
        if (combination.depth, combination.attention) == (depth, attention):
            assert graph == describe_model(build_model(name)), "run `python -m bloodcell.models.graphs` and commit"


def test_strengths_of_penalty_and_dropout_change_no_layer(graphs):
    strong = Combination(3, True, 0.5, 1e-2, "se", True)
    assert graph_name(strong) == "net3_bn_dropout40_se_residual"
    assert describe_model(build_model(strong.name)) == graphs[graph_name(strong)]


def test_rows_of_the_catalog_have_the_same_layers_in_both_files(graphs):
    shared = {name_of(one): one for one in all_combinations() if name_of(one) in CATALOG}
    assert {"cnn_bn", "cnn_bn_dropout40", "cnn_bn_l2_1e-3", "cnn_residual"} <= set(shared)
    for name, combination in shared.items():
        assert load_graphs()[name] == graphs[graph_name(combination)]


def test_committed_file_is_as_written_and_unpacks_to_itself(graphs):
    assert COMBINATIONS_PATH.read_text(encoding="utf-8") == format_packed(pack_graphs(graphs))
    assert unpack_graphs(pack_graphs(graphs)) == graphs


def test_reading_needs_no_keras():
    code = (
        "import sys; from bloodcell.models.graphs import load_combination_graphs;"
        "assert load_combination_graphs(); print(sorted({'keras', 'tensorflow', 'jax'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

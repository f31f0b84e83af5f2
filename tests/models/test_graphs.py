"""The committed layers equal the built networks, and their arithmetic is right by hand."""

import subprocess
import sys

import pytest

from bloodcell.models.catalog import graph_names
from bloodcell.models.graphs import GRAPHS_PATH, describe_model, find_graph, format_graphs, load_graphs


@pytest.mark.parametrize("name", graph_names())
def test_committed_graph_equals_the_built_network(name, built):
    assert load_graphs()[name] == describe_model(built(name)), "run `python -m bloodcell.models.graphs` and commit"


def test_committed_file_is_as_written():
    graphs = load_graphs()
    assert list(graphs) == graph_names()
    assert GRAPHS_PATH.read_text(encoding="utf-8") == format_graphs(graphs)


def test_the_graph_of_another_training_or_head_is_found():
    assert find_graph("cnn_bn.sgd") == load_graphs()["cnn_bn"]
    with_head, without = find_graph("hemanet_nano.eleven.s1"), find_graph("hemanet_nano.eight")
    assert with_head["parameters"] - without["parameters"] == 5 * 24
    assert find_graph("no such network") is None


def test_layers_add_up_to_the_totals():
    for graph in load_graphs().values():
        assert sum(layer["parameters"] for layer in graph["layers"]) == graph["parameters"]
        assert sum(layer["flops"] for layer in graph["layers"]) == graph["flops"]


@pytest.mark.parametrize(
    ("name", "mega_flops"), [("cnn_4", 19), ("vgg16", 634), ("resnet18", 296)], ids=lambda value: str(value)
)
def test_arithmetic_agrees_with_an_independent_count(name, mega_flops):
    """Counts of convolutions and dense layers made elsewhere; ours also has biases, activations and pools."""
    assert load_graphs()[name]["flops"] / 1e6 == pytest.approx(mega_flops, rel=0.02)


def test_arithmetic_of_cnn_2_by_hand():
    flops = {layer["name"]: layer["flops"] for layer in load_graphs()["cnn_2"]["layers"]}
    assert flops == {
        "image": 0,
        "block1_conv": 62 * 62 * 16 * (2 * 27 + 1),  # 3x3 places of 3 channels, a multiply-add as two, and a bias
        "block1_conv_relu": 62 * 62 * 16,
        "block1_pool": 31 * 31 * 16 * 4,
        "block2_conv": 29 * 29 * 32 * (2 * 144 + 1),
        "block2_conv_relu": 29 * 29 * 32,
        "block2_pool": 14 * 14 * 32 * 4,
        "head_flatten": 0,
        "head_dense": 64 * (2 * 6272 + 1),
        "head_dense_relu": 64,
        "logits": 8 * (2 * 64 + 1),
        "predictions": 8,
    }


def test_arithmetic_of_every_other_kind_by_hand():
    import keras
    from keras import layers

    image = keras.Input((8, 8, 4), name="image")
    x = layers.SeparableConv2D(6, 3, padding="same", use_bias=False, name="a_separable")(image)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="a_depthwise")(x)
    y = layers.BatchNormalization(name="a_bn")(y)
    x = layers.Add(name="b_add")([x, y])
    grouped = layers.Conv2D(6, 3, strides=2, padding="same", groups=2, name="b_grouped")(x)
    x = layers.Multiply(name="b_scale")([grouped, layers.GlobalMaxPooling2D(keepdims=True, name="b_max")(grouped)])
    x = layers.GlobalAveragePooling2D(name="head_pool")(layers.AveragePooling2D(2, name="b_pool")(x))
    graph = describe_model(keras.Model(image, x))
    assert {layer["name"]: layer["flops"] for layer in graph["layers"]} == {
        "image": 0,
        "a_separable": 2 * (64 * 4 * 9 + 64 * 4 * 6),
        "a_depthwise": 2 * 64 * 6 * 9 + 64 * 6 + 64 * 6,
        "a_bn": 2 * 64 * 6,
        "b_add": 64 * 6,
        "b_grouped": 2 * 16 * 6 * 9 * 3 + 16 * 6,
        "b_max": 16 * 6,
        "b_scale": 16 * 6,
        "b_pool": 4 * 6 * 4,
        "head_pool": 4 * 6,
    }
    assert [layer["block"] for layer in graph["layers"]] == ["input", "a", "a", "a", "b", "b", "b", "b", "b", "head"]
    assert graph["parameters"] == 60 + 60 + 24 + 168
    assert graph["trainable_parameters"] == graph["parameters"] - 12


def test_layer_without_a_rule_is_refused():
    import keras
    from keras import layers

    image = keras.Input((8, 8, 4), name="image")
    model = keras.Model(image, layers.UpSampling2D(name="head_up")(image))
    with pytest.raises(ValueError, match=r"'head_up', of kind UpSampling2D"):
        describe_model(model)


def test_catalog_and_graphs_need_no_keras():
    code = (
        "import sys; from bloodcell.models import differences; from bloodcell.models.catalog import graph_names;"
        "from bloodcell.models.graphs import load_graphs;"
        "assert set(load_graphs()) == set(graph_names()); differences('cnn_4', 'vgg16');"
        "print(sorted({'keras', 'tensorflow', 'jax'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

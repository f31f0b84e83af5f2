"""The layers of every network as data: shapes, parameters and arithmetic, readable without Keras.

`graphs.json` and, for the CNN family's design space, `combinations.json` beside this file are written by
`python -m bloodcell.models.graphs` after any change to a network; tests hold both equal to the networks that are built.

FLOPs are those of one image at inference, a multiply-add counted as two:

- convolution and dense layer: two per kernel element and place, and one per output for a bias;
- batch normalization: two per element (a scale and a shift);
- activation, whatever its formula: one per element;
- pooling: one per element of each window; global pooling: one per input element;
- sum and product of images: one per output element for each image after the first;
- input, dropout, padding, reshaping and stacking: none.
"""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloodcell.files import write_atomically
from bloodcell.models.catalog import graph_names, graph_of
from bloodcell.models.combinations import Combination, all_combinations, parse_combination

if TYPE_CHECKING:
    import keras

GRAPHS_PATH = Path(__file__).with_name("graphs.json")
COMBINATIONS_PATH = Path(__file__).with_name("combinations.json")
_LAYER_KEYS = ("name", "type", "output_shape", "parameters", "flops", "block")

_FREE = {"InputLayer", "Dropout", "Flatten", "Reshape", "Concatenate", "ZeroPadding2D"}
_ONE_PER_OUTPUT = {"Activation", "ReLU", "Softmax"}
_WINDOWED = {"MaxPooling2D", "AveragePooling2D"}
_GLOBAL = {"GlobalAveragePooling2D", "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalMaxPooling1D"}
_ELEMENTWISE = {"Add", "Multiply", "Subtract", "Average", "Maximum"}
_BLOCK_OF_ENDS = {"image": "input", "logits": "head", "predictions": "head", "subtypes": "head"}


def describe_model(model: "keras.Model") -> dict[str, Any]:
    """Return a model's size and arithmetic, in total and layer by layer.

    Args:
        model: Functional model of standard layers, for images of a fixed size.

    Returns:
        "parameters", "trainable_parameters" and "flops" (per image) of the model, and "layers" in graph order, each
        with "name", "type" (the Keras class), "output_shape" (without the batch), "parameters", "flops" and "block"
        (the text before the first underscore of the name).

    Raises:
        ValueError: A layer's kind has no counting rule here.
    """
    layers = [
        {
            "name": layer.name,
            "type": type(layer).__name__,
            "output_shape": list(layer.output.shape[1:]),
            "parameters": int(layer.count_params()),
            "flops": count_flops(layer),
            "block": _BLOCK_OF_ENDS.get(layer.name, layer.name.partition("_")[0]),
        }
        for layer in model.layers
    ]
    return {
        "parameters": int(model.count_params()),
        "trainable_parameters": sum(math.prod(variable.shape) for variable in model.trainable_weights),
        "flops": sum(layer["flops"] for layer in layers),
        "layers": layers,
    }


def count_flops(layer: "keras.Layer") -> int:
    """Return the floating-point operations of one layer for one image at inference, a multiply-add as two.

    Raises:
        ValueError: The layer's kind has no counting rule here.
    """
    kind = type(layer).__name__
    if kind in _FREE:
        return 0
    shape_out = layer.output.shape[1:]
    num_out = math.prod(shape_out)
    inputs = layer.input if isinstance(layer.input, list) else [layer.input]
    shape_in = inputs[0].shape[1:]
    if kind in _ONE_PER_OUTPUT:
        return num_out
    if kind in _WINDOWED:
        return num_out * math.prod(layer.pool_size)
    if kind in _GLOBAL:
        return math.prod(shape_in)
    if kind in _ELEMENTWISE:
        return num_out * (len(inputs) - 1)
    if kind == "BatchNormalization":
        return 2 * num_out
    return _count_kernel_flops(layer, kind, shape_in, shape_out)


def _count_kernel_flops(layer: "keras.Layer", kind: str, shape_in: tuple[int, ...], shape_out: tuple[int, ...]) -> int:
    """Return the operations of a layer with kernels, its bias and its built-in activation."""
    num_out = math.prod(shape_out)
    if kind == "Dense":
        products = num_out * shape_in[-1]
    else:
        places = math.prod(shape_out[:-1])
        window = math.prod(layer.kernel_size) if hasattr(layer, "kernel_size") else 0
        if kind == "Conv2D":
            products = num_out * window * (shape_in[-1] // layer.groups)
        elif kind == "DepthwiseConv2D":
            products = num_out * window
        elif kind == "SeparableConv2D":
            channels_between = shape_in[-1] * layer.depth_multiplier
            products = places * channels_between * (window + shape_out[-1])
        else:
            raise ValueError(
                f"No rule counts the operations of layer {layer.name!r}, of kind {kind}. "
                "Add one to bloodcell/models/graphs.py."
            )
    has_activation = layer.get_config()["activation"] != "linear"
    return 2 * products + num_out * (bool(layer.use_bias) + has_activation)


def load_graphs() -> dict[str, dict[str, Any]]:
    """Return what `describe_model` says of every graph of `graph_names`, 64 x 64 pixels and 8 classes; one file."""
    return json.loads(GRAPHS_PATH.read_text(encoding="utf-8"))


def find_graph(name: str) -> dict[str, Any] | None:
    """Return what `describe_model` says of the graph of a model, an artifact or a combination; None if not listed."""
    graph = graph_of(name)
    combination = parse_combination(graph)
    if combination is not None:
        return load_combination_graphs()[graph_name(combination)]
    return load_graphs().get(graph)


def format_graphs(graphs: dict[str, dict[str, Any]]) -> str:
    """Return the graphs as JSON text with one layer per line, so that a change of one layer changes one line."""
    networks = []
    for name, graph in graphs.items():
        totals = {key: value for key, value in graph.items() if key != "layers"}
        layers = ",\n".join(f"  {json.dumps(layer)}" for layer in graph["layers"])
        networks.append(f' {json.dumps(name)}: {json.dumps(totals)[:-1]}, "layers": [\n{layers}\n ]}}')
    return "{\n" + ",\n".join(networks) + "\n}\n"


def graph_name(combination: Combination) -> str:
    """Return the combination that stands for all with the same layers: no strength of L2 or dropout changes them."""
    return replace(combination, l2=0.0, dropout=0.4 if combination.dropout else 0.0).name


def load_combination_graphs() -> dict[str, dict[str, Any]]:
    """Return what `describe_model` says of every graph of the design space, by `graph_name`; reads one file."""
    return unpack_graphs(json.loads(COMBINATIONS_PATH.read_text(encoding="utf-8")))


def pack_graphs(graphs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return graphs that share most of their layers with each layer written once.

    Returns:
        "layers", each as a list in the order of `describe_model`'s keys, and "networks": name -> the number of
        trainable parameters, then the places of its layers in that list.
    """
    rows: dict[str, int] = {}
    networks = {
        name: [
            graph["trainable_parameters"],
            *(rows.setdefault(json.dumps([layer[key] for key in _LAYER_KEYS]), len(rows)) for layer in graph["layers"]),
        ]
        for name, graph in graphs.items()
    }
    return {"layers": [json.loads(row) for row in rows], "networks": networks}


def unpack_graphs(packed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the graphs that `pack_graphs` packed."""
    graphs = {}
    for name, (trainable, *places) in packed["networks"].items():
        layers = [dict(zip(_LAYER_KEYS, packed["layers"][place], strict=True)) for place in places]
        graphs[name] = {
            "parameters": sum(layer["parameters"] for layer in layers),
            "trainable_parameters": trainable,
            "flops": sum(layer["flops"] for layer in layers),
            "layers": layers,
        }
    return graphs


def format_packed(packed: dict[str, Any]) -> str:
    """Return packed graphs as JSON text with one layer, or one network, per line."""
    layers = ",\n".join(f"  {json.dumps(layer)}" for layer in packed["layers"])
    networks = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in packed["networks"].items())
    return f'{{\n "layers": [\n{layers}\n ],\n "networks": {{\n{networks}\n }}\n}}\n'


def write_graphs() -> None:
    """Build every graph of `graph_names` and every graph of the design space, and write both files."""
    from bloodcell.models import build_model

    graphs = {name: describe_model(build_model(name)) for name in graph_names()}
    write_atomically(GRAPHS_PATH, format_graphs(graphs).encode())
    names = dict.fromkeys(graph_name(combination) for combination in all_combinations())
    combinations = {name: describe_model(build_model(name)) for name in names}
    write_atomically(COMBINATIONS_PATH, format_packed(pack_graphs(combinations)).encode())


if __name__ == "__main__":
    write_graphs()

"""What each kind of layer does, in a sentence for someone who has never met one. Plain text: no Streamlit here."""

from collections.abc import Mapping, Sequence
from typing import Any

KINDS: dict[str, str] = {
    "InputLayer": "input image",
    "Conv2D": "convolution",
    "SeparableConv2D": "separable convolution",
    "BatchNormalization": "batch normalization",
    "Activation": "activation",
    "MaxPooling2D": "maximum of small windows",
    "AveragePooling2D": "mean of small windows",
    "GlobalAveragePooling2D": "mean over all places",
    "GlobalMaxPooling2D": "maximum over all places",
    "GlobalAveragePooling1D": "mean over all channels",
    "GlobalMaxPooling1D": "maximum over all channels",
    "Concatenate": "stack",
    "Add": "sum",
    "Multiply": "product",
    "Dense": "dense layer",
    "Dropout": "dropout",
    "Flatten": "list of numbers",
    "Reshape": "another shape",
    "ZeroPadding2D": "border of zeros",
}
_SENTENCES: dict[str, str] = {
    "InputLayer": "The image as the network gets it: red, green and blue of every pixel, divided by 255.",
    "SeparableConv2D": "A convolution in two steps: one filter for each channel by itself, then a mixture of the "
    "channels at each place. It needs fewer weights than a full one.",
    "MaxPooling2D": "Keeps the largest value of each small window: the maps get smaller, and a pattern that moves by "
    "a pixel still counts.",
    "AveragePooling2D": "Replaces each small window by its mean.",
    "GlobalAveragePooling2D": "The mean of each map: one number per channel. How much of a pattern there is remains, "
    "where it is does not.",
    "GlobalMaxPooling2D": "The largest value of each map: one number per channel.",
    "GlobalAveragePooling1D": "The mean of all channels at each place: one number per place, row by row.",
    "GlobalMaxPooling1D": "The largest of all channels at each place: one number per place, row by row.",
    "Concatenate": "Lays what it gets from several layers side by side, as further channels.",
    "Flatten": "Writes all maps into one list of numbers, which a dense layer can read; where each number lies is "
    "fixed from here on.",
    "Reshape": "The same numbers in another arrangement.",
    "ZeroPadding2D": "Adds a border of zeros, so that filters can look at the edge.",
    "Dropout": "In training it silences a random share of the numbers, so that no unit is relied upon alone. When the "
    "network answers it rests: what you see is what the layer before gave.",
}
_ACTIVATIONS: dict[str, str] = {
    "relu": "Sets everything below zero to zero (ReLU): what speaks against a pattern counts no more than its absence.",
    "silu": "Lets large values pass and fades what lies below zero (SiLU); a little stays below zero.",
    "softmax": "Turns the eight numbers into shares that sum to 1. The dashboard's probabilities divide the numbers "
    "by the model's temperature first, so they can differ from these.",
}
FOLDED = (
    "In the stored weights the scale of a batch normalization is already part of the kernel before it, so that "
    "rounding happens once: here only one shift per channel is left. The network's answers are the same."
)
NUM_COLOURS = 3


def name_kind(layer: Mapping[str, Any], kernel: Sequence[int] | None = None) -> str:
    """Return the kind of a layer in a few words, such as "convolution, 3 × 3" or "activation, ReLU".

    Args:
        layer: One layer of a graph, as `models.graphs.describe_model` gives it.
        kernel: Shape of its kernel, None where it has none or it is not known.
    """
    kind = KINDS.get(layer["type"], layer["type"])
    if layer["type"] in ("Conv2D", "SeparableConv2D") and kernel and len(kernel) == 4:
        return f"{kind}, {kernel[0]} × {kernel[1]}"
    if layer["type"] == "Activation":
        return f"{kind}, {_activation(layer)}"
    return kind


def describe_layer(
    layer: Mapping[str, Any], kernel: Sequence[int] | None = None, follower: Mapping[str, Any] | None = None
) -> str:
    """Return in one to three sentences what a layer does.

    Args:
        layer: One layer of a graph.
        kernel: Shape of its kernel, None where it has none or it is not known.
        follower: The next layer of the graph, which decides whether a normalization is folded into this one's kernel.
    """
    name, kind = layer["name"], layer["type"]
    if kind == "Conv2D":
        text = _describe_convolution(layer, kernel)
        return f"{text} {FOLDED}" if follower is not None and follower["type"] == "BatchNormalization" else text
    if kind == "BatchNormalization":
        return (
            f"In training it brings each channel to mean 0 and spread 1 and then to a learned mean and spread. {FOLDED}"
        )
    if kind == "Activation":
        return _ACTIVATIONS.get(_suffix(layer), "Bends each value by a fixed curve.")
    if kind == "Dense":
        if name == "logits":
            return (
                "One number per class, a weighted sum of everything before: the largest is the answer. Only the "
                "differences between them count: softmax gives the same if all are shifted together."
            )
        if name == "subtypes":
            return (
                "One number per finer type inside two classes, a weighted sum of everything before: softmax over those "
                "of a class gives their shares in it."
            )
        units = layer["output_shape"][-1]
        return f"{units} units, each a weighted sum of everything before, with weights of its own."
    if kind == "Add":
        return (
            "Adds the block's result to what came in (a residual connection): the block only has to learn what to "
            "change."
        )
    if kind == "Multiply":
        by_place = "_place_" in name
        return (
            f"Attention at work: every {'place' if by_place else 'channel'} is multiplied by its gate. Compare with "
            "the layer that it scales."
        )
    return _SENTENCES.get(kind, f"A layer of kind {kind}.")


def _describe_convolution(layer: Mapping[str, Any], kernel: Sequence[int] | None) -> str:
    name, shape = layer["name"], layer["output_shape"]
    if name.endswith("_reduce"):
        return "The bottleneck of the attention: all channels' summaries, weighed into a few numbers."
    if name.endswith("_excite"):
        return "The attention's gate: one number between 0 and 1 per channel, how far it is let through."
    if name.endswith("_place_gate"):
        return "The attention's second gate: one number between 0 and 1 per place, how far it is let through."
    if not kernel or len(kernel) != 4:
        return f"{shape[-1]} filters slide over the image; each makes one map, large where its pattern is."
    height, width, channels_in, filters = kernel
    if (height, width) == (1, 1):
        return (
            f"{filters} mixtures of the {channels_in} channels, the same at every place; neighbours are not looked at."
        )
    source = "red, green and blue" if channels_in == NUM_COLOURS else f"{channels_in} channels"
    return (
        f"{filters} filters of {height} × {width} places slide over {source}; each makes one map, large where its "
        "pattern is and below zero where the opposite is."
    )


def _suffix(layer: Mapping[str, Any]) -> str:
    name = layer["name"]
    return "softmax" if name == "predictions" else name.rpartition("_")[2]


def _activation(layer: Mapping[str, Any]) -> str:
    suffix = _suffix(layer)
    return {"relu": "ReLU", "silu": "SiLU"}.get(suffix, suffix)

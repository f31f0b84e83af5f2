"""Tables of what is inside a network: its blocks with shapes and costs, a layer's channels, a filter's weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bloodcell.views.tables_evaluation import describe_shape

COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class Block:
    """One block of a network.

    Attributes:
        name: As the layers' names begin.
        layers: Its layers in graph order, as `models.graphs.describe_model` gives them.
        parameters, flops: Sums over them.
        flop_share: Part of the whole network's FLOPs, in [0, 1].
    """

    name: str
    layers: tuple[Mapping[str, Any], ...]
    parameters: int
    flops: int
    flop_share: float

    @property
    def output(self) -> str:
        """Shape of what leaves the block, such as "32 × 32 × 16"."""
        return output_text(_main_layer(self.layers))


def _main_layer(layers: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the layer that a block is there for: the classes' probabilities where it has them, else its last."""
    return next((layer for layer in layers if layer["name"] == "predictions"), layers[-1])


def output_text(layer: Mapping[str, Any]) -> str:
    """Return what a layer gives for one cell, such as "32 × 32 × 16" or "64 numbers"."""
    shape = layer["output_shape"]
    return describe_shape(shape) if len(shape) > 1 else f"{shape[0]:,} numbers"


def group_blocks(layers: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return a network's blocks in order."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for layer in layers:
        groups.setdefault(layer["block"], []).append(layer)
    total = max(sum(layer["flops"] for layer in layers), 1)
    return [
        Block(
            name,
            tuple(members),
            sum(layer["parameters"] for layer in members),
            flops := sum(layer["flops"] for layer in members),
            flops / total,
        )
        for name, members in groups.items()
    ]


def short_name(layer: Mapping[str, Any]) -> str:
    """Return a layer's name without its block's."""
    return layer["name"].removeprefix(f"{layer['block']}_")


def first_choice(block: Block) -> str:
    """Return the layer to open with a block: the last that is a set of maps, else its last."""
    maps = [layer for layer in block.layers if len(layer["output_shape"]) == 3 and layer["output_shape"][0] > 1]
    return (maps[-1] if maps else _main_layer(block.layers))["name"]


def count_text(value: int, unit: str) -> str:
    """Write a count in thousands or millions, such as "1.2 M FLOPs"."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            number = value / factor
            return f"{number:.{0 if number >= 100 else 1}f} {prefix} {unit}"
    return f"{value} {unit}"


def rank_channels(maps: np.ndarray, by_strength: bool) -> np.ndarray:
    """Return the channels in the order in which they are shown: as numbered, or highest value first.

    Args:
        maps: (h, w, channels).
    """
    if not by_strength:
        return np.arange(maps.shape[-1])
    return np.argsort(-maps.max(axis=(0, 1)), kind="stable")


def channels_table(maps: np.ndarray) -> pd.DataFrame:
    """Return one row per channel of a layer: lowest, mean and highest value, and the highest one's place.

    Args:
        maps: (h, w, channels).
    """
    flat = maps.reshape(-1, maps.shape[-1])
    rows, columns = np.divmod(flat.argmax(axis=0), maps.shape[1])
    return pd.DataFrame(
        {
            "channel": np.arange(maps.shape[-1]),
            "lowest": flat.min(axis=0),
            "mean": flat.mean(axis=0),
            "highest": flat.max(axis=0),
            "row of highest": rows,
            "column of highest": columns,
        }
    )


def filters_table(kernel: np.ndarray) -> pd.DataFrame:
    """Return one row per weight of a first layer: filter, row, column, colour, weight.

    Args:
        kernel: (height, width, 3, filters).
    """
    rows, columns, colours, filters = (axis.ravel() for axis in np.indices(kernel.shape))
    table = pd.DataFrame(
        {
            "filter": filters,
            "row": rows,
            "column": columns,
            "colour": np.array(COLOURS)[colours],
            "weight": kernel.ravel(),
        }
    )
    return table.sort_values(["filter", "row", "column"], kind="stable", ignore_index=True)

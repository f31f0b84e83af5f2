"""A CNN drawn block by block as HTML, from its layers as data: what stands in each block, its output, what it costs."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bloodcell.views.tables_evaluation import describe_shape
from bloodcell.views.theme import Mode, palette

DRAWING_STYLE = """<style>
.network.network {list-style: none; margin: 0; padding: 0; font-variant-numeric: tabular-nums; line-height: 1.3}
.network.network > li {display: grid; grid-template-columns: 4.4rem minmax(0, 1fr) 7.2rem; gap: 0 .7rem;
  align-items: center; margin: 0; padding: .4rem .6rem; border-radius: 8px; background: var(--panel)}
.network.network > li + li {margin-top: .7rem; position: relative}
.network > li + li::before {content: ""; position: absolute; top: -.7rem; left: 2.75rem; height: .7rem; width: 2px;
  background: var(--muted)}
.network .maps {justify-self: center; background: color-mix(in srgb, var(--primary) 28%, var(--ground));
  border: 1px solid var(--primary); border-radius: 2px; margin-top: var(--lift)}
.network .title {font-weight: 600; font-size: .85rem; margin-bottom: .2rem}
.network .chips {display: flex; flex-wrap: wrap; gap: .25rem}
.network .chip {border: 1px solid var(--line); border-radius: 4px; padding: .02rem .35rem; font-size: .78rem;
  background: var(--ground); white-space: nowrap}
.network .weights {border-color: var(--primary); background: color-mix(in srgb, var(--primary) 20%, var(--ground))}
.network .attention {border-color: var(--accent); background: color-mix(in srgb, var(--accent) 24%, var(--ground))}
.network .dropout {border-style: dashed; border-color: var(--muted)}
.network .detour {border: 2px solid var(--accent); border-right: 0; border-radius: 8px 0 0 8px; padding: .2rem 0 .2rem
  .4rem; margin-bottom: .25rem}
.network .detour small {display: block; color: var(--accent); font-size: .75rem; font-weight: 600; margin-top: .2rem}
.network .shape {text-align: right; font-size: .8rem; font-weight: 600; white-space: nowrap}
.network .cost {text-align: right; font-size: .72rem; color: var(--muted); white-space: nowrap}
.network .bar {display: block; height: 4px; border-radius: 2px; margin-top: 2px; margin-left: auto}
@media (max-width: 640px) {.network.network > li {grid-template-columns: 3.2rem minmax(0, 1fr) 6.4rem;
  gap: 0 .4rem; padding: .45rem .35rem} .network > li + li::before {left: 1.9rem}}
</style>"""

_TITLES = {"input": "Image", "head": "Head"}
_CHIPS = {
    "BatchNormalization": ("batch norm", "plain"),
    "MaxPooling2D": ("max pool 2×2", "plain"),
    "Flatten": ("flatten", "plain"),
    "Dropout": ("dropout", "dropout"),
    "Add": ("+", "plain"),
}
_ACTIVATIONS = {"relu": "ReLU", "predictions": "softmax"}
_ATTENTIONS = {"_se_": "SE attention", "_cbam_": "CBAM attention"}
_LARGEST_SIDE_PX = 46


def draw_network(graph: Mapping[str, Any], label: str, mode: Mode, dropout: float = 0.0) -> str:
    """Return the network as an HTML list, one entry per block, from the image to the answer.

    Args:
        graph: One network of `models.graphs`.
        label: What it is, for someone who does not see it.
        mode: The ground it stands on.
        dropout: Rate of the dropout, which the layers do not tell.
    """
    blocks: dict[str, list[Mapping[str, Any]]] = {}
    for layer in graph["layers"]:
        blocks.setdefault(layer["block"], []).append(layer)
    entries, channels = [], 3
    for block, layers in blocks.items():
        entries.append(_draw_block(block, layers, channels, graph, dropout))
        channels = layers[-1]["output_shape"][-1]
    colors = palette(mode)
    variables = (
        f"--ground:{colors.ground};--panel:{colors.panel};--primary:{colors.primary};--accent:{colors.accent};"
        f"--muted:{colors.muted};--line:{colors.grid}"
    )
    aria = html.escape(label, quote=True)
    return f'{DRAWING_STYLE}<ol class="network" style="{variables}" aria-label="{aria}">{"".join(entries)}</ol>'


def list_chips(layers: Sequence[Mapping[str, Any]], channels: int, dropout: float = 0.0) -> list[tuple[str, str]]:
    """Return the layers of one path as (words, kind); the many layers of an attention are one.

    Args:
        layers: Layers of one block in graph order.
        channels: Channels that enter it.
        dropout: Rate of the dropout.
    """
    chips: list[tuple[str, str]] = []
    for layer in layers:
        attention = next((words for part, words in _ATTENTIONS.items() if part in layer["name"]), None)
        if attention:
            chip = (attention, "attention")
        elif layer["type"] == "Conv2D":
            width = layer["output_shape"][-1]
            side = _kernel_side(layer["parameters"], channels, width)
            chip, channels = (f"{side}×{side} conv, {width}", "weights"), width
        elif layer["type"] == "Dense":
            chip = (f"dense {layer['output_shape'][-1]}", "weights")
        elif layer["type"] == "Activation":
            chip = (_ACTIVATIONS[layer["name"].rpartition("_")[2]], "plain")
        elif layer["type"] == "Dropout":
            chip = (f"dropout {dropout:g}" if dropout else "dropout", "dropout")
        else:
            chip = _CHIPS[layer["type"]]
        if not (attention and chips and chips[-1] == chip):
            chips.append(chip)
    return chips


def _draw_block(
    block: str, layers: Sequence[Mapping[str, Any]], channels: int, graph: Mapping[str, Any], dropout: float
) -> str:
    shape = layers[-1]["output_shape"]
    if block == "input":
        body, cost = '<span class="chip">one cell, red, green, blue</span>', ""
    else:
        body = _draw_paths(layers, channels, dropout)
        parameters, flops = (sum(layer[key] for layer in layers) for key in ("parameters", "flops"))
        cost = _draw_cost(f"{parameters:,} parameters", parameters / max(graph["parameters"], 1), "primary")
        cost += _draw_cost(f"{_write_flops(flops)} FLOPs", flops / max(graph["flops"], 1), "accent")
    title = _TITLES.get(block, f"Block {block.removeprefix('block')}")
    return (
        f"<li>{_draw_maps(shape)}<div><div class='title'>{title}</div>{body}</div>"
        f"<div><div class='shape'>{describe_shape(shape)}</div>{cost}</div></li>"
    )


def _draw_paths(layers: Sequence[Mapping[str, Any]], channels: int, dropout: float) -> str:
    """Return the chips of a block; what a shortcut goes around is bracketed, with the shortcut below."""
    join = next((place for place, layer in enumerate(layers) if layer["type"] == "Add"), None)
    if join is None:
        return _draw_chips(list_chips(layers, channels, dropout))
    around = [layer for layer in layers[:join] if "_shortcut" not in layer["name"]]
    shortcut = [layer for layer in layers[:join] if "_shortcut" in layer["name"]]
    words = ", ".join(text for text, _ in list_chips(shortcut, channels)) or "the input itself"
    after = list_chips(layers[join + 1 :], layers[join]["output_shape"][-1], dropout)
    return (
        f"<div class='detour'>{_draw_chips(list_chips(around, channels))}<small>+ shortcut: {words}</small></div>"
        f"{_draw_chips(after)}"
    )


def _draw_chips(chips: Sequence[tuple[str, str]]) -> str:
    spans = "".join(f"<span class='chip {kind}'>{html.escape(text)}</span>" for text, kind in chips)
    return f"<div class='chips'>{spans}</div>"


def _draw_maps(shape: Sequence[int]) -> str:
    """Return a stack of maps: its side follows the maps' side, its thickness their number."""
    side = shape[0] if len(shape) == 3 else 1
    pixels = max(8, round(_LARGEST_SIDE_PX * math.sqrt(side / 64)))
    layers = min(6, max(0, round(math.log2(max(shape[-1], 1))) - 2)) if len(shape) == 3 else 0
    width, height = (pixels, pixels) if len(shape) == 3 else (_LARGEST_SIDE_PX, 8)
    shadows = ",".join(
        f"{2 * i}px {-2 * i}px 0 {'var(--ground)' if i % 2 else 'var(--primary)'}" for i in range(1, 2 * layers + 1)
    )
    shadow = f"box-shadow:{shadows};" if shadows else ""
    return (
        f"<span class='maps' aria-hidden='true' style='width:{width}px;height:{height}px;{shadow}"
        f"--lift:{2 * layers}px;transform:translateX(-{2 * layers}px)'></span>"
    )


def _draw_cost(text: str, share: float, color: str) -> str:
    width = max(1.5, 100 * share)
    return (
        f"<div class='cost'>{text}<span class='bar' style='width:{width:.1f}%;background:var(--{color})'></span></div>"
    )


def _write_flops(flops: int) -> str:
    return f"{flops / 1e6:.1f} M" if flops >= 1e5 else f"{flops / 1e3:.0f} k"


def _kernel_side(parameters: int, channels_in: int, channels_out: int) -> int:
    """Return the side of a square kernel, from the parameters of a convolution with a bias."""
    return math.isqrt((parameters - channels_out) // (channels_in * channels_out))

"""Parts of the Inside page: which cell is looked at, the network as a strip of blocks, the chosen block's layers."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.views import cache
from bloodcell.views import figures_images as pictures
from bloodcell.views import tables_inside as tables
from bloodcell.views.components_selection import choose, keep_choice, restore_choice, theme_mode
from bloodcell.views.layer_words import name_kind
from bloodcell.views.theme import class_color, palette
from bloodcell.views.uploads import (
    IMAGE_TYPES,
    MAXIMUM_UPLOAD_MB,
    CellImage,
    Wish,
    choose_examples,
    photo_of_split,
    read_photo,
)

# Block and layer buttons: as high as their words, the share of the arithmetic as a bar at the foot of a block.
STRIP_STYLE = """<style>
[class*="st-key-strip_"] button {padding: .25rem .4rem .4rem; min-height: 0; line-height: 1.25; width: 100%}
[class*="st-key-strip_"] button p {font-size: .82rem; text-align: center; font-variant-numeric: tabular-nums}
[class*="st-key-strip_"] button :is(div, span, p) {white-space: normal; overflow-wrap: anywhere}
SHARES
</style>"""
UPLOAD = "upload"
LONGEST_SHOWN = 40
_TYPICAL_CLASS = CLASS_NAMES.index("neutrophil")
SHARE_BAR_PX = 4


def choose_cell(key: str) -> CellImage | None:
    """Return the cell that is looked at: of the dataset as the address names it, or the reader's own file.

    Args:
        key: Name of the parameter in the address, and beginning of the widgets' keys.

    Returns:
        None where the dataset is not here and the reader has brought no file.
    """
    has_dataset = bool(cache.dataset_status()["available"])
    own: CellImage | None = st.session_state.get(f"{key}_own")
    asked_for = (*st.query_params.get_all(key), st.session_state.get(key, ""))
    known = [value for value in asked_for if cache.find_cell(value)]
    if own is not None:
        known.append(UPLOAD)
    if has_dataset:
        known.append(f"test-{cache.load_typical_rows('test').get(_TYPICAL_CLASS, 0)}")
    if not known:
        return None
    asked = st.query_params.get(key, UPLOAD)
    if has_dataset and asked != UPLOAD and not cache.find_cell(asked):
        short = asked if len(asked) <= LONGEST_SHOWN else f"{asked[:LONGEST_SHOWN]}…"
        st.session_state[f"{key}_refused"] = f"The address asks for {short}, a cell that this dataset does not hold."
    restore_choice(key, known, known[-1])
    keep_choice(key, known[-1])
    chosen = st.session_state[key]
    if chosen == UPLOAD:
        return own
    split, _, row = chosen.partition("-")
    return photo_of_split(cache.load_split(split), int(row)).cells[0]


def surprise(key: str) -> None:
    """In a callback: choose any cell of test."""
    row = int(np.random.default_rng().integers(cache.load_split("test").num_images))
    take_row(key, row)


def take_row(key: str, row: int) -> None:
    """In a callback: look at a cell of test."""
    choose(key, f"test-{row}")
    st.session_state.pop(f"{key}_refused", None)


def take_file(key: str) -> None:
    """In a callback: look at the file that the reader brought."""
    file = st.session_state.get(f"{key}_file")
    st.session_state.pop(f"{key}_refused", None)
    if file is None:
        return
    data = file.getvalue()
    photo = read_photo(data, file.name, hashlib.sha256(data).hexdigest(), Wish("crop"))
    if photo.cells:
        st.session_state[f"{key}_own"] = photo.cells[0]
        choose(key, UPLOAD)
    else:  # what was looked at before stays
        st.session_state[f"{key}_refused"] = photo.error or f"No cell was found in {photo.name}."


def offer_cells(key: str) -> None:
    """Draw the ways to another cell: any, one of each type, a file."""
    with st.container(horizontal=True, gap="small"):
        if cache.dataset_status()["available"]:
            st.button("Surprise me", icon=":material/shuffle:", key=f"{key}_surprise", on_click=surprise, args=(key,))
        with st.popover("Another cell", icon=":material/add_photo_alternate:", key=f"{key}_others"):
            _offer_examples(key)
            st.file_uploader(
                "Or your own image of one cell",
                type=IMAGE_TYPES,
                key=f"{key}_file",
                on_change=take_file,
                args=(key,),
                max_upload_size=MAXIMUM_UPLOAD_MB,
            )
    refused = st.session_state.get(f"{key}_refused")
    if refused:
        st.error(pictures.escape_markdown(refused), icon=":material/broken_image:")


def _offer_examples(key: str) -> None:
    if not cache.dataset_status()["available"]:
        st.caption("Cells of the dataset to click appear here once it is on this machine.")
        return
    images = cache.load_split("test")
    with st.grid(4, min_column_width=72, gap="xsmall"):
        for row in choose_examples(images.labels, st.session_state.get(f"{key}_seed", 0)):
            label = int(images.labels[row])
            text = pictures.tile_label(
                images.images[row], class_color(label), f"{CLASS_NAMES[label]}, test row {row}", CLASS_CODES[label]
            )
            st.button(
                text,
                key=f"cell_{key}_{row}",
                type="tertiary",
                width="stretch",
                on_click=take_row,
                args=(key, row),
            )
    st.button("Others", icon=":material/shuffle:", key=f"{key}_shuffle", on_click=_shuffle, args=(key,))


def _shuffle(key: str) -> None:
    st.session_state[f"{key}_seed"] = st.session_state.get(f"{key}_seed", 0) + 1


def choose_layer(blocks: Sequence[tables.Block], shapes: Mapping[str, tuple[int, ...]], key: str) -> Mapping[str, Any]:
    """Draw the network as a strip of blocks and the layers of the open block; return the chosen layer.

    A block's bar is its share of the network's arithmetic. The choice stays in the address under `key`.

    Args:
        blocks: Of the network, in order.
        shapes: Kernel shapes by layer, as far as known.
        key: Name of the parameter.
    """
    layers = {layer["name"]: layer for block in blocks for layer in block.layers}
    default = tables.first_choice(blocks[min(1, len(blocks) - 1)])
    restore_choice(key, list(layers), default)
    chosen = layers[st.session_state[key]]
    opened = next(block for block in blocks if block.name == chosen["block"])
    st.html(STRIP_STYLE.replace("SHARES", "\n".join(_share_rule(block) for block in blocks)))
    with st.grid("auto", min_column_width=100, gap="xsmall"):
        for number, block in enumerate(blocks):
            cost = tables.count_text(block.flops, "FLOPs") if block.flops else "no cost"
            arrow = "→ " if number else ""
            st.button(
                f"{arrow}**{block.name}**  \n{block.output}  \n:small[{cost}]",
                key=f"strip_block_{block.name}",
                type="primary" if block is opened else "secondary",
                width="stretch",
                on_click=choose,
                args=(key, tables.first_choice(block)),
                help=f"{len(block.layers)} {'layer' if len(block.layers) == 1 else 'layers'}, "
                f"{block.parameters:,} parameters, {100 * block.flop_share:.1f} % of the FLOPs. Click to open.",
            )
    st.caption(
        f"**{opened.name}**, open: {len(opened.layers)} {'layer' if len(opened.layers) == 1 else 'layers'} in order. "
        "Click one to see what it gives."
    )
    with st.grid("auto", min_column_width=104, gap="xsmall"):
        for layer in opened.layers:
            kind = name_kind(layer, shapes.get(layer["name"]))
            name = tables.short_name(layer) if layer["name"] != "image" else "image"
            st.button(
                f"{name}  \n:small[{tables.describe_shape(layer['output_shape'])}]",
                key=f"strip_layer_{layer['name']}",
                type="primary" if layer is chosen else "tertiary",
                width="stretch",
                on_click=choose,
                args=(key, layer["name"]),
                help=f"{kind}: {layer['parameters']:,} parameters, {tables.count_text(layer['flops'], 'FLOPs')}",
            )
    keep_choice(key, default)
    return chosen


def _share_rule(block: tables.Block) -> str:
    colours = palette(theme_mode())
    share = 100 * block.flop_share
    return (
        f".st-key-strip_block_{block.name} button {{background-image: linear-gradient(90deg, "
        f"{colours.accent} {share:.1f}%, {colours.grid} {share:.1f}%); background-size: 100% {SHARE_BAR_PX}px; "
        "background-position: bottom; background-repeat: no-repeat}"
    )

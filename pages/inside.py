"""What does each layer see?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from bloodcell.artifact import Artifact
from bloodcell.dataset import CLASS_CODES, CLASS_NAMES, SUBTYPE_NAMES
from bloodcell.errors import BloodCellError, DatasetError
from bloodcell.evaluation import softmax
from bloodcell.inference.channels import TopCells, ensure_channels
from bloodcell.inference.inside import ensure_inside
from bloodcell.models.map_grids import MapGrid, even_grid
from bloodcell.views import cache, cache_inside
from bloodcell.views import figures_images as pictures
from bloodcell.views import figures_inside as figures
from bloodcell.views import tables_inside as tables
from bloodcell.views.components import (
    chart_with_table,
    choose,
    download_csv,
    how_computed,
    keep_choice,
    missing_artifact,
    missing_dataset,
    model_picker,
    open_page,
    remembered_segments,
    research_use_notice,
    restore_choice,
    show_damaged,
    theme_mode,
)
from bloodcell.views.components_inside import choose_cell, choose_layer, offer_cells
from bloodcell.views.components_jobs import run_in_background
from bloodcell.views.layer_words import describe_layer, name_kind
from bloodcell.views.quantities import percent, probability_text
from bloodcell.views.tables_confusion import count_of
from bloodcell.views.theme import CLASS_GLYPHS, class_color, palette
from bloodcell.views.uploads import CellImage

MODEL, CELL, LAYER, CHANNEL, PICKED, ORDER, SCALE, PAGE = (
    f"inside_{name}" for name in ("model", "cell", "layer", "channel", "picked", "order", "scale", "page")
)
CHANNELS_PER_PAGE = 40
ORDERS = {"strength": "strongest first", "number": "by number"}
SCALES = {"layer": "one for all", "channel": "each its own"}
HOW = """
- **Maps** are what a layer gives for this one cell, computed by LiteRT from the stored weights; when the network was
  opened, every layer was compared with Keras. Values have no unit. Each place of a map is drawn as a square, nothing is
  smoothed.
- **Place**: the frame on the cell is where the map's highest value lies, about the middle of what that place looks at
  (Araujo et al. 2019). What a deep layer answers to can reach far beyond that frame: each layer looks at neighbours of
  neighbours. Without padding, as in cnn_2 to cnn_4, no place has its middle in the image's rim.
- **Cells that excite a channel most**: all test cells, ranked by the channel's highest value anywhere in its map.
- **Batch normalization** is folded into the kernels that are stored: the scale of each channel is part of the kernel
  before it. Filters are drawn as they are stored, so a brighter filter is also one that the normalization weighed more.
- **FLOPs** for one image, a multiply-add counted as two; the bar at the foot of a block is its share of them.
"""


def choose_channel(layer: str, channel: int) -> None:
    """Open one channel of a layer."""
    choose(CHANNEL, str(channel))
    st.session_state[PICKED] = layer


def open_filter(layer: str, channel: int) -> None:
    """Open the first layer with one of its channels."""
    choose(LAYER, layer)
    choose_channel(layer, channel)


def show_cell(cell: CellImage | None, artifact: Artifact, logits: np.ndarray | None) -> None:
    """The cell that is looked at, what the model says of it, and the ways to another."""
    if cell is None:
        st.markdown("No cell yet: bring an image, or the dataset.")
        offer_cells(CELL)
        return
    picture, words = st.columns([1, 3], vertical_alignment="center", gap="small")
    with picture:
        colour = palette(theme_mode()).muted if cell.label is None else class_color(cell.label)
        tile = pictures.tile_png(cell.frame.pixels, colour)
        st.image(tile, width=96, alt=f"{cell.name}, the cell that is looked at")
    with words:
        label = "" if cell.label is None else f"{CLASS_GLYPHS[cell.label]} {CLASS_NAMES[cell.label]} · "
        st.markdown(f"**{label}{pictures.escape_markdown(cell.name)}**")
        if logits is not None:
            values = softmax(logits[None], artifact.manifest.temperature)[0]
            best = int(values.argmax())
            mark = "" if cell.label is None else ", ✓ right" if best == cell.label else ", ✗ wrong"
            st.markdown(f"Answered: {CLASS_NAMES[best]}, {probability_text(float(values[best]))}{mark}")
        offer_cells(CELL)
    if cell.frame.warning:
        st.warning(cell.frame.warning, icon=":material/crop:")


def show_layer(
    layer: Mapping[str, Any], layers: Sequence[Mapping[str, Any]], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """What kind of layer it is, what such a layer does, where it stands, what it costs."""
    names = [one["name"] for one in layers]
    place = names.index(layer["name"])
    follower = layers[place + 1] if place + 1 < len(layers) else None
    kernel = shapes.get(layer["name"])
    engine = cache_inside.load_inside(chosen) if chosen else None
    sources = engine.graph.sources.get(layer["name"], []) if engine else []
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for text, icon, step, which in (
            ("Previous layer", ":material/chevron_left:", -1, "previous"),
            ("Next layer", ":material/chevron_right:", 1, "next"),
        ):
            target = names[(place + step) % len(names)]
            st.button(text, icon=icon, key=f"inside_layer_{which}", help=text, on_click=choose, args=(LAYER, target))
        st.subheader(f"{layer['name']}: {name_kind(layer, kernel)}", anchor=False, width="content")
        facts = [
            f"gives {tables.output_text(layer)}",
            f"{layer['parameters']:,} parameters" if layer["parameters"] else "nothing to learn",
            tables.count_text(layer["flops"], "FLOPs") if layer["flops"] else "no arithmetic",
            *([f"reads {' and '.join(sources)}"] if sources else []),
        ]
        st.caption(" · ".join(facts), width="content")
    st.markdown(describe_layer(layer, kernel, follower))


def show_maps(name: str, layer: Mapping[str, Any], maps: np.ndarray, cell: CellImage) -> None:
    """All channels of the chosen layer for this cell; a click opens one."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = remembered_segments("Order", ORDERS, ORDER)
        scaling = remembered_segments(
            "Colour scale", SCALES, SCALE, "One for all channels compares them; each its own shows faint ones."
        )
        common = figures.Scale.of(maps)
        if scaling == "layer":
            st.html(figures.scale_html(common, theme_mode()), width=280)
    ranking = tables.rank_channels(maps, order == "strength")
    channel = int(pick_channel(layer["name"], ranking))
    if scaling == "layer":
        st.caption(f"{maps.shape[-1]} channels, Cividis: the layer's lowest value dark, its highest bright. No unit.")
    else:
        st.caption(
            f"{maps.shape[-1]} channels, Cividis: each channel's own lowest value dark, its own highest bright. "
            "The number below is its highest value, without unit."
        )
    num_pages = -(-len(ranking) // CHANNELS_PER_PAGE)
    page = min(st.session_state.get(PAGE, 1), num_pages)
    shown = ranking[(page - 1) * CHANNELS_PER_PAGE :][:CHANNELS_PER_PAGE]
    with st.grid("auto", min_column_width=76, gap="xsmall"):
        for index in shown.tolist():
            values = maps[..., index]
            picture = figures.colour_map(values, common if scaling == "layer" else figures.Scale.of(values))
            highest = figures.number_text(float(values.max()))
            text = f"**{index}** · {highest}" if index == channel else f"{index} · {highest}"
            st.button(
                figures.picture_label(picture, f"Channel {index} of {layer['name']}, highest value {highest}", text),
                key=f"cell_inside_channel_{index}",
                type="secondary" if index == channel else "tertiary",
                width="stretch",
                on_click=choose_channel,
                args=(layer["name"], index),
            )
    if num_pages > 1:
        if st.session_state.get(PAGE, page) != page:
            st.session_state[PAGE] = page
        st.pagination(num_pages, key=PAGE)
    show_channel(name, layer, maps, channel, cell)
    with st.expander("These channels as a table", icon=":material/table:"):
        table = tables.channels_table(maps)
        st.dataframe(table, hide_index=True, key="inside_channels", alt=f"Values of the channels of {layer['name']}")
        download_csv(table, f"{name}_{layer['name']}", key="inside_channels_csv")


def pick_channel(layer: str, ranking: np.ndarray) -> str:
    """Return the opened channel: what the reader picked in this layer, else the first that is shown."""
    first = str(ranking[0])
    if st.session_state.get(PICKED) != layer:
        st.session_state.pop(CHANNEL, None)
    restore_choice(CHANNEL, [str(index) for index in ranking], first)
    if st.session_state[CHANNEL] != first:
        st.session_state[PICKED] = layer
    keep_choice(CHANNEL, first)
    return st.session_state[CHANNEL]


def show_channel(name: str, layer: Mapping[str, Any], maps: np.ndarray, channel: int, cell: CellImage) -> None:
    """One channel, large: the place on the cell where it is strongest, its map, and what excites it most."""
    values = maps[..., channel]
    grid = find_grid(name, layer["name"], values.shape)
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    st.subheader(f"Channel {channel} of {layer['name']}", anchor=False)
    pictures_side, top_side = st.columns([2, 3], gap="medium")
    with pictures_side:
        with st.grid(2, min_column_width=120, gap="small"):
            with st.container():
                framed = figures.mark_place(cell.frame.pixels, (int(row), int(column)), grid, factor=4)
                st.image(
                    pictures.encode_png(framed), width="stretch", alt="The cell; framed where this channel is highest"
                )
            with st.container():
                large = pictures.enlarge_to(figures.colour_map(values, figures.Scale.of(values)), 256)
                st.image(pictures.encode_png(large), width="stretch", alt=f"Map of channel {channel}, its own scale")
        st.html(figures.scale_html(figures.Scale.of(values), theme_mode()))
        st.caption(
            f"Highest at row {row}, column {column} of {values.shape[0]} × {values.shape[1]}, framed on the cell; its "
            "own colour scale."
        )
    with top_side:
        show_top_cells(name, layer["name"], channel, values.shape[1], grid)


def find_grid(name: str, layer: str, shape: tuple[int, int]) -> MapGrid:
    """Return where the places of an opened model's layer lie on the cell; evenly where its form is gone by now."""
    engine = cache_inside.load_inside(name)
    return even_grid(shape) if engine is None else engine.graph.grids[layer]


def show_top_cells(name: str, layer: str, channel: int, num_columns: int, grid: MapGrid) -> None:
    """The test cells that excite one channel most; computed once, in the background, when the reader asks."""
    st.markdown("**Test cells that excite it most**")
    if not cache.dataset_status()["available"]:
        missing_dataset(DatasetError(cache.dataset_status()["error"]), key="inside_top")
        return
    artifact = cache.load_shelf().artifacts[name]
    try:
        found = cache_inside.load_channels(name)
    except BloodCellError as error:
        st.error(str(error), icon=":material/error:")
        return
    if found is None:
        job = f"channels {name}"
        if st.session_state.get("inside_wants_channels") == name:
            run_in_background(
                job, lambda report: ensure_channels(artifact, report), f"**{name}** looks at all test cells."
            )
            return
        st.markdown("Every test cell has to pass through the network once for that; it is kept for later.")
        if st.button("Find them (about half a minute)", key="inside_find", icon=":material/search:"):
            st.session_state["inside_wants_channels"] = name
            st.rerun()
        return
    if layer not in found:
        st.caption("This is the image itself; the channels of the layers behind it are ranked.")
        return
    draw_top_cells(found[layer], channel, num_columns, grid)


def draw_top_cells(found: TopCells, channel: int, num_columns: int, grid: MapGrid) -> None:
    """The strongest cells of one channel as tiles to click, and in a sentence what they have in common."""
    images = cache.load_split("test")
    rows, values = found.rows[channel].tolist(), found.values[channel]
    if found.active[channel] == 0:
        st.info("This channel is silent: nowhere above zero in any test cell.", icon=":material/volume_off:")
    counts = pd.Series([CLASS_NAMES[images.labels[row]] for row in rows]).value_counts()
    common = ", ".join(count_of(int(number), str(name)) for name, number in counts.items())
    st.caption(f"{common}. Above zero somewhere in {percent(float(found.active[channel]))} of all test cells.")
    with st.grid("auto", min_column_width=76, gap="xsmall"):
        for rank, (row, value) in enumerate(zip(rows, values, strict=True)):
            label = int(images.labels[row])
            place = divmod(int(found.places[channel][rank]), num_columns)
            pixels = figures.mark_place(images.images[row], place, grid)
            text = pictures.tile_label(
                pixels,
                class_color(label),
                f"{CLASS_NAMES[label]}, test row {row}, {figures.number_text(float(value))}",
                f"{CLASS_CODES[label]} · {figures.number_text(float(value))}",
            )
            target = (CELL, f"test-{row}")
            st.button(
                text, key=f"cell_inside_top_{rank}", type="tertiary", width="stretch", on_click=choose, args=target
            )


def show_numbers(name: str, layer: Mapping[str, Any], values: np.ndarray) -> None:
    """A layer that gives a list of numbers: bars for the classes, else a sheet of squares; with its table."""
    flat = values.reshape(-1)
    if layer["name"] in ("logits", "predictions") and len(flat) == len(CLASS_NAMES):
        table = pd.DataFrame({"class": CLASS_NAMES, "value": flat})
        figure = figures.class_values_figure(flat, list(CLASS_NAMES), theme_mode())
        alt = f"{layer['name']}: highest for {CLASS_NAMES[int(flat.argmax())]}"
    else:
        names = SUBTYPE_NAMES if layer["name"] == "subtypes" and len(flat) == len(SUBTYPE_NAMES) else range(len(flat))
        table = pd.DataFrame({"unit": list(names), "value": flat})
        figure = figures.sheet_figure(flat, theme_mode())
        alt = f"{len(flat)} numbers of {layer['name']}, highest {figures.number_text(float(flat.max()))}"
        st.caption(
            f"{len(flat):,} numbers in reading order, {min(figures.SHEET_COLUMNS, len(flat))} to a row; "
            f"{percent(float((flat > 0).mean()))} of them above zero. Values have no unit."
        )
    chart_with_table(figure, table, key="inside_numbers", alt=alt)


def show_filters(name: str, layers: Sequence[Mapping[str, Any]]) -> None:
    """The filters of the first convolution as colours, to click."""
    first = next((layer for layer in layers if layer["type"] == "Conv2D"), None)
    if first is None:
        return
    st.header("Filters of the first layer", anchor="filters")
    try:
        kernel = cache_inside.load_kernel(name, first["name"])
    except BloodCellError as error:
        st.error(str(error), icon=":material/error:")
        return
    if kernel is None or kernel.ndim != 4 or kernel.shape[2] != 3:
        st.caption(f"{first['name']} does not read colours.")
        return
    tiles, strongest = figures.colour_filters(kernel)
    height, width, _, num_filters = kernel.shape
    st.markdown(
        f"{num_filters} filters of {height} × {width} places, as colours: grey is a weight of 0; where a colour is "
        f"brighter than grey, that colour speaks for the pattern, where darker against it. One scale for all, "
        f"±{figures.number_text(strongest)}. Click one to see its map."
    )
    with st.grid("auto", min_column_width=60, gap="xsmall"):
        for index, tile in enumerate(tiles):
            st.button(
                figures.picture_label(tile, f"Filter {index} of {first['name']}", str(index)),
                key=f"cell_inside_filter_{index}",
                type="tertiary",
                width="stretch",
                on_click=open_filter,
                args=(first["name"], index),
            )
    with st.expander("These weights as a table", icon=":material/table:"):
        table = tables.filters_table(kernel)
        st.dataframe(table, hide_index=True, key="inside_filters", alt=f"Weights of {first['name']}")
        download_csv(table, f"{name}_{first['name']}_weights", key="inside_filters_csv")


def show_inside(name: str, layer: Mapping[str, Any], cell: CellImage | None) -> None:
    """What the chosen layer gives for the cell, or what is still missing for that."""
    if cache_inside.load_inside(name) is None:
        open_network(cache.load_shelf().artifacts[name])
        st.skeleton(height=260)
        return
    if cell is None:
        if not cache.dataset_status()["available"]:
            missing_dataset(DatasetError(cache.dataset_status()["error"]), key="inside")
        return
    values = cache_inside.compute_layers(name, cell.frame.pixels)[layer["name"]]
    maps = figures.split_maps(values)
    if maps is None:
        show_numbers(name, layer, values)
    else:
        show_maps(name, layer, maps, cell)


def open_network(artifact: Artifact) -> None:
    """Build the form that gives every layer, in the background, and show how far it is."""
    doing = f"**{artifact.name}** is opened, once on this machine."
    run_in_background(f"inside {artifact.name}", lambda report: ensure_inside(artifact, report), doing)


def find_layers(artifact: Artifact) -> Sequence[Mapping[str, Any]] | None:
    """Return a network's layers: from the catalog's graphs, else from its opened form; None while neither knows."""
    graph = cache_inside.load_graphs().get(artifact.model_name)
    if graph is not None:
        return graph["layers"]
    engine = cache_inside.load_inside(artifact.name)
    return None if engine is None else engine.graph.layers


open_page("Inside", "What does each layer see? One cell on its way through one network, layer by layer.")
st.html(pictures.GALLERY_STYLE)
show_damaged()
picker_side, cell_side = st.columns([4, 5], gap="medium")
with picker_side:
    chosen = model_picker(MODEL)
loaded = cache.load_artifact(chosen) if chosen else None
if chosen is None or loaded is None:
    missing_artifact(chosen)
    st.stop()
try:
    looked_at = choose_cell(CELL)
except DatasetError as error:
    missing_dataset(error, key="inside_cells")
    looked_at = None
opened = cache_inside.load_inside(chosen) is not None
seen = cache_inside.compute_layers(chosen, looked_at.frame.pixels) if opened and looked_at else None
with cell_side:
    show_cell(looked_at, loaded, None if seen is None else seen["logits"])
with picker_side:
    research_use_notice()
all_layers = find_layers(loaded)
if all_layers is None:
    open_network(loaded)
    st.stop()
kernels = cache_inside.load_kernel_shapes(chosen)
selected = choose_layer(tables.group_blocks(all_layers), kernels, LAYER)
show_layer(selected, all_layers, kernels)
show_inside(chosen, selected, looked_at)
show_filters(chosen, all_layers)
how_computed(HOW)

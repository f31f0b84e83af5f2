"""What a switch of the Build page did: class by class, image by image; and the network layer by layer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from bloodcell.dataset import CLASS_NAMES, Split, match_images
from bloodcell.errors import DatasetError
from bloodcell.evaluation.repeated import Change, Repeated
from bloodcell.models.combinations import Combination
from bloodcell.views import cache
from bloodcell.views import figures_build as figures
from bloodcell.views import figures_images as pictures
from bloodcell.views import tables_build as tables
from bloodcell.views.cache_figures import draw_plotly
from bloodcell.views.components import (
    chart_with_table,
    download_csv,
    missing_dataset,
    remembered_segments,
    research_use_notice,
    theme_mode,
)
from bloodcell.views.quantities import points
from bloodcell.views.theme import CLASS_GLYPHS, class_color

DIRECTION, PAGE = "build_images", "build_page"
IMAGES_PER_PAGE = 18
BETTER, WORSE = "better", "worse"


def show_classes(change: Change, name: str, other: str) -> None:
    """What the choice did to each class."""
    st.header("Class by class", anchor=False)
    table = tables.class_changes_table(change, CLASS_NAMES)
    ranked = sorted(change.per_class, key=lambda one: one.difference)
    least, most = ranked[0], ranked[-1]
    st.markdown(
        f"Most gained: {CLASS_NAMES[most.class_index]}, {points(most.difference)}. "
        f"Least gained, or most lost: {CLASS_NAMES[least.class_index]}, {points(least.difference)}."
    )
    chart_with_table(
        draw_plotly(figures.class_changes_figure, table, CLASS_NAMES, theme_mode()),
        table,
        "build_classes",
        f"Change of recall of each class, {name} against {other}",
    )


def show_images(change: Change, own: Repeated, theirs: Repeated, name: str, other: str) -> None:
    """Which images the choice made right, and which wrong."""
    st.header("Which images", anchor=False)
    if not len(change.gains):
        st.info("Both networks are right about the same images.", icon=":material/check:")
        return
    options = {
        BETTER: f"More often right ({change.num_gained:,})",
        WORSE: f"Less often right ({change.num_lost:,})",
    }
    direction = remembered_segments("Images that it gets", options, DIRECTION)
    rows = np.flatnonzero(change.gains > 0 if direction == BETTER else change.gains < 0)
    counts = tables.image_counts_table(change, own, CLASS_NAMES)
    table = tables.images_table(change, rows, own, theirs, (name, other), CLASS_NAMES)
    try:
        images = cache.load_split("test")
    except DatasetError as error:
        show_counts(counts)
        missing_dataset(error, key="build")
    else:
        show_gallery(change, rows, own, theirs, (name, other), images)
        with st.expander("Counted by class", icon=":material/table:"):
            show_counts(counts)
    with st.expander("These images as a table", icon=":material/table:"):
        st.dataframe(table, hide_index=True, key="build_images_table", alt="Changed images with both networks' answers")
        download_csv(table, "build_images", key="build_images_csv")
    research_use_notice()


def show_counts(counts: pd.DataFrame) -> None:
    """Changed images per class."""
    st.dataframe(counts, hide_index=True, key="build_counts", alt="Changed images per class")


def show_gallery(
    change: Change, rows: np.ndarray, own: Repeated, theirs: Repeated, names: tuple[str, str], images: Split
) -> None:
    """One page of the changed images, each with what both networks answered."""
    if not len(rows):
        st.info("None.", icon=":material/check:")
        return
    st.html(pictures.GALLERY_STYLE)
    matching = match_images(own.image_hashes, own.y_true, images)
    num_pages = -(-len(rows) // IMAGES_PER_PAGE)
    page = min(st.session_state.get(PAGE, 1), num_pages)
    grid = st.grid("auto", min_column_width=140, gap=("medium", "small"))
    for row in rows[(page - 1) * IMAGES_PER_PAGE : page * IMAGES_PER_PAGE].tolist():
        of_own, of_theirs = int(change.rows_first[row]), int(change.rows_second[row])
        label, place = int(own.y_true[of_own]), int(matching.indices[of_own])
        with grid.cell(), st.container(gap="xsmall"):
            if place >= 0:
                tile = pictures.tile_png(images.images[place], class_color(label))
                st.image(tile, alt=f"{CLASS_NAMES[label]}, test row {place}")
            else:
                st.caption("This image is not in the dataset's file here.")
            st.markdown(
                f":small[{CLASS_GLYPHS[label]} {CLASS_NAMES[label]}]  \n"
                f":small[**{names[0]}**: {tables.describe_answers(own, of_own, CLASS_NAMES)}]  \n"
                f":small[**{names[1]}**: {tables.describe_answers(theirs, of_theirs, CLASS_NAMES)}]"
            )
    if num_pages > 1:
        if st.session_state.get(PAGE, page) != page:  # one that it already has would be set twice
            st.session_state[PAGE] = page
        st.pagination(num_pages, key=PAGE)


def show_layers(combination: Combination, graph: Mapping[str, Any]) -> None:
    """Every layer with its shape and cost."""
    st.header("Layer by layer", anchor=False)
    table = tables.cost_table(graph)
    kilobytes = {column: table[column] / 1024 for column in ("weight_bytes", "output_bytes")}
    st.dataframe(
        table.assign(**kilobytes),
        hide_index=True,
        key="build_layers",
        alt=f"Layers of {combination.name} with output shape, parameters, FLOPs and memory",
        column_order=("layer", "type", "output", "parameters", "flops", "weight_bytes", "output_bytes"),
        column_config={
            "layer": st.column_config.TextColumn("Layer", pinned=True),
            "type": "Kind",
            "output": st.column_config.TextColumn("Output", help="Height × width × channels of one image"),
            "parameters": st.column_config.NumberColumn("Parameters", format="localized"),
            "flops": st.column_config.NumberColumn("FLOPs", format="localized", help="A multiply-add is two"),
            "weight_bytes": st.column_config.NumberColumn("Weights, KB", format="%.1f", help="float32"),
            "output_bytes": st.column_config.NumberColumn("Output, KB", format="%.1f", help="float32, one image"),
        },
    )
    download_csv(table, f"{combination.name}_layers", key="build_layers_csv")

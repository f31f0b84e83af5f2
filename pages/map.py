"""How does a network arrange the cells?"""

from pathlib import Path

import pandas as pd
import streamlit as st

from bloodcell.artifact import Artifact
from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.errors import ArtifactDamagedError, DatasetError
from bloodcell.inference.cell_map import ensure_map
from bloodcell.views import cache, cache_map
from bloodcell.views import figures_images as pictures
from bloodcell.views import figures_map as figures
from bloodcell.views import tables_map as tables
from bloodcell.views.cache_figures import draw_plotly
from bloodcell.views.components import (
    choose,
    data_source_line,
    download_csv,
    for_projector,
    how_computed,
    keep_choice,
    missing_artifact,
    missing_dataset,
    model_picker,
    open_page,
    remembered_segments,
    research_use_notice,
    restore_choice,
    section,
    show_damaged,
    theme_mode,
)
from bloodcell.views.components_jobs import run_in_background
from bloodcell.views.quantities import percent, probability_text
from bloodcell.views.tables_confusion import count_of, describe_matching, plural
from bloodcell.views.theme import CLASS_GLYPHS, class_color

MODEL, COLOUR, REGION, REGION_OF, REGION_LIST, PAGE = (
    f"map_{name}" for name in ("model", "colour", "region", "region_of", "region_list", "page")
)
COLOURINGS = {"class": "true class", "answer": "answer", "error": "right or wrong"}
IMAGES_PER_PAGE = 24
DRAWN = "drawn"
INSIDE_PAGE = Path(__file__).with_name("inside.py")


def set_region(region: str, model: str) -> None:
    """In a callback: make a region of one model's map the chosen one."""
    choose(REGION, region)
    st.session_state[REGION_OF] = model
    st.session_state[PAGE] = 1


def take_drawn(model: str) -> None:
    """Take the lasso or the box that the reader drew."""
    selection = st.session_state["map_chart"]["selection"]
    if selection["lasso"]:
        set_region(tables.format_polygon(selection["lasso"][0]["x"], selection["lasso"][0]["y"]), model)
    elif selection["box"]:
        set_region(tables.format_box(selection["box"][0]["x"], selection["box"][0]["y"]), model)


def take_row(model: str, images: list[int]) -> None:
    """Take the row that was chosen in the table twin, by mouse or by keyboard."""
    rows = st.session_state["map_table"]["selection"]["rows"]
    if rows and rows[0] < len(images):
        set_region(str(images[rows[0]]), model)


def take_listed(model: str) -> None:
    """Take the region that was chosen in the list."""
    chosen = st.session_state[REGION_LIST]
    if chosen != DRAWN:
        set_region(chosen, model)


def find_region(model: str, table: pd.DataFrame) -> str:
    """Return the chosen region of this model's map: the reader's, the address's, or none."""
    if st.session_state.get(REGION_OF) != model:
        st.session_state.pop(REGION, None)
    known = [region for region in st.query_params.get_all(REGION) if tables.is_region(region, table)]
    kept = st.session_state.get(REGION, tables.NOTHING)
    if kept != tables.NOTHING and not tables.is_region(kept, table):
        st.session_state.pop(REGION)
        kept = tables.NOTHING
    restore_choice(REGION, list(dict.fromkeys([*known, kept, tables.NOTHING])), tables.NOTHING)
    st.session_state[REGION_OF] = model
    keep_choice(REGION, tables.NOTHING)
    return st.session_state[REGION]


def choose_listed(model: str, region: str) -> None:
    """Let the reader take a whole class or all wrong answers, without drawing."""
    labels = {
        tables.NOTHING: "nothing",
        tables.WRONG: "all wrong answers",
        **{
            tables.class_region(label): f"{CLASS_GLYPHS[label]} all {plural(name)}"
            for label, name in enumerate(CLASS_NAMES)
        },
    }
    if region not in labels:
        labels[DRAWN] = "one cell" if region.isdecimal() else "what was drawn"
    st.session_state[REGION_LIST] = region if region in labels else DRAWN
    st.selectbox(
        "Selected",
        list(labels),
        key=REGION_LIST,
        format_func=labels.__getitem__,
        on_change=take_listed,
        args=(model,),
        help="Or draw around cells in the map, or choose a row of the table.",
    )


def show_chart(name: str, table: pd.DataFrame, colouring: str, region: str) -> None:
    """The map to draw in, and the same cells as a table to walk through."""
    selected = tables.select_region(region, table) if region else None
    corners = tables.parse_polygon(region) if region else None
    figure = draw_plotly(figures.cell_map_figure, table, colouring, theme_mode(), selected, corners)
    wrong = int((~table["right"]).sum())
    chart_tab, table_tab = st.tabs(["Map", "Table"], key="map_view")
    with chart_tab:
        st.plotly_chart(
            for_projector(figure),
            key="map_chart",
            on_select=lambda: take_drawn(name),
            selection_mode=("box", "lasso"),
            config={"displaylogo": False, "scrollZoom": False, "modeBarButtonsToRemove": ["autoScale2d"]},
            alt=f"Map of {len(table):,} test cells as {name} arranges them, {wrong} of them answered wrong",
        )
    with table_tab:
        st.dataframe(
            tables.shown_columns(table),
            hide_index=True,
            key="map_table",
            on_select=lambda: take_row(name, table["image"].tolist()),
            selection_mode="single-row",
            column_config={
                "x": st.column_config.NumberColumn(format="%.1f"),
                "y": st.column_config.NumberColumn(format="%.1f"),
                "probability": st.column_config.NumberColumn(format="percent"),
            },
            alt=f"Every test cell with its place on the map, its class and the answer of {name}",
        )
        download_csv(tables.shown_columns(table), f"map_{name}", key="map_csv")


def show_selected(name: str, table: pd.DataFrame, region: str) -> None:
    """The cells of the region: how many of which class, how many wrong, and their images."""
    choose_listed(name, region)
    if not region:
        st.markdown(
            "**Draw around some cells** to see them here. The large crosses are wrong answers: at the "
            "rim of an island the network doubted, amid another type's island it took them for that type."
        )
        return
    chosen = tables.order_cells(table[tables.select_region(region, table)])
    if chosen.empty:
        st.info("No cell lies in this region.", icon=":material/highlight_alt:")
        return
    counts = tables.count_classes(chosen)
    wrong = int(counts["wrong"].sum())
    share = f"{wrong} wrong ({percent(wrong / len(chosen))})" if wrong else "all right"
    st.markdown(f"**{len(chosen):,} {'cell' if len(chosen) == 1 else 'cells'}**, {share}")
    classes = sorted(zip(counts["cells"], counts["true class"], strict=True), reverse=True)
    st.caption(" · ".join(count_of(int(number), str(label)) for number, label in classes))
    st.button("Clear", icon=":material/close:", key="map_clear", on_click=set_region, args=(tables.NOTHING, name))
    show_images(name, chosen)


@section
def show_images(name: str, chosen: pd.DataFrame) -> None:
    """The images of the selected cells where the dataset is here, else the same as a table."""
    try:
        with st.skeleton(height=240):
            images, matching = cache.load_split("test"), cache.match_predictions(name, "test")
    except DatasetError as error:
        show_as_table(chosen)
        missing_dataset(error, key="map")
        return
    assert matching is not None
    num_pages = -(-len(chosen) // IMAGES_PER_PAGE)
    page = min(st.session_state.get(PAGE, 1), num_pages)
    shown = chosen.iloc[(page - 1) * IMAGES_PER_PAGE :][:IMAGES_PER_PAGE]
    with st.grid("auto", min_column_width=76, gap="xsmall"):
        for cell in shown.to_dict("records"):
            place, label = int(matching.indices[cell["image"]]), int(cell["true_index"])
            mark = "✓" if cell["right"] else f"✗ {CLASS_CODES[int(cell['answer_index'])]}"
            if place < 0:
                st.caption(f"Not in the file here. {mark}")
                continue
            words = f"{cell['true']}, answered {cell['answer']}, {probability_text(cell['probability'])}"
            text = pictures.tile_label(
                images.images[place], class_color(label), f"{words}, test row {place}", f"{CLASS_CODES[label]} {mark}"
            )
            st.button(
                text,
                key=f"cell_map_{cell['image']}",
                type="tertiary",
                width="stretch",
                on_click=set_region,
                args=(str(cell["image"]), name),
            )
    if num_pages > 1:
        if st.session_state.get(PAGE, page) != page:
            st.session_state[PAGE] = page
        st.pagination(num_pages, key=PAGE)
    if len(chosen) == 1:
        one = chosen.iloc[0]
        st.markdown(
            f"{one['true'].capitalize()}, answered **{one['answer']}**, {probability_text(float(one['probability']))}."
        )
        place = int(matching.indices[one["image"]])
        if place >= 0 and INSIDE_PAGE.is_file():
            st.page_link(
                INSIDE_PAGE,
                label="Look inside the network at this cell",
                icon=":material/layers:",
                query_params={"inside_model": name, "inside_cell": f"test-{place}"},
            )
    st.caption(f"Border and code: the true class; ✗ with the answer. Wrong ones first. {describe_matching(matching)}")
    with st.expander("These cells as a table", icon=":material/table:"):
        show_as_table(chosen)


def show_as_table(chosen: pd.DataFrame) -> None:
    """The selected cells as rows, with a CSV button."""
    table = tables.shown_columns(chosen)
    st.dataframe(
        table,
        hide_index=True,
        key="map_selected",
        column_order=("image", "true", "answer", "probability", "right"),
        column_config={"probability": st.column_config.NumberColumn(format="percent")},
        alt="The selected cells with true class, answer and probability",
    )
    download_csv(table, "map_selected", key="map_selected_csv")


def offer_map(artifact: Artifact) -> None:
    """Say that this model has no map yet, which command makes it, and compute it here where the dataset is."""
    st.info(
        f"**{artifact.name}** has no map yet. This command computes it and stores it with the model:",
        icon=":material/map:",
    )
    st.code(f"./dev python -m bloodcell measure map {artifact.name}", language="bash")
    status = cache.dataset_status()
    if not status["available"]:
        missing_dataset(DatasetError(status["error"]), key="map_offer")
        return
    if st.session_state.get("map_wanted") == artifact.name:
        doing = f"**{artifact.name}** lays out all test cells."
        run_in_background(f"map {artifact.name}", lambda report: ensure_map(artifact, report), doing)
        return
    st.markdown("Or compute it now, once on this machine; it takes about a minute and goes on in the background.")
    if st.button("Compute the map", type="primary", key="map_compute", icon=":material/play_arrow:"):
        st.session_state["map_wanted"] = artifact.name
        st.rerun()


def describe_map(name: str) -> None:
    """How this map came about, from what was recorded with it."""
    found = cache_map.load_map(name)
    assert found is not None
    record = found.record
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
    how_computed(
        f"""
- **Features**: {record["num_features"]} numbers per cell, what {name}'s last linear layer reads
  ({record["layer"]}), for {record["num_cells"]:,} test cells of {record["dataset"]["label"]}.
- **Layout**: {record["method"]} (van der Maaten and Hinton 2008) of their first {record["num_components"]} principal
  components, perplexity {record["perplexity"]:g}, seed {record["seed"]}, started from the components; {versions},
  {record["date"]}. The axes mean nothing, so none are drawn.
- **What may be read from it**: near cells were near in the network. How far that holds says its trustworthiness,
  {percent(record["trustworthiness"])} over {record["num_neighbours"]} neighbours (Venna and Kaski 2001): at 100 %
  no cell has a neighbour here that was none there. Sizes of islands and distances between them mean little.
- **Answers** and probabilities are the stored ones of the test split, softmax(logits / T) with T fitted on val.
"""
    )


open_page("Map", "How does a network arrange the cells? Every test cell by what the last layer is told of it.")
st.html(pictures.GALLERY_STYLE)
show_damaged()
picker_side, colour_side = st.columns([4, 3], vertical_alignment="bottom")
with picker_side:
    chosen_model = model_picker(MODEL)
loaded = cache.load_artifact(chosen_model) if chosen_model else None
if chosen_model is None or loaded is None:
    missing_artifact(chosen_model)
    st.stop()
with colour_side:
    coloured_by = remembered_segments("Colour and shape by", COLOURINGS, COLOUR)
try:
    cells = cache_map.load_table(chosen_model)
except ArtifactDamagedError as error:
    st.error(str(error), icon=":material/broken_image:")
    st.stop()
if cells is None:
    offer_map(loaded)
    st.stop()
current_region = find_region(chosen_model, cells)
map_side, list_side = st.columns([8, 5], gap="medium")
with map_side:
    show_chart(chosen_model, cells, coloured_by, current_region)
with list_side:
    show_selected(chosen_model, cells, current_region)
research_use_notice()
data_source_line([chosen_model])
describe_map(chosen_model)

"""What is this cell?"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.inference.classifier import Answer
from bloodcell.inference.prediction_sets import COVERAGE, COVERAGES
from bloodcell.views import cache
from bloodcell.views import components_classify as brought
from bloodcell.views import figures_images as pictures
from bloodcell.views import tables_classify as tables
from bloodcell.views.components import (
    download_csv,
    how_computed,
    keep_choice,
    missing_artifact,
    open_page,
    research_use_notice,
    restore_choice,
    section,
    selected_models,
    show_damaged,
)
from bloodcell.views.components_answer import never_seen, show_answer
from bloodcell.views.components_cases import offer_case
from bloodcell.views.components_engines import pending_models, prepare_models, ready_models
from bloodcell.views.components_gallery import show_all
from bloodcell.views.components_selection import choose
from bloodcell.views.intake import GivenFile
from bloodcell.views.theme import class_color
from bloodcell.views.uploads import CellImage, Photo, choose_examples, photo_of_split

DATASET_PAGE = Path(__file__).with_name("dataset.py")
STYLE = """<style>
.st-key-classify_zone [data-testid="stFileUploaderDropzoneInstructions"] {display: none}
.st-key-classify_source label {position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)}
</style>"""
EMPTY_STYLE = """<style>
.st-key-classify_zone [data-testid="stFileUploaderDropzone"] {
  min-height: 32vh; display: flex; align-items: center; justify-content: center}
</style>"""
HOW = """
**Framing.** An image of 64 × 64 is taken as it is, an original of the dataset (340 to 380 pixels a side) by its middle
200 × 200. In anything else the cell is looked for, and framed as wide as 2.8 of the image's own red cells: how large a
cell lies in its frame matters to the networks as much as its colour. A field is cut up into its nucleated cells and
platelets. You may say otherwise, and move the frame.

**Refusals** come from the default classifier alone, whichever models are on. An image in which no cell is found is
refused; then its guard, where it has one, compares colours, layout and sharpness, then the network's features, with the
training images; last, more than one possible type, or none that is probable enough, means undecided. The page Trust
tells how often each happens.

**Probabilities.** Each network's outputs are divided by its temperature, fitted on val, before softmax: of the answers
given with 90 % probability about 90 % should be right, *on images like the training data*. The set of possible types is
split conformal, fitted on val. Eight views are the four quarter turns of the cell, each as it is and mirrored.

**Where the network looked** is the class activation map for networks that average their last feature map, Grad-CAM for
the others. **Similar cells** are the nearest by the default classifier's pooled features, each channel divided by its
spread within the types.
"""


def photo_of_address() -> Photo | None:
    """Return the cell of the dataset that the address names, None if it names none or the dataset is not here."""
    cell = cache.find_cell(str(st.query_params.get("cell", "")))
    return None if cell is None else photo_of_split(cache.load_split(cell[0]), cell[1])


def open_example(row: int) -> None:
    """Put a cell of the test split into the address."""
    st.query_params["cell"] = f"test-{row}"


def show_examples() -> None:
    """Eight cells of the test split, one per class, to click."""
    if not cache.dataset_status()["available"]:
        invitation = "Example cells appear here once the dataset is on this machine: the Dataset page offers it"
        st.page_link(DATASET_PAGE, label=invitation, icon=":material/database_off:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Or try a cell of the test split**, one of each type:", width="stretch")
        st.button("Other cells", icon=":material/shuffle:", key="classify_shuffle", on_click=shuffle_examples)
    images = cache.load_split("test")
    with st.grid(8, min_column_width=72, gap="xsmall"):
        for row in choose_examples(images.labels, st.session_state.get("classify_seed", 0)):
            label = int(images.labels[row])
            description = f"{CLASS_NAMES[label]}, test row {row}"
            st.button(
                pictures.tile_label(images.images[row], class_color(label), description, CLASS_CODES[label]),
                key=f"cell_classify_{row}",
                type="tertiary",
                width="stretch",
                on_click=open_example,
                args=(row,),
            )


def shuffle_examples() -> None:
    """Show eight other examples."""
    st.session_state["classify_seed"] = st.session_state.get("classify_seed", 0) + 1


def choose_settings() -> tuple[float, bool]:
    """Let the reader choose the coverage of the sets and whether eight views are averaged; both stay in the URL."""
    coverages = {f"{100 * coverage:g}": coverage for coverage in COVERAGES}
    default = f"{100 * COVERAGE:g}"
    restore_choice("classify_coverage", list(coverages), default)
    restore_choice("classify_views", ["1", "8"], "1")
    views = st.session_state["classify_views"]
    label = f"{st.session_state['classify_coverage']} % coverage, {'eight views' if views == '8' else 'one view'}"
    with st.popover(label, icon=":material/tune:", key="classify_settings"):
        st.selectbox(
            "Coverage of the set of possible types, %",
            list(coverages),
            key="classify_coverage",
            persist_state="session",
            on_change=choose,
            args=("classify_coverage",),
            help="More coverage, more cells with several possible types; less, more cells without any that is probable "
            "enough. Neither is answered",
        )
        st.radio(
            "Probabilities from",
            ["1", "8"],
            format_func={"1": "the image as it is", "8": "eight symmetric views, averaged"}.__getitem__,
            key="classify_views",
            persist_state="session",
            on_change=choose,
            args=("classify_views",),
        )
    keep_choice("classify_coverage", default)
    keep_choice("classify_views", "1")
    return coverages[st.session_state["classify_coverage"]], st.session_state["classify_views"] == "8"


def show_actions(
    photos: Sequence[Photo],
    answers: Mapping[str, Answer],
    scores: brought.PageScores,
    coverage: float,
    views: bool,
) -> None:
    """The way on to a case, the answers as CSV, and a fresh start."""
    given = [
        GivenFile(photo.file, photo.data, photo.specimen.kind, photo.wish.box, photo.page)
        for photo in photos
        if photo.data is not None and photo.specimen is not None and photo.cells
    ]
    if given:
        num_cells = sum(len(photo.cells) for photo in photos)
        offer_case(given, num_cells, key="classify_case", coverage=coverage, views=views, on_kept=brought.start_over)
    download_csv(tables.answers_table(photos, answers, scores), "answers", key="classify_csv")
    st.button("Start over", icon=":material/restart_alt:", on_click=brought.start_over, key="classify_restart")


def show_way_back(cells: Sequence[CellImage], opened: CellImage) -> None:
    """Back to all cells, and to the one before and after."""
    place = [cell.key for cell in cells].index(opened.key)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            f"All {len(cells)} cells",
            icon=":material/arrow_back:",
            on_click=brought.open_cell,
            args=(None,),
            key="classify_back",
        )
        for name, step, icon in (("previous", -1, "chevron_left"), ("next", 1, "chevron_right")):
            st.button(
                f"{name.capitalize()} cell",
                icon=f":material/{icon}:",
                on_click=brought.open_cell,
                args=(cells[(place + step) % len(cells)].key,),
                key=f"classify_{name}",
                help=f"{name.capitalize()} cell",
            )
        st.markdown(f"{place + 1} of {len(cells)}")


def show_brought(given: Sequence[brought.Given], example: Photo | None) -> None:
    """Read what is new, ask the models, and show one cell or all of them."""
    ready, missing = ready_models(selected_models())
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with row:
        coverage, views = choose_settings()
    photos = brought.read_photos(given, ready, coverage, views)
    brought.show_message()
    shown = photos if example is None else [example]
    cells = [cell for photo in shown for cell in photo.cells]
    answers = brought.answer_all(cells, coverage, views)
    scores = brought.score_all(cells, ready, views)
    opened = next((cell for cell in cells if cell.key == st.session_state.get(brought.OPEN)), None)
    is_single = len(shown) == 1 and not shown[0].is_field
    if opened is not None and not is_single and example is None:
        show_way_back(cells, opened)
    elif is_single and cells:
        opened = cells[0]
    default = brought.judge()
    needed = list(dict.fromkeys([*([cache.default_model()] if default is None else []), *missing]))
    if opened is not None:
        photo = next(photo for photo in shown if photo.key == opened.photo)
        show_answer(photo, opened, answers, scores[opened.key], pending_models(missing), coverage, "classify")
    elif is_single:
        st.error(
            pictures.escape_markdown(shown[0].error or ""),
            icon=":material/broken_image:",
            title="This file could not be read",
        )
    else:
        show_all(shown, answers, scores, default.fingerprint if default else "", "classify")
        research_use_notice()
        never_seen()
    with row:  # drawn above and sent after the answer, which is what the reader waits for
        if example is None:
            show_actions(photos, answers, scores, coverage, views)
        else:
            back = "Back to your images" if photos else "Close the example"
            st.button(back, icon=":material/arrow_back:", on_click=brought.close_example, key="classify_back")
    if needed:
        prepare_models([name for name in needed if name is not None])


@section
def show_page() -> None:
    """All below the heading: a dropped file waits for no navigation and no sidebar to be drawn anew."""
    with st.container(key="classify_zone"):
        given = brought.ask_for_images()
    example = photo_of_address()
    is_empty = not given and not brought.has_photos() and example is None
    # Replaced before any file is read, so that nothing jumps later.
    st.html(EMPTY_STYLE if is_empty else "<style></style>")
    if is_empty:
        brought.show_message()
        show_examples()
        how_computed(HOW)
        never_seen()
        research_use_notice()
        brought.warm_up()
        return
    show_brought(given, example)
    st.divider()
    show_examples()
    how_computed(HOW)


open_page(
    "Classify",
    "What is this cell? Drop images of single cells or of whole smear fields: each cell is found, framed, and answered "
    "or refused by the default classifier, with the selected models' opinions beside it.",
)
st.html(pictures.GALLERY_STYLE + STYLE)
show_damaged()
if not cache.load_shelf().artifacts:
    missing_artifact()
    research_use_notice()
    st.stop()

show_page()

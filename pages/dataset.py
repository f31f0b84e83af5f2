"""What are these cells?"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES, CLASS_NOTES, INPUT_SIZE, SPLITS
from bloodcell.errors import ArtifactDamagedError, BloodCellError, DatasetError
from bloodcell.inference.finder_frame import CellFrame, frame_cell
from bloodcell.inference.images import read_image, read_image_file
from bloodcell.published import load_reports
from bloodcell.views import cache, cache_held_out
from bloodcell.views import figures_cells as figures
from bloodcell.views import figures_images as pictures
from bloodcell.views import tables_dataset as tables
from bloodcell.views.cache_figures import draw_plotly
from bloodcell.views.components import (
    chart_with_table,
    for_projector,
    missing_dataset,
    open_page,
    remembered_segments,
    section,
    selected_models,
    theme_mode,
)
from bloodcell.views.components_selection import remembered_select
from bloodcell.views.theme import CLASS_GLYPHS, class_color, palette
from bloodcell.views.uploads import IMAGE_TYPES, MAXIMUM_UPLOAD_MB

TILES_PER_PAGE = 40
ALL = "all"
SAMPLE, STORED, OWN = "An original image", "A cell of the dataset", "Your own image"
CLASSIFY_PAGE = Path(__file__).with_name("classify.py")
STYLE = "<style>.st-key-dataset_cell_name h2 {font-size: 1.7rem; padding: 0}</style>"

ATTRIBUTION = (
    "Images: Acevedo, A., Merino, A., Alférez, S., Molina, Á., Boldú, L., Rodellar, J. (2020). *A dataset of "
    "microscopic peripheral blood cell images for development of automatic recognition systems.* Data in Brief "
    "30, 105474; data [doi 10.17632/snkd93bnjr.1](https://doi.org/10.17632/snkd93bnjr.1), "
    "[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/). Cropped, resized and split by "
    "[MedMNIST](https://medmnist.com) as BloodMNIST."
)
DEFECTS = """
- **One laboratory.** Hospital Clínic de Barcelona, one analyser (CellaVision DM96), one stain, healthy donors. There is
  no blast and no disease in it: a network has never seen them.
- **No donor identifiers.** The split is by image, not by donor, so cells of one person can lie on both sides of it, and
  the measured accuracy is that of new cells of known donors.
- **Twins.** At 28×28 pixels 17 pairs of images are identical, 9 of them with one twin in each of two splits, and one
  image is there under two labels (`EO_225902` as eosinophil in train, `BNE_191112` as neutrophil in test).
- **Coarse names.** The original names say more than the eight labels: immature granulocytes are promyelocytes,
  myelocytes and metamyelocytes; neutrophils are bands and segmented forms.
"""
RECONSTRUCTION_DEFECTS = """
- **A reconstruction.** This file was rebuilt from the 17,092 original images by MedMNIST's recipe. It is not MedMNIST's
  own download, and pixel for pixel the two could not be compared.
- **257 guessed places.** The split was recovered by matching published fingerprints. It is certain for all but 257
  images, nearly all of them platelets, 67 in test; for about 118 of these the split (never the label) is expected to be
  wrong. The order inside val is not known.
"""


def known_counts() -> tuple[pd.DataFrame, dict[str, int], str, str]:
    """Return images per class and known split, images per split, which file they come from, and its kind."""
    try:
        counts = cache.load_class_counts()
        status = cache.dataset_status()
        num_images = {split: int(counts[split].sum()) for split in SPLITS}
        return counts, num_images, f"the dataset's file on this machine: {status['label']}", status["kind"]
    except DatasetError:
        pass
    for name, artifact in cache.load_shelf().artifacts.items():
        labels = {split: stored.y_true for split in ("val", "test") if (stored := cache.load_predictions(name, split))}
        source = artifact.manifest.dataset
        origin = f"the stored answers of {name}, measured on {source['label']}"
        return tables.count_classes(labels), source["num_images"], origin, source["kind"]
    reports = load_reports()
    test = reports[reports["name"] == reports["name"].iloc[0]].set_index("class_index")
    support = test.loc[list(range(len(CLASS_NAMES))), "support"].to_numpy(np.int64)
    counts = pd.DataFrame({"test": support}, index=pd.Index(CLASS_NAMES, name="class"))
    return counts, {"test": int(support.sum())}, "the study's published reports, on the official BloodMNIST", "official"


def show_class_cards(counts: pd.DataFrame, has_images: bool) -> None:
    """One card per class: a typical cell, its name and symbol, its numbers, how it is recognised."""
    typical = cache.load_typical_rows("test") if has_images else {}
    with st.grid(4, min_column_width=200, gap="small"):
        for label, name in enumerate(CLASS_NAMES):
            with st.container(border=True, height="stretch", gap="xsmall"):
                with st.container(horizontal=True, gap="small", vertical_alignment="center", wrap=False):
                    if label in typical:
                        pixels = cache.load_split("test").images[typical[label]]
                        tile = pictures.tile_png(pixels, class_color(label), border=6)
                        st.image(tile, width=64, alt=f"A typical {name}, test row {typical[label]}")
                    glyph = f':color[{CLASS_GLYPHS[label]}]{{foreground="{class_color(label)}"}}'
                    st.markdown(
                        f"{glyph} **{name.capitalize()}**  \n:small[:gray[{CLASS_CODES[label]} · label {label}]]"
                    )
                st.markdown(f":small[{CLASS_NOTES[name].text}]")
                st.space("stretch")
                st.caption(" · ".join(f"{number:,} {split}" for split, number in counts.loc[name].items()))
    with st.expander("Who describes them so, and which cell is typical", icon=":material/menu_book:"):
        sources = "\n".join(f"- {name.capitalize()}: {CLASS_NOTES[name].source}" for name in CLASS_NAMES)
        st.markdown(f"{sources}\n\nThe typical cell is the test image nearest to the mean image of its class.")


def open_cell(split: str, row: int) -> None:
    """Put a cell into the address; the page then shows it enlarged."""
    st.query_params["cell"] = f"{split}-{row}"


def close_cell() -> None:
    """Take the cell out of the address."""
    st.query_params.pop("cell", None)


def cell_of_address() -> tuple[str, int] | None:
    """Return split and row that the address names, None if it names none that exists."""
    return cache.find_cell(str(st.query_params.get("cell", "")))


def begin_at_first_page(*filters: str) -> None:
    """Begin with the first page of the gallery again where another split or class is shown than before."""
    before = st.session_state.setdefault("dataset_filters", filters)
    if before != filters:
        st.session_state["dataset_filters"] = filters
        st.session_state["dataset_page"] = 1


@section
def show_gallery() -> None:
    """Images by split and class, paged; a click on one, or Enter, enlarges it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        split = remembered_segments("Split", dict(zip(SPLITS, SPLITS, strict=True)), "dataset_split", default="test")
        classes = {name: f"{glyph} {name}" for name, glyph in zip(CLASS_NAMES, CLASS_GLYPHS, strict=True)}
        chosen = remembered_select("Class", {ALL: ALL} | classes, "dataset_class", default=ALL)
    begin_at_first_page(split, chosen)
    with st.skeleton(height=400):
        images = cache.load_split(split)
    rows = np.arange(images.num_images)
    if chosen != ALL:
        rows = np.flatnonzero(images.labels == CLASS_NAMES.index(chosen))
    if len(rows) == 0:
        st.info(f"There is no {chosen} in {split}.")
        return
    num_pages = -(-len(rows) // TILES_PER_PAGE)
    grid = st.container()
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        page = min(st.pagination(num_pages, key="dataset_page", bind="query-params"), num_pages)
        first = (page - 1) * TILES_PER_PAGE
        shown = rows[first : first + TILES_PER_PAGE]
        st.caption(f"{first + 1:,} to {first + len(shown):,} of {len(rows):,}, in the order of the file")
    with grid, st.grid("auto", min_column_width=84, gap="xsmall"):
        for row in shown.tolist():
            label = int(images.labels[row])
            st.button(
                pictures.tile_label(
                    images.images[row],
                    class_color(label),
                    f"{CLASS_NAMES[label]}, {split} row {row}",
                    CLASS_CODES[label],
                ),
                key=f"cell_dataset_{split}_{row}",
                type="tertiary",
                width="stretch",
                on_click=open_cell,
                args=(split, row),
            )
    cell = cell_of_address()
    if cell is not None:
        show_cell(*cell)


@st.dialog("One cell", width=860, on_dismiss=close_cell)
def show_cell(split: str, row: int) -> None:
    """One image, large: where it comes from, and what every selected model answered."""
    split, row = cell_of_address() or (split, row)
    images = cache.load_split(split)
    label = int(images.labels[row])
    picture, facts = st.columns([2, 3])
    with picture:
        tile = pictures.tile_png(images.images[row], class_color(label), factor=6, border=12)
        st.image(tile, width="stretch", alt=f"{CLASS_NAMES[label]}, {split} row {row}, every pixel shown as a square")
        with st.container(horizontal=True):
            for text, icon, step in (("Previous", "chevron_left", -1), ("Next", "chevron_right", 1)):
                target = neighbour(images.labels, row, step)
                icon = f":material/{icon}:"
                st.button(text, icon=icon, key=f"dataset_step_{step}", on_click=open_cell, args=(split, target))
    with facts:
        glyph = f':color[{CLASS_GLYPHS[label]}]{{foreground="{class_color(label)}"}}'
        with st.container(key="dataset_cell_name"):
            st.header(f"{glyph} {CLASS_NAMES[label].capitalize()}", anchor=False)
        st.table(
            {
                "Split and row": f"{split}, row {row}",
                "Label": f"{label} ({CLASS_CODES[label]})",
                "Pixel hash": f"`{int(images.image_hashes[row]):016x}`",
                "From": images.identity.label,
            },
            border="horizontal",
            alt="Where this image comes from",
        )
        show_stored_answers(split, row, label)
        if CLASSIFY_PAGE.is_file():
            st.page_link(
                CLASSIFY_PAGE,
                label="Classify this cell now",
                icon=":material/hematology:",
                query_params={"cell": f"{split}-{row}"},
            )


def neighbour(labels: np.ndarray, row: int, step: int) -> int:
    """Return the next or previous row, among those of the chosen class where one is chosen; the ends meet."""
    chosen = st.session_state.get("dataset_class", ALL)
    rows = np.arange(len(labels)) if chosen == ALL else np.flatnonzero(labels == CLASS_NAMES.index(chosen))
    places = np.flatnonzero(rows == row)
    return int(rows[(places[0] + step) % len(rows)]) if len(places) else (row + step) % len(labels)


def show_stored_answers(split: str, row: int, label: int) -> None:
    """What every selected model answered about this image when it was evaluated."""
    if split == "train":
        show_held_out_answers(row, label)
        return
    names = selected_models()
    if not names:
        st.caption("No model is selected; switch one on in the sidebar to see its answer.")
        return
    answers = {}
    for name in names:
        probabilities, matching = cache.load_probabilities(name, split), cache.match_predictions(name, split)
        if probabilities is not None and matching is not None:
            answers[name] = (probabilities, matching.indices)
    draw_answers(tables.stored_answers_table(row, label, answers), "What each selected model answered about this image")


def show_held_out_answers(row: int, label: int) -> None:
    """What networks answered about a train image that had not learned from it, and whether its label is in doubt."""
    learned = "Answers are stored for val and test only: the models learned from these images."
    try:
        answers, issues = cache_held_out.load_held_out_answers(), cache_held_out.load_label_issues()
    except ArtifactDamagedError as error:
        st.warning(f"{learned} {error}", icon=":material/broken_image:")
        return
    if not answers or issues is None:
        st.caption(learned)
        return
    draw_answers(tables.stored_answers_table(row, label, answers), "What networks answered that never saw this image")
    st.caption("The models learned from this image; these networks, of a cross-validation, did not.")
    places = next(iter(answers.values()))[1]
    if row in places[issues.rows]:
        st.markdown(":material/help: **The label is in doubt**: Findings lists it under “Which labels look wrong?”")


def draw_answers(table: pd.DataFrame, alt: str) -> None:
    """One row per network: right or wrong, its answer, how probable it holds that to be."""
    st.dataframe(
        table.assign(probability=100 * table["probability"]),
        hide_index=True,
        column_config={
            "verdict": st.column_config.TextColumn(width=75),
            "answer": st.column_config.TextColumn(width=165),
            "probability": st.column_config.NumberColumn(format="%.1f %%", width=80),
        },
        alt=alt,
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def frame_once(pixels: np.ndarray) -> CellFrame:
    """Return an image framed as Classify frames it: looking for the cell takes half a second. Read only."""
    return frame_cell(pixels)


def show_preprocessing() -> None:
    """One image on its road to a network's input, step by step."""
    pixels = choose_image()
    if pixels is None:
        return
    try:
        framed = frame_once(pixels)
    except BloodCellError as error:
        st.error(str(error), icon=":material/broken_image:")
        return
    if framed.warning:
        st.warning(framed.warning, icon=":material/crop:")
    steps = tables.framing_steps(pixels, framed)
    if framed.kind == "dataset":
        st.caption("The file holds the result of the first steps, 64 × 64 pixels; the original image is not in it.")
    with st.grid(4, min_column_width=150):
        for number, step in enumerate(steps, start=1):
            with st.container():
                shown = step.pixels
                if number == 1 and framed.kind != "dataset":
                    smaller, box = pictures.shrink_to(shown, tables.clip_box(framed.box, shown), 480)
                    shown = pictures.draw_frame(smaller, box, palette(theme_mode()).accent)
                st.image(pictures.enlarge_to(shown, 256), width="stretch", alt=f"{step.title}. {step.text}")
                st.markdown(f"**{number}. {step.title}**  \n:small[{step.text}]")
        with st.container():
            figure = draw_plotly(figures.pixel_values_figure, framed.pixels, theme_mode())
            st.plotly_chart(
                for_projector(figure), key="dataset_values", alt="Red values of the middle 6 × 6 pixels, divided by 255"
            )
            st.markdown(
                f"**{len(steps) + 1}. Values in [0, 1]**  \n:small[Every value is divided by 255; here red of the "
                f"middle 6 × 6 pixels. A network gets {INPUT_SIZE} × {INPUT_SIZE} × 3 such numbers.]"
            )


def choose_image() -> np.ndarray | None:
    """Let the reader choose the image whose road is shown; return its pixels, None while there is none."""
    folder = Path(os.environ.get("BLOODCELL_SAMPLES", ""))
    samples = sorted(folder.glob("*.jpg")) if folder.name else []
    available = {SAMPLE: bool(samples), STORED: has_dataset(), OWN: True}
    sources = [source for source, there in available.items() if there]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = st.segmented_control("Show", sources, key="dataset_source", default=sources[0], required=True)
        if source == SAMPLE:
            file = st.selectbox("File", samples, format_func=lambda path: path.name, key="dataset_sample", width=260)
        elif source == STORED:
            name = st.selectbox("The typical", CLASS_NAMES, key="dataset_typical", width=260)
    try:
        if source == STORED:
            row = cache.load_typical_rows("test").get(CLASS_NAMES.index(name), 0)
            return cache.load_split("test").images[row]
        if source == SAMPLE:
            return read_image_file(file).pixels
        upload = st.file_uploader(
            "An image of one cell", type=IMAGE_TYPES, key="dataset_own", max_upload_size=MAXIMUM_UPLOAD_MB
        )
        return None if upload is None else read_image(upload.getvalue(), upload.name).pixels
    except BloodCellError as error:
        st.error(str(error), icon=":material/broken_image:")
        return None


def has_dataset() -> bool:
    """Return whether the dataset is on this machine and can be read."""
    return bool(cache.dataset_status()["available"])


open_page(
    "Dataset", "What are these cells? Eight types of normal blood cells, one to an image, as the networks see them."
)
st.html(pictures.GALLERY_STYLE + STYLE)
counts, num_images, origin, kind = known_counts()
in_all = " · ".join(f"{num_images[split]:,} {split}" for split in SPLITS if split in num_images)
st.markdown(f"**{sum(num_images.values()):,} images**: {in_all}.  \n:small[:gray[Counted in {origin}.]]")
status = cache.dataset_status()
if not status["available"]:
    missing_dataset(DatasetError(status["error"]), key="dataset")
show_class_cards(counts, has_images=status["available"])

st.header("How many of each", anchor="balance")
chart_with_table(
    draw_plotly(figures.class_balance_figure, counts, theme_mode()),
    tables.balance_table(counts),
    key="dataset_balance",
    alt="Images per class and split: neutrophils are the most frequent, basophils and lymphocytes the rarest",
    column_config={"share": st.column_config.NumberColumn(format="percent")},
)

st.header("Gallery", anchor="gallery")
if status["available"]:
    show_gallery()
else:
    st.caption("The images appear here as soon as the dataset is on this machine.")

st.header("From image to network", anchor="preprocessing")
show_preprocessing()

st.header("Where it comes from, and what is wrong with it", anchor="defects")
st.markdown((RECONSTRUCTION_DEFECTS if kind == "reconstruction" else "") + DEFECTS)
st.caption(ATTRIBUTION)

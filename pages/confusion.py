"""What does a model mix up?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from bloodcell.artifact import Predictions
from bloodcell.dataset import CLASS_CODES, CLASS_NAMES, Split, match_images
from bloodcell.errors import DatasetError
from bloodcell.views import cache
from bloodcell.views import figures_evaluation as figures
from bloodcell.views import figures_images as pictures
from bloodcell.views import tables_confusion as tables
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
    remembered_toggle,
    research_use_notice,
    restore_choice,
    section,
    selected_models,
    show_damaged,
    theme_mode,
)
from bloodcell.views.quantities import percent, points
from bloodcell.views.selection import family_order
from bloodcell.views.theme import CLASS_GLYPHS, class_color

FIRST, SECOND, VALUES, ERRORS, SPLIT, CELL, CALLED_BY, PAGE = (
    f"confusion_{name}" for name in ("model", "second", "values", "errors_only", "split", "cell", "called_by", "page")
)
ALONE = "none"
PUBLISHED = "published "
HEIGHT, SMALL_HEIGHT = 430, 330
NUM_PAIRS = 9
IMAGES_PER_PAGE = 24
CELLS = [(true, predicted) for true in range(len(CLASS_NAMES)) for predicted in range(len(CLASS_NAMES))]
CELL_LABELS = [f"{CLASS_NAMES[true]} called {CLASS_NAMES[predicted]}" for true, predicted in CELLS]
DEFINITIONS = """
- A **row** holds the images that truly are of one class, a **column** those that were answered so; the diagonal
  is right. *Row %* of the diagonal is recall, *column %* is precision.
- Colour follows the square root of the value, so that 1 % can be told from nothing. Cells without images are blank.
- The **difference** is the first matrix minus the second: percentage points, or images for counts.
- **Confidence** is the calibrated probability of the answer, softmax(logits / T) with T fitted on val.
- Stored answers belong to images, not to places in a file: they are matched by a hash of the pixels, and in test by
  place only where the pixels differ and the label agrees.
- **Published** matrices are the study's, on test; it prints those of two networks, and no image behind them.
"""


@dataclass(frozen=True, eq=False)
class Source:
    """One confusion matrix on the page: how it is called, its counts, and the trained model behind it, if any."""

    label: str
    matrix: np.ndarray
    model: str | None


def choose_cell(true: int, predicted: int, called_by: str = "either") -> None:
    """Make one cell the chosen one, and begin with the first page of its images."""
    choose(CELL, CELL_LABELS[CELLS.index((true, predicted))])
    st.session_state[CALLED_BY] = called_by
    st.session_state[PAGE] = 1


def take_clicked_cell(key: str, called_by: str) -> None:
    """Take the cell that was clicked in a matrix."""
    clicked = st.session_state[key]["selection"]["points"]
    if clicked:
        choose_cell(round(clicked[0]["y"]), round(clicked[0]["x"]), called_by)


def take_table_cell(key: str, called_by: str) -> None:
    """Take the cell that was chosen in the table twin, by mouse or by arrow keys."""
    cells = st.session_state[key]["selection"]["cells"]
    if cells and cells[0][1] in CLASS_NAMES:
        choose_cell(cells[0][0], CLASS_NAMES.index(cells[0][1]), called_by)


def take_listed_cell() -> None:
    """Take the cell that was chosen in the list of all cells."""
    choose(CELL)
    begin_images_again()


def begin_images_again() -> None:
    """Show the first page of images."""
    st.session_state[PAGE] = 1


def put_published_beside(name: str) -> None:
    """Take the published matrix of a network as the second."""
    choose(SECOND, f"{PUBLISHED}{name}")


def choose_second(first: str) -> str:
    """Let the reader put another trained model or a published matrix beside the first."""
    trained = [name for name in family_order(cache.leaderboard()) if name != first]
    options = [ALONE, *trained, *(f"{PUBLISHED}{name}" for name in tables.list_published_matrices())]
    restore_choice(SECOND, options, ALONE)
    beside = st.selectbox(
        "Compare with",
        options,
        key=SECOND,
        persist_state="session",
        on_change=choose,
        args=(SECOND,),
        help="Another trained model, or a matrix that the study printed (test only).",
    )
    keep_choice(SECOND, ALONE)
    return beside


def choose_listed_cell(first: Source) -> None:
    """Let the reader choose the cell by name; where nothing was chosen, the pair most often confused is."""
    top = tables.list_confused_pairs(first.matrix, CLASS_NAMES, 1)
    default = CELL_LABELS[CELLS.index((top[0].true, top[0].predicted)) if top else 0]
    restore_choice(CELL, CELL_LABELS, default)
    st.selectbox("Chosen cell", CELL_LABELS, key=CELL, persist_state="session", on_change=take_listed_cell)
    keep_choice(CELL, default)


def choose_view() -> tuple[str, bool, str]:
    """Let the reader choose how cells are expressed, whether the diagonal is shown, and the split."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        normalize = remembered_segments(
            "Cells show", tables.NORMALIZATIONS, VALUES, "Row %: of the true class. Column %: of all answered so."
        )
        split = remembered_segments("Split", {"test": "test", "val": "val"}, SPLIT)
        errors_only = remembered_toggle("Errors only", ERRORS, help="Leave out what was right.")
    return normalize, errors_only, split


def find_source(choice: str, split: str) -> Source | None:
    """Return the matrix that a choice names; None if there is none for this split."""
    if choice.startswith(PUBLISHED):
        matrix = tables.find_published_matrix(choice.removeprefix(PUBLISHED), len(CLASS_NAMES))
        return Source(choice, matrix, None) if matrix is not None and split == "test" else None
    evaluation = cache.load_evaluation(choice, split)
    return None if evaluation is None else Source(choice, evaluation.confusion_matrix, choice)


def show_matrix(
    source: Source, called_by: str, normalize: str, errors_only: bool, small: bool = False, highest: float | None = None
) -> None:
    """One matrix to click, and the same as a table to walk through with the arrow keys."""
    values = tables.normalize_matrix(source.matrix, normalize)
    figure = draw_plotly(
        figures.confusion_matrix_figure,
        source.matrix,
        CLASS_NAMES,
        CLASS_CODES,
        normalize=normalize,
        mode=theme_mode(),
        errors_only=errors_only,
        selected=chosen_cell(),
        highest=highest,
        small=small,
        height=SMALL_HEIGHT if small else HEIGHT,
    )
    right = np.trace(source.matrix) / max(int(source.matrix.sum()), 1)
    alt = f"Confusion matrix of {source.label}, {percent(right)} right"
    show_clickable(f"**{source.label}**", figure, values, normalize, f"confusion_{called_by}", called_by, alt)


def show_difference(first: Source, second: Source, normalize: str, errors_only: bool) -> None:
    """The first matrix minus the second, to click, and as a table."""
    first_values, second_values = (tables.normalize_matrix(source.matrix, normalize) for source in (first, second))
    figure = draw_plotly(
        figures.difference_matrix_figure,
        first.matrix,
        second.matrix,
        CLASS_NAMES,
        CLASS_CODES,
        names=(first.label, second.label),
        normalize=normalize,
        mode=theme_mode(),
        errors_only=errors_only,
        selected=chosen_cell(),
        small=True,
        height=SMALL_HEIGHT,
    )
    alt = f"Difference of the confusion matrices of {first.label} and {second.label}"
    difference = first_values - second_values
    show_clickable("Difference, left − right", figure, difference, normalize, "confusion_difference", "either", alt)


def show_clickable(
    heading: str, figure: go.Figure, values: np.ndarray, normalize: str, key: str, called_by: str, alt: str
) -> None:
    """A matrix as a chart and as a table; a cell chosen in either is the page's chosen cell."""
    chart_tab, table_tab = st.tabs([heading, "Table"], key=f"{key}_view")
    with chart_tab:
        st.plotly_chart(
            for_projector(figure),
            key=f"{key}_chart",
            on_select=lambda: take_clicked_cell(f"{key}_chart", called_by),
            selection_mode="points",
            config={"displayModeBar": False, "scrollZoom": False},
            alt=alt,
        )
    with table_tab:
        table = tables.matrix_table(values * (1 if normalize == "count" else 100), CLASS_NAMES)
        number_format = "%d" if normalize == "count" else "%.1f %%"
        columns = {
            name: st.column_config.NumberColumn(code, help=f"Called {name}", format=number_format, width=64)
            for name, code in zip(CLASS_NAMES, CLASS_CODES, strict=True)
        }
        st.dataframe(
            table,
            key=f"{key}_table",
            on_select=lambda: take_table_cell(f"{key}_table", called_by),
            selection_mode="single-cell",
            column_config=columns,
            alt=f"{alt}, as a table: rows are the true classes",
        )
        download_csv(table.reset_index(), key, key=f"{key}_csv")


def chosen_cell() -> tuple[int, int]:
    """Return (true, predicted) of the chosen cell."""
    return CELLS[CELL_LABELS.index(st.session_state[CELL])]


def show_chosen(*sources: Source) -> None:
    """The chosen cell in a sentence per matrix."""
    for source in sources:
        sentence = tables.describe_cell(source.matrix, CLASS_NAMES, *chosen_cell())
        st.markdown(f"**{source.label}**: {sentence}." if len(sources) > 1 else f"**{sentence}.**")


def show_pairs(first: Source) -> None:
    """The pairs most often confused, to click."""
    pairs = tables.list_confused_pairs(first.matrix, CLASS_NAMES, NUM_PAIRS)
    num_errors = int(first.matrix.sum() - np.trace(first.matrix))
    st.markdown(f"**Most often confused**  \n:small[{num_errors:,} of {int(first.matrix.sum()):,} images are wrong]")
    if not pairs:
        st.caption("Nothing: every image is right.")
    with st.container(gap=None):
        for pair in pairs:
            names = f"{CLASS_NAMES[pair.true]} → {CLASS_NAMES[pair.predicted]}"
            show_cell_button(pair.true, pair.predicted, f"{names} · **{pair.num_images}** ({percent(pair.share)})")


def show_changes(first: Source, second: Source) -> None:
    """The cells in which two matrices differ most, to click."""
    st.markdown(
        "**Largest differences**  \n"
        f":small[In the middle: violet and + where {first.label} has more, orange and − where {second.label} has. "
        "Below, of the true class:]"
    )
    changes = tables.list_largest_changes(first.matrix, second.matrix, NUM_PAIRS)
    if not changes:
        st.caption("None: the two matrices are equal.")
    with st.grid(2, min_column_width=260, gap=(None, "small")):
        for change in changes:
            called = "right" if change.true == change.predicted else f"→ {CLASS_NAMES[change.predicted]}"
            numbers = f"**{points(change.difference)}** ({change.num_first} against {change.num_second})"
            show_cell_button(change.true, change.predicted, f"{CLASS_NAMES[change.true]} {called} · {numbers}")


def show_cell_button(true: int, predicted: int, label: str) -> None:
    """One line of a list that chooses a cell."""
    st.button(
        f":primary[{label} :material/arrow_back:]" if (true, predicted) == chosen_cell() else label,
        key=f"confusion_pair_{true}_{predicted}",
        type="tertiary",
        on_click=choose_cell,
        args=(true, predicted),
        wrap=True,
    )


@section
def show_images(first: Source, second: Source | None, split: str) -> None:
    """The images of the chosen cell, with every selected model's answer and confidence."""
    true, predicted = chosen_cell()
    trained = [source.model for source in (first, second) if source is not None and source.model]
    reference = cache.load_predictions(trained[0], split) if trained else None
    if reference is None:
        return
    shown = list(dict.fromkeys([*trained, *selected_models()]))
    answers = load_answers(shown, split, reference)
    st.header(f"{CLASS_GLYPHS[true]} {CELL_LABELS[CELLS.index((true, predicted))].capitalize()}", anchor=False)
    called_by = choose_called_by(trained)
    rows = tables.select_rows(reference, true, predicted, answers, trained if called_by not in trained else [called_by])
    if called_by == "only one":
        agreed = np.all([answers[name].y_pred[rows] == predicted for name in trained], axis=0)
        rows = rows[~agreed]
    if not len(rows):
        by = {"either": "", "only one": " by exactly one of the two"}.get(called_by, f" by {called_by}")
        text = f"No {CLASS_NAMES[true]} of {split} was called {CLASS_NAMES[predicted]}{by if len(trained) > 1 else ''}."
        st.info(text, icon=":material/check:")
        return
    order = tables.IMAGE_ORDERS[true != predicted]
    st.caption(
        f"{tables.count_of(len(rows), CLASS_NAMES[true])}, {order}. :material/check: right, :material/close: wrong. "
        f"The border is the colour of the true class, {CLASS_NAMES[true]}."
    )
    research_use_notice()
    table = tables.answers_table(rows, reference, answers, CLASS_NAMES)
    try:
        with st.skeleton(height=320):
            images = cache.load_split(split)
    except DatasetError as error:
        missing_dataset(error, key="confusion")
        show_answers_table(table)
        return
    show_gallery(rows, reference, answers, images, true)
    with st.expander("These answers as a table", icon=":material/table:"):
        show_answers_table(table)


def choose_called_by(trained: Sequence[str]) -> str:
    """With two trained models, let the reader choose whose answer puts an image into the cell."""
    if len(trained) < 2:
        return trained[0]
    options = {"first": trained[0], "second": trained[1], "either": "either", "only one": "only one of them"}
    restore_choice(CALLED_BY, list(options), "either")
    chosen = st.segmented_control(
        "Answered so by",
        list(options),
        format_func=lambda option: options[option],
        key=CALLED_BY,
        required=True,
        persist_state="session",
        on_change=begin_images_again,
    )
    keep_choice(CALLED_BY, "either")
    return options[chosen] if chosen in ("first", "second") else cast(str, chosen)


def load_answers(names: Sequence[str], split: str, reference: Predictions) -> dict[str, tables.Answers]:
    """Return what each model answered for the rows of `reference`."""
    answers = {}
    for name in names:
        artifact, predictions = cache.load_artifact(name), cache.load_predictions(name, split)
        if artifact is not None and predictions is not None:
            answers[name] = tables.collect_answers(name, predictions, artifact.manifest.temperature, reference)
    return answers


def show_gallery(
    rows: np.ndarray, reference: Predictions, answers: dict[str, tables.Answers], images: Split, true: int
) -> None:
    """One page of images, enlarged by whole pixels, each with the answers of all models."""
    matching = match_images(reference.image_hashes, reference.y_true, images)
    st.html(pictures.GALLERY_STYLE)
    num_pages = -(-len(rows) // IMAGES_PER_PAGE)
    page = min(st.session_state.get(PAGE, 1), num_pages)
    grid = st.grid("auto", min_column_width=148, gap=("medium", "small"))
    for row in rows[(page - 1) * IMAGES_PER_PAGE : page * IMAGES_PER_PAGE].tolist():
        with grid.cell(), st.container(gap="xsmall"):
            place = int(matching.indices[row])
            if place >= 0:
                tile = pictures.tile_png(images.images[place], class_color(true))
                st.image(tile, alt=f"{CLASS_NAMES[true]}, {images.name} row {place}")
            else:
                st.caption("This image is not in the dataset's file here.")
            st.markdown(
                "  \n".join(tables.describe_answer(answer, row, true, CLASS_NAMES) for answer in answers.values())
            )
    if num_pages > 1:
        if st.session_state.get(PAGE, page) != page:  # one that it already has would be set twice
            st.session_state[PAGE] = page
        st.pagination(num_pages, key=PAGE)
    st.caption(f":material/link: {tables.describe_matching(matching)} The file: {images.identity.label}.")


def show_answers_table(table: pd.DataFrame) -> None:
    """The same images as rows: place, pixel hash, true class, and each model's answer."""
    shares = [column for column in table.columns if column.endswith(" confidence")]
    st.dataframe(
        table,
        hide_index=True,
        key="confusion_answers",
        column_config={
            "image": st.column_config.NumberColumn("Image", help="Row of the split, from 0"),
            **dict.fromkeys(shares, st.column_config.NumberColumn(format="percent")),
        },
        alt="Images of the chosen cell with every model's answer and confidence",
    )
    download_csv(table, "confusion_answers", key="confusion_answers_csv")


def show_alone(first: Source, normalize: str, errors_only: bool, has_published: bool) -> None:
    """One matrix, large; beside it the chosen cell and the pairs most often confused."""
    matrix_side, list_side = st.columns([8, 5], gap="medium")
    with list_side:
        choose_listed_cell(first)
        show_chosen(first)
        show_pairs(first)
        if has_published:
            label = "Put the study's matrix beside it"
            st.button(label, key="confusion_put", on_click=put_published_beside, args=(first.label,))
    with matrix_side:
        show_matrix(first, "first", normalize, errors_only)


def show_side_by_side(first: Source, second: Source, normalize: str, errors_only: bool) -> None:
    """Two matrices with their difference between them; above the chosen cell, below the largest differences."""
    cell_side, sentence_side = st.columns([2, 3], gap="medium", vertical_alignment="bottom")
    with cell_side:
        choose_listed_cell(first)
    with sentence_side:
        show_chosen(first, second)
    first_side, difference_side, second_side = st.columns(3, gap="small")
    highest = max(figures.highest_value(source.matrix, normalize, errors_only) for source in (first, second))
    with first_side:
        show_matrix(first, "first", normalize, errors_only, small=True, highest=highest)
    with difference_side:
        show_difference(first, second, normalize, errors_only)
    with second_side:
        show_matrix(second, "second", normalize, errors_only, small=True, highest=highest)
    show_changes(first, second)


open_page(
    "Confusion", "What does it mix up? Click a cell of the matrix: its images open below with every model's answer."
)
show_damaged()
left, right = st.columns([3, 2], vertical_alignment="bottom")
with left:
    chosen = model_picker(FIRST)
if chosen is None:
    missing_artifact()
    st.stop()
with right:
    beside = choose_second(chosen)
values_shown, without_diagonal, chosen_split = choose_view()
one = find_source(chosen, chosen_split)
two = None if beside == ALONE else find_source(beside, chosen_split)
if one is None:
    missing_artifact(chosen)
    st.stop()
if beside != ALONE and two is None:
    st.info(f"There is no matrix called “{beside}” on {chosen_split}: the study prints test only.")
if two is None:
    is_published = chosen in tables.list_published_matrices() and chosen_split == "test"
    show_alone(one, values_shown, without_diagonal, is_published)
else:
    show_side_by_side(one, two, values_shown, without_diagonal)
show_images(one, two, chosen_split)
data_source_line([source.model for source in (one, two) if source is not None and source.model])
how_computed(DEFINITIONS)

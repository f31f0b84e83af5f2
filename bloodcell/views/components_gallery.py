"""Many cells at once: fields with their boxes, tiles by type with the least certain first, the differential beside."""

from collections.abc import Mapping, Sequence

import streamlit as st

from bloodcell.cases.differential import compute_differential
from bloodcell.dataset import CLASS_NAMES
from bloodcell.inference.classifier import Answer
from bloodcell.views import figures_images as pictures
from bloodcell.views import tables_classify as tables
from bloodcell.views.components_classify import OPEN, PageScores, batch_columns, kind_control, open_cell
from bloodcell.views.components_picture import boxes_picture
from bloodcell.views.components_review import SIDE_STYLE, show_differential
from bloodcell.views.components_selection import remembered_segments, theme_mode
from bloodcell.views.quantities import probability_text
from bloodcell.views.theme import class_color, palette
from bloodcell.views.uploads import CellImage, Photo

TILES_SHOWN = 60
"""Tiles of a group that are drawn before the reader asks for the rest."""
VIEWS = {"gallery": "Gallery", "table": "Table"}


def show_all(
    photos: Sequence[Photo], answers: Mapping[str, Answer], scores: PageScores, fingerprint: str, key: str
) -> None:
    """Show all cells of all files; opening one is up to the reader.

    Args:
        photos: All files, read or not.
        answers: The default model's word by the key of a cell.
        scores: What every selected model says, for the table.
        fingerprint: Of the default model.
        key: Beginning of the widgets' keys, the page's name.
    """
    cells = [cell for photo in photos for cell in photo.cells]
    st.markdown(f"**{tables.describe_batch(photos, answers)}**")
    show_failures([photo for photo in photos if photo.error])
    left, right = st.columns([7, 3], gap="medium")
    with left:
        _show_field(photos, answers, key)
        if cells and remembered_segments("Show as", VIEWS, f"{key}_view") == "gallery":
            _show_tiles(cells, answers, key)
        elif photos:
            _show_table(photos, answers, scores, key)
    with right, st.container(key=f"{key}_side"):
        st.html(SIDE_STYLE.replace("KEY", f"st-key-{key}_side"))
        if cells:
            found = compute_differential(tables.case_cells(cells, answers, fingerprint))
            show_differential(found, f"{key}_differential")


def show_failures(failed: Sequence[Photo]) -> None:
    """One sentence for each file that could not be read; nothing where all could."""
    if not failed:
        return
    with st.expander(f"{len(failed)} could not be read", icon=":material/broken_image:", expanded=len(failed) < 4):
        sentences = [pictures.escape_markdown(f"{photo.name}: {photo.error}") for photo in failed]
        st.markdown("\n".join(f"- {sentence}" for sentence in sentences))


def _show_field(photos: Sequence[Photo], answers: Mapping[str, Answer], key: str) -> None:
    """One of the fields with its cells as boxes; nothing where no image is a field."""
    fields = {photo.key: photo for photo in photos if photo.is_field}
    if not fields:
        return
    photo = next(iter(fields.values()))
    if len(fields) > 1:
        chosen = st.selectbox(
            "Field",
            list(fields),
            format_func=lambda name: fields[name].name,
            key=f"{key}_field",
            persist_state="session",
        )
        photo = fields.get(str(chosen), photo)
    boxes_picture(photo, answers, f"{key}_boxes_{photo.key}", open_cell)
    kind_control(photo, key)
    if not photo.cells:
        st.warning(
            "No nucleated cell and no platelet was found in this field. If it shows one, take it for one cell and draw "
            "a frame around it.",
            icon=":material/search_off:",
        )


def _show_tiles(cells: Sequence[CellImage], answers: Mapping[str, Answer], key: str) -> None:
    """The cells as pictures to open, by what was said of them."""
    for words, ones in tables.group_cells(cells, answers).items():
        st.markdown(f"**{words[:1].upper()}{words[1:]}** · {len(ones)}")
        shown = ones
        if len(ones) > TILES_SHOWN and not st.session_state.get(f"{key}_all_{words}"):
            shown = ones[:TILES_SHOWN]
        with st.grid(8, min_column_width=84, gap="xsmall"):
            for cell in shown:
                _show_tile(cell, answers.get(cell.key), key)
        if len(shown) < len(ones):
            st.button(
                f"Show all {len(ones)}",
                key=f"{key}_more_{words}",
                on_click=st.session_state.__setitem__,
                args=(f"{key}_all_{words}", True),
            )


def _show_tile(cell: CellImage, answer: Answer | None, key: str) -> None:
    colour, caption = palette(theme_mode()).muted, ""
    if answer is not None and answer.label is not None and answer.probability is not None:
        colour, caption = class_color(CLASS_NAMES.index(answer.label)), probability_text(answer.probability)
    elif answer is not None and answer.probabilities is not None:
        caption = f"{100 * max(answer.probabilities.values()):.0f} % at most"
    number = f"{cell.number} · " if cell.number is not None else ""
    said = f"{cell.name}: {tables.say_answer(answer)}"
    st.button(
        pictures.tile_label(cell.frame.pixels, colour, said, f"{number}{caption}".rstrip(" ·")),
        key=f"cell_tile_{key}_{cell.key}",
        type="tertiary",
        width="stretch",
        help=said,
        on_click=open_cell,
        args=(cell.key,),
    )


def _show_table(photos: Sequence[Photo], answers: Mapping[str, Answer], scores: PageScores, key: str) -> None:
    """One row per cell or unreadable file; a click on a row opens the cell."""
    table = tables.batch_table(photos, answers, scores)
    rows: list[str | None] = []
    for photo in photos:
        rows += [cell.key for cell in photo.cells] if photo.cells else [None]

    def choose_row() -> None:
        chosen = st.session_state[f"{key}_table"]["selection"]["rows"]
        if chosen and chosen[0] < len(rows) and rows[chosen[0]] is not None:
            st.session_state[OPEN] = rows[chosen[0]]

    st.dataframe(
        table,
        hide_index=True,
        row_height=52,
        height=min(52 * len(table) + 40, 480),
        column_config=batch_columns(),
        alt="One row per cell with the default model's answer",
        key=f"{key}_table",
        on_select=choose_row,
        selection_mode="single-row",
    )

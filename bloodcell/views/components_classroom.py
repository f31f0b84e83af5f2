"""The Classroom's controls: which cell, which models, and what is changed. All of it stands in the URL."""

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.inference.perturbations import CONTROLS, Control, describe_amounts, read_amounts, write_amounts
from bloodcell.views import cache
from bloodcell.views import figures_images as pictures
from bloodcell.views.components import (
    SELECTION_KEY,
    choose,
    read_choices,
    selected_models,
    write_choices,
)
from bloodcell.views.selection import family_order
from bloodcell.views.theme import CLASS_GLYPHS, class_color
from bloodcell.views.uploads import (
    IMAGE_TYPES,
    MAXIMUM_FILES,
    MAXIMUM_UPLOAD_MB,
    CellImage,
    Photo,
    Wish,
    choose_examples,
    photo_of_split,
    read_photo,
)

CELL, CHANGE, PILLS = "classroom_cell", "classroom_change", "classroom_models"
FILES, ROUND, SEEN = "classroom_files", "classroom_round", "classroom_seen"
LEFT_OUT = "classroom_left_out"
UPLOADED = "upload"
"""What stands in the address for a cell that cannot travel in one."""
FIRST_LABEL = CLASS_NAMES.index("neutrophil")
"""Type of the cell that a page without any choice opens with."""
TILES = 24
ANY = "any type"


def choose_cell() -> tuple[CellImage | None, str | None]:
    """Draw the row of buttons that choose a cell, and return the cell and what the address asked for in vain.

    Returns:
        The cell, None while there is none; and what the address named that is not here, None if nothing.
    """
    in_vain = None
    brought = read_choices(CELL)
    if brought:
        if cache.find_cell(brought[0]) is not None:
            st.session_state[CELL] = brought[0]
        else:
            in_vain = brought[0]
    files: dict[str, Photo] = st.session_state.setdefault(FILES, {})
    has_dataset = bool(cache.dataset_status()["available"])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="classroom_bar"):
        st.button(
            "Surprise me", icon=":material/casino:", key="classroom_surprise", on_click=surprise,
            disabled=not has_dataset, help="Any cell of the test split",
        )  # fmt: skip
        if st.button("Choose a cell", icon=":material/grid_view:", key="classroom_gallery", disabled=not has_dataset):
            show_gallery()
        with st.popover("My own images", icon=":material/upload_file:", key="classroom_own"):
            _draw_uploads()
        _draw_file_choice(files)
        _draw_model_pills()
    cell = _current_cell(files)
    if cell is not None:
        write_choices(CELL, [UPLOADED if cell.photo in files else cell.key])
    return cell, in_vain if cell is None or cell.photo not in files else None


def surprise() -> None:
    """Choose any other cell of the test split."""
    images = cache.load_split("test")
    choose(CELL, f"test-{random.randrange(images.num_images)}")


def _current_cell(files: dict[str, Photo]) -> CellImage | None:
    chosen = st.session_state.get(CELL, "")
    if chosen in files:
        return next(iter(files[chosen].cells), None)
    place = cache.find_cell(chosen)
    if place is None:
        if not cache.dataset_status()["available"]:
            return next((cell for photo in files.values() for cell in photo.cells), None)
        labels = cache.load_split("test").labels
        examples = choose_examples(labels, seed=0)
        place = "test", next((row for row in examples if labels[row] == FIRST_LABEL), examples[0])
    split, row = place
    return photo_of_split(cache.load_split(split), row).cells[0]


def _draw_uploads() -> None:
    """Two drop zones, for files and for a folder, and a way to forget what was dropped."""
    number = st.session_state.get(ROUND, 0)
    what: dict[str, Any] = {"files": True, "folder": "directory"}
    for kind, several in what.items():
        key = f"classroom_{kind}_{number}"
        dropped = st.file_uploader(
            "Images of single cells" if kind == "files" else "Or a whole folder of them",
            type=IMAGE_TYPES,
            accept_multiple_files=several,
            key=key,
            on_change=_take_files,
            args=(key,),
            max_upload_size=MAXIMUM_UPLOAD_MB,
        )
        if not dropped and not st.session_state.pop(f"{key}_changed", False):
            st.session_state.pop(f"{SEEN}_{key}", None)  # after a visit elsewhere the drop zone is empty, and new
        st.session_state.pop(f"{key}_changed", None)
    files: dict[str, Photo] = st.session_state[FILES]
    left_out = st.session_state.get(LEFT_OUT, 0)
    if left_out:
        which = "1 image was" if left_out == 1 else f"{left_out} images were"
        st.warning(f"{which} left out: {MAXIMUM_FILES} are kept at a time.", icon=":material/memory:")
    failed = [photo for photo in files.values() if photo.error]
    if failed:
        st.error(
            "\n".join(f"- {pictures.escape_markdown(f'{photo.name}: {photo.error}')}" for photo in failed[:8]),
            icon=":material/broken_image:",
            title=f"{len(failed)} could not be read",
        )
    if files:
        st.button("Forget my images", icon=":material/delete:", key="classroom_forget", on_click=_forget_files)
    st.caption("They stay in this session: the page's address cannot hold them, so a link to them shows other cells.")


def _take_files(key: str) -> None:
    """Read what was added, forget what was removed, and show the first that is new."""
    files: dict[str, Photo] = st.session_state.setdefault(FILES, {})
    dropped = {f"file-{file.file_id}": file for file in st.session_state[key]}
    for gone in st.session_state.get(f"{SEEN}_{key}", set()) - set(dropped):
        files.pop(gone, None)
    st.session_state[f"{SEEN}_{key}"] = set(dropped)
    st.session_state[f"{key}_changed"] = True
    new = [cell_key for cell_key in dropped if cell_key not in files]
    fresh = new[: MAXIMUM_FILES - len(files)]
    st.session_state[LEFT_OUT] = len(new) - len(fresh)
    for cell_key in fresh:
        photo = read_photo(dropped[cell_key].getvalue(), dropped[cell_key].name, cell_key, Wish("crop"))
        files[cell_key] = dataclasses.replace(photo, address="", data=None)  # 64 x 64 pixels are all that is needed
    readable = [cell_key for cell_key in fresh if files[cell_key].cells]
    if readable:
        choose(CELL, readable[0])
    elif st.session_state.get(CELL, "").startswith("file-") and st.session_state[CELL] not in files:
        choose(CELL, "")


def _forget_files() -> None:
    st.session_state[FILES] = {}
    st.session_state.pop(LEFT_OUT, None)
    st.session_state[ROUND] = st.session_state.get(ROUND, 0) + 1
    choose(CELL, "")


def _draw_file_choice(files: dict[str, Photo]) -> None:
    """With own images: choose among them; a cell of the dataset leaves the choice empty."""
    readable = [key for key, photo in files.items() if photo.cells]
    if not readable:
        return
    chosen = st.session_state.get(CELL)
    st.session_state["classroom_file"] = chosen if chosen in readable else None
    st.selectbox(
        "My image", readable, key="classroom_file", format_func=lambda key: files[key].name, index=None,
        placeholder="none is shown", on_change=_choose_file, width=220,
    )  # fmt: skip


def _choose_file() -> None:
    if st.session_state["classroom_file"] is not None:
        choose(CELL, st.session_state["classroom_file"])


def _draw_model_pills() -> None:
    """The shared selection of models as pills, beside the cell; the sidebar holds the same."""
    names = family_order(cache.leaderboard())
    chosen = selected_models()
    with st.popover(f"Models: {len(chosen)} of {len(names)} on", icon=":material/tune:", key="classroom_toggle"):
        st.session_state[PILLS] = chosen
        st.pills("Click to switch on and off", names, selection_mode="multi", key=PILLS, on_change=_select_pills)
        with st.container(horizontal=True):
            st.button("All on", key="classroom_all", on_click=_select, args=(names,))
            st.button("All off", key="classroom_none", on_click=_select, args=([],))


def _select_pills() -> None:
    _select(st.session_state[PILLS])


def _select(names: Sequence[str]) -> None:
    st.session_state[SELECTION_KEY] = list(names)
    choose(SELECTION_KEY)


@st.dialog("Choose a cell", width="large", icon=":material/grid_view:")
def show_gallery() -> None:
    """Cells of the test split to click, of one type or any; those about which the models disagree come on request."""
    images = cache.load_split("test")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.selectbox("Type", [ANY, *CLASS_NAMES], key="classroom_kind", width=220)
        disputed = st.toggle(
            "The selected models disagree", key="classroom_disputed", help="By their stored answers on the test split"
        )
        if st.button("Others", icon=":material/shuffle:", key="classroom_others"):
            st.session_state["classroom_draw"] = st.session_state.get("classroom_draw", 0) + 1
    rows = np.arange(images.num_images) if not disputed else find_disputed(selected_models(), images.num_images)
    if kind != ANY:
        rows = rows[images.labels[rows] == CLASS_NAMES.index(kind)]
    if disputed and len(selected_models()) < 2:
        st.info("Switch at least two models on: one alone cannot disagree.", icon=":material/info:")
        return
    if not len(rows):
        st.info("There is no such cell: all selected models give the same answer.", icon=":material/check:")
        return
    generator = np.random.default_rng(st.session_state.get("classroom_draw", 0))
    shown = np.sort(generator.choice(rows, min(TILES, len(rows)), replace=False))
    with st.grid("auto", min_column_width=84, gap="xsmall"):
        for row in shown.tolist():
            label = int(images.labels[row])
            description = f"{CLASS_NAMES[label]}, test row {row}"
            tile = pictures.tile_label(images.images[row], class_color(label), description, _caption(label))
            key = f"cell_classroom_{row}"
            if st.button(tile, key=key, type="tertiary", width="stretch", on_click=choose, args=(CELL, f"test-{row}")):
                st.rerun()
    st.caption(f"{len(shown)} of {len(rows):,} cells of the test split.")


def _caption(label: int) -> str:
    return f"{CLASS_GLYPHS[label]} {CLASS_CODES[label]}"


def find_disputed(names: Sequence[str], num_images: int) -> np.ndarray:
    """Return the rows of the test split about which the stored answers of models differ, (n,) int64."""
    lowest = np.full(num_images, len(CLASS_NAMES))
    highest = np.full(num_images, -1)
    for name in names:
        probabilities, matching = cache.load_probabilities(name), cache.match_predictions(name, "test")
        if probabilities is None or matching is None:
            continue
        here = matching.indices >= 0
        answers = probabilities.argmax(axis=1)[here]
        rows = matching.indices[here]
        lowest[rows] = np.minimum(lowest[rows], answers)
        highest[rows] = np.maximum(highest[rows], answers)
    return np.flatnonzero(lowest < highest)


def slider_key(key: str) -> str:
    """Return the key of a control's widget."""
    return f"classroom_set_{key}"


def current_amounts() -> dict[str, float]:
    """Return what is changed now, from the address where it brings news, else from the sliders; call it once a run."""
    brought = read_choices(CHANGE)
    if brought is not None:
        _set_amounts(read_amounts(brought[0]))
    for key, control in CONTROLS.items():
        st.session_state.setdefault(slider_key(key), _as_widget(control, control.neutral))
    amounts = {key: float(st.session_state[slider_key(key)]) for key in CONTROLS}
    text = write_amounts(amounts)
    write_choices(CHANGE, [text] if text else [])
    return read_amounts(text)


def _as_widget(control: Control, value: float) -> float | bool:
    return bool(value) if control.is_switch else float(value)


def _set_amounts(amounts: dict[str, float]) -> None:
    for key, control in CONTROLS.items():
        st.session_state[slider_key(key)] = _as_widget(control, amounts.get(key, control.neutral))


def reset_changes() -> None:
    """Take every change back."""
    _set_amounts({})
    choose(CHANGE)


def draw_controls(amounts: dict[str, float]) -> None:
    """Draw the sliders in their groups, what is changed in words, and the way back."""
    groups: dict[str, list[Control]] = {}
    for control in CONTROLS.values():
        groups.setdefault(control.group, []).append(control)
    for tab, controls in zip(st.tabs(list(groups), key="classroom_groups"), groups.values(), strict=True):
        with tab, st.container(gap="xsmall"):
            for control in controls:
                if not control.is_switch:
                    _draw_control(control)
            with st.container(horizontal=True):
                for control in controls:
                    if control.is_switch:
                        _draw_control(control)
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        words = describe_amounts(amounts)
        st.markdown(
            f":small[**Changed:** {words}.]" if words else ":small[:gray[Nothing is changed.]]", width="stretch"
        )
        st.button(
            "Reset", icon=":material/restart_alt:", key="classroom_reset", on_click=reset_changes, disabled=not words
        )


def _draw_control(control: Control) -> None:
    options: dict[str, Any] = {
        "key": slider_key(control.key),
        "on_change": choose,
        "args": (CHANGE,),
        "help": control.help or None,
        "persist_state": "session",
    }
    if control.is_switch:
        st.toggle(control.name, **options)
        return
    digits = 0 if float(control.step).is_integer() else len(f"{control.step:g}".partition(".")[2])
    st.slider(
        control.name,
        float(control.lowest),
        float(control.highest),
        step=float(control.step),
        format=f"%.{digits}f{control.unit}",
        **options,
    )

"""What the reader brought to Classify: read once, framed as wished, asked about, kept in the session.

Coming back from another page finds an empty drop zone and all answers.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from functools import cache as keep
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import streamlit as st

from bloodcell.artifact import Artifact
from bloodcell.dataset import Box
from bloodcell.errors import BloodCellError
from bloodcell.inference import find_litert
from bloodcell.inference.classifier import Answer, AskedCell, answer_cells, compute_probabilities
from bloodcell.inference.images import MAXIMUM_BYTES, list_pages
from bloodcell.views import cache, cache_classroom
from bloodcell.views import tables_classify as tables
from bloodcell.views.components_cases import forget_uploads
from bloodcell.views.components_selection import remembered_segments
from bloodcell.views.figures_images import escape_markdown
from bloodcell.views.uploads import (
    IMAGE_TYPES,
    MAXIMUM_FILES,
    MAXIMUM_UPLOAD_MB,
    CellImage,
    Photo,
    Wish,
    choose_left_out,
    describe_left_out,
    move_frame,
    read_photo,
)

FILES_PER_STEP = 4
PHOTOS, OPEN, SEEN, PASTED = "classify_photos", "classify_open", "classify_seen", "classify_pasted"
PAGES, LEFT_OUT = "classify_pages", "classify_left_out"
STOPPED, ROUND, CHANGED, MESSAGE = "classify_stopped", "classify_round", "classify_changed", "classify_message"
_KEPT = (PHOTOS, PAGES, LEFT_OUT, OPEN, SEEN, PASTED, STOPPED, MESSAGE, "classify_scores", "classify_answers")
SOURCES = {"files": "Files", "folder": "Folder", "camera": "Camera"}
LARGEST_PASTE = 16 * 1024**2
"""Bytes of a pasted image; in base64 a third more, and above 25 MB (`server.maxWidgetStateSize`) Streamlit hangs up."""
_HERE = Path(__file__).parent

PageScores = dict[str, dict[str, np.ndarray]]
"""By the key of a cell: (8,) probabilities by model, the leading model first."""


class Given(NamedTuple):
    """A file as it came: what tells it apart, its name, its content, and which page of several, from 0."""

    key: str
    name: str
    data: bytes
    page: int | None = None

    def split_pages(self) -> "list[Given]":
        """Return each page of a TIFF with several as if it were a file of its own."""
        pages = list_pages(self.data)
        return [self if page is None else self._replace(key=f"{self.key}#{page}", page=page) for page in pages]

    def read(self) -> Photo:
        """Return what is in it."""
        return read_photo(self.data, self.name, self.key, page=self.page)


def ask_for_images() -> list[Given]:
    """Show the drop zone, or a folder's, or the camera, and return what was given now; paste works beside each."""
    source = remembered_segments("From", SOURCES, "classify_source")
    key = f"classify_{source}_{st.session_state.get(ROUND, 0)}"
    if source == "camera":
        shot = st.camera_input("Photograph through the eyepiece, or hold up a picture", key=key, on_change=_take_shot)
        found = [] if shot is None else [shot]
    else:
        where = "a folder: all images in it are read" if source == "folder" else "images of single cells or of fields"
        found = st.file_uploader(
            f"Drop {where}, choose, or paste with Ctrl + V: PNG, JPEG, BMP, TIFF, WebP, GIF or DICOM, each up to "
            f"{MAXIMUM_BYTES // 1024**2} MB",
            type=IMAGE_TYPES,
            accept_multiple_files="directory" if source == "folder" else True,
            key=key,
            on_change=_take_files,
            args=(key,),
            max_upload_size=MAXIMUM_UPLOAD_MB,
        )
    _paste_catcher()(key="classify_paste", data={"largest_bytes": LARGEST_PASTE}, on_pasted_change=_take_paste)
    if not st.session_state.pop(CHANGED, False) and not found:
        st.session_state.pop(SEEN, None)  # a new drop zone after a visit elsewhere: nothing was removed
    shown = [Given(file.file_id, file.name, file.getvalue()) for file in found or ()]
    files = _leave_out([*shown, *st.session_state.get(PASTED, ())])
    known: dict[str, list[Given]] = st.session_state.get(PAGES, {})
    pages = {file.key: known.get(file.key) or file.split_pages() for file in files}
    st.session_state[PAGES] = pages  # a file is looked into once, not at each rerun
    return [page for file in files for page in pages[file.key]]


def start_over() -> None:
    """Forget all files: a new drop zone takes the place of the old one."""
    close_example()
    forget_uploads(_file_of(key) for key in st.session_state.get(PHOTOS, {}))
    for key in _KEPT:
        st.session_state.pop(key, None)
    st.session_state[ROUND] = st.session_state.get(ROUND, 0) + 1


def close_example() -> None:
    """Take the cell out of the address."""
    st.query_params.pop("cell", None)


def open_cell(key: str | None) -> None:
    """Open one cell, or go back to all of them."""
    st.session_state[OPEN] = key


def has_photos() -> bool:
    """Whether anything was read before."""
    return bool(st.session_state.get(PHOTOS))


def read_photos(given: Sequence[Given], ready: dict[str, Artifact], coverage: float, views: bool) -> list[Photo]:
    """Return all files, reading only the new ones; answers are shown as they come, and a button stops the reading."""
    known: dict[str, Photo] = st.session_state.setdefault(PHOTOS, {})
    new = [file for file in given if file.key not in known]
    room = MAXIMUM_FILES - len(known)
    if len(new) > room:
        st.warning(f"{MAXIMUM_FILES} files are answered at once; {len(new) - room} were left out. Start over for them.")
        new = new[:room]
    if new and st.session_state.get(STOPPED):
        with st.container(horizontal=True, vertical_alignment="center"):
            unread = "1 file was" if len(new) == 1 else f"{len(new)} files were"
            st.info(f"Stopped: {unread} not read.", icon=":material/stop_circle:")
            st.button("Read on", key="classify_read_on", on_click=_stop, args=(False,))
        return list(known.values())
    if len(new) < 2:
        for file in new:
            known[file.key] = file.read()
        return list(known.values())
    with st.container(horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0, text=f"0 of {len(new)} read")
        stop = st.empty()
        stop.button("Stop", icon=":material/stop_circle:", key="classify_stop", on_click=_stop, args=(True,))
    slot = st.empty()
    for first in range(0, len(new), FILES_PER_STEP):
        for file in new[first : first + FILES_PER_STEP]:
            known[file.key] = file.read()
        done = min(first + FILES_PER_STEP, len(new))
        bar.progress(done / len(new), text=f"{done} of {len(new)} read and answered")
        photos = list(known.values())
        cells = [cell for photo in photos for cell in photo.cells]
        table = tables.batch_table(photos, answer_all(cells, coverage, views))
        slot.dataframe(table, hide_index=True, row_height=52, height=380, column_config=batch_columns())
    for element in (bar, stop, slot):
        element.empty()
    return list(known.values())


def batch_columns() -> dict[str, Any]:
    """Return how the table of all cells shows its columns."""
    return {
        "image": st.column_config.ImageColumn("seen", width=64, help="The 64 × 64 pixels that the networks see"),
        "file": st.column_config.TextColumn(width="medium"),
        "answer": st.column_config.TextColumn(width="medium"),
        "probability": st.column_config.ProgressColumn(format="%.1f %%", min_value=0, max_value=100, width=130),
        "agree": st.column_config.TextColumn(width="small", help="How many of the models give the same answer"),
        "remark": st.column_config.TextColumn(width="large"),
    }


def judge() -> Artifact | None:
    """Return the default model, whose word decides, where its LiteRT form is ready; None where it is not."""
    name = cache.default_model()
    artifact = cache.load_artifact(name) if name is not None else None
    return artifact if artifact is not None and find_litert(artifact) is not None else None


def warm_up() -> None:
    """After an empty page is drawn: read what the first answer needs, so that the first image waits for none of it."""
    import bloodcell.views.figures_cells  # noqa: F401  (Plotly)

    artifact = judge()
    with suppress(BloodCellError):  # said beside the first answer
        if artifact is not None and cache.load_engine(artifact.name) is not None:
            cache_classroom.load_guard(artifact.name)


def answer_all(cells: Sequence[CellImage], coverage: float, views: bool) -> dict[str, Answer]:
    """Return the default model's word on every cell, its guard's first; each is computed once."""
    artifact = judge()
    if artifact is None:
        return {}
    known: dict[tuple[Any, ...], Answer] = st.session_state.setdefault("classify_answers", {})

    def place(cell: CellImage) -> tuple[Any, ...]:
        return cell.key, artifact.fingerprint, coverage, views

    new = [cell for cell in cells if place(cell) not in known]
    if new:
        try:
            engine, guard = cache.load_engine(artifact.name), cache_classroom.load_guard(artifact.name)
            assert engine is not None
            asked = [AskedCell(cell.name, cell.frame, cell.notes) for cell in new]
            found = answer_cells(asked, artifact, engine, guard, coverage, views)
        except BloodCellError as error:
            st.error(f"**{artifact.name}** cannot answer: {error}", icon=":material/error:")
            return {cell.key: known[place(cell)] for cell in cells if place(cell) in known}
        known.update(zip(map(place, new), found, strict=True))
    return {cell.key: known[place(cell)] for cell in cells}


def score_all(cells: Sequence[CellImage], ready: dict[str, Artifact], views: bool) -> PageScores:
    """Return what every model that is ready says of every cell; each is computed once."""
    known: dict[tuple[str, str, bool], np.ndarray] = st.session_state.setdefault("classify_scores", {})
    for name, artifact in ready.items():
        new = [cell for cell in cells if (cell.key, artifact.fingerprint, views) not in known]
        engine = cache.load_engine(name) if new else None
        if engine is None:
            continue
        try:
            y_score = compute_probabilities(artifact, engine, np.stack([cell.frame.pixels for cell in new]), views)
        except BloodCellError as error:
            st.error(f"**{name}** cannot answer: {error}", icon=":material/error:")
            continue
        places = [(cell.key, artifact.fingerprint, views) for cell in new]
        known.update(zip(places, y_score, strict=True))
    return {
        cell.key: {
            name: known[place]
            for name, artifact in ready.items()
            if (place := (cell.key, artifact.fingerprint, views)) in known
        }
        for cell in cells
    }


def wish_otherwise(key: str, wish: Wish) -> None:
    """In a callback: read a file again as the reader wishes; where that cannot be, it stays and a sentence says why."""
    photos: dict[str, Photo] = st.session_state.get(PHOTOS, {})
    photo = photos.get(key)
    if photo is None or photo.data is None or photo.wish == wish:
        return
    again = read_photo(photo.data, photo.file, key, wish, photo.page)
    if again.error is not None:
        st.session_state[MESSAGE] = again.error
        return
    photos[key] = again
    if st.session_state.get(OPEN) in {cell.key for cell in photo.cells}:
        open_cell(again.cells[0].key if again.cells and not again.is_field else None)


def show_message() -> None:
    """Say once why a wish could not be met."""
    text = st.session_state.pop(MESSAGE, None)
    if text:
        st.warning(escape_markdown(text), icon=":material/crop:")


def kind_control(photo: Photo, key: str) -> None:
    """Show what an image is taken for, and why, and let the reader say otherwise."""
    if photo.data is None or photo.specimen is None:
        return
    control = f"{key}_kind_{photo.key}"
    st.session_state[control] = photo.specimen.kind
    st.segmented_control(
        "Taken for",
        ["crop", "field"],
        format_func={"crop": "one cell", "field": "a whole field"}.__getitem__,
        key=control,
        required=True,
        on_change=lambda: wish_otherwise(photo.key, Wish(st.session_state[control])),
    )
    guess = photo.specimen.guess
    if guess is not None:
        st.caption(f"Guessed: {'one cell' if guess.kind == 'crop' else 'a whole field'}. {guess.reason}")


def frame_controls(photo: Photo, cell: CellImage, key: str) -> None:
    """Let the reader write the frame's middle and side as numbers, or have the cell looked for again."""
    box, (width, height) = cell.frame.box, photo.size
    values = {"x": box.left + box.width / 2, "y": box.top + box.height / 2, "side": float(box.width)}
    for name, value in values.items():
        st.session_state[f"{key}_frame_{name}"] = float(round(value))
    limits = {"x": (0.0, width - 1.0), "y": (0.0, height - 1.0), "side": (1.0, 2.0 * max(width, height))}
    labels = {"x": "Middle from the left", "y": "Middle from the top", "side": "Side"}

    def take() -> None:
        wanted = [float(st.session_state[f"{key}_frame_{name}"]) for name in values]
        wish_otherwise(photo.key, Wish("crop", move_frame(box, photo.size, *wanted)))

    with st.popover("Frame in numbers", icon=":material/crop:", key=f"{key}_frame_popover"):
        for name, (low, high) in limits.items():
            value = st.session_state[f"{key}_frame_{name}"]
            st.session_state[f"{key}_frame_{name}"] = min(max(value, low), high)
            st.number_input(
                f"{labels[name]}, pixels",
                min_value=low,
                max_value=high,
                step=2.0,
                format="%.0f",
                key=f"{key}_frame_{name}",
                on_change=take,
            )
    if photo.wish.box is not None:
        st.button(
            "Find the cell again",
            icon=":material/center_focus_strong:",
            key=f"{key}_frame_again",
            on_click=wish_otherwise,
            args=(photo.key, Wish(photo.wish.kind)),
        )


def take_frame(key: str, box: Box) -> None:
    """In a callback: the reader moved or resized the frame in the picture."""
    wish_otherwise(key, Wish("crop", box))


def _leave_out(files: Sequence[Given]) -> list[Given]:
    """Return the files that the session has room for; the others are let go, and a sentence says so."""
    left_out: set[str] = st.session_state.setdefault(LEFT_OUT, set())
    kept = {_file_of(key): len(photo.data or b"") for key, photo in st.session_state.get(PHOTOS, {}).items()}
    kept |= {file.key: len(file.data) for file in files if file.key in kept}
    new = choose_left_out({file.key: len(file.data) for file in files if file.key not in left_out}, kept)
    forget_uploads(new)
    left_out |= new
    if left_out:
        st.warning(describe_left_out(len(left_out), "Start over for the rest"), icon=":material/memory:")
    if PASTED in st.session_state:
        st.session_state[PASTED] = [file for file in st.session_state[PASTED] if file.key not in left_out]
    return [file for file in files if file.key not in left_out]


def _file_of(key: str) -> str:
    """Return the key of the file that a photo came from: each page of a file is a photo of its own."""
    return key.partition("#")[0]


def _stop(is_stopped: bool) -> None:
    st.session_state[STOPPED] = is_stopped


def _take_files(key: str) -> None:
    """The reader added or removed files: forget what was removed, and show files rather than an example."""
    close_example()
    seen: dict[str, set[str]] = st.session_state.setdefault(SEEN, {})
    present = {file.file_id for file in st.session_state[key] or ()}
    for gone in seen.get(key, set()) - present:
        photos: dict[str, Photo] = st.session_state.get(PHOTOS, {})
        for photo in [key for key in photos if _file_of(key) == gone]:
            photos.pop(photo)
    seen[key] = present
    st.session_state[LEFT_OUT] = st.session_state.get(LEFT_OUT, set()) & present
    st.session_state[CHANGED] = True
    st.session_state[STOPPED] = False
    open_cell(None)


def _take_shot() -> None:
    """The reader took a photograph: it is shown rather than an example."""
    close_example()
    open_cell(None)


def _take_paste() -> None:
    """The reader pasted an image."""
    pasted = st.session_state.get("classify_paste", {}).get("pasted")
    if not pasted:
        return
    if pasted.get("too_large"):
        st.session_state[MESSAGE] = (
            f"The pasted image is larger than {LARGEST_PASTE // 1024**2} MB and was not read: save it and drop the "
            "file instead."
        )
        return
    try:
        data = base64.b64decode(pasted.get("data", ""), validate=True)
    except (binascii.Error, ValueError):
        st.session_state[MESSAGE] = "What was pasted came damaged and was not read. Paste it again."
        return
    close_example()
    kept: list[Given] = st.session_state.setdefault(PASTED, [])
    key = f"pasted-{len(kept)}-{hashlib.sha256(data).hexdigest()[:16]}"
    kept.append(Given(key, f"pasted {len(kept) + 1}.png", data))
    open_cell(None)


@keep
def _paste_catcher() -> Any:
    return st.components.v2.component(
        "bloodcell_paste_image", js=(_HERE / "paste_image.js").read_text(encoding="utf-8")
    )

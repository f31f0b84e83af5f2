"""What is this cell?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from bloodcell.artifact import Artifact
from bloodcell.dataset import CLASS_CODES, CLASS_NAMES, SPLITS
from bloodcell.errors import BloodCellError
from bloodcell.inference.classifier import compute_probabilities
from bloodcell.inference.images import MAXIMUM_BYTES
from bloodcell.views import cache
from bloodcell.views import figures_images as pictures
from bloodcell.views import tables_classify as tables
from bloodcell.views.components import (
    download_csv,
    how_computed,
    missing_artifact,
    open_page,
    research_use_notice,
    selected_models,
    show_damaged,
)
from bloodcell.views.components_answer import show_answer
from bloodcell.views.components_cases import offer_case
from bloodcell.views.components_engines import pending_models, prepare_models, ready_models
from bloodcell.views.theme import class_color
from bloodcell.views.uploads import (
    IMAGE_TYPES,
    MAXIMUM_FILES,
    MAXIMUM_UPLOAD_MB,
    CellImage,
    cell_of_split,
    choose_examples,
    read_cell,
)

DATASET_PAGE = Path(__file__).with_name("dataset.py")
FILES_PER_STEP = 8
STYLE = """<style>
.st-key-classify_zone [data-testid="stFileUploaderDropzoneInstructions"] {display: none}
</style>"""
EMPTY_STYLE = """<style>
.st-key-classify_zone [data-testid="stFileUploaderDropzone"] {
  min-height: 32vh; display: flex; align-items: center; justify-content: center}
</style>"""
HOW = """
Every image goes the way of the training data: an original of 340 to 380 pixels a side gives its middle 200 × 200, an
image of 64 × 64 is taken as it is, anything else gives its largest middle square; all are resized to 64 × 64 (bilinear)
and divided by 255. Each network's outputs are divided by its temperature, fitted on val, before softmax: of the answers
given with 90 % probability about 90 % should be right, *on images like the training data*. On another stain, camera
or framing the probabilities mean little, and a cell of a type that the networks have never seen still gets one of the
eight names.
"""
# By the key of an image: (8,) probabilities by model, the leading model first.
PageScores = dict[str, dict[str, np.ndarray]]


def cell_of_address() -> CellImage | None:
    """Return the cell of the dataset that the address names, None if it names none or the dataset is not here."""
    split, _, row = str(st.query_params.get("cell", "")).partition("-")
    if split not in SPLITS or not row.isdecimal() or not cache.dataset_status()["available"]:
        return None
    images = cache.load_split(split)
    return cell_of_split(images, int(row)) if int(row) < images.num_images else None


def open_example(row: int) -> None:
    """Put a cell of the test split into the address."""
    st.query_params["cell"] = f"test-{row}"


def close_example() -> None:
    """Take the cell out of the address."""
    st.query_params.pop("cell", None)


def start_over() -> None:
    """Forget all files: a new drop zone takes the place of the old one."""
    close_example()
    for key in ("classify_cells", "classify_scores", "classify_open", "classify_seen"):
        st.session_state.pop(key, None)
    st.session_state["classify_round"] = st.session_state.get("classify_round", 0) + 1


def drop_zone_key() -> str:
    """Return the key of the present drop zone."""
    return f"classify_files_{st.session_state.get('classify_round', 0)}"


def take_files() -> None:
    """The reader added or removed files: forget what was removed, and show files rather than an example."""
    close_example()
    present = {file.file_id for file in st.session_state[drop_zone_key()]}
    for key in st.session_state.get("classify_seen", set()) - present:
        st.session_state.get("classify_cells", {}).pop(key, None)
    st.session_state["classify_seen"] = present
    st.session_state["classify_changed"] = True


def read_files(files: Sequence[Any], ready: dict[str, Artifact]) -> list[CellImage]:
    """Return all files as images, reading only the new ones, and show the answers as they come.

    What was read stays in the session: coming back from another page finds an empty drop zone and all answers.
    """
    known: dict[str, CellImage] = st.session_state.setdefault("classify_cells", {})
    new = [file for file in files if file.file_id not in known]
    room = MAXIMUM_FILES - len(known)
    if len(new) > room:
        st.warning(f"{MAXIMUM_FILES} files are answered at once; {len(new) - room} were left out. Start over for them.")
        new = new[:room]
    bar = st.progress(0.0, text=f"0 of {len(new)} read") if len(new) > 1 else None
    slot = st.empty()
    for first in range(0, len(new), FILES_PER_STEP):
        for file in new[first : first + FILES_PER_STEP]:
            known[file.file_id] = read_cell(file.getvalue(), file.name, file.file_id)
        if bar is not None:
            done = min(first + FILES_PER_STEP, len(new))
            bar.progress(done / len(new), text=f"{done} of {len(new)} read and answered")
            cells = list(known.values())
            with slot.container():
                show_batch_table(cells, score_all(cells, ready), key=None)
    if bar is not None:
        bar.empty()
    slot.empty()
    return list(known.values())


def score_all(cells: Sequence[CellImage], ready: dict[str, Artifact]) -> PageScores:
    """Return what every model that is ready says about every image that could be read; each is computed once."""
    known: dict[tuple[str, str], np.ndarray] = st.session_state.setdefault("classify_scores", {})
    readable = {cell.key: cell.framed.pixels for cell in cells if cell.framed is not None}
    for name, artifact in ready.items():
        new = [key for key in readable if (key, artifact.fingerprint) not in known]
        engine = cache.load_engine(name) if new else None
        if engine is None:
            continue
        try:
            y_score = compute_probabilities(artifact, engine, np.stack([readable[key] for key in new]))
        except BloodCellError as error:
            st.error(f"**{name}** cannot answer: {error}", icon=":material/error:")
            continue
        known.update({(key, artifact.fingerprint): values for key, values in zip(new, y_score, strict=True)})
    return {
        key: {name: known[place] for name, artifact in ready.items() if (place := (key, artifact.fingerprint)) in known}
        for key in readable
    }


def show_batch_table(cells: Sequence[CellImage], scores: PageScores, key: str | None) -> Any:
    """Show one row per file; with a key, a click on a row chooses it."""
    options: dict[str, Any] = {}
    if key is not None:
        options = {"key": key, "on_select": choose_row, "selection_mode": "single-row"}
    return st.dataframe(
        tables.batch_table(cells, scores),
        hide_index=True,
        row_height=52,
        height=min(52 * len(cells) + 40, 380),
        column_config={
            "image": st.column_config.ImageColumn("seen", width=64, help="The 64 × 64 pixels that the networks see"),
            "file": st.column_config.TextColumn(width="medium"),
            "answer": st.column_config.TextColumn(width="medium"),
            "probability": st.column_config.ProgressColumn(format="%.1f %%", min_value=0, max_value=100, width=130),
            "agree": st.column_config.TextColumn(width="small", help="How many of the models give the same answer"),
            "remark": st.column_config.TextColumn(width="large"),
        },
        alt="One row per file with the leading model's answer",
        **options,
    )


def choose_row() -> None:
    """Open the file whose row was clicked."""
    rows = st.session_state["classify_table"]["selection"]["rows"]
    keys = list(st.session_state["classify_order"])
    if rows and rows[0] < len(keys):
        st.session_state["classify_open"] = keys[rows[0]]


def show_files(cells: Sequence[CellImage], scores: PageScores, files: Sequence[Any]) -> CellImage:
    """What was found, the table of several files, the choice of one to open, the answers as CSV, and the way on."""
    by_key = {cell.key: cell for cell in cells}
    if st.session_state.get("classify_open") not in by_key:
        st.session_state["classify_open"] = cells[0].key
    if len(cells) > 1:
        st.session_state["classify_order"] = list(by_key)
        st.markdown(f"**{tables.describe_batch(cells, scores)}**")
        show_batch_table(cells, scores, key="classify_table")
        show_failures([cell for cell in cells if cell.error])

    def describe(key: str) -> str:
        number = list(by_key).index(key) + 1
        values = scores.get(key)
        answer = tables.name_class(int(np.argmax(next(iter(values.values()))))) if values else "no answer"
        return f"{number} · {by_key[key].name} · {answer}"

    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(cells) > 1:
            st.selectbox("Open", list(by_key), key="classify_open", format_func=describe)
        if files:
            offer_case(files, key="classify_case")
        download_csv(tables.answers_table(cells, scores), "answers", key="classify_csv")
        st.button("Start over", icon=":material/restart_alt:", on_click=start_over, key="classify_restart")
    return by_key[st.session_state["classify_open"]]


def show_failures(failed: Sequence[CellImage]) -> None:
    """One sentence for each file that could not be read; nothing where all could."""
    if not failed:
        return
    with st.expander(f"{len(failed)} could not be read", icon=":material/broken_image:", expanded=len(failed) < 4):
        st.markdown("\n".join(f"- {pictures.escape_markdown(f'{cell.name}: {cell.error}')}" for cell in failed))


def show_examples() -> None:
    """Eight cells of the test split, one per class, to click."""
    if not cache.dataset_status()["available"]:
        invitation = "Example cells to click appear here once the dataset is on this machine: bring it"
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


open_page(
    "Classify", "What is this cell? Drop images of single blood cells; every selected model answers, side by side."
)
st.html(pictures.GALLERY_STYLE + STYLE)
show_damaged()
if not cache.load_shelf().artifacts:
    missing_artifact()
    research_use_notice()
    st.stop()

with st.container(key="classify_zone"):
    files = st.file_uploader(
        f"Drop images of single cells here, or choose them: PNG, JPEG, BMP, TIFF, WEBP or GIF, each up to "
        f"{MAXIMUM_BYTES // 1024**2} MB",
        type=IMAGE_TYPES,
        accept_multiple_files=True,
        key=drop_zone_key(),
        on_change=take_files,
        max_upload_size=MAXIMUM_UPLOAD_MB,
    )
if not st.session_state.pop("classify_changed", False) and not files:
    st.session_state.pop("classify_seen", None)  # a new drop zone after a visit elsewhere: nothing was removed

example = cell_of_address()
is_empty = not files and not st.session_state.get("classify_cells") and example is None
st.html(EMPTY_STYLE if is_empty else "<style></style>")  # replaced before any file is read, so that nothing jumps later
if is_empty:
    show_examples()
    how_computed(HOW)
    research_use_notice()
    st.stop()

ready, missing = ready_models(selected_models())
cells = read_files(files, ready)
scores = score_all([*cells, *([example] if example else [])], ready)
if example is not None:
    chosen = example
    label = (
        f"Back to the {len(cells)} files" if len(cells) > 1 else "Back to the file" if cells else "Close the example"
    )
    st.button(label, icon=":material/arrow_back:", on_click=close_example, key="classify_back")
else:
    chosen = show_files(cells, scores, files)
show_answer(chosen, scores.get(chosen.key, {}), pending_models(missing), key="classify")
if missing:
    prepare_models(missing)
st.divider()
show_examples()
how_computed(HOW)

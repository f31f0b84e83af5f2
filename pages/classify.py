"""What is this cell?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from bloodcell.artifact import Artifact
from bloodcell.dataset import CLASS_CODES, CLASS_NAMES, SPLITS
from bloodcell.errors import BloodCellError
from bloodcell.inference import ensure_litert, find_litert
from bloodcell.inference.classifier import compute_probabilities, set_threshold
from bloodcell.inference.images import MAXIMUM_BYTES
from bloodcell.inference.prediction_sets import predict_set
from bloodcell.views import cache
from bloodcell.views import figures_cells as figures
from bloodcell.views import figures_images as pictures
from bloodcell.views import tables_classify as tables
from bloodcell.views.background import Job, find_job, forget_job, start_job
from bloodcell.views.components import (
    chart_with_table,
    download_csv,
    how_computed,
    missing_artifact,
    open_page,
    research_use_notice,
    selected_models,
    show_damaged,
    theme_mode,
)
from bloodcell.views.theme import CLASS_GLYPHS, class_color, palette
from bloodcell.views.uploads import (
    IMAGE_TYPES,
    MAXIMUM_FILES,
    MAXIMUM_UPLOAD_MB,
    CellImage,
    cell_of_split,
    choose_examples,
    read_cell,
)

FILES_PER_STEP = 8
STYLE = """<style>
.st-key-classify_verdict h2 {font-size: 2.1rem; padding-bottom: 0}
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
        if engine is not None:
            y_score = compute_probabilities(artifact, engine, np.stack([readable[key] for key in new]))
            known.update({(key, artifact.fingerprint): values for key, values in zip(new, y_score, strict=True)})
    return {key: {name: known[key, artifact.fingerprint] for name, artifact in ready.items()} for key in readable}


def ready_models(names: Sequence[str]) -> tuple[dict[str, Artifact], list[str]]:
    """Return the models that can answer now, the leading one first, and the names of those still to be built.

    The default classifier leads where it is selected and ready, else the best on val of those that are.
    """
    artifacts = {name: artifact for name in names if (artifact := cache.load_artifact(name)) is not None}
    ready: dict[str, Artifact] = {}
    for name, artifact in artifacts.items():
        try:
            if find_litert(artifact) is not None and cache.load_engine(name) is not None:
                ready[name] = artifact
        except BloodCellError as error:
            st.error(f"**{name}** cannot answer: {error}", icon=":material/error:")
    table = cache.leaderboard()
    val_accuracy = dict(zip(table["name"], table["val_accuracy"], strict=True))
    order = sorted(ready, key=lambda name: (name != cache.default_model(), -val_accuracy[name]))
    return {name: ready[name] for name in order}, [name for name in artifacts if find_litert(artifacts[name]) is None]


def pending_models(names: Sequence[str]) -> list[str]:
    """Return those of the models without a LiteRT form whose build has not failed."""
    return [name for name in names if (job := find_job(f"LiteRT {name}")) is None or job.state != "failed"]


def build_forms(names: Sequence[str]) -> None:
    """Build the LiteRT forms that are not there yet, one after the other in the background, and show how far it is."""
    jobs = {name: find_job(f"LiteRT {name}") for name in names}
    waiting = [name for name in pending_models(names) if (job := jobs[name]) is None or job.state == "done"]
    for name, job in jobs.items():
        if job is not None and job.state == "failed":
            show_failed_build(name, job)
    running = next((name for name, job in jobs.items() if job is not None and job.state == "running"), None)
    if running is None and waiting:
        running = waiting[0]
        artifact = cache.load_shelf().artifacts[running]
        start_job(f"LiteRT {running}", lambda report: ensure_litert(artifact, report))
    if running is not None:
        others = [name for name in waiting if name != running]
        st.fragment(show_build, run_every=1.0)(running, others)


def show_build(name: str, others: Sequence[str]) -> None:
    """How far one build is; when it ends, the page is drawn again with the model's answers."""
    job = find_job(f"LiteRT {name}")
    if job is None or job.state != "running":
        st.rerun()
    then = f" Then {', '.join(others)}." if others else ""
    st.progress(job.fraction, text=f"**{name}** is prepared for its first answer on this machine: {job.message}{then}")


def show_failed_build(name: str, job: Job) -> None:
    """Why a model cannot answer, with a way to try again."""
    if not isinstance(job.error, BloodCellError):
        raise job.error or RuntimeError(f"The build of {name} ended without a reason.")
    st.error(f"**{name}** cannot answer: {job.error}", icon=":material/error:")
    st.button(f"Try {name} again", key=f"classify_retry_{name}", on_click=forget_job, args=(f"LiteRT {name}",))


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


def show_files(cells: Sequence[CellImage], scores: PageScores) -> CellImage:
    """What was found, the table of several files, the choice of one to open, and the answers as CSV."""
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
        download_csv(tables.answers_table(cells, scores), "answers", key="classify_csv")
        st.button("Start over", icon=":material/restart_alt:", on_click=start_over, key="classify_restart")
    return by_key[st.session_state["classify_open"]]


def show_failures(failed: Sequence[CellImage]) -> None:
    """One sentence for each file that could not be read; nothing where all could."""
    if not failed:
        return
    with st.expander(f"{len(failed)} could not be read", icon=":material/broken_image:", expanded=len(failed) < 4):
        st.markdown("\n".join(f"- {pictures.escape_markdown(f'{cell.name}: {cell.error}')}" for cell in failed))


def show_pictures(cell: CellImage) -> None:
    """The image with its frame, and what the networks see of it."""
    assert cell.framed is not None and cell.preview is not None and cell.preview_box is not None
    seen = pictures.enlarge_to(cell.framed.pixels, 320)
    if cell.framed.kind == "dataset":
        st.image(seen, width="stretch", alt=f"{cell.name}: 64 × 64 pixels, each shown as a square")
        st.caption(f"{cell.name}: 64 × 64 pixels, as the networks see them.")
        return
    width, height = cell.size
    box = cell.framed.box
    whole = pictures.draw_frame(cell.preview, cell.preview_box, palette(theme_mode()).accent)
    with st.grid(2, min_column_width=130, gap="small"):
        with st.container():
            st.image(whole, width="stretch", alt=f"{cell.name} with the frame that is kept; the rest is dimmed")
            st.caption(
                f"{pictures.escape_markdown(cell.name)}: {width} × {height} pixels, of which the frame, "
                f"{box.width} × {box.height}, is kept."
            )
        with st.container():
            st.image(seen, width="stretch", alt=f"{cell.name} as the networks see it, 64 × 64 pixels")
            st.caption("What the networks see: 64 × 64 pixels.")


def show_verdict(cell: CellImage, scores: dict[str, np.ndarray], pending: Sequence[str]) -> None:
    """The leading model's answer in a large line, what the others say, its probabilities of all eight classes."""
    name, values = next(iter(scores.items()))
    label = int(np.argmax(values))
    glyph = f':color[{CLASS_GLYPHS[label]}]{{foreground="{class_color(label)}"}}'
    with st.container(key="classify_verdict"):
        probability = figures.probability_text(float(values[label]))
        st.header(f"{glyph} {CLASS_NAMES[label].capitalize()}, {probability}", anchor=False)
    role = "the default classifier" if name == cache.default_model() else "the best on val of those that are on"
    truth = ""
    if cell.label is not None:
        mark = "✓ right" if cell.label == label else "✗ wrong"
        truth = f"Its label is {tables.name_class(cell.label)}: **{mark}**."
    agreement = f" {tables.describe_agreement(scores)}" if len(scores) > 1 else ""
    later = f" Still being prepared: {', '.join(pending)}." if pending else ""
    st.markdown(f"So says **{name}**, {role}.{agreement}{later}")
    if truth:
        st.markdown(truth)
    artifact = cache.load_shelf().artifacts[name]
    possible = predict_set(values, set_threshold(artifact), CLASS_NAMES)
    if len(possible) > 1:
        st.markdown(f"Not ruled out at 99 % coverage: {', '.join(possible)}.")
    research_use_notice()
    chart_with_table(
        figures.probability_bars_figure(values, theme_mode()),
        tables.probabilities_table(values),
        key="classify_bars",
        alt=f"Probabilities of all eight classes by {name}, highest for {CLASS_NAMES[label]}",
        column_config={"probability": st.column_config.NumberColumn(format="percent")},
    )


def show_detail(cell: CellImage, scores: dict[str, np.ndarray], pending: Sequence[str]) -> None:
    """One image: on the left what was given and what is seen, on the right the verdict; below, every model."""
    if cell.framed is None:
        sentence = pictures.escape_markdown(cell.error or "")
        st.error(sentence, icon=":material/broken_image:", title="This file could not be read")
        return
    left, right = st.columns([2, 3], gap="medium")
    with left:
        show_pictures(cell)
        for note in cell.notes:
            st.caption(f":material/info: {note}")
    with right:
        if cell.framed.warning:
            st.warning(cell.framed.warning, icon=":material/crop:")
        if scores:
            show_verdict(cell, scores, pending)
        elif pending:
            st.skeleton(height=280)
        elif not selected_models():
            st.info("No model is on. Switch on at least one in the sidebar to get an answer.")
    if len(scores) > 1:
        st.subheader("Every selected model", anchor=False)
        chart_with_table(
            figures.opinions_figure(scores, theme_mode()),
            tables.opinions_table(scores),
            key="classify_opinions",
            alt=tables.describe_agreement(scores),
            column_config={
                name: st.column_config.NumberColumn(format="percent") for name in ("probability", *CLASS_NAMES)
            },
        )


def show_examples() -> None:
    """Eight cells of the test split, one per class, to click."""
    if not cache.dataset_status()["available"]:
        st.caption("Example cells to click appear here when the dataset is on this machine (page Dataset).")
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
if not files and not st.session_state.get("classify_cells") and example is None:
    st.html(EMPTY_STYLE)
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
    chosen = show_files(cells, scores)
show_detail(chosen, scores.get(chosen.key, {}), pending_models(missing))
if missing:
    build_forms(missing)
st.divider()
show_examples()
how_computed(HOW)

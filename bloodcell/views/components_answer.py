"""One cell and what the models say of it: the pictures on the left, the verdict on the right, every model below."""

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from bloodcell.dataset import CLASS_NAMES
from bloodcell.inference.classifier import Answer
from bloodcell.inference.prediction_sets import COVERAGE
from bloodcell.inference.trust import UNSEEN_FILE
from bloodcell.views import cache
from bloodcell.views import figures_images as pictures
from bloodcell.views import tables_classify as tables
from bloodcell.views.cache_figures import draw_plotly
from bloodcell.views.components import (
    chart_with_table,
    download_csv,
    research_use_notice,
    theme_mode,
)
from bloodcell.views.components_classify import frame_controls, kind_control, open_cell, take_frame
from bloodcell.views.components_finer import show_finer_answer
from bloodcell.views.components_picture import boxes_picture, frame_picture
from bloodcell.views.components_seen import seen_picture
from bloodcell.views.components_similar import show_similar
from bloodcell.views.opinions import OPINIONS_STYLE, opinions_html
from bloodcell.views.quantities import percent, probability_text
from bloodcell.views.tables_trust import count_text
from bloodcell.views.theme import CLASS_GLYPHS, class_color
from bloodcell.views.uploads import CellImage, Photo

_STYLE = "<style>.st-key-verdict h2 {font-size: 2.1rem; padding-bottom: 0}</style>"
HEADLINES = {
    "uncertain": "Undecided",
    "unfamiliar": "Not answered: unlike the training images",
    "not_a_cell": "Not answered: no cell",
}
NEVER_SEEN = (
    "The networks know eight types of normal blood cells and have never seen a blast. A leukaemic cell, a parasite or "
    "a damaged cell is none of the eight: it is refused, or it gets one of their names."
)


def show_answer(
    photo: Photo,
    cell: CellImage,
    answers: Mapping[str, Answer],
    scores: dict[str, np.ndarray],
    pending: Sequence[str],
    coverage: float,
    key: str,
) -> None:
    """Show one cell: on the left where it lies and what is seen of it, on the right the verdict; below, every model.

    Args:
        photo: The image.
        cell: One of its cells.
        answers: The default model's word by the key of a cell; without it while that model is being prepared.
        scores: (8,) probabilities of the selected models by name, the leading one first.
        pending: Selected models that are still being prepared.
        coverage: Of the prediction set.
        key: Beginning of the widgets' keys, the page's name.
    """
    answer = answers.get(cell.key)
    left, right = st.columns([2, 3], gap="medium")
    with right:
        if answer is not None:
            _show_verdict(cell, answer, scores, pending, coverage, key)
        elif pending or scores:
            st.info("The default classifier, whose word decides, is being prepared.", icon=":material/hourglass_top:")
            st.skeleton(height=240)
    with left:
        _show_pictures(photo, cell, answers, key)
    if answer is not None and answer.probabilities is None:
        st.toggle(
            "Show what the networks would have said",
            key=f"{key}_anyway",
            help="They name one of their eight types for whatever they are shown. It is no answer.",
        )
    if scores and (answer is None or answer.probabilities is not None or st.session_state.get(f"{key}_anyway")):
        _show_opinions(scores, answer, key)
    if answer is not None and answer.probabilities is not None:
        show_similar(cell, answer, f"{key}_similar")


def never_seen() -> None:
    """Say what the networks know and what they have never seen, with the measured figure where there is one."""
    text = NEVER_SEEN
    record = cache.load_record(UNSEEN_FILE)
    if record is not None and record.get("coverage") == COVERAGE:  # of other limits the figure says nothing
        refused = record["refused"]
        text += (
            f" In a trial with {record['model']['name']} of {record['model']['num_epochs']} epochs, of cells of a type "
            f"that was left out of its training {percent(refused['share'])} were refused ({count_text(refused)}); the "
            "others got the name of a type that it knew."
        )
    st.caption(f":material/visibility_off: {text}")


def _show_pictures(photo: Photo, cell: CellImage, answers: Mapping[str, Answer], key: str) -> None:
    """Where the cell lies, with its frame to move, and what the networks see of it."""
    answer = answers.get(cell.key)
    label = CLASS_NAMES.index(answer.label) if answer is not None and answer.label is not None else None
    frame, (width, height) = cell.frame, photo.size
    seen_alone = frame.kind == "dataset" and photo.data is None
    if seen_alone:
        seen_picture(cell, answer, label, key)
        st.caption(f"{pictures.escape_markdown(cell.name)}: 64 × 64 pixels, as the networks see them.")
        return
    if photo.is_field:
        boxes_picture(photo, answers, f"{key}_field_{photo.key}", open_cell, cell.key)
    else:
        frame_picture(photo, f"{key}_frame_{photo.key}", take_frame)
    st.caption(
        f"{pictures.escape_markdown(cell.name)}: {width} × {height} pixels, of which the frame, "
        f"{frame.box.width} × {frame.box.height}, is kept."
    )
    seen_picture(cell, answer, label, key)
    if not photo.is_field:
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            kind_control(photo, key)
            frame_controls(photo, cell, key)


def _show_verdict(
    cell: CellImage,
    answer: Answer,
    scores: dict[str, np.ndarray],
    pending: Sequence[str],
    coverage: float,
    key: str,
) -> None:
    """The refusal with its reasons, or the type in a large line; what others say; the probabilities of all types."""
    st.html(_STYLE)
    with st.container(key="verdict"):
        if answer.label is not None and answer.probability is not None:
            label = CLASS_NAMES.index(answer.label)
            glyph = f':color[{CLASS_GLYPHS[label]}]{{foreground="{class_color(label)}"}}'
            probability = probability_text(answer.probability).replace(" ", "\N{NO-BREAK SPACE}")
            st.header(f"{glyph} {answer.label.capitalize()}, {probability}", anchor=False)
        else:
            possible = f": {' or '.join(answer.prediction_set)}" if answer.status == "uncertain" else ""
            st.header(f":material/block: {HEADLINES[answer.status]}{possible}", anchor=False)
    if answer.label is None:
        st.warning("\n".join(f"- {pictures.escape_markdown(reason)}" for reason in answer.reasons))
    st.markdown(_say_who(cell, answer, scores, pending))
    if answer.label is not None:
        for reason in answer.reasons:
            st.caption(f":material/info: {pictures.escape_markdown(reason)}")
    show_finer_answer(answer, cell.frame.pixels, key)
    if answer.probabilities is not None:
        is_set = f"**{', '.join(answer.prediction_set)}**"
        alone = " alone" if len(answer.prediction_set) == 1 else ""
        st.markdown(
            f"Possible at {100 * coverage:g} % coverage: {is_set}{alone}.",
            help="For cells like those of val, this set holds the right type in as many of 100 as the coverage says.",
        )
    research_use_notice()
    if answer.probabilities is not None:
        _show_bars(answer, key)
    never_seen()


def _say_who(cell: CellImage, answer: Answer, scores: dict[str, np.ndarray], pending: Sequence[str]) -> str:
    says = f"So says **{answer.model}**, the default classifier."
    if scores and answer.probabilities is not None:
        own = np.array(list(answer.probabilities.values()))
        shown = {answer.model: own, **{name: values for name, values in scores.items() if name != answer.model}}
        says += f" {tables.describe_agreement(shown)}" if len(shown) > 1 else ""
    if pending:
        says += f" Still being prepared: {', '.join(pending)}."
    if cell.label is not None:
        truth = tables.name_class(cell.label)
        if answer.label is None:
            says += f"  \nIts label is {truth}."
        else:
            mark = "✓ right" if answer.label == CLASS_NAMES[cell.label] else "✗ wrong"
            says += f"  \nIts label is {truth}: **{mark}**."
    return says


def _show_bars(answer: Answer, key: str) -> None:
    from bloodcell.views import figures_cells as figures  # Plotly, which an empty page need not wait for

    assert answer.probabilities is not None
    values = np.array(list(answer.probabilities.values()))
    chart_with_table(
        draw_plotly(figures.probability_bars_figure, values, theme_mode()),
        tables.probabilities_table(values),
        key=f"{key}_bars",
        alt=f"Probabilities of all eight classes by {answer.model}, highest for {CLASS_NAMES[int(values.argmax())]}",
        column_config={"probability": st.column_config.NumberColumn(format="percent")},
    )


def _show_opinions(scores: dict[str, np.ndarray], answer: Answer | None, key: str) -> None:
    """What every selected model says, as small multiples with their table."""
    st.subheader("Every selected model", anchor=False)
    refused = answer is not None and answer.probabilities is None
    words = tables.describe_agreement(scores)
    st.markdown(f"Not to be believed, since the cell was refused: {words}" if refused else words)
    small, table = st.tabs(["Small multiples", "Table"], key=f"{key}_opinions_view")
    with small:
        st.html(OPINIONS_STYLE + opinions_html(scores, theme_mode()))
    with table:
        opinions = tables.opinions_table(scores)
        config = {name: st.column_config.NumberColumn(format="percent") for name in ("probability", *CLASS_NAMES)}
        st.dataframe(opinions, hide_index=True, column_config=config, key=f"{key}_opinions_table", alt=words)
        download_csv(opinions, "opinions", key=f"{key}_opinions_csv")

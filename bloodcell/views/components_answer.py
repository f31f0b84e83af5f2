"""One image and what the models say of it: the pictures on the left, the verdict on the right, every model below."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from bloodcell.dataset import CLASS_NAMES
from bloodcell.inference.classifier import set_threshold
from bloodcell.inference.prediction_sets import predict_set
from bloodcell.views import cache
from bloodcell.views import figures_images as pictures
from bloodcell.views import tables_classify as tables
from bloodcell.views.components import chart_with_table, research_use_notice, selected_models, theme_mode
from bloodcell.views.quantities import probability_text
from bloodcell.views.theme import CLASS_GLYPHS, class_color, palette
from bloodcell.views.uploads import CellImage

_STYLE = "<style>.st-key-verdict h2 {font-size: 2.1rem; padding-bottom: 0}</style>"


def show_answer(cell: CellImage, scores: dict[str, np.ndarray], pending: Sequence[str], key: str) -> None:
    """Show one image: on the left what was given and what is seen, on the right the verdict; below, every model.

    Args:
        cell: The image, or the sentence why there is none.
        scores: (8,) probabilities by model name, the leading model first; empty while none has answered.
        pending: Selected models that are still being prepared.
        key: Beginning of the charts' keys, the page's name.
    """
    if cell.framed is None:
        sentence = pictures.escape_markdown(cell.error or "")
        st.error(sentence, icon=":material/broken_image:", title="This file could not be read")
        return
    left, right = st.columns([2, 3], gap="medium")
    with left:
        _show_pictures(cell)
        for note in cell.notes:
            st.caption(f":material/info: {note}")
    with right:
        if cell.framed.warning:
            st.warning(cell.framed.warning, icon=":material/crop:")
        if scores:
            _show_verdict(cell, scores, pending, key)
        elif pending:
            st.skeleton(height=280)
        elif not selected_models():
            st.info("No model is on. Switch on at least one in the sidebar to get an answer.")
    if len(scores) > 1:
        from bloodcell.views import figures_cells as figures

        st.subheader("Every selected model", anchor=False)
        chart_with_table(
            figures.opinions_figure(scores, theme_mode()),
            tables.opinions_table(scores),
            key=f"{key}_opinions",
            alt=tables.describe_agreement(scores),
            column_config={
                name: st.column_config.NumberColumn(format="percent") for name in ("probability", *CLASS_NAMES)
            },
        )


def _show_pictures(cell: CellImage) -> None:
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


def _show_verdict(cell: CellImage, scores: dict[str, np.ndarray], pending: Sequence[str], key: str) -> None:
    """The leading model's answer in a large line, what the others say, its probabilities of all eight classes."""
    from bloodcell.views import figures_cells as figures  # Plotly, which an empty page need not wait for

    name, values = next(iter(scores.items()))
    label = int(np.argmax(values))
    glyph = f':color[{CLASS_GLYPHS[label]}]{{foreground="{class_color(label)}"}}'
    st.html(_STYLE)
    with st.container(key="verdict"):
        probability = probability_text(float(values[label])).replace(" ", "\N{NO-BREAK SPACE}")
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
        key=f"{key}_bars",
        alt=f"Probabilities of all eight classes by {name}, highest for {CLASS_NAMES[label]}",
        column_config={"probability": st.column_config.NumberColumn(format="percent")},
    )

"""What do all models make of one cell, and of the same cell changed?"""

import numpy as np
import streamlit as st

from bloodcell.dataset import CLASS_NAMES
from bloodcell.errors import BloodCellError, DatasetError
from bloodcell.inference.perturbations import describe_amounts, perturb_image
from bloodcell.views import cache, cache_classroom
from bloodcell.views import figures_images as pictures
from bloodcell.views import tables_classroom as tables
from bloodcell.views.cache_figures import draw_plotly
from bloodcell.views.components import (
    chart_with_table,
    how_computed,
    missing_artifact,
    missing_dataset,
    open_page,
    research_use_notice,
    selected_models,
    show_damaged,
    theme_mode,
)
from bloodcell.views.components_attention import show_attention
from bloodcell.views.components_classroom import UPLOADED, choose_cell, current_amounts, draw_controls
from bloodcell.views.components_engines import prepare_models, ready_models
from bloodcell.views.tables_classify import name_class
from bloodcell.views.uploads import CellImage

AS_IS, CHANGED = "As it is", "As changed"
STYLE = """<style>
.st-key-classroom_scores_chart {overflow-x: auto}
.st-key-classroom_scores_chart > div {min-width: 520px}
</style>"""
HOW = """
Every model sees the same 64 × 64 pixels. They are changed at that size, so turns by other than quarter turns and blurs
are rougher than a microscope's. Probabilities are calibrated on val by each model's temperature; on a changed image
they promise nothing, which is what there is to see. **Attention** is the class activation map of networks that average
their last feature map (Zhou et al. 2016), Grad-CAM by Keras for the others (Selvaraju et al. 2017). **What if it were
covered** asks any network about 256 images in which a 16 × 16 square in the mean colour lies elsewhere each time
(Zeiler and Fergus 2014). The **guard** is the default classifier's: it looks at the pixels, at the network's features
and at how many types remain possible, and speaks up before any answer is given.
"""


def explain_address(in_vain: str | None) -> None:
    """Say so where the address named a cell that is not here."""
    if in_vain == UPLOADED:
        st.info(
            "This address was made with an uploaded image, which an address cannot hold: upload it again, or take this "
            "cell instead.",
            icon=":material/link_off:",
        )
    elif in_vain:
        named = pictures.escape_markdown(in_vain[:40])
        st.info(f"The address names the cell {named}, which is not in the dataset here.", icon=":material/link_off:")


def score_all(names: list[str], pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Return what every model says of one image; a model that cannot answer is a sentence."""
    scores = {}
    for name in names:
        try:
            values = cache_classroom.load_scores(name, pixels)
        except BloodCellError as error:
            st.error(f"**{name}** cannot answer: {error}", icon=":material/error:")
            continue
        if values is not None:
            scores[name] = values
    return scores


def show_pictures(cell: CellImage, original: np.ndarray, changed: np.ndarray, is_changed: bool) -> None:
    """The cell as it is and, beside it, as changed, each pixel a square."""
    with st.container(horizontal=True, gap="small", wrap=False):
        for title, pixels in {AS_IS: original, CHANGED: changed}.items():
            with st.container(gap=None):
                alt = f"{cell.name}, {title.lower()}: 64 × 64 pixels, each shown as a square"
                st.image(pictures.enlarge(pixels, 5), width="stretch", alt=alt)
                st.caption(title if is_changed or title == AS_IS else "The same: nothing is changed")
    label = f"its label is {name_class(cell.label)}" if cell.label is not None else "its type is not known"
    st.markdown(f"**{pictures.escape_markdown(cell.name)}**: {label}.")
    if cell.frame.warning:
        st.caption(f":material/crop: {cell.frame.warning}")
    for note in cell.notes:
        st.caption(f":material/info: {note}")


def show_guard(original: np.ndarray, changed: np.ndarray, is_changed: bool) -> None:
    """Whether the default classifier should answer at all, on the changed cell and on the cell as it is."""
    name = cache.default_model()
    if name is None:
        return
    try:
        now = cache_classroom.load_examination(name, changed)
        before = cache_classroom.load_examination(name, original)
    except BloodCellError as error:
        st.caption(f":material/shield: {error}")
        return
    if now is None or before is None:
        st.caption(
            f":material/shield: {name} has no guard that says when to be silent; "
            f"`./dev python -m bloodcell measure guard {name}` fits one."
        )
        return
    icon = ":green[:material/verified_user:]" if now.status == "ok" else ":red[:material/gpp_maybe:]"
    was = f" (as it is: {tables.VERDICTS[before.status]})" if is_changed and before.status != now.status else ""
    st.markdown(f"{icon} The guard of {name}: **{tables.VERDICTS[now.status]}**{was}. {' '.join(now.reasons)}")


def show_scores(cell: CellImage, before: dict[str, np.ndarray], after: dict[str, np.ndarray], is_changed: bool) -> None:
    """Who says what, in a sentence; all models by all classes; what the change did."""
    from bloodcell.views import figures_classroom as figures

    st.markdown(f"#### {tables.describe_vote(after, cell.label)}")
    if is_changed:
        st.markdown(tables.describe_moves(before, after))
    panels = {CHANGED: np.stack(list(after.values()))}
    if is_changed:
        panels = {AS_IS: np.stack([before[name] for name in after]), **panels}
    chart_with_table(
        draw_plotly(
            figures.scores_figure, panels, tables.row_labels(before, after, cell.label), cell.label, theme_mode()
        ),
        tables.scores_table(before, after, cell.label),
        key="classroom_scores",
        alt=tables.describe_vote(after, cell.label).replace("*", ""),
        column_config={
            name: st.column_config.NumberColumn(format="percent")
            for name in ("probability as it is", "probability as changed", *CLASS_NAMES)
        },
    )
    st.caption(
        "Probability in per cent; above 99.9 it is written 99.9, below 9.5 not at all. The right class is framed."
    )


open_page(
    "Classroom", "One cell, all models: switch them on and off, change the image, and see who changes their mind."
)
st.html(pictures.GALLERY_STYLE + STYLE)
show_damaged()
if not cache.load_shelf().artifacts:
    missing_artifact()
    research_use_notice()
    st.stop()

amounts = current_amounts()
cell, in_vain = choose_cell()
explain_address(in_vain)
status = cache.dataset_status()
if not status["available"]:
    missing_dataset(DatasetError(status["error"]), key="classroom")
if cell is None:
    st.info("Upload the image of a cell under **My own images** to begin.", icon=":material/upload_file:")
    how_computed(HOW)
    research_use_notice()
    st.stop()

original = cell.frame.pixels
changed = perturb_image(original, amounts)
is_changed = bool(describe_amounts(amounts))
left, right = st.columns([2, 3], gap="medium")
with left:
    show_pictures(cell, original, changed, is_changed)
    show_guard(original, changed, is_changed)
    draw_controls(amounts)
ready, missing = ready_models(selected_models())
names = [name for name in selected_models() if name in ready]
with right:
    before, after = score_all(names, original), score_all(names, changed)
    names = [name for name in names if name in before and name in after]
    after = {name: after[name] for name in names}
    if names:
        show_scores(cell, before, after, is_changed)
    elif missing:
        st.skeleton(height=280)
    else:
        st.info("No model is on. Switch on at least one to get an answer.", icon=":material/toggle_off:")
    if missing:
        prepare_models(missing)
    research_use_notice()

if names:
    st.header("Where do they look?", anchor="look")
    shown = {AS_IS: original, CHANGED: changed} if is_changed else {AS_IS: original}
    show_attention(shown, {title: (after if title == CHANGED else before) for title in shown})
how_computed(HOW)

"""When should I believe an answer?"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from bloodcell.dataset import CLASS_NAMES, hash_images
from bloodcell.dataset.images import Box
from bloodcell.errors import BloodCellError
from bloodcell.inference.corruptions import CORRUPTIONS, SEVERITIES, corrupt_images
from bloodcell.inference.images import read_image_file
from bloodcell.inference.prediction_sets import COVERAGE
from bloodcell.inference.trust import (
    CROP_MARGINS,
    ROBUSTNESS_FILE,
    STATUSES,
    TRUST_FILE,
    UNSEEN_FILE,
    cut_crop,
    is_current,
)
from bloodcell.views import cache
from bloodcell.views import figures_images as pictures
from bloodcell.views import figures_trust as figures
from bloodcell.views import tables_trust as tables
from bloodcell.views.cache_figures import draw_plotly
from bloodcell.views.components import (
    chart_with_table,
    how_computed,
    open_page,
    remembered_segments,
    research_use_notice,
    section,
    theme_mode,
)
from bloodcell.views.quantities import MISSING, percent
from bloodcell.views.theme import class_color, palette

EXAMPLES = {"ok": "Answered wrongly", "uncertain": "Uncertain", "unfamiliar": "Unfamiliar", "not_a_cell": "No cell"}
NEVER_SEEN = (
    "**The networks know eight types of normal blood cells and have never seen a blast.** A leukaemic cell, a "
    "parasite, a damaged or an unusual cell is none of the eight: it is refused, or it gets one of their names. "
    "Nothing here finds disease, and no figure on this page says how often a blast would be refused."
)
HOW = """
- **Answered**: all three guards let the image by and one type remains possible. **Right**: the answer is the label.
  Behind every share stand its counts; intervals are Wilson's, 95 % (Wilson 1927).
- **The pixels**: 36 numbers on colours, layout and detail, their density under a mixture of Gaussians fitted on train;
  the limit lets 99.9 % of val by. **The features**: Mahalanobis distance to the nearest class mean (Lee et al. 2018);
  the limit lets 99.9 % of val by. Networks that do not pool a last feature map go without this look.
- **Possible types**: split conformal prediction (Vovk et al. 2005; sets as in Sadinle et al. 2019) on probabilities
  averaged over the eight symmetric views, calibrated on val. At {coverage} % coverage the set of a new cell
  *of the same kind* holds the right type with at least that probability, over all types together; a single type can lie
  below.
- Limits were chosen on val alone. Foreign fields and pictures without a cell set none.
- **Spoiled images** follow MedMNIST-C (Di Salvo et al. 2024), which has 224 pixels a side: at 64 pixels lengths are
  scaled, strengths are theirs; the stain shift is ours (haematoxylin and eosin stronger or weaker, by up to 40 %).
"""
Record = Mapping[str, Any]


def show_missing(what: str, command: str) -> None:
    """Say that something was not measured, and which command does it."""
    st.info(f"{what} No numbers yet; this command measures them:", icon=":material/straighten:")
    st.code(f"./dev python -m bloodcell {command}", language="bash")


def show_origin(record: Record) -> None:
    """Say where numbers come from, and whether they still belong to the model that answers."""
    name = record["model"]["name"]
    if not is_current(dict(record), cache.load_artifact(name)):
        st.warning(
            f"These numbers were measured on another state of **{name}** than the one that is here now: "
            "measure again to renew them.",
            icon=":material/history:",
        )
    elif cache.default_model() != name:
        st.warning(
            f"These numbers are those of **{name}**; the default model is now **{cache.default_model()}**.",
            icon=":material/history:",
        )
    elif "coverage" in record:
        warn_of_coverage(record)
    st.caption(f":material/database: {name}, measured {record['date'][:10]} on {record['dataset']['label']}.")


def warn_of_coverage(record: Record) -> None:
    """Warn where the guard answered at another coverage than Classify starts with, or nobody knows at which."""
    coverage = record.get("coverage")
    if coverage != COVERAGE:
        before = "an unknown" if coverage is None else f"{100 * coverage:g} %"
        st.warning(
            f"These numbers were measured at {before} coverage; Classify starts with {100 * COVERAGE:g} % now: measure "
            "again to renew them.",
            icon=":material/history:",
        )


def show_headline(record: Record) -> None:
    """The four figures, each with its interval, its counts and its aim."""
    with st.grid(4, min_column_width=150, gap="small"):
        for key, label, one in tables.headline_shares(record):
            with st.container(border=True, gap=None):
                st.metric(label, MISSING if one is None else percent(one["share"]))
                if one is None:
                    st.caption("Not measured: BLOODCELL_FIELDS named no folder of smear fields.")
                else:
                    st.caption(f"{tables.count_text(one)}")
                    st.caption(f"95 %: {tables.interval_text(one)}")
                    st.caption(tables.describe_aim(key, one))


def show_rule(record: Record) -> None:
    """How an image comes to an answer or a refusal, in words."""
    limits = record["limits"]
    pixels, features = limits["pixels_refuse_share_of_val"], limits["features_refuse_share_of_val"]
    steps = [
        "**Is it a picture of a cell like those of the training?** Colours, layout and detail must be as usual as in "
        f"{percent(1 - pixels)} of the val images. If nothing stained lies in the middle the image shows *no cell*, "
        "else it is *unfamiliar*: another stain or light, out of focus, another framing."
    ]
    if features is not None:
        steps.append(
            "**Does the network know such a cell?** Its features must lie as near to one of the eight types as those "
            f"of {percent(1 - features)} of the val images, else the cell is *unfamiliar*."
        )
    steps.append(
        f"**Does one type remain?** If several types are possible at {100 * record['coverage']:g} % coverage, the cell "
        "is *uncertain*, and the possible types are named."
    )
    st.header("How an answer is decided", anchor=False)
    st.markdown("\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1)))
    st.markdown(
        "The decision depends on the default model and the image alone, not on the models that are switched on."
    )


@section
def show_cells(record: Record) -> None:
    """What became of the test cells, by type, and some of them to look at."""
    test = record["test"]
    st.header("Cells of the test split", anchor=False)
    errors = test["errors"]
    st.markdown(
        f"Of {test['n']:,} cells {test['answered']['count']:,} were answered, {test['right']['count']:,} of them "
        f"rightly. Without guards the network would be wrong {errors['all']} times; with them, {errors['answered']}."
    )
    table = tables.statuses_table(record)
    chart_with_table(
        draw_plotly(figures.statuses_figure, table, "type", theme_mode()),
        table,
        "trust_cells",
        f"What became of the test cells by type: {percent(test['answered']['share'])} of all were answered",
        column_config={"share right": st.column_config.NumberColumn("right among answered", format="percent")},
    )
    show_cell_examples(test["examples"])


def show_cell_examples(examples: list[dict[str, Any]]) -> None:
    """Test cells of one status, where the dataset is here and holds the very images."""
    if not cache.dataset_status()["available"]:
        st.caption("The cells behind these numbers appear here when the dataset is on this machine (page Dataset).")
        return
    offered = {status: EXAMPLES[status] for status in STATUSES if any(one["status"] == status for one in examples)}
    if not offered:
        return
    status = remembered_segments("Look at test cells", offered, "trust_examples")
    images = cache.load_split("test")
    with st.grid(6, min_column_width=130, gap="small"):
        for one in examples:
            row = one["row"]
            if one["status"] != status or row >= images.num_images:
                continue
            pixels = images.images[row]
            if f"{int(hash_images(pixels[None])[0]):016x}" != one["hash"]:
                continue
            words = tables.describe_example(one)
            with st.container(gap=None):
                colour = class_color(CLASS_NAMES.index(one["label"]))
                st.image(
                    pictures.tile_png(pixels, colour), width="stretch", alt=f"Test row {row}, {one['label']}, {status}"
                )
                st.caption(f"labelled {one['label']}; {words}")


@section
def show_coverage(record: Record) -> None:
    """How often the set of possible types holds the right one, by type, at a coverage to choose."""
    st.header("Does the set of possible types hold the right one?", anchor=False)
    offered = {f"{one['coverage']:g}": f"{100 * one['coverage']:g} %" for one in record["coverages"]}
    promise = "Promised share of cells whose set of possible types holds the right one"
    own = f"{record['coverage']:g}"
    default = own if own in offered else next(iter(offered))
    chosen = float(remembered_segments("Coverage", offered, "trust_coverage", promise, default=default))
    table = tables.coverage_table(record, chosen)
    total = table.iloc[-1]
    left, right = st.columns([3, 2], gap="medium")
    with left:
        chart_with_table(
            draw_plotly(figures.coverage_figure, table, chosen, theme_mode()),
            table,
            "trust_sets",
            f"Share of test cells whose set holds the right type, by type, against a promise of {100 * chosen:g} %; "
            f"{percent(total['share'])} over all",
            column_config={name: st.column_config.NumberColumn(format="percent") for name in ("share", "low", "high")},
        )
    with right:
        st.markdown("What another coverage would bring:")
        st.dataframe(
            tables.choices_table(record),
            hide_index=True,
            key="trust_choices",
            alt="Share answered and right among answered for every coverage on offer",
            column_config={
                name: st.column_config.NumberColumn(format="percent", help=text)
                for name, text in (
                    ("coverage", promise),
                    ("held", "Test cells whose set holds the right type"),
                    ("answered", "Test cells that all guards let by and whose set has one type"),
                    ("right", "Right among answered"),
                )
            }
            | {"size": st.column_config.NumberColumn(format="%.2f", help="Types in a set, on average")},
        )


def show_fields(record: Record | None) -> None:
    """White cells of another laboratory's smears."""
    st.header("Cells of a foreign stain", anchor=False)
    if record is None:
        show_missing("This needs smear fields with marked cells, whose folder BLOODCELL_FIELDS names.", "measure trust")
        return
    one = record["white_cells"]["refused"]
    st.markdown(
        "White cells marked in the even-numbered fields of BCCD, another laboratory's camera and stain: "
        f"**{tables.count_text(one)}** were refused. Each was cut out in a square {CROP_MARGINS[0]:g} times as wide as "
        "its mark, about as much as the training images show; other frames are in the table."
    )
    show_field_examples(record["examples"])
    table = tables.fields_table(record)
    st.dataframe(
        table,
        hide_index=True,
        key="trust_fields",
        alt="Foreign white cells refused by half of the fields and by frame",
        column_config={name: st.column_config.NumberColumn(format="percent") for name in ("share", "low", "high")}
        | {"frame": st.column_config.NumberColumn(format="%.2f ×", help="Side of the square over that of the mark")},
    )


def show_field_examples(examples: list[dict[str, Any]]) -> None:
    """Crops of the smear fields, where these are on this machine."""
    folder = os.environ.get("BLOODCELL_FIELDS")
    shown = [one for one in examples if folder and (Path(folder) / "images" / one["image"]).is_file()]
    if not shown:
        st.caption("The cells appear here when BLOODCELL_FIELDS names the folder of the fields.")
        return
    with st.grid(6, min_column_width=130, gap="small"):
        for one in shown[:6]:
            try:
                pixels = read_image_file(Path(str(folder)) / "images" / one["image"], longest_side=None).pixels
            except BloodCellError as error:
                st.caption(str(error))
                continue
            crop = cut_crop(pixels, Box(*one["box"]), CROP_MARGINS[0])
            with st.container(gap=None):
                tile = pictures.tile_png(crop, palette(theme_mode()).muted)
                st.image(tile, width="stretch", alt=f"White cell of {one['image']}, {one['status']}")
                st.caption(f"{tables.STATUS_WORDS[one['status']]}: {one['reasons'][0] if one['reasons'] else ''}")


def show_noncells(record: Record) -> None:
    """Pictures without a cell, by kind, with one of each."""
    st.header("Pictures without a cell", anchor=False)
    one = record["refused"]
    st.markdown(
        f"**{tables.count_text(one)}** were refused: pictures drawn by this project's code, the surroundings of the "
        "test split's platelets, and red cells of foreign smears."
    )
    drawn = cache.draw_noncells()
    with st.grid(9, min_column_width=84, gap="small"):
        for kind, pixels in drawn.items():
            with st.container(gap=None):
                st.image(pictures.enlarged_png(pixels, 2), width="stretch", alt=f"A picture of the kind: {kind}")
                st.caption(kind)
    table = tables.noncells_table(record)
    chart_with_table(
        draw_plotly(figures.statuses_figure, table, "kind", theme_mode()),
        table,
        "trust_noncells",
        f"What became of pictures without a cell, by kind; {percent(one['share'])} of all were refused",
        column_config={name: st.column_config.NumberColumn(format="percent") for name in ("share", "low", "high")},
    )


@section
def show_spoiled(record: Record) -> None:
    """Spoiled test cells: all corruptions at a glance, then one in detail."""
    st.header("Spoiled images", anchor=False)
    show_origin(record)
    st.markdown(
        f"Each of {record['n']:,} test cells was spoiled in {len(record['corruptions'])} ways and five severities. "
        + tables.describe_worst(record)
    )
    measures = {"wrong_answers": "Wrong among answered", "refused": "Refused", "accuracy": "Named rightly"}
    measure = remembered_segments("Show", measures, "trust_measure")
    chart_with_table(
        draw_plotly(figures.spoiled_overview_figure, record, measure, theme_mode()),
        tables.robustness_table(record),
        "trust_spoiled",
        f"{measures[measure]} for {record['model']['name']}, by corruption and severity",
        column_config={name: st.column_config.NumberColumn(format="percent") for name in tables.MEASURES.values()},
    )
    offered = {one["key"]: one["name"] for one in record["corruptions"]}
    key = remembered_segments("In detail", offered, "trust_corruption")
    show_spoiled_cell(key)
    table = tables.robustness_table(record, key)
    models = [one["name"] for one in record["models"]]
    chart_with_table(
        draw_plotly(figures.spoiled_figure, table, models, record["model"]["name"], theme_mode()),
        table,
        "trust_severities",
        f"Named rightly, refused and wrong among answered over the severities of {offered[key]}",
        column_config={name: st.column_config.NumberColumn(format="percent") for name in tables.MEASURES.values()},
    )
    for one in record["models"]:
        if one["name"] != record["model"]["name"] and not is_current({"model": one}, cache.load_artifact(one["name"])):
            st.warning(
                f"The curve of **{one['name']}** was measured on another state of it than the one that is here now.",
                icon=":material/history:",
            )
    st.caption(
        f"Severity 0 is the image as it is. Refusals are those of {record['model']['name']}, whichever model is asked."
    )


def show_spoiled_cell(key: str) -> None:
    """One test cell as it is and in five severities, where the dataset is here."""
    if not cache.dataset_status()["available"] or key not in CORRUPTIONS:
        return
    cell = cache.load_split("test").images[:1]
    corruption = CORRUPTIONS[key]
    shown: list[tuple[str, np.ndarray]] = [("as it is", cell[0])]
    for severity in SEVERITIES:
        words = f"{severity}: {corruption.strengths[severity - 1]:g}"
        shown.append((words, corrupt_images(cell, key, severity)[0]))
    with st.grid(6, min_column_width=96, gap="small"):
        for words, pixels in shown:
            with st.container(gap=None):
                st.image(pictures.enlarged_png(pixels, 2), width="stretch", alt=f"{corruption.name}, {words}")
                st.caption(words)
    st.caption(f"Strength: {corruption.unit}.")


def show_unseen() -> None:
    """How often a type that a network never saw is refused."""
    st.header("A type that it has never seen", anchor=False)
    record = cache.load_record(UNSEEN_FILE)
    if record is None:
        show_missing(
            "Leaving one of the eight types out of the training shows how often a network notices what it never saw.",
            "measure unseen",
        )
        return
    warn_of_coverage(record)
    one = record["refused"]
    st.markdown(
        f"One {record['model']['name']} per left-out type, {record['model']['num_epochs']} epochs each, under its own "
        f"guard: of the cells of the unseen type **{percent(one['share'])}** were refused ({tables.count_text(one)}). "
        "The others got the name of a type that the network knew."
    )
    st.caption(f":material/database: Measured {record['date'][:10]} on {record['dataset']['label']}.")
    table = tables.unseen_table(record)
    chart_with_table(
        draw_plotly(figures.unseen_figure, table, theme_mode()),
        table,
        "trust_unseen",
        f"Share of cells refused by type that the network never saw; {percent(one['share'])} over all",
        column_config={name: st.column_config.NumberColumn(format="percent") for name in ("share", "low", "high")},
    )


open_page(
    "Trust",
    "When should I believe an answer? The default model with all its guards on, asked about cells it knows, cells of "
    "another laboratory and pictures that show no cell.",
)
st.html(pictures.GALLERY_STYLE)
trust = cache.load_record(TRUST_FILE)
if trust is None:
    show_missing("How often the default model answers, and how often it is right.", "measure trust")
    st.warning(NEVER_SEEN, icon=":material/visibility_off:")
    show_unseen()
    research_use_notice()
    st.stop()

show_headline(trust)
show_origin(trust)
st.warning(NEVER_SEEN, icon=":material/visibility_off:")
show_rule(trust)
show_cells(trust)
show_coverage(trust)
show_fields(trust["fields"])
show_noncells(trust["noncells"])
spoiled = cache.load_record(ROBUSTNESS_FILE)
if spoiled is None:
    st.header("Spoiled images", anchor=False)
    show_missing("What blur, light, stain and compression do to the answers.", "measure robustness")
else:
    show_spoiled(spoiled)
show_unseen()
how_computed(HOW.format(coverage=f"{100 * trust['coverage']:g}"))
research_use_notice()

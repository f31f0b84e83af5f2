"""What the sections of the Findings page share: answer, evidence, caveat, what is missing, and rows of cells."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from bloodcell.dataset import CLASS_NAMES, match_images
from bloodcell.errors import DatasetError
from bloodcell.evaluation.evidence import ONE_SEED_LIMIT, Evidence
from bloodcell.evaluation.repeated import Repeated
from bloodcell.views import cache
from bloodcell.views import figures_findings as figures
from bloodcell.views import tables_findings as tables
from bloodcell.views.cache_figures import draw_plotly
from bloodcell.views.components import (
    choose,
    download_csv,
    for_projector,
    keep_choice,
    missing_dataset,
    restore_choice,
    theme_mode,
)
from bloodcell.views.figures_images import GALLERY_STYLE, tile_png
from bloodcell.views.findings import Finding
from bloodcell.views.theme import class_color

POINTS = st.column_config.NumberColumn(format="%+.2f")
CELLS_AT_ONCE = 12
CHART_OPTIONS = {"displaylogo": False, "displayModeBar": False, "scrollZoom": False}


def show_summary(findings: Sequence[Finding]) -> None:
    """Every question with its answer in a line, linked to its section."""
    st.markdown("\n".join(f"- [{one.question}](#{one.key}) {one.short}" for one in findings))


def show_answer(finding: Finding) -> None:
    """Heading and answer of one question."""
    st.header(finding.question, anchor=finding.key, divider="gray")
    if finding.is_answered:
        st.markdown(finding.answer)
    else:
        st.info(finding.answer, icon=":material/hourglass_empty:")


def show_caveat(finding: Finding) -> None:
    """What the evidence does not show, and what is missing with the commands that bring it."""
    if finding.caveat:
        st.caption(f":material/error_outline: {finding.caveat}")
    if finding.missing:
        what = "; ".join(one.what for one in finding.missing)
        with st.expander(f"Still missing for this question: {shorten(what)}", icon=":material/model_training:"):
            if what != shorten(what):
                st.markdown(what)
            for one in finding.missing:
                st.code(one.command, language="bash", wrap_lines=True)


def keep_select(key: str, options: Sequence[str], default: str, label: str = "Step") -> str:
    """Let the reader choose one of many; the choice stays in the session and in the URL."""
    restore_choice(key, options, default)
    st.selectbox(label, options, key=key, persist_state="session", on_change=choose, args=(key,))
    keep_choice(key, default)
    return st.session_state[key]


def shorten(text: str, longest: int = 90) -> str:
    """Return a text of at most `longest` characters, cut at a word."""
    return text if len(text) <= longest else text[:longest].rsplit(" ", 1)[0].rstrip(",;") + " …"


def show_evidence(
    finding: Finding, key: str, labels: Sequence[str] | None = None, selected: str | None = None
) -> go.Figure | None:
    """The comparisons of a question as a figure with intervals, and below it as a table with CSV.

    Args:
        finding: The question.
        key: Unique, beginning with the page's name.
        labels: What each comparison is called in the figure; "a − b" where None.
        selected: Name of the first network of the comparison that is drawn large.
    """
    if not finding.evidence:
        return None
    named = labels or [f"{one.a} − {one.b}" for one in finding.evidence]
    figure = draw_plotly(figures.differences_figure, finding.evidence, named, theme_mode(), selected)
    alt = describe_figure(finding.evidence)
    st.plotly_chart(for_projector(figure), key=f"{key}_chart", config=CHART_OPTIONS, alt=alt)
    show_evidence_table(finding.evidence, key)
    return figure


def describe_figure(evidence: Sequence[Evidence]) -> str:
    """Return what the figure of differences shows, for someone who does not see it."""
    counts = [sum(one.verdict == verdict for one in evidence) for verdict in ("better", "worse", "undecided")]
    return (
        f"Differences in accuracy with 95 % intervals: of {len(evidence)} comparisons {counts[0]} better, {counts[1]} "
        f"worse, {counts[2]} without a claim; the table below has the same numbers"
    )


def show_evidence_table(evidence: Sequence[Evidence], key: str) -> None:
    """The comparisons as a table with CSV."""
    table = tables.evidence_table(evidence)
    pairs = ", ".join(f"{one.a} − {one.b}" for one in evidence)  # several such tables stand on one page
    columns = {
        "Network": st.column_config.TextColumn(pinned=True),
        "Points": st.column_config.NumberColumn(format="%+.2f", help=tables.EVIDENCE_COLUMNS["Points"]),
        "95 % from": POINTS,
        "to": POINTS,
        **{
            name: st.column_config.NumberColumn(format="%.2g", help=tables.EVIDENCE_COLUMNS[name])
            for name in ("p", "p, corrected")
        },
        **{name: st.column_config.TextColumn(help=tables.EVIDENCE_COLUMNS[name]) for name in ("Claim", "Seeds")},
    }
    st.dataframe(
        table,
        hide_index=True,
        column_config=columns,
        key=f"{key}_evidence",
        height="content" if len(table) <= 12 else 35 * 13,
        alt=f"Paired differences with intervals, tests and what may be claimed: {shorten(pairs)}",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        download_csv(table, key, key=f"{key}_csv")
        single = any(one.num_seeds == 1 for one in evidence)
        limit = f"{100 * ONE_SEED_LIMIT:g} points"
        note = f" Within {limit} one seed carries no claim, whatever the interval." if single else ""
        st.caption(f"▲ and ▼ are claims, ○ is none.{note}", width="stretch")


def show_networks_table(table: pd.DataFrame, key: str) -> None:
    """Accuracy on both splits, calibration, size and time of some networks, with CSV."""
    spread = st.column_config.NumberColumn("±", format="%.2f", help="Standard deviation over the seeds, points")
    columns = {
        "Network": st.column_config.TextColumn(pinned=True),
        **dict.fromkeys(("± val", "± test", "± ECE"), spread),
        "Val": st.column_config.NumberColumn("Val, %", format="%.2f"),
        "Test": st.column_config.NumberColumn("Test, %", format="%.2f"),
        "ECE": st.column_config.NumberColumn("ECE, %", format="%.2f", help="Expected calibration error on test"),
        "MB": st.column_config.NumberColumn(format="%.3f", help="float32 weights, bytes / 1024²"),
        "ms": st.column_config.NumberColumn(format="%.3f", help="One image, LiteRT float16, median"),
    }
    st.dataframe(
        table,
        hide_index=True,
        column_config=columns,
        placeholder="–",
        key=f"{key}_table",
        alt="Mean and spread over seeds on validation and test, calibration, size and time",
    )
    download_csv(table, key, key=f"{key}_table_csv")


def show_cells(
    rows: np.ndarray,
    labels: np.ndarray,
    hashes: np.ndarray,
    captions: Sequence[str],
    key: str,
    split: str = "test",
) -> None:
    """Cells of a split, enlarged by whole pixels, each with a caption; says so where the dataset is not here.

    Args:
        rows: Which of `labels` and `hashes` are shown.
        labels: (n,) true classes of a model's predictions.
        hashes: (n,) hashes of the same images.
        captions: One per row, Markdown.
        key: Of the offer to download the dataset.
        split: Where the cells are looked for.
    """
    try:
        images = cache.load_split(split)
    except DatasetError as error:
        missing_dataset(error, key=key)
        return
    chosen = np.asarray(rows, dtype=np.int64)
    places = match_images(hashes[chosen], labels[chosen], images).indices.tolist()
    st.html(GALLERY_STYLE)
    grid = st.grid("auto", min_column_width=132, gap=("medium", "small"))
    for row, place, caption in zip(chosen.tolist(), places, captions, strict=True):
        with grid.cell(), st.container(gap="xsmall"):
            if place < 0:
                st.caption("This image is not in the dataset's file here.")
            else:
                name = CLASS_NAMES[int(labels[row])]
                tile = tile_png(images.images[place], class_color(int(labels[row])))
                st.image(tile, alt=f"{name}, {split} row {place}")
            st.markdown(caption)


def caption_change(row: int, first: Repeated, second: Repeated, names: tuple[str, str], other_row: int) -> str:
    """Return what both networks answered for one image, below its picture."""
    answers = (tables.describe_answers(*one, CLASS_NAMES) for one in ((first, row), (second, other_row)))
    lines = [f"{name}: {answer}" for name, answer in zip(names, answers, strict=True)]
    text = "  \n".join([f"**{CLASS_NAMES[int(first.y_true[row])]}**", *lines])
    return f":small[{text}]"

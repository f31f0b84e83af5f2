"""Which network, and at what cost?"""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from bloodcell.models.catalog import CATALOG
from bloodcell.published import STUDY, load_summary
from bloodcell.views import cache, cache_findings
from bloodcell.views import figures_compare as figures
from bloodcell.views.cache_figures import draw_altair
from bloodcell.views.components import (
    benchmark_line,
    chart_with_table,
    data_source_line,
    download_csv,
    how_computed,
    mark_legend,
    missing_artifact,
    open_page,
    selected_models,
    show_damaged,
    theme_mode,
)
from bloodcell.views.quantities import enumerate_words, megabytes, milliseconds, percent, percent_interval, points
from bloodcell.views.selection import OWN
from bloodcell.views.tables import Answer, best_published, find_answers, leaderboard_table

REPORTS_PAGE = Path(__file__).with_name("reports.py")
FINDINGS_PAGE = Path(__file__).with_name("findings.py")
STUDY_QUESTIONS = ("lightweight", "attention", "depth")
REPORTS_MODEL_KEY = "reports_model"
MOST_ROWS = 12
SIZE_TITLE = "Size, MB"
BOARD_KEY = "overview_leaderboard"
DEFINITIONS = f"""
- **Measured**: accuracy on the test images, of the weights as they are stored. **±** is half of Wilson's 95 %
  interval (Wilson 1927): it covers the chance of these images, not that of another training.
- **Most accurate** and **lightest above 95 %** describe the test results. **Best trade-off** is a choice, and therefore
  made on validation: the fastest network within 0.2 points of the best validation accuracy. Another head or training of
  a network (NAME.TAG) is left out: the noise of a timing must not decide between twins.
- **MB**: float32 weights, four bytes a parameter, in bytes / 1024². **ms**: median time for one image with LiteRT
  (float16), two threads, on the machine named below.
- **F1**: mean over classes weighted by their images.
- **Published**: {STUDY}. "Against the study" compares with the highest accuracy that it printed.
"""
BOARD_COLUMNS: dict[str, Any] = {
    "rank": st.column_config.NumberColumn(
        "#", width=40, pinned=True, help="By measured accuracy; equal accuracies share a rank"
    ),
    "measured": st.column_config.NumberColumn("Measured", width=80, format="%.2f %%", help="Accuracy on test"),
    "margin": st.column_config.NumberColumn(
        "±", width=50, format="%.2f", help="Half of Wilson's 95 % interval, in points"
    ),
    "bar": st.column_config.ProgressColumn("80–100 %", width=80, format=" ", min_value=0.8, max_value=1.0),
    "weights_mb": st.column_config.NumberColumn("MB", width=60, format="%.2f", help="float32 weights, bytes / 1024²"),
    "latency_ms": st.column_config.NumberColumn(
        "ms", width=60, format="%.2f", help="One image, LiteRT float16, median"
    ),
    "published": st.column_config.NumberColumn("Published", format="%.2f %%", help="What the study printed"),
    "f1": st.column_config.NumberColumn("F1", format="%.2f %%", help="Weighted by images"),
    "parameters": st.column_config.NumberColumn("Parameters", format="localized"),
    "family": st.column_config.TextColumn("Family"),
}


def open_report() -> None:
    """Go to the report of the row whose name was clicked."""
    clicked = st.session_state["overview_open"]
    if clicked is not None:
        show_report(clicked.label)


def show_report(name: str) -> None:
    """Go to the report of a model."""
    st.session_state[REPORTS_MODEL_KEY] = name
    st.switch_page(REPORTS_PAGE, query_params={REPORTS_MODEL_KEY: name})


def show_answer(answer: Answer, best_published: str) -> None:
    """One card: the model, its accuracy with interval, its cost, and the change against the study's best."""
    with st.container(border=True, height="stretch", gap="xsmall"):
        st.caption(f"**{answer.title}**", help=answer.rule)
        if answer.name is None:
            st.markdown("No trained model reaches it yet.")
            return
        equals = f" :small[:gray[and {enumerate_words(answer.equals)}]]" if answer.equals else ""
        st.markdown(f"**{answer.name}**{equals}")
        st.metric(
            "Accuracy on test",
            percent_interval(answer.accuracy, answer.low, answer.high),
            delta=points(answer.gain).replace("−", "-"),  # Streamlit tells a loss by its hyphen
            delta_description=f"study's best {best_published}",
            label_visibility="collapsed",
        )
        costs = [megabytes(answer.weights_mb)]
        if not math.isnan(answer.latency_ms):
            costs.append(milliseconds(answer.latency_ms))
        if not math.isnan(answer.size_ratio):
            costs.append(ratio_in_words(answer.size_ratio))
        st.markdown(" · ".join(costs))


def ratio_in_words(ratio: float) -> str:
    """Say how a size compares with the study's best: 14.2 -> "14× smaller"."""
    if ratio >= 1:
        return f"{ratio:.0f}× smaller" if ratio >= 1.95 else f"{ratio:.1f}× smaller"
    return f"{1 / ratio:.1f}× larger"


def show_leaderboard(table: pd.DataFrame) -> None:
    """The ranking; a click on a name or the choice of a row opens its report."""
    board = leaderboard_table(table)
    st.header("Leaderboard", anchor=False)
    columns = {
        **BOARD_COLUMNS,
        "name": st.column_config.ButtonColumn(
            "Model",
            on_click=open_report,
            key="overview_open",
            type="tertiary",
            width=150,
            pinned=True,
            alignment="left",
        ),
    }
    event = st.dataframe(
        board,
        hide_index=True,
        column_config=columns,
        key=BOARD_KEY,
        on_select="rerun",
        selection_mode="single-row",
        placeholder="–",
        height="content" if len(board) <= MOST_ROWS else 35 * (MOST_ROWS + 1),
        alt="Leaderboard: every trained model by accuracy on test; choosing a row opens its report",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        download_csv(board.drop(columns="bar"), "leaderboard", key="overview_leaderboard_csv")
        st.caption("Click a name, or choose a row, to open its report. Click a heading to sort.")
    if event["selection"]["rows"]:
        show_report(board["name"].iloc[event["selection"]["rows"][0]])


def show_scatter(table: pd.DataFrame) -> None:
    """Accuracy against size, small."""
    st.header("Accuracy and size", anchor=False)
    points_drawn = figures.scatter_points(table, "weights_mb", "published_memory_mb", selected_models())
    families = list(dict.fromkeys(table["family"]))
    mark_legend(families)
    chart_with_table(
        draw_altair(
            figures.cost_chart,
            points_drawn.drop(columns="on"),
            SIZE_TITLE,
            families,
            theme_mode(),
            height=290,
            data=figures.cost_data([points_drawn]),
        ),
        figures.scatter_table(points_drawn, SIZE_TITLE),
        key="overview_scatter",
        alt="Accuracy on test against size of the weights: every trained model, beside it the published figure",
    )


def show_published_only() -> None:
    """What there is before any model is trained: the study's own figures."""
    missing_artifact()
    st.header("What the study published", anchor=False)
    summary = load_summary().sort_values("accuracy", ascending=False)
    shown = pd.DataFrame(
        {
            "Model": summary["name"],
            "Published": 100 * summary["accuracy"],
            "Parameters": summary["parameters"],
            "MB": summary["memory_mb"],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        column_config={"Published": st.column_config.NumberColumn(format="%.2f %%")},
        alt="Published accuracy, parameters and size of the study's networks",
    )
    st.caption(STUDY)


def show_questions() -> None:
    """The study's three questions, each with its answer in a line and the way to the evidence."""
    st.header("What the study asked", anchor=False)
    findings = cache_findings.load_evidence().findings
    for key in STUDY_QUESTIONS:
        finding = findings[key]
        with st.container(gap=None):
            st.page_link(FINDINGS_PAGE, label=f"**{finding.question}**", icon=":material/science:")
            st.markdown(finding.short)


leaderboard = cache.leaderboard()
same = ", the same test images for all" if leaderboard["dataset"].nunique() == 1 else ""
num_rows = int(leaderboard["name"].isin(CATALOG).sum())
num_own = int((leaderboard["origin"] == OWN).sum())
more = len(leaderboard) - num_rows - num_own
parts = [f"{num_rows} trained network{'s' * (num_rows != 1)}"] if num_rows else []
parts += [f"{more} more training{'s' * (more > 1)} of them"] if more else []
parts += [f"{num_own} of your own"] if num_own else []
scope = f" {enumerate_words(parts)}, eight types of cell{same}."
open_page(
    "Overview",
    f"Which network reads blood cells best, and at what cost?{'' if leaderboard.empty else scope}",
)
if leaderboard.empty:
    show_damaged()
    show_published_only()
    st.stop()

summary = load_summary()
best = best_published(summary)
answers = find_answers(leaderboard, summary)
for column, answer in zip(st.columns(3, gap="small"), answers, strict=True):
    with column:
        show_answer(answer, percent(best["accuracy"]))
data_source_line()
left, right = st.columns([0.62, 0.38], gap="medium")
with left:
    show_leaderboard(leaderboard)
with right:
    show_scatter(leaderboard)
show_questions()
benchmark_line(cache.load_benchmark())
untrained = sorted(set(summary["name"]) - set(leaderboard["name"]))
if untrained:
    names = ", ".join(untrained)
    are = "is" if len(untrained) == 1 else "are"
    st.caption(f"Of the study's {len(summary)} networks, {len(untrained)} {are} not trained here: {names}.")
show_damaged()
how_computed(DEFINITIONS)

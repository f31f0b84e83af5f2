"""Widgets that every page shares: its opening, the model selection, charts with a table twin, and what is missing.

The model selection and other choices that the URL keeps are in `components_selection`, and can be imported from here.
"""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, cast

import pandas as pd
import streamlit as st

from bloodcell.dataset import download_dataset
from bloodcell.errors import BloodCellError
from bloodcell.views import cache
from bloodcell.views.background import find_job, start_job
from bloodcell.views.components_projector import for_projector, projector_switch
from bloodcell.views.components_selection import (
    SELECTION_KEY,
    choose,
    keep_choice,
    model_picker,
    model_selection,
    note_visit,
    read_choices,
    remembered_segments,
    remembered_toggle,
    restore_choice,
    selected_models,
    theme_mode,
    was_chosen,
    write_choices,
)
from bloodcell.views.memory import tidy
from bloodcell.views.navigation import GROUPS, HOME
from bloodcell.views.tables import describe_benchmark, family_name
from bloodcell.views.theme import legend_html, palette

if TYPE_CHECKING:
    import altair as alt
    import plotly.graph_objects as go

    from bloodcell.inference.benchmark import Benchmark

__all__ = [
    "SELECTION_KEY",
    "benchmark_line",
    "chart_with_table",
    "choose",
    "data_source_line",
    "download_csv",
    "for_projector",
    "how_computed",
    "keep_choice",
    "mark_legend",
    "missing_artifact",
    "missing_dataset",
    "model_picker",
    "navigate",
    "open_page",
    "read_choices",
    "remembered_segments",
    "remembered_toggle",
    "research_use_notice",
    "restore_choice",
    "section",
    "selected_models",
    "show_damaged",
    "theme_mode",
    "was_chosen",
    "write_choices",
]

Arguments = ParamSpec("Arguments")
PRODUCT = "Blood Cell Lab"
# A character, because the browser would fetch a Material icon from the network.
PAGE_ICON = "🩸"
_ROUTED_KEY = "routed"
DOWNLOAD_JOB = "dataset download"
# Streamlit's own margins leave too little of a 1280 px screen; its theme options have no horizontal padding. The names
# of previous and next are for screen readers: beside a list of models an arrow says enough. Text on the primary colour
# takes the ground's, because white on the dark theme's lighter violet is too faint to read.
_STYLE = """<style>
[data-testid="stMainBlockContainer"] {padding-left: clamp(1rem, 3vw, 3rem); padding-right: clamp(1rem, 3vw, 3rem);}
[data-testid="stMain"] table, [data-testid="stMetricValue"] {font-variant-numeric: tabular-nums;}
[data-testid="stSidebarNavLink"] {padding-top: .1rem; padding-bottom: .1rem; min-height: 0; line-height: 1.6; margin: 0}
[data-testid="stSidebarNavItems"] li {margin: 1px 0}
[data-testid="stBaseButton-primary"], [data-tag] {color: GROUND;}
[class*="st-key-"]:is([class*="_previous"], [class*="_next"]) button [data-testid="stMarkdownContainer"] {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);}
</style>"""
LEGEND_NOTES = (("○", "hollow: published"), ("┄", "Pareto front"))
RESEARCH_USE = "For research and teaching only. Not a medical device: do not use it for diagnosis."


def navigate() -> st.Page:
    """Draw the navigation and return the page to run; called by `app.py`, and by a page that was opened without it."""
    st.session_state[_ROUTED_KEY] = True
    st.set_page_config(page_title=PRODUCT, page_icon=PAGE_ICON, layout="wide")
    return st.navigation(
        {
            group: [
                st.Page(page.path, title=page.title, icon=page.icon, help=page.text, default=page.file == HOME)
                for page in pages
                if page.path.is_file()
            ]
            for group, pages in GROUPS.items()
        },
        expanded=True,  # else the last pages hide behind "View more"
    )


def open_page(title: str, question: str) -> None:
    """Open a page: browser title, heading, one sentence, model selection and projector in the sidebar. Call it first.

    Args:
        title: The page's name in the navigation.
        question: One sentence that says what the reader is looking at and from which data.
    """
    if not st.session_state.get(_ROUTED_KEY):
        # A link to a page, on a server that has not run app.py yet, runs the page alone under a navigation made of file
        # names. Naming the pages tells Streamlit to go through app.py from now on.
        navigate()
        st.rerun()
    cache.begin_run()
    tidy()
    st.set_page_config(page_title=f"{title} · {PRODUCT}", page_icon=PAGE_ICON, layout="wide")
    st.html(_STYLE.replace("GROUND", palette(theme_mode()).ground))
    note_visit(title)
    with st.sidebar:
        model_selection()
        projector_switch()
    st.title(title, anchor=False)
    st.markdown(question)


def section(draw: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Make of a function a part of the page that is drawn anew alone when the reader changes something in it."""

    @functools.wraps(draw)
    def draw_now(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        cache.continue_run()
        tidy()
        draw(*args, **kwargs)

    return st.fragment(draw_now)


def missing_artifact(name: str | None = None) -> None:
    """Say that a model, or every model, is not trained here, why if it is damaged, and which command brings it."""
    damaged = {item.name: item.reason for item in cache.load_shelf().damaged}
    if name in damaged:
        st.error(f"**{name}** is on disk and cannot be used: {damaged[name]}", icon=":material/broken_image:")
    elif name is not None:
        st.info(f"No trained model **{name}** here yet. This command trains it:", icon=":material/model_training:")
    else:
        st.info("No trained model here yet. This command trains the first:", icon=":material/model_training:")
    st.code(f"./dev python -m bloodcell train {name or 'cnn_4'}", language="bash")


def show_damaged() -> None:
    """Name every artifact that could not be read, with the reason; nothing where all are well."""
    for item in cache.load_shelf().damaged:
        st.warning(f"**{item.name}** was left out: {item.reason}", icon=":material/broken_image:")


def missing_dataset(error: BloodCellError | None = None, key: str = "missing_dataset") -> None:
    """Say that the dataset is not here and offer to download it, with progress; a failure is one sentence.

    The download runs in the background: the reader may go to another page and come back to it.

    Args:
        error: What `cache.load_split` raised; its message is shown.
        key: The page's name, if a page shows this twice.
    """
    st.info(
        str(error) if error else "The dataset is not on this machine yet.",
        icon=":material/database_off:",
    )
    if "BLOODCELL_DATA" in os.environ:  # a download goes to the cache, where this variable keeps it from being found
        return
    job = find_job(DOWNLOAD_JOB)
    running = job is not None and job.state == "running"
    st.fragment(_download_offer, run_every=1.0 if running else None)(key)


def chart_with_table(
    figure: "go.Figure | alt.TopLevelMixin | dict[str, Any]",
    table: pd.DataFrame,
    key: str,
    alt: str,
    *,
    column_config: Mapping[str, Any] | None = None,
    **chart_options: Any,
) -> Any:
    """Show a chart and, one key press away, the same numbers as a table with a CSV button.

    Args:
        figure: Plotly or Altair figure, or a Vega-Lite figure as `cache_figures.draw_altair` returns it.
        table: The numbers that the figure draws.
        key: Unique, beginning with the page's name.
        alt: What the chart shows, for someone who does not see it, in a sentence.
        column_config: Streamlit's column configuration of the table.
        chart_options: Passed on to `st.plotly_chart` or `st.altair_chart`, such as `on_select`.

    Returns:
        What the chart element returns: its selection where `on_select` is given.
    """
    figure = for_projector(figure)
    chart_tab, table_tab = st.tabs(["Chart", "Table"], key=f"{key}_view")
    with chart_tab:
        if isinstance(figure, dict):
            event: Any = st.vega_lite_chart(figure, key=f"{key}_chart", alt=alt, width="stretch", **chart_options)
        elif type(figure).__module__.startswith("plotly"):
            config = {"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"]}
            event = st.plotly_chart(figure, key=f"{key}_chart", alt=alt, config=config, **chart_options)
        else:
            event = st.altair_chart(cast(Any, figure), key=f"{key}_chart", alt=alt, width="stretch", **chart_options)
    with table_tab:
        st.dataframe(table, hide_index=True, column_config=column_config, key=f"{key}_table", alt=f"Table: {alt}")
        download_csv(table, key, key=f"{key}_csv")
    return event


def download_csv(table: pd.DataFrame, name: str, key: str) -> None:
    """Offer a table as a CSV file called `name`.csv."""
    st.download_button(
        "CSV",
        lambda: table.to_csv(index=False).encode(),  # written when it is asked for: most tables never are
        file_name=f"{name}.csv",
        mime="text/csv",
        key=key,
        icon=":material/download:",
        on_click="ignore",
        help="Download these numbers as comma-separated values",
    )


def mark_legend(families: Sequence[str]) -> None:
    """Say which mark stands for which family, what is hollow and what is dashed; for the charts of cost."""
    st.html(legend_html({family: family_name(family) for family in families}, theme_mode(), LEGEND_NOTES))


def research_use_notice() -> None:
    """Say that this is no medical device; stands wherever a cell is judged."""
    st.caption(f":material/science: {RESEARCH_USE}")


def how_computed(text: str) -> None:
    """Put the definition and source of the page's numbers, in Markdown, behind a closed heading."""
    with st.expander("How this is computed", icon=":material/function:"):
        st.markdown(text)


def data_source_line(names: Sequence[str] | None = None) -> None:
    """Say which file the shown numbers come from, as the artifacts themselves recorded it.

    Args:
        names: The models whose numbers stand on the page; None for all.
    """
    table = cache.leaderboard()
    labels = table if names is None else table[table["name"].isin(list(names))]
    distinct = sorted(set(labels["dataset"]))
    if distinct:
        st.caption(f":material/database: Measured on {'; '.join(distinct)}.")


def benchmark_line(benchmark: "Benchmark | None") -> None:
    """Say on which machine, when and how the shown times were measured, or which command measures them."""
    if benchmark is None:
        st.caption(":material/timer_off: No times yet: `./dev python -m bloodcell benchmark --save` measures them.")
    else:
        st.caption(f":material/timer: Times: {describe_benchmark(benchmark)}.")


def _download_offer(key: str) -> None:
    """Show the download: its button with address, licence and MD5, or how far it is, or why it failed."""
    from bloodcell.dataset.source import dataset_info

    job = find_job(DOWNLOAD_JOB)
    if job is not None and job.state == "running":
        text = f"{job.done / 1e6:.0f} of {job.total / 1e6:.0f} MB" if job.total else "Asking the server …"
        st.progress(job.fraction, text=f"Downloading BloodMNIST at 64×64: {text}")
        st.caption("It goes on while you look at other pages.")
        return
    if job is not None and job.state == "done" and st.session_state.get(DOWNLOAD_JOB) != job.started:
        st.session_state[DOWNLOAD_JOB] = job.started  # once per download: the page finds the file now, or says why not
        st.rerun()
    if job is not None and job.error is not None:
        if not isinstance(job.error, BloodCellError):
            raise job.error
        st.error(str(job.error), icon=":material/error:")
    facts = cache.dataset_status()["download"]
    here = facts["partial_bytes"]
    label = f"Continue the download ({here / 1e6:.0f} MB are here)" if here else "Download BloodMNIST at 64×64 (156 MB)"
    if st.button(label, key=f"{key}_download", type="primary", icon=":material/download:"):
        start_job(DOWNLOAD_JOB, lambda report: download_dataset(report))
        st.rerun()
    licence = dataset_info()["license"]
    st.caption(f"MedMNIST's own file, {licence}, from {facts['address']}, checked by its MD5 `{facts['md5']}`.")

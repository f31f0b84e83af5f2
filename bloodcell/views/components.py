"""Widgets that every page shares: its opening, the model selection, charts with a table twin, and what is missing.

The model selection is one list of names under `SELECTION_KEY`, held by one widget; the check boxes by family and the
quick buttons only change that list. It is written into the URL by hand: a widget bound with `bind="query-params"` keeps
its first value out of the URL, and going back past a page switch, whose entry has no parameters, would empty it
(Streamlit 1.67, seen in Chromium).
"""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import altair as alt
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from bloodcell.dataset import download_dataset
from bloodcell.errors import BloodCellError
from bloodcell.published import load_summary
from bloodcell.views import cache
from bloodcell.views.background import find_job, start_job
from bloodcell.views.navigation import GROUPS, HOME
from bloodcell.views.quantities import megabytes, percent
from bloodcell.views.selection import (
    Address,
    brings_news,
    default_selection,
    family_order,
    known_names,
    quick_selections,
)
from bloodcell.views.tables import describe_benchmark, family_name
from bloodcell.views.theme import Mode, family_style, legend_html

PRODUCT = "Blood Cell Lab"
# A character, because the browser would fetch a Material icon from the network.
PAGE_ICON = "🩸"
SELECTION_KEY = "models"
QUICK_KEY = "selection_quick"
_PAGE_KEY = "page"
_ROUTED_KEY = "routed"
DOWNLOAD_JOB = "dataset download"
# Streamlit's own margins leave too little of a 1280 px screen; its theme options have no horizontal padding. The names
# of previous and next are for screen readers: beside a list of models an arrow says enough.
_STYLE = """<style>
[data-testid="stMainBlockContainer"] {padding-left: clamp(1rem, 3vw, 3rem); padding-right: clamp(1rem, 3vw, 3rem);}
[data-testid="stMain"] table, [data-testid="stMetricValue"] {font-variant-numeric: tabular-nums;}
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
        }
    )


def open_page(title: str, question: str) -> None:
    """Open a page: browser title, heading, one sentence, and the model selection in the sidebar. Call it first.

    Args:
        title: The page's name in the navigation.
        question: One sentence that says what the reader is looking at and from which data.
    """
    if not st.session_state.get(_ROUTED_KEY):
        # A link to a page, on a server that has not run app.py yet, runs the page alone under a navigation made of file
        # names. Naming the pages tells Streamlit to go through app.py from now on.
        navigate()
        st.rerun()
    st.set_page_config(page_title=f"{title} · {PRODUCT}", page_icon=PAGE_ICON, layout="wide")
    st.html(_STYLE)
    st.session_state[_PAGE_KEY] = title
    with st.sidebar:
        _model_selection()
    st.title(title, anchor=False)
    st.markdown(question)


def theme_mode() -> Mode:
    """Return the ground that the reader sees, for figures that need to know it."""
    return "dark" if st.context.theme.type == "dark" else "light"


def selected_models() -> list[str]:
    """Return the names that are on, in the order of the catalog's families; empty if the reader switched all off."""
    chosen = set(st.session_state.get(SELECTION_KEY, []))
    return [name for name in family_order(cache.leaderboard()) if name in chosen]


def model_picker(key: str, label: str = "Model") -> str | None:
    """Let the reader choose one trained model, with previous and next; the choice stays in the URL under `key`.

    Returns:
        The name, or None where nothing is trained.
    """
    names = family_order(cache.leaderboard())
    if not names:
        return None
    from_url = known_names(_read_address(key) or (), names)
    if from_url:
        st.session_state[key] = from_url[0]
    elif st.session_state.get(key) not in names:
        st.session_state[key] = next(iter(selected_models()), cache.default_model() or names[0])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", wrap=False):
        st.button(
            "Previous model",
            icon=":material/chevron_left:",
            key=f"{key}_previous",
            on_click=_step_model,
            args=(key, names, -1),
            width="content",
            help="Previous model",
        )
        st.selectbox(
            label,
            names,
            key=key,
            format_func=_describe_model,
            persist_state="session",
            on_change=_touch,
            args=(key,),
        )
        st.button(
            "Next model",
            icon=":material/chevron_right:",
            key=f"{key}_next",
            on_click=_step_model,
            args=(key, names, 1),
            width="content",
            help="Next model",
        )
    name = cast(str, st.session_state[key])
    _write_address(key, [name])
    return name


def restore_choice(key: str, options: Sequence[str], default: str) -> None:
    """Before a widget is drawn under `key`: take its value from the URL if that brings one, else the session's.

    Args:
        key: Key of the widget and name of the parameter.
        options: What may be chosen, as it stands in the URL.
        default: The value of a reader who has chosen nothing.
    """
    from_url = known_names(_read_address(key) or (), options)
    if from_url:
        st.session_state[key] = from_url[0]
    elif st.session_state.get(key) not in options:
        st.session_state[key] = default


def keep_choice(key: str) -> None:
    """After a widget is drawn under `key`: write its value into the URL."""
    _write_address(key, [st.session_state[key]])


def remembered_segments(label: str, options: Mapping[str, str], key: str, help: str | None = None) -> str:
    """Let the reader choose one of a few options, all visible; the choice stays in the session and in the URL.

    Args:
        label: Name of the control.
        options: Value, as it stands in the URL -> what the reader sees; the first is the default.
        key: Key of the widget and name of the parameter, beginning with the page's name.
        help: What a pointer on the question mark reads.
    """
    restore_choice(key, list(options), next(iter(options)))
    chosen = st.segmented_control(
        label,
        list(options),
        format_func=lambda value: options[value],
        key=key,
        required=True,
        persist_state="session",
        on_change=_touch,
        args=(key,),
        help=help,
    )
    keep_choice(key)
    return cast(str, chosen)


def choose(key: str, value: str | None = None) -> None:
    """In a callback: note that the reader chose under `key`, and what, if it is not the widget itself that holds it."""
    if value is not None:
        st.session_state[key] = value
    _touch(key)


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
    figure: go.Figure | alt.TopLevelMixin,
    table: pd.DataFrame,
    key: str,
    alt: str,
    *,
    column_config: Mapping[str, Any] | None = None,
    **chart_options: Any,
) -> Any:
    """Show a chart and, one key press away, the same numbers as a table with a CSV button.

    Args:
        figure: Plotly or Altair figure.
        table: The numbers that the figure draws.
        key: Unique, beginning with the page's name.
        alt: What the chart shows, for someone who does not see it, in a sentence.
        column_config: Streamlit's column configuration of the table.
        chart_options: Passed on to `st.plotly_chart` or `st.altair_chart`, such as `on_select`.

    Returns:
        What the chart element returns: its selection where `on_select` is given.
    """
    chart_tab, table_tab = st.tabs(["Chart", "Table"], key=f"{key}_view")
    with chart_tab:
        if isinstance(figure, go.Figure):
            config = {"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"]}
            event: Any = st.plotly_chart(figure, key=f"{key}_chart", alt=alt, config=config, **chart_options)
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
        table.to_csv(index=False).encode(),
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


def benchmark_line() -> None:
    """Say on which machine, when and how the times were measured, or which command measures them."""
    benchmark = cache.load_benchmark()
    if benchmark is None:
        st.caption(":material/timer_off: No times yet: `./dev python -m bloodcell benchmark` measures them.")
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


def _describe_model(name: str) -> str:
    row = cache.leaderboard().set_index("name").loc[name]
    return f"{name} · {percent(row['test_accuracy'])} · {megabytes(row['weights_mb'])}"


def _step_model(key: str, names: Sequence[str], step: int) -> None:
    current = st.session_state.get(key)
    index = names.index(current) if current in names else 0
    st.session_state[key] = names[(index + step) % len(names)]
    _touch(key)


def _touch(key: str) -> None:
    """Note that the reader changed a choice in this run: it wins over what the browser sent as its address."""
    st.session_state[f"{key}_touched"] = True


def _read_address(key: str) -> tuple[str, ...] | None:
    """Return what the URL newly brings under `key`, or None where it has nothing that this session did not write."""
    touched = st.session_state.pop(f"{key}_touched", False)
    in_url = tuple(st.query_params.get_all(key)) if key in st.query_params else None
    last = st.session_state.get(f"{key}_address")
    return in_url if not touched and brings_news(in_url, last, time.monotonic()) else None


def _write_address(key: str, values: Sequence[str]) -> None:
    """Keep a choice in the URL. A history entry that lacks it is left as it is: writing there would trap "back"."""
    written = tuple(values) or ("",)
    page = st.session_state.get(_PAGE_KEY, "")
    last: Address | None = st.session_state.get(f"{key}_address")
    in_url = tuple(st.query_params.get_all(key)) if key in st.query_params else None
    if last is not None and last.written == written and last.page == page:
        return
    if in_url != written:
        st.query_params[key] = list(written)
    replaced = in_url if last is None else last.written
    st.session_state[f"{key}_address"] = Address(written, replaced, time.monotonic(), page)


def _model_selection() -> None:
    table = cache.leaderboard()
    names = family_order(table)
    if not names:
        st.caption("No trained models yet: the model selection appears here with the first.")
        return
    brought = _read_address(SELECTION_KEY)
    from_url = None if brought is None else known_names(brought, names)
    if from_url is not None:
        st.session_state[SELECTION_KEY] = from_url
    elif SELECTION_KEY not in st.session_state:
        st.session_state[SELECTION_KEY] = default_selection(table, cache.default_model())
    st.session_state[SELECTION_KEY] = [name for name in names if name in st.session_state[SELECTION_KEY]]
    st.multiselect(
        f"Models · {len(st.session_state[SELECTION_KEY])} of {len(names)} on",
        names,
        key=SELECTION_KEY,
        persist_state="session",
        on_change=_touch,
        args=(SELECTION_KEY,),
        placeholder="None is on",
        select_all=False,
        help="The same models are on for every page, and the address of the page keeps them.",
    )
    _write_address(SELECTION_KEY, st.session_state[SELECTION_KEY])
    chosen = st.session_state[SELECTION_KEY]
    _quick_pills(quick_selections(table, load_summary()), chosen)
    with st.expander("List by family", key="selection_families"):
        _family_boxes(table, names, chosen)


def _quick_pills(quick: Mapping[str, tuple[Sequence[str], str]], chosen: Sequence[str]) -> None:
    st.session_state[QUICK_KEY] = next((label for label, (of, _) in quick.items() if set(of) == set(chosen)), None)
    st.pills(
        "Choose quickly",
        list(quick),
        key=QUICK_KEY,
        on_change=_select_quick,
        args=({label: list(of) for label, (of, _) in quick.items()},),
        label_visibility="collapsed",
        help="\n".join(f"- **{label}**: {meaning}" for label, (_, meaning) in quick.items()),
    )


def _family_boxes(table: pd.DataFrame, names: Sequence[str], chosen: Sequence[str]) -> None:
    from bloodcell.models.catalog import FAMILIES

    rows = table.set_index("name")
    mode = theme_mode()
    for family in dict.fromkeys(rows.loc[list(names), "family"]):
        st.caption(f"{family_style(family, mode).glyph} {FAMILIES.get(family, family)}")
        for name in [name for name in names if rows.loc[name, "family"] == family]:
            st.session_state[f"selection_on_{name}"] = name in chosen
            numbers = f"{percent(rows.loc[name, 'test_accuracy'])} · {megabytes(rows.loc[name, 'weights_mb'])}"
            st.checkbox(
                f"{name}  :small[:gray[{numbers}]]",
                key=f"selection_on_{name}",
                on_change=_select_checked,
                args=(list(names),),
            )


def _select(names: Sequence[str]) -> None:
    st.session_state[SELECTION_KEY] = list(names)
    _touch(SELECTION_KEY)


def _select_quick(quick: Mapping[str, Sequence[str]]) -> None:
    label = st.session_state[QUICK_KEY]
    if label is not None:  # None: the reader clicked the pill that already described the selection
        _select(quick[label])


def _select_checked(names: Sequence[str]) -> None:
    _select([name for name in names if st.session_state.get(f"selection_on_{name}")])

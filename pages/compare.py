"""What do I pay for accuracy?"""

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from bloodcell.dataset.classes import CLASS_NAMES
from bloodcell.errors import BloodCellError
from bloodcell.inference.benchmark import BENCHMARK_FILE, QUICK, Benchmark, run_benchmark, save_benchmark
from bloodcell.inference.form_accuracy import FORMS_FILE
from bloodcell.models.graphs import load_graphs
from bloodcell.published import STUDY, load_summary
from bloodcell.views import cache
from bloodcell.views import figures_compare as figures
from bloodcell.views.background import OnProgress, find_job, start_job
from bloodcell.views.cache_figures import draw_altair, draw_plotly
from bloodcell.views.components import (
    benchmark_line,
    chart_with_table,
    choose,
    data_source_line,
    download_csv,
    how_computed,
    mark_legend,
    missing_artifact,
    open_page,
    remembered_segments,
    selected_models,
    show_damaged,
    theme_mode,
)
from bloodcell.views.components_selection import remembered_select, remembered_steps
from bloodcell.views.components_training import viewer_rights
from bloodcell.views.figures_f1 import f1_heat_map
from bloodcell.views.quantities import megabytes, milliseconds
from bloodcell.views.tables import comparison_table, describe_benchmark, leaderboard_table, limit_options
from bloodcell.views.tables_compare import place_published, untrained_rows
from bloodcell.views.tables_forms import current_rows, form_points, form_table

MEASUREMENT_JOB = "measurement"
SIZE_TITLE = "Size of the float32 weights, MB"
MACHINE = "compare_machine"
RECORD, THIS_MACHINE = "record", "here"
MACHINES = {RECORD: "the committed record", THIS_MACHINE: "this machine"}
ANY = "any"
# Reader's choice, as it stands in the URL -> what the reader sees.
ONE_IMAGE, STEP, PUBLISHED_STEP = "image", "batch", "published"
TIME_AXES = {ONE_IMAGE: "1 image, measured", STEP: "32 images, measured", PUBLISHED_STEP: "1 step, published"}
# The same choice -> (column, axis title).
TIMES = {
    ONE_IMAGE: ("latency_ms", "Time for one image, ms, measured"),
    STEP: ("step_time_ms", "Time for a batch of 32 images, ms, measured"),
    PUBLISHED_STEP: ("published_step_time_ms", "Published time per step, ms (machine and batch size not stated)"),
}
DEFINITIONS = f"""
- **Accuracy**: test images, of the weights as they are stored; the thin bar through a mark is Wilson's 95 % interval.
- **Size**: float32 weights, four bytes a parameter, in bytes / 1024². The study gives the memory of its two basic
  networks in KB / 1000 and of the others in bytes / 1024².
- **Time**: median for one image, or for a batch of 32, with LiteRT (float16). The study's times come from another
  machine and from another kind of step, so they have an axis of their own.
- **Pareto front** (dashed): models that no other beats in both accuracy and cost.
- **F1** of a class: 2 · precision · recall / (precision + recall).
- **Hollow marks**: {STUDY}. The line ties each to the same network as measured here. Where the study printed an
  accuracy and no memory, the mark stands at the size of the graph.
"""
TIMES_HEADER = "Times on this machine"
TABLE_COLUMNS: dict[str, Any] = {
    "rank": st.column_config.NumberColumn("#", width=40, pinned=True, help="By accuracy on test, among all models"),
    "name": st.column_config.TextColumn("Model", pinned=True),
    "family": st.column_config.TextColumn("Family"),
    "measured": st.column_config.NumberColumn("Measured", format="%.2f %%", help="Accuracy on test"),
    "margin": st.column_config.NumberColumn("±", format="%.2f", help="Half of Wilson's 95 % interval, in points"),
    "published": st.column_config.NumberColumn("Published", format="%.2f %%", help="Accuracy that the study printed"),
    "validation": st.column_config.NumberColumn("Validation", format="%.2f %%", help="Accuracy on val"),
    "f1": st.column_config.NumberColumn("F1", format="%.2f %%", help="Weighted by images"),
    "ece": st.column_config.NumberColumn("ECE", format="%.2f %%", help="Expected calibration error, 15 bins"),
    "epochs": st.column_config.TextColumn(
        "Epochs", help="Passes over the training images; “10 of 20” where the recipe plans more: it may reach more"
    ),
    "parameters": st.column_config.NumberColumn("Parameters", format="localized"),
    "weights_mb": st.column_config.NumberColumn("MB", format="%.3f", help="float32 weights, bytes / 1024²"),
    "published_memory_mb": st.column_config.NumberColumn("MB published", format="%.2f"),
    "latency_ms": st.column_config.NumberColumn(
        "ms, one image", format="%.3f", help="Measured, LiteRT float16, median"
    ),
    "step_time_ms": st.column_config.NumberColumn("ms, 32 images", format="%.2f", help="Measured, LiteRT float16"),
    "published_step_time_ms": st.column_config.NumberColumn(
        "ms/step published", format="%.2f", help="The study's machine and batch size are not stated: not comparable"
    ),
}
FORM_CONFIG: dict[str, Any] = {
    "name": st.column_config.TextColumn("Model", pinned=True),
    "precision": "Form",
    "form_mb": st.column_config.NumberColumn("MB", format="%.3f", help="The LiteRT file, bytes / 1024²"),
    "val_accuracy": st.column_config.NumberColumn("Validation", format="%.2f %%"),
    "test_accuracy": st.column_config.NumberColumn("Test", format="%.2f %%"),
    "changed": st.column_config.NumberColumn(
        "Changed", help="Answers on test that differ from the model's stored ones"
    ),
    "latency_ms": st.column_config.NumberColumn("ms, one image", format="%.3f"),
    "step_time_ms": st.column_config.NumberColumn("ms, 32 images", format="%.2f"),
}


def choose_limit(label: str, values: pd.Series, write: Callable[[float], str], key: str) -> float:
    """Let the reader set a highest cost; infinite where none is set, or where there is nothing to set it on."""
    if values.isna().all():
        return math.inf
    limits = {f"{limit:g}": write(limit) for limit in limit_options(values)}
    chosen = remembered_steps(label, limits | {ANY: ANY}, key, default=ANY)
    return math.inf if chosen == ANY else float(chosen)


def choose_limits(table: pd.DataFrame, untrained: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Let the reader set a lowest accuracy, the highest costs, and the time that is drawn.

    Returns:
        The models that meet the limits, the networks of the study that are not trained here and meet them by their
        published accuracy and the size of their graph, and a key of TIMES.
    """
    lowest = int(100 * pd.concat([table["test_accuracy"], untrained["published_accuracy"]]).min())
    accuracies = {ANY: ANY} | {str(percent): f"{percent} %" for percent in range(lowest + 1, 100)}
    with st.grid(4, min_column_width=150, gap="medium"):
        chosen = remembered_steps("Lowest accuracy", accuracies, "compare_accuracy", default=ANY)
        size = choose_limit("Largest size", table["weights_mb"], megabytes, "compare_size")
        time = choose_limit("Longest time, 1 image", table["latency_ms"], milliseconds, "compare_time")
        axis = remembered_select("Time axis", TIME_AXES, "compare_time_axis", default=ONE_IMAGE)
    accuracy = 0 if chosen == ANY else int(chosen)
    kept = table["test_accuracy"] >= accuracy / 100
    kept &= table["weights_mb"] <= size
    if math.isfinite(time):  # without this limit, models that were not timed stay
        kept &= table["latency_ms"] <= time
    known = (untrained["published_accuracy"] >= accuracy / 100) & (untrained["weights_mb"] <= size)
    if math.isfinite(time):
        known &= False
    return table[kept].reset_index(drop=True), untrained[known].reset_index(drop=True), axis


def choose_times(table: pd.DataFrame) -> tuple[pd.DataFrame, Benchmark | None]:
    """Let the reader choose the times of this machine, once measured, instead of those of the committed record.

    Returns:
        The leaderboard with these times, and the record that they come from.
    """
    own = cache.load_own_benchmark()
    if own is None:
        return table, cache.load_benchmark()
    if remembered_segments("Times measured on", MACHINES, MACHINE) != THIS_MACHINE:
        return table, cache.load_benchmark()
    timings = cache.benchmark_timings(own)
    times = [timings.get(name, (math.nan, math.nan)) for name in table["name"]]
    return table.assign(latency_ms=[t[0] for t in times], step_time_ms=[t[1] for t in times]), own


def show_scatters(table: pd.DataFrame, kept: pd.DataFrame, time_axis: str, measured: Benchmark | None) -> None:
    """Accuracy against size and against time, linked, with the exported forms as smaller marks.

    Of what is not trained the published figure stands alone.
    """
    on = selected_models()
    families = list(dict.fromkeys(table["family"]))
    time_column, time_title = TIMES[time_axis]
    by_size = figures.scatter_points(place_published(kept), "weights_mb", "published_memory_mb", on)
    if time_axis == PUBLISHED_STEP:
        by_time = figures.published_points(kept, time_column, on)
    else:
        by_time = figures.scatter_points(kept, time_column, None, on)
    panels = [(points, title) for points, title in ((by_size, SIZE_TITLE), (by_time, time_title)) if not points.empty]
    tables = pd.concat([figures.scatter_table(points, "Cost").assign(Axis=title) for points, title in panels])
    forms = form_table(current_rows(cache.load_record(FORMS_FILE), dict(cache.load_shelf().artifacts)), measured)
    columns = {SIZE_TITLE: "weights_mb", time_title: time_column}
    small = [form_points(forms, kept, columns[title], on) for _, title in panels]
    mark_legend(families)
    chart_with_table(
        draw_altair(
            figures.linked_cost_charts,
            [(points.drop(columns="on"), title) for points, title in panels],
            families,
            theme_mode(),
            height=172,
            forms=[own.drop(columns="on", errors="ignore") for own in small],
            data=figures.cost_data([points for points, _ in panels], small),
        ),
        tables,
        key="compare_scatter",
        alt="Accuracy on test against size and against time, log axes, with the Pareto front and the published figures",
    )
    lacks_time = kept[time_column].isna() & kept["test_accuracy"].notna()
    untimed = [] if by_time.empty else kept.loc[lacks_time, "name"].tolist()
    hint = "Point at a mark to see the same model in both plots."
    missing = "The time axis is empty until times are measured; see below."
    if time_axis == PUBLISHED_STEP:
        missing = "The time axis is empty: the study printed no time of these networks."
    tiny = "" if forms.empty else " Small marks: exported forms, at the size of their file."
    st.caption(f"Models that are on are named and drawn full. {hint if len(panels) > 1 else missing}{tiny}")
    if untimed:
        st.caption(f"Not on the time axis, because {describe_untimed(time_axis)}: {', '.join(untimed)}.")
    if not forms.empty:
        show_forms(forms[forms["name"].isin(kept["name"])])


def describe_untimed(time_axis: str) -> str:
    """Say why a trained model may lack a time of this kind."""
    if time_axis == PUBLISHED_STEP:
        return "the study printed no time"
    return f"trained since the times were measured; they can be timed below, under *{TIMES_HEADER}*"


def show_forms(forms: pd.DataFrame) -> None:
    """What each exported form gets right, how large its file is and how long it takes."""
    with st.expander("Exported forms: float32, float16 and int8", icon=":material/memory:", key="compare_forms"):
        shown = forms.assign(**{column: 100 * forms[column] for column in ("val_accuracy", "test_accuracy")})
        st.dataframe(
            shown,
            hide_index=True,
            column_order=list(FORM_CONFIG),
            column_config=FORM_CONFIG,
            placeholder="–",
            key="compare_forms_table",
            alt="Accuracy, size and time of every exported form",
        )
        download_csv(forms, "forms", key="compare_forms_csv")
        command = "./dev python -m bloodcell export NAME --format litert --precision int8"
        st.caption(f"`{command}` writes one; int8 is calibrated on train images.")


def show_f1(kept: pd.DataFrame) -> None:
    """F1 of every model that is on, class by class."""
    st.header("F1 by class", anchor=False)
    names = [name for name in selected_models() if name in set(kept["name"])]
    if not names:
        st.info("No model that is on meets the limits: switch models on at the left, or loosen the limits.")
        return
    scores = {}
    for name in names:
        evaluation = cache.load_evaluation(name, "test")
        if evaluation is not None:
            scores[name] = [report.f1_score for report in evaluation.per_class]
    f1_scores = pd.DataFrame.from_dict(scores, orient="index", columns=list(CLASS_NAMES))
    chart_with_table(
        draw_plotly(f1_heat_map, f1_scores, theme_mode()),
        (100 * f1_scores).round(2).rename_axis("Model").reset_index(),
        key="compare_f1",
        alt="F1 on test, models by classes; brighter is better",
    )


def offer_measurement() -> None:
    """Offer to measure every model on this machine, in the background, and say how far it is."""
    job = find_job(MEASUREMENT_JOB)
    st.fragment(show_measurement, run_every=1.0 if job is not None and job.state == "running" else None)()


def show_measurement() -> None:
    """The buttons that measure and forget, or the progress, or what came of it."""
    job = find_job(MEASUREMENT_JOB)
    if job is not None and job.state == "running":
        st.progress(job.fraction, text=job.message or "Preparing …")
        st.caption("It goes on while you look at other pages; other work on this machine makes the times longer.")
        return
    if job is not None and job.state == "done" and st.session_state.get(MEASUREMENT_JOB) != job.started:
        st.session_state[MEASUREMENT_JOB] = job.started
        st.rerun()  # once per measurement: the whole page takes up the new times
    if job is not None and job.error is not None:
        if not isinstance(job.error, BloodCellError):
            raise job.error
        st.error(str(job.error), icon=":material/error:")
    own = cache.load_own_benchmark()
    if own is not None:
        st.markdown(f"Last measured here: {describe_benchmark(own)}.")
    label = "Measure on this machine" if own is None else "Measure again"
    help_text = "Times every trained model with LiteRT, about a minute. The committed record stays as it is."
    rights = viewer_rights()
    with st.container(horizontal=True):
        clicked = st.button(
            label,
            icon=":material/timer:",
            key="compare_measure",
            help=help_text,
            disabled=not rights.allowed,
            on_click=choose,
            args=(MACHINE, THIS_MACHINE),  # who measures wants to see it; everybody else goes on with the record
        )
        if clicked and rights.allowed:  # the right may have been taken back since the button was drawn
            start_measurement()
            st.rerun()
        if own is not None and rights.allowed:
            forget_measurement()
    if not rights.allowed:
        st.caption(f"Measuring takes the same right as a training. {rights.reason}")


def forget_measurement() -> None:
    """The button that deletes this machine's times."""
    help_text = "Deletes what was measured here, for every viewer. The committed record stays as it is."
    if not st.button("Forget this machine's times", icon=":material/delete:", key="compare_forget", help=help_text):
        return
    try:
        cache.forget_own_benchmark()
    except BloodCellError as error:
        st.error(str(error), icon=":material/error:")
    else:
        st.rerun()


def start_measurement() -> None:
    """Measure every model in the background; the record goes into the user's cache, never over the committed one."""
    artifacts = list(cache.load_shelf().artifacts.values())
    path = cache.own_benchmark_directory() / BENCHMARK_FILE

    def work(on_progress: OnProgress) -> None:
        save_benchmark(run_benchmark(artifacts, engines=("litert",), effort=QUICK, on_progress=on_progress), path)

    start_job(MEASUREMENT_JOB, work)


open_page(
    "Compare", "What do I pay for accuracy? Every trained model on the test images, against its size and its time."
)
leaderboard = cache.leaderboard()
if leaderboard.empty:
    show_damaged()
    missing_artifact()
    st.stop()
timed, benchmark = choose_times(leaderboard)
shown, only_published, time_axis = choose_limits(timed, untrained_rows(timed, load_summary(), load_graphs()))
everything = pd.concat([shown, only_published], ignore_index=True) if len(only_published) else shown
if everything.empty:
    st.info("No model meets these limits together: loosen one of them.", icon=":material/filter_alt_off:")
else:
    show_scatters(everything, everything, time_axis, benchmark)
    show_f1(shown)
    st.header("All numbers", anchor=False)
    numbers = comparison_table(everything)
    numbers["rank"] = numbers["name"].map(leaderboard_table(timed).set_index("name")["rank"])
    st.dataframe(
        numbers,
        hide_index=True,
        column_config=TABLE_COLUMNS,
        column_order=list(TABLE_COLUMNS),
        placeholder="–",
        key="compare_table",
        alt="Every number of every model that meets the limits, and what the study printed of the others",
    )
    download_csv(numbers, "compare", key="compare_csv")
    if len(only_published):
        st.caption(
            f"Not trained here, so without a measured number: {', '.join(only_published['name'])}. "
            f"`./dev python -m bloodcell train --all` trains them."
        )
st.header(TIMES_HEADER, anchor=False)
offer_measurement()
data_source_line()
benchmark_line(benchmark)
show_damaged()
how_computed(DEFINITIONS)

"""The Train page's parts: what is asked for, how runs go, their curves, and what can be done with them.

Everything that changes something goes through `act`, which asks again whether this viewer may.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.errors import BloodCellError
from bloodcell.files import own_models_directory
from bloodcell.models import CATALOG, get_spec
from bloodcell.models.combinations import all_combinations
from bloodcell.training import live
from bloodcell.training.augmentation import AUGMENTATIONS
from bloodcell.training.live import ACTIVE, LiveRun
from bloodcell.training.live_request import OPTIMIZERS, LiveRequest, full_recipe, quick_lesson
from bloodcell.views import cache, cache_training, tables_training
from bloodcell.views.components import chart_with_table
from bloodcell.views.components_selection import (
    PAGE_KEY,
    choose,
    forget_address,
    remembered_select,
    theme_mode,
    was_chosen,
)
from bloodcell.views.navigation import PAGES_DIRECTORY
from bloodcell.views.quantities import percent
from bloodcell.views.theme import CLASS_GLYPHS
from bloodcell.views.training_rights import Rights, find_rights

RUNS_KEY = "train_runs"
MODEL_KEY = "train_model"
BEFORE_KEY = "train_model_before"
ERROR_KEY = "train_error"
SEEN_KEY = "train_seen"
LESSON_MODEL = "net3_bn"
CHART_POLL_S, IDLE_POLL_S = 1.5, 4.0
EPOCHS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200)
RATES = (1e-5, 1e-4, 3e-4, 5e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 1.0)
BATCHES = (8, 16, 32, 64, 128, 256, 512)
SHARES = (0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 0.75, 1.0)
SEEDS = range(100)


def viewer_rights() -> Rights:
    """Return what this viewer may do."""
    return find_rights(viewer_address(), dict(st.context.headers))


def viewer_address() -> str | None:
    """Return the viewer's IP address, None for the machine that serves the dashboard."""
    return st.context.ip_address


def act(action: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """In a callback: do something to a run, if this viewer may; what went wrong is shown until the next action."""
    st.session_state.pop(ERROR_KEY, None)
    rights = viewer_rights()
    if not rights.allowed:
        _note_error(rights.reason)
        return
    try:
        action(*arguments, **options)
    except BloodCellError as error:
        _note_error(str(error))
    cache_training.forget_runs()


def show_error() -> None:
    """Say what the viewer's last action on this visit ran into, if anything."""
    visit, text = st.session_state.get(ERROR_KEY, (None, ""))
    if text and visit == st.session_state.get(PAGE_KEY):
        st.error(text, icon=":material/error:")


def _note_error(text: str) -> None:
    st.session_state[ERROR_KEY] = (st.session_state.get(PAGE_KEY), text)


def start_training(request: LiveRequest, shown: Sequence[str]) -> None:
    """In a callback: put a training into the queue, and show it beside the run that was shown before."""

    def start() -> None:
        run = live.enqueue(request)
        choose(RUNS_KEY)
        st.session_state[RUNS_KEY] = [str(run.number), *shown[:1]]

    act(start)


# the form


def training_form() -> LiveRequest:
    """Let the viewer choose a network and how it is trained; every choice stays in the URL."""
    names = [*CATALOG, *(one.name for one in all_combinations())]
    by_hand = was_chosen(MODEL_KEY)
    model = remembered_select(
        "Network",
        {name: name for name in names},
        MODEL_KEY,
        LESSON_MODEL,
        help="Every network of the catalog, and every combination of the Build page",
    )
    lesson, full = quick_lesson(model), full_recipe(model)
    if model != st.session_state.setdefault(BEFORE_KEY, model):  # a rate that suits one network can ruin another
        st.session_state[BEFORE_KEY] = model
        for key in ("train_optimizer", "train_rate"):
            st.session_state.pop(key, None)
            if not by_hand:  # a link that brings the network brings these too, be they what the address held before
                forget_address(key)
    st.caption(get_spec(model).description)
    with st.container(horizontal=True, gap="small"):
        for label, request, words in (
            ("Quick lesson", lesson, "A tenth of the images and four epochs: learns something within a minute"),
            ("Full recipe", full, "As the project trains this network: all images; minutes to hours"),
        ):
            st.button(label, key=f"train_{label[:5].lower().strip()}", on_click=fill_form, args=(request,), help=words)
    left, right = st.columns(2, gap="small")
    with left:
        epochs = _select("Epochs", "epochs", EPOCHS, lesson.num_epochs, full.num_epochs)
        rate = _select("Learning rate", "rate", RATES, lesson.learning_rate, full.learning_rate)
        share = _select("Share of the images", "share", SHARES, lesson.share, full.share)
        seed = _select("Seed", "seed", SEEDS, lesson.seed, full.seed)
    with right:
        batch = _select("Batch size", "batch", BATCHES, lesson.batch_size, full.batch_size)
        optimizer = remembered_select(
            "Optimizer",
            {name: tables_training.OPTIMIZER_WORDS[name] for name in OPTIMIZERS},
            "train_optimizer",
            lesson.optimizer,
        )
        augmentation = remembered_select(
            "Augmentation",
            {name: tables_training.AUGMENTATION_WORDS.get(name, name) for name in AUGMENTATIONS},
            "train_augmentation",
            lesson.augmentation,
            help="Random changes of the training images; they lose no pixels unless they rotate",
        )
    return LiveRequest(
        model=model,
        num_epochs=int(epochs),
        batch_size=int(batch),
        learning_rate=float(rate),
        optimizer=optimizer,
        augmentation=augmentation,
        share=float(share),
        seed=int(seed),
    )


def fill_form(request: LiveRequest) -> None:
    """In a callback: set every control but the network and the seed."""
    for key, value in (
        ("epochs", request.num_epochs),
        ("rate", request.learning_rate),
        ("share", request.share),
        ("batch", request.batch_size),
        ("optimizer", request.optimizer),
        ("augmentation", request.augmentation),
    ):
        choose(f"train_{key}", value if isinstance(value, str) else f"{value:g}")


def _select(label: str, key: str, values: Sequence[float], default: float, full: float) -> str:
    write = _write_share if key == "share" else "{:g}".format
    every = sorted({*values, default, full})
    return remembered_select(label, {f"{one:g}": write(one) for one in every}, f"train_{key}", f"{default:g}")


def _write_share(share: float) -> str:
    return percent(share, 0)


# what runs


def choose_shown(runs: Sequence[LiveRun], chosen: Sequence[str]) -> list[LiveRun]:
    """Return the runs on the chart: the viewer's choice, else the one that runs, else the newest that began."""
    by_number = {str(run.number): run for run in runs}
    shown = [by_number[number] for number in chosen if number in by_number]
    if shown:
        return shown
    active = [run for run in runs if run.state in ACTIVE]
    begun = [run for run in runs if run.started_at]
    return (active or begun or list(runs))[:1]


def live_view(runs: Sequence[LiveRun], chosen: Sequence[str], axis: str, allowed: bool) -> None:
    """Show the chosen runs, again and again while anything runs; page changes and other viewers do not disturb it."""
    busy = any(run.state in ("queued", *ACTIVE) for run in runs)
    st.session_state[SEEN_KEY] = _outline(runs)
    st.fragment(_live_view, run_every=CHART_POLL_S if busy else IDLE_POLL_S)(list(chosen), axis, allowed)


def _live_view(chosen: list[str], axis: str, allowed: bool) -> None:
    runs = cache_training.load_runs()
    if _outline(runs) != st.session_state.get(SEEN_KEY):
        st.rerun()  # a run began, ended, came or went: the rest of the page has to know
    shown = choose_shown(runs, chosen)
    if not shown:
        st.info(
            "Nothing has been trained here yet. **Start** begins a quick lesson: the curves move within seconds of the "
            "first step, and the network answers cells while it learns.",
            icon=":material/school:",
        )
        return
    for run in shown:
        _run_card(run, allowed)
    if not any(cache_training.load_progress(run).batches for run in shown):
        return
    charts = st.columns(2, gap="small")
    labels = " and ".join(tables_training.run_label(run) for run in shown)
    curves = {tables_training.run_label(run): cache_training.load_progress(run) for run in shown}
    for column, (measure, title) in zip(charts, tables_training.MEASURES.items(), strict=True):
        with column:
            st.markdown(f"**{title}**")
            chart_with_table(
                cache_training.curves_figure(shown, measure, axis, theme_mode()),
                tables_training.curves_table(curves, measure),
                key=f"train_{measure}",
                alt=f"{title} of {labels} while training, on training images and on val",
            )
    looked_at = [run for run in shown if cache_training.load_progress(run).looks]
    if looked_at:
        _answers(looked_at[0])


def _run_card(run: LiveRun, allowed: bool) -> None:
    """How one run goes, with what can be done about it."""
    progress = cache_training.load_progress(run)
    word, icon, colour = tables_training.STATE_WORDS[run.state]
    reached = tables_training.latest_accuracy(progress)
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{tables_training.run_label(run)}** :{colour}-badge[{icon} {word}]"
                + ("" if math.isnan(reached) else f" **{percent(reached)}** on val"),
                width="stretch",
            )
            if allowed:
                run_buttons(run, where="card")
        st.caption(tables_training.describe_progress(run, progress))
        if run.state in ACTIVE:
            st.progress(tables_training.fraction_done(run, progress))
        if run.reason:
            st.caption(run.reason)


def run_buttons(run: LiveRun, where: str) -> None:
    """What can be done about a run that is not over, or that could go on."""
    buttons: list[tuple[str, str, str, Callable[..., None], tuple[Any, ...], dict[str, Any]]] = []
    if run.is_storing:
        return
    if run.state == "running" and run.wish != "finish":
        buttons.append(("Pause", "pause", "Hold it; it keeps its place", live.ask, (run.number, "pause"), {}))
        finish = "End after this epoch and keep the best model so far"
        buttons.append(("Finish", "flag", finish, live.ask, (run.number, "finish"), {}))
    if run.state == "paused":
        buttons.append(("Resume", "play_arrow", "Let it go on", live.resume, (run.number,), {}))
    if run.state in ("queued", *ACTIVE):
        buttons.append(("Stop", "stop", "End it now; it can be resumed", live.ask, (run.number, "stop"), {}))
    if run.state in ("stopped", "failed") and run.request is not None:
        words = "Continue from the last finished epoch" if run.has_checkpoint else "Start it again"
        buttons.append(("Resume", "play_arrow", words, live.resume, (run.number,), {}))
        if run.has_checkpoint:
            words = "Store the model of its best epoch so far"
            buttons.append(("Keep the model", "save", words, live.resume, (run.number,), {"keep": True}))
    for label, icon, words, action, arguments, options in buttons:
        st.button(
            label,
            key=f"train_{where}_{run.number}_{icon}",
            icon=f":material/{icon}:",
            help=words,
            on_click=act,
            args=(action, *arguments),
            kwargs=options,
        )


def _answers(run: LiveRun) -> None:
    """What the network says of the val cells that it is asked about again and again."""
    progress = cache_training.load_progress(run)
    look = progress.looks[-1]
    left, right = st.columns(2, gap="small")
    with left:
        st.markdown(f"**What it mixes up** :small[:gray[{len(progress.cells['rows'])} val cells, run {run.number}]]")
        chart_with_table(
            cache_training.matrix_figure(run, theme_mode()),
            tables_training.matrix_table(look["matrix"]),
            key="train_matrix",
            alt=f"Confusion matrix of run {run.number}: {percent(look['accuracy'])} of the val cells are right",
        )
    with right:
        st.markdown("**What it answers now** :small[:gray[true class above, answer below]]")
        with st.grid("auto", min_column_width=72, gap="xsmall"):
            for sample in tables_training.list_samples(progress):
                _sample(sample)


def _sample(sample: tables_training.Sample) -> None:
    """One val cell with the network's answer."""
    label, answer, sure = sample.label, sample.answer, percent(sample.probability, 0)
    verdict = ":green[✓]" if sample.right else ":red[✗]"
    words = f"{CLASS_GLYPHS[label]} {CLASS_CODES[label]}  \n{verdict} {CLASS_CODES[answer]} {sure}"
    tile = cache_training.sample_tile(sample.row, label)
    with st.container(gap=None):
        if tile is not None:
            judged = "right" if sample.right else "wrong"
            said = f"True: {CLASS_NAMES[label]}; answered {CLASS_NAMES[answer]}, {sure}, {judged}"
            st.image(tile, width="stretch", alt=said)
        st.caption(words)


# queue and earlier runs


def run_rows(runs: Sequence[LiveRun], allowed: bool) -> None:
    """List runs, each with its settings, its result and what can be done with it."""
    table = cache.leaderboard()
    accuracies = {split: dict(zip(table["name"], table[f"{split}_accuracy"], strict=True)) for split in ("val", "test")}
    for run in runs:
        word, icon, colour = tables_training.STATE_WORDS[run.state]
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"train_row_{run.number}"):
            result = ""
            if run.state == "done" and run.model in accuracies["test"]:
                val, test = (percent(accuracies[split][run.model]) for split in ("val", "test"))
                result = f" · **{run.model}**: {val} on val, {test} on test"
            elif run.state == "done":
                result = f" · its model {run.model} is not on the shelf any more"
            st.markdown(
                f"**{tables_training.run_label(run)}** :{colour}-badge[{icon} {word}]{result}  \n"
                f":small[{tables_training.describe_request(run.request)} · {tables_training.when(run.queued_at)}]"
                + (f"  \n:small[{run.reason}]" if run.reason else ""),
                width="stretch",
            )
            if run.state == "done" and run.model in accuracies["test"]:
                st.page_link(PAGES_DIRECTORY / "reports.py", label="Report", query_params={"reports_model": run.model})
            if allowed and run.state not in ACTIVE:
                run_buttons(run, where="row")
            if allowed and run.state not in ("queued", *ACTIVE):
                _delete_button(f"run_{run.number}", "the run and its model", live.delete_run, run.number)


def other_own_models(runs: Sequence[LiveRun], allowed: bool) -> None:
    """List the user's own models that belong to no run here, damaged ones included, to be deleted."""
    mine = {run.model_name for run in runs}
    shelf = cache.load_shelf()
    found = {name: "" for name, one in shelf.artifacts.items() if one.own}
    found |= {one.name: one.reason for one in shelf.damaged if one.directory.parent == own_models_directory()}
    for name, reason in sorted(found.items()):
        if name in mine and not reason:
            continue
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{name}** {f':small[{reason}]' if reason else 'trained elsewhere'}", width="stretch")
            if allowed:
                _delete_button(f"model_{name}", "the model", live.delete_own_model, name)


def _delete_button(key: str, what: str, action: Callable[..., None], *arguments: Any) -> None:
    with st.popover("Delete", icon=":material/delete:", key=f"train_delete_{key}"):
        st.button(
            f"Delete {what} for good",
            key=f"train_deleted_{key}",
            type="primary",
            on_click=act,
            args=(action, *arguments),
        )


def _outline(runs: Sequence[LiveRun]) -> list[tuple[int, str]]:
    return [(run.number, run.state) for run in runs]

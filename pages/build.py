"""Make your CNN: what does each idea cost, and what did it bring?"""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import streamlit as st

from bloodcell.dataset import CLASS_NAMES
from bloodcell.evaluation.evidence import find_evidence
from bloodcell.evaluation.repeated import Change, Repeated, compare_repeated, pool_spread, shares_images
from bloodcell.models.catalog import name_of
from bloodcell.models.combinations import BASE, Combination, all_combinations, parse_combination
from bloodcell.views import cache_build
from bloodcell.views import figures_build as figures
from bloodcell.views import tables_build as tables
from bloodcell.views.cache_figures import draw_plotly
from bloodcell.views.components import (
    chart_with_table,
    choose,
    data_source_line,
    download_csv,
    how_computed,
    keep_choice,
    open_page,
    restore_choice,
    show_damaged,
    theme_mode,
    was_chosen,
)
from bloodcell.views.components_build import PAGE, show_classes, show_images, show_layers
from bloodcell.views.drawing import draw_network
from bloodcell.views.navigation import PAGES_DIRECTORY
from bloodcell.views.quantities import percent

NETWORK, AGAINST = "build_network", "build_against"
AGAINST_CHOSEN = "build_against_chosen"
NAMES = [combination.name for combination in all_combinations()]
TRAIN_PAGE = PAGES_DIRECTORY / "train.py"
SWITCHES: dict[str, tuple[str, dict[Any, str], str]] = {
    "depth": ("Depth", {2: "2", 3: "3", 4: "4"}, "Blocks of convolution; each halves the image."),
    "batch_norm": ("Batch normalization", {False: "off", True: "on"}, "After every convolution and the dense layer."),
    "dropout": ("Dropout", {0.0: "off", 0.4: "0.4", 0.5: "0.5"}, "Share of the dense units that training silences."),
    "l2": (
        "L2 penalty",
        {0.0: "off", 1e-4: "10⁻⁴", 1e-3: "10⁻³", 1e-2: "10⁻²"},
        "On the kernels of the convolutions; it changes training, not the layers.",
    ),
    "attention": (
        "Attention",
        {"none": "off", "se": "SE", "cbam": "CBAM"},
        "SE weighs channels; CBAM weighs channels and places.",
    ),
    "residual": ("Residual connections", {False: "off", True: "on"}, "Two convolutions a block, added to their input."),
}
DEFINITIONS = """
- **Accuracy**: the mean over the seeds that were trained, on test; **±** is the standard deviation over seeds.
- **Difference**: mean accuracy of this network minus that of the other, on the same images, with its 95 % interval
  over images and seeds. It is *more than chance* by the rule of the page Findings: interval and test leave out zero,
  and no seed of the better one is as low as any of the worse. How many pairs you look at is not corrected for.
- **Recall** of a class: of its images, the share that is answered right, averaged over seeds.
- Only trainings under **equal settings** (recipe and data) are compared, so that the switch is the one difference.
- **FLOPs** for one image at inference, a multiply-add counted as two. **Memory**: float32 weights, and the outputs of
  all layers for one image, in bytes / 1024²; training keeps all of these outputs, inference only those still needed.
"""

# Four values of one switch stay side by side in a narrow column with large text.
STYLE = """<style>
[class*="st-key-build_"] [data-testid="stButtonGroup"] button {padding-left: .3rem; padding-right: .3rem}
</style>"""


def choose_network() -> Combination:
    """Let the reader set the switches; the network's own name stands in the URL."""
    restore_choice(NETWORK, NAMES, BASE.name)
    chosen = parse_combination(st.session_state[NETWORK])
    assert chosen is not None
    for switch, (label, options, help_text) in SWITCHES.items():
        key = f"build_{switch}"
        st.session_state[key] = getattr(chosen, switch)
        st.segmented_control(
            label,
            list(options),
            format_func=options.__getitem__,
            key=key,
            required=True,
            on_change=take_switches,
            width="stretch",
            help=help_text,
        )
    if chosen != BASE:
        st.button(
            "Back to the base",
            key="build_back",
            on_click=take_network,
            args=(BASE,),
            icon=":material/undo:",
            help=f"{BASE.describe()} Every comparison starts from it.",
        )
    keep_choice(NETWORK, BASE.name)
    return chosen


def take_switches() -> None:
    """Take the network that the switches make."""
    take_network(Combination(**{switch: st.session_state[f"build_{switch}"] for switch in SWITCHES}))


def take_network(combination: Combination) -> None:
    """Make a network the one on the page, and begin with the first page of its images."""
    choose(NETWORK, combination.name)
    st.session_state[PAGE] = 1


def take_table_row(combination: Combination) -> None:
    """Take the network whose row was chosen in the table of neighbours."""
    rows = st.session_state["build_neighbours"]["selection"]["rows"]
    if rows and rows[0] > 0:
        take_network(tables.list_neighbours(combination)[rows[0] - 1].combination)


def show_drawing(combination: Combination, graph: Mapping[str, Any]) -> None:
    """Name, cost and drawing of the network."""
    name = tables.study_name(combination)
    of_study = f" · the study's `{name}`" if name else ""
    st.markdown(f"`{combination.name}`{of_study}  \n{combination.describe()}")
    weights, outputs = tables.describe_memory(tables.cost_table(graph))
    st.markdown(
        f"**{graph['parameters']:,}** parameters · **{graph['flops'] / 1e6:,.1f} million** FLOPs · "
        f"**{weights}** of weights, **{outputs}** of outputs"
    )
    st.html(draw_network(graph, f"The layers of {name_of(combination)}", theme_mode(), combination.dropout))


def offer_training(combination: Combination, has_others: bool) -> None:
    """Say that nobody trained this network here, and how to train it."""
    name = name_of(combination)
    st.info("Nobody trained this network here yet.", icon=":material/model_training:")
    if TRAIN_PAGE.is_file():
        st.page_link(
            TRAIN_PAGE, label=f"Train {name} now", icon=":material/play_arrow:", query_params={"train_model": name}
        )
        st.caption("Live, by your own choices: compared only with live trainings of the base by the same choices.")
    st.caption("Fully, by the study's recipe:")
    st.code(f"./dev python -m bloodcell train {name}", language="bash", wrap_lines=True)
    if not has_others:
        return
    trained = cache_build.list_trained()
    candidates = [one for one in all_combinations() if one.name in trained]
    nearest = min(candidates, key=lambda other: tables.count_differences(combination, other))
    st.button(
        f"The nearest that is trained: {tables.describe_difference(nearest, combination)}",
        key="build_nearest",
        on_click=take_network,
        args=(nearest,),
        icon=":material/near_me:",
        wrap=True,
    )


def show_result(result: Repeated, trained: tables.Trained) -> None:
    """The accuracy of the network, with its spread."""
    st.metric("Accuracy on test", percent(result.accuracy, 2))
    seeds = "one seed; its spread is not known" if result.num_trainings == 1 else f"{result.num_trainings} seeds"
    spread = "" if np.isnan(result.spread) else f"± {100 * result.spread:.2f} points over "
    st.caption(f"{spread}{seeds}, {len(result.y_true):,} images.")
    if trained.own:
        st.caption("Your own training: it is compared only with trainings by the same settings.")
    if trained.num_others:
        others = "1 training" if trained.num_others == 1 else f"{trained.num_others} trainings"
        st.caption(f"Left out: {others} of it under other settings.")


def choose_other(combination: Combination, results: Mapping[str, Repeated]) -> str | None:
    """Let the reader choose what the network is compared with: the base first, then its neighbours, then the others.

    Args:
        results: Comparable trainings, by the combination's own name.
    """
    others = [name for name in NAMES if name in results and name != combination.name]
    if not others:
        return None
    nearness = {
        name: tables.count_differences(combination, cast(Combination, parse_combination(name))) for name in others
    }
    others.sort(key=lambda name: (name != BASE.name, nearness[name]))
    if was_chosen(AGAINST):
        st.session_state[AGAINST_CHOSEN] = True
    elif not st.session_state.get(AGAINST_CHOSEN):  # what nobody chose is proposed anew for each network
        st.session_state.pop(AGAINST, None)
    restore_choice(AGAINST, others, others[0])
    if st.session_state[AGAINST] != others[0]:  # then it came with the address
        st.session_state[AGAINST_CHOSEN] = True
    st.selectbox(
        "Compared with",
        others,
        format_func=lambda name: describe_other(name, combination),
        key=AGAINST,
        on_change=choose,
        args=(AGAINST,),
        persist_state="session",
    )
    keep_choice(AGAINST, others[0])
    return cast(str, st.session_state[AGAINST])


def describe_other(name: str, combination: Combination) -> str:
    """Return another network in terms of how it differs from the one on the page."""
    other = cast(Combination, parse_combination(name))
    base = "the base: " if other == BASE else ""
    return f"{base}{tables.describe_difference(other, combination)}"


def show_consequence(combination: Combination, results: Mapping[str, Repeated]) -> tuple[Change, str] | None:
    """What the network reaches, and how that compares.

    Returns:
        The change against the chosen other network, and its name; None where there is nothing to compare.
    """
    trained = cache_build.list_trained()
    if combination.name not in trained:
        offer_training(combination, bool(trained))
        return None
    own = cache_build.load_result(trained[combination.name])
    show_result(own, trained[combination.name])
    if combination.name not in results:
        st.info(
            "It was trained with other settings than the base, so a difference would not tell what the switch did. "
            "Train the base with the same settings to compare them."
        )
        return None
    other = choose_other(combination, results)
    if other is None:
        st.info("No other network was trained with these settings yet: nothing to compare with.")
        return None
    name = name_of(cast(Combination, parse_combination(other)))
    if not shares_images(own, results[other]):
        st.info(f"It and {name} were measured on different images: nothing to compare.")
        return None
    change = compare_repeated(own, results[other], len(CLASS_NAMES))
    evidence = find_evidence(combination.name, name, own, results[other], pool_spread(results.values()))
    st.markdown(tables.describe_change(evidence, f"`{name}`"))
    st.markdown(
        f"Of {change.num_images:,} images it gets **{change.num_gained:,}** right more often and "
        f"**{change.num_lost:,}** less often."
    )
    graph, other_graph = (
        cache_build.load_graph(one) for one in (combination, cast(Combination, parse_combination(other)))
    )
    more, times = graph["parameters"] - other_graph["parameters"], graph["flops"] / other_graph["flops"]
    cost = f"{more:+,} parameters".replace("-", "−") if more else "the same parameters"
    st.markdown(f"Its price: {cost}, {times:.2f} times the FLOPs.")
    return change, name


def show_neighbours(combination: Combination, results: Mapping[str, Repeated]) -> None:
    """Every network that one switch makes of this one."""
    st.header("One switch from here", anchor=False)
    neighbours = tables.list_neighbours(combination)
    graphs = {one.combination.name: cache_build.load_graph(one.combination) for one in neighbours}
    table = tables.neighbours_table(combination, cache_build.load_graph(combination), graphs, results)
    shown = {one.label: results[one.combination.name] for one in neighbours if one.combination.name in results}
    if combination.name in results and shown:
        chart_with_table(
            draw_plotly(figures.seeds_figure, {"as it stands": results[combination.name], **shown}, theme_mode()),
            table[table["seeds"] > 0],
            "build_seeds",
            f"Accuracy of {combination.name} and of {len(shown)} networks that differ in one switch, seed by seed",
        )
    st.caption(
        "Choose a row to set that switch. Costs are against this network; a dash: no training by these settings."
    )
    signed = "%+.2f"
    percents = {column: 100 * table[column] for column in ("accuracy", "spread", "difference")}
    st.dataframe(
        table.assign(**percents),
        hide_index=True,
        key="build_neighbours",
        on_select=lambda: take_table_row(combination),
        selection_mode="single-row",
        height="content",
        placeholder="–",
        alt="Every network that differs in one switch, with accuracy and cost",
        column_order=(
            "change",
            "accuracy",
            "spread",
            "difference",
            "seeds",
            "parameters_change",
            "flops_change",
            "name",
        ),
        column_config={
            "change": st.column_config.TextColumn("Switch", pinned=True),
            "accuracy": st.column_config.NumberColumn("Accuracy", format="%.2f %%", help="Mean over seeds, test"),
            "spread": st.column_config.NumberColumn("±", format="%.2f", help="Standard deviation over seeds, points"),
            "difference": st.column_config.NumberColumn(
                "Difference", format=signed, help="Points against this network"
            ),
            "seeds": st.column_config.NumberColumn("Seeds"),
            "parameters_change": st.column_config.NumberColumn("Parameters, change", format="localized"),
            "flops_change": st.column_config.NumberColumn("FLOPs, change", format="localized"),
            "name": st.column_config.TextColumn("Network"),
        },
    )
    download_csv(table, f"{combination.name}_neighbours", key="build_neighbours_csv")


def load_comparable(combination: Combination) -> dict[str, Repeated]:
    """Return the networks that were trained with this one's settings, if the base was too; else with the base's."""
    trained = cache_build.list_trained()
    for one in (trained.get(combination.name), trained.get(BASE.name), *trained.values()):
        equal = cache_build.list_equal(one.settings) if one else {}
        if BASE.name in equal or (equal and BASE.name not in trained):
            return {name: cache_build.load_result(other) for name, other in equal.items()}
    return {}


open_page(
    "Build",
    "Make your CNN: flip a switch and see the layers, their cost and, where it was trained, what the idea brought.",
)
show_damaged()
st.html(STYLE)
switch_side, drawing_side, result_side = st.columns([6, 11, 7], gap="medium")
with switch_side:
    network = choose_network()
layers = cache_build.load_graph(network)
comparable = load_comparable(network)
with drawing_side:
    show_drawing(network, layers)
with result_side:
    compared = show_consequence(network, comparable)
show_neighbours(network, comparable)
if compared is not None:
    against = st.session_state[AGAINST]
    show_classes(compared[0], name_of(network), compared[1])
    show_images(compared[0], comparable[network.name], comparable[against], name_of(network), compared[1])
show_layers(network, layers)
data_source_line()
how_computed(DEFINITIONS)

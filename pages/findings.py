"""What did we learn?"""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from bloodcell.dataset import CLASS_NAMES
from bloodcell.dataset.twins import Twin
from bloodcell.errors import DatasetError
from bloodcell.evaluation.ceiling import GOOD_MARGIN, SURE
from bloodcell.evaluation.evidence import NUM_SIGN_FLIPS, ONE_SEED_LIMIT, SIGNIFICANCE, Evidence
from bloodcell.evaluation.repeated import match_rows
from bloodcell.models.catalog import CATALOG
from bloodcell.models.combinations import LADDER
from bloodcell.published import load_anchors
from bloodcell.training.experiments import LADDER_NETWORKS
from bloodcell.views import cache, cache_findings
from bloodcell.views import figures_findings as figures
from bloodcell.views import tables_findings as tables
from bloodcell.views.cache_figures import draw_plotly
from bloodcell.views.components import (
    benchmark_line,
    chart_with_table,
    choose,
    data_source_line,
    for_projector,
    how_computed,
    missing_artifact,
    open_page,
    remembered_segments,
    research_use_notice,
    section,
    show_damaged,
    theme_mode,
)
from bloodcell.views.components_findings import (
    CELLS_AT_ONCE,
    CHART_OPTIONS,
    caption_change,
    describe_figure,
    keep_select,
    show_answer,
    show_caveat,
    show_cells,
    show_evidence,
    show_evidence_table,
    show_networks_table,
    show_summary,
)
from bloodcell.views.components_held_out import find_held_out, show_held_out, show_labels
from bloodcell.views.findings import (
    BASE,
    Finding,
    Network,
    compare_two,
    describe_accuracy,
    describe_difference,
    describe_no_difference,
)
from bloodcell.views.findings_answers import ARM_NAMES, find_steps
from bloodcell.views.findings_closing import answer_bytes, answer_ceiling
from bloodcell.views.quantities import MISSING, megabytes, percent, points

STEP, ROW_A, ROW_B, ARMS_OF = "findings_step", "findings_a", "findings_b", "findings_arms"
DEFINITIONS = f"""
- **Paired difference**: both networks answer the same test images; an image counts where one is right and the other is
  not. The **interval**, 95 %, is a bootstrap over images, widened by what training again would change: the spread over
  the seeds of both, moderated (Smyth 2004) by that of all networks and steps here with several seeds, {{spread}}.
- **p**: McNemar's exact test for one training each. With several seeds an image's difference is a share of trainings,
  and the test flips the signs of these shares at random, which is McNemar's test where there is one seed: at least
  1 in {NUM_SIGN_FLIPS:,}. It speaks of these images alone, whatever the seeds.
  **Corrected** by Holm for all comparisons of the same question.
- **A claim** (▲ or ▼) needs all three: an interval without zero, a corrected p below {SIGNIFICANCE:g}, and a
  difference that training again would not undo: {100 * ONE_SEED_LIMIT:g} points or more where a network was trained
  once, and every seed of the one above every seed of the other. Everything else is "no difference that … can show":
  not "equal".
- **± behind an accuracy over seeds** is their standard deviation; **± behind a difference** half its interval.
- **Choices are made on validation**: the best deep network, the lightweight one, the good models. Test only judges.
- **ECE**: mean distance between confidence and accuracy, 15 bins, after the temperature that was fitted on validation.
- **Good models** are within {100 * GOOD_MARGIN:g} point of the best on validation. A label is **in doubt** where all of
  them give the same wrong class with {100 * SURE:g} % confidence or more on average: a reason to look, not a proof.
"""


def show_lightweight(evidenced: cache_findings.Evidenced) -> None:
    """The lightweight networks against the best deep one, by size."""
    finding = evidenced.findings["lightweight"]
    show_answer(finding)
    labels = [f"{one.a}, {megabytes(evidenced.networks[one.a].weights_mb)}" for one in finding.evidence]
    if finding.evidence:
        st.markdown(f":small[**Each lightweight network − {finding.evidence[0].b}**, lightest first]")
    show_evidence(finding, "findings_lightweight", labels)
    show_caveat(finding)


def show_attention(evidenced: cache_findings.Evidenced) -> None:
    """Networks with attention against the same without."""
    finding = evidenced.findings["attention"]
    show_answer(finding)
    show_evidence(finding, "findings_attention")
    show_caveat(finding)


def show_depth(evidenced: cache_findings.Evidenced) -> None:
    """What more weight buys: the staircase of the study's networks, and pairs that differ in depth."""
    finding = evidenced.findings["depth"]
    show_answer(finding)
    study = [one for one in evidenced.networks.values() if one.origin == "study"]
    if study:
        steps = find_steps(study)
        ordered = sorted(study, key=lambda one: one.weights_mb)
        chart_with_table(
            draw_plotly(figures.steps_figure, ordered, steps, theme_mode()),
            tables.networks_table(ordered),
            "findings_steps",
            "Accuracy on test against size of the study's networks, and the best on validation within each budget",
        )
    if finding.evidence:
        show_evidence_table(finding.evidence, "findings_depth")
    show_caveat(finding)


@section
def show_augmentation(evidenced: cache_findings.Evidenced) -> None:
    """Every training of the augmentation study, its curves, its calibration, and the paired differences."""
    finding = evidenced.findings["augmentation"]
    show_answer(finding)
    arms = {network: of for network, of in evidenced.arms.items() if of}
    if arms:
        left, right = st.columns([3, 2], gap="medium")
        table = tables.networks_table([one for of in arms.values() for one in of.values()])
        with left:
            chart_with_table(
                draw_plotly(figures.arms_figure, arms, ARM_NAMES, theme_mode()),
                table.drop(columns=["MB", "ms"]),
                "findings_arms_chart",
                "Accuracy on validation and test of every training of the augmentation study",
            )
        with right:
            show_curves(evidenced, list(arms))
        show_networks_table(table.drop(columns=["MB", "ms"]), "findings_arms_numbers")
    if finding.evidence:
        show_evidence_table(finding.evidence, "findings_augmentation")
    show_caveat(finding)


def show_curves(evidenced: cache_findings.Evidenced, networks: list[str]) -> None:
    """Learning curves of one network's arms."""
    network = remembered_segments("Learning curves of", {name: name for name in networks}, ARMS_OF)
    trained = evidenced.histories[network]
    curves = {arm: cache_findings.load_curves(tuple(one.fingerprint for one in of), of) for arm, of in trained.items()}
    longest = max(values.shape[1] for values in curves.values())
    table = pd.DataFrame({"epoch": np.arange(1, longest + 1)})
    for arm, values in curves.items():
        padded = np.full(longest, np.nan)
        padded[: values.shape[1]] = 100 * np.nanmean(values, axis=0)
        table[ARM_NAMES[arm]] = padded
    chart_with_table(
        draw_plotly(figures.curves_figure, curves, ARM_NAMES, theme_mode()),
        table,
        "findings_curves",
        f"Accuracy of {network} on validation over the epochs, mean over seeds, by kind of augmentation",
    )


def take_clicked_step() -> None:
    """In a callback: choose the step whose mark was clicked."""
    selected = st.session_state["findings_ladder_chart"]["selection"]["points"]
    if selected:
        choose(STEP, selected[0]["customdata"][0])


@section
def show_ladder(evidenced: cache_findings.Evidenced) -> None:
    """The ladder's steps to click, and the chosen step in full."""
    finding = evidenced.findings["ladder"]
    show_answer(finding)
    base = LADDER_NETWORKS[BASE]
    st.markdown(
        f"The base is the graph of **{base}**; each step changes one thing of it and nothing else. "
        "Choose a step: click its mark, or take it from the list."
    )
    steps = [step.label for step in LADDER]
    trained = [one.a for one in finding.evidence]
    keep_select(STEP, steps, trained[0] if trained else steps[0])
    chosen = st.session_state[STEP]
    if finding.evidence:
        figure = draw_plotly(figures.differences_figure, finding.evidence, trained, theme_mode(), chosen)
        st.plotly_chart(
            for_projector(figure),
            key="findings_ladder_chart",
            on_select=take_clicked_step,
            selection_mode="points",
            config=CHART_OPTIONS,
            alt=describe_figure(finding.evidence),
        )
        show_evidence_table(finding.evidence, "findings_ladder")
    st.subheader(f"The step “{chosen}”", anchor=False)
    model = LADDER_NETWORKS[chosen]
    show_graph_change(base, model)
    one = next((one for one in finding.evidence if one.a == chosen), None)
    if one is None:
        lacking = [label for label in (BASE, chosen) if label not in evidenced.ladder]
        st.info(f"Not trained yet on the ladder: {' and '.join(LADDER_NETWORKS[label] for label in lacking)}.")
    else:
        show_comparison(evidenced.ladder[chosen], evidenced.ladder[BASE], one, "findings_ladder")
    show_caveat(finding)


def show_graph_change(first: str, second: str) -> None:
    """What differs between the graphs of two networks: options, layers, size, arithmetic, time."""
    graphs = (cache_findings.load_graph(first), cache_findings.load_graph(second))
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(f"**What changes in the graph**, from {first} to {second}")
        st.dataframe(
            tables.differences_table(first, second),
            hide_index=True,
            key=f"findings_differences_{first}_{second}",
            alt=f"Everything in which {first} and {second} differ",
        )
        words = tables.describe_layers(*graphs)
        if words:
            st.caption(words)
    with right:
        st.markdown("**What it costs**")
        costs = tables.costs_table((first, second), graphs, cache_findings.load_times((first, second)))
        st.dataframe(
            costs,
            hide_index=True,
            placeholder=MISSING,
            key=f"findings_costs_{first}_{second}",
            alt=f"Size, arithmetic and time of {first} and {second}",
        )
        st.caption(cache_findings.describe_times((first, second)))


def show_comparison(first: Network, second: Network, one: Evidence, key: str) -> None:
    """One comparison in full: accuracy with interval, class by class, and the images on which both differ."""
    verdict = describe_no_difference(one).capitalize() if one.verdict == "undecided" else f"A {one.verdict} network"
    st.markdown(
        f"**{verdict}.** {first.name} {describe_accuracy(first.test)}, {second.name} {describe_accuracy(second.test)}: "
        f"{describe_difference(one)}. On validation {percent(first.val.accuracy)} and {percent(second.val.accuracy)}."
    )
    table = tables.classes_table(first.test, second.test, CLASS_NAMES)
    names = (first.name, second.name)
    chart_with_table(
        draw_plotly(figures.classes_figure, table, names, theme_mode()),
        table.rename(columns={"class": "Class", "images": "Images"}).round(2),
        f"{key}_classes",
        f"Difference in F1 by class, {first.name} minus {second.name}",
    )
    gained, lost = tables.changed_rows(first.test, second.test)
    options = {
        "lost": f"{first.name} is less often right ({len(lost)})",
        "gained": f"{first.name} is more often right ({len(gained)})",
    }
    side = remembered_segments("On which images", options, f"{key}_side")
    rows = lost if side == "lost" else gained
    if not len(rows):
        st.caption("There is no such image.")
        return
    research_use_notice()
    shown = rows[:CELLS_AT_ONCE]
    others = match_rows(first.test.image_hashes[shown], second.test.image_hashes)
    captions = [
        caption_change(row, first.test, second.test, names, other)
        for row, other in zip(shown.tolist(), others.tolist(), strict=True)
    ]
    show_cells(shown, first.test.y_true, first.test.image_hashes, captions, key)
    with st.expander(f"All {len(rows)} images as a table", icon=":material/table:"):
        changes = tables.changes_table(rows, first.test, second.test, names, CLASS_NAMES)
        st.dataframe(changes, hide_index=True, key=f"{key}_changes", alt="Images on which the two networks differ")


def show_settings(first: Network, second: Network) -> None:
    """What differs between how two networks were trained, or that nothing does."""
    settings = tables.settings_table(first, second)
    if settings.empty:
        st.caption("Both were trained by the same recipe.")
        return
    st.markdown("**What differs in how they were trained**")
    st.dataframe(
        settings,
        hide_index=True,
        key=f"findings_settings_{first.name}_{second.name}",
        alt=f"Everything that differs between the trainings of {first.name} and {second.name}",
    )


@section
def show_rows(evidenced: cache_findings.Evidenced) -> None:
    """Two rows of the catalog side by side: everything that differs between them."""
    st.header("Two rows side by side", anchor="rows", divider="gray")
    st.markdown("The study's rows change several things at once. Choose two and read everything that differs.")
    left, right = st.columns(2)
    names = list(CATALOG)
    with left:
        keep_select(ROW_A, names, "cnn_se", "First network")
    with right:
        keep_select(ROW_B, names, "cnn_bn_dropout40", "Second network")
    a, b = st.session_state[ROW_A], st.session_state[ROW_B]
    if a == b:
        st.info("These are the same network: choose another.")
        return
    show_graph_change(a, b)
    absent = [name for name in (a, b) if name not in evidenced.networks]
    for name in absent:
        if name in evidenced.left_out:
            st.info(f"**{name}** was trained on another file of the dataset, so it has no images to be paired on.")
        else:
            missing_artifact(name)
    if absent:
        return
    first, second = evidenced.networks[a], evidenced.networks[b]
    show_settings(first, second)
    num_pairs = math.comb(len(evidenced.networks), 2)
    one = compare_two(first, second)
    show_comparison(first, second, replace(one, p_corrected=min(1.0, num_pairs * one.p_value)), "findings_rows")
    st.caption(f"p is corrected for the {num_pairs} pairs that one may choose from (Bonferroni).")


def find_closing() -> tuple[Finding, ...]:
    """Return the answers on the ceiling, held-out cells, labels and bytes, which need more than the trainings."""
    twins = load_twins_if_here()
    ceiling = answer_ceiling(cache_findings.load_ceiling(), twins)
    return ceiling, *find_held_out(cache_findings.load_evidence().networks, twins), answer_bytes(load_bytes())


def load_twins_if_here() -> list[tuple[Twin, ...]] | None:
    """Return the images that stand in the dataset twice, or None where there is no dataset."""
    try:
        return cache_findings.load_twins()
    except DatasetError:
        return None


def load_bytes() -> pd.DataFrame:
    """Return accuracy beside bytes, ours and the published anchors."""
    stored = {name: one.manifest.weights_bytes_stored for name, one in cache.load_shelf().artifacts.items()}
    return tables.bytes_table(cache_findings.load_evidence().networks, stored, load_anchors())


def show_ceiling(finding: Finding) -> None:
    """What every good model gets wrong."""
    ceiling, twins = cache_findings.load_ceiling(), load_twins_if_here()
    show_answer(finding)
    if ceiling is not None and ceiling.num_missed:
        left, right = st.columns([3, 2], gap="medium")
        pairs = tables.ceiling_pairs_table(ceiling, CLASS_NAMES)
        with left:
            chart_with_table(
                draw_plotly(figures.ceiling_figure, pairs, len(ceiling.names), theme_mode()),
                pairs,
                "findings_ceiling",
                "Images of test that every good model gets wrong, by true class and the class that most give",
            )
        with right:
            st.dataframe(
                tables.ceiling_counts_table(ceiling),
                hide_index=True,
                key="findings_ceiling_counts",
                alt="How many images are wrong with how many of the good models",
            )
            if twins is not None:
                st.markdown("**Images that are there twice**, pixel for pixel")
                st.dataframe(
                    tables.twins_table(twins, CLASS_NAMES),
                    hide_index=True,
                    key="findings_twins",
                    height=180,
                    alt="Images that stand in the dataset more than once, with their labels",
                )
        research_use_notice()
        shown = ceiling.rows[:CELLS_AT_ONCE]
        predictions = cache.load_predictions(ceiling.names[0])
        assert predictions is not None
        places = None
        if twins is not None:
            hashes = predictions.image_hashes[ceiling.rows]
            places = tables.find_other_places(hashes, twins, cache.load_split("test").image_hashes, CLASS_NAMES)
        captions = tables.ceiling_captions(ceiling, CLASS_NAMES, places)[:CELLS_AT_ONCE]
        show_cells(shown, predictions.y_true, predictions.image_hashes, captions, "findings_missed")
        with st.expander(f"All {ceiling.num_missed} images as a table", icon=":material/table:"):
            images = tables.ceiling_images_table(ceiling, CLASS_NAMES, places)
            st.dataframe(
                images, hide_index=True, key="findings_missed_table", alt="Images that every good model misses"
            )
    show_caveat(finding)


def show_bytes(finding: Finding) -> None:
    """Accuracy per byte, with the published anchors."""
    table = load_bytes()
    show_answer(finding)
    chart_with_table(
        draw_plotly(figures.bytes_figure, table, theme_mode()),
        table,
        "findings_bytes",
        "Accuracy on test against bytes of the weights: trained here as stored and as float32, and published anchors",
    )
    show_caveat(finding)


open_page(
    "Findings",
    "What did we learn? The study's questions and those it left open, answered from the models trained here, on the "
    "same test images.",
)
evidence = cache_findings.load_evidence()
show_damaged()
if not evidence.networks:
    missing_artifact()
ceiling_found, held_out_found, labels_found, bytes_found = find_closing()
show_summary([*evidence.findings.values(), ceiling_found, held_out_found, labels_found, bytes_found])
data_source_line()
if evidence.left_out:
    st.caption(f"Left out, because measured on another file of the dataset: {', '.join(evidence.left_out)}.")
show_lightweight(evidence)
show_attention(evidence)
show_depth(evidence)
show_augmentation(evidence)
show_ladder(evidence)
show_rows(evidence)
show_ceiling(ceiling_found)
show_held_out(held_out_found, evidence.networks)
show_labels(labels_found, load_twins_if_here())
show_bytes(bytes_found)
benchmark_line(cache.load_benchmark())
spread_of_seeds = points(cache_findings.load_evidence().seed_spread, 2).removeprefix("+")
how_computed(DEFINITIONS.format(spread=spread_of_seeds))

"""How good is one model?"""

import math
from functools import partial
from pathlib import Path

import streamlit as st

from bloodcell.artifact import Artifact
from bloodcell.evaluation import Evaluation, reliability_curve, risk_coverage_curve
from bloodcell.models.catalog import CATALOG
from bloodcell.models.graphs import find_graph
from bloodcell.published import STUDY, published_accuracies
from bloodcell.views import cache, tables_card
from bloodcell.views import figures_evaluation as figures
from bloodcell.views import tables_evaluation as tables
from bloodcell.views.cache_figures import draw_plotly
from bloodcell.views.components import (
    chart_with_table,
    data_source_line,
    download_csv,
    how_computed,
    missing_artifact,
    model_picker,
    open_page,
    remembered_segments,
    remembered_toggle,
    show_damaged,
    theme_mode,
)
from bloodcell.views.components_combined import show_calibration_test, show_combined
from bloodcell.views.components_finer import show_finer_report
from bloodcell.views.components_trials import show_trials
from bloodcell.views.quantities import MISSING, percent, points
from bloodcell.views.theme import palette

SPLITS = {"test": "test", "val": "val"}
CONFUSION_PAGE = Path(__file__).with_name("confusion.py")
MOSTLY_ANSWERED = 0.95
DEFINITIONS = f"""
- **Precision** of a class: of the images called so, the share that is. **Recall**: of the images that are, the share
  called so. **F1**: their harmonic mean, 2 · precision · recall / (precision + recall).
- **±** and "95 %": Wilson's interval for a proportion (Wilson 1927), from the number of images alone; another training
  of the same network can fall outside it.
- **AUC** and accuracy by MedMNIST's own evaluator. **Calibration error**: the mean distance between confidence and
  accuracy over 15 bins of confidence (Guo et al. 2017). Every probability is softmax(logits / T), with T fitted on val.
- **Chance** in the calibration error: answers are drawn that are right with exactly their confidence, a thousand times
  (consistency resampling, Vaicenavicius et al. 2019).
- **Published** figures: {STUDY}, printed with two decimals for classes; the difference is measured minus published, in
  points, and shown for test only, because the study reports test.
- **Finer types**: a type is as probable as its class times its share within the class, so the eight classes are the
  sums of the eleven. Images whose name tells only the class are left out. ± of F1: bootstrap, answers drawn anew within
  each type.
- **FLOPs** for one image, a multiply-add counted as two.
"""


def show_summary(evaluation: Evaluation, published: dict[str, float]) -> None:
    """Six figures, the accuracy with its interval and, where published, the change against the study."""
    low, high = evaluation.accuracy_interval
    against = published.get("accuracy")
    figures_shown = [
        ("Accuracy", percent(evaluation.accuracy, 2), f"95 %: {100 * low:.1f} to {100 * high:.1f} %"),
        ("Weighted F1", percent(evaluation.weighted_f1, 2), "by images"),
        ("Macro F1", percent(evaluation.macro_f1, 2), "by classes"),
        ("AUC", MISSING if math.isnan(evaluation.auc) else percent(evaluation.auc, 2), "one against the rest"),
        ("Calibration error", percent(evaluation.ece, 2), "15 bins"),
        ("Wrong answers", f"{evaluation.num_errors:,}", f"of {evaluation.n:,} images"),
    ]
    with st.grid(3, min_column_width=130, gap="small"):
        for label, value, note in figures_shown:
            with st.container(gap=None):
                st.metric(label, value)
                st.caption(note)
    if against is not None:
        st.markdown(
            f"The study reports {percent(against, 2)} on test; this training measures "
            f"**{points(evaluation.accuracy - against, 2)}** against it."
        )


def show_report(name: str, evaluation: Evaluation, split: str) -> None:
    """The class report, with the published one below each value where there is one."""
    published = tables.find_published_report(name) if split == "test" else None
    table = tables.report_table(evaluation, published)
    st.header("Class by class", anchor=False)
    st.html(tables.report_html(table, evaluation, palette(theme_mode()).primary))
    with st.container(horizontal=True, vertical_alignment="center"):
        if published is not None:
            st.caption("Second line: published value and, in points, measured minus published.", width="stretch")
        elif name in CATALOG and CATALOG[name].origin == "study" and split == "test":
            st.caption("The study prints no class report of this network.", width="stretch")
        download_csv(table, f"{name}_{split}_report", key="reports_class_csv")
    data_source_line([name])


def show_weak_spots(name: str, evaluation: Evaluation, split: str) -> None:
    """What this model is worst at, computed from its answers."""
    st.header("Known weak spots", anchor=False)
    st.markdown("\n".join(f"- {sentence}" for sentence in tables.find_weak_spots(evaluation)))
    st.page_link(
        CONFUSION_PAGE,
        label=f"See these images of {split} on Confusion",
        icon=":material/grid_on:",
        query_params={"confusion_model": name, "confusion_split": split},
    )


def show_history(name: str, best_epoch: int) -> None:
    """Loss and accuracy over the epochs."""
    history = cache.load_history(name)
    if history is None or history.empty:
        return
    st.header("Learning curves", anchor=False)
    kept = history[history["epoch"] == best_epoch]
    reached = percent(float(kept["val_accuracy"].iloc[0])) if len(kept) else MISSING
    chart_with_table(
        draw_plotly(figures.learning_curves_figure, history, best_epoch, theme_mode()),
        history,
        "reports_history",
        f"Loss and accuracy of {name} over {len(history)} epochs; epoch {best_epoch} was kept, at {reached} on val",
    )
    st.caption(
        "Loss on val is the plain cross-entropy. Training loss and accuracy include what the recipe adds (dropout, "
        "augmentation, mixup, label smoothing, a teacher, L2 penalty): compare how the curves go and not how high they "
        "lie."
    )


def show_layers(name: str, model_name: str) -> None:
    """Layers with shapes, parameters, FLOPs and their share; without Keras."""
    st.header("Layers", anchor=False)
    graph = find_graph(model_name)
    if graph is None:
        spec = cache.find_spec(model_name)
        st.info(
            f"The catalog no longer has a network called {model_name}, so its layers are not known."
            if spec is None
            else f"{spec.description} Layers are listed here for the networks of the catalog only."
        )
        return
    layers = tables.layers_table(graph)
    st.markdown(
        f"{len(layers)} layers, **{graph['parameters']:,}** parameters, "
        f"**{graph['flops'] / 1e6:,.1f} million** FLOPs for one image."
    )
    left, right = st.columns([7, 4], gap="medium")
    share = partial(st.column_config.ProgressColumn, format="percent", min_value=0.0, max_value=1.0, color="primary")
    with left:
        only = remembered_toggle("Only layers with parameters", "reports_with_parameters")
        st.dataframe(
            layers[layers["parameters"] > 0] if only else layers,
            hide_index=True,
            key="reports_layers",
            alt=f"Layers of {name} with output shape, parameters and FLOPs",
            column_order=("layer", "output", "parameters", "parameter_share", "flops", "flop_share", "type"),
            column_config={
                "layer": st.column_config.TextColumn("Layer", pinned=True),
                "type": "Kind",
                "output": st.column_config.TextColumn("Output", help="Height × width × channels of one image"),
                "parameters": st.column_config.NumberColumn("Parameters", format="localized"),
                "parameter_share": share("Share", width=90),
                "flops": st.column_config.NumberColumn("FLOPs", format="localized", help="A multiply-add is two"),
                "flop_share": share("Share", width=90),
            },
        )
        download_csv(layers, f"{model_name}_layers", key="reports_layers_csv")
    with right:
        costs = tables.block_costs(layers)
        largest = costs.iloc[int(costs["flops"].to_numpy().argmax())]
        chart_with_table(
            draw_plotly(figures.layer_costs_figure, costs, theme_mode()),
            costs,
            "reports_blocks",
            f"Share of parameters and FLOPs per block of {name}; the block {largest['block']} takes "
            f"{percent(float(largest['flop_share']))} of the FLOPs",
        )


def show_calibration(name: str, split: str, evaluation: Evaluation) -> None:
    """Whether a probability can be believed, and what refusing the doubtful ones brings."""
    predictions, scores = cache.load_predictions(name, split), cache.load_probabilities(name, split)
    if predictions is None or scores is None:
        return
    left, right = st.columns(2)
    with left:
        st.header("Are its probabilities honest?", anchor=False)
        curve = reliability_curve(predictions.y_true, scores)
        chart_with_table(
            draw_plotly(figures.reliability_figure, curve, theme_mode()),
            curve,
            "reports_reliability",
            f"Accuracy against confidence of {name}; mean distance {percent(evaluation.ece, 2)}",
        )
        st.caption("On the dashed line, answers given with 90 % are right in 90 % of cases. Larger mark, more images.")
        show_calibration_test(name, split)
    with right:
        st.header("What if it may say “I do not know”?", anchor=False)
        curve = risk_coverage_curve(predictions.y_true, scores)
        chart_with_table(
            draw_plotly(figures.risk_coverage_figure, curve, theme_mode()),
            curve,
            "reports_risk",
            f"Share of wrong answers of {name} against the share of images answered, least confident refused first",
        )
        answered = curve[curve["coverage"] <= MOSTLY_ANSWERED].tail(1)
        if len(answered):
            refused, wrong = 1 - float(answered["coverage"].iloc[0]), float(answered["risk"].iloc[0])
            st.caption(
                f"Refusing the least confident {percent(refused)} of images leaves {percent(wrong, 2)} of the answers "
                f"wrong, instead of {percent(1 - evaluation.accuracy, 2)}."
            )


def show_card(artifact: Artifact, evaluation: Evaluation, split: str) -> None:
    """The model's card: what it is, how it came about, how to make it again, what it is for."""
    st.header("The model's card", anchor=False)
    st.markdown("The one command that makes it again:")
    st.code(artifact.manifest.command, language="bash", wrap_lines=True)
    rows = tables_card.card_rows(artifact.manifest, cache.find_spec(artifact.model_name), evaluation)
    rows |= tables_card.study_rows(artifact, published_accuracies().get(artifact.model_name), cache.load_shelf())
    st.table(rows, border="horizontal", alt=f"Card of {artifact.name}")


open_page("Reports", "How good is this one? One trained model in full: its report, its training, its layers, its card.")
show_damaged()
picker_side, split_side = st.columns([5, 1], vertical_alignment="bottom")
with picker_side:
    chosen = model_picker("reports_model")
with split_side:
    chosen_split = remembered_segments(
        "Split", SPLITS, "reports_split", "Models are chosen on val; test is read once. The study reports test."
    )
loaded = cache.load_artifact(chosen) if chosen else None
numbers = cache.load_evaluation(chosen, chosen_split) if chosen else None
if chosen is None or loaded is None or numbers is None:
    missing_artifact(chosen)
    st.stop()
report_side, summary_side = st.columns([11, 9], gap="medium")
with report_side:
    show_report(chosen, numbers, chosen_split)
    show_weak_spots(chosen, numbers, chosen_split)
with summary_side:
    show_summary(numbers, tables.find_published_summary(chosen) if chosen_split == "test" else {})
    show_history(chosen, loaded.manifest.best_epoch)
show_finer_report(chosen, chosen_split, key="reports")
show_layers(chosen, loaded.model_name)
show_calibration(chosen, chosen_split, numbers)
show_combined(chosen, key="reports")
if loaded.manifest.model.startswith("hemanet"):
    show_trials("reports")
show_card(loaded, numbers, chosen_split)
how_computed(DEFINITIONS)

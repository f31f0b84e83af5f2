"""One model's numbers as tables: the class report beside the published one, the summary, the layers."""

import html
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bloodcell.evaluation import Evaluation
from bloodcell.published import load_reports, load_summary
from bloodcell.views.quantities import MISSING, percent
from bloodcell.views.tables_confusion import count_of, list_confused_pairs
from bloodcell.views.theme import CLASS_COLORS, CLASS_GLYPHS

MEASURES: dict[str, str] = {"precision": "Precision", "recall": "Recall", "f1_score": "F1"}

REPORT_STYLE = """<style>
.class-report {width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; line-height: 1.25}
.class-report th, .class-report td {padding: .3rem .4rem; text-align: right; vertical-align: top;
  border-bottom: 1px solid color-mix(in srgb, currentColor 18%, transparent)}
.class-report thead th {font-weight: 600; font-size: .85rem; vertical-align: bottom}
.class-report th:first-child {text-align: left; font-weight: 500}
.class-report .value {display: block; padding: .1rem 0; border-radius: 3px; background-repeat: no-repeat;
  background-image: linear-gradient(color-mix(in srgb, var(--bar) 26%, transparent) 0 0)}
.class-report small {display: block; font-size: .75rem; opacity: .85; white-space: nowrap}
.class-report tfoot th, .class-report tfoot td {border-bottom: 0}
.class-report tfoot tr:first-child > * {border-top: 2px solid color-mix(in srgb, currentColor 30%, transparent)}
@media (max-width: 640px) {.class-report {font-size: .85rem} .class-report th, .class-report td {padding: .25rem .15rem}
  .class-report small {white-space: normal}}
</style>"""


def report_table(evaluation: Evaluation, published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the class report, fractions, one row per class.

    Args:
        evaluation: The measured numbers.
        published: Rows of one network in `published.load_reports()`, or None.

    Returns:
        class, precision, recall, f1_score, support and, where published, `published_…` and `difference_…` of the first
        three (measured minus published).
    """
    table = pd.DataFrame(
        {
            "class": [report.name for report in evaluation.per_class],
            **{measure: [getattr(report, measure) for report in evaluation.per_class] for measure in MEASURES},
            "support": [report.support for report in evaluation.per_class],
        }
    )
    if published is None or published.empty:
        return table
    study = published.set_index("class_index").reindex(range(len(table)))
    for measure in MEASURES:
        table[f"published_{measure}"] = study[measure].to_numpy()
        table[f"difference_{measure}"] = table[measure] - table[f"published_{measure}"]
    return table


def report_html(table: pd.DataFrame, evaluation: Evaluation, bar_color: str) -> str:
    """Return the class report as an HTML table: a bar behind each value, the published one and its difference below.

    Args:
        table: From `report_table`.
        evaluation: For the averages in the last rows.
        bar_color: "#RRGGBB" of the bars.
    """
    lowest = _bar_start(table)
    body = []
    for index, row in enumerate(table.to_dict("records")):
        color, glyph = CLASS_COLORS[index % len(CLASS_COLORS)], CLASS_GLYPHS[index % len(CLASS_GLYPHS)]
        cells = "".join(f"<td>{_report_cell(row, measure, lowest)}</td>" for measure in MEASURES)
        mark = f'<span style="color:{color}" aria-hidden="true">{glyph}</span>'
        body.append(
            f'<tr><th scope="row">{mark} {html.escape(row["class"])}</th>{cells}<td>{row["support"]:,}</td></tr>'
        )
    foot = []
    for label, kind in (("Mean over classes", "macro"), ("Weighted by images", "weighted")):
        values = (getattr(evaluation, f"{kind}_{measure}") for measure in ("precision", "recall", "f1"))
        cells = "".join(f"<td>{percent(value)}</td>" for value in values)
        foot.append(f'<tr><th scope="row">{label}</th>{cells}<td>{evaluation.n:,}</td></tr>')
    head = "".join(f'<th scope="col">{label}</th>' for label in ("Class", *MEASURES.values(), "Images"))
    return (
        f'{REPORT_STYLE}<table class="class-report" style="--bar:{bar_color}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody><tfoot>{''.join(foot)}</tfoot></table>"
    )


def find_published_report(name: str) -> pd.DataFrame | None:
    """Return the study's class report of a network on test, or None if it was not published."""
    rows = load_reports().query("name == @name")
    return None if rows.empty else rows


def find_published_summary(name: str) -> dict[str, float]:
    """Return what the study published of a network (accuracy, weighted_f1, …), as fractions and counts."""
    rows = load_summary().query("name == @name").select_dtypes("number")
    return {} if rows.empty else {str(key): float(value) for key, value in rows.iloc[0].dropna().items()}


def summary_table(evaluation: Evaluation, published: Mapping[str, float]) -> pd.DataFrame:
    """Return the summary figures: measure, value, published, difference, meaning; missing ones are NaN."""
    rows = [
        ("Accuracy", evaluation.accuracy, published.get("accuracy"), "Share of images that are right"),
        ("Accuracy, 95 % low", evaluation.accuracy_interval[0], None, "Lower bound of the Wilson interval"),
        ("Accuracy, 95 % high", evaluation.accuracy_interval[1], None, "Upper bound of the Wilson interval"),
        ("Weighted F1", evaluation.weighted_f1, published.get("weighted_f1"), "F1 averaged by images per class"),
        ("Macro F1", evaluation.macro_f1, None, "F1 averaged over classes, each counting the same"),
        ("AUC", evaluation.auc, None, "Mean area under the one-against-rest ROC curves"),
        ("Calibration error", evaluation.ece, None, "Mean distance between confidence and accuracy, 15 bins"),
        ("Log loss", evaluation.log_loss, None, "Mean negative log-probability of the true class, nats"),
    ]
    table = pd.DataFrame(rows, columns=["measure", "value", "published", "meaning"])
    table["published"] = table["published"].astype(float)
    table.insert(3, "difference", table["value"] - table["published"])
    return table


def layers_table(graph: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per layer: layer, type, block, output, parameters, flops, and their shares of the whole network.

    Args:
        graph: One network of `models.load_graphs()`.
    """
    layers = graph["layers"]
    table = pd.DataFrame(
        {
            "layer": [layer["name"] for layer in layers],
            "type": [layer["type"] for layer in layers],
            "block": [layer.get("block") or MISSING for layer in layers],
            "output": [describe_shape(layer["output_shape"]) for layer in layers],
            "parameters": np.array([layer["parameters"] for layer in layers], dtype=np.int64),
            "flops": np.array([layer["flops"] for layer in layers], dtype=np.int64),
        }
    )
    table["parameter_share"] = table["parameters"] / max(int(graph["parameters"]), 1)
    table["flop_share"] = table["flops"] / max(int(graph["flops"]), 1)
    return table


def block_costs(layers: pd.DataFrame) -> pd.DataFrame:
    """Return parameters, FLOPs and their shares per block, in order; blocks that cost nothing are left out."""
    columns = ["parameters", "flops", "parameter_share", "flop_share"]
    blocks = layers.groupby("block", sort=False)[columns].sum().reset_index()
    return blocks[(blocks["parameters"] > 0) | (blocks["flops"] > 0)].reset_index(drop=True)


def describe_shape(shape: Sequence[int | None]) -> str:
    """Return a layer's output without the batch axis, such as "32 × 32 × 16"."""
    sizes = list(shape)[1:] if len(shape) > 1 and shape[0] is None else list(shape)
    return " × ".join("any" if size is None else f"{size:,}" for size in sizes)


def find_weak_spots(evaluation: Evaluation, num_pairs: int = 3) -> list[str]:
    """Return in sentences what a model is worst at: its weakest class, then the pairs that it confuses most."""
    scored = [report for report in evaluation.per_class if report.support]
    weakest = min(scored, key=lambda report: report.f1_score)
    sentences = [
        f"Weakest class: {weakest.name}, F1 {percent(weakest.f1_score)} "
        f"(precision {percent(weakest.precision)}, recall {percent(weakest.recall)})."
    ]
    pairs = list_confused_pairs(evaluation.confusion_matrix, evaluation.class_names, num_pairs)
    sentences += [
        f"{count_of(pair.num_images, evaluation.class_names[pair.true])} called "
        f"{evaluation.class_names[pair.predicted]}, {percent(pair.share)} of them and "
        f"{percent(pair.share_of_errors)} of all errors."
        for pair in pairs
    ]
    return sentences if pairs else [*sentences, "No image of this split was answered wrongly."]


def _bar_start(table: pd.DataFrame) -> float:
    """Return where the bars begin: the tenth below the lowest value, so that good models can be told apart."""
    values = table[list(MEASURES)].to_numpy(dtype=float)
    return float(np.clip(np.floor(np.nanmin(values) * 10 - 1e-9) / 10, 0.0, 0.9))


def _report_cell(row: Mapping[Hashable, Any], measure: str, lowest: float) -> str:
    value = row[measure]
    width = 100 * max(value - lowest, 0.0) / (1 - lowest)
    text = f'<span class="value" style="background-size:{width:.1f}% 100%">{percent(value)}</span>'
    published = row.get(f"published_{measure}")
    if published is None or np.isnan(published):
        return text
    difference = round(100 * row[f"difference_{measure}"])
    sign = "±" if difference == 0 else "+" if difference > 0 else "−"
    return f"{text}<small>{100 * published:.0f} % ({sign}{abs(difference)})</small>"

"""Drawings of the Findings page: differences and intervals, steps of weight, arms, classes, accuracy per byte."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bloodcell.evaluation.evidence import ONE_SEED_LIMIT, Evidence
from bloodcell.views.findings import Network, describe_p, signed
from bloodcell.views.theme import Mode, family_style, palette, style_figure

DIFFERENCES_TRACE = "differences"
"""Name of the marks whose clicks choose a comparison."""
_MARKS = {"better": "triangle-up", "worse": "triangle-down", "undecided": "circle-open"}
_WORDS = {"better": "better", "worse": "worse", "undecided": "no claim"}
ARM_DASHES = {"none": "solid", "study_balanced": "dash", "symmetries_shift": "dot"}


def differences_figure(
    evidence: Sequence[Evidence], labels: Sequence[str], mode: Mode, selected: str | None = None
) -> go.Figure:
    """Return one mark with its 95 % interval per comparison: right of the line the first network is better.

    Args:
        evidence: Comparisons, top to bottom.
        labels: What each is called on the axis.
        mode: The ground it will stand on.
        selected: Name of the first network of the comparison that is chosen.
    """
    colors = palette(mode)
    by_verdict = {"better": colors.good, "worse": colors.bad, "undecided": colors.muted}
    figure = go.Figure()
    if any(one.num_seeds == 1 for one in evidence):
        figure.add_vrect(
            x0=-100 * ONE_SEED_LIMIT,
            x1=100 * ONE_SEED_LIMIT,
            fillcolor=colors.grid,
            opacity=0.6,
            line_width=0,
            layer="below",
        )
    figure.add_vline(x=0, line={"color": colors.muted, "width": 1})
    centre = np.array([100 * one.difference for one in evidence])
    low, high = (np.array([100 * one.interval[end] for one in evidence]) for end in (0, 1))
    figure.add_scatter(
        x=centre,
        y=list(labels),
        name=DIFFERENCES_TRACE,
        mode="markers",
        marker={
            "symbol": [_MARKS[one.verdict] for one in evidence],
            "color": [by_verdict[one.verdict] for one in evidence],
            "size": [17 if one.a == selected else 11 for one in evidence],
            "line": {"width": 2, "color": [by_verdict[one.verdict] for one in evidence]},
        },
        error_x={
            "type": "data",
            "symmetric": False,
            "array": high - centre,
            "arrayminus": centre - low,
            "color": colors.muted,
            "thickness": 1.4,
            "width": 4,
        },
        customdata=[[one.a, _hover(one)] for one in evidence],
        hovertemplate="%{customdata[1]}<extra></extra>",
        unselected={"marker": {"opacity": 1}},
        showlegend=False,
    )
    reach = max(float(np.abs(np.concatenate([low, high])).max()), 0.5) * 1.08 if len(evidence) else 1.0
    figure.update_xaxes(title="points of accuracy on test", range=[-reach, reach], zeroline=False, tickformat="+.1f")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    return style_figure(figure, mode, height=max(130, 76 + 30 * len(evidence)))


def steps_figure(networks: Sequence[Network], steps: Sequence[Network], mode: Mode) -> go.Figure:
    """Return accuracy against size of the study's networks, and the best within each budget as a staircase.

    Args:
        networks: Every trained network of the study.
        steps: Those that the staircase joins, lightest first.
        mode: The ground it will stand on.
    """
    colors = palette(mode)
    figure = go.Figure()
    figure.add_scatter(
        x=[one.weights_mb for one in steps],
        y=[100 * one.test.accuracy for one in steps],
        mode="lines",
        line={"shape": "hv", "color": colors.accent, "width": 2, "dash": "dash"},
        hoverinfo="skip",
        showlegend=False,
    )
    chosen = {one.name for one in steps}
    styles = [family_style(one.family, mode) for one in networks]
    figure.add_scatter(
        x=[one.weights_mb for one in networks],
        y=[100 * one.test.accuracy for one in networks],
        mode="markers+text",
        marker={
            "symbol": [style.symbol for style in styles],
            "color": [style.color for style in styles],
            "size": [13 if one.name in chosen else 9 for one in networks],
        },
        text=[one.name if one.name in chosen else "" for one in networks],
        textposition=["top right" if one.weights_mb < 5 else "top left" for one in networks],
        customdata=[[one.name, one.test.num_trainings] for one in networks],
        hovertemplate="%{customdata[0]}: %{y:.2f} % on test, %{x:.3~f} MB, trainings: %{customdata[1]}<extra></extra>",
        showlegend=False,
        cliponaxis=False,
    )
    figure.update_xaxes(type="log", title="float32 weights, MB", dtick="D2", tickformat="~g")
    figure.update_yaxes(title="accuracy on test, %")
    return style_figure(figure, mode, height=300)


def arms_figure(arms: Mapping[str, Mapping[str, Network]], names: Mapping[str, str], mode: Mode) -> go.Figure:
    """Return every training of the augmentation study as a mark, val beside test, with the mean of each arm.

    Args:
        arms: Network -> arm -> trainings.
        names: What each arm is called.
        mode: The ground it will stand on.
    """
    colors = palette(mode)
    figure = make_subplots(rows=1, cols=2, subplot_titles=("validation", "test"), shared_yaxes=True)
    for column, split in enumerate(("val", "test"), start=1):
        for arm, name in names.items():
            of_arm = [(network, getattr(of[arm], split)) for network, of in arms.items() if arm in of]
            if not of_arm:
                continue
            marks = {"none": ("circle", colors.muted), "study_balanced": ("square", colors.accent)}
            symbol, color = marks.get(arm, ("diamond", colors.primary))
            seeds = [(network, 100 * value) for network, one in of_arm for value in one.accuracies.tolist()]
            common = {"legendgroup": arm, "offsetgroup": arm}
            figure.add_scatter(
                x=[network for network, _ in seeds],
                y=[value for _, value in seeds],
                mode="markers",
                marker={"symbol": symbol, "color": color, "size": 10},
                name=name,
                showlegend=column == 1,
                hovertemplate=f"{name}, one seed: %{{y:.2f}} %<extra>%{{x}}</extra>",
                row=1,
                col=column,
                **common,
            )
            figure.add_scatter(
                x=[network for network, _ in of_arm],
                y=[100 * one.accuracy for _, one in of_arm],
                mode="markers",
                marker={"symbol": "line-ew", "size": 26, "line": {"width": 2.5, "color": color}},
                showlegend=False,
                hovertemplate=f"{name}, mean: %{{y:.2f}} %<extra>%{{x}}</extra>",
                row=1,
                col=column,
                **common,
            )
    values = [
        value for of in arms.values() for one in of.values() for value in (*one.val.accuracies, *one.test.accuracies)
    ]
    lowest, highest = 100 * min(values), 100 * max(values)
    margin = max(0.15 * (highest - lowest), 0.2)
    figure.update_yaxes(range=[lowest - margin, min(100.2, highest + margin)])
    figure.update_layout(
        scattermode="group", scattergap=0.45, legend={"orientation": "h", "y": 1.1, "yanchor": "bottom"}
    )
    figure.update_yaxes(title="accuracy, %", col=1)
    return style_figure(figure, mode, height=360).update_layout(margin={"t": 64})


def curves_figure(curves: Mapping[str, np.ndarray], names: Mapping[str, str], mode: Mode) -> go.Figure:
    """Return val accuracy over the epochs, mean of the seeds of each arm, with the band between its lowest and highest.

    Args:
        curves: Arm -> (trainings, epochs) fractions, NaN after a training's last epoch.
        names: What each arm is called.
        mode: The ground it will stand on.
    """
    colors = palette(mode)
    of_arm = {"none": colors.muted, "study_balanced": colors.accent, "symmetries_shift": colors.primary}
    figure = go.Figure()
    for arm, values in curves.items():
        epochs = np.arange(1, values.shape[1] + 1)
        low, mean, high = (100 * reduce(values, axis=0) for reduce in (np.nanmin, np.nanmean, np.nanmax))
        if len(values) > 1:
            figure.add_scatter(
                x=np.concatenate([epochs, epochs[::-1]]),
                y=np.concatenate([high, low[::-1]]),
                fill="toself",
                fillcolor=of_arm[arm],
                opacity=0.18,
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
            )
        figure.add_scatter(
            x=epochs,
            y=mean,
            mode="lines",
            name=names[arm],
            line={"color": of_arm[arm], "width": 2.5, "dash": ARM_DASHES[arm]},
            hovertemplate=f"{names[arm]}, epoch %{{x}}: %{{y:.2f}} %<extra></extra>",
        )
    shown = [100 * np.nanmean(values, axis=0) for values in curves.values()]
    top = max((float(np.nanmax(one)) for one in shown), default=100.0)
    figure.update_yaxes(title="accuracy on validation, %", range=[max(0.0, top - 14), min(100.3, top + 1)])
    figure.update_xaxes(title="epoch")
    figure.update_layout(legend={"orientation": "h", "y": -0.2}, showlegend=True)
    return style_figure(figure, mode, height=320)


def classes_figure(table: pd.DataFrame, names: tuple[str, str], mode: Mode) -> go.Figure:
    """Return the difference in F1 by class as bars from zero.

    Args:
        table: From `tables_findings.classes_table`.
        names: The first and the second network.
        mode: The ground it will stand on.
    """
    colors = palette(mode)
    figure = go.Figure(
        go.Bar(
            x=table["f1_difference"],
            y=table["class"],
            orientation="h",
            marker={"color": [colors.good if value > 0 else colors.bad for value in table["f1_difference"]]},
            text=[f"{value:+.1f}".replace("-", "−") for value in table["f1_difference"]],
            textposition="outside",
            cliponaxis=False,
            customdata=table[["f1_a", "f1_b"]],
            hovertemplate=f"%{{y}}: F1 {names[0]} %{{customdata[0]:.1f}} %, {names[1]} %{{customdata[1]:.1f}} %"
            "<extra></extra>",
        )
    )
    reach = max(float(table["f1_difference"].abs().max()), 0.5) * 1.35
    figure.add_vline(x=0, line={"color": colors.muted, "width": 1})
    figure.update_xaxes(title="points of F1", range=[-reach, reach], tickformat="+.1f", zeroline=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return style_figure(figure, mode, height=300)


def ceiling_figure(pairs: pd.DataFrame, num_models: int, mode: Mode) -> go.Figure:
    """Return the images that every good model misses by pair of classes; those with a doubtful label hatched.

    Args:
        pairs: From `tables_findings.ceiling_pairs_table`.
        num_models: Good models.
        mode: The ground it will stand on.
    """
    colors = palette(mode)
    labels = [f"{true} → {called}" for true, called in zip(pairs["true"], pairs["called"], strict=True)]
    figure = go.Figure()
    parts = (
        ("not all agree, or not sure", pairs["images"] - pairs["doubtful"], colors.muted, ""),
        (f"all {num_models} sure of the same wrong class", pairs["doubtful"], colors.accent, "/"),
    )
    for name, values, color, shape in parts:
        figure.add_bar(
            x=values,
            y=labels,
            orientation="h",
            name=name,
            marker={"color": color, "pattern": {"shape": shape}},
            hovertemplate=f"%{{y}}: %{{x}} images, {name}<extra></extra>",
        )
    figure.update_layout(barmode="stack", legend={"orientation": "h", "y": -0.25})
    figure.update_xaxes(title="images of test", dtick=1 if pairs["images"].max() < 12 else None)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return style_figure(figure, mode, height=130 + 24 * len(pairs))


def held_out_figure(table: pd.DataFrame, mode: Mode) -> go.Figure:
    """Return accuracies of cross-validated networks with their intervals, a line for each kind of images.

    Args:
        table: From `findings_held_out.scores_table`.
        mode: The ground it will stand on.
    """
    colors = palette(mode)
    marks = {
        "train, held out": ("diamond", colors.primary),
        "validation": ("circle-open", colors.muted),
        "test": ("square", colors.accent),
    }
    figure = go.Figure(
        go.Scatter(
            x=table["Accuracy"],
            y=[f"{network}<br>{images}" for network, images in zip(table["Network"], table["Images"], strict=True)],
            mode="markers",
            marker={
                "symbol": [marks[images][0] for images in table["Images"]],
                "color": [marks[images][1] for images in table["Images"]],
                "size": 12,
                "line": {"width": 2, "color": [marks[images][1] for images in table["Images"]]},
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": table["to"] - table["Accuracy"],
                "arrayminus": table["Accuracy"] - table["95 % from"],
                "color": colors.muted,
                "thickness": 1.6,
                "width": 4,
            },
            customdata=table[["95 % from", "to", "n", "Trainings"]],
            hovertemplate="%{y}: %{x:.2f} % (%{customdata[0]:.2f} to %{customdata[1]:.2f})"
            "<br>images: %{customdata[2]:,}, trainings: %{customdata[3]}<extra></extra>",
        )
    )
    figure.update_xaxes(title="accuracy, %, with 95 % interval")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    return style_figure(figure, mode, height=84 + 46 * len(table))


def bytes_figure(table: pd.DataFrame, mode: Mode, lowest: float | None = None) -> go.Figure:
    """Return accuracy against bytes: ours as stored, tied to float32; the published anchors hollow and named.

    Args:
        table: From `tables_findings.bytes_table`.
        mode: The ground it will stand on.
        lowest: Accuracy below which nothing is drawn, percent; None draws all.
    """
    colors = palette(mode)
    shown = table if lowest is None else table[table["accuracy"] >= lowest]
    ours, anchors = (shown[shown["group"] == group] for group in ("trained here", "published"))
    figure = go.Figure()
    ties = [value for row in ours.itertuples() for value in (row.stored_mb, row.float32_mb, None)]
    heights = [value for row in ours.itertuples() for value in (row.accuracy, row.accuracy, None)]
    figure.add_scatter(
        x=ties,
        y=heights,
        mode="lines",
        line={"color": colors.muted, "width": 1},
        hoverinfo="skip",
        name="– to float32",
        showlegend=True,
    )
    styles = [family_style(family, mode) for family in ours["family"]]
    figure.add_scatter(
        x=ours["stored_mb"],
        y=ours["accuracy"],
        mode="markers+text",
        name="trained here, bytes as stored",
        marker={"symbol": [one.symbol for one in styles], "color": [one.color for one in styles], "size": 11},
        text=_front_names(ours),
        textposition="top center",
        textfont={"color": colors.text},
        customdata=ours[["name", "float32_mb"]],
        hovertemplate="%{customdata[0]}: %{y:.2f} %, %{x:.3~f} MB as stored, %{customdata[1]:.3~f} MB float32"
        "<extra></extra>",
    )
    sized = anchors[anchors["float32_mb"].notna()]
    figure.add_scatter(
        x=sized["float32_mb"],
        y=sized["accuracy"],
        mode="markers+text",
        name="published, float32",
        marker={"symbol": "circle-open", "color": colors.accent, "size": 11, "line": {"width": 2}},
        error_y={"type": "data", "array": sized["high"] - sized["accuracy"], "thickness": 1, "width": 3},
        text=[f"{name}, {size} px" for name, size in zip(sized["name"], sized["image_size"], strict=True)],
        textposition=_label_places(sized),
        textfont={"color": colors.muted, "size": 11},
        customdata=sized[["name", "source", "weights_from"]],
        hovertemplate="%{customdata[0]} (published): %{y:.2f} %, %{x:.3~f} MB float32, weights from %{customdata[2]}"
        "<br>%{customdata[1]}<extra></extra>",
    )
    sizes = shown[["stored_mb", "float32_mb"]].to_numpy(dtype=float)
    ends = [math.log10(float(np.nanmin(sizes)) / 2), math.log10(float(np.nanmax(sizes)) * 2)]
    figure.update_xaxes(type="log", title="bytes of the weights, MB", dtick="D2", tickformat="~g", range=ends)
    figure.update_yaxes(title="accuracy on test, %")
    figure.update_layout(legend={"orientation": "h", "y": -0.18})
    return style_figure(figure, mode, height=420)


def _front_names(ours: pd.DataFrame) -> list[str]:
    """Return the names of the models that no lighter one equals, and nothing for the others."""
    from bloodcell.evaluation.comparison import pareto_front

    front = pareto_front(ours["stored_mb"].to_numpy(), ours["accuracy"].to_numpy())
    return [name if on else "" for name, on in zip(ours["name"], front, strict=True)]


def _label_places(anchors: pd.DataFrame) -> list[str]:
    """Return where the name of each anchor stands, so that close ones do not cover each other."""
    order = anchors.sort_values(["accuracy", "float32_mb"], ascending=[False, True])
    sides = ("top center", "middle right", "bottom center", "middle left")
    placed: list[tuple[float, float]] = []
    places = {}
    for index, size, accuracy in zip(order.index, order["float32_mb"], order["accuracy"], strict=True):
        near = sum(abs(math.log10(size) - x) < 0.45 and abs(accuracy - y) < 0.3 for x, y in placed)
        places[index] = sides[near % len(sides)]
        placed.append((math.log10(size), accuracy))
    return [places[index] for index in anchors.index]


def _hover(one: Evidence) -> str:
    low, high = (signed(end, 2) for end in one.interval)
    spread = "" if math.isnan(one.spread_a) else f" ± {100 * one.spread_a:.2f} over {len(one.seeds_a)} seeds"
    return (
        f"<b>{one.a}</b> {100 * one.accuracy_a:.2f} %{spread} against {one.b} {100 * one.accuracy_b:.2f} %"
        f"<br>{signed(one.difference, 2)} points, 95 % {low} to {high}, p {describe_p(one.p_corrected)}: "
        f"{_WORDS[one.verdict]}"
    )

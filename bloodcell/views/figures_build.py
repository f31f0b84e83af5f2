"""What one switch did, drawn: the accuracies of the neighbours seed by seed, and the change class by class."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bloodcell.evaluation.repeated import Repeated
from bloodcell.views.theme import CLASS_GLYPHS, Mode, palette, style_figure


def seeds_figure(results: Mapping[str, Repeated], mode: Mode) -> go.Figure:
    """Return one line per network: a mark for each seed, and a tick at their mean.

    Args:
        results: Label -> trainings, top first; the first is the network on the page, drawn in the primary colour.
        mode: The ground it will stand on.
    """
    colors = palette(mode)
    labels = list(results)
    figure = go.Figure()
    for index, (label, result) in enumerate(results.items()):
        color = colors.primary if index == 0 else colors.accent
        seeds = [f"seed {seed}" for seed in result.seeds]
        figure.add_scatter(
            x=100 * result.accuracies,
            y=[label] * result.num_trainings,
            mode="markers",
            marker={"color": color, "size": 9, "symbol": "circle" if index == 0 else "circle-open", "line_width": 2},
            customdata=seeds,
            hovertemplate="%{y}, %{customdata}: %{x:.2f} %<extra></extra>",
        )
        figure.add_scatter(
            x=[100 * result.accuracy],
            y=[label],
            mode="markers",
            marker={"symbol": "line-ns-open", "size": 20, "color": color, "line_width": 2},
            hovertemplate="%{y}, mean: %{x:.2f} %<extra></extra>",
        )
    figure.add_vline(x=100 * results[labels[0]].accuracy, line={"color": colors.muted, "width": 1, "dash": "dot"})
    figure.update_layout(showlegend=False)
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=labels)
    figure.update_xaxes(title_text="Accuracy on test, %")
    return style_figure(figure, mode, height=70 + 30 * len(labels))


def class_changes_figure(table: pd.DataFrame, class_names: Sequence[str], mode: Mode) -> go.Figure:
    """Return one bar per class: its recall in the first network minus that in the second, percentage points.

    Args:
        table: What `tables_build.class_changes_table` returns.
        class_names: All classes in their order, for the marks.
        mode: The ground it will stand on.
    """
    colors = palette(mode)
    difference = 100 * table["difference"].to_numpy()
    better = difference >= 0
    labels = [f"{CLASS_GLYPHS[list(class_names).index(name)]} {name}" for name in table["class"]]
    figure = go.Figure(
        go.Bar(
            x=difference,
            y=labels,
            orientation="h",
            marker={
                "color": np.where(better, colors.primary, colors.accent).tolist(),
                "pattern": {
                    "shape": np.where(better, "", "/").tolist(),
                    "fillmode": "overlay",
                    "fgcolor": colors.ground,
                    "size": 6,
                },
            },
            text=[f"{value:+.1f}".replace("-", "−") for value in difference],
            textposition="outside",
            cliponaxis=False,
            customdata=np.stack([100 * table["first"], 100 * table["second"], table["images"]], axis=-1),
            hovertemplate="%{y}: %{customdata[0]:.1f} % against %{customdata[1]:.1f} % "
            "of %{customdata[2]:,} images<extra></extra>",
        )
    )
    reach = max(1.0, float(np.abs(difference).max(initial=0)) * 1.25)
    figure.update_xaxes(title_text="Change of recall, points", range=[-reach, reach], zeroline=True)
    figure.update_yaxes(autorange="reversed")
    return style_figure(figure, mode, height=300)

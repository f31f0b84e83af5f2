"""F1 of models by class, as a heat map."""

import pandas as pd
import plotly.graph_objects as go

from bloodcell.views.theme import SEQUENTIAL_SCALE, Mode, style_figure


def f1_heat_map(f1_scores: pd.DataFrame, mode: Mode) -> go.Figure:
    """Return models × classes F1 as a heat map.

    Args:
        f1_scores: One row per model (index), one column per class; fractions.
        mode: The ground it will stand on.
    """
    figure = go.Figure(
        go.Heatmap(
            z=100 * f1_scores.to_numpy(),
            x=list(f1_scores.columns),
            y=list(f1_scores.index),
            colorscale=SEQUENTIAL_SCALE,
            texttemplate="%{z:.1f}",
            hovertemplate="%{y}: F1 of %{x} is %{z:.1f} %<extra></extra>",
            showscale=False,
            xgap=2,
            ygap=2,
        )
    )
    figure.update_xaxes(side="top", showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return style_figure(figure, mode, height=110 + 30 * len(f1_scores))

"""Figures are made once for equal arguments, however these came about."""

import dataclasses

import pandas as pd
import plotly.graph_objects as go
import pytest
import streamlit as st

from bloodcell.views.cache_figures import draw_plotly

CALLS = []


@dataclasses.dataclass(frozen=True)
class Finding:
    name: str
    numbers: tuple[float, ...]


def draw_bars(table: pd.DataFrame, finding: Finding, mode: str, height: int = 100) -> go.Figure:
    CALLS.append(mode)
    return go.Figure(go.Bar(x=table["x"], y=table["y"]), {"height": height, "title": {"text": finding.name}})


def draw_other(table: pd.DataFrame, finding: Finding, mode: str, height: int = 100) -> go.Figure:
    CALLS.append("other")
    return go.Figure()


def arguments(last: float = 2.0, name: str = "found"):
    return pd.DataFrame({"x": ["a", "b"], "y": [1.0, last]}), Finding(name, (1.0, last)), "light"


@pytest.fixture(autouse=True)
def forget():
    st.cache_resource.clear()
    CALLS.clear()


def test_equal_arguments_made_anew_give_the_same_figure():
    first = draw_plotly(draw_bars, *arguments(), height=120)
    assert draw_plotly(draw_bars, *arguments(), height=120) is first
    assert CALLS == ["light"] and first.layout.height == 120


@pytest.mark.parametrize(
    ("function", "given", "options"),
    [
        (draw_bars, arguments(last=3.0), {}),
        (draw_bars, arguments(name="other"), {}),
        (draw_bars, (*arguments()[:2], "dark"), {}),
        (draw_bars, arguments(), {"height": 90}),
        (draw_other, arguments(), {}),
    ],
)
def test_anything_else_gives_another(function, given, options):
    first = draw_plotly(draw_bars, *arguments())
    assert draw_plotly(function, *given, **options) is not first
    assert len(CALLS) == 2

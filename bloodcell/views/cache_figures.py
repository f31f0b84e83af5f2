"""Figures that are slow to make, kept between reruns: both chart libraries check every part against a long schema."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

if TYPE_CHECKING:
    import altair as alt
    import plotly.graph_objects as go


def draw_altair(
    function: "Callable[..., alt.TopLevelMixin]",
    *arguments: Any,
    data: Mapping[str, pd.DataFrame] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Return what a figure function draws as a Vega-Lite figure, made once for equal arguments; never alter it.

    Args:
        function: A figure function: equal arguments give an equal figure.
        arguments, options: What it is called with; Streamlit must be able to hash them.
        data: Tables by the names that the figure gives its data, if it does; they may change from call to call.
    """
    figure = _draw_altair(_name(function), arguments, options, function)
    return figure if data is None else figure | {"datasets": dict(data)}


def draw_plotly(function: "Callable[..., go.Figure]", *arguments: Any, **options: Any) -> "go.Figure":
    """Return what a figure function draws with Plotly, made once for equal arguments; never alter it.

    Args:
        function: A figure function: equal arguments give an equal figure.
        arguments, options: What it is called with; Streamlit must be able to hash them.
    """
    return _draw_plotly(_name(function), arguments, options, function)


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


@st.cache_resource(max_entries=64, show_spinner=False)
def _draw_altair(
    name: str, arguments: tuple[Any, ...], options: dict[str, Any], _function: "Callable[..., alt.TopLevelMixin]"
) -> dict[str, Any]:
    from altair.utils.schemapi import disable_debug_mode

    disable_debug_mode()  # the schema's opinion of our figures is asked in the tests
    return _function(*arguments, **options).to_dict(validate=False)


@st.cache_resource(max_entries=128, show_spinner=False)
def _draw_plotly(
    name: str, arguments: tuple[Any, ...], options: dict[str, Any], _function: "Callable[..., go.Figure]"
) -> "go.Figure":
    return _function(*arguments, **options)

"""Figures that are slow to make, kept between reruns: Altair checks every part of a chart against a long schema."""

from collections.abc import Callable
from typing import Any

import altair as alt
import streamlit as st


def draw_altair(function: Callable[..., alt.TopLevelMixin], *arguments: Any, **options: Any) -> dict[str, Any]:
    """Return what a figure function draws as a Vega-Lite figure, made once for equal arguments; never alter it.

    Args:
        function: A figure function: equal arguments give an equal figure.
        arguments, options: What it is called with; Streamlit must be able to hash them.
    """
    return _draw_altair(f"{function.__module__}.{function.__qualname__}", arguments, options, function)


@st.cache_resource(max_entries=64, show_spinner=False)
def _draw_altair(
    name: str, arguments: tuple[Any, ...], options: dict[str, Any], _function: Callable[..., alt.TopLevelMixin]
) -> dict[str, Any]:
    return _function(*arguments, **options).to_dict()

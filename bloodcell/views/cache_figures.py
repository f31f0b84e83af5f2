"""Figures that are slow to make, kept between reruns: both chart libraries check every part against a long schema.

What a figure is made of is told apart by its pickled bytes, which takes a small part of the time that Streamlit's own
hashing of tables and records takes; where equal arguments pickle unequally, a figure is made once more, no worse.
"""

import hashlib
import pickle
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
        arguments, options: What it is called with; it must be possible to pickle them.
        data: Tables by the names that the figure gives its data, if it does; they may change from call to call.
    """
    key = _key(function, arguments, options)
    figure = _draw_altair(key=key, _function=function, _arguments=arguments, _options=options)
    return figure if data is None else figure | {"datasets": dict(data)}


def draw_plotly(function: "Callable[..., go.Figure]", *arguments: Any, **options: Any) -> "go.Figure":
    """Return what a figure function draws with Plotly, made once for equal arguments; never alter it.

    Args:
        function: A figure function: equal arguments give an equal figure.
        arguments, options: What it is called with; it must be possible to pickle them.
    """
    key = _key(function, arguments, options)
    return _draw_plotly(key=key, _function=function, _arguments=arguments, _options=options)


def _key(function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> str:
    content = pickle.dumps((function.__module__, function.__qualname__, arguments, options), protocol=5)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@st.cache_resource(max_entries=64, show_spinner=False)
def _draw_altair(
    key: str, _function: "Callable[..., alt.TopLevelMixin]", _arguments: tuple[Any, ...], _options: dict[str, Any]
) -> dict[str, Any]:
    from altair.utils.schemapi import disable_debug_mode

    disable_debug_mode()  # the schema's opinion of our figures is asked in the tests
    return _function(*_arguments, **_options).to_dict(validate=False)


@st.cache_resource(max_entries=128, show_spinner=False)
def _draw_plotly(
    key: str, _function: "Callable[..., go.Figure]", _arguments: tuple[Any, ...], _options: dict[str, Any]
) -> "go.Figure":
    return _function(*_arguments, **_options)

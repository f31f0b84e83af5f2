"""The projector mode: one switch in the sidebar, kept in the URL, that makes words larger on every page."""

from typing import Any

import streamlit as st

from bloodcell.views.components_selection import choose, keep_choice, restore_choice
from bloodcell.views.figures_projector import enlarge_words

PROJECTOR_KEY = "projector"
ON, OFF = "on", "off"
_TOGGLE_KEY = "projector_toggle"
# Streamlit measures in rem, so the size at the root moves everything; it grows with the width of the projector.
_LARGE = """<style>
html {font-size: clamp(18px, 1.5vw, 30px) !important}
</style>"""


def projector_is_on() -> bool:
    """Return whether this reader shows the page to a room."""
    return st.session_state.get(PROJECTOR_KEY) == ON


def projector_switch() -> None:
    """Draw the switch, and enlarge the page where it is on."""
    restore_choice(PROJECTOR_KEY, (ON, OFF), OFF)
    st.session_state[_TOGGLE_KEY] = projector_is_on()
    st.toggle(
        "Projector: large text",
        key=_TOGGLE_KEY,
        on_change=_take_toggle,
        help="For a room that reads along. The address of the page keeps it.",
    )
    keep_choice(PROJECTOR_KEY, OFF)
    if projector_is_on():
        st.html(_LARGE)


def for_projector(figure: Any) -> Any:
    """Return the figure as this reader needs it: with larger words where the projector is on."""
    return enlarge_words(figure) if projector_is_on() else figure


def _take_toggle() -> None:
    choose(PROJECTOR_KEY, ON if st.session_state[_TOGGLE_KEY] else OFF)

"""The model selection and other choices that the URL keeps.

The model selection is one list of names under `SELECTION_KEY`, held by one widget; the check boxes by family and the
quick buttons only change that list. It is written into the URL by hand: a widget bound with `bind="query-params"` keeps
its first value out of the URL, and going back past a page switch, whose entry has no parameters, would empty it
(Streamlit 1.67, seen in Chromium).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pandas as pd
import streamlit as st

from bloodcell.views import cache
from bloodcell.views.quantities import megabytes, percent
from bloodcell.views.selection import (
    OWN,
    Address,
    brings_news,
    default_selection,
    family_order,
    known_names,
)
from bloodcell.views.tables import family_name
from bloodcell.views.theme import Mode, family_style

SELECTION_KEY = "models"
QUICK_KEY = "selection_quick"
PAGE_KEY = "page"
SWITCH = ("off", "on")
"""What the URL says of a switch."""


def theme_mode() -> Mode:
    """Return the ground that the reader sees, for figures that need to know it."""
    return "dark" if st.context.theme.type == "dark" else "light"


def selected_models() -> list[str]:
    """Return the names that are on, in the order of the catalog's families; empty if the reader switched all off."""
    chosen = set(st.session_state.get(SELECTION_KEY, []))
    return [name for name in family_order(cache.leaderboard()) if name in chosen]


def model_picker(key: str, label: str = "Model") -> str | None:
    """Let the reader choose one trained model, with previous and next; the choice stays in the URL under `key`.

    Returns:
        The name, or None where nothing is trained.
    """
    table = cache.leaderboard()
    names = family_order(table)
    if not names:
        return None
    described = {name: f"{name} · {numbers}" for name, numbers in _numbers(table).items()}
    from_url = known_names(_read_address(key) or (), names)
    if from_url:
        st.session_state[key] = from_url[0]
    elif st.session_state.get(key) not in names:
        st.session_state[key] = next(iter(selected_models()), cache.default_model() or names[0])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", wrap=False):
        st.button(
            "Previous model",
            icon=":material/chevron_left:",
            key=f"{key}_previous",
            on_click=_step_model,
            args=(key, names, -1),
            width="content",
            help="Previous model",
        )
        st.selectbox(
            label,
            names,
            key=key,
            format_func=described.__getitem__,
            persist_state="session",
            on_change=_touch,
            args=(key,),
        )
        st.button(
            "Next model",
            icon=":material/chevron_right:",
            key=f"{key}_next",
            on_click=_step_model,
            args=(key, names, 1),
            width="content",
            help="Next model",
        )
    name = cast(str, st.session_state[key])
    _write_address(key, [name])
    return name


def restore_choice(key: str, options: Sequence[str], default: str) -> None:
    """Before a widget is drawn under `key`: take its value from the URL if that brings one, else the session's.

    Args:
        key: Key of the widget and name of the parameter.
        options: What may be chosen, as it stands in the URL.
        default: The value of a reader who has chosen nothing.
    """
    from_url = known_names(_read_address(key) or (), options)
    if from_url:
        st.session_state[key] = from_url[0]
    elif st.session_state.get(key) not in options:
        st.session_state[key] = default


def keep_choice(key: str, default: str) -> None:
    """After a widget is drawn under `key`: write its value into the URL.

    A default that the URL does not contradict is left out: each write is one more step for the browser's "back".
    """
    value = st.session_state[key]
    if value != default or key in st.query_params:
        _write_address(key, [value])


def remembered_segments(
    label: str, options: Mapping[str, str], key: str, help: str | None = None, default: str | None = None
) -> str:
    """Let the reader choose one of a few options, all visible; the choice stays in the session and in the URL.

    Args:
        label: Name of the control.
        options: Value, as it stands in the URL -> what the reader sees.
        key: Key of the widget and name of the parameter, beginning with the page's name.
        help: What a pointer on the question mark reads.
        default: The value of a reader who has chosen nothing; the first where None.
    """
    default = default or next(iter(options))
    restore_choice(key, list(options), default)
    chosen = st.segmented_control(
        label,
        list(options),
        format_func=lambda value: options[value],
        key=key,
        required=True,
        persist_state="session",
        on_change=_touch,
        args=(key,),
        help=help,
    )
    keep_choice(key, default)
    return cast(str, chosen)


def read_choices(key: str) -> tuple[str, ...] | None:
    """Before anything is drawn for `key`: return what the URL newly brings, as written by whomever; None for no news.

    For choices without a list of options; `restore_choice` checks against one.
    """
    return _read_address(key)


def write_choices(key: str, values: Sequence[str]) -> None:
    """After a choice without a list of options: write it into the URL; an empty one only where the URL has another."""
    if list(values) or key in st.query_params:
        _write_address(key, values)


def remembered_select(label: str, options: Mapping[str, str], key: str, default: str, help: str | None = None) -> str:
    """Let the reader choose one of many options from a list that opens; the choice stays in the session and the URL.

    Args:
        label: Name of the control.
        options: Value, as it stands in the URL -> what the reader sees.
        key: Key of the widget and name of the parameter, beginning with the page's name.
        default: The value of a reader who has chosen nothing.
        help: What a pointer on the question mark reads.
    """
    return _remember_one(st.selectbox, label, options, key, default, help=help)


def remembered_steps(label: str, steps: Mapping[str, str], key: str, default: str) -> str:
    """Let the reader choose one of several ordered steps by a slider; the choice stays in the session and in the URL.

    Args:
        label: Name of the slider.
        steps: Value, as it stands in the URL -> what the reader sees, in order.
        key: Key of the widget and name of the parameter, beginning with the page's name.
        default: The value of a reader who has chosen nothing.
    """
    return _remember_one(st.select_slider, label, steps, key, default)


def _remember_one(
    widget: Callable[..., Any], label: str, options: Mapping[str, str], key: str, default: str, **settings: Any
) -> str:
    """Show a widget that holds one of several values, and keep its value in the session and in the URL."""
    restore_choice(key, list(options), default)
    widget(
        label,
        list(options),
        format_func=options.__getitem__,
        key=key,
        persist_state="session",
        on_change=_touch,
        args=(key,),
        **settings,
    )
    keep_choice(key, default)
    return cast(str, st.session_state[key])


def remembered_list(
    label: str, options: Mapping[str, str], key: str, *, most: int, placeholder: str, help: str | None = None
) -> list[str]:
    """Let the reader choose some of many options; the choice stays in the session and in the URL.

    Args:
        label: Name of the control.
        options: Value, as it stands in the URL -> what the reader sees.
        key: Key of the widget and name of the parameter, beginning with the page's name.
        most: Most values at once.
        placeholder: What stands there while none is chosen.
        help: What a pointer on the question mark reads.
    """
    brought = _read_address(key)
    from_url = None if brought is None else known_names(brought, list(options))
    chosen = st.session_state.get(key, []) if from_url is None else from_url
    st.session_state[key] = [value for value in chosen if value in options][:most]
    st.multiselect(
        label,
        list(options),
        format_func=options.__getitem__,
        key=key,
        persist_state="session",
        on_change=_touch,
        args=(key,),
        max_selections=most,
        placeholder=placeholder,
        select_all=False,
        help=help,
    )
    if st.session_state[key] or key in st.query_params:
        _write_address(key, st.session_state[key])
    return list(st.session_state[key])


def remembered_toggle(label: str, key: str, help: str | None = None) -> bool:
    """Let the reader switch something on or off; the choice stays in the session and in the URL, as `key=on`.

    Args:
        label: Name of the switch.
        key: Name of the parameter, beginning with the page's name; the switch itself lies under `key` with `_switch`.
        help: What a pointer on the question mark reads.
    """
    restore_choice(key, SWITCH, SWITCH[0])
    switch = f"{key}_switch"
    st.session_state[switch] = st.session_state[key] == SWITCH[1]
    st.toggle(label, key=switch, on_change=_switch, args=(key,), help=help)
    keep_choice(key, SWITCH[0])
    return st.session_state[key] == SWITCH[1]


def choose(key: str, value: str | None = None) -> None:
    """In a callback: note that the reader chose under `key`, and what, if it is not the widget itself that holds it."""
    if value is not None:
        st.session_state[key] = value
    _touch(key)


def _switch(key: str) -> None:
    choose(key, SWITCH[int(st.session_state[f"{key}_switch"])])


def _numbers(table: pd.DataFrame) -> dict[str, str]:
    """Return name -> accuracy and size in words; a model of the user's own is called so."""
    columns = (table[column].tolist() for column in ("name", "origin", "test_accuracy", "weights_mb"))
    return {
        name: f"{'your own · ' if origin == OWN else ''}{percent(accuracy)} · {megabytes(weights_mb)}"
        for name, origin, accuracy, weights_mb in zip(*columns, strict=True)
    }


def _step_model(key: str, names: Sequence[str], step: int) -> None:
    current = st.session_state.get(key)
    index = names.index(current) if current in names else 0
    st.session_state[key] = names[(index + step) % len(names)]
    _touch(key)


def note_visit(title: str) -> None:
    """Note which page is open and the number of this visit: each visit writes its choices into the URL anew."""
    visit: tuple[str, int] = st.session_state.get(PAGE_KEY, ("", 0))
    if visit[0] != title:
        st.session_state[PAGE_KEY] = (title, visit[1] + 1)


def _touch(key: str) -> None:
    """Note that the reader changed a choice in this run: it wins over what the browser sent as its address."""
    st.session_state[f"{key}_touched"] = True


def was_chosen(key: str) -> bool:
    """Return whether this run began with the reader's own choice under `key`; ask before its widget is drawn."""
    return bool(st.session_state.get(f"{key}_touched", False))


def forget_address(key: str) -> None:
    """Let what the URL holds under `key` count again, whoever wrote it."""
    st.session_state.pop(f"{key}_address", None)


def _read_address(key: str) -> tuple[str, ...] | None:
    """Return what the URL newly brings under `key`, or None where it has nothing that this session did not write."""
    touched = st.session_state.pop(f"{key}_touched", False)
    in_url = tuple(st.query_params.get_all(key)) if key in st.query_params else None
    last = st.session_state.get(f"{key}_address")
    return in_url if not touched and brings_news(in_url, last, time.monotonic()) else None


def _write_address(key: str, values: Sequence[str]) -> None:
    """Keep a choice in the URL. A history entry that lacks it is left as it is: writing there would trap "back"."""
    written = tuple(values) or ("",)
    page = "{} {}".format(*st.session_state.get(PAGE_KEY, ("", 0)))
    last: Address | None = st.session_state.get(f"{key}_address")
    in_url = tuple(st.query_params.get_all(key)) if key in st.query_params else None
    if last is not None and last.written == written and last.page == page:
        return
    if in_url != written:
        st.query_params[key] = list(written)
    replaced = in_url if last is None else last.written
    st.session_state[f"{key}_address"] = Address(written, replaced, time.monotonic(), page)


def model_selection() -> None:
    """Draw the one selection of models, in the sidebar: chips, quick choices, and every model by family."""
    table = cache.leaderboard()
    names = family_order(table)
    if not names:
        st.caption("No trained models yet: the model selection appears here with the first.")
        return
    brought = _read_address(SELECTION_KEY)
    from_url = None if brought is None else known_names(brought, names)
    if from_url is not None:
        st.session_state[SELECTION_KEY] = from_url
    elif SELECTION_KEY not in st.session_state:
        st.session_state[SELECTION_KEY] = default_selection(table, cache.default_model())
    st.session_state[SELECTION_KEY] = [name for name in names if name in st.session_state[SELECTION_KEY]]
    st.multiselect(
        f"Models · {len(st.session_state[SELECTION_KEY])} of {len(names)} on",
        names,
        key=SELECTION_KEY,
        persist_state="session",
        on_change=_touch,
        args=(SELECTION_KEY,),
        placeholder="None is on",
        select_all=False,
        help="The same models are on for every page, and the address of the page keeps them.",
    )
    _write_address(SELECTION_KEY, st.session_state[SELECTION_KEY])
    chosen = st.session_state[SELECTION_KEY]
    _quick_pills(cache.quick_choices(), chosen)
    families = st.popover(
        "By family, with accuracy and size", key="selection_families", width="stretch", on_change="rerun"
    )
    if families.open:  # a check box for every model is much to send with each rerun of each page
        with families, st.container(gap="xsmall"):
            _family_boxes(table, names, chosen)


def _quick_pills(quick: Mapping[str, tuple[Sequence[str], str]], chosen: Sequence[str]) -> None:
    st.session_state[QUICK_KEY] = next((label for label, (of, _) in quick.items() if set(of) == set(chosen)), None)
    st.pills(
        "Quick choice",
        list(quick),
        key=QUICK_KEY,
        on_change=_select_quick,
        args=({label: list(of) for label, (of, _) in quick.items()},),
        help="\n".join(f"- **{label}**: {meaning}" for label, (_, meaning) in quick.items()),
    )


def _family_boxes(table: pd.DataFrame, names: Sequence[str], chosen: Sequence[str]) -> None:
    origins = dict(zip(table["name"], table["origin"], strict=True))
    families = dict(zip(table["name"], table["family"], strict=True))
    numbers = _numbers(table)
    groups = {name: OWN if origins[name] == OWN else families[name] for name in names}
    for group in dict.fromkeys(groups.values()):
        glyph = ":material/person:" if group == OWN else family_style(group, theme_mode()).glyph
        st.caption(f"{glyph} {'Your own' if group == OWN else family_name(group)}")
        for name in [name for name in names if groups[name] == group]:
            st.session_state[f"selection_on_{name}"] = name in chosen
            st.checkbox(
                f"{name} :gray[{numbers[name]}]",
                key=f"selection_on_{name}",
                on_change=_select_checked,
                args=(list(names),),
            )


def _select(names: Sequence[str]) -> None:
    st.session_state[SELECTION_KEY] = list(names)
    _touch(SELECTION_KEY)


def _select_quick(quick: Mapping[str, Sequence[str]]) -> None:
    label = st.session_state[QUICK_KEY]
    if label is not None:  # None: the reader clicked the pill that already described the selection
        _select(quick[label])


def _select_checked(names: Sequence[str]) -> None:
    _select([name for name in names if st.session_state.get(f"selection_on_{name}")])

"""The picture of an image on Classify: its frame, to be moved and resized, or its cells as numbered boxes."""

from collections.abc import Callable, Mapping
from functools import cache as keep
from pathlib import Path
from typing import Any

import streamlit as st

from bloodcell.dataset import CLASS_NAMES, Box
from bloodcell.inference.classifier import Answer
from bloodcell.views.components_selection import theme_mode
from bloodcell.views.quantities import probability_text
from bloodcell.views.tables_classify import say_answer
from bloodcell.views.theme import class_color, palette
from bloodcell.views.uploads import Photo

HINT = (
    "Drag the frame or a corner of it. With the keyboard: arrows move it, + and − resize it, Shift makes larger steps."
)
TALLEST = 360
"""Height of a picture on the page, pixels."""
_HERE = Path(__file__).parent


def frame_picture(photo: Photo, key: str, on_moved: Callable[[str, Box], None]) -> None:
    """Show a crop with its frame, which the reader may move and resize.

    Args:
        photo: A crop with its one cell.
        key: Unique, beginning with the page's name.
        on_moved: Called with the photo's key and the new frame before the page is drawn again.
    """
    (cell,) = photo.cells
    box = cell.frame.box
    _picture()(
        key=key,
        data={
            **_describe(photo, f"{photo.name} with the frame that is kept; the rest is dimmed"),
            "frame": list(box),
            "frame_label": f"The frame, {box.width} × {box.height} pixels. {HINT}",
            "colour": palette(theme_mode()).accent,
            "hint": HINT,
        },
        on_moved_change=lambda: _receive(key, "moved", lambda value: on_moved(photo.key, Box(*map(int, value)))),
        on_opened_change=lambda: None,
    )


def boxes_picture(
    photo: Photo, answers: Mapping[str, Answer], key: str, on_opened: Callable[[str], None], opened: str | None = None
) -> None:
    """Show a field with its cells as numbered boxes; a click or Enter on one opens it.

    Args:
        photo: A field.
        answers: By the key of a cell.
        key: Unique, beginning with the page's name.
        on_opened: Called with the key of the cell before the page is drawn again.
        opened: Key of the cell that is open.
    """
    boxes = []
    for cell in photo.cells:
        answer = answers.get(cell.key)
        said = say_answer(answer)
        if answer is not None and answer.probability is not None:
            said += f", {probability_text(answer.probability)}"
        label = answer.label if answer is not None else None
        colour = palette(theme_mode()).muted if label is None else class_color(CLASS_NAMES.index(label))
        boxes.append(
            {
                "key": cell.key,
                "number": str(cell.number),
                "box": list(cell.outline),
                "label": f"Cell {cell.number}: {said}",
                "colour": colour,
                "refused": label is None,
                "open": cell.key == opened,
            }
        )
    _picture()(
        key=key,
        data={**_describe(photo, f"{photo.name} with {len(boxes)} numbered boxes"), "boxes": boxes},
        on_moved_change=lambda: None,
        on_opened_change=lambda: _receive(key, "opened", lambda value: on_opened(str(value))),
    )


def _describe(photo: Photo, alt: str) -> dict[str, Any]:
    return {
        "address": photo.address,
        "width": photo.size[0],
        "height": photo.size[1],
        "alt": alt,
        "tallest": TALLEST,
        "hint": "",
    }


def _receive(key: str, name: str, act: Callable[[Any], None]) -> None:
    value = st.session_state.get(key, {}).get(name)
    if value is not None:
        act(value)


@keep
def _picture() -> Any:
    return st.components.v2.component(
        "bloodcell_cell_picture",
        html=(_HERE / "cell_picture.html").read_text(encoding="utf-8"),
        css=(_HERE / "cell_picture.css").read_text(encoding="utf-8"),
        js=(_HERE / "cell_picture.js").read_text(encoding="utf-8"),
    )

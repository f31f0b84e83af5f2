"""What the review gallery shows and what it sends: cells in groups, and events that become decisions.

Plain data in and out; nothing here imports Streamlit.
"""

import base64
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from PIL import Image

from bloodcell.cases import DISCARDED, LABELS, OTHER, Case, CaseStore, Cell, Choice, decode_pixels
from bloodcell.dataset import CLASS_CODES, CLASS_NAMES, INPUT_SIZE, Box
from bloodcell.errors import BloodCellError
from bloodcell.views.theme import CLASS_COLORS, CLASS_GLYPHS

Grouping = Literal["model", "decision"]
SUGGESTIONS = {
    "blast": True,
    "atypical lymphocyte": True,
    "plasma cell": True,
    "promonocyte": True,
    "hairy cell": True,
    "smudge cell": True,
    "giant platelet": False,
    "platelet clump": False,
    "artefact": False,
}
"""Offered while the reader writes what an "other or abnormal" cell is, and whether it is proposed to count as a white
cell; any words will do."""

PICTURE_SIDE = 224
"""Longest side of a gallery picture, pixels; larger frames are reduced by whole numbers, none is enlarged."""
MOST_DETAILED_CELLS = 150
"""Of a larger case only the 64 x 64 pixels are sent, so that the page stays light."""

_REFUSED = {
    "uncertain": ("Not answered: uncertain", "?"),
    "unfamiliar": ("Not answered: unfamiliar", "?"),
    "not_a_cell": ("Not answered: not a cell", "?"),
    "error": ("Not answered: error", "?"),
    None: ("No model asked", "?"),
}
_GREY = "#8C8C8C"
_CLIENT = re.compile(r"[\w-]{1,60}")


@dataclass(frozen=True)
class Group:
    """Cells that stand together.

    Attributes:
        title: What they have in common.
        glyph, color: Mark and colour of the class.
        cells: Ids, least certain first.
    """

    title: str
    glyph: str
    color: str
    cells: tuple[str, ...]


@dataclass
class Outcome:
    """What became of the events that a gallery sent.

    Attributes:
        handled: By client, the number of the last event that was handled.
        messages: Sentences about what was refused.
        focus: A cell that the reader should look at next, None to stay.
    """

    handled: dict[str, int]
    messages: list[str] = field(default_factory=list)
    focus: str | None = None


def group_cells(cells: Iterable[Cell], by: Grouping = "model", only_open: bool = False) -> tuple[Group, ...]:
    """Return the cells of a case in groups, within each the least certain first.

    Args:
        cells: Reviewed or not.
        by: "model" for the class that the model predicted, with what it refused before all others; "decision" for
            what counts now.
        only_open: Whether to leave out what is reviewed.
    """
    found: dict[tuple[int, str, str, str], list[Cell]] = {}
    for cell in cells:
        if not only_open or cell.status != "reviewed":
            found.setdefault(_group_of(cell, by), []).append(cell)
    return tuple(
        Group(title, glyph, color, tuple(cell.id for cell in sorted(members, key=_certainty)))
        for (_, title, glyph, color), members in sorted(found.items())
    )


def gallery_data(
    case: Case,
    groups: Sequence[Group],
    reviewer: str,
    outcome: Outcome,
    advance: bool,
    focus_token: int,
) -> dict[str, Any]:
    """Return all that the gallery draws but the pictures, ready for JSON.

    Args:
        groups: As `group_cells` gives them.
        reviewer: Who is deciding.
        outcome: What became of the events so far.
        advance: Whether the cursor moves on after a decision.
        focus_token: Changes when the cursor shall go to `outcome.focus`.
    """
    own_words = {
        cell.decision.text: bool(cell.decision.is_white)
        for cell in case.cells
        if cell.decision and cell.decision.label == OTHER and cell.decision.text
    }
    return {
        "classes": [
            {"name": name, "code": code, "glyph": glyph, "color": color}
            for name, code, glyph, color in zip(CLASS_NAMES, CLASS_CODES, CLASS_GLYPHS, CLASS_COLORS, strict=True)
        ],
        "other": OTHER,
        "discarded": DISCARDED,
        "cells": [_describe(cell) for cell in case.cells],
        "groups": [
            {"title": group.title, "glyph": group.glyph, "color": group.color, "cells": list(group.cells)}
            for group in groups
        ],
        "seen": case.num_records,
        "handled": dict(outcome.handled),
        "reviewer": reviewer,
        "locked": case.state == "signed",
        "advance": advance,
        "suggestions": [
            {"text": text, "is_white": is_white}
            for text, is_white in (dict(sorted(own_words.items())) | (SUGGESTIONS | own_words)).items()
        ],
        "focus": outcome.focus,
        "focus_token": focus_token,
    }


def apply_events(
    store: CaseStore,
    case_id: str,
    events: Any,
    reviewer: str,
    handled: Mapping[str, int] | None = None,
    marks: Sequence[str] = (),
) -> Outcome:
    """Turn what a gallery sent into records, each event once, in the order in which the reader acted.

    Args:
        events: As the browser sent them; what is malformed is left out.
        handled: By client, the number of the last event handled before.
        marks: Other names under which the same person decided before; what was done under them can be undone too.
    """
    outcome = Outcome(dict(handled or {}))
    for event in events if isinstance(events, list) else ():
        if not _is_sound(event) or event["sequence"] <= outcome.handled.get(event["client"], 0):
            continue
        try:
            _apply(store, case_id, event, reviewer, marks, outcome)
        except BloodCellError as error:
            outcome.messages.append(str(error))
            outcome.focus = event["cells"][0] if event["cells"] else outcome.focus
        outcome.handled[event["client"]] = event["sequence"]
    return outcome


def picture_addresses(case: Case, pictures: Mapping[str, bytes], images: Mapping[str, bytes]) -> dict[str, str]:
    """Return cell id -> `data:` address of what a person judges: the frame as the file showed it, not enlarged.

    Args:
        pictures: Cell id -> PNG of the 64 x 64 pixels.
        images: Image id -> PNG of the whole image.
    """
    detailed = len(case.cells) <= MOST_DETAILED_CELLS
    decoded: dict[str, np.ndarray] = {}
    addresses = {}
    for cell in case.cells:
        if cell.image_id in images and detailed and max(cell.box.width, cell.box.height) > INPUT_SIZE:
            if cell.image_id not in decoded:
                decoded = {cell.image_id: decode_pixels(images[cell.image_id])}  # one at a time: images may be large
            addresses[cell.id] = _webp(_cut(decoded[cell.image_id], cell.box))
        elif cell.id in pictures:
            addresses[cell.id] = _address("image/png", pictures[cell.id])
    return addresses


def _apply(
    store: CaseStore,
    case_id: str,
    event: Mapping[str, Any],
    reviewer: str,
    marks: Sequence[str],
    outcome: Outcome,
) -> None:
    batch = f"{event['client']}:{event['sequence']}"
    if event["type"] == "undo":
        undone = store.undo(case_id, reviewer, batch, marks)
        if not undone.cells:
            outcome.messages.append("There is nothing of yours left to undo in this case.")
        if undone.passed_over:
            outcome.messages.append(undone.passed_over)
        outcome.focus = undone.cells[0] if undone.cells else outcome.focus
    elif event["type"] == "comment":
        store.comment(case_id, event["cells"], event["text"], reviewer, batch)
    elif event["type"] == "confirm":
        choices = [Choice(cell, label) for cell, label in zip(event["cells"], event["labels"], strict=True)]
        store.decide(case_id, choices, reviewer, event["seen"], batch)
    else:
        choices = [Choice(cell, event["label"], event["text"], event["is_white"]) for cell in event["cells"]]
        store.decide(case_id, choices, reviewer, event["seen"], batch)


def _is_sound(event: Any) -> bool:
    """Return whether an event has the form that the gallery gives it: it comes from a browser."""
    if not isinstance(event, dict):
        return False
    cells, text = event.get("cells"), event.get("text", "")
    is_common = (
        isinstance(event.get("client"), str)
        and _CLIENT.fullmatch(event["client"]) is not None
        and _is_count(event.get("sequence"))
        and isinstance(cells, list)
        and len(set(map(str, cells))) == len(cells)
        and all(isinstance(cell, str) for cell in cells)
        and isinstance(text, str)
        and len(text) <= 300
    )
    if not is_common or not isinstance(cells, list):
        return False
    if event.get("type") == "decide":
        is_known = event.get("label") in LABELS and isinstance(event.get("is_white"), bool)
        return is_known and _is_count(event.get("seen")) and bool(cells)
    if event.get("type") == "confirm":
        labels = event.get("labels")
        if not isinstance(labels, list) or len(labels) != len(cells):
            return False
        return all(label in CLASS_NAMES for label in labels) and _is_count(event.get("seen")) and bool(cells)
    return event.get("type") == "undo" or (event.get("type") == "comment" and bool(cells) and bool(text.strip()))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _group_of(cell: Cell, by: Grouping) -> tuple[int, str, str, str]:
    """Return (place, title, glyph, color): what the model refused comes first, then the classes in their order."""
    answer = cell.answer
    label = cell.label if by == "decision" else (answer.label if answer and answer.status == "ok" else None)
    if label in CLASS_NAMES:
        index = CLASS_NAMES.index(label)
        return 10 + index, label.capitalize(), CLASS_GLYPHS[index], CLASS_COLORS[index]
    if label is not None:
        return 30 + LABELS.index(label), label.capitalize(), "?" if label == OTHER else "✕", _GREY
    status = answer.status if answer else None
    title, glyph = _REFUSED.get(status, (f"Not answered: {status}", "?"))
    return list(_REFUSED).index(status) if status in _REFUSED else len(_REFUSED), title, glyph, _GREY


def _certainty(cell: Cell) -> tuple[float, int]:
    probability = cell.answer.probability if cell.answer is not None else None
    return (-1.0 if probability is None else probability), cell.position


def _describe(cell: Cell) -> dict[str, Any]:
    answer, decision = cell.answer, cell.decision
    return {
        "id": cell.id,
        "number": cell.position,
        "file": cell.file,
        "model": answer
        and {
            "name": answer.model,
            "label": answer.label,
            "probability": answer.probability,
            "status": answer.status,
            "set": list(answer.prediction_set),
            "reasons": list(answer.reasons),
            "finer": answer.finer_label,
        },
        "decision": decision
        and {
            "label": decision.label,
            "text": decision.text,
            "is_white": decision.is_white,
            "by": decision.reviewer,
        },
        "comments": [{"by": comment.reviewer, "text": comment.text} for comment in cell.comments],
    }


def _cut(pixels: np.ndarray, box: Box) -> np.ndarray:
    # A frame may reach beyond its image; the border is drawn out there.
    rows = np.clip(np.arange(box.top, box.top + box.height), 0, pixels.shape[0] - 1)
    columns = np.clip(np.arange(box.left, box.left + box.width), 0, pixels.shape[1] - 1)
    part = pixels[np.ix_(rows, columns)]
    factor = -(-max(part.shape[:2]) // PICTURE_SIDE)
    return part if factor < 2 else np.array(Image.fromarray(np.ascontiguousarray(part)).reduce(factor))


def _webp(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "WEBP", lossless=True, method=0, quality=20)
    return _address("image/webp", buffer.getvalue())


def _address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"

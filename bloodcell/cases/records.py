"""What happened to a case, as records that are only ever added to, and what they amount to for each cell.

The state of a cell is never stored: it is the newest decision on it that was not undone.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bloodcell.dataset import CLASS_NAMES, Box

OTHER = "other or abnormal"
DISCARDED = "discarded"
LABELS: tuple[str, ...] = (*CLASS_NAMES, OTHER, DISCARDED)
"""What a person can say of a cell."""

Action = Literal[
    "created",
    "cells added",
    "answered",
    "confirmed",
    "reclassified",
    "other",
    "discarded",
    "commented",
    "undone",
    "notes changed",
    "white count set",
    "signed",
    "images dropped",
    "images returned",
    "reopened",
    "restored",
]
DECISIONS: frozenset[str] = frozenset({"confirmed", "reclassified", "other", "discarded"})
CellStatus = Literal["unreviewed", "undecided", "reviewed"]


@dataclass(frozen=True)
class ModelAnswer:
    """What a model said of a cell, as it was when the cell was reviewed.

    Attributes:
        model: Name of the model.
        fingerprint: Fingerprint of its artifact: the same name may have been trained again since.
        status: "ok", or why it did not answer: "uncertain", "unfamiliar", "not_a_cell", "error".
        label: Its most probable class, None where it named none.
        probability: Calibrated probability of that class, in [0, 1].
        prediction_set: Classes that could not be ruled out.
        details: All that the model gave, ready for JSON: probabilities, reasons, thresholds, versions, number of views,
            finer opinions.
    """

    model: str
    fingerprint: str
    status: str = "ok"
    label: str | None = None
    probability: float | None = None
    prediction_set: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_answer(
        cls,
        answer: Any,
        fingerprint: str,
        thresholds: Mapping[str, Any] | None = None,
        versions: Mapping[str, str] | None = None,
        num_views: int = 1,
    ) -> "ModelAnswer":
        """Return what the classifier answered, whole, with what it depended on.

        Args:
            answer: An answer of the classifier, or anything else whose `to_dict()` has its keys.
            fingerprint: Fingerprint of the artifact that answered.
            thresholds: By name, the limits that decided between an answer and a refusal.
            versions: By package name.
            num_views: Symmetric views of the cell over which the probabilities were averaged, 1 for none but itself.
        """
        given = answer.to_dict()
        details = {
            **given,
            "thresholds": dict(thresholds or {}),
            "versions": dict(versions or {}),
            "num_views": num_views,
        }
        return cls(
            model=given["model"],
            fingerprint=fingerprint,
            status=given["status"],
            label=given["label"],
            probability=given["probability"],
            prediction_set=tuple(given["prediction_set"]),
            details=details,
        )

    @property
    def finer_label(self) -> str | None:
        """The finer type that the model named, such as "band neutrophil", or None where it offers none."""
        return self.details.get("finer_label")

    @property
    def num_views(self) -> int:
        """Views of the cell over which the probabilities were averaged; answers from before views were kept have 1."""
        return int(self.details.get("num_views", 1))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences: why there is no answer, or what to know about this one."""
        return tuple(self.details.get("reasons", ()))


@dataclass(frozen=True)
class Record:
    """One thing that happened to a case. Records are numbered from 1 within their case and never change.

    Attributes:
        number: Its place in the case's history.
        time: UTC, ISO 8601 with microseconds.
        reviewer: Who did it, as they named themselves.
        action: What was done.
        cell_id: The cell it concerns, None for the whole case.
        image_hash: SHA-256 of the cell's 64 x 64 pixels.
        model, fingerprint, model_status, model_label, model_probability, prediction_set: What the model said of it.
        answer: All that the model gave; only where the action is "answered".
        label: What the person said: one of `LABELS`.
        is_white: Whether an "other or abnormal" cell counts as a white cell.
        text: The person's words.
        undoes: Number of the record that this one takes back.
        batch: What was done in one move shares it: a selection of many cells is undone at once.
    """

    number: int
    time: str
    reviewer: str
    action: Action
    cell_id: str | None = None
    image_hash: str | None = None
    model: str | None = None
    fingerprint: str | None = None
    model_status: str | None = None
    model_label: str | None = None
    model_probability: float | None = None
    prediction_set: tuple[str, ...] = ()
    answer: Mapping[str, Any] | None = None
    label: str | None = None
    is_white: bool | None = None
    text: str = ""
    undoes: int | None = None
    batch: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the record ready for JSON, without what it leaves open."""
        known = {name: getattr(self, name) for name in self.__dataclass_fields__}
        known["prediction_set"] = list(self.prediction_set)
        return {name: value for name, value in known.items() if value not in (None, "", [], {})}


@dataclass(frozen=True)
class Cell:
    """One cell of a case: where it is, what the model said, what the person said.

    Attributes:
        id: Names the cell in this and every other database.
        position: Its number in the case, from 1.
        image_id: The image it lies in.
        file: Name of that image's file.
        box: Its frame in the image, pixels.
        image_hash: SHA-256 of its 64 x 64 pixels.
        has_pixels: Whether its picture is still kept.
        answer: What the model said, None where none was asked.
        decision: What the person said last and did not take back, None where nothing.
        comments: Records of the words about it, oldest first.
    """

    id: str
    position: int
    image_id: str
    file: str
    box: Box
    image_hash: str
    has_pixels: bool
    answer: ModelAnswer | None = None
    decision: Record | None = None
    comments: tuple[Record, ...] = ()

    @property
    def status(self) -> CellStatus:
        """Whether a person has judged it: "undecided" is an "other or abnormal" that nobody has described."""
        if self.decision is None:
            return "unreviewed"
        is_described = self.decision.label != OTHER or bool(self.decision.text.strip())
        return "reviewed" if is_described else "undecided"

    @property
    def label(self) -> str | None:
        """The person's label, else the model's where it answered, else None."""
        if self.decision is not None:
            return self.decision.label
        return self.answer.label if self.answer is not None and self.answer.status == "ok" else None

    @property
    def is_corrected(self) -> bool:
        """Whether the person said something else than the model."""
        return self.decision is not None and self.decision.action != "confirmed"


def fold_cells(cells: Sequence[Cell], records: Iterable[Record]) -> tuple[Cell, ...]:
    """Return the cells with what the records, in their order, amount to for each."""
    in_order = list(records)
    undone = {record.undoes for record in in_order if record.undoes is not None}
    answers: dict[str, ModelAnswer] = {}
    decisions: dict[str, Record] = {}
    comments: dict[str, list[Record]] = {}
    for record in in_order:
        if record.cell_id is None or record.number in undone:
            continue
        if record.action == "answered":
            answers[record.cell_id] = answer_of(record)
        elif record.action in DECISIONS:
            decisions[record.cell_id] = record
        elif record.action == "commented":
            comments.setdefault(record.cell_id, []).append(record)
    return tuple(
        Cell(
            cell.id,
            cell.position,
            cell.image_id,
            cell.file,
            cell.box,
            cell.image_hash,
            cell.has_pixels,
            answers.get(cell.id),
            decisions.get(cell.id),
            tuple(comments.get(cell.id, ())),
        )
        for cell in cells
    )


def answer_of(record: Record) -> ModelAnswer:
    """Return what the model said, out of a record of it."""
    return ModelAnswer(
        record.model or "",
        record.fingerprint or "",
        record.model_status or "",
        record.model_label,
        record.model_probability,
        record.prediction_set,
        record.answer or {},
    )


def action_of(label: str, answer: ModelAnswer | None) -> Action:
    """Return how a person's label stands to the model's: confirmed where it is the same, reclassified where not.

    Raises:
        ValueError: The label is not one of `LABELS`.
    """
    if label == OTHER:
        return "other"
    if label == DISCARDED:
        return "discarded"
    if label not in CLASS_NAMES:
        raise ValueError(f"Expected one of {', '.join(LABELS)}. Received: {label!r}")
    return "confirmed" if answer is not None and answer.label == label else "reclassified"


def undoable_moves(records: Sequence[Record], *reviewers: str) -> list[tuple[Record, ...]]:
    """Return the records of each move that was not taken back, newest move first.

    Args:
        records: In their order.
        reviewers: Names of the person whose moves are meant: more than one where they gave theirs only later.
    """
    undone = {record.undoes for record in records if record.undoes is not None}
    moves: dict[str | int, list[Record]] = {}
    for record in records:
        is_move = record.action in DECISIONS or record.action == "commented"
        if is_move and record.reviewer in reviewers and record.number not in undone:
            moves.setdefault(record.batch or record.number, []).append(record)
    return [tuple(move) for move in reversed(moves.values())]


def to_json(value: Any) -> str:
    """Return a value as JSON text, the same for the same value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)

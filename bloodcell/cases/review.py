"""Judging the cells of a case, and signing it.

Nothing is overwritten. A decision names the newest record that its reviewer had seen; where somebody else has changed
the same cell since, it is refused with what they said, and the reviewer decides again knowing it.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bloodcell.cases import schema
from bloodcell.cases.base import Case, CaseBase, add_records, clean_text, read_case, update_row, utc_now
from bloodcell.cases.records import DECISIONS, OTHER, Cell, ModelAnswer, Record, action_of, to_json, undoable_moves
from bloodcell.errors import CaseChangedError, CaseLockedError, CaseNotFoundError, CaseUnfinishedError


@dataclass(frozen=True)
class Choice:
    """What a person says of one cell.

    Attributes:
        cell_id: The cell.
        label: One of `records.LABELS`.
        text: What an "other or abnormal" cell is; without it the cell stays undecided.
        is_white: Whether an "other or abnormal" cell counts as a white cell.
    """

    cell_id: str
    label: str
    text: str = ""
    is_white: bool = True


@dataclass(frozen=True)
class Undone:
    """What was taken back.

    Attributes:
        cells: Ids of the cells that it concerned; empty where there was nothing left to undo.
        passed_over: A sentence about a later move that was left out because somebody overruled it; empty if none.
    """

    cells: tuple[str, ...] = ()
    passed_over: str = ""


class CaseReview(CaseBase):
    """The cases of one database, to read and to judge."""

    def decide(
        self, case_id: str, choices: Sequence[Choice], reviewer: str, seen: int, batch: str | None = None
    ) -> int:
        """Record what a person says of one or several cells, all or none, on the disk when this returns.

        Args:
            choices: One per cell.
            seen: Number of the newest record that the reviewer had seen.
            batch: Names this move: "client:anything". The same one again changes nothing, so that a message may be
                sent twice, and newer records of the same client do not count as somebody else's. None for a new one.

        Returns:
            Number of the newest record now.

        Raises:
            CaseChangedError: Somebody else changed one of these cells after `seen`.
            CaseLockedError: The case is signed.
        """
        batch = batch or f"{uuid.uuid4().hex}:1"
        with self.changing(case_id) as (connection, row):
            case = read_case(connection, row)
            if any(record.batch == batch for record in case.records):
                return case.num_records
            cells = _pick_cells(case, [choice.cell_id for choice in choices])
            _refuse_unseen(case, cells, seen, batch)
            rows = [
                {
                    "reviewer": reviewer,
                    "action": action_of(choice.label, cell.answer),
                    "cell_id": cell.id,
                    "image_hash": cell.image_hash,
                    "label": choice.label,
                    "is_white": choice.is_white if choice.label == OTHER else None,
                    "text": clean_text(choice.text),
                    "batch": batch,
                }
                | said_columns(cell.answer)
                for choice, cell in zip(choices, cells, strict=True)
            ]
            return add_records(connection, case_id, case.num_records, rows)

    def comment(self, case_id: str, cell_ids: Sequence[str], text: str, reviewer: str, batch: str | None = None) -> int:
        """Record words about cells, beside whatever is decided; return the number of the newest record.

        Raises:
            CaseLockedError: The case is signed.
            ValueError: The text is empty.
        """
        if not clean_text(text):
            raise ValueError("Expected a comment in words. Received: an empty text")
        batch = batch or f"{uuid.uuid4().hex}:1"
        with self.changing(case_id) as (connection, row):
            case = read_case(connection, row)
            if any(record.batch == batch for record in case.records):
                return case.num_records
            rows = [
                {
                    "reviewer": reviewer,
                    "action": "commented",
                    "cell_id": cell.id,
                    "image_hash": cell.image_hash,
                    "text": clean_text(text),
                    "batch": batch,
                }
                for cell in _pick_cells(case, cell_ids)
            ]
            return add_records(connection, case_id, case.num_records, rows)

    def undo(self, case_id: str, reviewer: str, batch: str | None = None, marks: Iterable[str] = ()) -> Undone:
        """Take back the reviewer's last move of which anything still stands, as new records.

        Args:
            batch: As in `decide`.
            marks: Other names under which the same person decided, such as the mark of a session without a name.

        Raises:
            CaseChangedError: Somebody else has judged all the cells of all these moves since.
            CaseLockedError: The case is signed.
        """
        batch = batch or f"{uuid.uuid4().hex}:1"
        with self.changing(case_id) as (connection, row):
            case = read_case(connection, row)
            moves = undoable_moves(case.records, reviewer, *marks)
            if not moves or any(record.batch == batch for record in case.records):
                return Undone()
            by_id = {cell.id: cell for cell in case.cells}
            standing_of = [
                [r for r in move if r.action == "commented" or by_id[str(r.cell_id)].decision == r] for move in moves
            ]
            standing = next(filter(None, standing_of), None)
            overruled = ""
            if not standing_of[0]:
                later = by_id[str(moves[0][0].cell_id)].decision
                assert later is not None
                overruled = f"Your last decision no longer stands: {describe_record(case, later)}"
            if standing is None:
                raise CaseChangedError(f"{overruled} It was not undone; decide again if you disagree.")
            rows = [
                {
                    "reviewer": reviewer,
                    "action": "undone",
                    "cell_id": record.cell_id,
                    "image_hash": record.image_hash,
                    "undoes": record.number,
                    "batch": batch,
                }
                for record in standing
            ]
            add_records(connection, case_id, case.num_records, rows)
            passed_over = f"{overruled} An earlier one of yours was undone instead." if overruled else ""
            return Undone(tuple(str(record.cell_id) for record in standing), passed_over)

    def sign_off(self, case_id: str, reviewer: str, keep_images: bool, seen: int) -> None:
        """Sign a case and lock it.

        Args:
            reviewer: The name that stands under it.
            keep_images: Whether its pictures stay; hashes, frames and decisions stay in any case.
            seen: Number of the newest record that the reviewer had seen: what is signed is what was seen.

        Raises:
            CaseUnfinishedError: It has no cell, or one that is unreviewed or undecided.
            CaseChangedError: Somebody changed the case meanwhile.
            CaseLockedError: It is signed already.
            ValueError: The name is empty.
        """
        if not clean_text(reviewer):
            raise ValueError("Expected the reviewer's name. Received: an empty text")
        with self.changing(case_id) as (connection, row):
            case = read_case(connection, row)
            if case.num_records != seen:
                raise CaseChangedError(
                    "The case was not signed, because it changed meanwhile: "
                    f"{describe_record(case, case.records[-1])} Look at it again, then sign."
                )
            _refuse_unfinished(case)
            rows = [{"action": "signed", "reviewer": reviewer}]
            if not keep_images and case.has_pixels:
                rows.append({"action": "images dropped", "reviewer": reviewer})
                for table in (schema.images, schema.cells):
                    connection.execute(table.update().where(table.c.case_id == case_id).values(pixels=None))
            add_records(connection, case_id, case.num_records, rows)
            update_row(connection, case_id, state="signed", signed_by=clean_text(reviewer), signed_at=utc_now())
        self._wipe()

    def reopen(self, case_id: str, reviewer: str, reason: str) -> None:
        """Unlock a signed case; that it was reopened, by whom and why, is recorded.

        Raises:
            CaseLockedError: It is not signed.
            ValueError: Name or reason are empty.
        """
        if not clean_text(reviewer) or not clean_text(reason):
            raise ValueError("Expected a name and a reason for reopening. Received: an empty text")
        with self.changing(case_id, locked=True) as (connection, row):
            if row["state"] != "signed":
                raise CaseLockedError(f"The case {row['identifier']!r} is open already.")
            record = {"action": "reopened", "reviewer": reviewer, "text": clean_text(reason)}
            add_records(connection, case_id, row["num_records"], [record])
            update_row(connection, case_id, state="open", signed_by=None, signed_at=None)


def said_columns(answer: ModelAnswer | None, whole: bool = False) -> dict[str, Any]:
    """Return the columns of a record that hold what the model said.

    Args:
        whole: Whether to include all details, as only the record of the answer itself does.
    """
    if answer is None:
        return {}
    said = {
        "model": answer.model,
        "fingerprint": answer.fingerprint,
        "model_status": answer.status,
        "model_label": answer.label,
        "model_probability": answer.probability,
        "prediction_set": to_json(list(answer.prediction_set)),
    }
    return said | ({"answer": to_json(dict(answer.details))} if whole else {})


def _pick_cells(case: Case, cell_ids: Sequence[str]) -> list[Cell]:
    by_id = {cell.id: cell for cell in case.cells}
    if not cell_ids or any(cell_id not in by_id for cell_id in cell_ids):
        raise CaseNotFoundError(f"The case {case.identifier!r} does not hold the cells that were named. Load it again.")
    return [by_id[cell_id] for cell_id in cell_ids]


def _refuse_unseen(case: Case, cells: Sequence[Cell], seen: int, batch: str) -> None:
    """Refuse a decision on cells that somebody else changed after what the reviewer had seen."""
    client = batch.partition(":")[0]
    wanted = {cell.id for cell in cells}
    for record in reversed(case.records[seen:]):
        by_others = record.batch.partition(":")[0] != client
        if record.cell_id in wanted and by_others and record.action in {*DECISIONS, "undone", "answered"}:
            raise CaseChangedError(
                f"Not saved, because this was not on your screen yet: {describe_record(case, record)} "
                "Look again, then decide."
            )


def _refuse_unfinished(case: Case) -> None:
    if not case.cells:
        raise CaseUnfinishedError(
            f"The case {case.identifier!r} holds no cell, so there is nothing to sign. Add images."
        )
    unreviewed = [cell for cell in case.cells if cell.status == "unreviewed"]
    undecided = [cell for cell in case.cells if cell.status == "undecided"]
    if unreviewed or undecided:
        parts = []
        if unreviewed:
            parts.append(f"{_count_cells(unreviewed)} not reviewed ({_list_positions(unreviewed)})")
        if undecided:
            parts.append(f"{_count_cells(undecided)} 'other or abnormal' without a text ({_list_positions(undecided)})")
        raise CaseUnfinishedError(f"The case cannot be signed yet: {' and '.join(parts)}. Decide on each, then sign.")


def _count_cells(cells: Sequence[Cell]) -> str:
    return "1 cell is" if len(cells) == 1 else f"{len(cells)} cells are"


def _list_positions(cells: Sequence[Cell]) -> str:
    numbers = [f"no. {cell.position}" for cell in cells[:5]]
    return ", ".join(numbers) + (" and more" if len(cells) > 5 else "")


def describe_record(case: Case, record: Record) -> str:
    """Return what a reviewer did to a case or a cell as a sentence: who, what, which cell, when."""
    positions = {cell.id: cell.position for cell in case.cells}
    where = f" cell no. {positions[record.cell_id]}" if record.cell_id in positions else " the case"
    what = {
        "undone": "took back a decision on",
        "commented": "commented on",
        "answered": "had a model answer on",
    }.get(record.action, "changed")
    if record.action in DECISIONS:
        what = f"said {record.label!r} of"
    return f"{record.reviewer or 'somebody'} {what}{where} at {record.time[11:16]} UTC on {record.time[:10]}."

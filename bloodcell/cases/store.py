"""The cases of one database: made, found, filled, judged, signed, deleted."""

import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, RowMapping
from sqlalchemy.exc import IntegrityError

from bloodcell.cases import schema
from bloodcell.cases.base import (
    CaseSummary,
    State,
    add_records,
    clean_text,
    read_row,
    summary_of,
    update_row,
    utc_now,
)
from bloodcell.cases.database import database_url, is_file
from bloodcell.cases.pictures import NewCell, NewImage, encode_pixels, find_same, hash_pixels
from bloodcell.cases.records import ModelAnswer, to_json
from bloodcell.cases.review import CaseReview, said_columns
from bloodcell.dataset import Box
from bloodcell.errors import CaseChangedError, CaseExistsError

LONGEST_IDENTIFIER = 120

_stores: dict[URL, "CaseStore"] = {}
_opening = threading.Lock()


class CaseStore(CaseReview):
    """The cases of one database. Safe to use from several threads; every call is a transaction of its own."""

    def create_case(self, identifier: str, reviewer: str, notes: str = "") -> str:
        """Make an empty case and return its id.

        Raises:
            CaseExistsError: Another case has this identifier, in whatever letter case.
            ValueError: The identifier is empty or too long.
        """
        identifier = _check_identifier(identifier)
        case_id, now = uuid.uuid4().hex, utc_now()
        row = {"id": case_id, "identifier": identifier, "notes": clean_text(notes), "created": now, "changed": now}
        try:
            with self.transaction() as connection:
                existing = _find_row(connection, identifier)
                if existing is not None:
                    raise _case_exists(existing["identifier"])
                connection.execute(schema.cases.insert().values(**row))
                add_records(
                    connection, case_id, 0, [{"action": "created", "reviewer": reviewer, "text": clean_text(notes)}]
                )
        except IntegrityError as error:
            raise _case_exists(identifier) from error
        return case_id

    def list_cases(self, search: str = "", state: State | None = None) -> list[CaseSummary]:
        """Return the cases, changed last first.

        Args:
            search: Words that must all occur in identifier, notes or reviewer's name; case does not matter.
            state: "open" or "signed" only; None for both.
        """
        words = search.casefold().split()
        with self.transaction(writing=False) as connection:
            query = sa.select(schema.cases).order_by(schema.cases.c.changed.desc())
            found = [summary_of(row) for row in connection.execute(query).mappings()]
        return [
            case
            for case in found
            if (state is None or case.state == state)
            and all(w in f"{case.identifier}\n{case.notes}\n{case.signed_by or ''}".casefold() for w in words)
        ]

    def find_case(self, identifier: str) -> CaseSummary | None:
        """Return the case with this identifier, else the first made whose letter case only differs; None for none."""
        with self.transaction(writing=False) as connection:
            row = _find_row(connection, _clean_identifier(identifier))
        return None if row is None else summary_of(row)

    def add_images(
        self,
        case_id: str,
        images: Sequence[NewImage],
        answers: Sequence[Sequence[ModelAnswer | None]],
        reviewer: str,
    ) -> list[str]:
        """Add images with their cells and what a model said of each; a cell that is there already is not added again.

        A cell whose frame moved a little is the same: the frame that was there first stays; see `find_same`.

        Args:
            images: Pixels only: whatever else a file held stays behind.
            answers: For each image, one answer per cell; None where no model was asked.

        Returns:
            The ids of the cells that were added, in order.

        Raises:
            CaseLockedError: The case is signed.
            ValueError: Answers and cells do not match in number.
        """
        if [len(image.cells) for image in images] != [len(given) for given in answers]:
            raise ValueError(
                "Expected one answer (or None) per cell of each image. Received "
                f"{[len(given) for given in answers]} answers for {[len(image.cells) for image in images]} cells."
            )
        image_rows = [_image_row(case_id, image) for image in images]
        cell_rows = [[_cell_row(case_id, cell) for cell in image.cells] for image in images]
        rows: list[dict[str, Any]] = []
        with self.changing(case_id) as (connection, case):
            known = _Contents(connection, case_id)
            for image_row, group, given in zip(image_rows, cell_rows, answers, strict=True):
                are_added = known.add(image_row, group)
                for cell_row, answer, is_added in zip(group, given, are_added, strict=True):
                    if is_added:
                        rows.append(
                            {"action": "answered" if answer else "cells added"}
                            | {"cell_id": cell_row["id"], "image_hash": cell_row["image_hash"], "reviewer": reviewer}
                            | said_columns(answer, whole=True)
                        )
            if rows:
                add_records(connection, case_id, case["num_records"], rows)
        return [row["cell_id"] for row in rows]

    def refill_pictures(self, case_id: str, images: Sequence[NewImage], reviewer: str) -> int:
        """Give back pictures that were dropped at a sign-off, where the very same pixels come again.

        A cell that is framed differently now stays without: its decisions are about other pixels.

        Args:
            images: As in `add_images`.

        Returns:
            The number of cells that have their picture again.

        Raises:
            CaseLockedError: The case is signed.
        """
        given = {hash_pixels(image.pixels): image for image in images}
        kept, cells = schema.images, schema.cells
        query = sa.select(kept.c.id, kept.c.image_hash).join(cells, cells.c.image_id == kept.c.id).distinct()
        query = query.where(kept.c.case_id == case_id, kept.c.image_hash.in_(list(given)), cells.c.pixels.is_(None))
        num_back, files = 0, []
        with self.changing(case_id) as (connection, case):
            for image_id, image_hash in connection.execute(query).all():
                image = given[image_hash]
                back = {hash_pixels(cell.pixels): cell.pixels for cell in image.cells}
                is_image = (kept.c.id == image_id) & kept.c.pixels.is_(None)
                connection.execute(kept.update().where(is_image).values(pixels=encode_pixels(image.pixels)))
                for cell_hash, pixels in back.items():
                    is_cell = (cells.c.image_id == image_id) & (cells.c.image_hash == cell_hash)
                    change = cells.update().where(is_cell, cells.c.pixels.is_(None))
                    num_back += connection.execute(change.values(pixels=encode_pixels(pixels))).rowcount
                files.append(clean_text(image.file))
            if files:
                record = {"action": "images returned", "reviewer": reviewer, "text": ", ".join(files)}
                add_records(connection, case_id, case["num_records"], [record])
        return num_back

    def change_notes(self, case_id: str, notes: str, reviewer: str, before: str) -> int:
        """Replace the case's notes; return the number of the record of it.

        Args:
            before: The notes as the reviewer saw them.

        Raises:
            CaseChangedError: Somebody else changed them meanwhile.
            CaseLockedError: The case is signed.
        """
        with self.changing(case_id) as (connection, row):
            if row["notes"] != before:
                raise CaseChangedError(
                    f"Somebody else changed the notes meanwhile; they now read: {row['notes']!r}. Yours were not saved."
                )
            update_row(connection, case_id, notes=clean_text(notes))
            record = {"action": "notes changed", "reviewer": reviewer, "text": clean_text(notes)}
            return add_records(connection, case_id, row["num_records"], [record])

    def set_white_count(self, case_id: str, white_count: float | None, reviewer: str) -> int | None:
        """Set the white count that absolute numbers are computed from, 10^9 cells per litre; None for none.

        Returns:
            The number of the record of it, None where the count was the same before.

        Raises:
            CaseLockedError: The case is signed.
            ValueError: It is not a count.
        """
        if white_count is not None and not 0 < white_count < 10_000:
            raise ValueError(f"Expected a white count in 10^9 per litre, above 0. Received: {white_count}")
        with self.changing(case_id) as (connection, row):
            if row["white_count"] == white_count:
                return None
            update_row(connection, case_id, white_count=white_count)
            text = "none" if white_count is None else f"{white_count:g} x 10^9 per litre"
            record = {"action": "white count set", "reviewer": reviewer, "text": text}
            return add_records(connection, case_id, row["num_records"], [record])

    def delete_case(self, case_id: str) -> None:
        """Delete a case with all that belongs to it; in SQLite what it held is overwritten on the disk.

        Raises:
            CaseNotFoundError: It is not there.
        """
        with self.transaction() as connection:
            read_row(connection, case_id, for_update=True)
            connection.execute(schema.cases.delete().where(schema.cases.c.id == case_id))
        self._wipe()


def open_store() -> CaseStore:
    """Return the store that the environment names, the same one for every call while its database is there.

    Raises:
        CaseDatabaseError: It cannot be opened.
    """
    url = database_url()
    with _opening:
        store = _stores.get(url)
        if store is None or (is_file(url) and not Path(str(url.database)).is_file()):
            store = _stores[url] = CaseStore(url)
        return store


def _case_exists(identifier: str) -> CaseExistsError:
    return CaseExistsError(f"There is already a case {identifier!r}. Open it, or choose another identifier.")


def _find_row(connection: Connection, identifier: str) -> RowMapping | None:
    """Return the row of the case of this identifier, else of the oldest that differs in letter case only."""
    query = sa.select(schema.cases)
    exact = connection.execute(query.where(schema.cases.c.identifier == identifier)).mappings().first()
    if exact is not None:
        return exact
    rows = connection.execute(query.order_by(schema.cases.c.created)).mappings()  # databases fold ASCII letters only
    return next((row for row in rows.all() if row["identifier"].casefold() == identifier.casefold()), None)


def _clean_identifier(identifier: str) -> str:
    return " ".join(clean_text(identifier).split())


def _check_identifier(identifier: str) -> str:
    cleaned = _clean_identifier(identifier)
    if not 1 <= len(cleaned) <= LONGEST_IDENTIFIER:
        raise ValueError(f"Expected an identifier of 1 to {LONGEST_IDENTIFIER} characters. Received: {identifier!r}")
    return cleaned


def _image_row(case_id: str, image: NewImage) -> dict[str, Any]:
    height, width = image.pixels.shape[:2]
    return {
        "id": uuid.uuid4().hex,
        "case_id": case_id,
        "file": clean_text(image.file),
        "width": width,
        "height": height,
        "image_hash": hash_pixels(image.pixels),
        "notes": to_json(list(image.notes)),
        "pixels": encode_pixels(image.pixels),
    }


def _cell_row(case_id: str, cell: NewCell) -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex,
        "case_id": case_id,
        "image_hash": hash_pixels(cell.pixels),
        "pixels": encode_pixels(cell.pixels),
    } | {name: int(value) for name, value in cell.box._asdict().items()}


def _box(row: Mapping[str, Any]) -> Box:
    return Box(*(row[name] for name in Box._fields))


class _Contents:
    """The images and cells of a case while more are added: the same cell of the same image counts once."""

    def __init__(self, connection: Connection, case_id: str) -> None:
        images, cells = schema.images, schema.cells
        self.connection = connection
        query = sa.select(images.c.id, images.c.image_hash).where(images.c.case_id == case_id)
        self.images: dict[str, str] = {row.image_hash: row.id for row in connection.execute(query)}
        query = sa.select(cells.c.image_id, cells.c.left, cells.c.top, cells.c.width, cells.c.height)
        self.boxes: dict[str, list[Box]] = {image_id: [] for image_id in self.images.values()}
        for row in connection.execute(query.where(cells.c.case_id == case_id)).mappings():
            self.boxes[row["image_id"]].append(_box(dict(row)))

    def add(self, image_row: dict[str, Any], cell_rows: Sequence[dict[str, Any]]) -> list[bool]:
        """Write the cells of an image, and it with the first of them; return which were not there already."""
        image_id = self.images.get(image_row["image_hash"], image_row["id"])
        known = self.boxes.get(image_id, [])
        same = find_same([_box(row) for row in cell_rows], known)
        added = [row for place, row in enumerate(cell_rows) if place not in same]
        if added and image_id not in self.boxes:
            self.images[image_row["image_hash"]] = image_id
            self.connection.execute(schema.images.insert().values(**image_row, position=len(self.images)))
        position = sum(map(len, self.boxes.values()))
        for number, row in enumerate(added, start=position + 1):
            self.connection.execute(schema.cells.insert().values(**row, image_id=image_id, position=number))
        self.boxes[image_id] = [*known, *map(_box, added)]
        return [place not in same for place in range(len(cell_rows))]

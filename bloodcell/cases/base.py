"""Reading cases, and the two ways into their database that everything else goes through.

A change is one transaction on one case whose row is locked for it: what it checks cannot change before it writes.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, RowMapping

from bloodcell.cases import schema
from bloodcell.cases.database import connect, database_url, translate_errors
from bloodcell.cases.records import Cell, Record, fold_cells
from bloodcell.dataset import Box
from bloodcell.errors import CaseLockedError, CaseNotFoundError

State = Literal["open", "signed"]

# Control characters serve no reader, and PostgreSQL refuses the first of them.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class CaseSummary:
    """A case as a list shows it.

    Attributes:
        id: Names the case in this and every other database.
        identifier: The user's own name for it.
        notes: The user's words.
        state: "open", or "signed" and so locked.
        white_count: White cells in 10^9 per litre as the user entered them, None where not.
        created, changed: UTC, ISO 8601.
        num_records: Number of its newest record.
        num_cells, num_reviewed: Cells in all, and cells that a person has judged.
        signed_by, signed_at: Who signed it and when; None while it is open.
    """

    id: str
    identifier: str
    notes: str
    state: State
    white_count: float | None
    created: str
    changed: str
    num_records: int
    num_cells: int
    num_reviewed: int
    signed_by: str | None
    signed_at: str | None


@dataclass(frozen=True)
class Case(CaseSummary):
    """A case with its cells and its whole history.

    Attributes:
        cells: In the order of their numbers.
        records: In the order in which they were added.
    """

    cells: tuple[Cell, ...]
    records: tuple[Record, ...]

    @property
    def has_pixels(self) -> bool:
        """Whether its pictures are still kept."""
        return any(cell.has_pixels for cell in self.cells)

    @property
    def restored(self) -> Record | None:
        """The record of the last time it came out of a backup, None where it never did."""
        return next((record for record in reversed(self.records) if record.action == "restored"), None)


class CaseBase:
    """The cases of one database, to read. Safe to use from several threads."""

    def __init__(self, url: URL | None = None) -> None:
        """Open the database, and make it if it is not there yet.

        Args:
            url: Where it lies; None for `database.database_url()`.

        Raises:
            CaseDatabaseError: It cannot be opened.
        """
        self.url = url or database_url()
        self.engine: Engine = connect(self.url)

    def load_case(self, case_id: str) -> Case:
        """Return a case with its cells and records, as it is now.

        Raises:
            CaseNotFoundError: It is not there.
        """
        with self.transaction(writing=False) as connection:
            return read_case(connection, read_row(connection, case_id))

    def newest_record(self, case_id: str) -> int:
        """Return the number of the newest record: greater than the one last seen where somebody changed the case.

        Raises:
            CaseNotFoundError: It is not there.
        """
        with self.transaction(writing=False) as connection:
            return read_row(connection, case_id)["num_records"]

    def load_pictures(self, case_id: str) -> dict[str, bytes]:
        """Return cell id -> PNG of the 64 x 64 pixels that the networks saw, for the cells whose picture is kept."""
        return self._pictures(schema.cells, case_id)

    def load_images(self, case_id: str) -> dict[str, bytes]:
        """Return image id -> PNG of the whole image, for the images that are kept."""
        return self._pictures(schema.images, case_id)

    @contextmanager
    def transaction(self, writing: bool = True) -> Iterator[Connection]:
        """Give a connection whose changes are on the disk when the block ends, or not made at all if it fails."""
        with translate_errors(self.url), self.engine.execution_options(writing=writing).begin() as connection:
            yield connection

    @contextmanager
    def changing(self, case_id: str, locked: bool = False) -> Iterator[tuple[Connection, RowMapping]]:
        """Give a connection and the case's row, held so that nobody else changes the case before the block ends.

        Args:
            locked: Whether the case must be signed instead of open.

        Raises:
            CaseLockedError: The case is signed.
            CaseNotFoundError: It is not there.
        """
        with self.transaction() as connection:
            row = read_row(connection, case_id, for_update=True)
            if row["state"] == "signed" and not locked:
                raise CaseLockedError(
                    f"The case {row['identifier']!r} was signed by {row['signed_by']} on {row['signed_at'][:10]} and "
                    "is locked. Reopen it to change it; the record will say so."
                )
            yield connection, row

    def _wipe(self) -> None:
        """Bring deletions of an SQLite file from its log into the file itself, where they overwrite what was there."""
        if self.engine.dialect.name == "sqlite":
            with translate_errors(self.url), self.engine.connect() as connection:
                raw = connection.connection.driver_connection
                assert raw is not None
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def _pictures(self, table: sa.Table, case_id: str) -> dict[str, bytes]:
        query = sa.select(table.c.id, table.c.pixels).where(table.c.case_id == case_id, table.c.pixels.is_not(None))
        with self.transaction(writing=False) as connection:
            return {row.id: bytes(row.pixels) for row in connection.execute(query.order_by(table.c.position))}


def utc_now() -> str:
    """Return the time as records hold it: UTC, ISO 8601, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def clean_text(text: str) -> str:
    """Return a person's words without control characters and without blanks around them; line ends stay."""
    return _CONTROL.sub("", text.replace("\r\n", "\n")).strip()


def read_row(connection: Connection, case_id: str, for_update: bool = False) -> RowMapping:
    """Return the row of a case; held until the transaction ends where asked.

    Raises:
        CaseNotFoundError: It is not there.
    """
    query = sa.select(schema.cases).where(schema.cases.c.id == case_id)
    row = connection.execute(query.with_for_update() if for_update else query).mappings().first()
    if row is None:
        raise CaseNotFoundError(
            "This case is not there: it may have been deleted meanwhile. Look at the list of cases."
        )
    return row


def read_case(connection: Connection, row: RowMapping) -> Case:
    """Return the case of a row with its cells and records."""
    records = read_records(connection, row["id"])
    return Case(**_summary_fields(row), cells=fold_cells(_read_cells(connection, row["id"]), records), records=records)


def read_records(connection: Connection, case_id: str) -> tuple[Record, ...]:
    """Return the records of a case in their order."""
    query = sa.select(schema.records).where(schema.records.c.case_id == case_id).order_by(schema.records.c.number)
    return tuple(_record(row) for row in connection.execute(query).mappings())


def add_records(connection: Connection, case_id: str, newest: int, rows: Sequence[Mapping[str, Any]]) -> int:
    """Add records after the newest one, bring the case's own row up to date, and return the number of the last.

    Args:
        newest: Number of the newest record so far.
        rows: What each record says; number and time are given here.
    """
    now = utc_now()
    for number, row in enumerate(rows, start=newest + 1):
        values = dict(row) | {"case_id": case_id, "number": number, "time": now}
        values["reviewer"] = clean_text(values["reviewer"])
        connection.execute(schema.records.insert().values(**values))
    cells = fold_cells(_read_cells(connection, case_id), read_records(connection, case_id))
    update_row(
        connection,
        case_id,
        changed=now,
        num_records=newest + len(rows),
        num_cells=len(cells),
        num_reviewed=sum(cell.status == "reviewed" for cell in cells),
    )
    return newest + len(rows)


def update_row(connection: Connection, case_id: str, **values: Any) -> None:
    """Change the case's own row."""
    connection.execute(schema.cases.update().where(schema.cases.c.id == case_id).values(**values))


def summary_of(row: RowMapping) -> CaseSummary:
    """Return the case of a row as a list shows it."""
    return CaseSummary(**_summary_fields(row))


def _summary_fields(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in CaseSummary.__dataclass_fields__}


def _read_cells(connection: Connection, case_id: str) -> list[Cell]:
    cells, images = schema.cells, schema.images
    query = (
        sa.select(
            *(column for column in cells.c if column is not cells.c.pixels),
            cells.c.pixels.is_not(None).label("has_pixels"),
            images.c.file,
        )
        .join(images, images.c.id == cells.c.image_id)
        .where(cells.c.case_id == case_id)
        .order_by(cells.c.position)
    )
    return [
        Cell(
            row["id"],
            row["position"],
            row["image_id"],
            row["file"],
            Box(row["left"], row["top"], row["width"], row["height"]),
            row["image_hash"],
            bool(row["has_pixels"]),
        )
        for row in connection.execute(query).mappings()
    ]


def _record(row: RowMapping) -> Record:
    known = {name: row[name] for name in Record.__dataclass_fields__}
    known["prediction_set"] = tuple(json.loads(row["prediction_set"])) if row["prediction_set"] else ()
    known["answer"] = json.loads(row["answer"]) if row["answer"] else None
    return Record(**known)

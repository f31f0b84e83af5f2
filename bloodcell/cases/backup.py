"""All cases in one file, and back; it is an SQLite database with the same tables, wherever the cases came from.

Nothing in such a file proves who wrote it, so each case that comes back gets a record that says so.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, RowMapping
from sqlalchemy.exc import SQLAlchemyError

from bloodcell.cases import schema
from bloodcell.cases.base import CaseBase, add_records, clean_text, update_row
from bloodcell.cases.database import connect
from bloodcell.errors import CaseDatabaseError, StorageError

_NUM_ROWS_AT_ONCE = 50
_SQLITE_MAGIC = b"SQLite format 3\x00"


@dataclass(frozen=True)
class Restored:
    """What a restore brought back.

    Attributes:
        identifiers: Identifiers of the cases that are here now and were not before.
        present: Identifiers of the cases that were here already; they stayed as they are.
        renamed: Identifier in the backup -> identifier here, where another case had taken it.
    """

    identifiers: tuple[str, ...]
    present: tuple[str, ...]
    renamed: dict[str, str]

    def describe(self) -> str:
        """Return what happened in words."""
        num_back, num_present = len(self.identifiers), len(self.present)
        parts = ["1 case was restored." if num_back == 1 else f"{num_back} cases were restored."]
        parts += [f"{old} is now called {new}." for old, new in self.renamed.items()]
        if num_present == 1:
            parts.append("1 was here already and stayed as it is.")
        elif num_present:
            parts.append(f"{num_present} were here already and stayed as they are.")
        return " ".join(parts)


def write_backup(store: CaseBase, path: Path) -> int:
    """Write every case, with pictures and history, into one file, and return how many there are.

    An older file of that name is replaced at the end.

    Raises:
        StorageError: The disk is full or the folder cannot be written; what was there before is untouched.
        CaseDatabaseError: The cases cannot be read.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".backup-") as folder:
            copy = Path(folder) / "cases.sqlite"
            engine = connect(_file_url(copy))
            with store.transaction(writing=False) as source, engine.begin() as target:
                _hold_still(source)
                for table in schema.TABLES:
                    _copy_rows(source, target, table, sa.select(table))
                num_cases = target.execute(sa.select(sa.func.count()).select_from(schema.cases)).scalar_one()
            with sqlite3.connect(copy, isolation_level=None) as raw:  # one file, without a log beside it
                raw.execute("PRAGMA journal_mode=DELETE")
            raw.close()
            os.replace(copy, path)
            return num_cases
    except (OSError, SQLAlchemyError, sqlite3.Error) as error:
        raise StorageError(
            f"The backup {path} could not be written: {error}. What was there before has not changed; free some space "
            "or choose another folder, then try again."
        ) from error


def restore_backup(store: CaseBase, path: Path, reviewer: str, file: str | None = None) -> Restored:
    """Bring back the cases of a backup that are not here; those that are here stay as they are.

    What comes back is as the file holds it, signature included, and one record more: who restored it, when, from what.

    Args:
        path: Where the backup lies.
        reviewer: Who restores it.
        file: Name of the backup as that person knows it; None for the name at the end of the path.

    Raises:
        CaseDatabaseError: The file is no backup, is damaged, or was written by a newer version; nothing was changed.
        ValueError: The reviewer's name is empty.
    """
    if not clean_text(reviewer):
        raise ValueError("Expected the name of who restores the backup. Received: an empty text")
    identifiers, present, renamed = [], [], {}
    with _open_backup(path) as source, store.transaction() as target:
        here = {row.id for row in target.execute(sa.select(schema.cases.c.id))}
        taken = set(target.execute(sa.select(schema.cases.c.identifier)).scalars())
        for case in source.execute(sa.select(schema.cases).order_by(schema.cases.c.created)).mappings().all():
            if case["id"] in here:
                present.append(case["identifier"])
                continue
            identifier = _free_identifier(case["identifier"], taken)
            taken.add(identifier)
            identifiers.append(identifier)
            if identifier != case["identifier"]:
                renamed[case["identifier"]] = identifier
            target.execute(schema.cases.insert().values(**(dict(case) | {"identifier": identifier})))
            for table in schema.TABLES[1:]:
                _copy_rows(source, target, table, sa.select(table).where(table.c.case_id == case["id"]))
            _record_restore(target, case, reviewer, file or path.name)
    return Restored(tuple(identifiers), tuple(present), renamed)


@contextmanager
def _open_backup(path: Path) -> Iterator[Connection]:
    """Give a connection to a copy of a backup: the file came from outside and stays as it is."""
    refused = (
        f"{path.name} is not a backup of cases, or it is damaged. Nothing was restored; choose the file that "
        "'Back up all cases' wrote."
    )
    try:
        with open(path, "rb") as stream:
            if stream.read(len(_SQLITE_MAGIC)) != _SQLITE_MAGIC:
                raise CaseDatabaseError(refused)
        with tempfile.TemporaryDirectory(prefix="bloodcell-restore-") as folder:
            copy = Path(folder) / "cases.sqlite"
            shutil.copyfile(path, copy)
            engine = sa.create_engine(_file_url(copy), poolclass=sa.pool.NullPool)
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA trusted_schema=OFF")
                if connection.exec_driver_sql("PRAGMA quick_check").scalar() != "ok":
                    raise CaseDatabaseError(refused)
                version = connection.execute(sa.select(schema.facts.c.value)).scalar()
                if version is None or int(version) > schema.SCHEMA_VERSION:
                    raise CaseDatabaseError(
                        f"{path.name} was written by a newer version of this project. Nothing was restored; update "
                        "the project."
                    )
                yield connection
    except OSError as error:
        raise CaseDatabaseError(f"The backup {path} cannot be read: {error.strerror or error}.") from error
    except (SQLAlchemyError, ValueError) as error:
        raise CaseDatabaseError(refused) from error


def _record_restore(target: Connection, case: RowMapping, reviewer: str, file: str) -> None:
    """Add to a case that came back who restored it; it does not count as a change of what the case says."""
    query = sa.select(sa.func.max(schema.records.c.number)).where(schema.records.c.case_id == case["id"])
    newest = target.execute(query).scalar() or 0
    record = {"action": "restored", "reviewer": reviewer, "text": clean_text(f"from the backup {file}")}
    add_records(target, case["id"], newest, [record])
    update_row(target, case["id"], changed=case["changed"])


def _hold_still(source: Connection) -> None:
    """Read all tables as they were at one moment; an SQLite transaction does so by itself."""
    if source.dialect.name == "postgresql":
        source.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _copy_rows(source: Connection, target: Connection, table: sa.Table, query: sa.Select) -> None:
    rows = source.execute(query.execution_options(yield_per=_NUM_ROWS_AT_ONCE)).mappings()
    for chunk in rows.partitions():
        target.execute(table.insert(), [dict(row) for row in chunk])


def _free_identifier(identifier: str, taken: set[str]) -> str:
    candidate, number = identifier, 1
    while candidate in taken:
        number += 1
        candidate = f"{identifier} (restored{'' if number == 2 else f' {number}'})"
    return candidate


def _file_url(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))

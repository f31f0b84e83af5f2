"""Where the cases lie: an SQLite file in the user's data folder, or the server that `BLOODCELL_DATABASE_URL` names.

Every decision is a transaction of its own, on the disk before the call returns: SQLite writes ahead (WAL) and waits for
the disk (`synchronous=FULL`), and overwrites what is deleted (`secure_delete`).
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from bloodcell.cases.schema import SCHEMA_VERSION, facts, metadata
from bloodcell.errors import CaseDatabaseError
from bloodcell.files import data_directory

FILE_NAME = "cases.sqlite"
BUSY_TIMEOUT_S = 15
"""How long a writer waits for another one before it gives up, seconds."""

_INSTALL_PSYCOPG = ".tools/uv/bin/uv pip install --python .venv/bin/python 'psycopg[binary]>=3.2'"
_SETUP_LOCK = 7_238_114  # any number that no other program locks on a shared server


def database_url() -> URL:
    """Return where the cases lie: `BLOODCELL_DATABASE_URL`, else an SQLite file in the user's data folder.

    Raises:
        CaseDatabaseError: The variable holds no address of an SQLite file or a PostgreSQL server.
    """
    address = os.environ.get("BLOODCELL_DATABASE_URL", "").strip()
    if not address:
        return URL.create("sqlite", database=str(data_directory() / FILE_NAME))
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise CaseDatabaseError(_unknown_address("an address that cannot be read")) from None
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise CaseDatabaseError(_unknown_address(f"the database {url.get_backend_name()!r}"))
    if url.get_backend_name() != "sqlite" and address.count("@") > 1:  # what is read as the server may be of a password
        raise CaseDatabaseError(_unknown_address("an address with more than one @"))
    return url


def connect(url: URL) -> Engine:
    """Return an engine on a database whose tables are there, made now if they were not.

    Raises:
        CaseDatabaseError: It cannot be reached, is no database, or was made by a newer version of this project.
    """
    with translate_errors(url):
        engine = _create_engine(url)
        with engine.execution_options(writing=True).begin() as connection:
            if connection.dialect.name == "postgresql":  # two programs may start at once
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SETUP_LOCK)))
            version = _read_version(connection)
            if version is None:
                metadata.create_all(connection)
                connection.execute(facts.insert().values(name="schema", value=str(SCHEMA_VERSION)))
            elif version != SCHEMA_VERSION:
                raise CaseDatabaseError(
                    f"The cases in {describe(url)} were written by a newer version of this project (tables of version "
                    f"{version}; this one knows {SCHEMA_VERSION}). Nothing was changed; update the project."
                )
        return engine


def describe(url: URL) -> str:
    """Return where a database lies, without its password, which may also stand among the options."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    options = {name: value for name, value in url.query.items() if "password" not in name}
    return url.set(query=options).render_as_string(hide_password=True)


def is_file(url: URL) -> bool:
    """Return whether a database is an SQLite file on this machine."""
    return url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")


@contextmanager
def translate_errors(url: URL) -> Iterator[None]:
    """Turn what a database driver raises into a sentence; integrity errors pass, their callers know what they mean."""
    try:
        yield
    except IntegrityError:
        raise
    except (ImportError, NoSuchModuleError) as error:
        raise CaseDatabaseError(
            f"Cases on a PostgreSQL server need the package psycopg, which is not installed ({error}). "
            f"Install it with: {_INSTALL_PSYCOPG}"
        ) from error
    except OSError as error:
        raise CaseDatabaseError(
            f"The folder for the cases, {Path(str(url.database)).parent}, cannot be used: {error.strerror or error}. "
            "Let BLOODCELL_HOME name a folder that can be written."
        ) from error
    except SQLAlchemyError as error:
        raise CaseDatabaseError(_explain(url, error)) from error


def _create_engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": BUSY_TIMEOUT_S})
    if is_file(url):
        _prepare_file(Path(str(url.database)))
    engine = sa.create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_S})
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_file(path: Path) -> None:
    """Make the folder and an empty file that only this user can read: cases are nobody else's business."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver would begin transactions by itself, and too late
    _keep_write_ahead_log(connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _keep_write_ahead_log(connection: sqlite3.Connection) -> None:
    # Two first starts at once: SQLite refuses the change of journal without waiting, whatever its timeout says.
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: taken later, two of them could read the same state and one would fail.
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _read_version(connection: Connection) -> int | None:
    if not sa.inspect(connection).has_table(facts.name):
        return None
    value = connection.execute(sa.select(facts.c.value).where(facts.c.name == "schema")).scalar()
    return None if value is None else int(value)


def _explain(url: URL, error: SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    lines = str(cause).strip().splitlines()
    reason = lines[0].rstrip(".") if lines else type(cause).__name__
    advice = "Check that the server runs and that the address in BLOODCELL_DATABASE_URL is right."
    if url.get_backend_name() == "sqlite":
        advice = "Nothing that was there before has changed."
        if "locked" in reason:
            advice += " Another program is writing to it: try again."
        elif "full" in reason:
            advice += " Free some space on the disk and try again."
        elif "not a database" in reason or "malformed" in reason:
            advice += " The file is damaged or is something else: move it away and restore a backup."
        else:
            advice += " Check that the folder can be written."
    return f"The cases in {describe(url)} cannot be used: {reason}. {advice}"


def _unknown_address(what: str) -> str:
    return (
        f"BLOODCELL_DATABASE_URL holds {what}; expected one like "
        "postgresql://user:password@server/database or sqlite:////folder/cases.sqlite. "
        "Characters such as @ : / % in the password must be percent-encoded."
    )

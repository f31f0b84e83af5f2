"""The tables of the cases, the same in SQLite and PostgreSQL, and the triggers that keep records from being altered.

A case holds images, an image holds cells, and everything that happened is a record, numbered from 1 within its case.
Times are text in ISO 8601, UTC, and so is every list or mapping, as JSON: a backup file can be read with any tool.
"""

from sqlalchemy import (
    DDL,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

SCHEMA_VERSION = 1
"""Raised when a table changes; an older program then refuses the database instead of damaging it."""

metadata = MetaData()


def _case_key(primary_key: bool = False) -> Column:
    return Column(
        "case_id",
        String(32),
        ForeignKey("cases.id", ondelete="CASCADE"),
        nullable=False,
        index=not primary_key,
        primary_key=primary_key,
    )


facts = Table("facts", metadata, Column("name", String(40), primary_key=True), Column("value", Text, nullable=False))

cases = Table(
    "cases",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("identifier", Text, nullable=False, unique=True),
    Column("notes", Text, nullable=False, default=""),
    Column("state", String(8), nullable=False, default="open"),
    Column("white_count", Float),  # x 10^9 per litre, as the user entered it
    Column("created", String(32), nullable=False),
    Column("changed", String(32), nullable=False),
    Column("num_records", Integer, nullable=False, default=0),  # also the number of the newest record
    Column("num_cells", Integer, nullable=False, default=0),
    Column("num_reviewed", Integer, nullable=False, default=0),
    Column("signed_by", Text),
    Column("signed_at", String(32)),
)

images = Table(
    "images",
    metadata,
    Column("id", String(32), primary_key=True),
    _case_key(),
    Column("position", Integer, nullable=False),
    Column("file", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("image_hash", String(64), nullable=False),
    Column("notes", Text, nullable=False, default="[]"),
    Column("pixels", LargeBinary),  # PNG of the whole image without metadata; NULL once dropped
)

cells = Table(
    "cells",
    metadata,
    Column("id", String(32), primary_key=True),
    _case_key(),
    Column("image_id", String(32), ForeignKey("images.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("left", Integer, nullable=False),
    Column("top", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("image_hash", String(64), nullable=False),
    Column("pixels", LargeBinary),  # PNG of the 64 x 64 that a network saw; NULL once dropped
    UniqueConstraint("case_id", "position"),
)

records = Table(
    "records",
    metadata,
    _case_key(primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("time", String(32), nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("action", String(24), nullable=False),
    Column("cell_id", String(32)),
    Column("image_hash", String(64)),
    Column("model", Text),
    Column("fingerprint", String(64)),
    Column("model_status", String(24)),
    Column("model_label", Text),
    Column("model_probability", Float),
    Column("prediction_set", Text),
    Column("answer", Text),  # all that the model gave, JSON; only where action is "answered"
    Column("label", Text),
    Column("is_white", Boolean),
    Column("text", Text, nullable=False, default=""),
    Column("undoes", Integer),
    Column("batch", String(80), nullable=False, default=""),
)

TABLES = (cases, images, cells, records)
"""In the order in which rows can be copied."""

# A record goes only with its whole case: when the case's row is deleted first, the cascade may take the records.
_SQLITE_TRIGGERS = (
    "CREATE TRIGGER IF NOT EXISTS records_never_change BEFORE UPDATE ON records "
    "BEGIN SELECT RAISE(ABORT, 'records are only ever added'); END",
    "CREATE TRIGGER IF NOT EXISTS records_never_go BEFORE DELETE ON records "
    "WHEN EXISTS (SELECT 1 FROM cases WHERE id = OLD.case_id) "
    "BEGIN SELECT RAISE(ABORT, 'records are only ever added'); END",
)
_POSTGRESQL_TRIGGERS = (
    """CREATE OR REPLACE FUNCTION bloodcell_keep_records() RETURNS trigger AS $body$
    BEGIN
        IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT 1 FROM cases WHERE id = OLD.case_id) THEN RETURN OLD; END IF;
        RAISE EXCEPTION 'records are only ever added';
    END $body$ LANGUAGE plpgsql""",
    "DROP TRIGGER IF EXISTS records_are_kept ON records",
    "CREATE TRIGGER records_are_kept BEFORE UPDATE OR DELETE ON records "
    "FOR EACH ROW EXECUTE FUNCTION bloodcell_keep_records()",
)
for _dialect, _statements in (("sqlite", _SQLITE_TRIGGERS), ("postgresql", _POSTGRESQL_TRIGGERS)):
    for _statement in _statements:
        event.listen(records, "after_create", DDL(_statement).execute_if(dialect=_dialect))

"""An empty store in a database of its own, in SQLite and on a PostgreSQL server, and cases to fill it with."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from bloodcell.cases import CaseStore
from bloodcell.dataset import CLASS_NAMES
from tests.made_cases import make_answer, make_image


def run_as_postgres(*command: str) -> None:
    """Run a command as a user that PostgreSQL accepts: it refuses to work for root."""
    prefix = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
    subprocess.run([*prefix, *command], check=True, capture_output=True, timeout=120, cwd="/")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[URL]:
    """A PostgreSQL server of the tests' own, on a socket in a temporary folder; skips where none is installed."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [shutil.which("initdb")]
    if not programs[-1]:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    if find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed: uv pip install 'psycopg[binary]>=3.2'")
    programs_folder = Path(programs[-1]).parent
    folder = Path(tempfile.mkdtemp(prefix="bloodcell-postgresql-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    run_as_postgres(
        str(programs_folder / "initdb"), "-A", "trust", "-U", "postgres", "-E", "UTF8", str(folder / "data")
    )
    control = (str(programs_folder / "pg_ctl"), "-D", str(folder / "data"))
    run_as_postgres(*control, "-w", "-l", str(folder / "log"), "-o", f"-k {folder} -h '' -c fsync=off", "start")
    try:
        yield URL.create("postgresql", "postgres", database="postgres", query={"host": str(folder)})
    finally:
        run_as_postgres(*control, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return make_url(f"sqlite:///{tmp_path / 'cases.sqlite'}")
    server = request.getfixturevalue("postgresql_server").set(drivername="postgresql+psycopg")
    name = f"test_{uuid.uuid4().hex}"  # a schema of its own is as empty as a database of its own, and made at once
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    engine.dispose()
    return server.update_query_dict({"options": f"-csearch_path={name}"})


@pytest.fixture
def store(database: URL, monkeypatch: pytest.MonkeyPatch) -> Iterator[CaseStore]:
    """An empty store, the one that the environment names."""
    monkeypatch.setenv("BLOODCELL_DATABASE_URL", database.render_as_string(hide_password=False))
    store = CaseStore()
    yield store
    store.engine.dispose()


@pytest.fixture
def make_case(store: CaseStore) -> Callable[..., str]:
    """Return a function that makes a case of one-cell images with these model labels."""

    def make(identifier: str = "Smear 1", labels: tuple[str | None, ...] = CLASS_NAMES[:3], **options: object) -> str:
        case_id = store.create_case(identifier, "Ana")
        answers = [
            [make_answer(label, status="ok" if label else "unfamiliar", **options)]  # type: ignore[arg-type]
            for label in labels
        ]
        offset = sum(map(ord, identifier)) * 1000
        store.add_images(case_id, [make_image(offset + n) for n in range(len(labels))], answers, "Ana")
        return case_id

    return make

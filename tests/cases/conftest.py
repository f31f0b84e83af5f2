"""An empty store in a file of its own, and cases to fill it with."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from bloodcell.cases import CaseStore
from bloodcell.dataset import CLASS_NAMES
from tests.made_cases import make_answer, make_image


@pytest.fixture
def store(tmp_path: Path) -> CaseStore:
    """An empty store in an SQLite file of its own."""
    return CaseStore(sa.engine.make_url(f"sqlite:///{tmp_path / 'cases.sqlite'}"))


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

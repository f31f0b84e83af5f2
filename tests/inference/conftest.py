"""A small network of the kind that ends in global average pooling, for features, explanations and the guard."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def pooled_artifacts_folder(small_dataset_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An artifact of `hemanet_nano`, trained for a few epochs on the small dataset, with its LiteRT form."""
    from bloodcell.pipeline import load_or_train

    folder = tmp_path_factory.mktemp("pooled_artifacts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOODCELL_DATA", str(small_dataset_file))
        patch.setenv("BLOODCELL_ARTIFACTS", str(folder))
        patch.setenv("BLOODCELL_CACHE", str(tmp_path_factory.mktemp("pooled_cache")))
        load_or_train("hemanet_nano", num_epochs=12)
        yield folder


@pytest.fixture
def pooled_artifacts(pooled_artifacts_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small pooled artifact, found through BLOODCELL_ARTIFACTS. Read only: copy the folder before changing it."""
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(pooled_artifacts_folder))
    return pooled_artifacts_folder

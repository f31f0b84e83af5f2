"""Small data and small artifacts that every room's tests share; nothing here needs the real dataset."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

SMALL_COUNTS = {"train": 96, "val": 40, "test": 48}
REAL_DATASET = os.environ.get("BLOODCELL_DATA")
REAL_SAMPLES = os.environ.get("BLOODCELL_SAMPLES")
REAL_FIELDS = os.environ.get("BLOODCELL_FIELDS")


def make_small_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """Return arrays in MedMNIST's layout: each class a disc of its own colour and size on a noisy pale ground."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:64, :64]
    hues = generator.integers(30, 200, size=(8, 3))
    arrays = {}
    for split, count in SMALL_COUNTS.items():
        labels = np.arange(count) % 8
        images = generator.integers(200, 256, size=(count, 64, 64, 3))
        centres = generator.integers(26, 38, size=(count, 2))
        for image, label, (row, column) in zip(images, labels, centres, strict=True):
            disc = (rows - row) ** 2 + (columns - column) ** 2 < (8 + 2 * label) ** 2
            image[disc] = np.clip(hues[label] + generator.integers(-20, 20, size=(disc.sum(), 3)), 0, 255)
        arrays[f"{split}_images"] = images.astype(np.uint8)
        arrays[f"{split}_labels"] = labels.astype(np.uint8)[:, None]
    return arrays


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep tests away from the reader's dataset, cache, artifacts and cases; a test asks for what it needs."""
    for name in (
        "BLOODCELL_DATA",
        "BLOODCELL_SAMPLES",
        "BLOODCELL_FIELDS",
        "BLOODCELL_ARTIFACTS",
        "BLOODCELL_DATABASE_URL",
        "BLOODCELL_TRAINING",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BLOODCELL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BLOODCELL_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def small_dataset_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A well-formed small dataset, made once."""
    path = tmp_path_factory.mktemp("dataset") / "small.npz"
    np.savez_compressed(path, **make_small_arrays())
    return path


@pytest.fixture
def small_dataset(small_dataset_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small dataset, found through BLOODCELL_DATA."""
    monkeypatch.setenv("BLOODCELL_DATA", str(small_dataset_file))
    return small_dataset_file


@pytest.fixture(scope="session")
def small_artifacts_folder(small_dataset_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Artifacts of `cnn_3` and `cnn_4`, trained for two epochs on the small dataset, with their LiteRT forms."""
    from bloodcell.pipeline import load_or_train

    folder = tmp_path_factory.mktemp("artifacts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOODCELL_DATA", str(small_dataset_file))
        patch.setenv("BLOODCELL_ARTIFACTS", str(folder))
        patch.setenv("BLOODCELL_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name in ("cnn_3", "cnn_4"):
            load_or_train(name, num_epochs=2)
        yield folder


@pytest.fixture
def small_artifacts(small_artifacts_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small artifacts, found through BLOODCELL_ARTIFACTS. Read only: copy the folder before changing it."""
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(small_artifacts_folder))
    return small_artifacts_folder


@pytest.fixture
def real_dataset(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The full dataset; skips where BLOODCELL_DATA does not name it."""
    if not REAL_DATASET or not Path(REAL_DATASET).is_file():
        pytest.skip("BLOODCELL_DATA names no dataset file: tests on the full dataset are left out")
    monkeypatch.setenv("BLOODCELL_DATA", REAL_DATASET)
    return Path(REAL_DATASET)


@pytest.fixture
def real_samples(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of original single-cell images with labels.csv; skips where BLOODCELL_SAMPLES does not name it."""
    if not REAL_SAMPLES or not Path(REAL_SAMPLES).is_dir():
        pytest.skip("BLOODCELL_SAMPLES names no folder: tests on original images are left out")
    monkeypatch.setenv("BLOODCELL_SAMPLES", REAL_SAMPLES)
    return Path(REAL_SAMPLES)


@pytest.fixture
def real_fields(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of smear fields with annotations; skips where BLOODCELL_FIELDS does not name it."""
    if not REAL_FIELDS or not Path(REAL_FIELDS).is_dir():
        pytest.skip("BLOODCELL_FIELDS names no folder: tests on smear fields are left out")
    monkeypatch.setenv("BLOODCELL_FIELDS", REAL_FIELDS)
    return Path(REAL_FIELDS)


@pytest.fixture(scope="session")
def opened_cache_folder(small_artifacts_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's cache in which `cnn_3` of the small artifacts was opened: every layer can be read without Keras."""
    from bloodcell.artifact import load_artifact
    from bloodcell.inference.inside import ensure_inside

    folder = tmp_path_factory.mktemp("opened_cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOODCELL_CACHE", str(folder))
        ensure_inside(load_artifact("cnn_3", small_artifacts_folder))
    return folder


@pytest.fixture
def opened_cache(opened_cache_folder: Path, small_artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The opened cache, found through BLOODCELL_CACHE, with the small artifacts. Delete what a test adds to it."""
    monkeypatch.setenv("BLOODCELL_CACHE", str(opened_cache_folder))
    return opened_cache_folder

"""Attention maps stay on disk by network, pixels and class, and damaged files are made anew."""

import numpy as np
import pytest

from bloodcell.artifact import load_artifact
from bloodcell.dataset import load_split
from bloodcell.inference import attention_store as store
from bloodcell.inference.engine import load_engine


@pytest.fixture
def asked(small_dataset, small_artifacts, monkeypatch):
    """A network and its engine, and a list of what was explained."""
    artifact = load_artifact("cnn_3")
    calls = []

    def explain(artifact, engine, images, class_indices, on_progress=None):
        calls.append(list(class_indices))
        return np.stack([np.full((64, 64), label / 8, np.float32) for label in class_indices])

    monkeypatch.setattr(store, "explain_images", explain)
    return artifact, load_engine(artifact), calls


def test_what_was_explained_is_found_for_that_image_and_class_only(asked):
    artifact, engine, calls = asked
    images = load_split("test").images
    assert store.find_map(artifact, images[0], 3) is None
    store.explain_and_store(artifact, engine, [images[0], images[1]], [3, 5])
    assert calls == [[3, 5]]
    assert store.find_map(artifact, images[0], 3)[0, 0] == pytest.approx(3 / 8)
    assert store.find_map(artifact, images[1], 5)[0, 0] == pytest.approx(5 / 8)
    assert store.find_map(artifact, images[0], 5) is None
    changed = images[0].copy()
    changed[0, 0, 0] ^= 1
    assert store.find_map(artifact, changed, 3) is None
    assert store.find_map(load_artifact("cnn_4"), images[0], 3) is None


def test_a_damaged_file_counts_as_none(asked):
    artifact, engine, _ = asked
    image = load_split("test").images[0]
    store.explain_and_store(artifact, engine, [image], [3])
    path = next(store._directory().glob("*.npy"))
    for content in (b"", b"no array", path.read_bytes()[:200]):
        path.write_bytes(content)
        assert store.find_map(artifact, image, 3) is None


def test_the_oldest_go_first(asked, monkeypatch):
    artifact, engine, _ = asked
    monkeypatch.setattr(store, "MOST_FILES", 3)
    images = load_split("test").images[:5]
    for image in images:
        store.explain_and_store(artifact, engine, [image], [1])
    assert len(list(store._directory().glob("*.npy"))) == 3
    assert store.find_map(artifact, images[4], 1) is not None

"""The nearest training cells: by hand on a few numbers, and computed once on a small network."""

import numpy as np
import pytest

from bloodcell.artifact import load_artifact
from bloodcell.dataset import load_split, prepare_images
from bloodcell.errors import EngineError
from bloodcell.inference import load_engine
from bloodcell.inference.similar import ensure_features, features_path, find_similar, within_class_spread


def test_the_nearest_of_a_class_by_hand():
    features = np.array([[0, 0], [2, 0], [10, 0], [10, 40], [10, 80]], np.float32)
    labels = np.array([0, 0, 1, 1, 1])
    spread = within_class_spread(features, labels)
    assert spread == pytest.approx([np.sqrt(2 / 5), np.sqrt(3200 / 5)], rel=1e-4)
    found = find_similar(features, labels, np.array([10, 79], np.float32), 1, 2)
    assert [row for row, _ in found] == [4, 3]
    assert found[0][1] == pytest.approx(1 / spread[1], rel=1e-4)
    assert [row for row, _ in find_similar(features, labels, np.array([10, 79], np.float32), 0, 5)] == [1, 0]


def test_features_are_computed_once_and_a_cell_is_nearest_to_itself(small_dataset, pooled_artifacts):
    artifact = load_artifact("hemanet_nano")
    engine, split = load_engine(artifact), load_split("train")
    told: list[tuple[int, int]] = []
    path = ensure_features(artifact, engine, split, lambda done, total, words: told.append((done, total)))
    assert path == features_path(artifact, split) and told[-1] == (split.num_images, split.num_images)
    features = np.load(path)
    assert features.shape[0] == split.num_images and features.dtype == np.float16
    query = engine.compute_outputs(prepare_images(split.images[7:8])).features[0]
    assert find_similar(features, split.labels, query, int(split.labels[7]), 3)[0][0] == 7
    assert ensure_features(artifact, None, split) == path, "computed once"


def test_a_network_without_pooled_features_says_so(small_dataset, small_artifacts):
    artifact = load_artifact("cnn_4")
    with pytest.raises(EngineError, match="pools no last feature map"):
        ensure_features(artifact, load_engine(artifact), load_split("val"))

"""A pooled network's LiteRT form gives its last feature map; the others give logits alone."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from bloodcell.artifact import load_artifact
from bloodcell.dataset import load_split, prepare_images
from bloodcell.inference import load_engine


@pytest.fixture
def inputs(small_dataset) -> np.ndarray:
    return prepare_images(load_split("test").images)


def test_the_mean_of_the_feature_map_makes_the_logits(pooled_artifacts, inputs):
    artifact = load_artifact("hemanet_nano")
    engine = load_engine(artifact)
    outputs = engine.compute_outputs(inputs)
    weights = load_file(artifact.directory / "weights.safetensors")
    kernel, bias = weights["logits/kernel"].astype(np.float32), weights["logits/bias"]
    assert engine.gives_features
    assert outputs.feature_maps.shape == (len(inputs), 8, 8, 24)
    np.testing.assert_allclose(outputs.features @ kernel + bias, outputs.logits, atol=1e-3)
    np.testing.assert_array_equal(outputs.logits, engine.compute_logits(inputs))


def test_one_image_and_none_and_more_than_a_batch(pooled_artifacts, inputs):
    engine = load_engine(load_artifact("hemanet_nano"), largest_batch=32)
    whole = engine.compute_outputs(inputs)
    single = engine.compute_outputs(inputs[40:41])
    np.testing.assert_allclose(single.feature_maps[0], whole.feature_maps[40], atol=1e-4)
    assert engine.compute_outputs(inputs[:0]).feature_maps.shape == (0, 8, 8, 24)


def test_a_network_with_a_dense_head_gives_logits_alone(small_artifacts, inputs):
    engine = load_engine(load_artifact("cnn_3"))
    outputs = engine.compute_outputs(inputs)
    assert not engine.gives_features
    assert outputs.feature_maps is None
    assert outputs.features is None
    np.testing.assert_array_equal(outputs.logits, engine.compute_logits(inputs))

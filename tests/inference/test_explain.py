"""Where a network looked: class activation maps from LiteRT, Grad-CAM from Keras, and that they agree."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from bloodcell.artifact import load_artifact, load_model
from bloodcell.artifact.store import WEIGHTS_FILE
from bloodcell.dataset import load_split, prepare_images
from bloodcell.errors import ArtifactDamagedError
from bloodcell.inference import load_engine
from bloodcell.inference.explain import (
    compute_class_maps,
    enlarge_maps,
    explain_images,
    explains_at_once,
    load_class_weights,
)
from bloodcell.inference.grad_cam import compute_grad_cam
from bloodcell.models.map_grids import MapGrid


@pytest.fixture
def cells(small_dataset) -> np.ndarray:
    return load_split("test").images[:6]


def test_the_mean_of_a_class_map_is_the_logit_without_its_bias(pooled_artifacts, cells):
    artifact = load_artifact("hemanet_nano")
    engine = load_engine(artifact)
    logits = engine.compute_logits(prepare_images(cells))
    bias = load_file(artifact.directory / WEIGHTS_FILE)["logits/bias"]
    for label in range(8):
        maps = compute_class_maps(artifact, engine, cells, [label] * len(cells))
        assert maps.shape == (6, 8, 8)
        np.testing.assert_allclose(maps.mean(axis=(1, 2)) + bias[label], logits[:, label], atol=1e-2)


def test_class_maps_are_grad_cam(pooled_artifacts, cells):
    """For a linear layer on pooled features Grad-CAM is the same map, divided by its number of places."""
    artifact = load_artifact("hemanet_nano")
    labels = np.array([0, 3, 6, 7, 1, 2])
    maps = compute_class_maps(artifact, load_engine(artifact), cells, labels)
    by_gradient = compute_grad_cam(load_model(artifact), prepare_images(cells), labels)
    np.testing.assert_allclose(by_gradient * 64, maps, atol=1e-2 * np.abs(maps).max())


def test_an_explanation_has_the_size_of_the_image_and_ends_at_one(pooled_artifacts, cells):
    artifact = load_artifact("hemanet_nano")
    engine = load_engine(artifact)
    y_pred = engine.compute_logits(prepare_images(cells)).argmax(axis=1)
    maps = explain_images(artifact, engine, cells, y_pred)
    assert explains_at_once(engine)
    assert maps.shape == (6, 64, 64)
    assert maps.min() >= 0
    np.testing.assert_allclose(maps.max(axis=(1, 2)), 1)
    assert explain_images(artifact, engine, cells[:0], []).shape == (0, 64, 64)
    with pytest.raises(ValueError, match="one class per image"):
        explain_images(artifact, engine, cells, [1])


def test_other_networks_are_explained_in_a_process_of_their_own(small_artifacts, cells):
    artifact = load_artifact("cnn_3")
    engine = load_engine(artifact)
    said = []
    maps = explain_images(artifact, engine, cells, [2] * 6, lambda done, total, message: said.append(message))
    assert not explains_at_once(engine)
    assert maps.shape == (6, 64, 64)
    assert any("TensorFlow" in message for message in said)
    expected = compute_grad_cam(load_model(artifact), prepare_images(cells), np.full(6, 2))
    np.testing.assert_allclose(maps, enlarge_maps(expected, MapGrid(7, 7, 4, 4)), atol=1e-3)
    rim = np.ones((64, 64), bool)
    rim[7:55, 7:55] = False  # what the places of an unpadded network's last map stand for
    assert (maps[:, rim] == 0).all() and maps.max() == 1
    with pytest.raises(ValueError, match="feature map"):
        compute_class_maps(artifact, engine, cells, [2] * 6)


def test_what_speaks_against_a_class_is_dark():
    maps = enlarge_maps(np.array([[[-1.0, -2.0], [-3.0, -1.0]], [[0.0, 4.0], [-9.0, 0.0]]]))
    assert (maps[0] == 0).all()
    assert maps[1, 0, -1] == 1
    assert maps[1, -1, 0] == 0


def test_a_map_lies_where_its_places_look():
    """The strongest place of a map that begins at pixel 15, 8 pixels a place, is drawn about its middle, pixel 18.5."""
    maps = np.zeros((1, 4, 4))
    maps[0, 0, 3] = 5.0
    found = enlarge_maps(maps, MapGrid(15, 15, 8, 8))[0]
    rows, columns = np.nonzero(found == 1)
    assert (rows.min(), columns.max()) == (15, 46)
    assert (found[:15] == 0).all() and (found[:, 47:] == 0).all()
    np.testing.assert_array_equal(enlarge_maps(maps), enlarge_maps(maps, MapGrid(0, 0, 16, 16)))


def test_weights_without_the_layer_are_named(pooled_artifacts, tmp_path):
    artifact = load_artifact("hemanet_nano")
    np.testing.assert_equal(load_class_weights(artifact).shape, (24, 8))
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    broken = type(artifact)(artifact.name, artifact.kind, tmp_path, artifact.manifest)
    with pytest.raises(ArtifactDamagedError, match="logits/kernel"):
        load_class_weights(broken)

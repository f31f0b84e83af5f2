"""Every layer of a network, read without Keras, is what Keras computes; channels find the cells that excite them."""

import numpy as np
import pytest

from bloodcell.artifact import load_artifact, load_model
from bloodcell.dataset import find_dataset, load_split, prepare_images
from bloodcell.errors import ArtifactDamagedError, DatasetNotFoundError, EngineError
from bloodcell.inference import channels, inside, inside_build
from bloodcell.inference.inside import InsideEngine, InsideGraph
from bloodcell.models.map_grids import MapGrid
from tests.damage import damage


@pytest.fixture
def artifact(small_artifacts):
    return load_artifact("cnn_3")


@pytest.fixture
def engine(opened_cache, artifact):
    return InsideEngine(inside.find_inside(artifact))


def test_every_layer_is_what_keras_computes(engine, artifact, small_dataset):
    import keras

    model = load_model(artifact)
    inputs = prepare_images(load_split("test").images[:3])
    expected = keras.Model(model.input, {layer.name: layer.output for layer in model.layers})(inputs, training=False)
    found = engine.compute_layers(inputs)
    assert list(found) == [layer.name for layer in model.layers]
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], np.asarray(values), atol=2e-3, err_msg=name)


def test_a_batch_and_single_images_agree(engine, small_dataset):
    inputs = prepare_images(load_split("test").images[:4])
    together = engine.compute_layers(inputs)["block2_pool"]
    singly = np.concatenate([engine.compute_layers(one[None])["block2_pool"] for one in inputs])
    np.testing.assert_allclose(together, singly, atol=1e-5)


def test_the_graph_lies_beside_the_form(engine):
    assert [layer["name"] for layer in engine.graph.layers][:2] == ["image", "block1_conv"]
    assert engine.graph.sources["block1_conv_relu"] == ["block1_conv"]
    assert engine.graph.sources["image"] == []
    assert engine.graph.grids["image"] == MapGrid(0, 0, 1, 1)
    assert engine.graph.grids["block3_conv_relu"] == MapGrid(7, 7, 4, 4)  # three convolutions without padding


def test_a_resting_layer_gives_what_the_layer_before_gave():
    layers = [{"name": name, "type": kind} for name, kind in (("a", "Dense"), ("b", "Dropout"), ("c", "Dropout"))]
    graph = InsideGraph(layers, {"a": [], "b": ["a"], "c": ["b"]}, {})
    assert [graph.find_computing(name) for name in "abc"] == ["a", "a", "a"]


def test_layers_that_differ_from_keras_are_not_handed_out():
    right = {"a": np.ones((1, 4), np.float32)}
    inside_build.check_layers(right, right, "net")
    for wrong, message in (
        ({"a": right["a"] * 1.1}, "differs from Keras in layer a"),
        ({"a": right["a"] * np.nan}, "differs from Keras"),
        ({"a": right["a"][:, :2]}, "expected"),
        ({}, "nothing"),
    ):
        with pytest.raises(EngineError, match=message):
            inside_build.check_layers(wrong, right, "net")


def test_a_damaged_form_is_one_sentence(tmp_path):
    (tmp_path / "form.tflite").write_bytes(b"no form")
    with pytest.raises(EngineError, match="cannot be used to look inside"):
        InsideEngine(tmp_path / "form.tflite")


def test_nothing_is_built_by_looking_for_it(artifact):
    assert inside.find_inside(artifact) is None


def test_kernels_are_read_without_keras(artifact, tmp_path):
    kernel = inside.read_kernel(artifact, "block1_conv")
    expected = np.asarray(load_model(artifact).get_layer("block1_conv").kernel)
    np.testing.assert_array_equal(kernel, expected)
    assert inside.read_kernel(artifact, "block1_pool") is None
    assert inside.read_kernel_shapes(artifact)["block1_conv"] == expected.shape
    assert "block1_pool" not in inside.read_kernel_shapes(artifact)


def test_weights_that_cannot_be_read_are_said(tmp_path):
    from shelf import write_artifact

    broken = write_artifact(tmp_path, "cnn_3")
    for read in (lambda: inside.read_kernel(broken, "block1_conv"), lambda: inside.read_kernel_shapes(broken)):
        with pytest.raises(ArtifactDamagedError, match="cannot be read"):
            read()


def test_peaks_and_their_places():
    values = np.zeros((2, 3, 4, 2), np.float32)
    values[0, 1, 2, 0] = 5
    values[1, 2, 3, 1] = 7
    peaks, places = channels.find_peaks(values)
    np.testing.assert_array_equal(peaks, [[5, 0], [0, 7]])
    np.testing.assert_array_equal(places, [[1 * 4 + 2, 0], [0, 2 * 4 + 3]])
    peaks, places = channels.find_peaks(np.array([[1.0, -2.0]]))
    np.testing.assert_array_equal(peaks, [[1, -2]])
    np.testing.assert_array_equal(places, [[0, 0]])


def test_the_strongest_cells_come_first_and_equal_ones_in_order():
    peaks = np.array([[1.0, 0.0], [3.0, 0.0], [3.0, 0.0], [2.0, 0.5]], np.float32)
    found = channels.rank_cells(peaks, np.arange(8).reshape(4, 2), num_top=3)
    np.testing.assert_array_equal(found.rows, [[1, 2, 3], [3, 0, 1]])
    np.testing.assert_array_equal(found.values, [[3, 3, 2], [0.5, 0, 0]])
    np.testing.assert_array_equal(found.places[0], [2, 4, 6])
    np.testing.assert_allclose(found.active, [1.0, 0.25])


def test_channels_are_computed_in_a_child_once_and_read_back(opened_cache, artifact, small_dataset, engine):
    assert channels.find_channels(artifact) is None
    path = channels.ensure_channels(artifact)
    try:
        found = channels.load_channels(path)
        assert channels.find_channels(artifact) == path == channels.ensure_channels(artifact)
        images = load_split("test").images
        maps = engine.compute_layers(prepare_images(images))["block1_conv_relu"]
        peaks = maps.max(axis=(1, 2))
        channel = int(peaks.max(axis=0).argmax())
        top = found["block1_conv_relu"]
        assert top.rows.shape == (maps.shape[-1], channels.NUM_TOP)
        np.testing.assert_allclose(top.values[channel], np.sort(peaks[:, channel])[::-1][: channels.NUM_TOP], atol=1e-4)
        best = maps[top.rows[channel, 0], ..., channel]
        assert best.reshape(-1)[top.places[channel, 0]] == pytest.approx(best.max(), abs=1e-4)
        assert "image" not in found and "logits" in found
    finally:
        path.unlink()


def test_channels_need_the_dataset(opened_cache, artifact):
    with pytest.raises(DatasetNotFoundError):
        channels.find_channels(artifact)


def test_a_damaged_file_of_channels_is_deleted(tmp_path):
    path = tmp_path / "channels.npz"
    parts = (np.arange(40).reshape(8, 5), np.ones((8, 5), np.float32), np.ones((8, 5, 2)), np.ones(8, bool))
    channels.store_channels(path, {"stem": channels.TopCells(*parts)})
    for damaged in damage(path.read_bytes()):
        path.write_bytes(damaged)
        with pytest.raises(EngineError, match="deleted"):
            channels.load_channels(path)
        assert not path.exists()


def test_another_file_of_the_dataset_has_channels_of_its_own(
    opened_cache, artifact, small_dataset, tmp_path, monkeypatch
):
    first = channels.ensure_channels(artifact)
    other = tmp_path / "other.npz"
    with np.load(find_dataset()) as stored:
        arrays = dict(stored)
    arrays["test_images"] = arrays["test_images"][::-1]
    np.savez_compressed(other, **arrays)
    monkeypatch.setenv("BLOODCELL_DATA", str(other))
    assert channels.find_channels(artifact) is None
    first.unlink()

"""The map of all test cells: the same again, every place belongs to its image, and a command that stores it."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from bloodcell import __main__ as command_line
from bloodcell.artifact import load_artifact, load_shelf
from bloodcell.dataset import Split, load_split
from bloodcell.errors import ArtifactDamagedError, DatasetDamagedError
from bloodcell.inference import cell_map
from bloodcell.inference.inside import InsideEngine, find_inside
from tests.damage import damage


@pytest.fixture
def shelf(small_artifacts_folder, opened_cache_folder, small_dataset, tmp_path, monkeypatch):
    """A shelf of its own with one opened network."""
    shutil.copytree(small_artifacts_folder / "cnn_3", tmp_path / "shelf" / "cnn_3")
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "shelf"))
    shutil.copytree(opened_cache_folder, tmp_path / "own_cache")
    monkeypatch.setenv("BLOODCELL_CACHE", str(tmp_path / "own_cache"))
    return tmp_path / "shelf"


def quiet(*_):
    """Take a report of progress and say nothing."""


def islands(num_islands=4, size=15):
    generator = np.random.default_rng(1)
    centres = generator.normal(0, 20, (num_islands, 6))
    labels = np.repeat(np.arange(num_islands), size)
    return centres[labels] + generator.normal(0, 1, (len(labels), 6)), labels


def test_the_same_features_give_the_same_map():
    features, _ = islands()
    first, record = cell_map.lay_out(features)
    again, _ = cell_map.lay_out(features)
    np.testing.assert_array_equal(first, again)
    assert record["seed"] == cell_map.SEED and record["perplexity"] == pytest.approx(59 / 3)
    assert record["trustworthiness"] > 0.9


def test_neighbours_in_the_network_are_neighbours_on_the_map():
    features, labels = islands()
    places, _ = cell_map.lay_out(features)
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.diag(np.full(len(places), np.inf))
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.95


def test_every_place_belongs_to_its_image(shelf, monkeypatch):
    """Another order of the file changes nothing; an image that is not there has no place."""
    monkeypatch.setattr(
        cell_map, "compute_features", lambda artifact, images, report: (images.reshape(len(images), -1)[:, :40], "a")
    )
    monkeypatch.setattr(
        cell_map, "lay_out", lambda features: (features[:, :2].astype(np.float32), {"method": "the first two"})
    )
    artifact, test = load_artifact("cnn_3"), load_split("test")
    found = cell_map.measure_map(artifact, test, quiet)
    np.testing.assert_array_equal(found.places, test.images.reshape(len(test.images), -1)[:, :2])
    order = np.random.default_rng(0).permutation(test.num_images)[:-3]
    shuffled = Split("test", test.images[order], test.labels[order], test.identity)
    part = cell_map.measure_map(artifact, shuffled, quiet)
    there = np.isin(np.arange(test.num_images), order)
    # The last three may be taken by position where the label agrees, as everywhere; the others are found by pixels.
    np.testing.assert_array_equal(part.places[there], found.places[there])
    few = Split("test", test.images[:4], test.labels[:4], test.identity)
    with pytest.raises(DatasetDamagedError, match="at least 10"):
        cell_map.measure_map(artifact, few, quiet)


def test_features_are_what_the_last_linear_layer_reads(shelf):
    artifact, images = load_artifact("cnn_3"), load_split("test").images[:20]
    features, layer = cell_map.compute_features(artifact, images, quiet)
    assert layer == "head_dense_relu" and features.shape == (20, 64)
    from bloodcell.inference.explain import load_class_weights

    logits = artifact.load_predictions("test").logits[:20]
    bias = logits - features @ load_class_weights(artifact)
    np.testing.assert_allclose(bias, np.broadcast_to(bias[0], bias.shape), atol=0.02)
    assert InsideEngine(find_inside(artifact)).graph.sources["logits"] == ["head_dense_relu"]


def test_the_command_stores_maps_and_leaves_those_that_are_there(shelf, capsys):
    assert command_line.main(["measure", "map", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["name"] == "cnn_3" and record["num_cells"] == 48 and record["layer"] == "head_dense_relu"
    artifact = load_artifact("cnn_3")
    assert cell_map.has_map(artifact) and load_shelf().damaged == ()
    stored = cell_map.load_map(artifact, cell_map.find_map(artifact))
    assert stored.places.shape == (48, 2) and np.isfinite(stored.places).all()
    assert stored.record["seed"] == cell_map.SEED and stored.record["dataset"]["md5"]

    assert command_line.main(["measure", "map", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == [] and "cnn_3 has its map" in captured.err
    assert command_line.main(["measure", "map", "cnn_3"]) == 0
    assert "cnn_3" in capsys.readouterr().out
    again = cell_map.load_map(load_artifact("cnn_3"), shelf / "cnn_3" / cell_map.MAP_FILE)
    np.testing.assert_array_equal(again.places, stored.places)
    assert command_line.main(["measure", "map", "cnn_9"]) == 1


def test_a_map_in_the_cache_comes_from_a_child(shelf):
    artifact = load_artifact("cnn_3")
    assert cell_map.find_map(artifact) is None
    reports = []
    path = cell_map.ensure_map(artifact, lambda *report: reports.append(report))
    assert cell_map.find_map(artifact) == path == cell_map.ensure_map(artifact)
    assert np.isfinite(cell_map.load_map(artifact, path).places).all()
    assert any("Laying out 48 cells" in report[2] for report in reports)
    assert not cell_map.has_map(artifact), "a reader's map changes nothing in the artifact"


def test_a_map_of_other_predictions_is_refused(shelf, tmp_path):
    artifact = load_artifact("cnn_3")
    found = cell_map.CellMap(np.zeros((48, 2), np.float32), {})
    stored = cell_map.store_map(artifact, found)
    path = cell_map.find_map(stored)
    assert cell_map.load_map(stored, path).places.shape == (48, 2)
    foreign = load_artifact("cnn_3")
    predictions = dataclasses.replace(foreign.load_predictions("test"), image_hashes=np.zeros(48, np.uint64))
    object.__setattr__(foreign, "load_predictions", lambda split: predictions)
    with pytest.raises(ArtifactDamagedError, match="other predictions"):
        cell_map.load_map(foreign, path)
    whole = path.read_bytes()
    for damaged in damage(whole):
        path.write_bytes(damaged)
        with pytest.raises(ArtifactDamagedError, match="measure map cnn_3"):
            cell_map.load_map(stored, path)

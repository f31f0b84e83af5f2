"""The Map page: a shipped map, regions in the address, no map yet, no dataset, a damaged map."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from shelf import write_artifact
from streamlit.testing.v1 import AppTest

from bloodcell.artifact import load_artifact
from bloodcell.inference import cell_map
from bloodcell.views import components_jobs
from bloodcell.views.background import Job

APP = Path(__file__).parents[2] / "app.py"
RECORD = {
    "method": "t-SNE",
    "perplexity": 30.0,
    "seed": 0,
    "num_components": 2,
    "trustworthiness": 0.97,
    "num_neighbours": 10,
    "layer": "head_dense_relu",
    "num_features": 64,
    "num_cells": 400,
    "dataset": {"label": "synthetic answers", "md5": "0"},
    "date": "2026-01-01",
    "versions": {"scikit-learn": "1"},
}


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A shelf without dataset: cnn_3 has a map with its cells on a line, cnn_4 has none."""
    folder = tmp_path / "shelf"
    for name in ("cnn_3", "cnn_4"):
        write_artifact(folder, name)
    places = np.stack([np.arange(400) / 4, np.zeros(400)], axis=1).astype(np.float32)
    cell_map.store_map(load_artifact("cnn_3", folder), cell_map.CellMap(places, RECORD))
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    return folder


def open_map(**query):
    at = AppTest.from_file(str(APP), default_timeout=120)
    at.run()
    at.switch_page("pages/map.py")
    for key, value in query.items():
        at.query_params[key] = value
    return at.run()


def words(at):
    """Return everything that the page says, as one text."""
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error, at.header, at.title)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def selected_rows(at):
    """Return the table of the selected cells, which is the last of the page."""
    return at.dataframe[-1].value


def test_a_region_of_the_address_selects_its_cells(shelf):
    at = open_map(map_model="cnn_3", map_region="-1.0,-1.0;9.9,-1.0;9.9,1.0;-1.0,1.0")
    assert not at.exception
    assert "**40 cells**" in words(at)
    assert sorted(selected_rows(at)["image"]) == list(range(40))
    assert "The dataset is not" in words(at), "without images the cells are a table, and the download is offered"
    assert "97.0 %" in words(at) and "perplexity 30" in words(at)


def test_without_a_region_the_page_says_what_to_do(shelf):
    at = open_map(map_model="cnn_3", map_region="nonsense")
    assert not at.exception
    assert "Draw around some cells" in words(at)


def test_classes_and_errors_are_chosen_without_drawing_and_cleared(shelf):
    at = open_map(map_model="cnn_3")
    at.selectbox(key="map_region_list").select("wrong").run()
    predictions = load_artifact("cnn_3").load_predictions("test")
    wrong = np.flatnonzero(predictions.logits.argmax(axis=1) != predictions.y_true)
    assert at.query_params["map_region"] in ("wrong", ["wrong"])
    assert sorted(selected_rows(at)["image"]) == wrong.tolist()
    at.segmented_control(key="map_colour").set_value("error").run()
    assert sorted(selected_rows(at)["image"]) == wrong.tolist(), "another colour keeps the selection"
    at.button(key="map_clear").click().run()
    assert "Draw around some cells" in words(at)
    assert not at.exception


def test_a_region_belongs_to_one_models_map(shelf):
    places = np.zeros((400, 2), np.float32)
    cell_map.store_map(load_artifact("cnn_4", shelf), cell_map.CellMap(places, RECORD))
    at = open_map(map_model="cnn_3", map_region="wrong")
    assert "wrong (100.0 %)" in words(at)
    at.selectbox(key="map_model").select("cnn_4").run()
    assert not at.exception
    assert "Draw around some cells" in words(at)


def test_without_a_map_the_command_is_named_and_the_dataset_offered(shelf):
    at = open_map(map_model="cnn_4")
    assert not at.exception
    assert any("measure map cnn_4" in code.value for code in at.code)
    assert "The dataset is not" in words(at)


def test_with_the_dataset_a_map_is_computed_in_the_background(shelf, small_dataset, monkeypatch):
    started = {}
    monkeypatch.setattr(components_jobs, "find_job", started.get)
    monkeypatch.setattr(components_jobs, "start_job", lambda name, work: started.setdefault(name, Job(name)))
    at = open_map(map_model="cnn_4")
    at.button(key="map_compute").click().run()
    assert not at.exception
    assert list(started) == ["map cnn_4"]


def test_images_of_the_selected_cells(small_artifacts_folder, small_dataset, tmp_path, monkeypatch):
    folder = tmp_path / "shelf"
    shutil.copytree(small_artifacts_folder / "cnn_3", folder / "cnn_3")
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    places = np.stack([np.arange(48.0), np.zeros(48)], axis=1).astype(np.float32)
    cell_map.store_map(load_artifact("cnn_3"), cell_map.CellMap(places, RECORD))
    at = open_map(map_model="cnn_3", map_region=str(7))
    assert not at.exception
    assert [button.key for button in at.button if str(button.key).startswith("cell_map_")] == ["cell_map_7"]
    assert "Platelet, answered" in words(at)


def test_a_damaged_map_is_one_sentence(shelf, monkeypatch):
    def broken(artifact, path):
        raise cell_map.ArtifactDamagedError("map.npz cannot be read. Run `measure map cnn_3`.")

    monkeypatch.setattr(cell_map, "load_map", broken)
    at = open_map(map_model="cnn_3")
    assert not at.exception
    assert any("cannot be read" in error.value for error in at.error)


def test_without_any_model_the_first_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "none"))
    at = open_map()
    assert not at.exception
    assert any("train cnn_4" in code.value for code in at.code)

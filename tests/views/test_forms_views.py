"""Exported forms on Compare and more than one look on Reports, drawn from their records."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bloodcell.artifact import load_shelf
from bloodcell.evaluation import CalibrationTest
from bloodcell.inference.benchmark import load_benchmark
from bloodcell.inference.combined import measure_seeds
from bloodcell.inference.trust import describe_model, share
from bloodcell.views import cache
from bloodcell.views import figures_compare as figures
from bloodcell.views.components_combined import describe_calibration, describe_members
from bloodcell.views.tables_forms import current_rows, form_points, form_table, looks_table
from tests.shelf import write_artifact, write_run, write_shelf

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Five synthetic models; two forms of cnn_4, of which int8 was timed; a row of weights that are gone."""
    folder = tmp_path / "artifacts"
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    write_shelf(folder)
    artifacts = cache.load_shelf().artifacts
    model = describe_model(artifacts["cnn_4"])
    number = {**share(380, 400), "changed": 4}
    rows = [
        {"model": model, "precision": precision, "litert_bytes": size, "sha256": "0", "val": number, "test": number}
        for precision, size in (("float16", 270_000), ("int8", 150_000))
    ]
    rows.append({"model": model, "precision": "float32", "error": "It crashes."})
    rows.append({**rows[0], "model": {"name": "cnn_3", "files": {"weights.safetensors": "others"}}})
    data = {"date": "2026-01-01", "model": None, "dataset": {"label": "synthetic"}}
    (folder / "forms.json").write_text(json.dumps({**data, "rows": rows}))
    looks = {name: {**share(390, 400), "ece": 0.004} for name in ("val", "test")}
    seeds = measure_seeds([artifacts["cnn_4"], artifacts["cnn_4"]])
    row = {"model": model, "single": looks, "views": looks, "seeds": seeds}
    (folder / "combined.json").write_text(json.dumps({**data, "rows": [row]}))
    record = json.loads((folder / "benchmark.json").read_text())
    timed = next(one for one in record["rows"] if (one["name"], one["engine"]) == ("cnn_4", "litert"))
    record["rows"].append({**timed, "precision": "int8", "latency_ms_median": 0.05})
    (folder / "benchmark.json").write_text(json.dumps(record))
    return folder


def test_forms_of_these_weights_become_points(shelf):
    forms = form_table(
        current_rows(cache.load_record("forms.json"), cache.load_shelf().artifacts), load_benchmark(shelf)
    )
    assert list(zip(forms["name"], forms["precision"], strict=True)) == [("cnn_4", "float16"), ("cnn_4", "int8")]
    by_size = form_points(forms, cache.leaderboard(), "weights_mb", ["cnn_4"])
    assert by_size["cost"].tolist() == pytest.approx([270_000 / 1024**2, 150_000 / 1024**2])
    assert by_size["accuracy"].tolist() == pytest.approx([95, 95]) and by_size["on"].all()
    by_time = form_points(forms, cache.leaderboard(), "latency_ms", [])
    assert by_time["cost"].tolist() == pytest.approx([0.07, 0.05])
    assert form_points(forms, cache.leaderboard(), "published_step_time_ms", []).empty
    points = figures.scatter_points(cache.leaderboard(), "weights_mb", None, ["cnn_4"])
    chart = figures.linked_cost_charts([(points, "MB")], ["cnn", "vgg"], "light", height=200, forms=[by_size])
    assert "Exported form" in json.dumps(chart.to_dict())
    assert list(figures.cost_data([points], [by_size])) == ["points0", "forms0"]


def test_no_record_gives_no_points(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path))
    assert form_table(current_rows(cache.load_record("forms.json"), {}), None).empty


@pytest.mark.parametrize("page", ["compare", "reports"])
def test_the_pages_show_the_records(shelf, page):
    at = AppTest.from_file(str(APP), default_timeout=120)
    at.run()
    at.switch_page(f"pages/{page}.py")
    at.query_params["reports_model"] = "cnn_4"
    at.run()
    assert not at.exception
    if page == "compare":
        assert "Small marks: exported forms" in "\n".join(caption.value for caption in at.caption)
        table = next(one.value for one in at.dataframe if "precision" in one.value.columns)
        assert table["test_accuracy"].tolist() == pytest.approx([95, 95])
    else:
        assert "More than one look" in [header.value for header in at.header]
        table = next(one.value for one in at.dataframe if "look" in one.value.columns)
        assert table["look"].tolist()[-1] == "mean of 2 seeds"
        assert "Calibration error **" in "\n".join(one.value for one in at.markdown)


def test_looks_are_one_pass_views_seeds_and_all_together(shelf):
    table = looks_table(json.loads((shelf / "combined.json").read_text())["rows"][0])
    assert len(table) == 5
    assert table["test_accuracy"].iloc[1] == pytest.approx(0.975)


def test_calibration_in_words():
    found = CalibrationTest(0.0042, (0.002, 0.0064), 0.0024, 0.0041, 0.03, 3421)
    text = describe_calibration(found)
    assert "**0.42 %** (95 %: 0.20 to 0.64 %), more than chance" in text and "3,421 images" in text
    assert "no more than chance" in describe_calibration(CalibrationTest(0.002, (0, 0.004), 0.0024, 0.0041, 0.7, 3421))


def test_seeds_that_were_trained_elsewhere_are_named(tmp_path):
    write_artifact(tmp_path, "cnn_4")
    write_run(tmp_path, "cnn_4.s1", seed=1)
    write_run(tmp_path, "cnn_4.s2", seed=2, backend="jax", device="a graphics card")
    shelf = load_shelf(tmp_path)
    row = {"model": {"name": "cnn_4"}, "seeds": {"members": [{"name": name} for name in ("cnn_4", *shelf.runs)]}}
    assert describe_members(row, shelf) == "seed 2 (jax, a graphics card)"
    assert describe_members({**row, "seeds": None}, shelf) == ""

"""What pages read: from the shelf as it is now, never from one that was."""

import json
import shutil

import numpy as np
import pytest
from shelf import SHELF, write_artifact, write_benchmark, write_shelf

from bloodcell.evaluation import softmax
from bloodcell.views import cache


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    folder = tmp_path / "artifacts"
    write_shelf(folder)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    return folder


def test_leaderboard_is_sorted_and_complete(shelf):
    table = cache.leaderboard()
    assert tuple(table.columns) == cache.LEADERBOARD_COLUMNS
    assert set(table["name"]) == set(SHELF)
    assert table["test_accuracy"].is_monotonic_decreasing
    row = table.set_index("name").loc["vgg16_dropout"]
    assert row["published_accuracy"] == pytest.approx(0.9643)
    assert row["weights_mb"] == pytest.approx(4 * 5_787_560 / 1024**2)
    assert row["latency_ms"] == pytest.approx(2.0)
    assert row["family"] == "vgg" and row["origin"] == "study"
    assert row["test_low"] < row["test_accuracy"] < row["test_high"]


def test_empty_shelf_has_an_empty_leaderboard(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "nothing"))
    assert cache.leaderboard().empty
    assert tuple(cache.leaderboard().columns) == cache.LEADERBOARD_COLUMNS
    assert cache.default_model() is None
    assert cache.load_benchmark() is None
    assert cache.load_evaluation("cnn_4") is None
    assert cache.load_predictions("cnn_4") is None
    assert cache.load_probabilities("cnn_4") is None
    assert cache.load_history("cnn_4") is None
    assert cache.load_engine("cnn_4") is None


def test_a_retrained_model_shows_its_new_numbers(shelf):
    before = cache.load_evaluation("cnn_4").accuracy
    write_artifact(shelf, "cnn_4", accuracy=0.5)
    after = cache.load_evaluation("cnn_4").accuracy
    assert before > 0.8 and after < 0.7
    assert cache.leaderboard().set_index("name").loc["cnn_4", "test_accuracy"] == pytest.approx(after)


def test_within_a_run_the_disk_is_asked_once_and_the_next_run_sees_what_is_new(shelf, monkeypatch):
    reads = []
    read = cache._folder_state
    monkeypatch.setattr(cache, "_folder_state", lambda directory: reads.append(directory) or read(directory))
    monkeypatch.setattr(cache, "LOOK_S", 60.0)
    cache.begin_run()
    assert cache.load_artifact("cnn_4") and cache.load_artifact("cnn_3")
    folders = list(reads)
    assert len(folders) == len(set(folders))
    shutil.rmtree(shelf / "cnn_4")
    cache.begin_run()
    assert cache.load_artifact("cnn_4") is None
    assert reads == 2 * folders
    monkeypatch.setattr(cache, "LOOK_S", -1.0)
    cache.begin_run()
    shutil.rmtree(shelf / "cnn_3")
    assert cache.load_artifact("cnn_3") is None


def test_a_damaged_artifact_is_named_and_left_out(shelf):
    (shelf / "cnn_3" / "evaluation.json").write_text("{}")
    assert "cnn_3" not in set(cache.leaderboard()["name"])
    assert [item.name for item in cache.load_shelf().damaged] == ["cnn_3"]


def test_a_removed_artifact_is_gone(shelf):
    assert cache.load_artifact("cnn_3") is not None
    shutil.rmtree(shelf / "cnn_3")
    assert cache.load_artifact("cnn_3") is None


def test_probabilities_are_calibrated_and_read_only(shelf):
    predictions = cache.load_predictions("cnn_se")
    probabilities = cache.load_probabilities("cnn_se")
    temperature = cache.load_artifact("cnn_se").manifest.temperature
    np.testing.assert_allclose(probabilities, softmax(predictions.logits, temperature), rtol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        probabilities[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        predictions.logits[0, 0] = 1


def test_default_is_the_fastest_near_the_best_on_val(shelf):
    """Made nearly as accurate as the best, the small network wins by its speed."""
    assert cache.default_model() == "vgg16_dropout"
    write_artifact(shelf, "cnn_se", accuracy=0.999)
    assert cache.default_model() == "cnn_se"


def test_benchmark_is_read_again_when_it_changes(shelf):
    write_benchmark(shelf, {"cnn_4": 7.0})
    assert cache.leaderboard().set_index("name").loc["cnn_4", "latency_ms"] == pytest.approx(7.0)
    assert np.isnan(cache.leaderboard().set_index("name").loc["cnn_3", "latency_ms"])


def test_unreadable_benchmark_counts_as_none(shelf):
    (shelf / "benchmark.json").write_text(json.dumps({"rows": []}))
    assert cache.load_benchmark() is None
    assert cache.leaderboard()["latency_ms"].isna().all()


def test_own_measurement_lies_in_the_cache_and_leaves_the_record_alone(shelf):
    record = (shelf / "benchmark.json").read_bytes()
    assert cache.load_own_benchmark() is None
    write_benchmark(cache.own_benchmark_directory(), {"cnn_4": 3.0}, processor="my own")
    assert cache.load_own_benchmark().machine["processor"] == "my own"
    assert cache.load_benchmark().machine["processor"] == "a processor"
    assert (shelf / "benchmark.json").read_bytes() == record


def test_timings_are_those_of_litert(shelf):
    assert cache.benchmark_timings(cache.load_benchmark())["cnn_4"] == pytest.approx((0.07, 1.4))
    assert cache.benchmark_timings(None) == {}

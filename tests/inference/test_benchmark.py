"""The benchmark: what is measured and in which order, never how fast this machine is."""

import json
import subprocess
import sys

import numpy as np
import pytest
from shelf import write_benchmark

from bloodcell.artifact import load_artifact, load_shelf
from bloodcell.inference import measure_time
from bloodcell.inference.benchmark import (
    FULL,
    QUICK,
    STEP_BATCH_SIZE,
    Contender,
    Effort,
    describe_machine,
    load_benchmark,
    run_benchmark,
    save_benchmark,
)
from bloodcell.inference.runners import KerasRunner, LitertRunner

TINY = Effort(num_rounds=2, visit_s=0.005, batch_sizes=(1, 4, STEP_BATCH_SIZE))
ROW = {
    "name",
    "engine",
    "precision",
    "latency_ms_median",
    "latency_ms_p95",
    "step_time_ms",
    "batch_size",
    "best_batch_size",
    "throughput_images_per_s",
    "peak_memory_mb",
    "parameters",
    "flops",
    "weights_bytes_float32",
    "weights_bytes_stored",
    "litert_bytes",
}


def check_record(record, engines):
    assert {"date", "machine", "versions", "threads", "note", "rows"} <= record.keys()
    assert record["threads"] == 2
    assert set(record["machine"]) == {"processor", "num_cores", "memory_gb", "system", "python"}
    assert "ai-edge-litert" in record["versions"]
    assert "2 threads" in record["note"]
    assert [(row["name"], row["engine"]) for row in record["rows"]] == engines
    for row in record["rows"]:
        assert row.keys() >= ROW
        assert 0 < row["latency_ms_median"] <= row["latency_ms_p95"]
        assert row["batch_size"] == STEP_BATCH_SIZE
        assert row["step_time_ms"] > 0
        assert row["best_batch_size"] in TINY.batch_sizes
        assert row["throughput_images_per_s"] >= 0.999 * STEP_BATCH_SIZE / row["step_time_ms"] * 1000
        assert row["peak_memory_mb"] > 0
        assert row["engine_memory_mb"] > 10


def test_litert_record(small_artifacts, tmp_path):
    reports = []
    artifacts = list(load_shelf().artifacts.values())
    record = run_benchmark(
        artifacts, engines=("litert",), effort=TINY, on_progress=lambda *report: reports.append(report)
    )
    check_record(record, [("cnn_3", "litert"), ("cnn_4", "litert")])
    assert "tensorflow" not in record["versions"]
    row = record["rows"][0]
    assert row["parameters"] == 171_624
    assert row["weights_bytes_float32"] == 4 * 171_624
    assert row["litert_bytes"] == artifacts[0].litert_path.stat().st_size
    assert row["flops"] > 10**7
    done = [report[0] for report in reports]
    assert done == sorted(done)
    assert {report[1] for report in reports} == {6}  # two rounds and one look at the memory, for each of two models
    assert reports[-1][0] == 6
    save_benchmark(record, tmp_path / "benchmark.json")
    read = load_benchmark(tmp_path)
    assert read is not None
    assert read.record == record
    assert list(read.rows["name"]) == ["cnn_3", "cnn_4"]
    assert read.latencies() == {row["name"]: row["latency_ms_median"] for row in record["rows"]}
    assert (read.date, read.threads, read.note) == (record["date"], 2, record["note"])


@pytest.mark.slow
def test_record_of_both_engines(small_artifacts):
    record = run_benchmark([load_artifact("cnn_3")], effort=TINY)
    check_record(record, [("cnn_3", "litert"), ("cnn_3", "keras")])
    assert record["rows"][1]["litert_bytes"] is None
    assert record["rows"][1]["precision"] == "float32"
    assert "tensorflow" in record["versions"]


def test_no_artifact_is_a_wrong_argument():
    with pytest.raises(ValueError, match="at least one"):
        run_benchmark([])


def test_both_engines_compute_the_same(small_artifacts):
    artifact = load_artifact("cnn_3")
    inputs = np.random.default_rng(0).random((3, 64, 64, 3), dtype=np.float32)
    keras_runner = KerasRunner(Contender("cnn_3", str(artifact.directory), "keras", "float32", ""))
    form = str(artifact.litert_path)
    litert_runner = LitertRunner(Contender("cnn_3", str(artifact.directory), "litert", "float16", form), 2, 32)
    for size in (1, 3):
        expected = keras_runner.runner(size)(inputs[:size])
        assert isinstance(expected, np.ndarray)
        np.testing.assert_allclose(litert_runner.runner(size)(inputs[:size]), expected, atol=0.01)


def test_models_take_turns_in_every_round(monkeypatch):
    """Each round visits every contender with every batch size before the next begins, in an order drawn anew."""
    visits = []

    class FakeRunner:
        def __init__(self, contender, *_):
            self.name = contender.name

        def runner(self, size):
            visits.append((self.name, size))
            return lambda inputs: inputs

    monkeypatch.setattr(measure_time, "LitertRunner", FakeRunner)
    monkeypatch.setattr(measure_time, "report_progress", lambda *_: None)
    monkeypatch.setattr(measure_time.gc, "collect", lambda: 0)
    names = [f"model_{index}" for index in range(6)]
    contenders = [Contender(name, "", "litert", "float16", "form") for name in names]
    effort = Effort(3, 0.0, (1, STEP_BATCH_SIZE))
    samples = measure_time.measure(contenders, effort, 2)
    rounds = [visits[start : start + 12] for start in range(0, 36, 12)]
    assert len(visits) == 36
    for visited in rounds:
        assert sorted(visited) == sorted((name, size) for name in names for size in (1, STEP_BATCH_SIZE))
    assert len({tuple(visited) for visited in rounds}) == 3
    assert all(len(seconds) == 3 for one in samples for seconds in one.values())  # one pass in each of three rounds


def test_a_turn_is_bounded_in_time_and_number():
    passes = []
    seconds = measure_time.time_passes(lambda inputs: passes.append(1), np.zeros(1), visit_s=60.0)
    assert len(seconds) == measure_time.MOST_PASSES
    assert len(passes) == measure_time.MOST_PASSES + 2
    passes.clear()
    assert len(measure_time.time_passes(lambda inputs: passes.append(1), np.zeros(1), visit_s=0.0)) == 1
    assert len(passes) == 2, "of a pass that outlasts its turn, one is not counted and one is"


def test_summary_by_hand():
    samples = {1: [0.001] * 19 + [0.010], 32: [0.016, 0.020, 0.012], 128: [0.128, 0.128]}
    summary = measure_time.summarize(samples)
    assert summary["latency_ms_median"] == pytest.approx(1.0)
    assert 1.0 < summary["latency_ms_p95"] <= 10.0
    assert summary["step_time_ms"] == pytest.approx(16.0)
    assert summary["throughput_images_per_s"] == pytest.approx(2000.0)
    assert summary["best_batch_size"] == 32


def test_efforts_time_what_the_record_needs():
    for effort in (FULL, QUICK):
        assert {1, STEP_BATCH_SIZE} <= set(effort.batch_sizes)
    assert set(FULL.batch_sizes) == {1, 8, 32, 128, 256}


def test_a_missing_or_damaged_record_counts_as_none(tmp_path, caplog):
    assert load_benchmark(tmp_path) is None
    assert caplog.text == ""
    path = write_benchmark(tmp_path, {"cnn_3": 0.1})
    assert load_benchmark(tmp_path) is not None
    record = json.loads(path.read_text())
    del record["rows"][0]["latency_ms_median"]
    for text in ("{", "[]", "null", '{"rows": []}', json.dumps(record), '{"rows": 3}'):
        path.write_text(text)
        caplog.clear()
        assert load_benchmark(tmp_path) is None
        assert "no benchmark record" in caplog.text


def test_columns_that_no_page_needs_may_be_absent_or_null(tmp_path):
    path = write_benchmark(tmp_path, {"cnn_3": 0.1})
    record = json.loads(path.read_text())
    first, second = record["rows"]
    for column in ROW - {"name", "engine", "precision", "latency_ms_median", "step_time_ms"}:
        first[column] = None
        del second[column]
    record["machine"] |= {"num_cores": None, "memory_gb": None}
    del record["versions"]
    path.write_text(json.dumps(record))
    assert load_benchmark(tmp_path) is not None


def test_only_the_shipped_kind_of_form_gives_latencies(tmp_path):
    write_benchmark(tmp_path, {"cnn_3": 0.1, "cnn_4": 0.2})
    benchmark = load_benchmark(tmp_path)
    assert benchmark is not None
    assert benchmark.latencies() == {"cnn_3": 0.1, "cnn_4": 0.2}


def test_machine_is_described():
    machine = describe_machine()
    assert machine["num_cores"] >= 1
    assert len(machine["processor"]) > 2
    assert machine["memory_gb"] > 0.1


def test_peak_memory_sees_what_was_held_and_let_go():
    """In a process of its own: one that has trained holds on to freed memory, and takes these 200 MB out of that."""
    code = """
import numpy as np
from bloodcell.inference.memory import peak_memory_bytes, reset_peak
before = reset_peak()
held = np.ones(25_000_000)
del held
print(peak_memory_bytes() - before)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(found.stdout) > 150 * 1024**2

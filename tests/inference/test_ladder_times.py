"""What the ladder costs is measured on untrained networks, in the form of the benchmark record."""

from bloodcell.artifact import load_shelf
from bloodcell.files import artifacts_directory
from bloodcell.inference.benchmark import Effort, load_benchmark, save_benchmark
from bloodcell.inference.ladder_times import LADDER_TIMES_FILE, measure_ladder
from bloodcell.models.graphs import find_graph


def test_untrained_networks_are_timed_and_the_record_reads_back(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "artifacts"))
    record = measure_ladder(["net2"], Effort(num_rounds=1, visit_s=0.01, batch_sizes=(1, 32)))
    (row,) = record["rows"]
    graph = find_graph("net2")
    assert (row["name"], row["engine"], row["precision"]) == ("net2", "litert", "float16")
    assert (row["parameters"], row["flops"]) == (graph["parameters"], graph["flops"])
    assert 0 < row["latency_ms_median"] < row["step_time_ms"]
    assert not load_shelf().artifacts  # nothing untrained comes onto the shelf
    save_benchmark(record, artifacts_directory() / LADDER_TIMES_FILE)
    assert load_benchmark(file_name=LADDER_TIMES_FILE).latencies() == {"net2": row["latency_ms_median"]}
    assert not load_shelf().damaged

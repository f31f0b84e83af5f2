"""What the ladder costs is measured on untrained networks, in the form of the benchmark record."""

from bloodcell.artifact import load_shelf
from bloodcell.files import artifacts_directory
from bloodcell.inference.benchmark import Effort, group_alike, load_benchmark, save_benchmark
from bloodcell.inference.ladder_times import LADDER_TIMES_FILE, measure_ladder
from bloodcell.models.graphs import find_graph
from bloodcell.training.experiments import LADDER_NETWORKS


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


def test_networks_that_differ_in_training_alone_are_timed_as_one(monkeypatch):
    names = list(dict.fromkeys(LADDER_NETWORKS.values()))
    groups = group_alike({name: name for name in names})
    assert sorted(name for alike in groups.values() for name in alike) == sorted(names)
    flops = {first: {find_graph(name)["flops"] for name in alike} for first, alike in groups.items()}
    assert all(len(values) == 1 for values in flops.values())
    together = next(alike for alike in groups.values() if "cnn_bn_dropout40" in alike)
    assert {"cnn_bn", "net4_bn_dropout50", "net4_bn_dropout40_l2_1e-2"} <= set(together)
    assert not {"cnn_residual", "net4_dropout40", "net4_bn_dropout40_se"} & set(together)
    monkeypatch.setattr("bloodcell.inference.ladder_times.run_child", lambda *arguments, **options: None)
    rows = [{"name": first, "latency_ms_median": number} for number, first in enumerate(groups)]
    monkeypatch.setattr("bloodcell.inference.ladder_times.run_benchmark", lambda *a, **k: {"rows": rows})
    times = {row["name"]: row["latency_ms_median"] for row in measure_ladder(names)["rows"]}
    assert set(times) == set(names) and times["cnn_bn"] == times["cnn_bn_dropout40"] != times["cnn_residual"]

"""Records with one row per model: exported forms on val and test, eight views, and seeds together."""

import dataclasses
import json

import numpy as np
import pytest

from bloodcell.__main__ import main
from bloodcell.artifact import Predictions, load_artifact, load_shelf
from bloodcell.dataset import load_split, prepare_images
from bloodcell.errors import EngineError
from bloodcell.evaluation import softmax
from bloodcell.inference import form_accuracy, load_engine
from bloodcell.inference.combined import find_seeds, measure_combined, measure_seeds
from bloodcell.inference.form_accuracy import measure_forms, merge_rows
from bloodcell.inference.views import make_views
from tests.shelf import make_predictions, write_artifact


@pytest.fixture
def splits(small_dataset):
    return [load_split("val"), load_split("test")]


def test_a_form_is_measured_on_every_image(pooled_artifacts, splits):
    artifact = load_artifact("hemanet_nano")
    float16, int8 = measure_forms([artifact], splits, ("float16", "int8"))
    engine = load_engine(artifact)
    for split in splits:
        right = engine.compute_logits(prepare_images(split.images)).argmax(axis=1) == split.labels
        assert float16[split.name]["count"] == right.sum() and float16[split.name]["n"] == split.num_images
        assert float16[split.name]["changed"] == 0
    assert float16["litert_bytes"] == artifact.litert_path.stat().st_size
    assert int8["litert_bytes"] < float16["litert_bytes"] * 1.2
    assert int8["test"]["count"] >= 0.6 * float16["test"]["count"]


def test_a_form_that_cannot_be_built_has_a_sentence(small_artifacts, splits, monkeypatch):
    def refuse(artifact, precision):
        raise EngineError("It crashes.")

    monkeypatch.setattr(form_accuracy, "ensure_litert", refuse)
    (row,) = measure_forms([load_artifact("cnn_3")], splits, ("int8",))
    assert row["error"] == "It crashes." and "test" not in row


def test_new_rows_replace_those_of_the_same_model_and_form():
    def row(name, precision, value):
        return {"model": {"name": name}, "precision": precision, "value": value}

    old = [row("a", "int8", 1), row("a", "float16", 1), row("b", "int8", 1)]
    merged = merge_rows(old, [row("a", "int8", 2)])
    assert [(one["model"]["name"], one["precision"], one["value"]) for one in merged] == [
        ("a", "float16", 1),
        ("a", "int8", 2),
        ("b", "int8", 1),
    ]


def test_eight_views_are_the_mean_of_their_probabilities(pooled_artifacts, splits):
    artifact = load_artifact("hemanet_nano")
    engine = load_engine(artifact)
    row = measure_combined(artifact, {}, engine, splits)
    test = splits[1]
    scores = [softmax(engine.compute_logits(np.ascontiguousarray(view)), artifact.manifest.temperature)
              for view in make_views(prepare_images(test.images))]  # fmt: skip
    right = np.mean(scores, axis=0).argmax(axis=1) == test.labels
    assert row["views"]["test"]["count"] == right.sum()
    assert row["single"]["test"]["share"] == artifact.load_evaluation("test")["accuracy"]
    assert row["seeds"] is None


def test_seeds_together_are_the_mean_over_trainings(tmp_path):
    """Three trainings of one recipe; a fourth of another recipe does not count; images are matched by pixels."""
    members = []
    for seed in range(3):
        predictions = []
        for split in ("val", "test"):
            one = make_predictions(split, 0.8, seed=7, num_images=300)
            noise = np.random.default_rng(seed).normal(0, 3, one.logits.shape).astype(np.float32)
            order = np.random.default_rng(seed).permutation(300)
            predictions.append(
                Predictions(split, one.y_true[order], (one.logits + noise)[order], one.image_hashes[order])
            )
        artifact = write_artifact(tmp_path / str(seed), "cnn_4", predictions=predictions)
        members.append(dataclasses.replace(artifact, manifest=dataclasses.replace(artifact.manifest, seed=seed)))
    other = dataclasses.replace(
        members[2], manifest=dataclasses.replace(members[2].manifest, seed=5, recipe={"num_epochs": 9})
    )
    runs = {"b": members[2], "a": members[1], "other": other}
    assert [run.manifest.seed for run in find_seeds(members[0], runs)] == [1, 2]
    found = measure_seeds(members)
    stored = [one.load_predictions("test") for one in members]
    by_hash = [dict(zip(one.image_hashes.tolist(), softmax(one.logits), strict=True)) for one in stored]
    label = dict(zip(stored[0].image_hashes.tolist(), stored[0].y_true.tolist(), strict=True))
    right = sum(np.mean([one[key] for one in by_hash], axis=0).argmax() == label[key] for key in label)
    assert found["ensemble"]["test"]["count"] == right
    assert found["ensemble"]["test"]["share"] > max(one["test"]["share"] for one in found["single"])
    assert measure_seeds(members[:1]) is None


def test_the_commands_keep_other_models_rows(pooled_artifacts_folder, small_dataset, tmp_path, monkeypatch, capsys):
    import shutil

    folder = tmp_path / "artifacts"
    shutil.copytree(pooled_artifacts_folder, folder)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    name = next(iter(load_shelf().artifacts))
    assert main(["measure", "combined", name]) == 0
    assert "eight views" in capsys.readouterr().out
    record = json.loads((folder / "combined.json").read_text())
    record["rows"].append({"model": {"name": "zzz", "files": {}}})
    (folder / "combined.json").write_text(json.dumps(record))
    assert main(["measure", "combined", "--json"]) == 0
    assert [row["model"]["name"] for row in json.loads(capsys.readouterr().out)["rows"]] == [name, "zzz"]

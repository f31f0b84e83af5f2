"""`experiment` trains what is missing, as runs, says what is done, and can be stopped and repeated."""

import json
from dataclasses import asdict

import pytest
from shelf import write_artifact

from bloodcell import __main__ as command_line
from bloodcell import pipeline
from bloodcell.artifact import load_shelf
from bloodcell.training import RECIPES, experiments
from bloodcell.training.experiments import Experiment, Trial

SMALL = Experiment(
    "ladder",
    "Does it run?",
    (Trial("cnn_2", "smoke", 0, "base"), Trial("net2", "smoke", 0, "another"), Trial("cnn_2", "smoke", 1, "base")),
)


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Return a function that runs `experiment ladder` on a small plan and gives (exit code, JSON, standard error)."""
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setitem(experiments.EXPERIMENTS, "ladder", SMALL)

    def run_command(*arguments):
        capsys.readouterr()
        code = command_line.main(["experiment", "ladder", "--json", *arguments])
        captured = capsys.readouterr()
        return code, json.loads(captured.out or "null"), captured.err

    return run_command


def test_listing_needs_neither_dataset_nor_training(run, capsys):
    code, found, _ = run("--list")
    assert (code, found["done"], found["missing"]) == (0, 0, 3)
    assert command_line.main(["experiment", "augmentation", "--list"]) == 0
    out = capsys.readouterr().out
    assert "0 of 22 done, 22 missing" in out
    assert "./dev python -m bloodcell experiment augmentation" in out


def test_training_without_a_dataset_says_so(run):
    code, _, err = run()
    assert code == 1
    assert "data download" in err


def test_trials_are_trained_in_order_once_and_replaced_only_when_asked(run, small_dataset, tmp_path):
    code, found, err = run("--only", "2")
    assert code == 0
    assert [row["state"] for row in found["trials"]] == ["done", "done", "missing"]
    assert "Training 1 of 2: cnn_2.smoke-seed0" in err
    shelf = load_shelf(tmp_path / "artifacts")
    assert list(shelf.runs) == ["cnn_2.smoke-seed0", "net2.smoke-seed0"] and not shelf.artifacts
    assert shelf.runs["net2.smoke-seed0"].manifest.command == (
        "./dev python -m bloodcell train net2 --recipe smoke --seed 0 --run smoke-seed0 --force"
    )
    before = shelf.runs["cnn_2.smoke-seed0"].fingerprint

    (tmp_path / "artifacts/runs/net2.smoke-seed0/evaluation.json").write_text("{}")
    code, found, err = run()
    assert [row["state"] for row in found["trials"]] == ["done", "damaged", "done"]
    assert "net2.smoke-seed0 is damaged" in err and "--force" in err

    code, found, _ = run("--force")
    assert (code, found["done"], found["missing"]) == (0, 3, 0)
    assert all(0 <= row["test_accuracy"] <= 1 and row["trained_as"] == "run" for row in found["trials"])
    assert load_shelf(tmp_path / "artifacts").runs["cnn_2.smoke-seed0"].fingerprint == before


def test_a_seed_is_trained_as_its_artifact_was(run, tmp_path, monkeypatch):
    seeds = tuple(Trial("cnn_2", "smoke", seed, f"seed {seed}", as_artifact=True) for seed in (0, 1))
    monkeypatch.setitem(experiments.EXPERIMENTS, "ladder", Experiment("ladder", "How much is chance?", seeds))
    recipe = asdict(RECIPES["smoke"]) | {"batch_size": 32}
    write_artifact(tmp_path / "artifacts", "cnn_2", recipe_name="smoke", recipe=recipe)
    asked = []
    monkeypatch.setattr(pipeline, "load_or_train", lambda name, **options: asked.append((name, options)))
    run()
    assert [(name, one["seed"], one["changes"]) for name, one in asked] == [("cnn_2", 1, {"batch_size": 32})]

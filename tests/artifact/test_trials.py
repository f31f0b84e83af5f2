"""A trial is found where it was trained, and nothing counts that was trained otherwise."""

from dataclasses import asdict

import pytest
from shelf import write_artifact, write_run

from bloodcell.artifact import load_shelf
from bloodcell.artifact.trials import count_epochs, find_trial, find_trials
from bloodcell.training import RECIPES
from bloodcell.training.experiments import EXPERIMENTS, Trial

BASE = Trial("cnn_bn_dropout40", "study", 0, "base")
SECOND = Trial("cnn_bn_dropout40", "study", 1, "base")
STUDY = asdict(RECIPES["study"])


def state(folder, trial, **options):
    return find_trial(load_shelf(folder), trial, **options)


def test_nothing_is_trained_on_an_empty_shelf(tmp_path):
    states = find_trials(load_shelf(tmp_path), EXPERIMENTS["ladder"].trials)
    assert {one.state for one in states} == {"missing"}
    as_artifacts = {one.trial.model for one in states if one.is_artifact}
    assert as_artifacts == {"cnn_bn_dropout40", "cnn_bn", "cnn_residual"}
    assert all(one.trial.seed == 0 for one in states if one.is_artifact)


def test_the_artifact_counts_where_recipe_seed_and_data_are_equal(tmp_path):
    artifact = write_artifact(tmp_path, BASE.model, recipe_name="study", recipe=STUDY)
    found = state(tmp_path, BASE)
    assert (found.state, found.artifact.kind) == ("done", "artifact")
    assert state(tmp_path, SECOND).state == "missing"
    assert state(tmp_path, BASE, dataset_md5=artifact.manifest.dataset["md5"]).state == "done"
    assert state(tmp_path, BASE, dataset_md5="f" * 32).state == "missing"


@pytest.mark.parametrize(("field", "value", "counts"), [("num_epochs", 32, False), ("xla", True, True)])
def test_another_recipe_does_not_count_unless_it_is_faster_alone(tmp_path, field, value, counts):
    write_artifact(tmp_path, BASE.model, recipe_name="study", recipe=STUDY | {field: value})
    found = state(tmp_path, BASE)
    assert found.state == ("done" if counts else "missing")
    assert not found.is_artifact  # the artifact that is there is not replaced


def test_a_field_that_recipes_did_not_have_yet_is_at_its_default(tmp_path):
    older = {key: value for key, value in STUDY.items() if key != "ema_decay"}
    write_artifact(tmp_path, BASE.model, recipe_name="study", recipe=older)
    assert state(tmp_path, BASE).state == "done"


def test_runs_are_found_by_name_and_checked(tmp_path):
    write_run(tmp_path, SECOND.run_name, seed=1, recipe_name="study", recipe=STUDY)
    found = state(tmp_path, SECOND)
    assert (found.state, found.artifact.kind) == ("done", "run")
    assert state(tmp_path, BASE).state == "missing"
    write_run(tmp_path, SECOND.run_name, seed=5, recipe_name="study", recipe=STUDY | {"num_epochs": 3})
    found = state(tmp_path, SECOND)
    assert found.state == "different"
    assert found.reason == "num epochs 3, not 20 and seed 5, not 1"
    assert "another dataset" in state(tmp_path, SECOND, dataset_md5="f" * 32).reason


def test_a_damaged_run_is_named(tmp_path):
    run = write_run(tmp_path, SECOND.run_name, seed=1, recipe_name="study", recipe=STUDY)
    (run.directory / "history.csv").write_text("epoch\n")
    found = state(tmp_path, SECOND)
    assert found.state == "damaged" and found.artifact is None
    assert "history.csv" in found.reason


def test_a_further_seed_follows_the_recipe_of_its_artifact(tmp_path):
    shortened = STUDY | {"num_epochs": 8}
    seeds = [Trial(BASE.model, "study", seed, f"seed {seed}", as_artifact=True) for seed in (0, 1)]
    write_artifact(tmp_path, BASE.model, recipe_name="study", recipe=shortened)
    assert [state(tmp_path, one).state for one in seeds] == ["done", "missing"]
    assert state(tmp_path, seeds[1]).changes == {"num_epochs": 8}
    assert state(tmp_path, SECOND).changes == {}  # an arm of a planned comparison keeps the planned recipe
    write_run(tmp_path, seeds[1].run_name, seed=1, recipe_name="study", recipe=STUDY)
    found = state(tmp_path, seeds[1])
    assert (found.state, found.reason, found.changes) == ("different", "num epochs 20, not 8", {"num_epochs": 8})
    write_run(tmp_path, seeds[1].run_name, seed=1, recipe_name="study", recipe=shortened)
    assert state(tmp_path, seeds[1]).state == "done"
    assert all(trial.as_artifact for trial in EXPERIMENTS["seeds"].trials)


def test_epochs_are_those_asked_for_beside_those_planned(tmp_path):
    def counted(**fields):
        return count_epochs(write_artifact(tmp_path, BASE.model, **fields))

    assert counted(recipe_name="study", recipe=STUDY | {"num_epochs": 8}) == (8, 20)
    assert counted(recipe_name="study", recipe=STUDY) == (20, 20)
    assert counted(recipe_name="a live training", recipe={"num_epochs": 3}) == (3, 3)

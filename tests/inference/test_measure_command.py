"""`measure` fits guards and stores records; `classify` then refuses what is no cell, whichever model is asked."""

import json
import shutil

import numpy as np
import pytest
from made_crossval import make_crossval
from PIL import Image

from bloodcell import __main__ as command_line
from bloodcell.artifact import load_artifact, load_shelf
from bloodcell.artifact.crossval import CROSSVAL_FILE, load_crossvals, save_crossval
from bloodcell.dataset import CLASS_NAMES, load_split
from bloodcell.inference import trust
from bloodcell.inference.guard import has_guard
from bloodcell.inference.noncells import draw_noncells


@pytest.fixture
def run(capsys):
    """Return a function that runs a command here and gives (exit code, standard output, standard error)."""

    def run_command(*arguments):
        capsys.readouterr()
        try:
            code = command_line.main([str(argument) for argument in arguments])
        except SystemExit as ending:
            code = ending.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


@pytest.fixture
def shelf(pooled_artifacts_folder, small_dataset, tmp_path, monkeypatch):
    """A shelf with one pooled network and no guard yet."""
    folder = tmp_path / "artifacts"
    shutil.copytree(pooled_artifacts_folder, folder)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    return folder


def test_without_a_guard_the_command_that_fits_it_is_named(run, shelf):
    for what in ("trust", "robustness"):
        code, out, err = run("measure", what)
        assert (code, out) == (1, "")
        assert "measure guard" in err


def test_wrong_usage(run, shelf, monkeypatch):
    assert run("measure")[0] == 2
    assert run("measure", "luck")[0] == 2
    code, _, err = run("measure", "guard", "cnn_9")
    assert code == 1 and "cnn_9" in err
    run("measure", "guard")
    monkeypatch.setenv("BLOODCELL_FIELDS", str(shelf / "nowhere"))
    code, _, err = run("measure", "trust")
    assert code == 1 and "no folder" in err


def test_a_guard_is_fitted_and_trust_and_robustness_measured(run, shelf):
    code, out, _ = run("measure", "guard", "--json")
    assert code == 0
    assert json.loads(out)["fingerprint"] == load_artifact("hemanet_nano").fingerprint
    assert has_guard(load_artifact("hemanet_nano"))

    code, out, err = run("measure", "trust", "--max-images", "16", "--json")
    record = json.loads(out)
    assert code == 0
    assert record["test"]["n"] == 16
    assert "BLOODCELL_FIELDS" in err
    assert not (shelf / trust.TRUST_FILE).exists()  # a part of the test images is no record

    code, out, _ = run("measure", "trust")
    assert code == 0
    stored = trust.load_record(trust.TRUST_FILE)
    assert stored["test"]["n"] == 48
    assert trust.is_current(stored, load_artifact("hemanet_nano"))
    assert str(stored["noncells"]["refused"]["count"]) in out

    code, out, _ = run("measure", "robustness", "--json")
    assert code == 0
    assert json.loads(out) == trust.load_record(trust.ROBUSTNESS_FILE)
    assert [one["name"] for one in json.loads(out)["models"]] == ["hemanet_nano"]
    assert load_shelf().damaged == ()


def test_classify_refuses_under_the_default_models_guard(run, shelf, tmp_path, monkeypatch):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(draw_noncells(1, seed=1)["pages of text"][0]).save(folder / "a.png")
    Image.fromarray(load_split("test").images[0]).save(folder / "b.png")
    assert [one["status"] for one in json.loads(run("classify", folder, "--json")[1])] == ["ok", "ok"]
    run("measure", "guard")
    code, out, _ = run("classify", folder, "--json", "--coverage", "0.9")
    page, cell = json.loads(out)
    assert code == 0
    assert page["status"] in ("not_a_cell", "unfamiliar")
    assert (page["label"], page["probability"], page["probabilities"], page["prediction_set"]) == (None, None, None, [])
    assert page["reasons"]
    assert cell["status"] == "ok"
    assert cell["label"] in CLASS_NAMES
    code, out, _ = run("classify", folder, "--coverage", "0.9")
    assert f"a.png: {page['status'].replace('_', ' ')}" in out
    assert page["reasons"][0] in out
    code, out, _ = run("classify", folder / "b.png")  # 40 val images promise no 99 %: every type stays possible
    assert "b.png: uncertain, " in out and " or " in out
    assert run("classify", folder, "--coverage", "1.5")[0] == 2


@pytest.mark.slow
def test_unseen_types_are_trained_without_and_measured(run, shelf, tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_CACHE", str(tmp_path / "cache"))
    code, out, err = run("measure", "unseen", "--model", "cnn_3", "--epochs", "1", "--json")
    record = json.loads(out)
    assert code == 0
    assert [one["name"] for one in record["types"]] == list(CLASS_NAMES)
    assert "without basophil (1 of 8)" in err
    runs = load_shelf().runs
    assert sorted(runs) == sorted(one["run"] for one in record["types"])
    without = runs["cnn_3.without-immature-granulocyte"]
    assert "without immature granulocyte" in without.manifest.dataset["label"]
    assert 3 not in without.load_predictions("val").y_true
    assert np.isin(3, without.load_predictions("test").y_true)
    assert record == trust.load_record(trust.UNSEEN_FILE)


def test_a_network_is_cross_validated_and_what_was_answered_is_kept(run, shelf, tmp_path):
    code, out, err = run("measure", "crossval", "cnn_3.short", "--epochs", "1", "--folds", "2", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["name"], found["num_folds"], found["num_epochs"], found["right"]["n"]) == ("cnn_3.short", 2, 1, 96)
    assert "Fold 2 of 2." in err and err.count("cnn_3.short epoch 1/1") == 2
    assert found["command"] == "./dev python -m bloodcell measure crossval cnn_3.short --epochs 1 --folds 2"
    stored = load_crossvals(shelf)["cnn_3.short"]
    answers = stored.predictions
    assert np.array_equal(answers.y_true, load_split("train").labels)
    assert np.array_equal(answers.image_hashes, load_split("train").image_hashes)
    assert (answers.logits.argmax(axis=1) == answers.y_true).sum() == found["right"]["count"]
    assert not list((tmp_path / "cache" / "training").rglob("*.npz"))  # the checkpoints have done their work
    code, again, err = run("measure", "crossval", "cnn_3.short", "--epochs", "1", "--folds", "2", "--json")
    assert (code, again) == (0, out) and "Already in" in err and "Fold" not in err


def test_a_stored_cross_validation_is_replaced_by_force_alone(run, shelf):
    save_crossval(make_crossval(load_split("train"), "cnn_3"), shelf)
    before = (shelf / CROSSVAL_FILE).read_bytes()
    code, _, err = run("measure", "crossval", "cnn_3", "--epochs", "1", "--folds", "2")
    assert code == 1 and "num_epochs 20, not 1 and 5 folds, not 2" in err and "cnn_3.other" in err and "Fold" not in err
    assert (shelf / CROSSVAL_FILE).read_bytes() == before
    code, _, err = run("measure", "crossval", "cnn_3", "--epochs", "1", "--folds", "2", "--force")
    assert code == 0 and load_crossvals(shelf)["cnn_3"].origin.num_folds == 2


def test_what_another_cross_validation_has_reached_stays(run, shelf, tmp_path):
    """The checkpoint of one that was stopped, and its lock, are no business of the next one that ends."""
    from bloodcell.training import checkpoint_path, recipe_for
    from bloodcell.training.crossval import checkpoint_folder

    recipe = recipe_for("cnn_4")[1].replace(num_epochs=30)
    stopped = checkpoint_path("cnn_4", recipe, 0, load_split("train"), checkpoint_folder(0, 2))
    stopped.parent.mkdir(parents=True)
    for path in (stopped, stopped.with_suffix(".lock")):
        path.write_bytes(b"what was reached")
    assert run("measure", "crossval", "cnn_3.short", "--epochs", "1", "--folds", "2")[0] == 0
    assert stopped.exists() and stopped.with_suffix(".lock").exists()


def test_that_the_result_cannot_be_stored_is_said_before_training(run, shelf):
    (shelf / CROSSVAL_FILE).write_bytes(b"nothing")
    code, _, err = run("measure", "crossval", "cnn_3", "--epochs", "1", "--folds", "2")
    assert code == 1 and "crossval.npz cannot be read" in err and "Fold" not in err


def test_cross_validation_refuses_what_it_cannot_do(run, shelf):
    code, _, err = run("measure", "crossval", "cnn_3", "--folds", "1")
    assert code == 2 and "expected 2 or more, received 1" in err
    code, _, err = run("measure", "crossval", "cnn_3", "--set", "luck=1")
    assert code == 2 and "expected FIELD=VALUE with a field among" in err
    code, _, err = run("measure", "crossval", "cnn_99")
    assert code == 1 and "cnn_99" in err
    code, _, err = run("measure", "crossval", "cnn_3", "--folds", "97")
    assert code == 1 and "97 folds of 96 train images leave some without an image" in err
    code, _, err = run("measure", "crossval", "cnn_3", "--set", "teacher=cnn_4")
    assert code == 1 and "it cannot teach here" in err
    assert not load_crossvals(shelf)

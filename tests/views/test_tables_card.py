"""A model's card: what the manifest recorded, and how the model stands against other trainings of its network."""

from dataclasses import asdict

import numpy as np
import pytest

from bloodcell.artifact import load_shelf
from bloodcell.artifact.trials import find_variants
from bloodcell.dataset import CLASS_NAMES
from bloodcell.evaluation import Evaluation
from bloodcell.models.catalog import CATALOG
from bloodcell.training import RECIPES
from bloodcell.views import tables_card
from bloodcell.views.quantities import percent
from tests.shelf import write_artifact, write_run


@pytest.fixture
def evaluation():
    """Four images per class; two monocytes are called neutrophil."""
    y_true = np.repeat(np.arange(8), 4)
    y_pred = y_true.copy()
    y_pred[20], y_pred[21] = 6, 6
    y_score = np.full((32, 8), 0.02)
    y_score[np.arange(32), y_pred] = 0.86
    return Evaluation.from_predictions(y_true, y_score, CLASS_NAMES)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (725, "12 min 5 s"), (4800, "1 h 20 min")]
)
def test_durations_are_written_in_two_units(seconds, text):
    assert tables_card.describe_duration(seconds) == text


def test_a_recipe_names_what_is_on_and_leaves_out_what_is_off():
    recipe = {"num_epochs": 20, "learning_rate": 0.001, "augmentation": "none", "ema_decay": None, "xla": False}
    assert tables_card.describe_recipe(recipe) == "epochs 20, learning rate 0.001"
    alone = recipe | {"teacher": None, "teacher_share": 0.5}
    assert tables_card.describe_recipe(alone) == tables_card.describe_recipe(recipe)
    assert tables_card.describe_recipe(alone | {"teacher": "cnn_4"}).endswith("teacher cnn_4, teacher share 0.5")


def test_the_card_holds_what_the_manifest_recorded(tmp_path, evaluation):
    manifest = write_artifact(tmp_path, "vgg16_cbam").manifest
    rows = tables_card.card_rows(manifest, CATALOG["vgg16_cbam"], evaluation)
    assert "fitted" in rows["Network"].lower(), "how the layers are known is said"
    assert rows["MD5 of the data"] == "0" * 32 and "synthetic answers" in rows["Data"]
    assert "11,959 train" in rows["Data"]
    assert rows["Training time"] == "25 s for 5 epochs" and rows["Kept epoch"].startswith("4")
    assert rows["Temperature"].startswith("1.000") and rows["Seed"] == "0"
    assert "numpy" in rows["Backend"] and rows["Trained"] == "2026-01-01 00:00:00 UTC"
    assert "Weakest class: monocyte" in rows["Known weak spots"]
    assert "Notes" not in rows


def test_a_network_that_left_the_catalog_still_has_a_card(tmp_path, evaluation):
    manifest = write_artifact(tmp_path, "gone").manifest
    assert tables_card.card_rows(manifest, None, evaluation)["Network"] == "gone"


def test_the_card_names_seeds_and_what_was_changed_alone(tmp_path):
    recipe = asdict(RECIPES["study"])
    write_artifact(tmp_path, "cnn_4", accuracy=0.9, recipe=recipe)
    write_run(tmp_path, "cnn_4.again", accuracy=0.8, seed=1, recipe=recipe)
    write_run(tmp_path, "cnn_4.constant", accuracy=0.7, recipe=recipe | {"schedule": "constant"})
    write_run(tmp_path, "cnn_4.constant1", accuracy=0.6, seed=1, recipe=recipe | {"schedule": "constant"})
    write_run(tmp_path, "cnn_4.two", recipe=recipe | {"schedule": "constant", "batch_size": 32})
    write_run(tmp_path, "cnn_4.jax", recipe=recipe | {"batch_size": 32}, backend="jax")
    write_run(tmp_path, "cnn_4.same", recipe=recipe | {"teacher": None, "teacher_share": 0.7})
    write_run(tmp_path, "cnn_4.taught", recipe=recipe | {"teacher": "cnn_bn", "teacher_share": 1.0})
    added = {"kind": "unknown", "md5": "0" * 32, "label": "synthetic answers", "train_md5": "1" * 32}
    write_run(tmp_path, "cnn_4.lab", seed=1, recipe=recipe, dataset=added)
    write_run(tmp_path, "cnn_4.seed", seed=2, recipe=recipe | {"batch_size": 32})
    shelf = load_shelf(tmp_path)
    found = {
        one.field: [(before.name, after.name) for before, after in one.pairs] for one in find_variants(shelf, "cnn_4")
    }
    assert found == {
        "schedule": [("cnn_4", "cnn_4.constant"), ("cnn_4.again", "cnn_4.constant1")],
        "teacher": [("cnn_4", "cnn_4.taught")],
    }
    assert find_variants(shelf, "gone") == []
    rows = tables_card.study_rows(shelf.artifacts["cnn_4"], 0.8878, shelf)
    tests = {name: percent(run.load_evaluation("test")["accuracy"], 2) for name, run in shelf.runs.items()}
    assert rows["Changed alone"].startswith("schedule constant in place of cosine:")
    both = [shelf.runs[name].load_evaluation("test")["accuracy"] for name in ("cnn_4.constant", "cnn_4.constant1")]
    assert f"{percent(sum(both) / 2, 2)} on test, in place of" in rows["Changed alone"]
    assert "(mean of the seeds 0 and 1)" in rows["Changed alone"] and "(seed 0)" in rows["Changed alone"]
    assert "batch" not in rows["Changed alone"]
    assert "teacher cnn_bn in place of none" in rows["Changed alone"]
    assert "seed 2" not in rows["Other seeds"] and rows["Other seeds"].count("seed 1") == 1
    assert rows["Other seeds"].startswith("seed 1:") and tests["cnn_4.again"] in rows["Other seeds"]
    measured = shelf.artifacts["cnn_4"].load_evaluation("test")["accuracy"]
    assert f"{percent(measured, 2)} on test, 88.78 % published: {100 * (measured - 0.8878):+.1f}" in (
        rows["Against the study"].replace("\u2212", "-")
    )
    assert "falls to zero along a cosine" in rows["Against the study"]


def test_what_was_chosen_is_that_of_the_recipe_and_our_own_networks_have_no_study(tmp_path):
    write_artifact(tmp_path, "vgg16_se", recipe=asdict(RECIPES["study_vgg"]))
    write_artifact(
        tmp_path, "resnet18", recipe=asdict(RECIPES["study_sgd"].replace(num_epochs=10)), recipe_name="study_sgd"
    )
    shelf = load_shelf(tmp_path)
    deep = tables_card.describe_against_study(shelf.artifacts["vgg16_se"], 0.917)
    assert "a warm-up, clipped gradients" in deep
    assert "Otherwise than in the study: a learning rate of 0.0003, not 0.001." in deep
    shallow = tables_card.describe_against_study(shelf.artifacts["resnet18"], 0.9567)
    assert "a learning rate of 0.05" in shallow and "cosine" not in shallow and "clipped" not in shallow
    assert "10 of the 20 epochs" in shallow and "epochs" not in deep
    assert tables_card.study_rows(shelf.artifacts["vgg16_se"], None, shelf) == {}

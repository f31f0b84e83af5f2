"""Lessons: five of ten minutes, no number written by hand, every placeholder known, every link to a page."""

import re
from types import SimpleNamespace

import pytest

from bloodcell.inference.perturbations import read_amounts, write_amounts
from bloodcell.inference.prediction_sets import COVERAGES
from bloodcell.models.catalog import CATALOG, differences, name_of
from bloodcell.models.combinations import all_combinations, parse_combination
from bloodcell.models.graphs import load_graphs
from bloodcell.training.augmentation import AUGMENTATIONS
from bloodcell.training.live_request import OPTIMIZERS
from bloodcell.views.components_training import BATCHES, EPOCHS, RATES, SEEDS, SHARES
from bloodcell.views.lessons import FACTS, UNKNOWN, fill_text, list_placeholders, texts_of
from bloodcell.views.lessons_texts import LESSONS
from bloodcell.views.navigation import GROUPS

STEPS = [step for lesson in LESSONS for step in lesson.steps]
ENTERED = {page.file for pages in GROUPS.values() for page in pages}


def test_five_lessons_of_about_ten_minutes():
    assert len(LESSONS) == 5
    assert len({lesson.key for lesson in LESSONS}) == 5
    for lesson in LESSONS:
        assert 8 <= lesson.minutes <= 12, lesson.key
        assert 4 <= len(lesson.steps) <= 7, lesson.key


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.title)
def test_each_step_leads_to_a_page_that_is_there(step):
    assert step.file in ENTERED
    assert step.path.is_file()
    assert all(name in CATALOG for name in step.models)
    assert step.models or not any(kind == "accuracy" for kind, _ in list_placeholders(step.answer))


def list_offered(key):
    """Return what a page offers under a query parameter, as it stands in the URL."""
    trained, switch = list(CATALOG), ["on"]
    numbers = {
        "train_epochs": EPOCHS, "train_rate": RATES, "train_share": SHARES, "train_batch": BATCHES, "train_seed": SEEDS,
        "trust_coverage": COVERAGES,
    }  # fmt: skip
    if key in numbers:
        return [f"{value:g}" for value in numbers[key]]
    return {
        "models": trained, "reports_model": trained, "confusion_model": trained, "confusion_second": ["none", *trained],
        "map_model": trained, "inside_model": trained, "reports_with_parameters": switch,
        "inside_layer": [layer["name"] for layer in load_graphs()["cnn_se"]["layers"]],
        "confusion_errors_only": switch, "confusion_values": ["count", "true", "pred"], "trust_measure": ["accuracy"],
        "train_model": [name_of(one) for one in all_combinations()], "train_optimizer": OPTIMIZERS,
        "train_augmentation": list(AUGMENTATIONS), "quiz_cells": ["all", "missed"], "quiz_questions": ["10"],
        "trust_examples": ["ok", "uncertain", "unfamiliar"], "map_colour": ["error"], "classroom_cell": ["test-0"],
    }[key]  # fmt: skip


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.title)
def test_each_link_sets_what_its_page_offers(step):
    for _, parameters in step.links:
        for key, value in parameters.items():
            values = (value,) if isinstance(value, str) else value
            if key.startswith("build_"):
                assert all(parse_combination(one) for one in values)
            elif key == "classroom_change":
                assert write_amounts(read_amounts(value)) == value
            else:
                assert set(values) <= set(list_offered(key)), (key, values)


def test_networks_that_race_differ_in_one_thing_and_are_trained_alike():
    step = next(step for step in STEPS if step.second)
    (_, first), (_, second) = step.links
    assert {key for key in first if first[key] != second[key]} == {"train_model"}
    assert [one.option for one in differences(first["train_model"], second["train_model"])] == ["batch_norm"]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
def test_no_number_is_written_by_hand(lesson):
    """Names in code font may hold digits; everything else that is a number is looked up."""
    for text in texts_of(lesson):
        plain = re.sub(r"\{[^{}]+\}|`[^`]+`|\b(cnn|vgg|resnet|hemanet|net\d)_?\w+", "", text)
        assert not re.search(r"\d", plain), text


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
def test_every_placeholder_can_be_looked_up(lesson):
    for text in texts_of(lesson):
        assert text.count("{") == len(list_placeholders(text))
        for kind, name in list_placeholders(text):
            assert kind in FACTS
            if kind in ("parameters", "extra"):
                assert all(parse_combination(one) for one in name.split(","))
            elif kind == "trust":
                assert name in ("answered", "right", "foreign", "noncells")
            else:
                assert name in CATALOG


def test_placeholders_are_filled_or_said_to_be_unknown():
    known = {("accuracy", "cnn_4"): "95.0 %"}
    text = fill_text("{accuracy:cnn_4} and {gap:vgg16}", lambda kind, name: known.get((kind, name)))
    assert text == f"95.0 % and {UNKNOWN}"


def test_facts_come_from_the_shelf(tmp_path, monkeypatch):
    from shelf import write_artifact

    from bloodcell.models.graphs import load_combination_graphs
    from bloodcell.views import components_lessons

    folder = tmp_path / "artifacts"
    artifact = write_artifact(folder, "cnn_4", parameters=262_144)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    find_fact = components_lessons.find_fact
    numbers = artifact.load_evaluation("test")
    history = artifact.load_history().iloc[-1]
    assert find_fact("accuracy", "cnn_4") == f"{100 * numbers['accuracy']:.1f} %"
    assert find_fact("gap", "cnn_4") == f"{100 * (history['accuracy'] - history['val_accuracy']):.1f} points"
    assert find_fact("first", "cnn_4") == f"{100 * artifact.load_history()['val_accuracy'][0]:.1f} %"
    assert find_fact("errors", "cnn_4") == str(round((1 - numbers["accuracy"]) * 400))
    assert find_fact("size", "cnn_4") == "1.00 MB"
    assert re.fullmatch(r"[a-z ]+s for [a-z ]+s", find_fact("pair", "cnn_4"))
    assert find_fact("accuracy", "vgg16") is None
    assert find_fact("trust", "answered") is None
    graphs = load_combination_graphs()
    extra = graphs["net4_bn"]["parameters"] - graphs["net4"]["parameters"]
    assert find_fact("extra", "net4_bn,net4") == f"{extra:,}" == f"{4 * (16 + 32 + 64 + 128 + 256):,}"
    record = {
        "fields": None,
        "test": {"answered": {"share": 0.9}, "right": {"share": 1.0}},
        "noncells": {"refused": {}},
    }
    monkeypatch.setattr(components_lessons, "cache", SimpleNamespace(load_record=lambda name: record))
    assert find_fact("trust", "answered") == "90.0 %"
    assert find_fact("trust", "foreign") is None
    with pytest.raises(ValueError, match="Received: 'sum'"):
        find_fact("sum", "cnn_4")

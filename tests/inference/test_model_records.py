"""Records with one row per model: exported forms on val and test, eight views, and seeds together; damaged ones."""

import dataclasses
import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from bloodcell.__main__ import main
from bloodcell.artifact import Predictions, load_shelf
from bloodcell.artifact.trials import find_repeats
from bloodcell.dataset import load_split, prepare_images
from bloodcell.errors import EngineError
from bloodcell.evaluation import expected_calibration_error, softmax
from bloodcell.inference import form_accuracy, record_checks, trust
from bloodcell.inference.benchmark import BENCHMARK_FILE, load_benchmark
from bloodcell.inference.combined import COMBINED_FILE, find_seeds, measure_combined, measure_seeds
from bloodcell.inference.form_accuracy import FORMS_FILE, measure_forms, merge_rows
from bloodcell.inference.ladder_times import LADDER_TIMES_FILE
from bloodcell.inference.trust import ROBUSTNESS_FILE, TRUST_FILE, UNSEEN_FILE, load_record, save_record, share
from bloodcell.inference.views import make_views
from bloodcell.training import RECIPES
from tests.shelf import make_predictions, write_artifact, write_run

SHIPPED = Path(__file__).parents[2] / "artifacts"
TIMES = (BENCHMARK_FILE, LADDER_TIMES_FILE)
OF_MEASURE = (TRUST_FILE, ROBUSTNESS_FILE, UNSEEN_FILE, COMBINED_FILE, FORMS_FILE)
WRONG = {
    TIMES: [
        *(("rows.0.latency_ms_median", value) for value in ("fast", None, 0, -1.0, math.nan, math.inf, True)),
        *(("rows.1.step_time_ms", value) for value in ("x", None, 10**400)),
        *(("rows.0.latency_ms_p95", value) for value in ("slow", 0)),
        ("rows.0.name", ["cnn_2"]),
        ("rows.0", 3),
        *(("rows", value) for value in (None, [], 3)),
        *(("machine", value) for value in ("a processor", None)),
        ("machine.processor", 1),
        ("date", 20260101),
        ("threads", None),
        ("note", None),
    ],
    OF_MEASURE: [("date", 20260101), ("dataset", None), ("dataset.label", 1)],
    (TRUST_FILE,): [
        *((name, None) for name in ("model", "coverage", "limits", "test", "coverages", "noncells")),
        ("fields", 3),
        ("test.answered.share", "x"),
        ("test.statuses", {"no such": 1}),
        ("test.examples.0.possible", []),
        ("coverages", []),
        ("fields.examples.0.box", [1, 2]),
    ],
    (ROBUSTNESS_FILE,): [
        *((name, None) for name in ("model", "models", "n", "corruptions", "rows")),
        ("rows", []),
        ("rows.0.refused.n", 0),
        ("rows.1.corruption", "no such"),
    ],
    (UNSEEN_FILE,): [
        *((name, None) for name in ("model", "refused", "types")),
        ("coverage", "x"),
        ("types.0.called", ["monocyte"]),
    ],
    (COMBINED_FILE, FORMS_FILE): [
        *(("rows", value) for value in (None, 3, [1, 2])),
        ("rows.0.model", None),
        ("rows.0.model.files", None),
    ],
    (COMBINED_FILE,): [
        *(("rows.0.single", value) for value in (None, "x")),
        ("rows.0.views.test.ece", None),
        ("rows.0.seeds", "x"),
        ("rows.0.seeds", {"members": [], "single": [], "ensemble": None}),
    ],
    (FORMS_FILE,): [
        ("rows.0.val", None),
        ("rows.0.litert_bytes", "x"),
        ("rows.0.test.interval", None),
        ("rows.0.test.interval", [0.9]),
        ("rows.0.test.changed", math.nan),
    ],
}
"""Values that are not what pages read, by field, with the records that hold it."""


def load(file, folder=SHIPPED):
    """Return a record as the pages read it."""
    return load_benchmark(folder, file) if file in TIMES else load_record(file, folder)


class ColorEngine:
    """Answers by the mean colour of the left half, so that turning an image changes the answer."""

    def __init__(self, kernel_seed: int) -> None:
        self._kernel = np.random.default_rng(kernel_seed).normal(0, 30, (3, 8)).astype(np.float32)

    def compute_logits(self, inputs: np.ndarray) -> np.ndarray:
        return (inputs[:, :, :32].mean(axis=(1, 2)) - 0.7) @ self._kernel


@pytest.fixture
def splits(small_dataset):
    return [load_split("val"), load_split("test")]


@pytest.fixture
def artifact(splits, tmp_path):
    """A model whose stored answers are those of an engine."""
    engine = ColorEngine(0)
    stored = [
        Predictions(one.name, one.labels, engine.compute_logits(prepare_images(one.images)), one.image_hashes)
        for one in splits
    ]
    return write_artifact(tmp_path / "artifacts", "cnn_4", predictions=stored)


def test_a_form_is_measured_on_every_image(artifact, splits, tmp_path, monkeypatch):
    """The float16 form answers as stored; the int8 form here is another network altogether."""
    forms = {precision: tmp_path / f"{precision}.tflite" for precision in ("float16", "int8")}
    for path, size in zip(forms.values(), (900, 500), strict=True):
        path.write_bytes(b"0" * size)
    engines = {forms["float16"]: ColorEngine(0), forms["int8"]: ColorEngine(1)}
    monkeypatch.setattr(form_accuracy, "ensure_litert", lambda artifact, precision: forms[precision])
    monkeypatch.setattr(form_accuracy, "Engine", engines.__getitem__)
    reports = []
    float16, int8 = measure_forms([artifact], splits, ("float16", "int8"), lambda *report: reports.append(report))
    for split in splits:
        inputs = prepare_images(split.images)
        own, other = (engines[forms[name]].compute_logits(inputs).argmax(axis=1) for name in ("float16", "int8"))
        assert float16[split.name]["count"] == (own == split.labels).sum()
        assert float16[split.name]["n"] == split.num_images and float16[split.name]["changed"] == 0
        assert int8[split.name]["count"] == (other == split.labels).sum()
        assert int8[split.name]["changed"] == (own != other).sum() > 0
    assert (float16["litert_bytes"], int8["litert_bytes"]) == (900, 500)
    assert reports[0][:2] == (0, 2) and reports[-1][:2] == (2, 2)


def test_a_form_that_cannot_be_built_has_a_sentence(artifact, splits, monkeypatch):
    def refuse(artifact, precision):
        raise EngineError("It crashes.")

    monkeypatch.setattr(form_accuracy, "ensure_litert", refuse)
    (row,) = measure_forms([artifact], splits, ("int8",))
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


def test_eight_views_are_the_mean_of_their_probabilities(artifact, splits):
    engine, test = ColorEngine(0), splits[1]
    row = measure_combined(artifact, {}, engine, splits)
    views = make_views(prepare_images(test.images))
    scores = np.mean([softmax(engine.compute_logits(view), artifact.manifest.temperature) for view in views], axis=0)
    right = scores.argmax(axis=1) == test.labels
    assert row["views"]["test"]["count"] == right.sum()
    assert row["views"]["test"]["ece"] == pytest.approx(expected_calibration_error(test.labels, scores), abs=1e-6)
    assert row["single"]["test"]["share"] == pytest.approx(artifact.load_evaluation("test")["accuracy"])
    assert row["seeds"] is None


def test_seeds_are_left_out_where_their_answers_are_of_other_images(artifact, splits, tmp_path):
    """Else a table would compare eight views on one dataset with three seeds on another."""
    twin = dataclasses.replace(
        artifact, name="cnn_4.s1", kind="run", manifest=dataclasses.replace(artifact.manifest, seed=1)
    )
    row = measure_combined(artifact, {"cnn_4.s1": twin}, ColorEngine(0), splits)
    assert row["seeds"]["ensemble"]["test"]["share"] == row["seeds"]["single"][0]["test"]["share"]
    fewer = [dataclasses.replace(splits[0], images=splits[0].images[1:], labels=splits[0].labels[1:]), splits[1]]
    assert measure_combined(artifact, {"cnn_4.s1": twin}, ColorEngine(0), fewer)["seeds"] is None


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


def test_seeds_are_found_whatever_fields_their_recipes_had_when_they_were_recorded(tmp_path):
    """A field that came later is at its default, and one that changes speed alone does not count, as on Findings."""
    recipe = asdict(RECIPES["study"])
    older = {key: value for key, value in recipe.items() if key != "norm_momentum"}
    write_artifact(tmp_path, "cnn_4", recipe=older)
    runs = {"s1": recipe, "s2": older, "s3": recipe | {"xla": True}, "s4": recipe | {"norm_momentum": 0.9}}
    for seed, (tag, one) in enumerate(runs.items(), start=1):
        write_run(tmp_path, f"cnn_4.{tag}", seed=seed, recipe=one)
    shelf = load_shelf(tmp_path)
    found = find_seeds(shelf.artifacts["cnn_4"], shelf.runs)
    assert [run.manifest.seed for run in found] == [1, 2, 3]
    assert tuple(found) == find_repeats(shelf, "cnn_4")[1:]


def test_the_checks_know_every_status():
    assert record_checks.STATUSES == trust.STATUSES


@pytest.mark.parametrize("file", [*TIMES, *OF_MEASURE])
def test_every_shipped_record_is_read(file, caplog):
    assert load(file) is not None
    assert not caplog.messages


@pytest.mark.parametrize(
    ("file", "place", "value"), [(file, *one) for files, wrong in WRONG.items() for file in files for one in wrong]
)
def test_a_record_with_a_field_of_another_type_counts_as_none(tmp_path, caplog, file, place, value):
    record = inner = json.loads((SHIPPED / file).read_text())
    *before, last = (int(key) if key.isdigit() else key for key in place.split("."))
    for key in before:
        inner = inner[key]
    inner[last] = value
    save_record(record, file, tmp_path)
    assert load(file, tmp_path) is None
    (warning,) = caplog.messages
    field = "".join(f"[{key}]" if key.isdigit() else f".{key}" for key in place.split(".")).removeprefix(".")
    assert str(tmp_path / file) in warning and f"({field}" in warning


@pytest.mark.parametrize(
    ("file", "part"), [(TRUST_FILE, {"fields": None}), (FORMS_FILE, {"rows": []}), (UNSEEN_FILE, {"coverage": None})]
)
def test_what_was_not_measured_may_be_missing(tmp_path, file, part):
    """No smear fields, no row yet, no coverage noted."""
    record = json.loads((SHIPPED / file).read_text()) | part
    save_record(record, file, tmp_path)
    assert load(file, tmp_path) == record


def test_what_measuring_returns_is_read_back(artifact, splits, tmp_path, monkeypatch):
    """A form that was measured, one that cannot be built, and looks with and without seeds."""

    def build(artifact, precision):
        if precision == "int8":
            raise EngineError("It crashes.")
        return Path(__file__)

    monkeypatch.setattr(form_accuracy, "ensure_litert", build)
    monkeypatch.setattr(form_accuracy, "Engine", lambda path: ColorEngine(0))
    twin = dataclasses.replace(artifact, name="s1", manifest=dataclasses.replace(artifact.manifest, seed=1))
    looks = [measure_combined(artifact, runs, ColorEngine(0), splits) for runs in ({}, {"s1": twin})]
    assert looks[0]["seeds"] is None and looks[1]["seeds"] is not None
    for file, rows in ((COMBINED_FILE, looks), (FORMS_FILE, measure_forms([artifact], splits))):
        save_record(json.loads(make_record([])) | {"rows": rows}, file, tmp_path)
        assert load(file, tmp_path)["rows"] == json.loads(json.dumps(rows))


def test_the_commands_keep_other_models_rows(artifact, monkeypatch, capsys):
    folder = artifact.directory.parent
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    monkeypatch.setattr("bloodcell.inference.engine.load_engine", lambda artifact: ColorEngine(0))
    assert main(["measure", "combined", artifact.name]) == 0
    assert "eight views" in capsys.readouterr().out
    record = json.loads((folder / "combined.json").read_text())
    record["rows"].append({**record["rows"][0], "model": {"name": "zzz", "files": {}}})
    (folder / "combined.json").write_text(json.dumps(record))
    assert main(["measure", "combined", "--json"]) == 0
    assert [row["model"]["name"] for row in json.loads(capsys.readouterr().out)["rows"]] == [artifact.name, "zzz"]


def measure_one(what, artifact, monkeypatch):
    """Return how `measure forms` or `measure combined` of one model ends; the measuring itself is quick."""
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(artifact.directory.parent))
    monkeypatch.setattr("bloodcell.inference.engine.load_engine", lambda artifact: ColorEngine(0))
    monkeypatch.setattr(
        form_accuracy,
        "measure_forms",
        lambda artifacts, splits, **_: [
            {"model": {"name": one.name, "files": {}}, "precision": "int8", "error": "It crashes."} for one in artifacts
        ],
    )
    return main(["measure", what, artifact.name])


def make_record(names, md5="f" * 32):
    dataset = {"kind": "official", "md5": md5, "label": "the official file"}
    numbers = {split: {**share(9, 10), "changed": 0, "ece": 0.1} for split in ("val", "test")}
    looks = {"single": numbers, "views": numbers, "seeds": None}
    form = {"precision": "int8", "litert_bytes": 900, **numbers}
    rows = [{"model": {"name": name, "files": {}}, **form, **looks} for name in names]  # good for either record
    return json.dumps({"date": "2026-01-01", "model": None, "dataset": dataset, "rows": rows})


@pytest.mark.parametrize("what", ["forms", "combined"])
def test_rows_that_were_measured_on_another_file_are_not_thrown_away(artifact, monkeypatch, capsys, what):
    path = artifact.directory.parent / f"{what}.json"
    path.write_text(make_record(["cnn_4", "vgg16"]))
    before = path.read_bytes()
    assert measure_one(what, artifact, monkeypatch) == 1
    said = capsys.readouterr().err
    assert "holds rows of vgg16, measured on the official file" in said and f"move {what}.json away" in said
    assert "Eight views" not in said  # it is said before minutes of work
    assert path.read_bytes() == before
    path.write_text(make_record(["cnn_4"]))
    assert measure_one(what, artifact, monkeypatch) == 0  # nothing is lost
    record = json.loads(path.read_text())
    assert record["dataset"]["md5"] != "f" * 32 and [row["model"]["name"] for row in record["rows"]] == ["cnn_4"]


@pytest.mark.parametrize("what", ["forms", "combined"])
@pytest.mark.parametrize("text", ["", "{", "[]", '{"date": "", "model": null, "dataset": {"md5": ""}}'])
def test_a_record_that_cannot_be_read_is_not_replaced(artifact, monkeypatch, capsys, what, text):
    path = artifact.directory.parent / f"{what}.json"
    path.write_text(text)
    assert measure_one(what, artifact, monkeypatch) == 1
    assert f"{what}.json cannot be read as a record" in capsys.readouterr().err
    assert path.read_text() == text

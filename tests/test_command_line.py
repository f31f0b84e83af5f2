"""The command line as scripts use it: JSON alone on standard output, messages on standard error, exit codes."""

import csv
import dataclasses
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shelf import SHELF, write_artifact, write_benchmark, write_run, write_shelf

from bloodcell import __main__ as command_line
from bloodcell.artifact import load_artifact, load_model
from bloodcell.commands.output import print_json
from bloodcell.dataset import CLASS_NAMES, load_split
from bloodcell.errors import StorageError, TrainingError
from bloodcell.evaluation import softmax
from bloodcell.files import PROJECT_DIRECTORY
from bloodcell.inference import Engine
from bloodcell.models import CATALOG
from bloodcell.published import load_summary

MODEL_KEYS = [
    "name",
    "family",
    "description",
    "parameters",
    "trainable_parameters",
    "weights_mib",
    "trained",
    "test_accuracy",
    "published_accuracy",
]


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
def shelf(tmp_path, monkeypatch):
    folder = tmp_path / "shelf"
    write_shelf(folder)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    return folder


def start(*arguments, **options):
    """Run a command in a process of its own, as a script would."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_DIRECTORY)}
    return subprocess.run(
        [sys.executable, "-m", "bloodcell", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=240,
        **options,
    )


# models


def test_models_lists_the_catalog(run, shelf):
    code, out, err = run("models", "--json")
    rows = json.loads(out)
    assert (code, err) == (0, "")
    assert [row["name"] for row in rows] == list(CATALOG)
    published = load_summary().set_index("name")["accuracy"]
    for row in rows:
        name = row["name"]
        assert list(row) == MODEL_KEYS
        assert row["family"] == CATALOG[name].family
        assert row["weights_mib"] == pytest.approx(row["parameters"] * 4 / 1024**2)
        assert 0 < row["trainable_parameters"] <= row["parameters"]
        assert row["trained"] == (name in SHELF)
        expected = load_artifact(name).load_evaluation("test")["accuracy"] if name in SHELF else None
        assert row["test_accuracy"] == expected
        assert row["published_accuracy"] == published.get(name)


def test_models_as_a_table(run, shelf):
    code, out, _ = run("models")
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == len(CATALOG) + 2
    assert len({len(line) for line in lines[1:2]}) == 1
    assert any("cnn_4" in line and "130,792" in line and "88.78 %" in line for line in lines)
    assert "not trained" in out


def test_models_without_any_artifact(run, tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "nowhere"))
    code, out, _ = run("models", "--json")
    assert code == 0
    assert not any(row["trained"] or row["test_accuracy"] for row in json.loads(out))


def test_models_names_damaged_artifacts_and_goes_on(run, shelf):
    (shelf / "cnn_3" / "evaluation.json").write_text("{}")
    code, out, err = run("models", "--json")
    assert code == 0
    trained = {row["name"] for row in json.loads(out) if row["trained"]}
    assert trained == set(SHELF) - {"cnn_3"}
    assert "cnn_3" in err
    assert "set aside" in err


def test_models_takes_under_two_seconds_and_no_heavy_import(shelf):
    """Processor time of a cold start, which other work on the machine hardly changes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = start("models", "--json")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == len(CATALOG)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2.0
    script = """
import sys
from bloodcell.__main__ import main
main(["models"])
heavy = {"tensorflow", "keras", "pandas", "sklearn", "scipy", "streamlit", "ai_edge_litert"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


# usage and failures


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("guess",),
        ("models", "--yaml"),
        ("train",),
        ("train", "--all", "cnn_3"),
        ("train", "cnn_3", "--epochs", "0"),
        ("train", "cnn_3", "--seed", "one"),
        ("train", "cnn_3", "--seed", "-1"),
        ("train", "cnn_3", "--seed", "4294967296"),
        ("train", "cnn_3", "--set", "batch_size=0"),
        ("train", "cnn_3", "--set", "augmentation=x"),
        ("evaluate",),
        ("evaluate", "cnn_3", "--split", "all"),
        ("evaluate", "cnn_3", "--split", "train"),
        ("evaluate", "cnn_3", "--cells", "cells", "--split", "val"),
        ("evaluate", "cnn_3", "--cells", "cells", "--recompute"),
        ("benchmark", "--save", "--quick"),
        ("benchmark", "cnn_4", "--save"),
        ("classify", ""),
        ("classify", "x", "--coverage", "much"),
        ("train", "cnn_4", "--epochs", "few"),
        ("export", "cnn_4", "--format", "litert", "--output", "x.keras"),
        ("benchmark", "--save", "--output", "x"),
        ("benchmark", "--engine", "onnx"),
        ("benchmark", "--threads", "0"),
        ("classify",),
        ("data",),
        ("data", "delete"),
        ("export", "cnn_3"),
        ("export", "cnn_3", "--format", "onnx"),
        ("export", "cnn_3", "--format", "keras", "--precision", "int8"),
        ("measure", "trust", "--max-images", "0"),
        ("measure", "robustness", "--max-images", "-1"),
        ("measure", "unseen", "--epochs", "0"),
        ("tried", " ", "--val", "98", "--model", "cnn_3", "--kept", "no"),
    ],
)
def test_wrong_usage_ends_with_2(run, shelf, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "usage: python -m bloodcell" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "cnn_5"), "Available: cnn_2"),
        (("train", "cnn_3", "--recipe", "magic"), "No recipe 'magic'"),
        (("evaluate", "cnn_5"), "Available: cnn_2"),
        (("evaluate", "resnet18"), "bloodcell train resnet18"),
        (("evaluate", "runs/cnn_3.seed1"), "Run `./dev python -m bloodcell train cnn_3 --run seed1`"),
        (("evaluate", "cnn_3", "--cells", "nowhere"), "no labelled set at nowhere"),
        (("evaluate", "../cnn_3"), "no network named '../cnn_3'"),
        (("train", "cnn_3./../x"), "cannot be a name"),
        (("benchmark", "resnet18"), "bloodcell train resnet18"),
        (("classify", "a.png", "--model", "cnn_5"), "Available: cnn_2"),
        (("export", "resnet18", "--format", "litert"), "bloodcell train resnet18"),
        (("data", "verify"), "dataset"),
    ],
)
def test_failures_end_with_1_and_a_sentence(run, shelf, arguments, words):
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", [("benchmark",), ("classify", "a.png")])
def test_nothing_trained_says_how_to_train(run, tmp_path, monkeypatch, command):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "nowhere"))
    code, _, err = run(*command)
    assert code == 1
    assert "bloodcell train" in err


def test_an_unexpected_error_stays_loud(run, monkeypatch):
    monkeypatch.setattr("bloodcell.commands.models.list_models", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("models")


def test_help_ends_with_0(run):
    for arguments in (("--help",), ("train", "--help"), ("data", "download", "--help")):
        code, out, _ = run(*arguments)
        assert code == 0
        assert "usage: python -m bloodcell" in out


def test_the_reader_of_a_pipe_may_leave(shelf):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_DIRECTORY)}
    environment.pop("PYTHONUNBUFFERED", None)
    for flags, reader in (("-u", "head -c 10"), ("", "true"), ("", "head -c 10")):
        script = f"{sys.executable} {flags} -m bloodcell models --json | {reader}; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("[") or reader == "true"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_a_failure_in_one_sentence(shelf, unbuffered):
    """Whether it is noticed at the end or, of long output, in the middle of it."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_DIRECTORY), "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "bloodcell", "models", "--json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, timeout=120)
    assert done.returncode == 1
    assert done.stderr == "The output could not be written: No space left on device.\n"


def test_a_run_is_known_by_the_name_that_it_is_listed_under(run, shelf):
    write_run(shelf, "cnn_4.again")
    for name in ("runs/cnn_4.again", "cnn_4.again"):
        code, out, _ = run("evaluate", name, "--json")
        assert (code, json.loads(out)[0]["name"]) == (0, "cnn_4.again")


# train


def test_bad_values_are_refused_before_any_heavy_import():
    script = """
import sys
from bloodcell.__main__ import main
try:
    main(["train", "cnn_3", "--set", "optimizer=x"])
except SystemExit as ending:
    heavy = {"tensorflow", "keras", "scipy"} & set(sys.modules)
    sys.exit(f"imported {heavy}" if heavy else ending.code)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "--set: optimizer must be one of adam, adamw, sgd, received 'x'" in done.stderr


@pytest.fixture
def fake_training(monkeypatch, tmp_path):
    """Replace the training itself; what it was asked for is recorded, and two epochs are reported."""
    asked = []

    def load_or_train(name, *, on_epoch, on_batch, **options):
        asked.append((name, options))
        print("chatter of a library")
        if name == "cnn_2":
            raise TrainingError("The loss is no number.")
        for epoch in (1, 2):
            on_batch(1, 2, {"loss": 2.0, "accuracy": 0.2})
            on_batch(2, 2, {"loss": 1.0, "accuracy": 0.4})
            numbers = {"epoch": epoch, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.2, "val_accuracy": 0.4}
            on_epoch({**numbers, "learning_rate": 1e-3, "seconds": 3.0})
        return write_artifact(tmp_path / "trained", name)

    monkeypatch.setattr("bloodcell.pipeline.load_or_train", load_or_train)
    return asked


def test_train_passes_on_what_was_asked_and_shows_epochs(run, fake_training):
    code, out, err = run(
        "train", "cnn_3", "cnn_4", "cnn_3", "--recipe", "smoke", "--seed", "3", "--epochs", "2", "--force", "--run", "t"
    )
    assert code == 0
    options = {"recipe_name": "smoke", "seed": 3, "num_epochs": 2, "run_tag": "t", "force": True}
    options |= {"changes": {}, "own": False, "added_set": None}
    assert fake_training == [("cnn_3", options), ("cnn_4", options)]
    assert "cnn_3 epoch 2/2: loss 1.0000, accuracy 50.00 %, val loss 1.2000, val accuracy 40.00 %, 3.0 s" in err
    assert "chatter" not in out
    assert out.count(": trained, ") == 2


def test_train_defaults_and_json(run, fake_training):
    code, out, _ = run("train", "cnn_3", "--json")
    assert code == 0
    defaults = {"recipe_name": None, "seed": None, "num_epochs": None, "run_tag": None, "force": False}
    defaults |= {"changes": {}, "own": False, "added_set": None}
    assert fake_training == [("cnn_3", defaults)]
    (row,) = json.loads(out)
    assert (row["name"], row["state"]) == ("cnn_3", "trained")
    assert 0 < row["test_accuracy"] < 1


def test_one_failed_training_does_not_stop_the_others(run, fake_training):
    code, out, err = run("train", "cnn_2", "cnn_3")
    assert code == 1
    assert [name for name, _ in fake_training] == ["cnn_2", "cnn_3"]
    assert "cnn_3: trained" in out
    assert "cnn_2: The loss is no number." in err
    assert "Not trained: cnn_2." in err


def test_train_all(run, fake_training):
    run("train", "--all")
    assert [name for name, _ in fake_training] == list(CATALOG)


def test_a_full_disk_stops_all_trainings(run, monkeypatch):
    asked = []

    def fail(name, **_):
        asked.append(name)
        raise StorageError("The disk is full.")

    monkeypatch.setattr("bloodcell.pipeline.load_or_train", fail)
    code, _, err = run("train", "cnn_3", "cnn_4")
    assert (code, asked) == (1, ["cnn_3"])
    assert "The disk is full." in err


def test_a_wrong_name_is_noticed_before_any_training(run, fake_training):
    assert run("train", "cnn_3", "cnn_33")[0] == 1
    assert fake_training == []


def test_an_interrupt_ends_with_130_and_a_hint(run, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bloodcell.pipeline.load_or_train", stop)
    code, out, err = run("train", "cnn_3")
    assert (code, out) == (130, "")
    assert "The same command continues" in err


def test_train_loads_what_is_trained(run, small_artifacts):
    code, out, _ = run("train", "cnn_3", "cnn_4")
    assert code == 0
    assert out.count("already trained") == 2


# evaluate


def test_evaluate_gives_the_stored_numbers(run, small_artifacts):
    code, out, _ = run("evaluate", "cnn_3", "cnn_4", "--split", "val", "--json")
    assert code == 0
    reports = json.loads(out)
    assert [(report["name"], report["split"]) for report in reports] == [("cnn_3", "val"), ("cnn_4", "val")]
    for report in reports:
        assert list(report)[:4] == ["name", "split", "n", "accuracy"]
        stored = load_artifact(report["name"]).load_evaluation("val")
        assert stored.keys() <= report.keys()
        for key in ("n", "accuracy", "weighted_f1", "macro_recall", "ece"):
            assert report[key] == pytest.approx(stored[key])
        assert np.array(report["confusion_matrix"]).sum() == report["n"] == 40
        assert [one["name"] for one in report["per_class"]] == list(CLASS_NAMES)
        assert report["source"] == "stored predictions"


def test_evaluate_again_on_the_dataset(run, small_artifacts, small_dataset):
    code, out, _ = run("evaluate", "cnn_4", "--recompute", "--json")
    assert code == 0
    (report,) = json.loads(out)
    stored = load_artifact("cnn_4").load_evaluation("test")
    assert report["confusion_matrix"] == stored["confusion_matrix"]
    assert report["log_loss"] == pytest.approx(stored["log_loss"], abs=1e-3)
    assert "run now" in report["source"]
    code, out, _ = run("evaluate", "cnn_4", "--recompute", "--split", "train", "--json")
    assert (code, json.loads(out)[0]["n"]) == (0, 96)


def test_evaluate_as_text(run, small_artifacts):
    code, out, _ = run("evaluate", "cnn_3")
    assert code == 0
    assert "48 images" in out
    assert "immature granulocyte" in out
    assert "weighted mean" in out


def test_evaluate_a_class_without_images(run, tmp_path, monkeypatch):
    """An AUC that is not defined is null in JSON and a dash in text."""
    artifact = write_artifact(tmp_path / "shelf", "cnn_3")
    predictions = dataclasses.replace(artifact.load_predictions("test"), y_true=np.zeros(400, np.int64))
    monkeypatch.setattr("bloodcell.artifact.Artifact.load_predictions", lambda *_: predictions)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "shelf"))
    _, out, _ = run("evaluate", "cnn_3", "--json")
    assert json.loads(out)[0]["auc"] is None
    assert "AUC –" in run("evaluate", "cnn_3")[1]


# benchmark


@pytest.fixture
def fake_benchmark(monkeypatch, tmp_path):
    asked = []
    record = json.loads(write_benchmark(tmp_path / "record", {"cnn_3": 0.2, "cnn_4": 0.1}).read_text())

    def run_benchmark(artifacts, *, on_progress, **options):
        asked.append(([artifact.name for artifact in artifacts], options))
        on_progress(0, 1, "Measuring.")
        return record

    monkeypatch.setattr("bloodcell.inference.benchmark.run_benchmark", run_benchmark)
    return asked, record


def test_benchmark_of_all_models(run, shelf, fake_benchmark):
    asked, record = fake_benchmark
    code, out, err = run("benchmark", "--json")
    assert code == 0
    assert json.loads(out) == record
    assert "Measuring." in err
    ((names, options),) = asked
    assert names == sorted(SHELF)
    assert options["engines"] == ["litert", "keras"]
    assert options["precisions"] == ["float16"]
    assert options["effort"].num_rounds > 3


def test_benchmark_of_some_models_quickly(run, shelf, fake_benchmark):
    code, out, _ = run("benchmark", "cnn_4", "cnn_3", "--quick", "--precision", "int8", "float16")
    assert code == 0
    ((names, options),) = fake_benchmark[0]
    assert names == ["cnn_4", "cnn_3"]
    assert options["engines"] == ["litert"]
    assert options["precisions"] == ["int8", "float16"]
    assert options["effort"].num_rounds == 3
    rows = [line.split()[0] for line in out.splitlines() if line.startswith("cnn_")]
    assert rows == ["cnn_4", "cnn_3", "cnn_4", "cnn_3"], "fastest first"


def test_benchmark_is_stored_where_it_was_asked(run, shelf, fake_benchmark, tmp_path):
    (shelf / "benchmark.json").unlink()
    assert run("benchmark", "--json")[0] == 0
    assert not (shelf / "benchmark.json").exists()
    run("benchmark", "--save")
    assert json.loads((shelf / "benchmark.json").read_text()) == fake_benchmark[1]
    run("benchmark", "--output", tmp_path / "elsewhere.json", "--engine", "keras")
    assert json.loads((tmp_path / "elsewhere.json").read_text()) == fake_benchmark[1]
    assert fake_benchmark[0][-1][1]["engines"] == ["keras"]


# classify


@pytest.fixture
def cells(small_dataset, tmp_path):
    """A folder with three cells, a file of words that ends in .png, and a table."""
    folder = tmp_path / "cells"
    folder.mkdir()
    images = load_split("test").images
    for name, image in zip(("b.png", "a.png", "d.tif"), images, strict=False):
        Image.fromarray(image).save(folder / name)
    (folder / "c.png").write_text("words")
    (folder / "labels.csv").write_text("file,label")
    return folder


def test_classify_answers_every_file_in_order(run, small_artifacts, cells, tmp_path):
    code, out, _ = run("classify", cells / "d.tif", tmp_path / "missing.png", cells, "--model", "cnn_3", "--json")
    assert code == 0
    answers = json.loads(out)
    expected = [
        cells / "d.tif",
        tmp_path / "missing.png",
        *(cells / name for name in ("a.png", "b.png", "c.png", "d.tif")),
    ]
    assert [answer["file"] for answer in answers] == [str(path) for path in expected]
    assert [answer["status"] for answer in answers] == ["ok", "error", "ok", "ok", "error", "ok"]
    for answer in answers:
        keys = ["file", "status", "label", "probability", "probabilities", "prediction_set", "model", "reasons"]
        assert list(answer) == keys
        assert answer["model"] == "cnn_3"
        if answer["status"] == "ok":
            assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
            assert answer["probabilities"][answer["label"]] == answer["probability"]
            assert answer["label"] in answer["prediction_set"]
        else:
            assert answer["reasons"]
    assert answers[0]["probabilities"] == pytest.approx(answers[-1]["probabilities"], abs=1e-5)


def test_classify_chooses_the_default_model(run, small_artifacts, cells):
    _, out, _ = run("classify", cells / "a.png", "--json")
    accuracies = {name: load_artifact(name).load_evaluation("val")["accuracy"] for name in ("cnn_3", "cnn_4")}
    best = max(accuracies.values())
    assert accuracies[json.loads(out)[0]["model"]] >= best - 0.002


def test_classify_in_words(run, small_artifacts, cells):
    code, out, err = run("classify", cells, "--model", "cnn_4")
    assert code == 0
    assert f"{cells / 'c.png'}: error" in out
    assert "is not an image" in out
    assert any(f"{cells / 'a.png'}: {name}, " in out for name in CLASS_NAMES)
    assert "not a medical device" in err


def test_an_empty_folder_is_an_answer_too(run, small_artifacts, cells, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, _ = run("classify", tmp_path / "empty", cells / "a.png", "--json")
    answers = json.loads(out)
    assert code == 0
    assert [answer["status"] for answer in answers] == ["error", "ok"]
    assert "holds no image" in answers[0]["reasons"][0]


def test_a_path_that_the_system_refuses_stops_no_other(run, small_artifacts, cells):
    code, out, _ = run("classify", "x" * 300, cells / "a.png", "--model", "cnn_3", "--json")
    answers = json.loads(out)
    assert code == 0
    assert [answer["status"] for answer in answers] == ["error", "ok"]
    assert "File name too long" in answers[0]["reasons"][0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8:surrogateescape", "ascii"])
def test_names_that_are_no_text_are_written_as_escapes(small_artifacts, cells, encoding):
    """Names in no encoding, and names in an encoding that the terminal lacks."""
    names = [os.fsdecode(b"a-\xff.png"), "Zelle-é.png"]
    for name in names:
        shutil.copy(cells / "a.png", cells / name)
    words = ("classify", *(os.fsencode(cells / name) for name in names), "--model", "cnn_3")
    command = [os.fsencode(sys.executable), b"-m", b"bloodcell", *(os.fsencode(word) for word in words)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_DIRECTORY), "PYTHONIOENCODING": encoding}
    done = subprocess.run([*command, b"--json"], capture_output=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr.decode()
    answers = json.loads(done.stdout.decode("utf-8"))
    assert [answer["file"] for answer in answers] == [str(cells / name) for name in names]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr.decode()
    assert "a-\\udcff.png: " in done.stdout.decode("utf-8")


def test_readable_characters_stay_readable_in_json(capsys):
    print_json({"µm": "é"})
    assert capsys.readouterr().out == '{\n  "µm": "é"\n}\n'


def test_classify_starts_fast_and_speaks_json_alone(small_artifacts, cells):
    """A cold start in a process of its own: JSON alone, not a word of LiteRT's own, two seconds of processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = start("classify", cells / "a.png", "--model", "cnn_3", "--json")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["status"] == "ok"
    assert done.stderr == ""
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2.0


def test_classify_the_samples(run, real_samples):
    """The 48 original images through a committed model with a form give the stored answers of the same test rows."""
    shipped = sorted(path.parent.name for path in (PROJECT_DIRECTORY / "artifacts").glob("*/model.tflite"))
    if not shipped:
        pytest.skip("no trained model with a LiteRT form is committed")
    code, out, _ = run("classify", real_samples, "--model", shipped[-1], "--json")
    assert code == 0
    answers = json.loads(out)
    assert len(answers) == 48
    with open(real_samples / "labels.csv", newline="") as stream:
        rows = {row["file"]: row for row in csv.DictReader(stream)}
    artifact = load_artifact(shipped[-1])
    stored = artifact.load_predictions("test")
    expected = softmax(stored.logits, artifact.manifest.temperature)
    given = [answer for answer in answers if answer["probabilities"] is not None]  # a guard may refuse a cell
    assert len(given) >= 46
    for answer in given:
        row = rows[Path(answer["file"]).name]
        index = int(row["test_index"])
        assert stored.y_true[index] == int(row["label"])
        assert list(answer["probabilities"].values()) == pytest.approx(expected[index].tolist(), abs=1e-3)
    right = sum(CLASS_NAMES[int(rows[Path(one["file"]).name]["label"])] == one["label"] for one in answers)
    assert right >= 43


# data


def test_data_status_without_a_dataset(run):
    code, out, err = run("data", "status")
    found = json.loads(out)
    assert code == 0
    assert found["available"] is False
    assert found["error"] == err.strip()


def test_data_status_and_verify_name_the_file(run, small_dataset):
    code, out, err = run("data", "status", "--json")
    found = json.loads(out)
    assert (code, found["available"], found["kind"]) == (0, True, "unknown")
    assert found["num_images"] == {"train": 96, "val": 40, "test": 48}
    code, out, _ = run("data", "verify")
    assert code == 0
    assert json.loads(out) == {key: found[key] for key in ("path", "kind", "md5", "label")}
    assert "unknown dataset file" in err


def test_data_verify_of_a_cut_file(run, small_dataset, tmp_path, monkeypatch):
    cut = tmp_path / "cut.npz"
    cut.write_bytes(small_dataset.read_bytes()[:-1000])
    monkeypatch.setenv("BLOODCELL_DATA", str(cut))
    code, out, err = run("data", "verify")
    assert (code, out) == (1, "")
    assert "truncated" in err


def test_data_download_reports_its_file(run, small_dataset, monkeypatch):
    def download(on_progress):
        on_progress(10, 0)
        on_progress(100, 100)
        return small_dataset

    monkeypatch.setattr("bloodcell.dataset.download.download_dataset", download)
    code, out, _ = run("data", "download")
    assert code == 0
    assert json.loads(out)["path"] == str(small_dataset)


# export


def test_export_litert(run, small_artifacts, tmp_path):
    target = tmp_path / "deep" / "cell.tflite"
    code, out, err = run("export", "cnn_3", "--format", "litert", "--output", target)
    assert (code, out.strip()) == (0, str(target))
    artifact = load_artifact("cnn_3")
    assert target.read_bytes() == artifact.litert_path.read_bytes()
    assert f"{artifact.manifest.temperature:.4f}" in err
    Engine(target)


def test_export_has_a_name_of_its_own(run, small_artifacts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("export", "cnn_3", "--format", "litert")[1].strip() == "cnn_3.float16.tflite"
    assert (tmp_path / "cnn_3.float16.tflite").is_file()


def test_export_another_precision_is_built(run, small_artifacts, tmp_path, monkeypatch):
    built = []

    def build(artifact, target, precision, on_progress):
        built.append(precision)
        on_progress(0, 1, "Building.")
        target.write_bytes(form)

    form = load_artifact("cnn_3").litert_path.read_bytes()
    monkeypatch.setattr("bloodcell.inference.forms.build_in_child", build)
    code, _, err = run("export", "cnn_3", "--format", "litert", "--precision", "int8", "--output", tmp_path / "a")
    assert (code, built) == (0, ["int8"])
    assert "Building." in err
    assert (tmp_path / "a").read_bytes() == form


@pytest.mark.parametrize(("name", "shapes"), [("hemanet_nano", [[-1, 8]]), ("hemanet_nano.eleven", [[-1, 8], [-1, 5]])])
def test_export_litert_gives_the_logits_first_and_says_what_else(run, tmp_path, monkeypatch, name, shapes):
    """A network that pools its last map gives it to Engine, but an exported file does not hold it as an output."""
    from ai_edge_litert.interpreter import Interpreter

    from bloodcell.inference.convert import answering_model, convert_model
    from bloodcell.models import build_model

    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "shelf"))
    write_artifact(tmp_path / "shelf", name, model=name)
    form = convert_model(answering_model(build_model(name)), "float16")
    monkeypatch.setattr("bloodcell.inference.forms.build_in_child", lambda _, target, *__: target.write_bytes(form))
    code, _, err = run("export", name, "--format", "litert", "--output", tmp_path / "cell.tflite")
    assert code == 0
    outputs = Interpreter(str(tmp_path / "cell.tflite")).get_output_details()
    assert [one["shape_signature"].tolist() for one in outputs] == shapes
    assert "gives logits, (n, 8) float32." in err
    assert ("second output, (n, 5)" in err) == (len(shapes) == 2)
    assert ("columns 3 to 4 (band neutrophil, segmented neutrophil) within neutrophil" in err) == (len(shapes) == 2)


def test_export_keras(run, small_artifacts, tmp_path):
    import keras

    target = tmp_path / "cell.keras"
    code, out, _ = run("export", "cnn_3", "--format", "keras", "--output", target)
    assert (code, out.strip()) == (0, str(target))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    inputs = np.random.default_rng(0).random((2, 64, 64, 3), dtype=np.float32)
    expected = np.asarray(load_model(load_artifact("cnn_3"))(inputs, training=False))
    np.testing.assert_allclose(np.asarray(keras.saving.load_model(target)(inputs, training=False)), expected, atol=1e-6)


@pytest.mark.parametrize("form", ["keras", "litert"])
def test_export_to_where_nothing_can_be_written(run, small_artifacts, tmp_path, form):
    (tmp_path / "file").write_text("in the way")
    code, out, err = run("export", "cnn_3", "--format", form, "--output", tmp_path / "file" / f"cell.{form}")
    assert (code, out) == (1, "")
    assert "Could not write" in err


def test_export_keras_under_another_ending_is_wrong_usage(run, small_artifacts, tmp_path):
    assert run("export", "cnn_3", "--format", "keras", "--output", tmp_path / "cell.h5")[0] == 2


def test_damaged_artifacts_are_named(run, small_artifacts, tmp_path, monkeypatch):
    folder = tmp_path / "copy"
    shutil.copytree(small_artifacts, folder)
    (folder / "cnn_3" / "predictions.npz").write_bytes(b"words")
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    code, _, err = run("evaluate", "cnn_3")
    assert code == 1
    assert "predictions.npz" in err
    code, _, err = run("classify", "missing.png")
    assert code == 0
    assert "cnn_3 is set aside" in err

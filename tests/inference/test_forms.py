"""LiteRT forms: shipped, cached, or built once; tried before they are handed out."""

import dataclasses
import threading
import time

import numpy as np
import pytest

from bloodcell.artifact import load_artifact, load_model
from bloodcell.dataset import load_split, prepare_images
from bloodcell.errors import DatasetNotFoundError, EngineError, StorageError
from bloodcell.evaluation import softmax
from bloodcell.inference import Engine, convert, ensure_litert, forms
from bloodcell.models import build_model


@pytest.fixture
def artifact(small_artifacts):
    return load_artifact("cnn_3")


@pytest.fixture
def unshipped(artifact):
    """The artifact as if it shipped no form, as larger networks do not."""
    files = {name: digest for name, digest in artifact.manifest.files.items() if name != "model.tflite"}
    return dataclasses.replace(artifact, manifest=dataclasses.replace(artifact.manifest, files=files))


def test_a_shipped_form_is_used_as_it_is(artifact, monkeypatch):
    monkeypatch.setattr(forms, "build_in_child", lambda *_: pytest.fail("built"))
    assert ensure_litert(artifact) == artifact.directory / "model.tflite"


def test_a_form_is_built_once_even_if_two_ask(unshipped, monkeypatch):
    builds, reports = [], []

    def build(_, target, precision, on_progress):
        builds.append(target)
        time.sleep(0.5)
        target.write_bytes(b"form")

    monkeypatch.setattr(forms, "build_in_child", build)
    found = []
    ask = lambda: found.append(ensure_litert(unshipped, lambda *report: reports.append(report)))  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1
    assert set(found) == {builds[0]}
    assert any("Another" in report[2] for report in reports)
    assert ensure_litert(unshipped) == builds[0]


def test_a_form_in_the_cache_belongs_to_weights_and_precision(unshipped, artifact, monkeypatch):
    monkeypatch.setattr(forms, "build_in_child", lambda _, target, *__: target.write_bytes(b"form"))
    first = ensure_litert(unshipped)
    reworded = dataclasses.replace(unshipped, manifest=dataclasses.replace(unshipped.manifest, notes=("A note.",)))
    assert ensure_litert(reworded) == first
    files = {**unshipped.manifest.files, "weights.safetensors": "0" * 64}
    retrained = dataclasses.replace(unshipped, manifest=dataclasses.replace(unshipped.manifest, files=files))
    assert ensure_litert(retrained) != first
    assert ensure_litert(artifact, precision="float32") not in (first, artifact.litert_path)
    assert forms.is_cached_form(first)
    assert not forms.is_cached_form(artifact.litert_path)


def test_a_failed_build_leaves_nothing_and_may_be_repeated(unshipped, monkeypatch):
    def fail(*_):
        raise EngineError("no")

    monkeypatch.setattr(forms, "build_in_child", fail)
    with pytest.raises(EngineError):
        ensure_litert(unshipped)
    monkeypatch.setattr(forms, "build_in_child", lambda _, target, *__: target.write_bytes(b"form"))
    assert ensure_litert(unshipped).read_bytes() == b"form"


def test_a_run_has_no_form(artifact):
    run = dataclasses.replace(artifact, kind="run", manifest=dataclasses.replace(artifact.manifest, files={}))
    with pytest.raises(EngineError, match="keeps no weights"):
        ensure_litert(run)


def test_an_unknown_precision_is_a_wrong_argument(artifact):
    with pytest.raises(ValueError, match="float16, float32, int8"):
        ensure_litert(artifact, precision="float8")


def test_a_cache_that_cannot_be_written_is_a_storage_error(unshipped, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BLOODCELL_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="cannot be written"):
        ensure_litert(unshipped)


def test_the_child_says_why_it_cannot_convert(unshipped, tmp_path):
    """No TensorFlow is reached: the artifact is looked for first."""
    missing = dataclasses.replace(unshipped, directory=tmp_path / "cnn_3")
    with pytest.raises(EngineError, match="No trained artifact for 'cnn_3'"):
        forms.build_in_child(missing, tmp_path / "form", "float16")
    assert not (tmp_path / "form").exists()


def test_the_child_converts(unshipped, tmp_path, small_dataset):
    reports = []
    target = tmp_path / "folder" / "form.tflite"
    forms.build_in_child(unshipped, target, "float16", lambda *report: reports.append(report))
    assert [report[:2] for report in reports] == [(step, 4) for step in range(5)]
    inputs = prepare_images(load_split("test").images)
    stored = softmax(unshipped.load_predictions("test").logits)
    np.testing.assert_allclose(softmax(Engine(target).compute_logits(inputs)), stored, atol=1e-3)


@pytest.mark.parametrize(("precision", "tolerance", "bytes_per_weight"), [("float32", 1e-5, 4), ("int8", 0.1, 1)])
def test_other_precisions(artifact, tmp_path, small_dataset, precision, tolerance, bytes_per_weight):
    target = tmp_path / "form.tflite"
    convert.build_litert(artifact, target, precision, on_progress=lambda *_: None)
    num_weights = artifact.manifest.parameters
    assert bytes_per_weight * num_weights <= target.stat().st_size < bytes_per_weight * num_weights + 20_000
    inputs = prepare_images(load_split("test").images)
    found = softmax(Engine(target).compute_logits(inputs))
    np.testing.assert_allclose(found, softmax(artifact.load_predictions("test").logits), atol=tolerance)


def test_int8_needs_the_dataset(artifact, tmp_path):
    with pytest.raises(DatasetNotFoundError):
        convert.build_litert(artifact, tmp_path / "form.tflite", "int8", on_progress=lambda *_: None)


@pytest.mark.parametrize(
    ("change", "message"), [(lambda x: x * np.nan, "not finite"), (lambda x: x[..., ::-1], "differs")]
)
def test_a_form_that_answers_otherwise_is_not_handed_out(artifact, tmp_path, monkeypatch, change, message):
    right = convert.try_form
    monkeypatch.setattr(convert, "try_form", lambda *arguments: change(40 * right(*arguments)))
    with pytest.raises(EngineError, match=message):
        convert.build_litert(artifact, tmp_path / "form.tflite", "float16", on_progress=lambda *_: None)
    assert not (tmp_path / "form.tflite").exists()


def test_a_form_must_tell_finer_types_as_keras_does(artifact, tmp_path, monkeypatch):
    network = build_model("hemanet_nano.eleven")
    monkeypatch.setattr(convert, "load_model", lambda _: network)
    answered, right = [], convert.try_form

    def turn(*arguments):
        answers = right(*arguments)
        answered.append(answers.shape)
        answers[..., 8:] = 40 * answers[..., :7:-1]
        return answers

    target = tmp_path / "form.tflite"
    convert.build_litert(artifact, target, "float32", on_progress=lambda *_: None)
    assert Engine(target).gives_subtypes
    target.unlink()
    monkeypatch.setattr(convert, "try_form", turn)
    with pytest.raises(EngineError, match="differs"):
        convert.build_litert(artifact, target, "float32", on_progress=lambda *_: None)
    assert answered == [(2, convert.NUM_TRIAL_IMAGES, 13)] and not target.exists()


def test_a_form_that_cannot_run_is_noticed_in_its_own_process():
    with pytest.raises(EngineError, match="cannot be run by LiteRT"):
        convert.try_form(b"no form", np.zeros((1, 64, 64, 3), np.float32), "cnn_3")


def test_trial_images_are_varied_and_need_no_dataset():
    inputs = convert.draw_trial_inputs()
    assert inputs.shape == (convert.NUM_TRIAL_IMAGES, 64, 64, 3)
    assert len(np.unique(inputs.mean(axis=(1, 2, 3)).round(3))) > 8
    np.testing.assert_array_equal(inputs, convert.draw_trial_inputs())


def test_loading_a_model_and_converting_agree_on_the_graph(artifact):
    assert load_model(artifact).get_layer("logits").output.shape == (None, 8)

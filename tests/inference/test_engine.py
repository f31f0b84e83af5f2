"""The engine that answers: the same answers as Keras, in any batch, from any thread, without TensorFlow."""

import dataclasses
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from bloodcell.artifact import load_artifact, load_model, load_shelf
from bloodcell.dataset import frame_image, hash_images, load_split, prepare_images
from bloodcell.errors import EngineError
from bloodcell.evaluation import softmax
from bloodcell.files import PROJECT_DIRECTORY
from bloodcell.inference import Engine, load_engine, read_image_file
from bloodcell.inference import engine as engine_module

TRAINED = sorted(path.parent.name for path in (PROJECT_DIRECTORY / "artifacts").glob("*/manifest.json"))
SHIPPED = [name for name in TRAINED if (PROJECT_DIRECTORY / "artifacts" / name / "model.tflite").is_file()]


@pytest.fixture
def artifact(small_artifacts):
    return load_artifact("cnn_3")


@pytest.fixture
def inputs(small_dataset):
    return prepare_images(load_split("test").images)


@pytest.mark.parametrize("name", ["cnn_3", "cnn_4"])
def test_litert_gives_the_probabilities_of_keras(small_artifacts, inputs, name):
    artifact = load_artifact(name)
    temperature = artifact.manifest.temperature
    from_keras = np.asarray(load_model(artifact)(inputs, training=False))
    logits = load_engine(artifact).compute_logits(inputs)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(softmax(logits), from_keras, atol=1e-3)
    stored = softmax(artifact.load_predictions("test").logits, temperature)
    np.testing.assert_allclose(softmax(logits, temperature), stored, atol=1e-3)


@pytest.mark.parametrize(
    "name", [name if name in SHIPPED else pytest.param(name, marks=pytest.mark.slow) for name in TRAINED]
)
def test_the_samples_give_the_stored_answers(real_samples, name):
    """Original images, through reading, framing and engine, against the logits stored with the artifact.

    Forms that are not shipped are built first, which takes a minute each: ask with `-m slow`.
    """
    artifact = load_artifact(name, PROJECT_DIRECTORY / "artifacts")
    images = np.stack([frame_image(read_image_file(p).pixels).pixels for p in sorted(real_samples.glob("*.jpg"))])
    test = artifact.load_predictions("test")
    row_of = {image_hash: row for row, image_hash in enumerate(test.image_hashes.tolist())}
    rows = [row_of[image_hash] for image_hash in hash_images(images).tolist()]
    temperature = artifact.manifest.temperature
    now = softmax(load_engine(artifact).compute_logits(prepare_images(images)), temperature)
    np.testing.assert_allclose(now, softmax(test.logits[rows], temperature), atol=1e-3)


def test_any_batch_gives_the_same_rows(artifact, inputs):
    engine = Engine(artifact.litert_path, largest_batch=5)
    all_at_once = Engine(artifact.litert_path, largest_batch=64).compute_logits(inputs)
    assert all_at_once.shape == (len(inputs), 8)
    for size in (1, 5, 6, 2, 13, 1):
        np.testing.assert_allclose(engine.compute_logits(inputs[:size]), all_at_once[:size], atol=1e-4)
    assert engine.compute_logits(inputs[:0]).shape == (0, 8)
    np.testing.assert_allclose(engine.compute_logits(inputs[::2]), all_at_once[::2], atol=1e-4)


def test_an_answer_is_not_overwritten_by_the_next(artifact, inputs):
    engine = load_engine(artifact)
    first = engine.compute_logits(inputs[:1])
    kept = first.copy()
    engine.compute_logits(inputs[1:2])
    np.testing.assert_array_equal(first, kept)


def test_threads_take_turns(artifact, inputs):
    engine = load_engine(artifact)
    expected = engine.compute_logits(inputs)
    wrong = []

    def ask(size: int) -> None:
        for _ in range(20):
            if not np.allclose(engine.compute_logits(inputs[:size]), expected[:size], atol=1e-4):
                wrong.append(size)

    threads = [threading.Thread(target=ask, args=(size,)) for size in (1, 3, 8, 1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_xnnpack_runs_the_network(artifact):
    engine = load_engine(artifact)
    assert engine.uses_xnnpack
    assert engine.num_threads == 2


def test_inputs_of_another_shape_or_type_are_wrong_arguments(artifact, inputs):
    engine = load_engine(artifact)
    for wrong in (inputs[0], inputs[:, :32], inputs.astype(np.float64), (inputs * 255).astype(np.uint8)):
        with pytest.raises(ValueError, match=r"Expected \(n, 64, 64, 3\) float32"):
            engine.compute_logits(wrong)


def test_a_file_that_is_no_form_is_an_engine_error(tmp_path, artifact):
    for name, data in (("empty", b""), ("words", b"no form" * 100), ("cut", artifact.litert_path.read_bytes()[:5000])):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(EngineError, match=name):
            Engine(path)


def test_a_damaged_form_in_the_cache_is_built_again(artifact, tmp_path, monkeypatch, inputs):
    """The form lies in the reader's cache, not in the artifact; its bytes are replaced by words."""
    form = artifact.litert_path.read_bytes()
    unshipped = without_form(artifact)
    builds = []

    def build(_, target: Path, *__):
        builds.append(target)
        target.write_bytes(b"words" if len(builds) == 1 else form)

    monkeypatch.setattr("bloodcell.inference.forms.build_in_child", build)
    expected = load_engine(artifact).compute_logits(inputs)
    np.testing.assert_array_equal(load_engine(unshipped).compute_logits(inputs), expected)
    assert len(builds) == 2
    assert load_engine(unshipped).path == builds[0]


def without_form(artifact):
    files = {name: digest for name, digest in artifact.manifest.files.items() if name != "model.tflite"}
    return dataclasses.replace(artifact, manifest=dataclasses.replace(artifact.manifest, files=files))


def test_a_shipped_form_that_fails_is_not_deleted(artifact, monkeypatch):
    def fail(*_, **__):
        raise EngineError("broken")

    monkeypatch.setattr(engine_module, "Engine", fail)
    with pytest.raises(EngineError, match="broken"):
        load_engine(artifact)
    assert artifact.litert_path.is_file()


def test_answers_need_no_tensorflow(small_artifacts):
    script = """
import sys
import numpy as np
from bloodcell.artifact import load_artifact
from bloodcell.inference import load_engine
load_engine(load_artifact("cnn_3")).compute_logits(np.zeros((2, 64, 64, 3), np.float32))
print([name for name in ("tensorflow", "keras", "pandas", "sklearn", "scipy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_every_committed_form_loads():
    shelf = load_shelf(PROJECT_DIRECTORY / "artifacts")
    for artifact in shelf.artifacts.values():
        if artifact.litert_path is not None:
            assert Engine(artifact.litert_path).compute_logits(np.zeros((1, 64, 64, 3), np.float32)).shape == (1, 8)

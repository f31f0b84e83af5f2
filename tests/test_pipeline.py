"""A finished training is kept whatever comes after it."""

import pytest

from bloodcell.artifact import load_artifact, writer
from bloodcell.errors import EngineError, StorageError
from bloodcell.pipeline import attach_litert
from tests.shelf import write_artifact


@pytest.fixture
def artifact(tmp_path):
    return write_artifact(tmp_path / "artifacts", "cnn_4")


def assert_kept_without_form(artifact, caplog, words):
    assert attach_litert(artifact).fingerprint == artifact.fingerprint
    assert "cnn_4 is complete and stored, but without its LiteRT form." in caplog.text and words in caplog.text
    assert load_artifact("cnn_4", artifact.directory.parent).litert_path is None


@pytest.mark.parametrize("error", [EngineError("The converter crashed."), StorageError("No space left on device.")])
def test_a_form_that_cannot_be_built_costs_no_training(artifact, monkeypatch, caplog, error):
    def fail(artifact):
        raise error

    monkeypatch.setattr("bloodcell.inference.ensure_litert", fail)
    assert_kept_without_form(artifact, caplog, str(error))


def test_a_cache_that_cannot_be_written_costs_no_training(artifact, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BLOODCELL_CACHE", str(tmp_path / "file" / "cache"))
    assert_kept_without_form(artifact, caplog, "cannot be written")


def test_a_disk_that_is_full_for_the_form_costs_no_training(artifact, monkeypatch, tmp_path, caplog):
    def refuse(path, data):
        raise StorageError(f"Could not write {path.name}: No space left on device.")

    form = tmp_path / "form.tflite"
    form.write_bytes(b"a form")
    monkeypatch.setattr("bloodcell.inference.ensure_litert", lambda artifact: form)
    monkeypatch.setattr(writer, "write_atomically", refuse)
    assert_kept_without_form(artifact, caplog, "No space left on device")

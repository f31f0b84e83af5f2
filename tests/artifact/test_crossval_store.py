"""Cross-validations on disk come back as they were, one file for all, and a damaged one is never overwritten."""

import dataclasses

import numpy as np
import pytest

from bloodcell.artifact import Predictions
from bloodcell.artifact.crossval import CROSSVAL_FILE, CrossValidation, Origin, load_crossvals, save_crossval
from bloodcell.errors import ArtifactDamagedError, StorageError


def make_crossval(name: str = "cnn_3", md5: str = "a" * 32, shift: float = 0.0) -> CrossValidation:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20, 8)).astype(np.float16).astype(np.float32) + np.float32(shift)
    origin = Origin(
        name=name,
        model=name.partition(".")[0],
        recipe_name="study",
        recipe={"num_epochs": 3, "patience": None},
        num_folds=2,
        dataset={"kind": "official", "md5": md5, "label": "a dataset"},
        duration_s=12.5,
        device="a device",
        backend="tensorflow",
        created="2026-11-26T20:00:00+00:00",
        command=f"./dev python -m bloodcell measure crossval {name}",
        notes=("A sentence.",),
    )
    hashes = generator.integers(2**63, size=20, dtype=np.uint64)
    return CrossValidation(origin, np.arange(20) % 2, Predictions("train", np.arange(20) % 8, logits, hashes))


def test_what_is_stored_comes_back(tmp_path):
    assert load_crossvals(tmp_path) == {}
    first, second = make_crossval(), make_crossval("cnn_3.other", shift=1)
    save_crossval(first, tmp_path)
    save_crossval(second, tmp_path)
    found = load_crossvals(tmp_path)
    assert list(found) == ["cnn_3", "cnn_3.other"]
    for stored, one in ((found["cnn_3"], first), (found["cnn_3.other"], second)):
        assert stored.origin == one.origin
        assert np.array_equal(stored.folds, one.folds)
        assert np.array_equal(stored.predictions.y_true, one.predictions.y_true)
        assert np.array_equal(stored.predictions.image_hashes, one.predictions.image_hashes)
        np.testing.assert_allclose(stored.predictions.logits, one.predictions.logits, atol=2e-3)  # float16
        assert stored.predictions.split == "train"


def test_one_name_is_replaced_and_the_others_stay(tmp_path):
    for one in (make_crossval(), make_crossval("cnn_4"), make_crossval(shift=3)):
        save_crossval(one, tmp_path)
    found = load_crossvals(tmp_path)
    assert list(found) == ["cnn_3", "cnn_4"]
    assert (found["cnn_3"].predictions.logits - found["cnn_4"].predictions.logits).mean() == pytest.approx(3, abs=0.01)


def test_another_dataset_is_kept_apart(tmp_path):
    save_crossval(make_crossval(), tmp_path)
    with pytest.raises(StorageError, match=r"holds cnn_3 on another dataset file.*what was trained for cnn_4 is kept"):
        save_crossval(make_crossval("cnn_4", md5="b" * 32), tmp_path)
    assert list(load_crossvals(tmp_path)) == ["cnn_3"]
    save_crossval(make_crossval(md5="b" * 32), tmp_path)  # the only one there, measured anew on another file
    assert load_crossvals(tmp_path)["cnn_3"].origin.dataset["md5"] == "b" * 32


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flip(data: bytes) -> bytes:
    return data[:400] + bytes([data[400] ^ 1]) + data[401:]


def no_origins(data: bytes) -> bytes:
    import io

    buffer = io.BytesIO()
    np.savez(buffer, y_true=np.zeros(3, np.uint8), image_hashes=np.zeros(3, np.uint64))
    return buffer.getvalue()


@pytest.mark.parametrize("damage", [cut, flip, no_origins, lambda data: b"", lambda data: b"no archive"])
def test_a_damaged_file_is_named_and_never_overwritten(damage, tmp_path):
    path = save_crossval(make_crossval(), tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(ArtifactDamagedError, match=f"{CROSSVAL_FILE} cannot be read"):
        load_crossvals(tmp_path)
    with pytest.raises(ArtifactDamagedError):
        save_crossval(make_crossval("cnn_4"), tmp_path)
    assert path.read_bytes() == before


def test_arrays_of_different_lengths_are_damage(tmp_path):
    one = make_crossval()
    save_crossval(dataclasses.replace(one, folds=one.folds[:-1]), tmp_path)
    with pytest.raises(ArtifactDamagedError, match="differ in length"):
        load_crossvals(tmp_path)

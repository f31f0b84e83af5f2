"""Cross-validations on disk come back as they were, one file for all, and a damaged one is never overwritten."""

import dataclasses

import numpy as np
import pytest

from bloodcell.artifact import Predictions
from bloodcell.artifact.crossval import (
    CROSSVAL_FILE,
    CrossValidation,
    Origin,
    check_storable,
    load_crossvals,
    save_crossval,
)
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


def spoil_predictions(**arrays):
    one = make_crossval()
    return dataclasses.replace(one, predictions=dataclasses.replace(one.predictions, **arrays))


def spoil_origin(**values):
    one = make_crossval()
    return dataclasses.replace(one, origin=dataclasses.replace(one.origin, **values))


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (dataclasses.replace(make_crossval(), folds=np.zeros(19, np.int64)), "do not fit each other"),
        (dataclasses.replace(make_crossval(), folds=np.full(20, 2)), "a fold outside 0 to 1"),
        (spoil_predictions(logits=np.zeros((20, 7), np.float32)), "do not fit each other"),
        (spoil_predictions(logits=np.zeros(20, np.float32)), "do not fit each other"),
        (spoil_predictions(logits=np.full((20, 8), np.nan, np.float32)), "are no numbers"),
        (spoil_predictions(y_true=np.full(20, 9)), "a label outside 0 to 7"),
        (spoil_predictions(y_true=np.zeros((20, 1), np.int64)), "do not fit each other"),
        (spoil_predictions(image_hashes=np.zeros(3, np.uint64)), "do not fit each other"),
        (spoil_origin(dataset={"md5": 3, "kind": "official", "label": "made"}), "is no text"),
        (spoil_origin(dataset={"md5": "a" * 32, "kind": "official", "label": None}), "is no text"),
        (spoil_origin(recipe=["num_epochs"]), "the recipe of cnn_3"),
        (spoil_origin(created=None), "the created of cnn_3 is None"),
        (spoil_origin(num_folds="two"), "the num_folds of cnn_3"),
        (spoil_origin(notes=(3,)), "is no text"),
    ],
)
def test_what_does_not_fit_is_damage(one, words, tmp_path, monkeypatch):
    """Whatever wrote the file: nothing that a page could stumble over comes out of it."""
    monkeypatch.setattr("bloodcell.artifact.crossval._load_if_storable", lambda *_: {})
    save_crossval(one, tmp_path)
    with pytest.raises(ArtifactDamagedError, match=words):
        load_crossvals(tmp_path)


def test_a_logit_beyond_float16_is_the_largest_of_it(tmp_path):
    save_crossval(spoil_predictions(logits=np.full((20, 8), -1e6, np.float32)), tmp_path)
    assert load_crossvals(tmp_path)["cnn_3"].predictions.logits.max() == np.finfo(np.float16).min


def test_before_a_training_it_is_known_whether_the_result_can_be_stored(tmp_path):
    assert check_storable("cnn_3", "a" * 32, tmp_path) == {}
    save_crossval(make_crossval(), tmp_path)
    assert list(check_storable("cnn_4", "a" * 32, tmp_path)) == ["cnn_3"]
    with pytest.raises(StorageError, match="holds cnn_3 on another dataset file"):
        check_storable("cnn_4", "b" * 32, tmp_path)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError):
        check_storable("cnn_3", "a" * 32, tmp_path / "file")

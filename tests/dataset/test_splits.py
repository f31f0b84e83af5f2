"""Reading splits, refusing damaged files, and bringing stored rows back to their images."""

import zipfile

import numpy as np
import pytest

from bloodcell.dataset import SPLITS, hash_images, load_split, match_images, source, verify_dataset
from bloodcell.dataset.source import DatasetIdentity
from bloodcell.dataset.splits import Split
from bloodcell.errors import DatasetDamagedError, DatasetNotFoundError


def make_arrays(num_images=4):
    generator = np.random.default_rng(num_images)
    arrays = {}
    for name in SPLITS:
        arrays[f"{name}_images"] = generator.integers(0, 256, (num_images, 64, 64, 3)).astype(np.uint8)
        arrays[f"{name}_labels"] = generator.integers(0, 8, (num_images, 1)).astype(np.uint8)
    return arrays


def write(path, **changes):
    arrays = {name: array for name, array in (make_arrays() | changes).items() if array is not None}
    np.savez_compressed(path, **arrays)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.npz"


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_is_what_the_file_holds_and_cannot_be_written(path, name):
    write(path)
    split = load_split(name, path)
    arrays = make_arrays()
    np.testing.assert_array_equal(split.images, arrays[f"{name}_images"])
    np.testing.assert_array_equal(split.labels, arrays[f"{name}_labels"][:, 0])
    assert split.labels.dtype == np.int64 and split.images.dtype == np.uint8
    assert split.num_images == 4 and split.name == name and split.identity.kind == "unknown"
    for array in (split.images, split.labels, split.image_hashes):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_only_the_arrays_of_the_split_are_read(path):
    """A file whose other splits are broken still gives this one; verifying it finds them."""
    write(path, train_images=np.zeros(3), val_labels=None)
    assert load_split("test", path).num_images == 4
    with pytest.raises(DatasetDamagedError):
        verify_dataset(path)


def test_the_split_of_the_environment_is_found(small_dataset):
    assert load_split("val").num_images == 40


def test_an_unknown_split_is_a_wrong_argument(path):
    with pytest.raises(ValueError, match="Received: 'valid'"):
        load_split("valid", write(path))


def test_a_whole_file_is_verified(path):
    assert verify_dataset(write(path)).path == path


DAMAGES = {
    "missing array": ({"val_labels": None}, r"has no array val_labels; it holds .*train_images"),
    "wrong shape": ({"val_images": np.zeros((4, 28, 28, 3), np.uint8)}, r"val_images .*expected shape.*found \(4, 28"),
    "grey images": ({"val_images": np.zeros((4, 64, 64), np.uint8)}, r"val_images .*expected shape"),
    "a scalar": ({"val_images": np.uint8(3)}, r"val_images .*expected shape"),
    "no images": ({"val_images": np.zeros((0, 64, 64, 3), np.uint8)}, r"val_images .*1 or more"),
    "wrong type": ({"val_images": np.zeros((4, 64, 64, 3), np.float32)}, r"expected type uint8, found float32"),
    "too few labels": ({"val_labels": np.zeros((3, 1), np.uint8)}, r"val_labels .*expected shape \(4, 1\).*\(3, 1\)"),
    "label type": ({"val_labels": np.zeros((4, 1))}, r"val_labels .*whole numbers, found float64"),
    "label value": ({"val_labels": np.array([[1], [8], [0], [0]])}, r"from 0 to 7, found 8 in row 1"),
    "negative label": ({"val_labels": np.array([[1], [1], [-2], [0]])}, r"from 0 to 7, found -2 in row 2"),
    "objects": ({"val_labels": np.array([[{}]] * 4, dtype=object)}, r"val_labels"),
}


@pytest.mark.parametrize(("changes", "message"), DAMAGES.values(), ids=DAMAGES)
def test_each_damage_has_its_own_sentence(path, changes, message):
    write(path, **changes)
    with pytest.raises(DatasetDamagedError, match=message) as caught:
        verify_dataset(path)
    assert "data download" in str(caught.value)


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_truncated_file_is_refused(path, kept):
    content = write(path).read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(len(content) * kept)])
    with pytest.raises(DatasetDamagedError, match="truncated or not a NumPy archive"):
        load_split("train", path)


def test_text_is_refused(path):
    path.write_text("not a dataset")
    with pytest.raises(DatasetDamagedError, match="truncated or not a NumPy archive"):
        verify_dataset(path)


def test_altered_bytes_are_found_by_their_checksum(path):
    np.savez(path, **make_arrays())
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("val_images.npy").header_offset
    content[start + 5000] ^= 255
    path.write_bytes(content)
    with pytest.raises(DatasetDamagedError, match=r"val_images .*cannot be read"):
        verify_dataset(path)


def test_a_header_that_claims_more_than_is_there_asks_for_no_memory(path):
    arrays = make_arrays()
    del arrays["test_images"]
    np.savez(path, **arrays)
    with zipfile.ZipFile(path, "a") as archive, archive.open("test_images.npy", "w") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**12, 64, 64, 3)}
        np.lib.format.write_array_header_1_0(stream, header)
    with pytest.raises(DatasetDamagedError, match=r"test_images .*12,288,000,000,000,000 bytes"):
        load_split("test", path)


def test_a_folder_and_a_missing_file_are_not_found(tmp_path):
    for place in (tmp_path, tmp_path / "gone.npz"):
        with pytest.raises(DatasetNotFoundError, match="cannot be read"):
            load_split("test", place)


def test_a_hash_depends_on_every_pixel_and_is_stable():
    images = np.zeros((3, 64, 64, 3), np.uint8)
    images[1, 63, 63, 2] = 1
    hashes = hash_images(images)
    assert hashes.dtype == np.uint64 and hashes[0] == hashes[2] != hashes[1]
    by_coreutils = "4cc35df38ee3487c"  # head -c 12288 /dev/zero | b2sum -l 64
    assert int(hashes[0]) == int.from_bytes(bytes.fromhex(by_coreutils), "little")
    reversed_view = images[::-1]
    np.testing.assert_array_equal(hash_images(reversed_view), hashes[::-1])
    assert hash_images(images[:0]).shape == (0,)
    with pytest.raises(ValueError, match="uint8"):
        hash_images(images.astype(float))


def make_split(name="test", num_images=6):
    arrays = make_arrays(num_images)
    identity = DatasetIdentity("unknown", "0" * 32, source.Path("x"), "x")
    return Split(name, arrays[f"{name}_images"], arrays[f"{name}_labels"][:, 0].astype(np.int64), identity)


def counts(matching):
    return matching.num_by_pixels, matching.num_by_position, matching.num_unmatched


def test_rows_of_the_same_file_stay_in_place():
    split = make_split()
    matching = match_images(split.image_hashes, split.labels, split)
    np.testing.assert_array_equal(matching.indices, np.arange(6))
    assert counts(matching) == (6, 0, 0) and matching.indices.dtype == np.int64


@pytest.mark.parametrize("name", SPLITS)
def test_rows_in_another_order_are_found_by_pixels(name):
    split = make_split(name)
    order = np.array([3, 5, 0, 1, 4, 2])
    matching = match_images(split.image_hashes[order], split.labels[order], split)
    np.testing.assert_array_equal(matching.indices, order)
    assert counts(matching) == (6, 0, 0)


def test_position_counts_in_test_only_and_only_where_the_label_agrees():
    split = make_split("test")
    hashes, labels = split.image_hashes.copy(), split.labels.copy()
    hashes[[1, 4]] += np.uint64(1)
    labels[4] = (labels[4] + 1) % 8
    matching = match_images(hashes, labels, split)
    np.testing.assert_array_equal(matching.indices, [0, 1, 2, 3, -1, 5])
    assert counts(matching) == (4, 1, 1)
    val = Split("val", split.images, split.labels, split.identity)
    assert counts(match_images(hashes, labels, val)) == (4, 0, 2)


def test_a_place_that_another_row_holds_is_not_given_twice():
    split = make_split("test")
    hashes = split.image_hashes.copy()
    hashes[0], hashes[1] = split.image_hashes[1], np.uint64(7)
    labels = np.full(6, split.labels[1])
    assert match_images(hashes, labels, split).indices[:2].tolist() == [1, -1]


def test_identical_twins_get_a_row_each():
    split = make_split("val")
    images = split.images.copy()
    images[4] = images[1]
    split = Split("val", images, split.labels, split.identity)
    order = np.array([4, 0, 2, 1])
    matching = match_images(split.image_hashes[order], split.labels[order], split)
    assert sorted(matching.indices.tolist()) == [0, 1, 2, 4]
    three = match_images(np.repeat(split.image_hashes[1], 3), np.zeros(3, np.int64), split)
    assert set(three.indices.tolist()) == {1, 4} and three.num_unmatched == 0


def test_more_and_fewer_stored_rows_than_images():
    split = make_split("test")
    more = np.concatenate([split.image_hashes, np.array([1, 2], np.uint64)])
    assert counts(match_images(more, np.zeros(8, np.int64), split)) == (6, 0, 2)
    assert counts(match_images(more[:2], np.zeros(2, np.int64), split)) == (2, 0, 0)
    assert counts(match_images(more[:0], np.zeros(0, np.int64), split)) == (0, 0, 0)
    with pytest.raises(ValueError, match="one hash and one label"):
        match_images(more, np.zeros(3, np.int64), split)


def test_the_real_splits_have_the_known_sizes(real_dataset):
    split = load_split("test", real_dataset)
    assert np.bincount(split.labels).tolist() == [244, 624, 311, 579, 243, 284, 666, 470]
    assert split.image_hashes[:3].tolist() == hash_images(split.images[:3]).tolist()
    assert counts(match_images(split.image_hashes[::-1], split.labels[::-1], split)) == (3421, 0, 0)

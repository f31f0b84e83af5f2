"""The three splits of the dataset, read and checked; and stored results brought back to their images."""

import hashlib
import math
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from bloodcell.dataset.classes import CLASS_NAMES
from bloodcell.dataset.images import INPUT_SIZE
from bloodcell.dataset.source import DatasetIdentity, find_dataset, identify_dataset
from bloodcell.errors import DatasetDamagedError, DatasetNotFoundError

SPLITS: tuple[str, ...] = ("train", "val", "test")

_REPAIR = (
    "Run `python -m bloodcell data download` for a fresh copy, or let BLOODCELL_DATA name a whole file with MedMNIST's "
    "six arrays."
)


@dataclass(frozen=True, eq=False)
class Split:
    """One split of the dataset. The arrays are read-only, so that many readers can share them.

    Attributes:
        name: "train", "val" or "test".
        images: (n, 64, 64, 3) uint8.
        labels: (n,) int64 in [0, 8).
        identity: The file that it was read from.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    identity: DatasetIdentity

    @property
    def num_images(self) -> int:
        """Number of images in this split."""
        return len(self.labels)

    @cached_property
    def image_hashes(self) -> np.ndarray:
        """Hash of every image, (n,) uint64, computed on first use."""
        hashes = hash_images(self.images)
        hashes.flags.writeable = False
        return hashes


@dataclass(frozen=True, eq=False)
class Matching:
    """Where stored rows lie in a split.

    Attributes:
        indices: (n,) int64, one per stored row: its index in the split, -1 where the image is not there.
        num_by_pixels: Rows found by equal pixels.
        num_by_position: Rows of test taken by position, their label being equal.
        num_unmatched: Rows that were not found.
    """

    indices: np.ndarray
    num_by_pixels: int
    num_by_position: int
    num_unmatched: int


def load_split(name: str, path: Path | None = None) -> Split:
    """Return one split, reading only its two arrays.

    Args:
        name: "train", "val" or "test".
        path: The file; found by `find_dataset` if None.

    Raises:
        DatasetNotFoundError: There is no file.
        DatasetDamagedError: The file is truncated, lacks an array, or an array has a wrong shape, type or value.
    """
    _check_split_name(name)
    path = find_dataset() if path is None else Path(path)
    identity = identify_dataset(path)
    with _open_archive(path) as archive:
        num_images = _check_headers(archive, name, path)
        images = _read_array(archive, f"{name}_images", path)
        labels = _read_array(archive, f"{name}_labels", path).reshape(num_images).astype(np.int64)
    _check_labels(labels, name, path)
    images.flags.writeable = False
    labels.flags.writeable = False
    return Split(name, images, labels, identity)


def verify_dataset(path: Path | None = None) -> DatasetIdentity:
    """Return which file lies at `path` after reading and checking all six arrays.

    Raises:
        DatasetNotFoundError: There is no file.
        DatasetDamagedError: The first thing that is wrong with the file.
    """
    path = find_dataset() if path is None else Path(path)
    count_images(path)  # all headers first: a missing array shows before a minute of reading
    identity = identify_dataset(path)
    for name in SPLITS:
        load_split(name, path)
    return identity


def load_labels(path: Path | None = None) -> dict[str, np.ndarray]:
    """Return the labels of every split, (n,) int64 each, without reading any image.

    Raises:
        DatasetNotFoundError: There is no file.
        DatasetDamagedError: The file is truncated, lacks an array, or an array has a wrong shape, type or value.
    """
    path = find_dataset() if path is None else Path(path)
    labels = {}
    with _open_archive(path) as archive:
        for name in SPLITS:
            num_images = _check_headers(archive, name, path)
            labels[name] = _read_array(archive, f"{name}_labels", path).reshape(num_images).astype(np.int64)
            _check_labels(labels[name], name, path)
    return labels


def count_images(path: Path) -> dict[str, int]:
    """Return the number of images per split from the arrays' headers alone, without reading any image.

    Raises:
        DatasetNotFoundError: The file cannot be read.
        DatasetDamagedError: The file is truncated, lacks an array, or an array has a wrong shape or type.
    """
    with _open_archive(Path(path)) as archive:
        return {name: _check_headers(archive, name, path) for name in SPLITS}


def hash_images(images: np.ndarray) -> np.ndarray:
    """Return one hash per image, (n,) uint64: the first 8 bytes of BLAKE2b over its pixels, little-endian.

    Args:
        images: (n, 64, 64, 3) uint8, rows then columns then channels.
    """
    if images.ndim != 4 or images.shape[1:] != (INPUT_SIZE, INPUT_SIZE, 3) or images.dtype != np.uint8:
        raise ValueError(f"Expected (n, 64, 64, 3) uint8 images. Received: {images.shape} {images.dtype}")
    digests = (hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def match_images(stored_hashes: np.ndarray, stored_labels: np.ndarray, split: Split) -> Matching:
    """Return where stored rows lie in a split: by pixels, and in test also by position where the label agrees.

    Files of the dataset differ in the order of val and in a few images, so a stored row belongs to an image, not to a
    place. Of pixel-identical twins each stored row gets its own; rows beyond their number share the first.

    Args:
        stored_hashes: (n,) uint64 as `hash_images` gives them.
        stored_labels: (n,) class indices of the same rows.
        split: The split that the rows were computed on, in the file at hand.
    """
    if stored_hashes.shape != stored_labels.shape or stored_hashes.ndim != 1:
        raise ValueError(
            f"Expected one hash and one label per row. Received: {stored_hashes.shape} and {stored_labels.shape}"
        )
    num_shared = min(len(stored_hashes), split.num_images)
    indices = np.full(len(stored_hashes), -1, dtype=np.int64)
    in_place = np.flatnonzero(stored_hashes[:num_shared] == split.image_hashes[:num_shared])
    indices[in_place] = in_place
    taken = np.zeros(split.num_images, dtype=bool)
    taken[in_place] = True

    places: dict[int, list[int]] = defaultdict(list)
    for index, image_hash in enumerate(split.image_hashes.tolist()):
        places[image_hash].append(index)
    for row in np.flatnonzero(indices < 0):
        twins = places.get(int(stored_hashes[row]), [])
        if twins:
            free = [index for index in twins if not taken[index]]
            indices[row] = (free or twins)[0]
            taken[indices[row]] = True
    num_by_pixels = int((indices >= 0).sum())

    if split.name == "test":
        rows = np.flatnonzero((indices[:num_shared] < 0) & ~taken[:num_shared])
        rows = rows[stored_labels[rows] == split.labels[rows]]
        indices[rows] = rows
    num_unmatched = int((indices < 0).sum())
    return Matching(indices, num_by_pixels, len(indices) - num_by_pixels - num_unmatched, num_unmatched)


def _check_split_name(name: str) -> None:
    if name not in SPLITS:
        raise ValueError(f"Expected a split among {', '.join(SPLITS)}. Received: {name!r}")


@contextmanager
def _open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except zipfile.BadZipFile as error:
        raise DatasetDamagedError(
            f"The dataset's file {path} is truncated or not a NumPy archive at all ({error}). {_REPAIR}"
        ) from error
    except OSError as error:
        raise DatasetNotFoundError(
            f"The dataset's file {path} cannot be read: {error.strerror or error}. Check the path and its permissions."
        ) from error


def _check_headers(archive: zipfile.ZipFile, name: str, path: Path) -> int:
    """Return the number of images of a split after checking shapes and types of its two arrays."""
    image_shape, image_type = _read_header(archive, f"{name}_images", path)
    label_shape, label_type = _read_header(archive, f"{name}_labels", path)
    num_images = image_shape[0] if image_shape else 0
    side = INPUT_SIZE
    if image_shape[1:] != (side, side, 3) or num_images == 0:
        raise _wrong(path, f"{name}_images", f"shape (n, {side}, {side}, 3) with n of 1 or more", f"{image_shape}")
    if image_type != np.uint8:
        raise _wrong(path, f"{name}_images", "type uint8", str(image_type))
    if label_shape not in ((num_images, 1), (num_images,)):
        raise _wrong(path, f"{name}_labels", f"shape ({num_images}, 1), one label per image", f"{label_shape}")
    if label_type.kind not in "iu":
        raise _wrong(path, f"{name}_labels", "a type of whole numbers", str(label_type))
    return num_images


def _wrong(path: Path, array: str, expected: str, found: str) -> DatasetDamagedError:
    return DatasetDamagedError(f"The array {array} in {path} is wrong: expected {expected}, found {found}. {_REPAIR}")


def _read_header(archive: zipfile.ZipFile, array: str, path: Path) -> tuple[tuple[int, ...], np.dtype]:
    with _open_array(archive, array, path) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    needed, present = math.prod(shape) * dtype.itemsize, archive.getinfo(f"{array}.npy").file_size
    if needed > present:  # said here, before memory for the claim is asked for
        raise _wrong(path, array, f"{needed:,} bytes for shape {shape}", f"{present:,}")
    return shape, dtype


def _read_array(archive: zipfile.ZipFile, array: str, path: Path) -> np.ndarray:
    with _open_array(archive, array, path) as stream:
        values = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read(1)  # reaching the end makes zipfile compare the checksum
    return np.ascontiguousarray(values)


@contextmanager
def _open_array(archive: zipfile.ZipFile, array: str, path: Path) -> Iterator:
    try:
        with archive.open(f"{array}.npy") as stream:
            yield stream
    except KeyError as error:
        present = ", ".join(sorted(name.removesuffix(".npy") for name in archive.namelist())) or "nothing"
        raise DatasetDamagedError(
            f"The file {path} has no array {array}; it holds {present}. Expected MedMNIST's six arrays. {_REPAIR}"
        ) from error
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError) as error:
        raise DatasetDamagedError(f"The array {array} in {path} cannot be read: {error}. {_REPAIR}") from error


def _check_labels(labels: np.ndarray, name: str, path: Path) -> None:
    outside = (labels < 0) | (labels >= len(CLASS_NAMES))
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        expected = f"labels from 0 to {len(CLASS_NAMES) - 1}"
        raise _wrong(path, f"{name}_labels", expected, f"{labels[row]} in row {row}")

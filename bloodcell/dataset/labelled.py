"""A labelled set: a folder, or a zip file of one, with images of single cells and a table of their classes.

    labels.csv      one row per image; the columns `file` and `class_name` are read, others are welcome:
                    file,label,class_name,…
                    neutrophil/smear-7_3.png,6,neutrophil,…
    neutrophil/…    the images, wherever `file` says, relative to labels.csv

How a file becomes the 64 x 64 pixels of its cell is the caller's to say, by a `ReadCell`; `inference.read_cell` reads
and frames it as an uploaded image. Reviewed cases are exported in this layout, and a folder made by hand works as well.
A model can be measured on such a set, and a training can add one to its train images. The names of the eight classes
count, or their codes such as NEU; `label`, the class's index, must agree with the name where it is given.
"""

import contextlib
import csv
import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from bloodcell.dataset.classes import CLASS_CODES, CLASS_NAMES
from bloodcell.dataset.images import INPUT_SIZE
from bloodcell.dataset.linking import KnownRows
from bloodcell.dataset.splits import Split, hash_images
from bloodcell.errors import DatasetDamagedError, DatasetNotFoundError, ImageError

LABELS_FILE = "labels.csv"
MAXIMUM_IMAGE_BYTES = 16 * 1024**2
LARGEST_DIFFERENCE = 8.0
"""Mean difference, in grey levels of 255, up to which a cell is taken for one of val or test.

A wrong guess only costs a cell. Cells of test saved again as JPEG of quality 75, at 64 x 64 pixels, differ by 5.2
(median) to 9.7 from themselves, by 7.2 or less 99 times in 100. Of the 11,959 cells of train, 16 are as near as 8 to
one of val or test, 8 of them equal to it.
"""
_GROUP = 256
_LABELS = {name.lower(): label for names in (CLASS_NAMES, CLASS_CODES) for label, name in enumerate(names)}

ReadCell = Callable[[bytes, str], np.ndarray]
"""Returns the (64, 64, 3) uint8 pixels of the one cell in a file, given its bytes and its name for messages.

Raises `ImageError`, a sentence, where the file shows no cell or is no image.
"""


def load_labelled_set(folder_or_zip: Path, read_cell: ReadCell) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels of a labelled set, in the order of its table.

    Args:
        folder_or_zip: A folder with labels.csv, or a zip file whose top or only folder holds it.
        read_cell: How a file is read and its cell framed.

    Returns:
        Images (n, 64, 64, 3) uint8 and labels (n,) int64 in [0, 8).

    Raises:
        DatasetNotFoundError: There is no such folder or file, or no labels.csv in it.
        DatasetDamagedError: The zip file is damaged or asks for a password, a file cannot be read, or the table or an
            image cannot be used; the message names the row.
    """
    path = Path(folder_or_zip)
    if os.path.isdir(path):  # Path.is_dir raises where the path may not be looked into, or is too long
        return _load(path, _read_folder(path), read_cell)
    if not os.path.isfile(path):
        raise DatasetNotFoundError(f"There is no labelled set at {path}. Expected a folder or a zip file.")
    with _unpacking(path):
        archive = zipfile.ZipFile(path)
    with archive:
        return _load(path, _read_archive(path, archive), read_cell)


def add_labelled_set(
    train: Split, folder_or_zip: Path, held_out: Iterable[Split], read_cell: ReadCell
) -> tuple[Split, int]:
    """Return the train split with the cells of a labelled set after its own images, and how many were left out.

    Cells that lie in a split that models are judged by are left out, pixel for pixel or nearly so, as after JPEG
    compression: a model must not have seen them. One that was framed anew is not recognised. The identity of what is
    returned names the added cells, and its MD5 is of both: the file's and the cells'.

    Args:
        held_out: Splits that stay unseen.
        read_cell: As for `load_labelled_set`.

    Raises:
        DatasetNotFoundError, DatasetDamagedError: As `load_labelled_set`; also if no cell is left.
    """
    images, labels = load_labelled_set(folder_or_zip, read_cell)
    kept = ~_are_known(images, list(held_out))
    images, labels = images[kept], labels[kept]
    if not len(labels):
        raise DatasetDamagedError(
            f"All {len(kept)} cells of {folder_or_zip} are images of val or test, or nearly equal to one, and a model "
            "must not be trained on those. Add other cells."
        )
    digest = hashlib.md5(train.identity.md5.encode(), usedforsecurity=False)
    digest.update(images.tobytes() + labels.tobytes())
    cells = "1 labelled cell" if len(labels) == 1 else f"{len(labels):,} labelled cells"
    identity = replace(
        train.identity, md5=digest.hexdigest(), label=f"{train.identity.label}; {cells} were added to train"
    )
    added = Split(train.name, np.concatenate([train.images, images]), np.concatenate([train.labels, labels]), identity)
    added.images.flags.writeable = added.labels.flags.writeable = False
    return added, int((~kept).sum())


def _are_known(images: np.ndarray, splits: list[Split]) -> np.ndarray:
    """Return of each image, as (n,) bool, whether the splits hold it, with equal pixels or nearly equal ones."""
    rows = KnownRows(splits)
    known = np.isin(hash_images(images), rows.hashes)
    for start in range(0, len(images), _GROUP):  # many cells at once would be compared in gigabytes
        group = slice(start, start + _GROUP)
        known[group] |= np.array(rows.find_close(images[group], LARGEST_DIFFERENCE)) >= 0
    return known


def _load(path: Path, read: Callable[[str], bytes | None], read_cell: ReadCell) -> tuple[np.ndarray, np.ndarray]:
    table = read(LABELS_FILE)
    if table is None:
        raise DatasetNotFoundError(
            f"{path} holds no {LABELS_FILE}. Expected a table with the columns 'file' and 'class_name', "
            "and the images that it names."
        )
    rows = _read_table(path, table)
    images = np.empty((len(rows), INPUT_SIZE, INPUT_SIZE, 3), np.uint8)
    labels = np.empty(len(rows), np.int64)
    for index, row in enumerate(rows):
        where = f"{path}, {LABELS_FILE}, row {index + 2}"
        labels[index] = _read_label(row, where)
        file = (row.get("file") or "").strip()
        data = read(file)
        if data is None:
            raise DatasetDamagedError(f"{where}: there is no file {file!r} in the set.")
        try:
            if len(data) > MAXIMUM_IMAGE_BYTES:
                raise ImageError(f"It has {len(data) / 1024**2:.0f} MB, more than one cell needs.")
            images[index] = read_cell(data, file)
        except ImageError as error:
            raise DatasetDamagedError(f"{where}: {file} cannot be used as an image of a cell. {error}") from error
    return images, labels


def _read_table(path: Path, table: bytes) -> list[dict[str, str]]:
    try:
        reader = csv.DictReader(io.StringIO(table.decode("utf-8-sig"), newline=""))
        rows, columns = list(reader), reader.fieldnames or []
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetDamagedError(f"{path}: {LABELS_FILE} cannot be read ({error}). Save it as UTF-8 CSV.") from error
    if not {"file", "class_name"} <= set(columns) or not rows:
        raise DatasetDamagedError(
            f"{path}: {LABELS_FILE} needs the columns 'file' and 'class_name' and at least one row. "
            f"Found the columns {', '.join(columns) or 'none'} and {len(rows)} rows."
        )
    return rows


def _read_label(row: dict[str, str], where: str) -> int:
    name = (row.get("class_name") or "").strip().lower()
    if name not in _LABELS:
        raise DatasetDamagedError(
            f"{where}: expected one of {', '.join(CLASS_NAMES)}, or of {', '.join(CLASS_CODES)}, as class_name; "
            f"found {name!r}."
        )
    label = _LABELS[name]
    stated = (row.get("label") or "").strip()
    if stated and stated != str(label):
        raise DatasetDamagedError(f"{where}: the label {stated!r} is not that of {name}, {label}. Correct one of them.")
    return label


def _read_folder(folder: Path) -> Callable[[str], bytes | None]:
    def read(name: str) -> bytes | None:
        path = folder / name
        try:
            if not _is_inside(name) or not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
                return None
            return path.read_bytes()
        except OSError as error:
            raise DatasetDamagedError(
                f"{path} cannot be read ({error.strerror or error}). Check its name and its rights."
            ) from error

    return read


def _read_archive(path: Path, archive: zipfile.ZipFile) -> Callable[[str], bytes | None]:
    names = set(archive.namelist())
    tops = {parts[0] for parts in (PurePosixPath(name).parts for name in names) if parts}
    prefix = "" if LABELS_FILE in names else f"{next(iter(tops))}/" if len(tops) == 1 else ""

    def read(name: str) -> bytes | None:
        if not _is_inside(name) or prefix + name not in names:
            return None
        if archive.getinfo(prefix + name).file_size > MAXIMUM_IMAGE_BYTES:
            raise DatasetDamagedError(
                f"{path}: {name} would take more than {MAXIMUM_IMAGE_BYTES // 1024**2} MB unpacked."
            )
        with _unpacking(path):
            return archive.read(prefix + name)

    return read


@contextlib.contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # zipfile and its decoders raise whatever they like on damaged or encrypted files
        reason = str(error) or type(error).__name__
        raise DatasetDamagedError(
            f"{path} is neither a folder nor a sound zip file without a password ({reason}). "
            "Export the labelled set again."
        ) from error


def _is_inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and ".." not in parts and not PurePosixPath(name).is_absolute()

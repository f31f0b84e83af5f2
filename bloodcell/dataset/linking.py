"""Brings the original images and the dataset's rows together by their pixels, and so learns the finer types.

An original, framed by MedMNIST's recipe (`frame_image`), has the very pixels of its row. Where another decoder of JPEG
moved a few of them, the nearest row counts if it differs by no more than two grey levels in the mean; two different
cells are never that alike.
"""

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from bloodcell.dataset.images import INPUT_SIZE, frame_image
from bloodcell.dataset.splits import SPLITS, Split, load_split
from bloodcell.dataset.subtypes import (
    FINER_CLASSES,
    FINER_NAMES,
    SUBTYPE_CODES,
    TABLE_PATH,
    format_subtypes,
    linked_table_path,
    read_subtypes,
)
from bloodcell.errors import DatasetDamagedError, DatasetNotFoundError, ImageError
from bloodcell.files import write_atomically

LARGEST_DIFFERENCE = 2.0
"""Mean difference, in grey levels of 255, up to which a framed original is taken for a row of the dataset."""

_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"}
_NAME_OF_CODE = {code: name for name, code in SUBTYPE_CODES.items()}
_CODE = re.compile(rf"({'|'.join(_NAME_OF_CODE)})_", re.IGNORECASE)
_BLOCK = 8
_GROUP = 256


@dataclass(frozen=True)
class Link:
    """What a folder of originals told.

    Attributes:
        num_files: Image files in the folder and below.
        num_unreadable: Of these, files that are no images, or none of a single cell.
        num_exact, num_close: Files found in the dataset with equal pixels, and with nearly equal ones.
        num_unmatched: Files whose cell the dataset does not hold.
        subtypes: Rows of the dataset by the finer type that a file's name gave them.
        num_contradicting: Rows left out because their label is of another class than the file's name says.
        num_agreeing, num_new: Rows of which the package's own table says the same, and nothing.
        differing: Rows, as "split row: ours, theirs", of which it says otherwise.
        num_added, num_linked: Rows that the linked table holds now and did not before, and all that it holds.
        table: Where the rows were written; None where no name told a finer type.
    """

    num_files: int
    num_unreadable: int
    num_exact: int
    num_close: int
    num_unmatched: int
    subtypes: dict[str, int]
    num_contradicting: int
    num_agreeing: int
    num_new: int
    differing: tuple[str, ...]
    num_added: int
    num_linked: int
    table: Path | None


class KnownRows:
    """Rows of the dataset, found by equal pixels or by nearly equal ones."""

    def __init__(self, splits: list[Split]) -> None:
        self.places = [(split.name, row) for split in splits for row in range(split.num_images)]
        self.labels = np.concatenate([split.labels for split in splits])
        self.hashes = np.concatenate([split.image_hashes for split in splits])
        self._images = [split.images for split in splits]
        self._starts = np.cumsum([0, *(split.num_images for split in splits)])
        self._fingerprints: np.ndarray | None = None
        self._by_hash: dict[int, list[int]] = defaultdict(list)
        for index, image_hash in enumerate(self.hashes.tolist()):
            self._by_hash[image_hash].append(index)

    def find_equal(self, image_hash: int) -> list[int]:
        """Return the rows with these very pixels; twins of one cell are several."""
        return self._by_hash.get(image_hash, [])

    def find_close(self, images: np.ndarray, largest_difference: float = LARGEST_DIFFERENCE) -> list[int]:
        """Return for every image the row that is nearly equal to it, or -1.

        Args:
            largest_difference: Mean difference, in grey levels of 255, up to which they are nearly equal.
        """
        if self._fingerprints is None:
            self._fingerprints = np.concatenate([_fingerprint(images) for images in self._images])
        known, asked = self._fingerprints, _fingerprint(images)
        distances = (known**2).sum(axis=1) - 2 * asked @ known.T
        found = []
        for image, nearest in zip(images, distances.argmin(axis=1).tolist(), strict=True):
            difference = np.abs(self._image(nearest).astype(np.int16) - image).mean()
            found.append(nearest if difference <= largest_difference else -1)
        return found

    def _image(self, index: int) -> np.ndarray:
        split = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._images[split][index - self._starts[split]]


def link_originals(folder: Path, on_progress: Callable[[int, int], None] | None = None) -> Link:
    """Match the original images in a folder to the dataset's rows, and keep the finer types for `find_subtypes`.

    What was linked before, from other folders, stays; what is found now counts for a row that was linked already.

    Args:
        folder: A copy of the originals, or some of them, under their own names, in any folders.
        on_progress: Called with files done and files in all.

    Raises:
        DatasetNotFoundError: There is no such folder, no image in it, or no dataset.
        DatasetDamagedError: What was linked before cannot be read.
        StorageError: The cache cannot be written.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise DatasetNotFoundError(f"There is no folder {folder}. Expected a copy of the original images (PBC).")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise DatasetNotFoundError(f"{folder} holds no image file. Expected the originals (PBC), as BNE_48823.jpg.")
    _read_linked()  # before minutes of work, not after
    rows = KnownRows([load_split(name) for name in SPLITS])
    counts: Counter[str] = Counter()
    named: dict[int, str] = {}
    for done, (framed, images, num_unreadable) in enumerate(_read_groups(paths), start=1):
        counts["unreadable"] += num_unreadable
        for path, matches, kind in _match(framed, images, rows):
            counts[kind] += 1
            code = _CODE.match(path.name)
            if code is not None:
                named |= dict.fromkeys(matches, _NAME_OF_CODE[code[1].upper()])
        if on_progress is not None:
            on_progress(min(done * _GROUP, len(paths)), len(paths))
    kept = {row: name for row, name in named.items() if FINER_CLASSES[FINER_NAMES.index(name)] == rows.labels[row]}
    agreeing, new, differing = _compare(kept, rows)
    num_added, num_linked = _store([(*rows.places[row], int(rows.hashes[row]), name) for row, name in kept.items()])
    return Link(
        num_files=len(paths),
        num_unreadable=counts["unreadable"],
        num_exact=counts["exact"],
        num_close=counts["close"],
        num_unmatched=counts["unmatched"],
        subtypes={name: sum(one == name for one in kept.values()) for name in SUBTYPE_CODES},
        num_contradicting=len(named) - len(kept),
        num_agreeing=agreeing,
        num_new=new,
        differing=differing,
        num_added=num_added,
        num_linked=num_linked,
        table=linked_table_path() if kept else None,
    )


def _read_groups(paths: list[Path]) -> Iterator[tuple[list[Path], np.ndarray, int]]:
    """Yield groups of files: those that could be read, their framed pixels, and how many could not."""
    for start in range(0, len(paths), _GROUP):
        group = paths[start : start + _GROUP]
        found = [(path, pixels) for path in group if (pixels := _read(path)) is not None]
        images = np.stack([pixels for _, pixels in found]) if found else np.zeros((0, INPUT_SIZE, INPUT_SIZE, 3), "u1")
        yield [path for path, _ in found], images, len(group) - len(found)


def _read(path: Path) -> np.ndarray | None:
    try:
        with Image.open(path, formats=("JPEG", "PNG", "TIFF", "BMP")) as image:
            return frame_image(np.array(image.convert("RGB"))).pixels
    except (ImageError, UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return None


def _match(paths: list[Path], images: np.ndarray, rows: KnownRows) -> Iterator[tuple[Path, list[int], str]]:
    """Yield for every file the rows that show its cell, and whether they are "exact", "close" or "unmatched"."""
    from bloodcell.dataset.splits import hash_images

    if not len(images):
        return
    exact = [rows.find_equal(image_hash) for image_hash in hash_images(images).tolist()]
    missing = [index for index, matches in enumerate(exact) if not matches]
    close = dict(zip(missing, rows.find_close(images[missing]), strict=True)) if missing else {}
    for index, (path, matches) in enumerate(zip(paths, exact, strict=True)):
        if matches:
            yield path, matches, "exact"
        elif close[index] >= 0:
            yield path, [close[index]], "close"
        else:
            yield path, [], "unmatched"


def _compare(kept: dict[int, str], rows: KnownRows) -> tuple[int, int, tuple[str, ...]]:
    """Return how many rows the package's table names alike, how many it lacks, and which it names otherwise."""
    own = read_subtypes(TABLE_PATH).by_hash
    agreeing, new, differing = 0, 0, []
    for row, name in sorted(kept.items()):
        known = own.get(int(rows.hashes[row]))
        if known is None:
            new += 1
        elif FINER_NAMES[known] == name:
            agreeing += 1
        else:
            split, place = rows.places[row]
            differing.append(f"{split} {place}: {FINER_NAMES[known]} in the package, {name} in the folder")
    return agreeing, new, tuple(differing)


def _store(found: list[tuple[str, int, int, str]]) -> tuple[int, int]:
    """Add rows, as (split, row, hash, finer type), to the linked table; return how many are new, and all there are."""
    before = _read_linked()
    hashes = {image_hash for _, _, image_hash, _ in found}
    lines = [*found, *(line for line in before if line[2] not in hashes)]
    if found:
        lines.sort(key=lambda line: (SPLITS.index(line[0]), *line[1:]))
        write_atomically(linked_table_path(), format_subtypes(lines).encode())
    known = {image_hash for _, _, image_hash, _ in before}
    return sum(image_hash not in known for _, _, image_hash, _ in found), len(lines)


def _read_linked() -> list[tuple[str, int, int, str]]:
    """Return what was linked before, as (split, row, hash, finer type); nothing where nothing was.

    Raises:
        DatasetDamagedError: It cannot be read.
    """
    path = linked_table_path()
    if not path.is_file():
        return []
    try:
        read_subtypes(path)
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
        return [_read_line(row) for row in rows]
    except (DatasetDamagedError, KeyError, TypeError, ValueError) as error:
        raise DatasetDamagedError(
            f"{path}, which holds what was linked before, cannot be read ({error}). Delete it, and link every folder "
            "again."
        ) from error


def _read_line(row: dict[str, str]) -> tuple[str, int, int, str]:
    if row["split"] not in SPLITS:
        raise ValueError(f"expected one of {', '.join(SPLITS)}, found {row['split']!r}")
    return row["split"], int(row["row"]), int(row["image_hash"], 16), _NAME_OF_CODE[row["subtype"].upper()]


def _fingerprint(images: np.ndarray) -> np.ndarray:
    """Return the mean colours of 8 x 8 blocks, (n, 192) float32."""
    side = INPUT_SIZE // _BLOCK
    blocks = images.reshape(len(images), _BLOCK, side, _BLOCK, side, 3)
    return blocks.mean(axis=(2, 4), dtype=np.float32).reshape(len(images), -1)

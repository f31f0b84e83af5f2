"""The eleven finer types: what laboratories keep apart inside two of the eight classes, and which image shows which.

BloodMNIST lumps promyelocytes, myelocytes and metamyelocytes together as immature granulocytes, and band and segmented
neutrophils as neutrophils. The names of the original images say which is which: PMY_104042.jpg, BNE_88499.jpg. The
table `subtypes.csv` beside this file holds these facts for the 6,023 originals of that kind whose name tells, by the
hash of the pixels that the dataset keeps of them; 201 more (IG_, NEUTROPHIL_) are not told apart at the source.

The originals are those of Acevedo et al. 2020, "A dataset of microscopic peripheral blood cell images for development
of automatic recognition systems", Data in Brief 30, 105474, https://doi.org/10.17632/snkd93bnjr.1, licence CC BY 4.0.
"""

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from bloodcell.dataset.classes import CLASS_NAMES
from bloodcell.dataset.splits import SPLITS, Split
from bloodcell.errors import DatasetDamagedError, DatasetNotFoundError
from bloodcell.files import cache_directory

UNKNOWN = -1
"""In an array of finer types: only the class is known."""

SUBTYPES: dict[str, tuple[str, ...]] = {
    "immature granulocyte": ("promyelocyte", "myelocyte", "metamyelocyte"),
    "neutrophil": ("band neutrophil", "segmented neutrophil"),
}
"""Finer types of the classes that have any, in the order in which the cells mature."""

SUBTYPE_CODES: dict[str, str] = {
    "promyelocyte": "PMY",
    "myelocyte": "MY",
    "metamyelocyte": "MMY",
    "band neutrophil": "BNE",
    "segmented neutrophil": "SNE",
}
"""Start of an original's file name by finer type."""

SUBTYPE_NAMES: tuple[str, ...] = tuple(SUBTYPE_CODES)
"""The five columns of a network's subtype logits."""

SUBTYPE_COLUMNS: dict[int, slice] = {3: slice(0, 3), 6: slice(3, 5)}
"""Columns of the subtype logits that belong to a class, by the class's index; a softmax over them says which it is."""

FINER_NAMES: tuple[str, ...] = tuple(
    finer for class_name in CLASS_NAMES for finer in SUBTYPES.get(class_name, (class_name,))
)
"""The eleven finer types; classes without subtypes are types of their own."""

FINER_CLASSES: tuple[int, ...] = tuple(
    label for label, class_name in enumerate(CLASS_NAMES) for _ in SUBTYPES.get(class_name, (class_name,))
)
"""The class, in [0, 8), of each of the eleven finer types."""

TABLE_PATH = Path(__file__).with_name("subtypes.csv")

_FINER_OF_WORD = {
    word: FINER_NAMES.index(name)
    for name, code in SUBTYPE_CODES.items()
    for word in (name, name.replace(" ", "_"), code.lower())
}


@dataclass(frozen=True)
class SubtypeTable:
    """Which image is of which finer type.

    Attributes:
        path: The file that it was read from.
        by_hash: Index in FINER_NAMES by the hash of an image's pixels, as `hash_images` gives it.
        by_row: The same by split and row, for a file whose order is known and whose pixels may differ.
    """

    path: Path
    by_hash: dict[int, int] = field(default_factory=dict)
    by_row: dict[tuple[str, int], int] = field(default_factory=dict)


def find_subtypes(split: Split, table: SubtypeTable | None = None) -> np.ndarray:
    """Return the finer type of every image of a split, (n,) int64 in [0, 11), or UNKNOWN where only its class is known.

    Images are recognised by their pixels. The rows of MedMNIST's own file are also taken by their place in train and
    test, whose order is known; so are those of any file where the table of `BLOODCELL_SUBTYPES` names rows. A finer
    type of another class than the image's label counts as unknown: one original is there under two labels.

    Args:
        split: A split of the dataset.
        table: Another table than `load_subtypes` finds.

    Raises:
        DatasetNotFoundError: `BLOODCELL_SUBTYPES` names no file.
        DatasetDamagedError: A table cannot be used.
    """
    table = load_subtypes() if table is None else table
    finer_of_class = {label: FINER_CLASSES.index(label) for label in set(FINER_CLASSES) - SUBTYPE_COLUMNS.keys()}
    is_own_order = split.identity.kind == "official" and split.name != "val"
    use_rows = is_own_order or table.path not in (TABLE_PATH, linked_table_path())
    hashes = split.image_hashes if table.by_hash else np.zeros(split.num_images, np.uint64)
    finer = np.full(split.num_images, UNKNOWN, np.int64)
    for row, (label, image_hash) in enumerate(zip(split.labels.tolist(), hashes.tolist(), strict=True)):
        found = finer_of_class.get(label, table.by_hash.get(image_hash, UNKNOWN))
        if found == UNKNOWN and use_rows:
            found = table.by_row.get((split.name, row), UNKNOWN)
        if found != UNKNOWN and FINER_CLASSES[found] == label:
            finer[row] = found
    return finer


def load_subtypes() -> SubtypeTable:
    """Return the table in force: what `BLOODCELL_SUBTYPES` names, else this package's with what was linked on top.

    Raises:
        DatasetNotFoundError: `BLOODCELL_SUBTYPES` names no file.
        DatasetDamagedError: A table cannot be used.
    """
    override = os.environ.get("BLOODCELL_SUBTYPES")
    if override:
        path = Path(override).expanduser()
        if not path.is_file():
            raise DatasetNotFoundError(
                f"BLOODCELL_SUBTYPES names {path}, where there is no file; expected a CSV file with the columns "
                "'subtype' and 'image_hash', or 'subtype', 'split' and 'row'."
            )
        return read_subtypes(path)
    built_in = read_subtypes(TABLE_PATH)
    linked_path = linked_table_path()
    if not linked_path.is_file():
        return built_in
    return SubtypeTable(linked_path, built_in.by_hash | read_subtypes(linked_path).by_hash, built_in.by_row)


def read_subtypes(path: Path) -> SubtypeTable:
    """Return one table of finer types; it is read once per file and process.

    Raises:
        DatasetDamagedError: The table cannot be used.
    """
    status = path.stat()
    return _read(path, status.st_size, status.st_mtime_ns)


def linked_table_path() -> Path:
    """Return where `data link` keeps what it found in the reader's copy of the originals; it may not exist."""
    return cache_directory() / "subtypes.csv"


def format_subtypes(rows: Iterable[tuple[str, int, int, str]]) -> str:
    """Return a table as text: one line per (split, row, hash, finer type), in that order."""
    lines = [f"{split},{row},{image_hash:016x},{SUBTYPE_CODES[name]}" for split, row, image_hash, name in rows]
    return "\n".join(["split,row,image_hash,subtype", *lines, ""])


@lru_cache(maxsize=4)
def _read(path: Path, size: int, modified_ns: int) -> SubtypeTable:
    """Read a table; size and time are part of the key only."""
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        rows, columns = list(reader), set(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetDamagedError(f"{path} cannot be read as a table of subtypes ({error}).") from error
    row_column = "row" if "row" in columns else "index"
    has_hash, has_row = "image_hash" in columns, {"split", row_column} <= columns
    if "subtype" not in columns or not (has_hash or has_row):
        raise DatasetDamagedError(
            f"{path} needs the column 'subtype' and either 'image_hash' or 'split' and 'row'. "
            f"Found the columns {', '.join(sorted(columns)) or 'none'}."
        )
    table = SubtypeTable(path)
    for number, row in enumerate(rows, start=2):
        word = (row["subtype"] or "").strip().lower()
        if not word:
            continue
        if word not in _FINER_OF_WORD:
            raise DatasetDamagedError(
                f"{path}, line {number}: expected one of {', '.join(SUBTYPE_NAMES)}, or of "
                f"{', '.join(SUBTYPE_CODES.values())}; found {word!r}."
            )
        try:
            if has_hash and row["image_hash"]:
                table.by_hash[int(row["image_hash"], 16)] = _FINER_OF_WORD[word]
            if has_row and row[row_column]:
                table.by_row[row["split"].strip(), int(row[row_column])] = _FINER_OF_WORD[word]
        except (ValueError, AttributeError, TypeError) as error:
            raise DatasetDamagedError(
                f"{path}, line {number}: expected a hash of 16 hexadecimal digits or a split of {', '.join(SPLITS)} "
                f"and a row number ({error})."
            ) from error
    return table

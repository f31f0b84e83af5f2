"""What was tried for our own networks, and whether it was kept: `tried.csv` beside the artifacts.

One line per trial: what was changed, in words; the network; the accuracy on val that decided; kept or not; a note. The
line outlives the run that it was read from, so that what did not help is not tried twice.
"""

import csv
import io
import logging
import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from bloodcell.errors import StorageError
from bloodcell.files import artifacts_directory, write_atomically
from bloodcell.locks import lock_folder

logger = logging.getLogger(__name__)

TRIED_FILE = "tried.csv"
Kept = Literal["yes", "no", "open"]
KEPT: tuple[Kept, ...] = get_args(Kept)


@dataclass(frozen=True)
class Tried:
    """One thing that was tried.

    Attributes:
        what: What differs from the recipe or graph in force, in words.
        model: Network that it was tried on.
        source: Run or artifact that the number was read from; empty where it was given by hand.
        num_epochs: Epochs trained; 0 where not known.
        val_accuracy: On val, in [0, 1].
        kept: "yes", "no", or "open" while it is not decided.
        note: Why, or what to know about it.
    """

    what: str
    model: str
    source: str
    num_epochs: int
    val_accuracy: float
    kept: Kept
    note: str = ""


COLUMNS = tuple(field.name for field in fields(Tried))


def load_tried(directory: Path | None = None) -> list[Tried]:
    """Return what was tried, in the order of the file; lines that cannot be read are said in the log and left out."""
    path = (directory or artifacts_directory()) / TRIED_FILE
    trials, problems = _read_table(path)
    for problem in problems:
        logger.warning("%s, %s; what cannot be read is left out.", path, problem)
    return trials


def add_tried(one: Tried, directory: Path | None = None) -> list[Tried]:
    """Put one trial into the table as `put_tried` does, and return the whole table.

    Raises:
        StorageError: Something in the table cannot be read, so that it would be lost; the disk is full or the folder
            cannot be written. What is there is untouched.
    """
    folder = directory or artifacts_directory()
    path = folder / TRIED_FILE
    with lock_folder(folder):
        trials, problems = _read_table(path)
        if problems:
            more = f" ({len(problems) - 1} more like it)" if len(problems) > 1 else ""
            raise StorageError(
                f"{path}, {problems[0]}{more}. Writing the table anew would lose that, so nothing was stored. Expected "
                f"UTF-8 text with commas and the columns {', '.join(COLUMNS)}: correct it, or move it away."
            )
        trials = put_tried(trials, one)
        save_tried(trials, folder)
    return trials


def save_tried(trials: Iterable[Tried], directory: Path | None = None) -> Path:
    """Write all trials and return where.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in trials:
        writer.writerow([f"{value:.6f}" if isinstance(value, float) else value for value in astuple(one)])
    path = (directory or artifacts_directory()) / TRIED_FILE
    write_atomically(path, text.getvalue().encode())
    return path


def put_tried(trials: list[Tried], one: Tried) -> list[Tried]:
    """Return trials with one added, in place of an older one of the same words and network."""
    same = [index for index, old in enumerate(trials) if (old.what, old.model) == (one.what, one.model)]
    if not same:
        return [*trials, one]
    return [one if index == same[0] else old for index, old in enumerate(trials)]


def _read_table(path: Path) -> tuple[list[Tried], list[str]]:
    """Return the trials of a file, and what of it is none, in words that begin with a line; without a file, nothing."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [f"line 1 cannot be read ({error.strerror or error})"]
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return [], [f"line {line} is no UTF-8 text (byte 0x{data[error.start]:02x})"]
    trials, problems = [], []
    try:
        if data and set(reader.fieldnames or ()) != set(COLUMNS):
            problems.append(f"line 1 names other columns ({', '.join(reader.fieldnames or ())})")
        if set(COLUMNS) <= set(reader.fieldnames or ()):
            for row in reader:
                try:
                    trials.append(_read(row))
                except (TypeError, ValueError) as error:
                    problems.append(f"line {reader.line_num} is no trial ({error})")
    except csv.Error as error:
        problems.append(f"line {reader.line_num} cannot be read ({error})")
    return trials, problems


def _read(row: dict[str, str]) -> Tried:
    if None in row:
        raise ValueError(f"expected {len(COLUMNS)} cells")
    accuracy = float(row["val_accuracy"])
    if not (math.isfinite(accuracy) and 0 <= accuracy <= 1):
        raise ValueError(f"val_accuracy {row['val_accuracy']} is outside [0, 1]")
    kept = next((word for word in KEPT if word == row["kept"]), None)
    if kept is None or not row["what"]:
        raise ValueError(f"expected words under 'what' and one of {', '.join(KEPT)} under 'kept'")
    return Tried(row["what"], row["model"], row["source"], int(row["num_epochs"]), accuracy, kept, row["note"] or "")

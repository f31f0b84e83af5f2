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

from bloodcell.files import artifacts_directory, write_atomically

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


def load_tried(directory: Path | None = None) -> list[Tried]:
    """Return what was tried, in the order of the file; lines that cannot be read are said in the log and left out."""
    path = (directory or artifacts_directory()) / TRIED_FILE
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        logger.warning("%s cannot be read (%s). Restore it.", path, error)
        return []
    found = []
    for number, row in enumerate(rows, start=2):
        try:
            found.append(_read(row))
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("%s, line %d is no trial (%s) and is left out.", path, number, error)
    return found


def save_tried(trials: Iterable[Tried], directory: Path | None = None) -> Path:
    """Write all trials and return where.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Tried)])
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


def _read(row: dict[str, str]) -> Tried:
    accuracy = float(row["val_accuracy"])
    if not (math.isfinite(accuracy) and 0 <= accuracy <= 1):
        raise ValueError(f"val_accuracy {row['val_accuracy']} is outside [0, 1]")
    kept = next((word for word in KEPT if word == row["kept"]), None)
    if kept is None or not row["what"]:
        raise ValueError(f"expected words under 'what' and one of {', '.join(KEPT)} under 'kept'")
    return Tried(row["what"], row["model"], row["source"], int(row["num_epochs"]), accuracy, kept, row["note"] or "")

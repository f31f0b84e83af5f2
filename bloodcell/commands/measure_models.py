"""`measure forms` and `measure combined`: records with one row per model, of which any can be measured anew."""

import argparse
import datetime
from collections.abc import Sequence
from typing import Any

from bloodcell.commands.output import percent, print_json, print_table, say, step_progress
from bloodcell.commands.shelf import find_artifacts, load_shelf_aloud
from bloodcell.errors import StorageError
from bloodcell.locks import lock_folder


def measure_forms(options: argparse.Namespace) -> int:
    """Measure the exported forms of models on val and test, and store the rows."""
    from bloodcell.dataset import load_split
    from bloodcell.inference.form_accuracy import FORMS_FILE
    from bloodcell.inference.form_accuracy import measure_forms as measure

    artifacts = find_artifacts(options.names)
    _keep_rows(FORMS_FILE, [artifact.name for artifact in artifacts])
    with step_progress() as on_progress:
        rows = measure(artifacts, [load_split("val"), load_split("test")], on_progress=on_progress)
    record = _store(rows, FORMS_FILE)
    if options.json:
        print_json(record)
        return 0
    print_table(
        ("model", "form", "kB", "val", "test", "answers changed on test", ""),
        [
            (
                row["model"]["name"],
                row["precision"],
                f"{row['litert_bytes'] / 1024:.0f}" if "litert_bytes" in row else "–",
                percent(row["val"]["share"] if "val" in row else None),
                percent(row["test"]["share"] if "test" in row else None),
                str(row["test"]["changed"]) if "test" in row else "–",
                row.get("error", ""),
            )
            for row in rows
        ],
        left=2,
    )
    return 0


def measure_combined(options: argparse.Namespace) -> int:
    """Measure eight views and the ensemble of seeds of models, and store the rows."""
    from bloodcell.dataset import load_split
    from bloodcell.inference.combined import COMBINED_FILE
    from bloodcell.inference.combined import measure_combined as measure
    from bloodcell.inference.engine import load_engine

    artifacts, runs = find_artifacts(options.names), load_shelf_aloud().runs
    _keep_rows(COMBINED_FILE, [artifact.name for artifact in artifacts])
    splits = [load_split("val"), load_split("test")]
    rows = []
    for artifact in artifacts:
        with step_progress() as on_progress:
            rows.append(measure(artifact, runs, load_engine(artifact), splits, on_progress))
    record = _store(rows, COMBINED_FILE)
    if options.json:
        print_json(record)
        return 0
    print_table(
        ("model", "looks", "val", "test", "calibration error, test"),
        [
            (
                row["model"]["name"],
                label,
                *(percent(numbers[split]["share"], 2) for split in ("val", "test")),
                percent(numbers["test"]["ece"], 2),
            )
            for row in rows
            for label, numbers in _looks(row)
        ],
        left=2,
    )
    return 0


def _looks(row: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = [("one pass", row["single"]), ("eight views", row["views"])]
    if row["seeds"] is not None:
        found.append((f"{len(row['seeds']['members'])} seeds together", row["seeds"]["ensemble"]))
    return found


def _store(rows: list[dict[str, Any]], file: str) -> dict[str, Any]:
    """Put new rows into the record that lies beside the artifacts, and return it."""
    from bloodcell.dataset import find_dataset, identify_dataset
    from bloodcell.files import artifacts_directory
    from bloodcell.inference.form_accuracy import merge_rows
    from bloodcell.inference.trust import save_record

    identity = identify_dataset(find_dataset())
    with lock_folder(artifacts_directory()):
        record = {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "model": None,
            "dataset": {"kind": identity.kind, "md5": identity.md5, "label": identity.label},
            "rows": merge_rows(_keep_rows(file, [row["model"]["name"] for row in rows]), rows),
        }
        path = save_record(record, file)
    say(f"Stored in {path}.")
    return record


def _keep_rows(file: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a record that stay when models are measured on the dataset at hand.

    Args:
        file: Name of the record.
        names: Models that are measured.

    Raises:
        StorageError: Rows of other models would be lost: they were measured on another file, or cannot be read.
    """
    from bloodcell.dataset import find_dataset, identify_dataset
    from bloodcell.files import artifacts_directory
    from bloodcell.inference.trust import load_record

    path = artifacts_directory() / file
    old = load_record(file)
    if old is None and not path.exists():
        return []
    try:
        rows, md5, label = list(old["rows"]), old["dataset"]["md5"], old["dataset"]["label"]  # type: ignore[index]
        others = {row["model"]["name"] for row in rows} - set(names)
    except (KeyError, TypeError) as error:
        raise StorageError(
            f"{path} cannot be read as a record of this program, so new rows cannot be put into it. Restore it, or "
            "move it away to begin another."
        ) from error
    identity = identify_dataset(find_dataset())
    if md5 == identity.md5:
        return rows
    if others:
        raise StorageError(
            f"{path} holds rows of {', '.join(sorted(others))}, measured on {label} (MD5 {md5}). The dataset at hand "
            f"is {identity.label} (MD5 {identity.md5}); a record is of one file, so those rows would be lost. Measure "
            f"those models in the same command (no name means all), or move {file} away to begin another."
        )
    return []

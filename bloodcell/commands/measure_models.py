"""`measure forms` and `measure combined`: records with one row per model, of which any can be measured anew."""

import argparse
import datetime
from typing import Any

from bloodcell.commands.output import percent, print_json, print_table, say, step_progress
from bloodcell.commands.shelf import find_artifacts, load_shelf_aloud


def measure_forms(options: argparse.Namespace) -> int:
    """Measure the exported forms of models on val and test, and store the rows."""
    from bloodcell.dataset import load_split
    from bloodcell.inference.form_accuracy import FORMS_FILE
    from bloodcell.inference.form_accuracy import measure_forms as measure

    artifacts = find_artifacts(options.names)
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
    from bloodcell.inference.form_accuracy import merge_rows
    from bloodcell.inference.trust import load_record, save_record

    identity = identify_dataset(find_dataset())
    dataset = {"kind": identity.kind, "md5": identity.md5, "label": identity.label}
    old = load_record(file)
    kept = old["rows"] if old is not None and old["dataset"]["md5"] == identity.md5 else []
    record = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "model": None,
        "dataset": dataset,
        "rows": merge_rows(kept, rows),
    }
    say(f"Stored in {save_record(record, file)}.")
    return record

"""`measure finder`: marked white cells found in smear fields, and frames compared with the dataset's."""

import argparse
import os
from pathlib import Path
from typing import Any

from bloodcell.commands.output import percent, print_json, print_table, say, step_progress
from bloodcell.errors import ImageError


def measure_finder(options: argparse.Namespace) -> int:
    """Measure the finder on marked fields and, where there are originals, its framing on them."""
    from bloodcell.inference import finder_measure

    fields = _find_folder("BLOODCELL_FIELDS")
    if fields is None:
        raise ImageError(
            "BLOODCELL_FIELDS names no folder of marked smear fields. Set it to a folder with images/ and "
            "annotations/, as the BCCD dataset has them."
        )
    samples = _find_folder("BLOODCELL_SAMPLES")
    if samples is None:
        say("BLOODCELL_SAMPLES names no folder of originals: the framing is left out.")
    with step_progress() as on_progress:
        record = finder_measure.measure_finder(fields, on_progress)
    record["framing"] = None
    if samples is not None:
        with step_progress() as on_progress:
            record["framing"] = finder_measure.measure_framing(samples, on_progress)
    if options.json:
        print_json(record)
    else:
        _print_record(record)
    return 0


def _find_folder(variable: str) -> Path | None:
    named = os.environ.get(variable)
    if not named:
        return None
    if not Path(named).is_dir():
        raise ImageError(f"{variable} names {named}, which is no folder. Correct it or unset it.")
    return Path(named)


def _print_record(record: dict[str, Any]) -> None:
    print_table(
        ("fields", "images", "white cells inside", "found", "share", "boxes", "on neither", "per image"),
        [
            (
                f"{half}-numbered, {'tuned on' if half == record['tuned_on'] else 'not tuned on'}",
                str(one["images"]),
                str(one["white_cells_inside"]),
                str(one["white_cells_inside_found"]),
                percent(one["share_of_white_cells_found"]),
                str(one["boxes"]),
                str(one["boxes_on_neither"]),
                f"{one['boxes_on_neither_per_image']:.2f}",
            )
            for half, one in record["halves"].items()
            if one["images"]
        ],
    )
    if record["framing"]:
        print()
        print_table(
            ("originals, altered", "images", "sized by red cells", "side off by (median)", "overlap (median)"),
            [
                (
                    name,
                    str(one["images"]),
                    str(one["sized_by_red_cells"]),
                    percent(one["scale_error_median"], 1),
                    percent(one["iou_median"], 1),
                )
                for name, one in record["framing"].items()
            ],
        )

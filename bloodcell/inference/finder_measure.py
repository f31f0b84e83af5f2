"""Measures the finder on smear fields with marked cells, such as BCCD: tuned on odd numbers, reported on even ones."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from bloodcell.dataset.images import CROP_SIZE, Box
from bloodcell.errors import ImageError
from bloodcell.inference.finder_frame import frame_cell
from bloodcell.inference.finder_survey import FoundCell, find_cells
from bloodcell.inference.images import list_images, read_image_file

SAME_CELL = 0.5
"""Intersection over union from which a box and a mark are the same cell."""
WHITE_CELL, PLATELET = "WBC", "Platelets"
HALVES = {"odd": 1, "even": 0}
ALTERATIONS: dict[str, tuple[int | None, int, float]] = {
    "whole, half size": (None, 0, 0.5),
    "whole, double size": (None, 0, 2.0),
    "crop of 300": (300, 0, 1.0),
    "crop of 300, shifted by 40": (300, 40, 1.0),
    "crop of 240": (240, 0, 1.0),
    "crop of 240, double size": (240, 0, 2.0),
    "crop of 200": (200, 0, 1.0),
    "crop of 160": (160, 0, 1.0),
}
"""Per alteration of an original: side of the middle square that is kept, its shift down and right, then a resize."""


@dataclass(frozen=True)
class MarkedField:
    """A field and what people marked in it.

    Attributes:
        path: The image file.
        number: The number in its name.
        marks: (what, box) of each mark; "WBC", "RBC" or "Platelets" in BCCD.
    """

    path: Path
    number: int
    marks: tuple[tuple[str, Box], ...]


def list_fields(folder: Path) -> list[MarkedField]:
    """Return the fields of a folder with `images` and `annotations` (VOC XML), by their numbers.

    Raises:
        ImageError: The folder has no annotated image, or an annotation cannot be read.
    """
    fields = []
    for path in sorted((folder / "annotations").glob("*.xml")):
        number = re.search(r"(\d+)$", path.stem)
        image = next(iter(sorted((folder / "images").glob(f"{path.stem}.*"))), None)
        if number is not None and image is not None:
            fields.append(MarkedField(image, int(number[1]), _read_marks(path)))
    if not fields:
        raise ImageError(
            f"{folder} holds no marked smear field: expected images/NAME_NUMBER.jpg and annotations/NAME_NUMBER.xml in "
            "the VOC form, as the BCCD dataset has them."
        )
    return sorted(fields, key=lambda field: field.number)


def measure_finder(
    fields: Path,
    on_progress: Callable[[int, int, str], None] | None = None,
    halves: Sequence[str] = ("odd", "even"),
    max_images: int | None = None,
) -> dict[str, Any]:
    """Return how many marked white cells are found and how many boxes are none, ready for JSON.

    Args:
        fields: Folder with `images` and `annotations`.
        on_progress: Called with (images done, images in all, sentence).
        halves: "odd", the images that the finder was tuned on, and "even", those that it was not.
        max_images: Images of each half to take, evenly spread; all of them without it.
    """
    chosen = {half: [f for f in list_fields(fields) if f.number % 2 == HALVES[half]] for half in halves}
    if max_images is not None:
        chosen = {half: ones[:: max(1, len(ones) // max_images)][:max_images] for half, ones in chosen.items()}
    total, done = sum(map(len, chosen.values())), 0
    result: dict[str, Any] = {"fields": fields.name, "same_cell_iou": SAME_CELL, "tuned_on": "odd", "halves": {}}
    for half, ones in chosen.items():
        tally = _empty_tally()
        for field in ones:
            pixels = read_image_file(field.path, longest_side=None).pixels
            _count(tally, field, find_cells(pixels), *pixels.shape[1::-1])
            done += 1
            if on_progress is not None:
                on_progress(done, total, f"Looking for cells in the {half}-numbered fields.")
        result["halves"][half] = _summarize(tally)
    return result


def measure_framing(
    samples: Path, on_progress: Callable[[int, int, str], None] | None = None, max_images: int | None = None
) -> dict[str, Any]:
    """Return how near the frame of an original comes to the dataset's own when it is cropped or resized first.

    The dataset's frame is the middle 200 x 200 pixels of an original. The finder is not told how the image was altered.

    Args:
        samples: Folder of originals (340 to 380 pixels a side).
        on_progress: Called with (images done, images in all, sentence).
        max_images: Images to take, evenly spread; all of them without it.

    Returns:
        Per alteration: images, those in which a cell was found, those sized by red cells, the median and the 90th
        percentile of |ln(side / true side)|, and the median and the 10th percentile of the frames' intersection over
        union.
    """
    paths = list_images(samples)
    if max_images is not None:
        paths = paths[:: max(1, len(paths) // max_images)][:max_images]
    rows: dict[str, list[tuple[bool, bool, float, float]]] = {name: [] for name in ALTERATIONS}
    for done, path in enumerate(paths, start=1):
        pixels = read_image_file(path, longest_side=None).pixels
        for name, (crop, shift, factor) in ALTERATIONS.items():
            altered, truth = _alter(pixels, crop, shift, factor)
            framed = frame_cell(altered)
            error = abs(math.log(framed.box.width / truth.width))
            overlap = intersection_over_union(framed.box, truth)
            rows[name].append((framed.cell is not None, framed.scale.source == "red cells", error, overlap))
        if on_progress is not None:
            on_progress(done, len(paths), "Framing altered originals.")
    return {name: _summarize_frames(ones) for name, ones in rows.items()}


def intersection_over_union(one: Box, other: Box) -> float:
    """Return the area that two boxes share over the area that they cover together."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (one.width * one.height + other.width * other.height - shared)


def _alter(pixels: np.ndarray, crop: int | None, shift: int, factor: float) -> tuple[np.ndarray, Box]:
    """Return an altered original and where the dataset's frame lies in it, which may be beyond its border."""
    height, width = pixels.shape[:2]
    left, top = round((width - CROP_SIZE) / 2), round((height - CROP_SIZE) / 2)
    if crop is not None:
        first_column, first_row = (width - crop) // 2 + shift, (height - crop) // 2 + shift
        pixels = pixels[first_row : first_row + crop, first_column : first_column + crop]
        left, top = left - first_column, top - first_row
    height, width = pixels.shape[:2]
    if factor != 1.0:
        size = (round(width * factor), round(height * factor))
        pixels = np.array(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BICUBIC))
    side = round(CROP_SIZE * factor)
    return pixels, Box(round(left * factor), round(top * factor), side, side)


def _summarize_frames(rows: list[tuple[bool, bool, float, float]]) -> dict[str, Any]:
    found, by_red_cells, errors, overlaps = zip(*rows, strict=True)
    return {
        "images": len(rows),
        "cell_found": sum(found),
        "sized_by_red_cells": sum(by_red_cells),
        "scale_error_median": float(np.median(errors)),
        "scale_error_p90": float(np.percentile(errors, 90)),
        "iou_median": float(np.median(overlaps)),
        "iou_p10": float(np.percentile(overlaps, 10)),
    }


def _read_marks(path: Path) -> tuple[tuple[str, Box], ...]:
    marks = []
    try:
        for item in ElementTree.parse(path).getroot().iter("object"):
            edges = [int(float(item.findtext(f"bndbox/{name}") or "")) for name in ("xmin", "ymin", "xmax", "ymax")]
            left, top, right, bottom = edges
            marks.append((item.findtext("name") or "", Box(left, top, right - left, bottom - top)))
    except (ElementTree.ParseError, ValueError, OSError) as error:
        raise ImageError(f"{path} is no annotation in the VOC form ({error}). Fetch it again.") from error
    return tuple(marks)


def _empty_tally() -> dict[str, int]:
    names = (
        "images",
        "white_cells_inside",
        "white_cells_inside_found",
        "white_cells_at_border",
        "white_cells_at_border_found",
        "platelets",
        "platelets_found",
        "boxes",
        "boxes_on_white_cells",
        "boxes_on_platelets",
        "boxes_on_neither",
        "nucleated_boxes_on_neither",
    )
    return dict.fromkeys(names, 0)


def _count(tally: dict[str, int], field: MarkedField, cells: list[FoundCell], width: int, height: int) -> None:
    """Match boxes to marks one to one, best overlaps first, and add the counts."""
    marks = [(what, box) for what, box in field.marks if what in (WHITE_CELL, PLATELET)]
    pairs = sorted(
        (
            (intersection_over_union(cell.box, box), place, mark)
            for place, cell in enumerate(cells)
            for mark, (_, box) in enumerate(marks)
        ),
        reverse=True,
    )
    mark_of: dict[int, int] = {}
    for overlap, place, mark in pairs:
        if overlap >= SAME_CELL and place not in mark_of and mark not in mark_of.values():
            mark_of[place] = mark
    tally["images"] += 1
    for mark, (what, box) in enumerate(marks):
        inside = box.left > 1 and box.top > 1 and box.left + box.width < width and box.top + box.height < height
        name = "platelets" if what == PLATELET else f"white_cells_{'inside' if inside else 'at_border'}"
        tally[name] += 1
        tally[f"{name}_found"] += mark in mark_of.values()
    for number, cell in enumerate(cells):
        matched = marks[mark_of[number]][0] if number in mark_of else None
        tally["boxes"] += 1
        tally["boxes_on_white_cells"] += matched == WHITE_CELL
        tally["boxes_on_platelets"] += matched == PLATELET
        tally["boxes_on_neither"] += matched is None
        tally["nucleated_boxes_on_neither"] += matched is None and cell.kind == "nucleated"


def _summarize(tally: dict[str, int]) -> dict[str, Any]:
    inside, images = tally["white_cells_inside"], tally["images"]
    return {
        **tally,
        "share_of_white_cells_found": tally["white_cells_inside_found"] / inside if inside else None,
        "boxes_on_neither_per_image": tally["boxes_on_neither"] / images if images else None,
    }

"""Surveys an image of a smear: its red cells as a ruler, its nucleated cells and platelets, a crop or a whole field."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from bloodcell.dataset.images import INPUT_SIZE, ORIGINAL_SIDES, Box
from bloodcell.inference.finder_cells import CellKind, Region, outline_cells
from bloodcell.inference.finder_scale import RedCells, measure_red_cells
from bloodcell.inference.finder_stain import StainMaps, separate_stains

ImageKind = Literal["crop", "field"]

LONG_SIDES = (160, 400, 800, 1600)
"""Longer sides that an image is surveyed at, pixels: smaller ones are enlarged to the first, larger ones reduced to the
second, or to a later one where their red cells would be too small to measure."""
SMALLEST_RED_CELL = 20.0
"""Diameter below which red cells are measured again on a larger form of the image, pixels."""
LEAST_REDNESS = 0.1
"""Redness below which round things are no red cells, but ink or grey blobs."""
ENOUGH_RED_CELLS = 5
"""With as many red cells of one size the ruler is believed even where a cell looks gigantic beside it."""
LARGEST_BESIDE_RED = 10.0
"""Area of a cell, in red cells' discs, beyond which a ruler of fewer red cells is taken for dust."""
LARGEST_CELL = 12.0
"""Area of the largest cell in red cells' discs; what is larger is a smudge."""
WHITE_CELL_PER_RED = 1.86
"""Diameter of a typical white cell over the red cells', both as measured here on the training split and originals."""
MARGINS: dict[CellKind, float] = {"nucleated": 0.07, "platelet": 0.04}
"""What a box leaves around the outline, as a share of the red cells' diameter."""
ACCEPTED = 0.5
"""Score from which a cell counts as found."""
FIELD_RED_CELLS = 6.2
"""Longer side of an image, in red cells' diameters, from which it is taken for a field; originals have about 5."""


@dataclass(frozen=True)
class FoundCell:
    """A nucleated cell or a platelet.

    Attributes:
        box: Around the whole cell, inside the image.
        kind: Nucleated cell or platelet.
        area: Of the cell's outline, pixels of the image.
        score: How clearly it is one, in (0, 1); from 0.5 on it counts as found.
        touches_border: It is cut by the image's border.
    """

    box: Box
    kind: CellKind
    area: float
    score: float
    touches_border: bool


@dataclass(frozen=True)
class Survey:
    """What was found in an image.

    Attributes:
        width: Of the image, pixels.
        height: Of the image, pixels.
        cells: Nucleated cells before platelets, each from left to right in rows from the top.
        doubtful: What may be a cell and is not clear enough to count as found.
        red_cells: The ruler, in pixels of the image; None where no red cell is seen whole enough.
    """

    width: int
    height: int
    cells: tuple[FoundCell, ...]
    doubtful: tuple[FoundCell, ...]
    red_cells: RedCells | None


@dataclass(frozen=True)
class KindGuess:
    """Whether an image is one cell's crop or a whole field, and why it is thought so, as a sentence."""

    kind: ImageKind
    reason: str


@dataclass(frozen=True, eq=False)
class _Look:
    """What is seen of an image at one scale (its pixels over the image's)."""

    scale: float
    maps: StainMaps | None
    red_cells: RedCells | None


def find_cells(pixels: np.ndarray) -> list[FoundCell]:
    """Return the nucleated cells of an image, then its platelets, each in reading order.

    Args:
        pixels: (height, width, 3) uint8.
    """
    return list(survey_image(pixels).cells)


def survey_image(pixels: np.ndarray) -> Survey:
    """Return what an image shows.

    Args:
        pixels: (height, width, 3) uint8.

    Raises:
        ValueError: The array is not an RGB image of uint8.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ValueError(f"Expected (height, width, 3) uint8 pixels. Received: {pixels.shape} {pixels.dtype}")
    height, width = pixels.shape[:2]
    look = _choose_look(pixels)
    if look.maps is None:
        return Survey(width, height, (), (), None)
    regions, red_cells, diameter = _outline(look.maps, look.red_cells)
    cells = _in_reading_order([_to_image(region, look.scale, diameter, width, height) for region in regions])
    if red_cells is not None:
        red_cells = RedCells(red_cells.diameter / look.scale, red_cells.num_cells)
    found = tuple(cell for cell in cells if cell.score >= ACCEPTED)
    return Survey(width, height, found, tuple(cell for cell in cells if cell.score < ACCEPTED), red_cells)


def guess_kind(pixels: np.ndarray, survey: Survey | None = None) -> KindGuess:
    """Return whether an image is a crop around one cell or a whole field.

    Args:
        pixels: (height, width, 3) uint8.
        survey: What `survey_image` returned for it, to spare a second survey.
    """
    height, width = pixels.shape[:2]
    shortest, longest = ORIGINAL_SIDES
    if (width, height) == (INPUT_SIZE, INPUT_SIZE):
        return KindGuess("crop", f"It has the size of the dataset's images, {INPUT_SIZE} x {INPUT_SIZE} pixels.")
    if shortest <= width <= longest and shortest <= height <= longest:
        return KindGuess("crop", f"It has the size of the dataset's originals ({shortest} to {longest} pixels a side).")
    survey = survey or survey_image(pixels)
    nucleated = [cell for cell in survey.cells if cell.kind == "nucleated"]
    ruler = survey.red_cells
    if ruler is not None and ruler.num_cells > 1 and max(width, height) > FIELD_RED_CELLS * ruler.diameter:
        breadth = max(width, height) / ruler.diameter
        return KindGuess("field", f"It is {breadth:.0f} red cells wide; the crops that the networks know are about 3.")
    if len([cell for cell in nucleated if not cell.touches_border]) > 1:
        return KindGuess("field", f"It shows {len(nucleated)} nucleated cells.")
    if not survey.cells:
        return KindGuess("crop", "No nucleated cell and no platelet was found in it, so there is no field to cut up.")
    if any(_is_central(cell, width, height) for cell in survey.cells):
        return KindGuess("crop", "One cell lies in its middle and takes up much of it.")
    if nucleated:
        return KindGuess("field", "Its nucleated cell lies off the middle.")
    return KindGuess("field", "It shows platelets, none of them in its middle.")


def _is_central(cell: FoundCell, width: int, height: int) -> bool:
    left, top, box_width, box_height = cell.box
    across = abs(left + box_width / 2 - width / 2)
    down = abs(top + box_height / 2 - height / 2)
    return max(across, down) < 0.2 * min(width, height)


def _choose_look(pixels: np.ndarray) -> _Look:
    """Return the image at the smallest scale at which its red cells are large enough to measure.

    Where they never are, the scale at which they are largest, and without any the first.
    """
    long_side = max(pixels.shape[:2])
    smallest, *sides = LONG_SIDES
    best: _Look | None = None
    for side in sides:
        scale = smallest / long_side if long_side < smallest else min(1.0, side / long_side)
        maps = separate_stains(_resize(pixels, scale))
        red_cells = None
        if maps is not None and maps.redness > LEAST_REDNESS:
            red_cells = measure_red_cells(maps.body, maps.purple > max(0.6 * maps.contrast, 4 * maps.noise))
        if best is None or red_cells is not None:
            best = _Look(scale, maps, red_cells)
        if scale >= 1.0 or (red_cells is not None and red_cells.diameter >= SMALLEST_RED_CELL):
            break
    assert best is not None
    return best


def _resize(pixels: np.ndarray, scale: float) -> np.ndarray:
    height, width = pixels.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return pixels.astype(np.float32)
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, method), np.float32)


def _outline(maps: StainMaps, red_cells: RedCells | None) -> tuple[list[Region], RedCells | None, float]:
    """Return the outlined cells, the ruler if it holds beside them, and the red cells' diameter, measured or assumed.

    Where there is no ruler the largest cell is taken for a typical white cell.
    """
    diameter = red_cells.diameter if red_cells else 0.25 * min(maps.density.shape)
    regions = outline_cells(maps, diameter)
    largest = max((region.area for region in regions), default=0)
    is_gigantic = largest > LARGEST_BESIDE_RED * np.pi / 4 * diameter**2
    if red_cells and red_cells.num_cells < ENOUGH_RED_CELLS and is_gigantic:
        red_cells = None
    if red_cells is None and largest:
        diameter = 2.0 * float(np.sqrt(largest / np.pi)) / WHITE_CELL_PER_RED
        regions = outline_cells(maps, diameter)
    disc = np.pi / 4 * diameter**2
    return [region for region in regions if region.area <= LARGEST_CELL * disc], red_cells, diameter


def _to_image(region: Region, scale: float, red_diameter: float, width: int, height: int) -> FoundCell:
    margin = MARGINS[region.kind] * red_diameter
    top, left, bottom, right = region.bounds
    first_column, first_row = max(0, round((left - margin) / scale)), max(0, round((top - margin) / scale))
    last_column, last_row = min(width, round((right + margin) / scale)), min(height, round((bottom + margin) / scale))
    box = Box(first_column, first_row, last_column - first_column, last_row - first_row)
    return FoundCell(box, region.kind, region.area / scale**2, region.score, region.touches_border)


def _in_reading_order(cells: list[FoundCell]) -> list[FoundCell]:
    """Sort nucleated cells before platelets, each in rows from the top; a row is as tall as a typical box."""
    ordered: list[FoundCell] = []
    for kind in MARGINS:
        ones = [cell for cell in cells if cell.kind == kind]
        if ones:
            row = float(np.median([cell.box.height for cell in ones]))
            middles = [(cell.box.top + cell.box.height / 2, cell.box.left) for cell in ones]
            keys = [(int(middle // row), left) for middle, left in middles]
            ordered += [ones[place] for place in sorted(range(len(ones)), key=keys.__getitem__)]
    return ordered

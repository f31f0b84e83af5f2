"""Outlines nucleated cells and platelets on stain maps; every length is measured in red cells, never in pixels."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import ndimage
from skimage.measure import label, regionprops
from skimage.morphology import disk, h_maxima
from skimage.segmentation import watershed

from bloodcell.inference.finder_stain import StainMaps

CellKind = Literal["nucleated", "platelet"]

# Purple as a multiple of the red cells' density: what belongs to a body at the least, and what a core must reach.
BODY_PURPLE = 0.12
CORE_PURPLE = 1.2
NOISES = 3.0
"""A body's purple lies at least this many standard deviations of the red cells' above theirs."""

# Areas as multiples of a red cell's disc.
SMALLEST_AREA = 0.03
SMALLEST_NUCLEATED = 0.75
SMALLEST_CORE = 0.4
SMALLEST_PART = 0.9
PLATELET_MASS = 2.0
"""Area x core^0.85 x strength^0.65 below which a cell is a platelet; from labelled platelets, erythroblasts and
lymphocytes of the training split and the odd-numbered fields."""

# Lengths as multiples of a red cell's diameter.
SMOOTHING = 0.05
OPENING = 0.15
NECK = 0.15
RIM = (0.04, 0.16)
"""Where the surroundings of an outline are looked at."""


@dataclass(frozen=True)
class Region:
    """One outlined cell, in the pixels of the stain maps.

    Attributes:
        bounds: (top, left, bottom, right); bottom and right are the first beyond it.
        kind: Nucleated cell or platelet.
        area: Pixels inside the outline.
        score: How clearly it is one, in (0, 1).
        touches_border: It is cut by the image's border.
    """

    bounds: tuple[int, int, int, int]
    kind: CellKind
    area: int
    score: float
    touches_border: bool


def outline_cells(maps: StainMaps, red_diameter: float) -> list[Region]:
    """Return the nucleated cells and platelets of an image, clearest first.

    Args:
        maps: The image's stain maps.
        red_diameter: Diameter of a red cell on these maps, pixels.
    """
    purple = ndimage.gaussian_filter(maps.purple, SMOOTHING * red_diameter)
    stained = purple > max(BODY_PURPLE * maps.contrast, NOISES * maps.noise)
    stained = ndimage.binary_opening(stained, disk(max(1, round(OPENING * red_diameter))))
    stained = ndimage.binary_fill_holes(stained)
    parts = _split_touching(label(stained), purple > CORE_PURPLE * maps.contrast, red_diameter)
    regions = [_judge(part, purple, maps, red_diameter) for part in regionprops(parts)]
    return sorted((region for region in regions if region is not None), key=lambda region: -region.score)


def _split_touching(parts: np.ndarray, cores: np.ndarray, red_diameter: float) -> np.ndarray:
    """Cut outlines at necks where each side has the body and the nucleus of a cell of its own.

    Args:
        parts: (h, w) int, labels of connected outlines, 0 outside.
        cores: (h, w) bool, pixels as purple as a nucleus.
    """
    disc = np.pi / 4 * red_diameter**2
    result = parts.copy()
    next_label = int(parts.max()) + 1
    for part in regionprops(parts):
        if part.area < 2 * SMALLEST_PART * disc:
            continue
        pieces = _cut_at_necks(part.image, red_diameter)
        sound = [
            piece.label
            for piece in regionprops(pieces)
            if piece.area >= SMALLEST_PART * disc
            and cores[part.slice][pieces == piece.label].sum() >= SMALLEST_CORE * disc
        ]
        if len(sound) < 2:
            continue
        # Pieces that are no cell of their own go to the sound piece that lies nearest.
        seeds = np.where(np.isin(pieces, sound), pieces, 0)
        nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
        pieces = np.where(part.image, seeds[tuple(nearest)], 0)
        window = result[part.slice]
        for value in sound[1:]:
            window[pieces == value] = next_label
            next_label += 1
    return result


def _cut_at_necks(mask: np.ndarray, red_diameter: float) -> np.ndarray:
    """Return labels of the parts of an outline between necks, each narrower than both its sides by `NECK`."""
    distances = ndimage.gaussian_filter(ndimage.distance_transform_edt(np.pad(mask, 1)), 1.0)[1:-1, 1:-1]
    markers = label(h_maxima(distances, NECK * red_diameter))
    return watershed(-distances, markers, mask=mask)


def _judge(part: Any, purple: np.ndarray, maps: StainMaps, red_diameter: float) -> Region | None:
    """Return what an outline is, or None where it is too small or too pale for a cell.

    Args:
        part: The outline as scikit-image's region properties.
    """
    disc = np.pi / 4 * red_diameter**2
    area = part.area / disc
    if area < SMALLEST_AREA:
        return None
    values = purple[part.slice][part.image]
    top = float(np.percentile(values, 95))
    strength = top / maps.contrast
    if strength < CORE_PURPLE:
        return None
    core = float((values > max(0.5 * top, CORE_PURPLE * maps.contrast)).sum()) / disc
    is_platelet = area < SMALLEST_NUCLEATED or area * (core + 0.05) ** 0.85 * strength**0.65 < PLATELET_MASS
    if is_platelet:
        score = _score_platelet(part, strength, maps.body, red_diameter)
    else:
        score = _squash(2 * np.log(core / SMALLEST_CORE) if core > 0 else -9.0)
    top_row, left, bottom, right = part.bbox
    height, width = purple.shape
    at_border = top_row == 0 or left == 0 or bottom == height or right == width
    return Region(part.bbox, "platelet" if is_platelet else "nucleated", int(part.area), score, at_border)


def _score_platelet(part: Any, strength: float, body: np.ndarray, red_diameter: float) -> float:
    """Score a small outline: platelets are strong, compact, round and lie apart from red cells, stain specks do not.

    The weights are a logistic regression on the odd-numbered BCCD fields.
    """
    top, left, bottom, right = part.bbox
    roundness = abs(float(np.log((right - left) / (bottom - top))))
    openness = _measure_openness(part, body, red_diameter)
    return _squash(1.1 * strength + 3.9 * part.solidity + 4.6 * openness - 5.0 * roundness - 8.3)


def _measure_openness(part: Any, body: np.ndarray, red_diameter: float) -> float:
    """Return the share of an outline's surroundings that is empty ground."""
    near, far = RIM[0] * red_diameter, max(2.0, RIM[1] * red_diameter)
    reach = int(np.ceil(far)) + 1
    top, left, bottom, right = part.bbox
    rows = slice(max(0, top - reach), min(body.shape[0], bottom + reach))
    columns = slice(max(0, left - reach), min(body.shape[1], right + reach))
    outside = np.ones((rows.stop - rows.start, columns.stop - columns.start), bool)
    outside[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start] &= ~part.image
    distances = ndimage.distance_transform_edt(outside)
    rim = (distances > near) & (distances <= far)
    return 1.0 - float(body[rows, columns][rim].mean()) if rim.any() else 0.0


def _squash(value: float) -> float:
    return float(1.0 / (1.0 + np.exp(-value)))

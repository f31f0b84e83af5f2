"""Describes the pixels themselves in a few dozen numbers, before and apart from any network.

Three groups, so that a refusal can say what is wrong: the *stain* (colours of the ground, of the darkest body and of
what lies between), the *layout* (what lies where, relative to the darkest body), the *detail* (how much fine structure
there is at each scale). Optical densities are log10 against the ground of the same image.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bloodcell.dataset import INPUT_SIZE

GROUPS: dict[str, tuple[int, int]] = {"stain": (0, 14), "layout": (14, 30), "detail": (30, 36)}
"""First and last column (exclusive) of each group in a description."""
NUM_NUMBERS = 36
GROUND_SHARE = 0.25
"""Share of the pixels, the brightest, whose median colour is taken as the ground."""
DARKEST_SHARE = 0.03
"""Share of the pixels, those that absorb most green, that stand for the nucleus; a platelet fills about as many."""
FAINTEST_DENSITY = 0.1
"""Lowest optical density in green that the darkest body is believed to have: below it there is only noise."""
NUCLEUS_SHARE = 0.5
"""Share of the darkest body's density from which a pixel counts as nucleus or platelet; red cells stay below."""
GROUND_DENSITY_SHARE = 0.08
NUM_RINGS = 5
NUM_PIXELS = INPUT_SIZE**2

_LUMINANCE = np.array((0.299, 0.587, 0.114), np.float32)
_ROWS, _COLUMNS = (np.mgrid[:INPUT_SIZE, :INPUT_SIZE] - (INPUT_SIZE - 1) / 2).astype(np.float32)
_RADIUS = np.hypot(_ROWS, _COLUMNS)
_RING = np.minimum((_RADIUS / (INPUT_SIZE / 2) * (NUM_RINGS - 1)).astype(int), NUM_RINGS - 1)


@dataclass(frozen=True, eq=False)
class PixelDescription:
    """What the pixels of images are like.

    Attributes:
        numbers: (n, 36) float64, finite for any pixels, in the columns of `GROUPS`.
        contrast: (n,) standard deviation of luminance, [0, 127.5].
        ground: (n, 3) colour of the ground, [0, 255].
        darkest: (n, 3) optical density of the darkest body in red, green, blue.
        central: (n,) share of the middle of the image, a disc of a quarter of its side, that is nucleus or platelet.
        fine_detail: (n,) log10 of what the finest octave of detail holds.
    """

    numbers: np.ndarray
    contrast: np.ndarray
    ground: np.ndarray
    darkest: np.ndarray
    central: np.ndarray
    fine_detail: np.ndarray


def describe_pixels(images: np.ndarray, batch: int = 512) -> PixelDescription:
    """Return descriptions of images, (n, 64, 64, 3) uint8.

    Args:
        batch: Images that are worked on at a time, which bounds the memory.
    """
    parts = [_describe_batch(images[start : start + batch]) for start in range(0, max(len(images), 1), batch)]
    return PixelDescription(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _describe_batch(images: np.ndarray) -> tuple[np.ndarray, ...]:
    colors = images.astype(np.float32)
    luminance = colors @ _LUMINANCE
    ground, unevenness = _measure_ground(colors, luminance)
    densities = np.log10(np.maximum(ground, 4.0)[:, None, None] / np.maximum(colors, 4.0))
    darkest = _measure_darkest(densities)
    relative = densities[..., 1] / np.maximum(darkest[:, 1], FAINTEST_DENSITY)[:, None, None]
    stain = _describe_stain(densities, relative, ground, unevenness, darkest)
    layout, central = _describe_layout(np.clip(relative, 0.0, 1.5), luminance)
    detail = _describe_detail(luminance, colors[..., 0] - colors[..., 2])
    numbers = np.concatenate([stain, layout, detail], axis=1).astype(np.float64)
    return numbers, luminance.std(axis=(1, 2)), ground, darkest, central, detail[:, 0]


def _measure_ground(colors: np.ndarray, luminance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the colour of the ground, (n, 3), and the spread of luminance in it, (n,)."""
    brightest = _find_highest(luminance, GROUND_SHARE)
    spread = np.take_along_axis(luminance.reshape(len(luminance), NUM_PIXELS), brightest, axis=1).std(axis=1)
    return np.median(_take_pixels(colors, brightest), axis=1), spread


def _measure_darkest(densities: np.ndarray) -> np.ndarray:
    return _take_pixels(densities, _find_highest(densities[..., 1], DARKEST_SHARE)).mean(axis=1)


def _find_highest(values: np.ndarray, share: float) -> np.ndarray:
    """Return which pixels hold the highest values, (n, share of all) indices of the flattened image."""
    num_chosen = int(share * NUM_PIXELS)
    return np.argpartition(-values.reshape(len(values), NUM_PIXELS), num_chosen, axis=1)[:, :num_chosen]


def _take_pixels(colors: np.ndarray, indices: np.ndarray) -> np.ndarray:
    return np.take_along_axis(colors.reshape(len(colors), NUM_PIXELS, 3), indices[..., None], axis=1)


def _describe_stain(
    densities: np.ndarray, relative: np.ndarray, ground: np.ndarray, unevenness: np.ndarray, darkest: np.ndarray
) -> np.ndarray:
    between = (relative > GROUND_DENSITY_SHARE) & (relative < NUCLEUS_SHARE)
    weights = between.astype(np.float32)
    total = np.einsum("nhwc,nhw->nc", densities, weights)
    bodies = total / np.maximum(weights.sum(axis=(1, 2)), 1.0)[:, None]
    columns = [
        np.log10(np.maximum(ground, 1.0)),
        np.log10(1.0 + unevenness)[:, None],
        darkest,
        darkest[:, ::2] / np.maximum(darkest[:, 1:2], FAINTEST_DENSITY / 2),
        bodies,
        bodies[:, ::2] / np.maximum(bodies[:, 1:2], 0.02),
    ]
    return np.concatenate(columns, axis=1)


def _describe_layout(relative: np.ndarray, luminance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, 16) numbers on where densities lie, and the share of nucleus in the middle."""
    rings = [index == _RING for index in range(NUM_RINGS)]
    means = np.stack([relative[:, ring].mean(axis=1) for ring in rings], axis=1)
    spreads = np.stack([relative[:, ring].std(axis=1) for ring in rings], axis=1)
    nucleus = relative > NUCLEUS_SHARE
    shares = np.stack([(relative < GROUND_DENSITY_SHARE).mean(axis=(1, 2)), nucleus.mean(axis=(1, 2))], axis=1)
    central = nucleus[:, _RADIUS < INPUT_SIZE / 4].mean(axis=1)
    weights = np.where(nucleus, relative, 0.0)
    mass = np.maximum(weights.sum(axis=(1, 2)), 1.0)
    row, column = ((weights * axis).sum(axis=(1, 2)) / mass for axis in (_ROWS, _COLUMNS))
    reach = np.sqrt((weights * _RADIUS**2).sum(axis=(1, 2)) / mass)
    down, right = np.gradient(luminance, axis=(1, 2))
    energy = (down**2 + right**2).mean(axis=(1, 2)) + 1.0
    straight = np.hypot((down**2 - right**2).mean(axis=(1, 2)), 2 * (down * right).mean(axis=(1, 2))) / energy
    others = np.stack([np.sqrt(central), np.hypot(row, column) / 10, reach / 10, np.sqrt(straight)], axis=1)
    return np.concatenate([np.sqrt(means), np.sqrt(spreads), np.sqrt(shares), others], axis=1), central


def _describe_detail(luminance: np.ndarray, opponent: np.ndarray) -> np.ndarray:
    """Return log10 of four octaves of detail, finest first, of the finest one's typical pixel and of its colour."""
    levels = [luminance]
    for width in (3, 5, 9, 17):
        levels.append(ndimage.uniform_filter(luminance, (0, width, width), mode="reflect"))
    bands = [finer - coarser for finer, coarser in itertools.pairwise(levels)]
    colored = opponent - ndimage.uniform_filter(opponent, (0, 3, 3), mode="reflect")
    strengths = [band.std(axis=(1, 2)) for band in bands]
    strengths += [np.median(np.abs(bands[0].reshape(len(luminance), NUM_PIXELS)), axis=1), colored.std(axis=(1, 2))]
    return np.log10(np.stack(strengths, axis=1) + 0.1)

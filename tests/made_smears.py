"""Smears drawn for tests: discs in the colours of a stain on a pale ground, slightly blurred and noisy."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

PEACH = {
    "ground": (253, 228, 200),
    "red": (205, 168, 168),
    "body": (215, 175, 190),
    "nucleus": (70, 35, 110),
    "platelet": (130, 70, 165),
}
GREY = {
    "ground": (202, 204, 198),
    "red": (180, 155, 160),
    "body": (190, 165, 190),
    "nucleus": (110, 75, 165),
    "platelet": (147, 125, 178),
}
STAINS = {"peach": PEACH, "grey": GREY}

RED = 40
"""Diameter of a drawn red cell, pixels, before any scaling."""
PLATELET = 20
"""Diameter of a drawn platelet, pixels, before any scaling."""


@dataclass
class Smear:
    """A drawn field and where its cells are, as (left, top, width, height)."""

    pixels: np.ndarray
    white_cells: list[tuple[int, int, int, int]]
    platelets: list[tuple[int, int, int, int]]


def draw_smear(
    width: int = 320,
    height: int = 240,
    white_cells: tuple[tuple[float, float], ...] = (),
    platelets: tuple[tuple[float, float], ...] = (),
    red_cells: tuple[tuple[float, float], ...] | None = None,
    stain: str = "peach",
    factor: float = 1.0,
    diameter: float = 1.8 * RED,
    seed: int = 0,
) -> Smear:
    """Return a smear with white cells of a nucleus of three lobes; red cells on a grid wherever there is room.

    Args:
        white_cells: (x, y) of each centre.
        platelets: (x, y) of each centre.
        red_cells: (x, y) of each centre; a loose grid without it.
        stain: Name of the colours.
        factor: Enlargement at the end.
        diameter: Of a white cell, pixels, before enlargement.
    """
    colours = STAINS[stain]
    generator = np.random.default_rng(seed)
    canvas = np.empty((height, width, 3))
    canvas[:] = colours["ground"]
    if red_cells is None:
        red_cells = tuple(
            (x + generator.uniform(-3, 3), y + generator.uniform(-3, 3))
            for y in range(0, height + RED, 52)
            for x in range(0, width + RED, 52)
        )
    taken = [(x, y, diameter / 2) for x, y in white_cells] + [(x, y, PLATELET / 2) for x, y in platelets]
    for x, y in red_cells:
        if all(np.hypot(x - a, y - b) > radius + RED / 2 + 3 for a, b, radius in taken):
            _disc(canvas, x, y, RED / 2, colours["red"])
            _disc(
                canvas, x, y, RED / 7, [0.5 * (a + b) for a, b in zip(colours["red"], colours["ground"], strict=True)]
            )
    for x, y in white_cells:
        _disc(canvas, x, y, diameter / 2, colours["body"])
        for dx, dy in ((-0.16, -0.1), (0.16, -0.1), (0.0, 0.17)):
            _disc(canvas, x + dx * diameter, y + dy * diameter, 0.2 * diameter, colours["nucleus"])
    for x, y in platelets:
        _disc(canvas, x, y, PLATELET / 2, colours["platelet"])
    canvas = ndimage.gaussian_filter(canvas, (1, 1, 0)) + generator.normal(0, 2, canvas.shape)
    pixels = np.clip(canvas, 0, 255).astype(np.uint8)
    if factor != 1.0:
        size = (round(width * factor), round(height * factor))
        pixels = np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    return Smear(
        pixels,
        [_box(x, y, diameter / 2, width, height, factor) for x, y in white_cells],
        [_box(x, y, PLATELET / 2, width, height, factor) for x, y in platelets],
    )


def _disc(canvas: np.ndarray, x: float, y: float, radius: float, colour) -> None:
    top, left = max(0, int(y - radius)), max(0, int(x - radius))
    window = canvas[top : max(0, int(y + radius) + 2), left : max(0, int(x + radius) + 2)]
    rows, columns = np.ogrid[: window.shape[0], : window.shape[1]]
    window[(rows + top - y) ** 2 + (columns + left - x) ** 2 <= radius**2] = colour


def _box(x: float, y: float, radius: float, width: int, height: int, factor: float) -> tuple[int, int, int, int]:
    left, top = max(0.0, x - radius), max(0.0, y - radius)
    right, bottom = min(float(width), x + radius), min(float(height), y + radius)
    return tuple(round(value * factor) for value in (left, top, right - left, bottom - top))

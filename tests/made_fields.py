"""Smear fields composed of originals of the dataset, where they are at hand, side by side with blended seams."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

TILE = 340
"""Side of what is kept of each original, pixels."""
SEAM = 40
"""Width over which neighbours are blended, pixels."""


@dataclass
class Field:
    """A composed field, and the middle and the label of each original's own cell."""

    pixels: np.ndarray
    centres: list[tuple[int, int]]
    labels: list[int]


def read_originals(folder: Path) -> list[tuple[np.ndarray, int]]:
    """Return the originals of a folder with labels.csv, as pixels and class index."""
    with open(folder / "labels.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [(np.array(Image.open(folder / row["file"]).convert("RGB")), int(row["label"])) for row in rows]


def compose_field(originals: list[tuple[np.ndarray, int]], columns: int) -> Field:
    """Return a field of originals side by side, in rows from the top; neighbours overlap and are blended."""
    step = TILE - SEAM
    rows = -(-len(originals) // columns)
    height, width = rows * step + SEAM, columns * step + SEAM
    ramp = np.minimum(1.0, (np.minimum(np.arange(TILE), np.arange(TILE)[::-1]) + 1) / (SEAM + 1))
    weight = np.outer(ramp, ramp)[..., None]
    total, weights = np.zeros((height, width, 3)), np.full((height, width, 1), 1e-9)
    centres, labels = [], []
    for index, (pixels, label) in enumerate(originals):
        top, left = (index // columns) * step, (index % columns) * step
        y, x = (pixels.shape[0] - TILE) // 2, (pixels.shape[1] - TILE) // 2
        total[top : top + TILE, left : left + TILE] += weight * pixels[y : y + TILE, x : x + TILE]
        weights[top : top + TILE, left : left + TILE] += weight
        centres.append((left + TILE // 2, top + TILE // 2))
        labels.append(label)
    return Field(np.clip(total / weights, 0, 255).astype(np.uint8), centres, labels)

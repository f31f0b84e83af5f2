"""Pictures as cases keep them: pixels in a PNG, nothing of the file that they came from but its name."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from bloodcell.dataset import INPUT_SIZE, Box
from bloodcell.inference.finder_measure import intersection_over_union

SAME_CELL = 0.5
"""Intersection over union of two frames in one image above which they hold the same cell."""


@dataclass(frozen=True, eq=False)
class NewCell:
    """A cell to be added to a case.

    Attributes:
        pixels: (64, 64, 3) uint8, what the networks see.
        box: Its frame in the pixels of the image.
    """

    pixels: np.ndarray
    box: Box

    def __post_init__(self) -> None:
        """Check the shape: what the networks see is what decisions are about."""
        if self.pixels.shape != (INPUT_SIZE, INPUT_SIZE, 3) or self.pixels.dtype != np.uint8:
            raise ValueError(f"Expected (64, 64, 3) uint8 pixels. Received: {self.pixels.shape} {self.pixels.dtype}")


@dataclass(frozen=True, eq=False)
class NewImage:
    """An image to be added to a case, with its cells: one for an image of a single cell, any number for a field.

    Attributes:
        file: Name of its file, without its folder.
        pixels: (height, width, 3) uint8.
        cells: Its cells, in the order in which they are numbered.
        notes: What was done to read it, as sentences.
    """

    file: str
    pixels: np.ndarray
    cells: tuple[NewCell, ...]
    notes: tuple[str, ...] = ()


def find_same(boxes: Sequence[Box], known: Sequence[Box]) -> set[int]:
    """Return the places of the boxes that are cells which an image is known to hold, framed as before or nearly so.

    Two boxes of which more than half is shared are one cell. Each known cell is matched once, best match first: the
    neighbour of a cell is not taken for it because their frames overlap.

    Args:
        boxes: Cells found in the image now; a box that comes twice is there after the first.
        known: Cells found in it before.
    """
    overlaps = [
        (overlap, place, other)
        for place, box in enumerate(boxes)
        for other, known_box in enumerate(known)
        if (overlap := intersection_over_union(box, known_box)) > SAME_CELL
    ]
    same: dict[int, int] = {}
    for _, place, other in sorted(overlaps, reverse=True):
        if place not in same and other not in same.values():
            same[place] = other
    repeated = {place for place, box in enumerate(boxes) if box in boxes[:place]}
    return repeated | set(same)


def encode_pixels(pixels: np.ndarray) -> bytes:
    """Return (h, w, 3) uint8 pixels as a PNG file without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", optimize=False)
    return buffer.getvalue()


def decode_pixels(data: bytes) -> np.ndarray:
    """Return the (h, w, 3) uint8 pixels of a picture as a case keeps it."""
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        return np.array(image.convert("RGB"))


def hash_pixels(pixels: np.ndarray) -> str:
    """Return the SHA-256 of an image's size and pixels, as 64 hexadecimal digits."""
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(f"{width}x{height}:".encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()

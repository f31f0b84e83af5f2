"""Pictures as cases keep them: pixels in a PNG, nothing of the file that they came from but its name."""

import hashlib
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from bloodcell.dataset import INPUT_SIZE, Box


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

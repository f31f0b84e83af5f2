"""The one road from stored or uploaded pixels to the input of a network, in training and in the classifier alike."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from bloodcell.errors import ImageError

INPUT_SIZE = 64
"""Side of a network's input, pixels."""

MINIMUM_SIDE = 16
"""Smallest middle square that is still enlarged to the input, pixels; below it nothing of a cell is left."""

ORIGINAL_SIDES = (340, 380)
"""Shortest and longest side of an image of the source dataset, pixels; nearly all are 360 x 363."""

CROP_SIZE = 200
"""Side of the middle square that MedMNIST cuts out of an original, pixels."""

Kind = Literal["dataset", "original", "other"]


class Box(NamedTuple):
    """A rectangle in the pixels of the source image; left and top count from 0."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Framed:
    """What a network sees of an image.

    Attributes:
        pixels: (64, 64, 3) uint8.
        box: The part of the source image that was kept.
        kind: "dataset" for 64 x 64 pixels, "original" for an image of the source dataset, "other" for the rest.
        warning: A sentence for the reader if the framing is unlike the training data, else None.
    """

    pixels: np.ndarray
    box: Box
    kind: Kind
    warning: str | None


def prepare_images(images: np.ndarray) -> np.ndarray:
    """Return inputs for a network: (n, 64, 64, 3) float32 in [0, 1] from (n, 64, 64, 3) uint8."""
    expected = (INPUT_SIZE, INPUT_SIZE, 3)
    if images.ndim != 4 or images.shape[1:] != expected or images.dtype != np.uint8:
        raise ValueError(f"Expected (n, 64, 64, 3) uint8 images. Received: {images.shape} {images.dtype}")
    return images.astype(np.float32) / np.float32(255)


def frame_image(pixels: np.ndarray) -> Framed:
    """Return the 64 x 64 pixels of an image that a network sees.

    An image of 64 x 64 is taken as it is. An original of the source dataset (340 to 380 pixels a side) gives exactly
    the pixels of the dataset, by MedMNIST's recipe: the middle 200 x 200, then a bilinear resize. Anything else gives
    its largest middle square and a warning.

    Args:
        pixels: (height, width, 3) uint8.

    Raises:
        ImageError: The shorter side is under 16 pixels.
        ValueError: The array is not an RGB image of uint8.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"Expected (height, width, 3) uint8 pixels. Received: {pixels.shape} {pixels.dtype}")
    height, width = pixels.shape[:2]
    if (width, height) == (INPUT_SIZE, INPUT_SIZE):
        return Framed(pixels.copy(), Box(0, 0, width, height), "dataset", None)
    shortest, longest = ORIGINAL_SIDES
    if shortest <= width <= longest and shortest <= height <= longest:
        box = _middle_square(width, height, CROP_SIZE)
        return Framed(_resize(pixels, box), box, "original", None)
    side = min(width, height)
    if side < MINIMUM_SIDE:
        raise ImageError(
            f"The image is {width} x {height} pixels, too small to show a cell: its shorter side must be at least "
            f"{MINIMUM_SIDE} pixels. Give one cell, centred, at 64 x 64 pixels or larger."
        )
    box = _middle_square(width, height, side)
    warning = (
        f"The image is {width} x {height} pixels, and its middle {side} x {side} was used: a framing unlike the "
        "training data (one centred cell, 200 x 200 pixels of a 360 x 363 image), so the answer may be less reliable."
    )
    return Framed(_resize(pixels, box), box, "other", warning)


def _middle_square(width: int, height: int, side: int) -> Box:
    # Python's round, halves to even, as in the recipe: 80 and 82 for an image of 360 x 363.
    return Box(round((width - side) / 2), round((height - side) / 2), side, side)


def _resize(pixels: np.ndarray, box: Box) -> np.ndarray:
    square = pixels[box.top : box.top + box.height, box.left : box.left + box.width]
    image = Image.fromarray(np.ascontiguousarray(square))
    return np.array(image.resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BILINEAR))

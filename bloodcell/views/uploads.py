"""Images that a reader brings, as small as a page needs them: pixels, a preview, or why there are none."""

from dataclasses import dataclass

import numpy as np

from bloodcell.dataset import Box, Framed, Split, frame_image
from bloodcell.errors import ImageError
from bloodcell.inference.images import SUFFIXES, read_image
from bloodcell.views.figures_images import shrink_to

IMAGE_TYPES = [suffix.removeprefix(".") for suffix in SUFFIXES]
"""Endings that a drop zone takes; what is inside a file is looked at when it is read."""

MAXIMUM_UPLOAD_MB = 128
"""Largest file that the browser sends; above the limit of `read_image`, so that what is too large gets its sentence."""

MAXIMUM_FILES = 200
"""Most files that are answered at once."""

PREVIEW_SIDE = 480
"""Longer side of what is kept of an image for showing it, pixels: sixty large files must not fill the memory."""


@dataclass(frozen=True, eq=False)
class CellImage:
    """One image of a cell, or the sentence why a file is none.

    Attributes:
        key: Tells files of the same name apart.
        name: File name, or the place in the dataset.
        framed: What a network sees; None where the file could not be read. Its box lies in the image as read.
        size: (width, height) of the image as read, pixels.
        preview: (h, w, 3) uint8, at most 480 pixels a side.
        preview_box: The part that the network sees, in pixels of the preview.
        notes: Sentences on what had to be done to read it.
        error: Why it could not be read, None if it could.
        label: Class index where it is known, else None.
    """

    key: str
    name: str
    framed: Framed | None = None
    size: tuple[int, int] = (0, 0)
    preview: np.ndarray | None = None
    preview_box: Box | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    label: int | None = None


def read_cell(data: bytes, name: str, key: str) -> CellImage:
    """Return the image of a file; a file that cannot be used comes back with its sentence, never as an exception.

    Args:
        data: The file's content.
        name: Its name, for the sentences.
        key: What tells it apart from others of that name.
    """
    try:
        image = read_image(data, name)
        framed = frame_image(image.pixels)
    except ImageError as error:
        return CellImage(key, name, error=str(error))
    preview, box = shrink_to(image.pixels, framed.box, PREVIEW_SIDE)
    height, width = image.pixels.shape[:2]
    return CellImage(key, image.name, framed, (width, height), preview.copy(), box, image.notes)


def cell_of_split(split: Split, row: int) -> CellImage:
    """Return one image of the dataset, its class known."""
    framed = frame_image(split.images[row])
    return CellImage(
        f"{split.name}-{row}",
        f"{split.name}, row {row}",
        framed,
        (framed.box.width, framed.box.height),
        framed.pixels,
        framed.box,
        label=int(split.labels[row]),
    )


def choose_examples(labels: np.ndarray, seed: int) -> list[int]:
    """Return one row per class that occurs, in class order, chosen at random; the same seed gives the same rows."""
    generator = np.random.default_rng(seed)
    return [int(generator.choice(np.flatnonzero(labels == label))) for label in np.unique(labels)]

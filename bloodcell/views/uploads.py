"""Images that a reader brings: what was found in each, small enough to keep, or why there is nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bloodcell.dataset import Box, Split
from bloodcell.errors import ImageError
from bloodcell.inference.finder_frame import CellFrame, frame_cell
from bloodcell.inference.images import SUFFIXES, name_page, read_image
from bloodcell.inference.specimens import Specimen, find_specimen
from bloodcell.views.figures_images import image_address, shrink_to

IMAGE_TYPES = [suffix.removeprefix(".") for suffix in SUFFIXES]
"""Endings that a drop zone takes; what is inside a file is looked at when it is read."""

MAXIMUM_UPLOAD_MB = 128
"""Largest file that the browser sends; above the limit of `read_image`, so that what is too large gets its sentence."""

MAXIMUM_FILES = 200
"""Most files that are answered at once."""

MAXIMUM_SESSION_BYTES = 1024**3
"""Most bytes of files that one session keeps: they stay in memory, to be framed otherwise or to become a case."""

PREVIEW_SIDE = 800
"""Longer side of what is kept of an image for showing it, pixels, compressed: two hundred files must fit in memory."""


@dataclass(frozen=True)
class Wish:
    """What the reader says of an image.

    Attributes:
        kind: "crop" or "field"; None takes the finder's guess.
        box: The reader's own frame, pixels of the image as read; None looks for the cell.
    """

    kind: str | None = None
    box: Box | None = None


@dataclass(frozen=True, eq=False)
class CellImage:
    """One cell to be judged.

    Attributes:
        key: Tells it, framed as it is, from all others.
        name: File name with its number in a field, or the place in the dataset.
        frame: What a network sees, and how it came to be framed so.
        photo: Key of the image that it lies in.
        number: Its number in a field, from 1; None for the one cell of a crop.
        notes: Sentences on what had to be done to read the file.
        label: Class index where it is known, else None.
    """

    key: str
    name: str
    frame: CellFrame
    photo: str
    number: int | None = None
    notes: tuple[str, ...] = ()
    label: int | None = None

    @property
    def outline(self) -> Box:
        """Around the cell itself where it was found, else the frame."""
        return self.frame.cell.box if self.frame.cell is not None else self.frame.box


@dataclass(frozen=True, eq=False)
class Photo:
    """One file that was read, with the cells in it, or the sentence why there are none.

    Attributes:
        key: Tells files of the same name apart.
        name: File name, with the page's number where it has several.
        wish: What the reader said of it when it was read.
        specimen: Crop or field, and why; None where the file could not be read.
        cells: One of a crop, any number of a field.
        size: (width, height) of the image as read, pixels.
        address: The image as a `data:` address, at most 800 pixels a side.
        notes: Sentences on what had to be done to read it.
        error: Why it could not be read, None if it could.
        data: The file, to read it again where the reader frames it otherwise; None for the dataset's own.
        page: Which page of the file, from 0; None where it has but one picture.
    """

    key: str
    name: str
    wish: Wish = Wish()
    specimen: Specimen | None = None
    cells: tuple[CellImage, ...] = ()
    size: tuple[int, int] = (0, 0)
    address: str = ""
    notes: tuple[str, ...] = ()
    error: str | None = None
    data: bytes | None = None
    page: int | None = None

    @property
    def file(self) -> str:
        """File name without a page."""
        return self.name.removesuffix(name_page("", self.page))

    @property
    def is_field(self) -> bool:
        """Whether it was cut up as a smear field."""
        return self.specimen is not None and self.specimen.kind == "field"


def read_photo(data: bytes, name: str, key: str, wish: Wish | None = None, page: int | None = None) -> Photo:
    """Return what is in a file; a file that cannot be used comes back with its sentence, never as an exception.

    Args:
        data: The file's content.
        name: Its name, for the sentences.
        key: What tells it apart from others of that name.
        wish: What the reader says of it.
        page: Which page of it, from 0; its number joins the name. None reads the first picture.
    """
    wish = wish or Wish()
    try:
        image = read_image(data, name, page=page)
        specimen = find_specimen(image.pixels, wish.kind, wish.box)  # type: ignore[arg-type]
    except ImageError as error:
        return Photo(key, name_page(name, page), wish, error=str(error))
    height, width = image.pixels.shape[:2]
    preview, _ = shrink_to(image.pixels, Box(0, 0, width, height), PREVIEW_SIDE)
    is_field = specimen.kind == "field"
    cells = tuple(
        CellImage(
            f"{key}{_mark(frame, number if is_field else None)}",
            f"{image.name}, cell {number}" if is_field else image.name,
            frame,
            key,
            number if is_field else None,
            () if is_field else image.notes,
        )
        for number, frame in enumerate(specimen.frames, start=1)
    )
    address = image_address(preview)
    return Photo(key, image.name, wish, specimen, cells, (width, height), address, image.notes, data=data, page=page)


def choose_left_out(sizes: Mapping[str, int], kept: Mapping[str, int]) -> set[str]:
    """Return the keys of the files that no longer fit into what one session may keep, first come first served.

    Args:
        sizes: Bytes of each file that is given now, by key, in their order.
        kept: Bytes of each file that is kept already, by key; none of these is left out.
    """
    total, left_out = sum(kept.values()), set()
    for key, size in sizes.items():
        if key in kept:
            continue
        if total + size > MAXIMUM_SESSION_BYTES:
            left_out.add(key)
        else:
            total += size
    return left_out


def describe_left_out(num_files: int, advice: str) -> str:
    """Return, in Markdown, that files were left out because the session keeps enough, and what to do about it.

    Args:
        advice: What to do, to stand before the way that has no such limit.
    """
    were = "1 file was" if num_files == 1 else f"{num_files} files were"
    return (
        f"The files of one session hold {MAXIMUM_SESSION_BYTES // 1024**2} MB together at most: {were} left out. "
        f"{advice}, or read a whole folder from the command line: "
        "`./dev python -m bloodcell classify FOLDER`"
    )


def photo_of_split(split: Split, row: int) -> Photo:
    """Return one image of the dataset, its class known."""
    key, name = f"{split.name}-{row}", f"{split.name}, row {row}"
    frame = frame_cell(np.array(split.images[row]))
    cell = CellImage(key, name, frame, key, label=int(split.labels[row]))
    specimen = Specimen("crop", None, (frame,))
    return Photo(key, name, Wish(), specimen, (cell,), (frame.box.width, frame.box.height))


def choose_examples(labels: np.ndarray, seed: int) -> list[int]:
    """Return one row per class that occurs, in class order, chosen at random; the same seed gives the same rows."""
    generator = np.random.default_rng(seed)
    return [int(generator.choice(np.flatnonzero(labels == label))) for label in np.unique(labels)]


def move_frame(box: Box, size: tuple[int, int], centre_x: float, centre_y: float, side: float) -> Box:
    """Return the square frame about a centre, as near to it as keeps the centre in the image.

    Args:
        box: The frame before; its side is the least that is kept where `side` is no number.
        size: (width, height) of the image, pixels.
        centre_x, centre_y, side: Wanted, pixels of the image.
    """
    width, height = size
    side_px = int(np.clip(round(side) if np.isfinite(side) else box.width, LEAST_FRAME, 2 * max(size)))
    x, y = float(np.clip(centre_x, 0, width - 1)), float(np.clip(centre_y, 0, height - 1))
    return Box(round(x - side_px / 2), round(y - side_px / 2), side_px, side_px)


LEAST_FRAME = 16
"""Smallest frame that a reader can draw, pixels."""


def _mark(frame: CellFrame, number: int | None) -> str:
    """Return what tells a cell's framing apart within its file."""
    if number is not None:
        return f"#{number}@{frame.box.left},{frame.box.top},{frame.box.width}"
    return f"@{frame.box.left},{frame.box.top},{frame.box.width}" if frame.kind in ("found", "drawn") else ""

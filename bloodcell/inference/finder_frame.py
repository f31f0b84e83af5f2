"""Frames one cell at the scale of the training data, wherever it lies in an image and whatever the microscope.

The networks know the middle 200 x 200 pixels of originals whose red cells are about 71 pixels wide (measured as in
`finder_scale`). The size of the cell in that frame matters to them as much as its colour: to show them a small
lymphocyte as large as a monocyte is to ask for a wrong answer. So the frame is as wide as 2.8 of the image's own red
cells, and only where none is seen is the cell itself taken as the ruler.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from bloodcell.dataset.images import INPUT_SIZE, MINIMUM_SIDE, ORIGINAL_SIDES, Box, frame_image
from bloodcell.errors import ImageError

if TYPE_CHECKING:
    from bloodcell.inference.finder_survey import FoundCell, Survey

FrameKind = Literal["dataset", "original", "found", "drawn", "other"]
ScaleSource = Literal["known size", "red cells", "cell size", "reader", "none"]

FRAME_PER_RED_CELL = 200 / 71
"""Side of the networks' frame over the red cells' diameter, on the 48 sample originals."""
CELL_SHARE = {"nucleated": 0.66, "platelet": 0.33}
"""Diameter of a typical cell (of a disc as large as its outline) over the frame's side, in the training split."""
RED_CELL_SPREAD = 0.12
"""Standard deviation of the logarithm of one red cell's diameter as a ruler; of several, divided by their root."""
CELL_SPREAD = 0.19
"""Standard deviation of the logarithm of a white cell's diameter as a ruler."""
IMAGE_SAY = 0.3
"""Weight of a square crop's own side, on the logarithm, where the cell's size is the only ruler: whoever cropped it
left a usual room around the cell. A field's side tells nothing of the cells in it."""
SAME_FRAME = 0.12
"""Where the wanted frame and a square image differ by no more than this share, the image is taken as it is."""
NEARLY_SQUARE = 1.05
LARGEST_OUTSIDE = 0.25
"""Share of the frame outside the image from which the reader is warned."""


@dataclass(frozen=True)
class Scale:
    """How the size of a frame was decided.

    Attributes:
        source: What served as the ruler.
        pixels_per_um: Scale of the image, None where nothing tells it.
        num_red_cells: Red cells that were measured.
    """

    source: ScaleSource
    pixels_per_um: float | None
    num_red_cells: int


@dataclass(frozen=True, eq=False)
class CellFrame:
    """One cell as the networks see it.

    Attributes:
        pixels: (64, 64, 3) uint8.
        box: The square of the image that was kept; where it reaches beyond the image, the image was reflected there.
        kind: "dataset" and "original" for images of the dataset's own sizes, "found" for a frame around a found cell,
            "drawn" for one that a reader drew, "other" for the middle of an image in which nothing was found.
        cell: The cell that was framed, None for the other kinds.
        scale: How the frame's size was decided.
        note: What was done, as a sentence for the reader.
        warning: What makes the frame doubtful, as a sentence for the reader, else None.
    """

    pixels: np.ndarray
    box: Box
    kind: FrameKind
    cell: "FoundCell | None"
    scale: Scale
    note: str
    warning: str | None


def frame_cell(
    pixels: np.ndarray,
    box: Box | tuple[int, int, int, int] | None = None,
    cell: "FoundCell | None" = None,
    survey: "Survey | None" = None,
) -> CellFrame:
    """Return one cell of an image, framed at the scale that the networks know.

    Images of the dataset's own sizes (64 x 64, or 340 to 380 pixels a side) are framed as the dataset was made, to the
    pixel, unless a box or a cell is given.

    Args:
        pixels: (height, width, 3) uint8.
        box: The frame itself as (left, top, width, height), drawn by the reader: nothing is looked for. A box that is
            no square is widened to one about its middle.
        cell: The cell to frame, one of the survey's of a field; without it the image is a crop, and the cell that was
            meant, large and near the middle, is taken.
        survey: What `survey_image` returned for the image, to spare a second survey.

    Raises:
        ImageError: The shorter side of the image, or of the box, is too small to show a cell.
        ValueError: The array is not an RGB image of uint8.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"Expected (height, width, 3) uint8 pixels. Received: {pixels.shape} {pixels.dtype}")
    if box is not None:
        return _frame_drawn(pixels, Box(*box))
    if cell is None and has_known_size(pixels):
        framed = frame_image(pixels)
        note = "It has the size of the dataset's images, so it was framed as the dataset was made."
        return CellFrame(framed.pixels, framed.box, framed.kind, None, Scale("known size", None, 0), note, None)
    if cell is None and min(pixels.shape[:2]) < MINIMUM_SIDE:
        frame_image(pixels)  # refuses it in a sentence
    if survey is None:
        from bloodcell.inference.finder_survey import survey_image  # half a second that a known size need not wait for

        survey = survey_image(pixels)
    is_crop = cell is None
    cell = cell or _pick_cell(survey)
    if cell is None:
        return _frame_middle(pixels)
    side, scale, words = _decide_side(survey, cell, is_crop)
    return _frame_found(pixels, survey, cell, side, scale, words)


def cut_square(pixels: np.ndarray, box: Box) -> np.ndarray:
    """Return a square of an image as (64, 64, 3) uint8; beyond the image's border it is reflected.

    Args:
        pixels: (height, width, 3) uint8.
        box: Square; it may reach beyond the image on every side, and must meet it.
    """
    height, width = pixels.shape[:2]
    rows, columns = np.arange(box.top, box.top + box.height), np.arange(box.left, box.left + box.width)
    square = pixels[np.ix_(_reflect(rows, height), _reflect(columns, width))]
    image = Image.fromarray(np.ascontiguousarray(square))
    return np.array(image.resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BILINEAR))


def has_known_size(pixels: np.ndarray) -> bool:
    """Whether an image has the size of the dataset's images or of their originals, and is framed by that alone."""
    height, width = pixels.shape[:2]
    shortest, longest = ORIGINAL_SIDES
    is_original = shortest <= width <= longest and shortest <= height <= longest
    return is_original or (width, height) == (INPUT_SIZE, INPUT_SIZE)


def _reflect(places: np.ndarray, length: int) -> np.ndarray:
    """Fold places on a line back into [0, length), the border pixel itself not repeated."""
    if length == 1:
        return np.zeros_like(places)
    folded = np.abs(places) % (2 * (length - 1))
    return np.where(folded < length, folded, 2 * (length - 1) - folded)


def _pick_cell(survey: "Survey") -> "FoundCell | None":
    """Return the cell that a crop was made for: large and near the middle."""

    def prominence(cell: "FoundCell") -> float:
        across = cell.box.left + cell.box.width / 2 - survey.width / 2
        down = cell.box.top + cell.box.height / 2 - survey.height / 2
        distance = math.hypot(across, down) / (0.25 * min(survey.width, survey.height))
        return math.sqrt(cell.area) * math.exp(-(distance**2))

    return max((*survey.cells, *survey.doubtful), key=prominence, default=None)


def _decide_side(survey: "Survey", cell: "FoundCell", is_crop: bool) -> tuple[float, Scale, str]:
    """Return the side of the frame in pixels, the evidence for it, and the evidence in words."""
    from bloodcell.inference.finder_scale import RED_CELL_UM

    by_cell = 2 * math.sqrt(cell.area / math.pi) / CELL_SHARE[cell.kind]
    ruler = survey.red_cells
    if ruler is None:
        short, long = sorted((survey.width, survey.height))
        if is_crop and long <= NEARLY_SQUARE * short:
            by_cell = by_cell ** (1 - IMAGE_SAY) * short**IMAGE_SAY
        scale = Scale("cell size", by_cell / FRAME_PER_RED_CELL / RED_CELL_UM, 0)
        kind = "platelet" if cell.kind == "platelet" else "white cell"
        words = f"No red cell is seen whole, so it was sized as if this were a {kind} of typical size"
        return by_cell, scale, words
    side = FRAME_PER_RED_CELL * ruler.diameter
    if ruler.num_cells < 3 and cell.kind == "nucleated" and not cell.touches_border:
        # One or two red cells may be a clump or a fragment; the white cell's own size has a say, if they agree at all.
        disagreement = math.log(by_cell / side)
        if abs(disagreement) < 3 * CELL_SPREAD:
            trust = CELL_SPREAD**2 / (CELL_SPREAD**2 + RED_CELL_SPREAD**2 / ruler.num_cells)
            side *= math.exp((1 - trust) * disagreement)
    scale = Scale("red cells", side / FRAME_PER_RED_CELL / RED_CELL_UM, ruler.num_cells)
    count = "one red cell" if ruler.num_cells == 1 else f"{ruler.num_cells} red cells"
    words = f"It was sized by {count}, about {ruler.diameter:.0f} pixels wide"
    return side, scale, words


def _frame_found(
    pixels: np.ndarray, survey: "Survey", cell: "FoundCell", wanted: float, scale: Scale, words: str
) -> CellFrame:
    side = max(MINIMUM_SIDE, round(wanted))
    left = round(cell.box.left + cell.box.width / 2 - wanted / 2)
    top = round(cell.box.top + cell.box.height / 2 - wanted / 2)
    box = Box(left, top, side, side)
    if _is_about_the_image(box, survey.width, survey.height):
        short = min(survey.width, survey.height)
        box = Box((survey.width - short) // 2, (survey.height - short) // 2, short, short)
    outside = _share_outside(box, survey.width, survey.height)
    kind = "platelet" if cell.kind == "platelet" else "nucleated cell"
    note = f"The frame of {box.width} x {box.height} pixels lies around the {kind} that was found. {words}."
    warnings = []
    if scale.source == "cell size":
        warnings.append("No red cell shows the scale, so check that the frame leaves the usual room around the cell.")
    if outside > LARGEST_OUTSIDE:
        warnings.append(f"{100 * outside:.0f} % of the frame lies outside the image and was filled by reflection.")
    if cell.touches_border:
        warnings.append("The cell is cut by the image's border.")
    return CellFrame(cut_square(pixels, box), box, "found", cell, scale, note, " ".join(warnings) or None)


def _is_about_the_image(box: Box, width: int, height: int) -> bool:
    """Whether a frame is nearly the whole of a nearly square image: such crops were framed by someone already."""
    short, long = sorted((width, height))
    if long > NEARLY_SQUARE * short:
        return False
    off = max(abs(box.left + box.width / 2 - width / 2), abs(box.top + box.height / 2 - height / 2))
    return abs(math.log(box.width / short)) < SAME_FRAME and off < 0.5 * SAME_FRAME * short


def _share_outside(box: Box, width: int, height: int) -> float:
    across = max(0, min(box.left + box.width, width) - max(box.left, 0))
    down = max(0, min(box.top + box.height, height) - max(box.top, 0))
    return 1.0 - across * down / (box.width * box.height)


def _frame_drawn(pixels: np.ndarray, box: Box) -> CellFrame:
    height, width = pixels.shape[:2]
    if min(box.width, box.height) < MINIMUM_SIDE // 2:
        raise ImageError(
            f"The frame is {box.width} x {box.height} pixels, too small to show a cell: draw it at least "
            f"{MINIMUM_SIDE // 2} pixels wide and high."
        )
    if _share_outside(box, width, height) >= 1.0:
        raise ImageError(f"The frame {tuple(box)} lies outside the image of {width} x {height} pixels. Move it inside.")
    side = max(box.width, box.height)
    square = Box(box.left - (side - box.width) // 2, box.top - (side - box.height) // 2, side, side)
    outside = _share_outside(square, width, height)
    warning = None
    if outside > LARGEST_OUTSIDE:
        warning = f"{100 * outside:.0f} % of the frame lies outside the image and was filled by reflection."
    note = f"The frame of {side} x {side} pixels is the reader's own."
    return CellFrame(cut_square(pixels, square), square, "drawn", None, Scale("reader", None, 0), note, warning)


def _frame_middle(pixels: np.ndarray) -> CellFrame:
    framed = frame_image(pixels)
    return CellFrame(
        framed.pixels,
        framed.box,
        "other",
        None,
        Scale("none", None, 0),
        f"The middle {framed.box.width} x {framed.box.height} pixels were taken.",
        "No nucleated cell and no platelet was found in the image.",
    )

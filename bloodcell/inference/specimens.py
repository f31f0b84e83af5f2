"""From an image that was read to the cells to ask about: the one cell of a crop, or every cell of a smear field.

SciPy and scikit-image, which look for cells, are imported where there is something to look for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bloodcell.dataset.images import MINIMUM_SIDE, Box
from bloodcell.inference.finder_frame import CellFrame, frame_cell, has_known_size

if TYPE_CHECKING:
    from bloodcell.inference.finder_survey import ImageKind, KindGuess, Survey


@dataclass(frozen=True, eq=False)
class Specimen:
    """What is to be judged of one image.

    Attributes:
        kind: "crop" for one cell, "field" for any number of them, none included.
        guess: What the image was taken for, and why; the reader may have chosen otherwise. None where there was nothing
            to guess: its size is one of the dataset's, or the reader drew the frame.
        frames: What a network sees of each cell: one of a crop, in reading order of a field, nucleated cells first.
        survey: What was found in the image; None where nothing was looked for.
    """

    kind: "ImageKind"
    guess: "KindGuess | None"
    frames: tuple[CellFrame, ...]
    survey: "Survey | None" = None


def find_specimen(
    pixels: np.ndarray,
    kind: "ImageKind | None" = None,
    box: Box | None = None,
    survey: "Survey | None" = None,
) -> Specimen:
    """Return the cells of an image, each framed at the scale that the networks know.

    Args:
        pixels: (height, width, 3) uint8.
        kind: What the reader says that it is; None takes the guess.
        box: The reader's own frame in a crop; nothing is looked for then.
        survey: What `survey_image` returned for the image, to spare a second survey.

    Raises:
        ImageError: The image or the reader's frame is too small to show a cell.
    """
    if box is not None:
        return Specimen("crop", None, (frame_cell(pixels, box),), survey)
    if kind != "field" and has_known_size(pixels):
        return Specimen("crop", None, (frame_cell(pixels),))
    if min(pixels.shape[:2]) < MINIMUM_SIDE:
        frame_cell(pixels)  # refuses it in a sentence
    from bloodcell.inference.finder_survey import guess_kind, survey_image

    survey = survey or survey_image(pixels)
    guess = guess_kind(pixels, survey)
    if (kind or guess.kind) == "field":
        frames = tuple(frame_cell(pixels, cell=cell, survey=survey) for cell in survey.cells)
        return Specimen("field", guess, frames, survey)
    return Specimen("crop", guess, (frame_cell(pixels, survey=survey),), survey)


def remarks_on(frame: CellFrame, notes: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what a reader should know of how an image was read and a cell of it framed, as sentences.

    Args:
        notes: From the reading of the image.
    """
    if frame.kind in ("dataset", "original"):
        return tuple(notes)
    note = () if frame.kind == "other" else (frame.note,)
    return (*notes, *note, *((frame.warning,) if frame.warning and frame.kind != "other" else ()))

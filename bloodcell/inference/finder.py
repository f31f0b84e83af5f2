"""Finds the cells of an image that is no original of the dataset's kind, and frames each as the networks know cells.

Classical image processing, in four steps that can be read apart: `finder_stain` separates the colours, `finder_scale`
measures the red cells as a ruler, `finder_cells` outlines what is purple, `finder_survey` puts them together;
`finder_frame` then cuts out one cell at the scale of the training data.
"""

from bloodcell.inference.finder_frame import CellFrame, Scale, cut_square, frame_cell
from bloodcell.inference.finder_survey import FoundCell, KindGuess, Survey, find_cells, guess_kind, survey_image

__all__ = [
    "CellFrame",
    "FoundCell",
    "KindGuess",
    "Scale",
    "Survey",
    "cut_square",
    "find_cells",
    "frame_cell",
    "guess_kind",
    "survey_image",
]

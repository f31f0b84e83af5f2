"""Finds the cells of an image that is no original of the dataset's kind, and frames each as the networks know cells.

Classical image processing, in four steps that can be read apart: `finder_stain` separates the colours, `finder_scale`
measures the red cells as a ruler, `finder_cells` outlines what is purple, `finder_survey` puts them together;
`finder_frame` then cuts out one cell at the scale of the training data.

Aim: on BCCD, of the white cells wholly inside the image 95 % found, and no more than 0.2 boxes per image on neither a
white cell nor a platelet.    Run: python -m bloodcell measure finder
Measured 2026-11-23, a box and a mark being the same cell from an overlap of 0.5: on the 182 odd-numbered fields, which
the limits were set on, 139 of 140 and 0.10 (the missing one is a platelet that was marked as a white cell); on the 182
even-numbered ones, looked at once when everything was settled, 128 of 128 and 0.09. Half of the marked platelets are
found: most of the others are paler than stain specks, and were given up for fewer false boxes.
What the framing is worth: the 48 sample originals at half or double size go from 25 % right (middle square) to 98 %
(framed), crops of 300 from 44 to 98 %, crops of 240 from 90 to 100 %; crops of 160, which have no whole red cell, from
88 to 83 % (hemanet_tiny).
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

"""What the dataset holds, as tables: images per class and split, typical cells, the stored answers about one cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES, SPLITS, Box
from bloodcell.inference.finder_frame import CellFrame
from bloodcell.views.theme import CLASS_GLYPHS

NUM_CLASSES = len(CLASS_NAMES)


def count_classes(labels: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return images per class (rows, in class order) and known split (columns, in the order train, val, test).

    Args:
        labels: (n,) class indices by split; a split that is not known is left out.
    """
    columns = {
        split: np.bincount(labels[split], minlength=NUM_CLASSES)[:NUM_CLASSES] for split in SPLITS if split in labels
    }
    return pd.DataFrame(columns, index=pd.Index(CLASS_NAMES, name="class"))


def balance_table(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the counts with the class's label and code, its total over the known splits, and its share of all."""
    total = counts.sum(axis=1).to_numpy()
    table = pd.DataFrame({"label": range(NUM_CLASSES), "class": CLASS_NAMES, "code": CLASS_CODES})
    for split in counts.columns:
        table[split] = counts[split].to_numpy()
    return table.assign(total=total, share=total / max(int(total.sum()), 1))


def find_typical_rows(images: np.ndarray, labels: np.ndarray) -> dict[int, int]:
    """Return for each class that occurs the row of its most typical image: the nearest to the mean image of the class.

    Args:
        images: (n, h, w, 3) uint8.
        labels: (n,) class indices.
    """
    typical = {}
    for label in range(NUM_CLASSES):
        rows = np.flatnonzero(labels == label)
        if len(rows) == 0:
            continue
        pixels = images[rows].reshape(len(rows), -1).astype(np.float32)
        distances = np.square(pixels - pixels.mean(axis=0)).sum(axis=1)
        typical[label] = int(rows[distances.argmin()])
    return typical


def stored_answers_table(row: int, y_true: int, answers: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Return what each model answered about one image when it was evaluated.

    Args:
        row: The image's row in the split.
        y_true: Its class index.
        answers: By model: probabilities (n, 8), and (n,) the row of the split that each belongs to, -1 for none.

    Returns:
        Columns model, verdict ("✓ right", "✗ wrong" or "not among the stored"), answer, probability.
    """
    records = []
    for name, (probabilities, rows) in answers.items():
        places = np.flatnonzero(rows == row)
        if len(places) == 0:
            records.append((name, "not among the stored", "–", np.nan))
            continue
        scores = probabilities[places[0]]
        answer = int(scores.argmax())
        verdict = "✓ right" if answer == y_true else "✗ wrong"
        records.append((name, verdict, f"{CLASS_GLYPHS[answer]} {CLASS_NAMES[answer]}", float(scores[answer])))
    return pd.DataFrame(records, columns=["model", "verdict", "answer", "probability"])


@dataclass(frozen=True, eq=False)
class FramingStep:
    """One step on the road from an image to a network's input.

    Attributes:
        title: What was done.
        text: A sentence with the sizes.
        pixels: (h, w, 3) uint8 after the step.
    """

    title: str
    text: str
    pixels: np.ndarray


def clip_box(box: Box, pixels: np.ndarray) -> Box:
    """Return the part of a frame that lies within its image, (h, w, 3); a frame may reach beyond."""
    height, width = pixels.shape[:2]
    left, top = max(box.left, 0), max(box.top, 0)
    return Box(left, top, min(box.left + box.width, width) - left, min(box.top + box.height, height) - top)


def framing_steps(pixels: np.ndarray, framed: CellFrame) -> Sequence[FramingStep]:
    """Return the steps that an image goes through, the values in [0, 1] left out.

    Args:
        pixels: (h, w, 3) uint8 as read.
        framed: What `finder_frame.frame_cell` made of it.
    """
    height, width = pixels.shape[:2]
    box, within = framed.box, clip_box(framed.box, pixels)
    last = FramingStep(
        "What the network gets", "64 × 64 pixels, each shown as a square; nothing is smoothed.", framed.pixels
    )
    if framed.kind == "dataset":
        return [last]
    inside = pixels[within.top : within.top + within.height, within.left : within.left + within.width]
    kept = 100 * within.width * within.height / (width * height)
    found = framed.kind == "found"
    how = {"original": "the middle 200 × 200", "found": "around the cell that was found"}
    beyond = "" if within == box else " What reaches beyond the image is filled by its reflection."
    return [
        FramingStep("The image", f"{width} × {height} pixels, as the camera gave it.", pixels),
        FramingStep(
            "The square around the cell" if found else "The middle square",
            f"{box.width} × {box.height} pixels from column {box.left}, row {box.top} on: "
            f"{how.get(framed.kind, 'the largest middle square')}, {kept:.0f} % of the area.{beyond}",
            inside,
        ),
        FramingStep(
            "Resized to 64 × 64",
            f"Bilinear, as MedMNIST did it: {box.width / 64:.1f} pixels a side become one.",
            framed.pixels,
        ),
    ]

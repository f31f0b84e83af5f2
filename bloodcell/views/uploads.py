"""Images that a reader brings, as small as a page needs them: pixels, a preview, or why there are none."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bloodcell.dataset import CLASS_NAMES, Box, Split, frame_image
from bloodcell.errors import ImageError
from bloodcell.inference.images import SUFFIXES, read_image
from bloodcell.views.figures_images import shrink_to

IMAGE_TYPES = [suffix.removeprefix(".") for suffix in SUFFIXES]
"""Endings that a drop zone takes; what is inside a file is looked at when it is read."""

MAXIMUM_UPLOAD_MB = 32
"""Largest file that the browser sends; below the limit of `read_image`, since a page holds many files at once."""

PREVIEW_SIDE = 480
"""Longer side of what is kept of an image for showing it, pixels: sixty large files must not fill the memory."""


@dataclass(frozen=True, eq=False)
class CellImage:
    """One image of a cell, or the sentence why a file is none.

    Attributes:
        key: Tells files of the same name apart.
        name: File name, or the place in the dataset.
        pixels: (64, 64, 3) uint8, what a network sees; None where the file could not be read.
        size: (width, height) of the image as read, pixels.
        preview: (h, w, 3) uint8, at most 480 pixels a side.
        preview_box: The part that the network sees, in pixels of the preview.
        kind: "dataset", "original" or "other", how the image was framed.
        notes: Sentences on what had to be done to read it, and on its framing.
        error: Why it could not be read, None if it could.
        label: Class index where it is known, else None.
    """

    key: str
    name: str
    pixels: np.ndarray | None = None
    size: tuple[int, int] = (0, 0)
    preview: np.ndarray | None = None
    preview_box: Box | None = None
    kind: str = "other"
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
    notes = (*image.notes, *((framed.warning,) if framed.warning else ()))
    height, width = image.pixels.shape[:2]
    return CellImage(key, name, framed.pixels, (width, height), preview.copy(), box, framed.kind, notes)


def cell_of_split(split: Split, row: int) -> CellImage:
    """Return one image of the dataset, its class known."""
    pixels = split.images[row]
    name = f"{split.name}, row {row}"
    whole = Box(0, 0, *pixels.shape[1::-1])
    return CellImage(
        f"{split.name}-{row}", name, pixels, (64, 64), pixels, whole, "dataset", label=int(split.labels[row])
    )


def describe_agreement(opinions: Mapping[str, np.ndarray]) -> str:
    """Return in words how far the models agree about one image.

    Args:
        opinions: (8,) probabilities by model name; the first is the one whose answer stands large on the page.
    """
    answers = {name: CLASS_NAMES[int(np.argmax(scores))] for name, scores in opinions.items()}
    if not answers:
        return "No model has answered."
    first = next(iter(answers.values()))
    num_agreeing = sum(answer == first for answer in answers.values())
    if len(answers) == 1:
        return f"One model is selected; it says {first}."
    if num_agreeing == len(answers):
        return f"{'Both' if len(answers) == 2 else f'All {len(answers)}'} selected models say {first}."
    others: dict[str, list[str]] = {}
    for name, answer in answers.items():
        if answer != first:
            others.setdefault(answer, []).append(f"{name} ({100 * float(np.max(opinions[name])):.1f} %)")
    against = "; ".join(f"{', '.join(names)} {'say' if len(names) > 1 else 'says'} {a}" for a, names in others.items())
    return f"{num_agreeing} of {len(answers)} selected models say {first}; {against}."


def describe_batch(labels: Sequence[int], num_failed: int) -> str:
    """Return in words what was found in several images.

    Args:
        labels: Class index of every image that was answered.
        num_failed: Number of files that could not be read.
    """
    counts = Counter(labels)
    found = ", ".join(f"{count} {CLASS_NAMES[label]}" for label, count in sorted(counts.items(), key=lambda x: -x[1]))
    parts = [f"{len(labels)} answered" + (f" ({found})" if found else "")]
    if num_failed:
        parts.append(f"{num_failed} could not be read")
    return ", ".join(parts) + "."

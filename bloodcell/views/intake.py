"""The way of files into a case: read, framed, answered by one model, kept.

A few files at a time, each group committed before the next is read: sixty large files fit in memory, and what was kept
stays kept whatever happens to the rest.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bloodcell.artifact import Artifact
from bloodcell.cases import CaseStore, ModelAnswer, NewCell, NewImage
from bloodcell.cases.reports import describe_versions
from bloodcell.dataset import Box
from bloodcell.errors import ImageError
from bloodcell.inference import read_image
from bloodcell.inference.classifier import AskedCell, answer_cells, set_threshold
from bloodcell.inference.finder_survey import ImageKind
from bloodcell.inference.images import list_pages, name_page
from bloodcell.inference.prediction_sets import COVERAGE
from bloodcell.inference.specimens import find_specimen, remarks_on
from bloodcell.inference.views import NUM_VIEWS

if TYPE_CHECKING:
    from bloodcell.inference import Engine
    from bloodcell.inference.guard import Guard

FILES_AT_ONCE = 8
OnFile = Callable[[int], None]
"""Called with the number of files that are done."""
_ENGINE_PACKAGES = ("ai-edge-litert", "numpy", "pillow", "python")


class GivenFile(NamedTuple):
    """A file for a case, and what the reader says of it.

    Attributes:
        name: File name.
        data: Its content.
        kind: One cell's crop or a whole field; None takes the finder's guess.
        box: The reader's own frame around one cell, pixels of the image; None looks for it.
        page: Which page of the file, from 0; None where it has but one picture.
    """

    name: str
    data: bytes
    kind: ImageKind | None = None
    box: Box | None = None
    page: int | None = None


def give_pages(name: str, data: bytes) -> list[GivenFile]:
    """Return a file as it is given to a case: each page of a TIFF with several is an image of its own."""
    return [GivenFile(name, data, page=page) for page in list_pages(data)]


@dataclass
class Intake:
    """What became of files that were given.

    Attributes:
        num_added: Cells that are in the case now and were not before.
        num_present: Cells that were left out because they were there already, framed the same or a little differently.
        num_returned: Of these, cells whose picture was dropped at a sign-off and is kept again.
        num_empty: Files read in which no cell was found; nothing of them is kept.
        failed: A sentence for each file that could not be read, with its name.
    """

    num_added: int = 0
    num_present: int = 0
    num_returned: int = 0
    num_empty: int = 0
    failed: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """Return what happened in words."""
        parts = [f"{self.num_added} {'cell was' if self.num_added == 1 else 'cells were'} added"]
        if self.num_present:
            were = "was" if self.num_present == 1 else "were"
            stay = "stays as first framed" if self.num_present == 1 else "stay as first framed"
            parts.append(f"{self.num_present} {were} in the case already and {stay}")
        if self.num_returned:
            parts.append(f"{self.num_returned} {'picture' if self.num_returned == 1 else 'pictures'} came back")
        if self.num_empty:
            parts.append(f"in {self.num_empty} {'image' if self.num_empty == 1 else 'images'} no cell was found")
        if self.failed:
            parts.append(f"{len(self.failed)} {'file' if len(self.failed) == 1 else 'files'} could not be read")
        return ", ".join(parts) + "."


def keep_files(
    store: CaseStore,
    case_id: str,
    files: Iterable[GivenFile],
    reviewer: str,
    artifact: Artifact | None = None,
    engine: "Engine | None" = None,
    guard: "Guard | None" = None,
    on_file: OnFile | None = None,
    coverage: float = COVERAGE,
    views: bool = False,
) -> Intake:
    """Add the cells of image files to a case, with what a model says of each.

    Args:
        files: Each with what the reader says of it; a field gives all its cells, with their boxes.
        artifact, engine: The model that answers; None for neither, and the cells are labelled by hand.
        guard: What decides whether there is an answer; None lets the model answer always.
        on_file: Told how far it is.
        coverage: Promised share of cells whose set of possible types holds the right one, in (0, 1).
        views: Whether probabilities are averaged over the eight symmetric views of each cell.

    Raises:
        CaseLockedError: The case is signed.
    """
    intake, done, remaining = Intake(), 0, iter(files)
    while group := list(itertools.islice(remaining, FILES_AT_ONCE)):
        images, answers = [], []
        for given in group:
            try:
                image, asked = _read(given)
            except ImageError as error:
                intake.failed.append(_name_in(str(error), given))
            else:
                intake.num_empty += not image.cells
                if image.cells:
                    images.append(image)
                    answers.append(_ask(asked, artifact, engine, guard, coverage, views))
            done += 1
            if on_file is not None:
                on_file(done)
        num_added = len(store.add_images(case_id, images, answers, reviewer))
        intake.num_added += num_added
        intake.num_present += sum(len(image.cells) for image in images) - num_added
        intake.num_returned += store.refill_pictures(case_id, images, reviewer)
    return intake


def _name_in(sentence: str, given: GivenFile) -> str:
    """Return a sentence about a file with the file's name before it, unless it begins with it already."""
    name = name_page(Path(given.name.replace("\\", "/")).name, given.page)
    return sentence if sentence.startswith(name) else f"{name}: {sentence}"


def _read(given: GivenFile) -> tuple[NewImage, list[AskedCell]]:
    """Return a file as a case keeps it, and its cells as the classifier is asked about them."""
    uploaded = read_image(given.data, given.name, page=given.page)
    specimen = find_specimen(uploaded.pixels, given.kind, given.box)
    cells = tuple(NewCell(frame.pixels, frame.box) for frame in specimen.frames)
    notes = uploaded.notes
    if specimen.kind == "crop":
        notes = remarks_on(specimen.frames[0], uploaded.notes)
    asked = [AskedCell(uploaded.name, frame, uploaded.notes) for frame in specimen.frames]
    return NewImage(uploaded.name, uploaded.pixels, cells, notes), asked


def _ask(
    asked: list[AskedCell],
    artifact: Artifact | None,
    engine: "Engine | None",
    guard: "Guard | None",
    coverage: float,
    views: bool,
) -> list[ModelAnswer | None]:
    if artifact is None or engine is None:
        return [None] * len(asked)
    thresholds: dict[str, float] = {"coverage of the prediction set": coverage}
    if guard is None:
        thresholds["lowest probability in it"] = round(set_threshold(artifact, coverage), 6)
    else:
        thresholds["greatest strangeness of pixels"] = round(float(guard.parameters.pixel_limit), 4)
        thresholds["greatest strangeness of features"] = round(float(guard.parameters.feature_limit), 4)
    versions = {name: text for name, text in describe_versions().items() if name in _ENGINE_PACKAGES}
    return [
        ModelAnswer.from_answer(answer, artifact.fingerprint, thresholds, versions, NUM_VIEWS if views else 1)
        for answer in answer_cells(asked, artifact, engine, guard, coverage, views)
    ]

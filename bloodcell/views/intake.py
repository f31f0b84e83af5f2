"""The way of files into a case: read, framed, answered by one model, kept.

A few files at a time, each group committed before the next is read: sixty large files fit in memory, and what was kept
stays kept whatever happens to the rest.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bloodcell.artifact import Artifact
from bloodcell.cases import CaseStore, ModelAnswer, NewCell, NewImage
from bloodcell.cases.reports import describe_versions
from bloodcell.dataset import frame_image
from bloodcell.errors import ImageError
from bloodcell.inference import UploadedImage, read_image
from bloodcell.inference.classifier import classify_image, set_threshold
from bloodcell.inference.prediction_sets import COVERAGE

if TYPE_CHECKING:
    from bloodcell.inference import Engine
    from bloodcell.inference.guard import Guard

FILES_AT_ONCE = 8
OnFile = Callable[[int], None]
"""Called with the number of files that are done."""
_ENGINE_PACKAGES = ("ai-edge-litert", "numpy", "pillow", "python")


@dataclass
class Intake:
    """What became of files that were given.

    Attributes:
        num_added: Cells that are in the case now and were not before.
        num_present: Files whose cell was there already.
        failed: A sentence for each file that could not be read.
    """

    num_added: int = 0
    num_present: int = 0
    failed: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """Return what happened in words."""
        parts = [f"{self.num_added} {'cell was' if self.num_added == 1 else 'cells were'} added"]
        if self.num_present:
            parts.append(f"{self.num_present} {'was' if self.num_present == 1 else 'were'} in the case already")
        if self.failed:
            parts.append(f"{len(self.failed)} {'file' if len(self.failed) == 1 else 'files'} could not be read")
        return ", ".join(parts) + "."


def keep_files(
    store: CaseStore,
    case_id: str,
    files: Iterable[tuple[str, bytes]],
    reviewer: str,
    artifact: Artifact | None = None,
    engine: "Engine | None" = None,
    guard: "Guard | None" = None,
    on_file: OnFile | None = None,
) -> Intake:
    """Add the cells of image files to a case, with what a model says of each.

    Args:
        files: Name and content of each.
        artifact, engine: The model that answers; None for neither, and the cells are labelled by hand.
        guard: What decides whether there is an answer; None lets the model answer always.
        on_file: Told how far it is.

    Raises:
        CaseLockedError: The case is signed.
    """
    intake, done, remaining = Intake(), 0, iter(files)
    while group := list(itertools.islice(remaining, FILES_AT_ONCE)):
        images, answers = [], []
        for name, data in group:
            try:
                uploaded = read_image(data, name)
                framed = frame_image(uploaded.pixels)
            except ImageError as error:
                intake.failed.append(str(error))
            else:
                cell = NewCell(framed.pixels, framed.box)
                notes = (*uploaded.notes, *((framed.warning,) if framed.warning else ()))
                images.append(NewImage(uploaded.name, uploaded.pixels, (cell,), notes))
                answers.append([_ask(uploaded, artifact, engine, guard)])
            done += 1
            if on_file is not None:
                on_file(done)
        num_added = len(store.add_images(case_id, images, answers, reviewer))
        intake.num_added += num_added
        intake.num_present += len(images) - num_added
    return intake


def _ask(
    uploaded: UploadedImage, artifact: Artifact | None, engine: "Engine | None", guard: "Guard | None"
) -> ModelAnswer | None:
    if artifact is None or engine is None:
        return None
    thresholds: dict[str, float] = {"coverage of the prediction set": COVERAGE}
    if guard is None:
        thresholds["lowest probability in it"] = round(set_threshold(artifact), 6)
    else:
        thresholds["greatest strangeness of pixels"] = round(float(guard.parameters.pixel_limit), 4)
        thresholds["greatest strangeness of features"] = round(float(guard.parameters.feature_limit), 4)
    versions = {name: text for name, text in describe_versions().items() if name in _ENGINE_PACKAGES}
    answer = classify_image(uploaded, artifact, engine, guard)
    return ModelAnswer.from_answer(answer, artifact.fingerprint, thresholds, versions)

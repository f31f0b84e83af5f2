"""From image files to answers: pixels, framing, guard, engine, calibrated probabilities, and why there is none.

Whether there is an answer is the guard's decision, where the default model has one: it depends on that model and the
image, whichever model is asked. Without a guard every cell that is found is answered; an image in which the finder sees
none is refused either way.
"""

import itertools
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from bloodcell.artifact import Artifact, Shelf
from bloodcell.dataset import Box, prepare_images
from bloodcell.errors import ArtifactNotFoundError, ImageError
from bloodcell.evaluation import choose_default, softmax
from bloodcell.inference.engine import LARGEST_BATCH, Engine
from bloodcell.inference.finder_frame import CellFrame
from bloodcell.inference.finer import FinerOpinion, form_finer_opinions
from bloodcell.inference.images import UploadedImage, list_pages, read_file, read_image
from bloodcell.inference.prediction_sets import COVERAGE, fit_set_threshold, predict_set
from bloodcell.inference.specimens import Specimen, find_specimen, remarks_on
from bloodcell.inference.views import compute_view_probabilities

if TYPE_CHECKING:
    from bloodcell.inference.benchmark import Benchmark
    from bloodcell.inference.finder_survey import ImageKind
    from bloodcell.inference.guard import Examination, Guard

FRAME_ADVICE = "If there is one, draw a frame around it on the page Classify."

Status = Literal["ok", "uncertain", "unfamiliar", "not_a_cell", "error"]

logger = logging.getLogger(__name__)

_thresholds: dict[tuple[str, float], float] = {}


@dataclass(frozen=True)
class Answer:
    """What one model says of one cell, or of a field with all its cells.

    Attributes:
        file: The file as it was named.
        status: "ok" for an answer; "uncertain", "unfamiliar" and "not_a_cell" refuse one; "error" where the file could
            not be read. Of a field: "ok" where at least one cell was answered, else the status of most of its cells.
        label: Most probable class; None where there is no answer.
        probability: Its calibrated probability, in [0, 1].
        probabilities: Calibrated probability of every class, by name, in the order of the labels; None where the image
            is unfamiliar, no cell, or could not be read.
        prediction_set: Classes that together hold the right one as often as the coverage says, for images like those
            of val, most probable first.
        model: Name of the model that was asked.
        reasons: Sentences: why there is no answer, or what to know about this one.
        box: Around the cell, pixels of the image; only for the cells of a field.
        frame: The square of the image that the network saw of it; only for the cells of a field.
        cells: One answer per cell of a field, None for an image of one cell.
        finer: The network's finer opinion, where it has one on an answered cell; it is right less often than the label.
        page: Of a file with several pages, which one it is, from 1.
    """

    file: str
    status: Status
    label: str | None
    probability: float | None
    probabilities: dict[str, float] | None
    prediction_set: tuple[str, ...]
    model: str
    reasons: tuple[str, ...]
    box: Box | None = None
    frame: Box | None = None
    cells: "tuple[Answer, ...] | None" = None
    finer: FinerOpinion | None = None
    page: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the answer ready for JSON, in the order of the fields; a field says so and holds its cells."""
        answer: dict[str, Any] = {
            "file": self.file,
            "status": self.status,
            "label": self.label,
            "probability": self.probability,
            "probabilities": self.probabilities,
            "prediction_set": list(self.prediction_set),
            "model": self.model,
            "reasons": list(self.reasons),
        }
        if self.page is not None:
            answer["page"] = self.page
        if self.finer is not None:
            answer |= {"finer_label": self.finer.name, "finer_probabilities": self.finer.probabilities}
        for name, box in (("box", self.box), ("frame", self.frame)):
            if box is not None:
                answer[name] = list(box)
        if self.cells is not None:
            answer |= {"kind": "field", "cells": [cell.to_dict() for cell in self.cells]}
        return answer


class AskedCell(NamedTuple):
    """A framed cell to be judged: the name of its file, its frame, and what is to be said of the file's reading."""

    file: str
    frame: CellFrame
    notes: tuple[str, ...] = ()


def read_cell(data: bytes, name: str) -> np.ndarray:
    """Return the (64, 64, 3) uint8 pixels that a network sees of a file with one cell, read and framed like an upload.

    What makes the frame doubtful is logged as a warning. Sizes other than the dataset's own take about half a second.

    Args:
        data: The whole file.
        name: What the file is called in messages.

    Raises:
        ImageError: It is no image that can be read, or too small, or no cell is found in it, so that nothing answers.
    """
    (frame,) = find_specimen(read_image(data, name).pixels, "crop").frames
    if frame.kind == "other":
        raise ImageError(
            "No nucleated cell and no platelet was found in it. Cut the cell out, at 64 x 64 pixels as the dataset "
            "frames it, or leave the row out."
        )
    if frame.warning:
        logger.warning("%s: %s", name, frame.warning)
    return frame.pixels


def compute_probabilities(artifact: Artifact, engine: Engine, images: np.ndarray, views: bool = False) -> np.ndarray:
    """Return calibrated probabilities, (n, classes) float32, of a model for framed images.

    Args:
        images: (n, 64, 64, 3) uint8, as `dataset.frame_image` gives them.
        views: Whether to average over the eight symmetric views of each image.
    """
    inputs = prepare_images(images)
    if views:
        return compute_view_probabilities(engine, inputs, artifact.manifest.temperature)
    return softmax(engine.compute_logits(inputs), artifact.manifest.temperature)


def classify_image(
    image: UploadedImage,
    artifact: Artifact,
    engine: Engine,
    guard: "Guard | None" = None,
    coverage: float = COVERAGE,
    kind: "ImageKind | None" = None,
    views: bool = False,
) -> Answer:
    """Return a model's answer on one image that was read; an image too small to frame gives an "error".

    Args:
        guard: The default model's, which decides whether there is an answer; None answers for every cell.
        coverage: Promised share of images whose prediction set holds the right class, in (0, 1).
        kind: Whether it is one cell's crop or a whole field; None takes the finder's guess.
        views: Whether probabilities are averaged over eight symmetric views.
    """
    try:
        specimen = find_specimen(image.pixels, kind)
    except ImageError as error:
        return failed_answer(image.name, error, artifact)
    return _answer_specimens([(image.name, specimen, image.notes)], artifact, engine, guard, coverage, views)[0]


def classify_files(
    paths: Iterable[Path],
    artifact: Artifact,
    engine: Engine,
    guard: "Guard | None" = None,
    coverage: float = COVERAGE,
    kind: "ImageKind | None" = None,
    views: bool = False,
) -> Iterator[Answer]:
    """Yield one answer per file, and one per page of a file with several, in order.

    A file that cannot be read gives an "error" and stops nothing.

    Files are read and answered in groups, and only the 64 x 64 pixels of their cells are kept, so any number of them
    fits in memory. `guard`, `coverage`, `kind` and `views` are those of `classify_image`.
    """
    remaining = iter(paths)
    while group := list(itertools.islice(remaining, LARGEST_BATCH)):
        yield from _classify_group(group, artifact, engine, guard, coverage, kind, views)


def failed_answer(file: str, error: ImageError, artifact: Artifact) -> Answer:
    """Return the answer on a file that cannot be read, with the sentence why."""
    return Answer(file, "error", None, None, None, (), artifact.name, (str(error),))


def choose_default_model(shelf: Shelf, benchmark: "Benchmark | None") -> str:
    """Return the model that answers where none is named: the fastest within 0.2 points of the best val accuracy.

    Raises:
        ArtifactNotFoundError: No model is trained.
    """
    if not shelf.artifacts:
        reasons = " ".join(damaged.reason for damaged in shelf.damaged)
        raise ArtifactNotFoundError(
            "No trained model is there to answer. Run `./dev python -m bloodcell train cnn_se`, or let "
            f"BLOODCELL_ARTIFACTS name a folder that holds one. {reasons}".strip()
        )
    latencies = {} if benchmark is None else benchmark.latencies()
    names = list(shelf.artifacts)
    return choose_default(
        {
            "name": names,
            "val_accuracy": [shelf.artifacts[name].load_evaluation("val")["accuracy"] for name in names],
            "latency_ms": [latencies.get(name, math.nan) for name in names],
        }
    )


def set_threshold(artifact: Artifact, coverage: float = COVERAGE) -> float:
    """Return the lowest probability with which a class enters a model's prediction sets, fitted on its val answers."""
    key = artifact.fingerprint, coverage
    if key not in _thresholds:
        val = artifact.load_predictions("val")
        y_score = softmax(val.logits, artifact.manifest.temperature)
        _thresholds[key] = fit_set_threshold(val.y_true, y_score, coverage)
    return _thresholds[key]


def answer_cells(
    asked: Sequence[AskedCell],
    artifact: Artifact,
    engine: Engine,
    guard: "Guard | None" = None,
    coverage: float = COVERAGE,
    views: bool = False,
) -> list[Answer]:
    """Return one answer per framed cell; the guard looks first, and only what it lets by is named.

    A frame that is only the middle of an image in which no cell was found is refused before any network is asked.
    `guard`, `coverage` and `views` are those of `classify_image`.
    """
    answers: dict[int, Answer] = {}
    for index, (file, frame, notes) in enumerate(asked):
        if frame.kind == "other":
            reasons = (*((frame.warning, FRAME_ADVICE) if frame.warning else ()), *notes)
            answers[index] = Answer(file, "not_a_cell", None, None, None, (), artifact.name, reasons)
    looked_at = [index for index in range(len(asked)) if index not in answers]
    if looked_at:
        answered = _answer_found([asked[index] for index in looked_at], artifact, engine, guard, coverage, views)
        answers |= dict(zip(looked_at, answered, strict=True))
    return [answers[index] for index in range(len(asked))]


def answer_field(file: str, cells: Sequence[Answer], notes: Sequence[str], model: str) -> Answer:
    """Return the answer on a whole field from those on its cells.

    Args:
        cells: One answer per cell, in the finder's order.
        notes: What to know of how the file was read, and why it is a field.
        model: Name of the model that was asked.
    """
    if not cells:
        reason = "No nucleated cell and no platelet was found in this field."
        return Answer(file, "not_a_cell", None, None, None, (), model, (reason, *notes), cells=())
    counts = Counter(cell.status for cell in cells)
    status: Status = "ok" if counts["ok"] else counts.most_common(1)[0][0]
    found = "1 cell was" if len(cells) == 1 else f"{len(cells)} cells were"
    reasons = (f"{found} found, {counts['ok']} answered.", *notes)
    return Answer(file, status, None, None, None, (), model, reasons, cells=tuple(cells))


def _classify_group(
    paths: list[Path],
    artifact: Artifact,
    engine: Engine,
    guard: "Guard | None",
    coverage: float,
    kind: "ImageKind | None",
    views: bool,
) -> Iterator[Answer]:
    seen = [(path, *one) for path in paths for one in _read_and_find(path, kind)]
    found = [(str(path), *one) for path, _, one in seen if not isinstance(one, ImageError)]
    answers = iter(_answer_specimens(found, artifact, engine, guard, coverage, views))
    for path, page, one in seen:
        answer = failed_answer(str(path), one, artifact) if isinstance(one, ImageError) else next(answers)
        yield answer if page is None else replace(answer, page=page + 1)


def _read_and_find(
    path: Path, kind: "ImageKind | None"
) -> list[tuple[int | None, tuple[Specimen, tuple[str, ...]] | ImageError]]:
    """Return for each page of a file, None where it has but one picture, its framed cells and the notes of its reading.

    The full picture is let go.
    """
    try:
        data = read_file(path)
    except ImageError as error:
        return [(None, error)]
    found: list[tuple[int | None, tuple[Specimen, tuple[str, ...]] | ImageError]] = []
    for page in list_pages(data):
        try:
            image = read_image(data, path.name, page=page)
            found.append((page, (find_specimen(image.pixels, kind), image.notes)))
        except ImageError as error:
            found.append((page, error))
    return found


def _answer_specimens(
    found: Sequence[tuple[str, Specimen, tuple[str, ...]]],
    artifact: Artifact,
    engine: Engine,
    guard: "Guard | None",
    coverage: float,
    views: bool,
) -> list[Answer]:
    """Return one answer per name, specimen and notes; all their cells are asked about together."""
    asked = [
        AskedCell(name, frame, notes if specimen.kind == "crop" else ())
        for name, specimen, notes in found
        for frame in specimen.frames
    ]
    answered = iter(answer_cells(asked, artifact, engine, guard, coverage, views))
    answers = []
    for name, specimen, notes in found:
        cells = [next(answered) for _ in specimen.frames]
        if specimen.kind == "crop":
            answers.append(cells[0])
            continue
        boxed = [
            replace(cell, box=frame.cell.box if frame.cell else frame.box, frame=frame.box)
            for cell, frame in zip(cells, specimen.frames, strict=True)
        ]
        why = (specimen.guess.reason,) if specimen.guess and specimen.guess.kind == "field" else ()
        answers.append(answer_field(name, boxed, (*why, *notes), artifact.name))
    return answers


def _answer_found(
    asked: Sequence[AskedCell],
    artifact: Artifact,
    engine: Engine,
    guard: "Guard | None",
    coverage: float,
    views: bool,
) -> list[Answer]:
    images = np.stack([cell.frame.pixels for cell in asked])
    examined: list[Examination | None] = [None] * len(asked)
    if guard is not None:
        examined = [*guard.examine(images, coverage)]
    named = [index for index, one in enumerate(examined) if one is None or one.possible]
    y_scores = dict(zip(named, compute_probabilities(artifact, engine, images[named], views), strict=True))
    own_sets = guard is not None and guard.artifact.fingerprint == artifact.fingerprint
    single = y_scores  # the sets of a model without a guard of its own were fitted on answers to the image as it is
    if views and not own_sets:
        single = dict(zip(named, compute_probabilities(artifact, engine, images[named]), strict=True))
    answers = []
    for index, (file, frame, notes) in enumerate(asked):
        remarks, examination = remarks_on(frame, notes), examined[index]
        if examination is not None and index not in y_scores:
            reasons = (*examination.reasons, *remarks)
            answers.append(Answer(file, examination.status, None, None, None, (), artifact.name, reasons))
            continue
        names = artifact.manifest.class_names
        if examination is not None and own_sets:
            possible = tuple(names[place] for place in examination.possible)
        else:
            possible = predict_set(single[index], set_threshold(artifact, coverage), names)
        status = "ok" if examination is None else examination.status
        reasons = remarks if examination is None else (*examination.reasons, *remarks)
        answers.append(_answer(file, status, y_scores[index], possible, reasons, artifact))
    return _add_finer(answers, images, artifact, engine)


def _add_finer(answers: list[Answer], images: np.ndarray, artifact: Artifact, engine: Engine) -> list[Answer]:
    """Return answers with the network's finer opinion on the cells that it named."""
    rows = [index for index, answer in enumerate(answers) if answer.label is not None]
    opinions = dict(zip(rows, form_finer_opinions(artifact, engine, images[rows]), strict=True))
    return [_with_finer(answer, opinions.get(index)) for index, answer in enumerate(answers)]


def _with_finer(answer: Answer, opinion: FinerOpinion | None) -> Answer:
    """Return the answer with an opinion on its class, whose shares come from one view and divide what all of them say.

    An opinion on another class than the answer's is left out.
    """
    if opinion is None or answer.probability is None or opinion.class_name != answer.label:
        return answer
    return replace(answer, finer=replace(opinion, class_probability=answer.probability))


def _answer(
    file: str,
    status: Status,
    y_score: np.ndarray,
    possible: tuple[str, ...],
    reasons: tuple[str, ...],
    artifact: Artifact,
) -> Answer:
    """Return the answer on an image that was let by: its most probable type, which is then in the set.

    The set of a model without a guard of its own comes from the image as it is; the views may favour another type.
    """
    class_names = artifact.manifest.class_names
    best = int(y_score.argmax())
    if status == "ok" and class_names[best] not in possible:
        possible = (class_names[best], *possible)
    return Answer(
        file=file,
        status=status,
        label=class_names[best] if status == "ok" else None,
        probability=float(y_score[best]) if status == "ok" else None,
        probabilities={name: float(score) for name, score in zip(class_names, y_score, strict=True)},
        prediction_set=possible,
        model=artifact.name,
        reasons=reasons,
    )

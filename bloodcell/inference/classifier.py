"""From image files to answers: pixels, framing, guard, engine, calibrated probabilities, and why there is none.

Whether there is an answer is the guard's decision, where the default model has one: it depends on that model and the
image, whichever model is asked. Without a guard every image that can be read is answered.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bloodcell.artifact import Artifact, Shelf
from bloodcell.dataset import Framed, frame_image, prepare_images
from bloodcell.errors import ArtifactNotFoundError, ImageError
from bloodcell.evaluation import choose_default, softmax
from bloodcell.inference.engine import LARGEST_BATCH, Engine
from bloodcell.inference.guard import Examination, Guard
from bloodcell.inference.images import UploadedImage, read_image_file
from bloodcell.inference.prediction_sets import COVERAGE, fit_set_threshold, predict_set

if TYPE_CHECKING:
    from bloodcell.inference.benchmark import Benchmark

Status = Literal["ok", "uncertain", "unfamiliar", "not_a_cell", "error"]

_thresholds: dict[tuple[str, float], float] = {}


@dataclass(frozen=True)
class Answer:
    """What one model says of one file.

    Attributes:
        file: The file as it was named.
        status: "ok" for an answer; "uncertain", "unfamiliar" and "not_a_cell" refuse one; "error" where the file could
            not be read.
        label: Most probable class; None where there is no answer.
        probability: Its calibrated probability, in [0, 1].
        probabilities: Calibrated probability of every class, by name, in the order of the labels; None where the image
            is unfamiliar, no cell, or could not be read.
        prediction_set: Classes that together hold the right one as often as the coverage says, for images like those
            of val, most probable first.
        model: Name of the model that was asked.
        reasons: Sentences: why there is no answer, or what to know about this one.
    """

    file: str
    status: Status
    label: str | None
    probability: float | None
    probabilities: dict[str, float] | None
    prediction_set: tuple[str, ...]
    model: str
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the answer ready for JSON, in the order of the fields."""
        return {
            "file": self.file,
            "status": self.status,
            "label": self.label,
            "probability": self.probability,
            "probabilities": self.probabilities,
            "prediction_set": list(self.prediction_set),
            "model": self.model,
            "reasons": list(self.reasons),
        }


def compute_probabilities(artifact: Artifact, engine: Engine, images: np.ndarray) -> np.ndarray:
    """Return calibrated probabilities, (n, classes) float32, of a model for framed images.

    Args:
        images: (n, 64, 64, 3) uint8, as `dataset.frame_image` gives them.
    """
    return softmax(engine.compute_logits(prepare_images(images)), artifact.manifest.temperature)


def classify_image(
    image: UploadedImage, artifact: Artifact, engine: Engine, guard: Guard | None = None, coverage: float = COVERAGE
) -> Answer:
    """Return a model's answer on one image that was read; an image too small to frame gives an "error".

    Args:
        guard: The default model's, which decides whether there is an answer; None answers always.
        coverage: Promised share of images whose prediction set holds the right class, in (0, 1).
    """
    try:
        framed = frame_image(image.pixels)
    except ImageError as error:
        return failed_answer(image.name, error, artifact)
    return _answer_framed([(image.name, framed, image.notes)], artifact, engine, guard, coverage)[0]


def classify_files(
    paths: Iterable[Path],
    artifact: Artifact,
    engine: Engine,
    guard: Guard | None = None,
    coverage: float = COVERAGE,
) -> Iterator[Answer]:
    """Yield one answer per file, in order; a file that cannot be read gives an "error" and stops nothing.

    Files are read and answered in groups, and only their 64 x 64 pixels are kept, so any number of them fits in memory.
    `guard` and `coverage` are those of `classify_image`.
    """
    remaining = iter(paths)
    while group := list(itertools.islice(remaining, LARGEST_BATCH)):
        yield from _classify_group(group, artifact, engine, guard, coverage)


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


def _classify_group(
    paths: list[Path], artifact: Artifact, engine: Engine, guard: Guard | None, coverage: float
) -> Iterator[Answer]:
    seen = [_read_and_frame(path) for path in paths]
    framed = [(str(path), *one) for path, one in zip(paths, seen, strict=True) if not isinstance(one, ImageError)]
    answers = iter(_answer_framed(framed, artifact, engine, guard, coverage))
    for path, one in zip(paths, seen, strict=True):
        yield failed_answer(str(path), one, artifact) if isinstance(one, ImageError) else next(answers)


def _read_and_frame(path: Path) -> tuple[Framed, tuple[str, ...]] | ImageError:
    """Return what the network sees of a file, with the notes of its reading, and let the full picture go."""
    try:
        image = read_image_file(path)
        return frame_image(image.pixels), image.notes
    except ImageError as error:
        return error


def _answer_framed(
    framed: list[tuple[str, Framed, tuple[str, ...]]],
    artifact: Artifact,
    engine: Engine,
    guard: Guard | None,
    coverage: float,
) -> list[Answer]:
    """Return one answer per name, framed image and notes; the guard looks first, and only what it lets by is named."""
    if not framed:
        return []
    images = np.stack([one.pixels for _, one, _ in framed])
    examined: list[Examination | None] = [None] * len(framed)
    if guard is not None:
        examined = [*guard.examine(images, coverage)]
    named = [index for index, one in enumerate(examined) if one is None or one.possible]
    y_scores = dict(zip(named, compute_probabilities(artifact, engine, images[named]), strict=True))
    own_sets = guard is not None and guard.artifact.fingerprint == artifact.fingerprint
    answers = []
    for index, (file, one, notes) in enumerate(framed):
        remarks = notes if one.warning is None else (*notes, one.warning)
        examination = examined[index]
        if examination is not None and index not in y_scores:
            reasons = (*examination.reasons, *remarks)
            answers.append(Answer(file, examination.status, None, None, None, (), artifact.name, reasons))
            continue
        possible = examination.possible if examination is not None and own_sets else None
        status = "ok" if examination is None else examination.status
        reasons = remarks if examination is None else (*examination.reasons, *remarks)
        answers.append(_answer(file, status, y_scores[index], possible, reasons, artifact, coverage))
    return answers


def _answer(
    file: str,
    status: Status,
    y_score: np.ndarray,
    possible: tuple[int, ...] | None,
    reasons: tuple[str, ...],
    artifact: Artifact,
    coverage: float,
) -> Answer:
    """Return the answer on an image that was let by; `possible` is the guard's set where it is this model's own."""
    class_names = artifact.manifest.class_names
    best = int(y_score.argmax())
    if possible is None:
        prediction_set = predict_set(y_score, set_threshold(artifact, coverage), class_names)
    else:
        prediction_set = tuple(class_names[index] for index in possible)
    return Answer(
        file=file,
        status=status,
        label=class_names[best] if status == "ok" else None,
        probability=float(y_score[best]) if status == "ok" else None,
        probabilities={name: float(score) for name, score in zip(class_names, y_score, strict=True)},
        prediction_set=prediction_set,
        model=artifact.name,
        reasons=reasons,
    )

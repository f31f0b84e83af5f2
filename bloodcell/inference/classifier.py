"""From image files to answers: pixels, framing, engine, calibrated probabilities, and why there is none."""

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
from bloodcell.inference.images import UploadedImage, read_image_file
from bloodcell.inference.prediction_sets import fit_set_threshold, predict_set

if TYPE_CHECKING:
    from bloodcell.inference.benchmark import Benchmark

Status = Literal["ok", "uncertain", "unfamiliar", "not_a_cell", "error"]

_thresholds: dict[str, float] = {}


@dataclass(frozen=True)
class Answer:
    """What one model says of one file.

    Attributes:
        file: The file as it was named.
        status: "ok", or "error" where the file could not be read; the others are refusals.
        label: Most probable class; None where there is no answer.
        probability: Its calibrated probability, in [0, 1].
        probabilities: Calibrated probability of every class, by name, in the order of the labels.
        prediction_set: Classes that together hold the right one for 99 % of images like those of val.
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


def classify_image(image: UploadedImage, artifact: Artifact, engine: Engine) -> Answer:
    """Return a model's answer on one image that was read; an image too small to frame gives an "error"."""
    try:
        framed = frame_image(image.pixels)
    except ImageError as error:
        return failed_answer(image.name, error, artifact)
    y_score = compute_probabilities(artifact, engine, framed.pixels[None])[0]
    return _answer(image.name, framed, image.notes, y_score, artifact)


def classify_files(paths: Iterable[Path], artifact: Artifact, engine: Engine) -> Iterator[Answer]:
    """Yield one answer per file, in order; a file that cannot be read gives an "error" and stops nothing.

    Files are read and answered in groups, and only their 64 x 64 pixels are kept, so any number of them fits in memory.
    """
    remaining = iter(paths)
    while group := list(itertools.islice(remaining, LARGEST_BATCH)):
        yield from _classify_group(group, artifact, engine)


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


def set_threshold(artifact: Artifact) -> float:
    """Return the lowest probability with which a class enters a model's prediction sets, fitted on its val answers."""
    if artifact.fingerprint not in _thresholds:
        val = artifact.load_predictions("val")
        y_score = softmax(val.logits, artifact.manifest.temperature)
        _thresholds[artifact.fingerprint] = fit_set_threshold(val.y_true, y_score)
    return _thresholds[artifact.fingerprint]


def _classify_group(paths: list[Path], artifact: Artifact, engine: Engine) -> Iterator[Answer]:
    seen = [_read_and_frame(path) for path in paths]
    framed = [one[0].pixels for one in seen if not isinstance(one, ImageError)]
    y_scores = iter(compute_probabilities(artifact, engine, np.stack(framed)) if framed else ())
    for path, one in zip(paths, seen, strict=True):
        if isinstance(one, ImageError):
            yield failed_answer(str(path), one, artifact)
        else:
            yield _answer(str(path), *one, next(y_scores), artifact)


def _read_and_frame(path: Path) -> tuple[Framed, tuple[str, ...]] | ImageError:
    """Return what the network sees of a file, with the notes of its reading, and let the full picture go."""
    try:
        image = read_image_file(path)
        return frame_image(image.pixels), image.notes
    except ImageError as error:
        return error


def _answer(file: str, framed: Framed, notes: tuple[str, ...], y_score: np.ndarray, artifact: Artifact) -> Answer:
    class_names = artifact.manifest.class_names
    best = int(y_score.argmax())
    return Answer(
        file=file,
        status="ok",
        label=class_names[best],
        probability=float(y_score[best]),
        probabilities={name: float(score) for name, score in zip(class_names, y_score, strict=True)},
        prediction_set=predict_set(y_score, set_threshold(artifact), class_names),
        model=artifact.name,
        reasons=notes if framed.warning is None else (*notes, framed.warning),
    )

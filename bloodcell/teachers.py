"""Trained networks as teachers of another one: found by name, and asked once about each train image.

What teachers answer to a set of images is kept in the user's cache, where the next seed finds it.
"""

import contextlib
import hashlib
import io
import logging

import numpy as np

from bloodcell.artifact import Artifact, load_artifact, load_own_artifact
from bloodcell.artifact.store import WEIGHTS_FILE
from bloodcell.dataset import prepare_images
from bloodcell.errors import ArtifactError, ArtifactNotFoundError, StorageError, TrainingError
from bloodcell.files import DAMAGED_ARRAYS, cache_directory, write_atomically
from bloodcell.training import TrainingRecipe
from bloodcell.training.targets import Teacher

logger = logging.getLogger(__name__)

SEPARATOR = "+"
"""Between the names of several teachers; no artifact's name holds it."""


def find_teacher(names: str, student: str, own: bool) -> Teacher:
    """Return artifacts as teacher, in the order of their names; an own model can be one's own.

    Probabilities are those at temperature 1: label smoothing left them soft, and that is what a student learns from.

    Args:
        names: One artifact, or several joined by `+`.
        student: Name under which what is trained will be kept.
        own: Whether it is kept among this user's own models.

    Raises:
        TrainingError: One of them cannot be read, is a run, which keeps no weights, or is the student itself.
    """
    artifacts = [_load(name, student, own) for name in sorted(set(names.split(SEPARATOR)))]
    digests = [artifact.manifest.files[WEIGHTS_FILE] for artifact in artifacts]
    digest = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

    def answer(images: np.ndarray) -> np.ndarray:
        key = hashlib.sha256(images.tobytes()).hexdigest()
        path = cache_directory() / "teachers" / f"{digest[:12]}-{key[:12]}.npy"
        with contextlib.suppress(*DAMAGED_ARRAYS):
            return np.load(path, allow_pickle=False)
        answers: np.ndarray = np.stack([_ask(artifact, images) for artifact in artifacts]).mean(axis=0)
        buffer = io.BytesIO()
        np.save(buffer, answers)
        with contextlib.suppress(StorageError):  # the next seed asks again
            write_atomically(path, buffer.getvalue())
        return answers

    words = [f"{one.name} (weights {digest[:12]})" for one, digest in zip(artifacts, digests, strict=True)]
    return Teacher(SEPARATOR.join(one.name for one in artifacts), digest, answer, " and ".join(words))


def describe_teaching(teacher: Teacher, recipe: TrainingRecipe) -> str:
    """Return a sentence for a model's card on who taught it, and how much that decided."""
    what = "alone" if recipe.teacher_share == 1 else f"and the labels, {100 * recipe.teacher_share:g} % from the former"
    return f"It learned from the answers of {teacher.words} {what}."


def _load(name: str, student: str, own: bool) -> Artifact:
    if name == student:
        raise TrainingError(f"{name} cannot be its own teacher. Give the training a tag, such as {name}.student.")
    try:
        try:
            artifact = load_artifact(name)
        except ArtifactNotFoundError:
            if not own:
                raise
            artifact = load_own_artifact(name)
    except ArtifactError as error:
        reach = "" if own else " A model of your own can teach another of your own, with --own."
        raise TrainingError(f"The teacher {name} cannot be read. {error}{reach}") from error
    if WEIGHTS_FILE not in artifact.manifest.files:
        raise TrainingError(f"{name} is a run, which keeps no weights, so that it cannot teach. Name an artifact.")
    return artifact


def _ask(artifact: Artifact, images: np.ndarray) -> np.ndarray:
    from bloodcell.inference import load_engine
    from bloodcell.inference.views import compute_view_probabilities

    # A warning, so that it is seen: large teachers take minutes.
    logger.warning("%s looks at %d train images from eight sides each, once.", artifact.name, len(images))
    return compute_view_probabilities(load_engine(artifact), prepare_images(images), 1.0)

"""What a model gets right with more than one look: eight symmetric views of each cell, or several seeds together.

The record, `combined.json` beside the artifacts, holds one row per model. Views need the dataset and the model's
engine; the seeds are those that lie as runs, and their stored answers are enough.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bloodcell.artifact import Artifact, Predictions, Shelf
from bloodcell.artifact.trials import find_repeats
from bloodcell.dataset import Split, prepare_images
from bloodcell.evaluation import expected_calibration_error, softmax
from bloodcell.inference.child import OnProgress
from bloodcell.inference.engine import Engine
from bloodcell.inference.trust import describe_model, share
from bloodcell.inference.views import compute_view_probabilities

COMBINED_FILE = "combined.json"
SPLITS = ("val", "test")


def measure_combined(
    artifact: Artifact,
    runs: Mapping[str, Artifact],
    engine: Engine,
    splits: Sequence[Split],
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Return one row: the single pass, the eight views, and the ensemble of seeds where there are any.

    Args:
        artifact: A model of the shelf.
        runs: All runs of the shelf.
        engine: That of the artifact.
        splits: Val and test.

    Returns:
        model, single and views {split: {count, n, share, interval, ece}}, and seeds: members, single (one entry of
        that form per member and split) and ensemble; None with fewer than two members, or where these images are not
        those that the members' stored answers are of.
    """
    single, views = {}, {}  # both on the images at hand, which need not be those that the predictions were stored for
    for done, split in enumerate(splits):
        if on_progress is not None:
            on_progress(done, len(splits), f"Eight views of every image of {split.name}, {artifact.name}")
        inputs = prepare_images(split.images)
        y_score = softmax(engine.compute_logits(inputs), artifact.manifest.temperature)
        single[split.name] = _numbers(split.labels, y_score)
        y_score = compute_view_probabilities(engine, inputs, artifact.manifest.temperature)
        views[split.name] = _numbers(split.labels, y_score)
    if on_progress is not None:
        on_progress(len(splits), len(splits), "Measured.")
    members = [artifact, *find_seeds(artifact, runs)]
    return {
        "model": describe_model(artifact),
        "single": single,
        "views": views,
        "seeds": measure_seeds(members) if _answered(members, splits) else None,
    }


def _answered(members: Sequence[Artifact], splits: Sequence[Split]) -> bool:
    """Return whether the stored answers of several trainings are those to the images of these splits."""
    return all(
        np.array_equal(np.sort(one.load_predictions(split.name).image_hashes), np.sort(split.image_hashes))
        for one in members
        for split in splits
    )


def find_seeds(artifact: Artifact, runs: Mapping[str, Artifact]) -> list[Artifact]:
    """Return the runs by a model's recipe and data with other seeds, one per seed, lowest first."""
    shelf = Shelf({artifact.name: artifact}, dict(runs))
    return [one for one in find_repeats(shelf, artifact.name) if one.manifest.seed != artifact.manifest.seed]


def measure_seeds(members: Sequence[Artifact]) -> dict[str, Any] | None:
    """Return how good each of several trainings is, and the mean of their calibrated probabilities; None for one."""
    if len(members) < 2:
        return None
    return {
        "members": [{"name": one.name, "seed": one.manifest.seed, "fingerprint": one.fingerprint} for one in members],
        "single": [{name: _single(one, name) for name in SPLITS} for one in members],
        "ensemble": {name: _ensemble(members, name) for name in SPLITS},
    }


def _ensemble(members: Sequence[Artifact], split: str) -> dict[str, Any]:
    """Return the numbers of the mean probabilities on the images that all members answered."""
    answers = [_by_hash(one.load_predictions(split), one.manifest.temperature) for one in members]
    shared = [image_hash for image_hash in answers[0] if all(image_hash in one for one in answers[1:])]
    y_score = np.mean([[one[image_hash][1] for image_hash in shared] for one in answers], axis=0)
    return _numbers(np.array([answers[0][image_hash][0] for image_hash in shared]), y_score)


def _by_hash(predictions: Predictions, temperature: float) -> dict[tuple[int, int], tuple[int, np.ndarray]]:
    """Return label and probabilities by image; identical images are told apart by how often they came before."""
    seen: dict[int, int] = {}
    found = {}
    y_score = softmax(predictions.logits, temperature)
    for image_hash, label, row in zip(
        predictions.image_hashes.tolist(), predictions.y_true.tolist(), y_score, strict=True
    ):
        seen[image_hash] = seen.get(image_hash, -1) + 1
        found[image_hash, seen[image_hash]] = (label, row)
    return found


def _single(artifact: Artifact, split: str) -> dict[str, Any]:
    predictions = artifact.load_predictions(split)
    return _numbers(predictions.y_true, softmax(predictions.logits, artifact.manifest.temperature))


def _numbers(y_true: np.ndarray, y_score: np.ndarray) -> dict[str, Any]:
    right = int((y_score.argmax(axis=1) == y_true).sum())
    return {**share(right, len(y_true)), "ece": expected_calibration_error(y_true, y_score)}

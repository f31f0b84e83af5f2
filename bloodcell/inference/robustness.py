"""Measures what spoiled images do: how many are still named rightly, how many are refused, what errors slip through."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bloodcell.artifact import Artifact, Shelf
from bloodcell.dataset import Split, prepare_images
from bloodcell.inference.corruptions import CORRUPTIONS, SEVERITIES, corrupt_images
from bloodcell.inference.engine import Engine
from bloodcell.inference.guard import Guard
from bloodcell.inference.trust import count_statuses, describe_model, describe_origin, share
from bloodcell.models import CATALOG

OnProgress = Callable[[int, int, str], None]


def measure_robustness(
    guard: Guard,
    others: Sequence[tuple[Artifact, Engine]],
    split: Split,
    *,
    corruptions: Sequence[str] = tuple(CORRUPTIONS),
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Return the record of artifacts/robustness.json.

    Refusals are the guard's, whichever model is asked.

    Args:
        guard: The default model's.
        others: Further models to ask, such as the study's best.
        split: The test split, or some of it.
        corruptions: Keys of `CORRUPTIONS`.
    """
    models = [(guard.artifact, guard.engine), *others]
    steps = [(name, severity) for name in corruptions for severity in SEVERITIES]
    rows = _measure_step(guard, models, split, split.images, None, 0)
    for done, (name, severity) in enumerate(steps):
        if on_progress is not None:
            on_progress(done, len(steps), f"{CORRUPTIONS[name].name}, severity {severity}.")
        rows += _measure_step(guard, models, split, corrupt_images(split.images, name, severity), name, severity)
    if on_progress is not None:
        on_progress(len(steps), len(steps), "Measured.")
    record = describe_origin(guard.artifact, split.identity)
    record["models"] = [describe_model(artifact) for artifact, _ in models]
    record["n"] = split.num_images
    record["corruptions"] = [
        {
            "key": key,
            "name": CORRUPTIONS[key].name,
            "unit": CORRUPTIONS[key].unit,
            "strengths": CORRUPTIONS[key].strengths,
        }
        for key in corruptions
    ]
    record["rows"] = rows
    return record


def choose_study_best(shelf: Shelf) -> Artifact | None:
    """Return the study's network with the best val accuracy, or None if none is trained."""
    found = [
        artifact
        for artifact in shelf.artifacts.values()
        if artifact.name in CATALOG and CATALOG[artifact.name].origin == "study"
    ]
    return max(found, key=lambda artifact: artifact.load_evaluation("val")["accuracy"], default=None)


def _measure_step(
    guard: Guard,
    models: Sequence[tuple[Artifact, Engine]],
    split: Split,
    images: np.ndarray,
    corruption: str | None,
    severity: int,
) -> list[dict[str, Any]]:
    """Return one row per model: how it does on these images, which are the split's, spoiled or not."""
    examined = guard.examine(images)
    answered = np.array([one.status == "ok" for one in examined])
    inputs = prepare_images(images)
    rows = []
    for artifact, engine in models:
        right = engine.compute_logits(inputs).argmax(axis=1) == split.labels
        rows.append(
            {
                "model": artifact.name,
                "corruption": corruption,
                "severity": severity,
                "accuracy": share(int(right.sum()), len(right)),
                "refused": share(int((~answered).sum()), len(right)),
                "wrong_answers": share(int((answered & ~right).sum()), int(answered.sum())),
                "statuses": count_statuses(examined),
            }
        )
    return rows

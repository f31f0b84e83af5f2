"""What each exported form of a model gets right: float32, float16 and int8, on all of val and test.

The record, `forms.json` beside the artifacts, holds one row per model and precision; times come from `benchmark
--precision`, so that forms and models are timed in the same rounds.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bloodcell.artifact import Artifact
from bloodcell.dataset import Split, prepare_images
from bloodcell.errors import EngineError
from bloodcell.files import file_sha256
from bloodcell.inference.child import OnProgress
from bloodcell.inference.engine import LARGEST_BATCH, Engine
from bloodcell.inference.forms import PRECISIONS, Precision, ensure_litert
from bloodcell.inference.trust import describe_model, share

FORMS_FILE = "forms.json"


def measure_forms(
    artifacts: Sequence[Artifact],
    splits: Sequence[Split],
    precisions: Sequence[Precision] = PRECISIONS,
    on_progress: OnProgress | None = None,
) -> list[dict[str, Any]]:
    """Return one row per model and precision; a form that cannot be built or run has a sentence under "error".

    Args:
        artifacts: Models of the shelf.
        splits: Val and test.
        precisions: Forms to measure; "int8" is calibrated on train images.
        on_progress: Called with forms done, forms in all, and what happens now.

    Returns:
        Rows with model (name and the files that decide), precision, litert_bytes, sha256, and per split its share right
        {count, n, share, interval} and "changed", the answers that differ from those stored with the model.
    """
    rows = []
    jobs = [(artifact, precision) for artifact in artifacts for precision in precisions]
    for done, (artifact, precision) in enumerate(jobs):
        if on_progress is not None:
            on_progress(done, len(jobs), f"{artifact.name}, {precision}")
        row: dict[str, Any] = {"model": describe_model(artifact), "precision": precision}
        try:
            path = ensure_litert(artifact, precision=precision)
            row |= {"litert_bytes": path.stat().st_size, "sha256": file_sha256(path)}
            engine = Engine(path)
            row |= {split.name: _measure(engine, artifact, split) for split in splits}
        except EngineError as error:
            row["error"] = str(error)
        rows.append(row)
    if on_progress is not None:
        on_progress(len(jobs), len(jobs), "Measured.")
    return rows


def merge_rows(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of a record with newly measured ones in place of those of the same model and precision."""
    measured = {(row["model"]["name"], row.get("precision")) for row in new}
    kept = [row for row in old if (row["model"]["name"], row.get("precision")) not in measured]
    return sorted([*kept, *new], key=lambda row: (row["model"]["name"], row.get("precision") or ""))


def _measure(engine: Engine, artifact: Artifact, split: Split) -> dict[str, Any]:
    starts = range(0, split.num_images, LARGEST_BATCH)
    images = split.images
    logits = np.concatenate([engine.compute_logits(prepare_images(images[i : i + LARGEST_BATCH])) for i in starts])
    y_pred = logits.argmax(axis=1)
    stored = artifact.load_predictions(split.name)
    answers = dict(zip(stored.image_hashes.tolist(), stored.logits.argmax(axis=1).tolist(), strict=True))
    known = [answers.get(image_hash) for image_hash in split.image_hashes.tolist()]
    changed = sum(answer is not None and answer != found for answer, found in zip(known, y_pred.tolist(), strict=True))
    return {**share(int((y_pred == split.labels).sum()), split.num_images), "changed": changed}

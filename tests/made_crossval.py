"""Made-up cross-validations on the images of a dataset, with labels in doubt where a test wants them."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bloodcell.artifact import Predictions
from bloodcell.artifact.crossval import CrossValidation, Origin
from bloodcell.dataset import Split
from bloodcell.dataset.source import DatasetIdentity
from bloodcell.training import recipe_for


def made_train(num_images: int, md5: str = "0" * 32) -> Split:
    """Return a train split of black images, each with its number in the corner; the types take turns."""
    images = np.zeros((num_images, 64, 64, 3), dtype=np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.divmod(np.arange(num_images), 256)
    identity = DatasetIdentity("official", md5, Path("made.npz"), "a made-up dataset")
    return Split("train", images, np.arange(num_images) % 8, identity)


def make_crossval(
    split: Split,
    name: str = "hemanet_small",
    contradicted: Mapping[int, int] | None = None,
    changes: Mapping[str, object] | None = None,
    **fields: object,
) -> CrossValidation:
    """Return answers that are sure of every label but those of `contradicted`, row -> class, and surer of that one."""
    recipe_name, recipe = recipe_for(name.partition(".")[0])
    called = split.labels.copy()
    for row, label in (contradicted or {}).items():
        called[row] = label
    logits = np.random.default_rng(0).normal(0, 0.3, (len(called), 8)).astype(np.float32)
    logits[np.arange(len(called)), called] += 5 + 3 * (called != split.labels)
    values: dict[str, object] = {
        "name": name,
        "model": name.partition(".")[0],
        "recipe_name": recipe_name,
        "recipe": asdict(recipe) | dict(changes or {}),
        "num_folds": 5,
        "dataset": {"kind": split.identity.kind, "md5": split.identity.md5, "label": split.identity.label},
        "duration_s": 60.0,
        "device": "a device",
        "backend": "tensorflow",
        "created": "2026-11-26T20:00:00+00:00",
        "command": f"./dev python -m bloodcell measure crossval {name}",
        "notes": (),
    }
    origin = Origin(**(values | fields))  # type: ignore[arg-type]
    return CrossValidation(
        origin, np.arange(len(called)) % 5, Predictions("train", split.labels, logits, split.image_hashes)
    )

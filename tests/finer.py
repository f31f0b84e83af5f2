"""Synthetic answers on finer types, for tests of what is shown of them."""

from pathlib import Path

import numpy as np

from bloodcell.artifact import Artifact, Predictions, publish_artifact
from bloodcell.dataset import FINER_CLASSES, SUBTYPE_COLUMNS, UNKNOWN
from bloodcell.pipeline import describe_predictions
from tests.shelf import make_predictions, write_artifact


def make_finer_predictions(split: str, num_images: int = 400) -> Predictions:
    """Return answers of a network that tells finer types apart, right about four in five of them."""
    plain = make_predictions(split, 0.97, seed=len(split), num_images=num_images)
    generator = np.random.default_rng(len(split))
    finer = np.array([FINER_CLASSES.index(label) for label in plain.y_true])
    subtype_logits = generator.normal(0, 1, (num_images, 5)).astype(np.float32)
    for label, columns in SUBTYPE_COLUMNS.items():
        rows = np.flatnonzero(plain.y_true == label)
        types = generator.integers(0, columns.stop - columns.start, len(rows))
        finer[rows] += types
        subtype_logits[rows, columns.start + types] += 2
    finer[np.flatnonzero(plain.y_true == 6)[:3]] = UNKNOWN
    return Predictions(split, plain.y_true, plain.logits, plain.image_hashes, subtype_logits, finer)


def write_finer_artifact(directory: Path, name: str = "hemanet_nano.eleven") -> Artifact:
    """Write one artifact with numbers over finer types, and weights of a few bytes."""
    predictions = [make_finer_predictions(split) for split in ("val", "test")]
    plain = write_artifact(directory, name, predictions=predictions)
    return publish_artifact(
        plain.manifest,
        weights=b"no weights",
        history=plain.load_history(),
        predictions=predictions,
        evaluations={one.split: describe_predictions(one, 1.0) for one in predictions},
        directory=directory,
    )

"""Trained models as folders that explain themselves: manifest, weights, history, predictions, evaluation.

Nothing here imports Keras until `load_model` is called, so that pages which only read numbers open at once.
"""

from bloodcell.artifact.manifest import MANIFEST_FILE, Manifest
from bloodcell.artifact.store import (
    Artifact,
    DamagedArtifact,
    Predictions,
    Shelf,
    join_shelves,
    load_artifact,
    load_own_artifact,
    load_own_shelf,
    load_shelf,
)
from bloodcell.artifact.weights import load_model
from bloodcell.artifact.writer import LITERT_FILE, add_file, publish_artifact

__all__ = [
    "LITERT_FILE",
    "MANIFEST_FILE",
    "Artifact",
    "DamagedArtifact",
    "Manifest",
    "Predictions",
    "Shelf",
    "add_file",
    "join_shelves",
    "load_artifact",
    "load_model",
    "load_own_artifact",
    "load_own_shelf",
    "load_shelf",
    "publish_artifact",
]

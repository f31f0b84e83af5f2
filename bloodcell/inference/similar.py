"""Which training cells a network finds most like a new one: the nearest by its pooled features, type by type."""

import hashlib
import io
from pathlib import Path

import numpy as np

from bloodcell.artifact import Artifact
from bloodcell.dataset import Split, prepare_images
from bloodcell.errors import EngineError
from bloodcell.files import cache_directory, write_atomically
from bloodcell.inference.child import OnProgress
from bloodcell.inference.engine import LARGEST_BATCH, Engine


def features_path(artifact: Artifact, split: Split) -> Path:
    """Return where a model's features of a split lie in the reader's cache; the file may not exist."""
    name = hashlib.sha256(f"{artifact.fingerprint}:{split.name}:{split.identity.md5}".encode()).hexdigest()
    return cache_directory() / "features" / f"{artifact.name}-{name[:24]}.npy"


def ensure_features(artifact: Artifact, engine: Engine, split: Split, on_progress: OnProgress | None = None) -> Path:
    """Return the path of a model's pooled features of a split, (n, channels) float16, computing them where need be.

    A few images pass at a time, so that answers asked for meanwhile do not wait.

    Raises:
        EngineError: The network has no pooled features, or could not be run.
        StorageError: The cache cannot be written.
    """
    path = features_path(artifact, split)
    if path.is_file():
        return path
    features = []
    for start in range(0, split.num_images, LARGEST_BATCH):
        pooled = engine.compute_outputs(prepare_images(split.images[start : start + LARGEST_BATCH])).features
        if pooled is None:
            raise EngineError(f"{artifact.name} pools no last feature map, so it cannot say which cells look alike.")
        features.append(pooled.astype(np.float16))
        if on_progress is not None:
            done = min(start + LARGEST_BATCH, split.num_images)
            on_progress(done, split.num_images, f"{artifact.name} looks at {split.num_images:,} {split.name} cells.")
    write_atomically(path, _to_bytes(np.concatenate(features)))
    return path


def find_similar(
    features: np.ndarray, labels: np.ndarray, query: np.ndarray, label: int, num_cells: int
) -> list[tuple[int, float]]:
    """Return the rows of the cells of one class nearest to a cell, nearest first, with their distances.

    Distances are measured with every channel divided by its standard deviation within the classes.

    Args:
        features: (n, channels) of the cells at hand.
        labels: (n,) their classes.
        query: (channels,) of the cell.
        label: The class that is looked through.
        num_cells: At most so many.
    """
    spread = within_class_spread(features, labels)
    rows = np.flatnonzero(labels == label)
    distances = np.sqrt((((features[rows].astype(np.float32) - query) / spread) ** 2).sum(axis=1))
    nearest = np.argsort(distances, kind="stable")[:num_cells]
    return [(int(rows[place]), float(distances[place])) for place in nearest]


def within_class_spread(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each channel about its class's mean, (channels,) float32, never 0."""
    residuals = features.astype(np.float32)
    for label in np.unique(labels):
        mine = labels == label
        residuals[mine] -= residuals[mine].mean(axis=0)
    return residuals.std(axis=0) + np.float32(1e-6)


def _to_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()

"""All test cells as a network arranges them: what its last layer is told of each, laid out in two dimensions.

    python -m bloodcell.inference.cell_map NAME DIRECTORY OUTPUT.npz

The features are what the linear layer "logits" reads: the mean of each channel of the last map, or the last hidden
layer. t-SNE (van der Maaten and Hinton 2008, https://jmlr.org/papers/v9/vandermaaten08a.html) lays them out so that
neighbours stay neighbours; started from principal components with a fixed seed, it gives the same map again on the same
machine. What is near in the map was near in the network; how far apart two islands are means little.
"""

import contextlib
import datetime
import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bloodcell.artifact import Artifact, add_file, load_artifact
from bloodcell.dataset import Split, load_split, match_images, prepare_images
from bloodcell.errors import ArtifactDamagedError, DatasetDamagedError
from bloodcell.files import DAMAGED_ARRAYS, cache_directory, write_atomically
from bloodcell.inference.child import OnProgress, report_progress, run_child, run_main
from bloodcell.inference.engine import load_engine
from bloodcell.inference.forms import lock_of
from bloodcell.inference.inside import InsideEngine, ensure_inside, weights_key

MAP_FILE = "map.npz"
SPLIT = "test"
SEED = 0
PERPLEXITY = 30.0
NUM_COMPONENTS = 50
"""Principal components that t-SNE is given; what is beyond them is mostly noise."""

NUM_NEIGHBOURS = 10
"""Neighbours of a cell that the map's trustworthiness looks at."""

_BATCH = 64
_INSIDE_BATCH = 16
_TIMEOUT_S = 1800.0
_NUM_STEPS = 3


@dataclass(frozen=True, eq=False)
class CellMap:
    """Where every test cell lies.

    Attributes:
        places: (n, 2) float32 in the order of the artifact's predictions; not a number where the image was not in the
            dataset that the map was computed on.
        record: How it came about: method, perplexity, seed, features, trustworthiness, dataset, date, versions.
    """

    places: np.ndarray
    record: dict[str, Any]


def measure_map(artifact: Artifact, split: Split, on_progress: OnProgress = report_progress) -> CellMap:
    """Compute the map of one model.

    Args:
        split: The test split of the dataset at hand.
        on_progress: Told how far it is.

    Raises:
        DatasetDamagedError: Too few of the model's test images are in this dataset.
        EngineError: The network cannot be run.
    """
    predictions = artifact.load_predictions(SPLIT)
    indices = match_images(predictions.image_hashes, predictions.y_true, split).indices
    rows = np.unique(indices[indices >= 0])
    if len(rows) < NUM_NEIGHBOURS:
        raise DatasetDamagedError(
            f"Only {len(rows)} test images of {artifact.name} are in {split.identity.path}; a map needs at least "
            f"{NUM_NEIGHBOURS}. Use the dataset that the model was tested on."
        )
    features, layer = compute_features(artifact, split.images[rows], on_progress)
    on_progress(2, _NUM_STEPS, f"Laying out {len(rows)} cells.")
    laid_out, details = lay_out(features)
    places = np.full((len(indices), 2), np.nan, np.float32)
    found = indices >= 0
    places[found] = laid_out[np.searchsorted(rows, indices[found])]
    on_progress(_NUM_STEPS, _NUM_STEPS, f"{artifact.name} has a map.")
    return CellMap(
        places,
        {
            **details,
            "layer": layer,
            "num_features": features.shape[1],
            "num_cells": len(rows),
            "dataset": {"label": split.identity.label, "md5": split.identity.md5},
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        },
    )


def compute_features(
    artifact: Artifact, images: np.ndarray, on_progress: OnProgress = report_progress
) -> tuple[np.ndarray, str]:
    """Return what the last linear layer reads of each image, (n, features) float32, and the layer that gives it.

    A network that averages its last map needs its usual LiteRT form only; another is opened first.

    Args:
        images: (n, 64, 64, 3) uint8.
    """
    on_progress(0, _NUM_STEPS, f"Preparing {artifact.name}.")
    engine = load_engine(artifact, on_progress=on_progress)
    if engine.gives_features:
        on_progress(1, _NUM_STEPS, f"Asking {artifact.name} about {len(images)} cells.")
        parts = [_features_of(engine, images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
        return np.concatenate(parts), "the mean of each channel of the last map"
    inside = InsideEngine(ensure_inside(artifact, on_progress))
    layer = inside.graph.find_computing(inside.graph.sources["logits"][0])
    on_progress(1, _NUM_STEPS, f"Asking {artifact.name} about {len(images)} cells.")
    parts = [
        inside.compute_layers(prepare_images(images[start : start + _INSIDE_BATCH]))[layer]
        for start in range(0, len(images), _INSIDE_BATCH)
    ]
    return np.concatenate(parts), layer


def lay_out(features: np.ndarray, seed: int = SEED) -> tuple[np.ndarray, dict[str, Any]]:
    """Return places (n, 2) float32 by t-SNE, and how they came about.

    Args:
        features: (n, features); n of `NUM_NEIGHBOURS` or more.
        seed: Of t-SNE; with it, the same features give the same places on one machine.
    """
    import sklearn
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE, trustworthiness
    from threadpoolctl import threadpool_limits

    num_cells = len(features)
    num_components = min(NUM_COMPONENTS, *features.shape)
    perplexity = min(PERPLEXITY, (num_cells - 1) / 3)
    num_neighbours = min(NUM_NEIGHBOURS, (num_cells - 1) // 2)
    # One thread: sums in another order would lead to another map, and threads that wait for each other at every step
    # take far longer than one alone where the machine is busy.
    with threadpool_limits(1):
        reduced = PCA(num_components, svd_solver="full").fit_transform(features.astype(np.float64))
        method = TSNE(init="pca" if num_components > 1 else "random", perplexity=perplexity, random_state=seed)
        places = np.asarray(method.fit_transform(reduced), np.float32)
        trusted = float(trustworthiness(reduced, places, n_neighbors=num_neighbours))
    return places, {
        "method": "t-SNE",
        "perplexity": perplexity,
        "seed": seed,
        "num_components": num_components,
        "trustworthiness": round(trusted, 4),
        "num_neighbours": num_neighbours,
        "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
    }


def has_map(artifact: Artifact) -> bool:
    """Whether a model ships its map."""
    return MAP_FILE in artifact.manifest.files


def find_map(artifact: Artifact) -> Path | None:
    """Return the file of a model's map, shipped with it or computed into the reader's cache; None if there is none."""
    if has_map(artifact):
        return artifact.directory / MAP_FILE
    path = _cached_path(artifact)
    return path if path.is_file() else None


def ensure_map(artifact: Artifact, on_progress: OnProgress | None = None) -> Path:
    """Return the file of a model's map, computing it into the reader's cache in a process of its own where needed.

    Raises:
        DatasetError: The dataset is missing or damaged.
        EngineError: The computation failed.
        StorageError: The cache cannot be written.
    """
    path = find_map(artifact)
    if path is not None:
        return path
    path = _cached_path(artifact)
    with lock_of(path, on_progress):
        if not path.is_file():
            folder = artifact.directory.resolve()
            run_child(
                "bloodcell.inference.cell_map",
                [folder.name, str(folder.parent), str(path.resolve())],
                purpose=f"Computing the map of {artifact.name}",
                on_progress=on_progress,
                timeout_s=_TIMEOUT_S,
            )
    return path


def load_map(artifact: Artifact, path: Path) -> CellMap:
    """Return a map that was stored, checked against the artifact's predictions.

    Raises:
        ArtifactDamagedError: It cannot be read or belongs to other predictions.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            places = stored["places"].astype(np.float32)
            record = json.loads(str(stored["record"]))
        fits = record["predictions"] == _digest(artifact)
    except DAMAGED_ARRAYS as error:
        raise ArtifactDamagedError(f"{path} cannot be read ({error}). {_repair(artifact)}") from error
    if not fits or places.shape != (len(artifact.load_predictions(SPLIT).y_true), 2):
        raise ArtifactDamagedError(f"{path} belongs to other predictions than {artifact.name}'s. {_repair(artifact)}")
    return CellMap(places, record)


def store_map(artifact: Artifact, found: CellMap) -> Artifact:
    """Add a map to its artifact and return the artifact as it is now."""
    return add_file(artifact, MAP_FILE, _serialize(artifact, found))


def _features_of(engine: Any, images: np.ndarray) -> np.ndarray:
    features = engine.compute_outputs(prepare_images(images)).features
    assert features is not None
    return features


def _serialize(artifact: Artifact, found: CellMap) -> bytes:
    buffer = io.BytesIO()
    record = json.dumps({**found.record, "predictions": _digest(artifact)})
    # Two bytes are enough: a map is some hundred units wide, and a mark one of them.
    np.savez_compressed(buffer, allow_pickle=False, places=found.places.astype(np.float16), record=np.array(record))
    return buffer.getvalue()


def _digest(artifact: Artifact) -> str:
    """Return what tells which images, in which order, a map's rows belong to."""
    return hashlib.sha256(artifact.load_predictions(SPLIT).image_hashes.tobytes()).hexdigest()[:24]


def _repair(artifact: Artifact) -> str:
    return f"Run `./dev python -m bloodcell measure map {artifact.name}`."


def _cached_path(artifact: Artifact) -> Path:
    return cache_directory() / "maps" / f"{weights_key(artifact)}-{artifact.fingerprint[:12]}.npz"


def main(arguments: Sequence[str]) -> None:
    """Compute one model's map into a file."""
    name, directory, output = arguments
    with contextlib.suppress(AttributeError, OSError):  # Windows has no such call
        os.nice(10)
    artifact = load_artifact(name, Path(directory))
    report_progress(0, _NUM_STEPS, "Reading the test cells.")
    write_atomically(Path(output), _serialize(artifact, measure_map(artifact, load_split(SPLIT))))


if __name__ == "__main__":
    run_main(main)

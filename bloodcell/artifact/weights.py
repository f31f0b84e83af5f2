"""Weights on disk: kernels as float16, vectors as float32, names from the graph; no code travels with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bloodcell.artifact.store import WEIGHTS_FILE, Artifact
from bloodcell.errors import ArtifactDamagedError, ArtifactNotFoundError

if TYPE_CHECKING:
    import keras


def to_stored(values: np.ndarray) -> np.ndarray:
    """Return the stored form of one weight: float16 for kernels (ndim ≥ 2), float32 for vectors and scalars."""
    return np.ascontiguousarray(values, dtype=np.float16 if values.ndim >= 2 else np.float32)


def serialize_weights(model: keras.Model) -> bytes:
    """Return a model's weights as a safetensors file, one tensor per weight under the weight's path in the graph."""
    from safetensors.numpy import save

    return save({path: to_stored(np.asarray(weight)) for path, weight in _named_weights(model).items()})


def fill_weights(model: keras.Model, data: bytes, where: str) -> None:
    """Fill a model, in place, with weights that `serialize_weights` wrote.

    Raises:
        ArtifactDamagedError: The file is no safetensors file, or its weights are not those of this graph.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        stored = load(data)
    except (SafetensorError, ValueError) as error:
        raise ArtifactDamagedError(f"{where} is no readable safetensors file ({error}).") from error
    weights = _named_weights(model)
    if stored.keys() != weights.keys():
        differing = sorted(stored.keys() ^ weights.keys())
        raise ArtifactDamagedError(
            f"{where} holds the weights of another graph than {model.name!r}: they differ in {len(differing)} names, "
            f"first {differing[0]!r}. Train it again."
        )
    for path, weight in weights.items():
        values = stored[path]
        if tuple(values.shape) != tuple(weight.shape) or not np.isfinite(values).all():
            raise ArtifactDamagedError(
                f"{where}: {path!r} should be finite and of shape {tuple(weight.shape)}, and is of "
                f"{tuple(values.shape)}."
            )
        weight.assign(values.astype(np.float32))


def load_model(artifact: Artifact) -> keras.Model:
    """Build the artifact's graph from the catalog and fill it; imports Keras.

    Returns:
        Model from (n, 64, 64, 3) float32 in [0, 1] to (n, 8) probabilities without temperature.

    Raises:
        ArtifactNotFoundError: A run has no weights.
        ArtifactDamagedError: The weights are not those of the graph.
    """
    from bloodcell.models import build_model

    if artifact.kind != "artifact":
        raise ArtifactNotFoundError(
            f"{artifact.name!r} is a run and keeps no weights; without `--run` its command makes an artifact that "
            f"does: `{artifact.manifest.command}`."
        )
    model = build_model(artifact.model_name, artifact.manifest.input_shape, len(artifact.manifest.class_names))
    path = artifact.directory / WEIGHTS_FILE
    fill_weights(model, path.read_bytes(), str(path))
    return model


def _named_weights(model: keras.Model) -> dict[str, Any]:
    """Return weights by `layer/variable` path, without the model's own name in front."""
    named = {}
    for layer in model.layers:
        for weight in layer.weights:
            path = weight.path
            named[path] = weight
    if len(named) != len(model.weights):
        raise ValueError(f"{model.name!r} has weights that share a path; give its layers names of their own.")
    return named

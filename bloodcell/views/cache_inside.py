"""What the Inside page keeps in memory between reruns.

Keyed by the artifact's fingerprint, or by a path in the reader's cache whose name tells one state of the weights from
another.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from bloodcell.views import cache

if TYPE_CHECKING:
    from bloodcell.artifact import Artifact
    from bloodcell.inference.channels import TopCells
    from bloodcell.inference.inside import InsideEngine


def load_inside(name: str) -> "InsideEngine | None":
    """Return the form of a model that gives every layer, or None where it has not been built yet.

    A damaged form is deleted, so that it is built again.
    """
    from bloodcell.errors import EngineError
    from bloodcell.inference.inside import find_inside

    artifact = cache.load_artifact(name)
    path = None if artifact is None else find_inside(artifact)
    if path is None:
        return None
    try:
        return _load_inside(str(path))
    except EngineError:
        path.unlink(missing_ok=True)
        return None


def compute_layers(name: str, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Return what every layer of an opened model gives for one cell, by layer, without the batch axis. Read only.

    Args:
        name: A model for which `load_inside` is not None.
        pixels: (64, 64, 3) uint8.

    Raises:
        EngineError: LiteRT could not run the network.
    """
    engine = load_inside(name)
    artifact = cache.load_artifact(name)
    if engine is None or artifact is None:
        raise ValueError(f"Expected a model that was opened. Received: {name!r}")
    return _compute_layers(name, artifact.fingerprint, np.ascontiguousarray(pixels).tobytes(), pixels.shape, engine)


def load_kernel(name: str, layer: str) -> np.ndarray | None:
    """Return the kernel of one layer, None if it has none or the model is not on the shelf.

    Raises:
        ArtifactDamagedError: The weights cannot be read.
    """
    artifact = cache.load_artifact(name)
    return None if artifact is None else _load_kernel(name, artifact.fingerprint, layer, artifact)


def load_kernel_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Return the kernel shape of every layer that has one; empty where the weights cannot be read."""
    artifact = cache.load_artifact(name)
    return {} if artifact is None else _load_kernel_shapes(name, artifact.fingerprint, artifact)


def load_channels(name: str) -> "dict[str, TopCells] | None":
    """Return which test cells excite each channel of a model most, or None where that was not computed yet.

    Raises:
        DatasetError: The dataset is missing.
        EngineError: The file was damaged; it is computed again when asked for.
    """
    from bloodcell.inference.channels import find_channels

    artifact = cache.load_artifact(name)
    path = None if artifact is None else find_channels(artifact)
    return None if path is None else _load_channels(str(path))


@st.cache_data(max_entries=4, show_spinner=False)
def load_graphs() -> dict[str, dict[str, Any]]:
    """Return the layers of every network of the catalog."""
    from bloodcell.models.graphs import load_graphs as read_graphs

    return read_graphs()


@st.cache_resource(max_entries=4, show_spinner=False)
def _load_inside(path: str) -> "InsideEngine":
    from bloodcell.inference.inside import InsideEngine

    return InsideEngine(Path(path))


@st.cache_resource(max_entries=12, show_spinner=False)
def _compute_layers(
    name: str, fingerprint: str, pixels: bytes, shape: tuple[int, ...], _engine: "InsideEngine"
) -> dict[str, np.ndarray]:
    from bloodcell.dataset import prepare_images

    images = np.frombuffer(pixels, np.uint8).reshape(1, *shape)
    found = {layer: values[0] for layer, values in _engine.compute_layers(prepare_images(images)).items()}
    for values in found.values():
        values.setflags(write=False)
    return found


@st.cache_resource(max_entries=64, show_spinner=False)
def _load_kernel(name: str, fingerprint: str, layer: str, _artifact: "Artifact") -> np.ndarray | None:
    from bloodcell.inference.inside import read_kernel

    return read_kernel(_artifact, layer)


@st.cache_data(max_entries=64, show_spinner=False)
def _load_kernel_shapes(name: str, fingerprint: str, _artifact: "Artifact") -> dict[str, tuple[int, ...]]:
    from bloodcell.errors import ArtifactDamagedError
    from bloodcell.inference.inside import read_kernel_shapes

    try:
        return read_kernel_shapes(_artifact)
    except ArtifactDamagedError:
        return {}


@st.cache_resource(max_entries=8, show_spinner=False)
def _load_channels(path: str) -> "dict[str, TopCells]":
    from bloodcell.inference.channels import load_channels as read_channels

    return read_channels(Path(path))

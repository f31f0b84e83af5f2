"""What the Classroom computes, once for each pair of a model and an image, and shares between all viewers.

An image is known by its pixels, so that the same cell changed in the same way is the same image for everyone.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from bloodcell.inference.attention_store import find_map, hash_pixels
from bloodcell.views import cache

if TYPE_CHECKING:
    from bloodcell.artifact import Artifact
    from bloodcell.inference.engine import Engine
    from bloodcell.inference.guard import Examination, Guard


def load_scores(name: str, pixels: np.ndarray) -> np.ndarray | None:
    """Return a model's calibrated probabilities of one image, (8,) float32, or None if it is not on the shelf.

    Args:
        pixels: (64, 64, 3) uint8.

    Raises:
        EngineError: LiteRT cannot run the model.
    """
    artifact, engine = cache.load_artifact(name), cache.load_engine(name)
    if artifact is None or engine is None:
        return None
    return _load_scores(name, artifact.fingerprint, hash_pixels(pixels), artifact, engine, pixels)


def load_attention(name: str, pixels: np.ndarray, class_index: int) -> np.ndarray | None:
    """Return where a model looked for a class, (64, 64) float32 in [0, 1], 1 at the strongest place.

    Networks that pool their last map are explained at once; of others it is what Keras left on disk, None if nothing.

    Raises:
        EngineError: LiteRT cannot run the model.
        ArtifactDamagedError: Its weights cannot be read.
    """
    artifact, engine = cache.load_artifact(name), cache.load_engine(name)
    if artifact is None or engine is None:
        return None
    if not engine.gives_features:
        return find_map(artifact, pixels, class_index)
    return _explain_now(name, artifact.fingerprint, hash_pixels(pixels), class_index, artifact, engine, pixels)


def load_occlusion(name: str, pixels: np.ndarray, class_index: int) -> np.ndarray | None:
    """Return how far a model's probability of a class falls where a square covers the image, (16, 16) float32.

    Raises:
        EngineError: LiteRT cannot run the model.
    """
    artifact, engine = cache.load_artifact(name), cache.load_engine(name)
    if artifact is None or engine is None:
        return None
    return _load_occlusion(name, artifact.fingerprint, hash_pixels(pixels), class_index, artifact, engine, pixels)


def load_guard(name: str) -> "Guard | None":
    """Return a model's guard, shared between all readers, or None where it has none.

    Raises:
        EngineError: LiteRT cannot run the model.
        ArtifactDamagedError: The guard's file cannot be read.
    """
    from bloodcell.inference.guard import has_guard

    artifact = cache.load_artifact(name)
    if artifact is None or not has_guard(artifact):
        return None
    engine = cache.load_engine(name)
    return None if engine is None else _load_guard(name, artifact.fingerprint, artifact, engine)


def load_examination(name: str, pixels: np.ndarray) -> "Examination | None":
    """Return what a model's guard says of one image, or None where the model has no guard.

    Raises:
        EngineError: LiteRT cannot run the model.
        ArtifactDamagedError: The guard's file cannot be read.
    """
    guard = load_guard(name)
    return None if guard is None else _examine(name, guard.artifact.fingerprint, hash_pixels(pixels), guard, pixels)


def _scorer(artifact: "Artifact", engine: "Engine") -> Callable[[np.ndarray], np.ndarray]:
    from bloodcell.inference.classifier import compute_probabilities

    return lambda images: compute_probabilities(artifact, engine, images)


def _locked(values: np.ndarray) -> np.ndarray:
    values.setflags(write=False)
    return values


@st.cache_resource(max_entries=20_000, show_spinner=False)
def _load_scores(
    name: str, fingerprint: str, image: str, _artifact: "Artifact", _engine: "Engine", _pixels: np.ndarray
) -> np.ndarray:
    return _locked(_scorer(_artifact, _engine)(_pixels[None])[0])


@st.cache_resource(max_entries=500, show_spinner=False)
def _explain_now(
    name: str,
    fingerprint: str,
    image: str,
    class_index: int,
    _artifact: "Artifact",
    _engine: "Engine",
    _pixels: np.ndarray,
) -> np.ndarray:
    from bloodcell.inference.explain import explain_images

    return _locked(explain_images(_artifact, _engine, _pixels[None], [class_index])[0])


@st.cache_resource(max_entries=500, show_spinner=False)
def _load_occlusion(
    name: str,
    fingerprint: str,
    image: str,
    class_index: int,
    _artifact: "Artifact",
    _engine: "Engine",
    _pixels: np.ndarray,
) -> np.ndarray:
    from bloodcell.inference.perturbations import compute_occlusion_map

    return _locked(compute_occlusion_map(_scorer(_artifact, _engine), _pixels, class_index))


@st.cache_resource(max_entries=8, show_spinner=False)
def _load_guard(name: str, fingerprint: str, _artifact: "Artifact", _engine: "Engine") -> "Guard | None":
    from bloodcell.inference.guard import load_guard as read_guard

    return read_guard(_artifact, _engine)


@st.cache_resource(max_entries=2_000, show_spinner=False)
def _examine(name: str, fingerprint: str, image: str, _guard: "Guard", _pixels: np.ndarray) -> "Examination":
    return _guard.examine(_pixels[None])[0]

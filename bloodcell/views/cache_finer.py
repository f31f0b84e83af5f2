"""What pages read of finer types, kept between reruns: a model's numbers, and its opinions on single cells."""

import numpy as np
import streamlit as st

from bloodcell.artifact import Artifact
from bloodcell.evaluation import FinerEvaluation
from bloodcell.inference.finer import FinerOpinion, form_finer_opinions
from bloodcell.views import cache


def load_finer(name: str, split: str = "test") -> FinerEvaluation | None:
    """Return a model's stored numbers over the eleven finer types; None where it does not tell them apart."""
    artifact = cache.load_artifact(name)
    return None if artifact is None else _load_finer(name, artifact.fingerprint, split, artifact)


def find_opinion(name: str, image: np.ndarray) -> FinerOpinion | None:
    """Return a model's finer opinion on one cell, or None where it has none.

    Args:
        name: Model of the shelf.
        image: (64, 64, 3) uint8, as the network sees it.

    Raises:
        EngineError: The network cannot be run.
    """
    artifact = cache.load_artifact(name)
    if artifact is None or load_finer(name) is None:
        return None  # without numbers on how good it is, an opinion is worth nothing; and no engine is loaded for it
    return _find_opinion(name, artifact.fingerprint, image.tobytes(), artifact)


@st.cache_resource(max_entries=64, show_spinner=False)
def _load_finer(name: str, fingerprint: str, split: str, _artifact: Artifact) -> FinerEvaluation | None:
    stored = _artifact.load_evaluation(split).get("finer")
    return None if stored is None else FinerEvaluation.from_dict(stored)


@st.cache_data(max_entries=256, show_spinner=False)
def _find_opinion(name: str, fingerprint: str, pixels: bytes, _artifact: Artifact) -> FinerOpinion | None:
    engine = cache.load_engine(name)
    assert engine is not None
    image = np.frombuffer(pixels, np.uint8).reshape(1, *_artifact.manifest.input_shape)
    return form_finer_opinions(_artifact, engine, image)[0]

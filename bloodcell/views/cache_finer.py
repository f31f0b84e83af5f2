"""What pages read of finer types, kept between reruns."""

import streamlit as st

from bloodcell.artifact import Artifact
from bloodcell.evaluation import FinerEvaluation
from bloodcell.views import cache


def load_finer(name: str, split: str = "test") -> FinerEvaluation | None:
    """Return a model's stored numbers over the eleven finer types; None where it does not tell them apart."""
    artifact = cache.load_artifact(name)
    return None if artifact is None else _load_finer(name, artifact.fingerprint, split, artifact)


@st.cache_resource(max_entries=64, show_spinner=False)
def _load_finer(name: str, fingerprint: str, split: str, _artifact: Artifact) -> FinerEvaluation | None:
    stored = _artifact.load_evaluation(split).get("finer")
    return None if stored is None else FinerEvaluation.from_dict(stored)

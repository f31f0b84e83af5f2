"""What pages read of finer types, kept between reruns."""

import streamlit as st

from bloodcell.artifact import Artifact
from bloodcell.artifact.trials import find_twin
from bloodcell.evaluation import FinerEvaluation
from bloodcell.evaluation.evidence import Evidence, find_evidence
from bloodcell.evaluation.repeated import gather_trainings
from bloodcell.inference import find_litert
from bloodcell.views import cache, cache_findings


def load_finer(name: str, split: str = "test") -> FinerEvaluation | None:
    """Return a model's stored numbers over the eleven finer types; None where it does not tell them apart."""
    artifact = cache.load_artifact(name)
    return None if artifact is None else _load_finer(name, artifact.fingerprint, split, artifact)


def find_finer_model() -> Artifact | None:
    """Return the model that tells finer types apart where the default does not: of those ready, the best on val."""
    found = [
        one
        for one in cache.load_shelf().artifacts.values()
        if not one.own and load_finer(one.name) is not None and find_litert(one) is not None
    ]
    return max(found, key=lambda one: (one.load_evaluation("val")["accuracy"], one.name), default=None)


def compare_heads(name: str, split: str) -> Evidence | None:
    """Return how a model that tells finer types apart differs, on the eight classes, from its twin that does not.

    The twin is a training of the catalog row with the same recipe, seed and data; None where there is none.
    """
    artifact, twin = cache.load_artifact(name), find_twin(cache.load_shelf(), name)
    if artifact is None or twin is None:
        return None
    spread = cache_findings.load_evidence().seed_spread
    return _compare_heads(artifact.fingerprint, twin.fingerprint, split, spread, artifact, twin)


@st.cache_resource(max_entries=16, show_spinner=False)
def _compare_heads(
    fingerprint: str, twin_fingerprint: str, split: str, seed_spread: float, _artifact: Artifact, _twin: Artifact
) -> Evidence:
    first, second = (gather_trainings([(one.manifest.seed, one.load_predictions(split))]) for one in (_artifact, _twin))
    return find_evidence(_artifact.name, _twin.name, first, second, seed_spread)


@st.cache_resource(max_entries=64, show_spinner=False)
def _load_finer(name: str, fingerprint: str, split: str, _artifact: Artifact) -> FinerEvaluation | None:
    stored = _artifact.load_evaluation(split).get("finer")
    return None if stored is None else FinerEvaluation.from_dict(stored)

"""What the Quiz needs of the stored answers, brought to the rows of the dataset once for all players."""

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from bloodcell.views import cache
from bloodcell.views.quiz import StoredAnswers, collect_stored, count_misses

if TYPE_CHECKING:
    from bloodcell.dataset import Matching, Split

SPLIT = "test"


def load_stored(names: list[str]) -> dict[str, StoredAnswers]:
    """Return what models answered for each row of the test split; models without stored answers are left out.

    Raises:
        DatasetError: The dataset is missing or damaged.
    """
    images = cache.load_split(SPLIT)
    found = {}
    for name in names:
        artifact, probabilities = cache.load_artifact(name), cache.load_probabilities(name, SPLIT)
        matching = cache.match_predictions(name, SPLIT)
        if artifact is not None and probabilities is not None and matching is not None:
            key = artifact.fingerprint, dataset_key(images)
            found[name] = _collect(*key, images.num_images, probabilities, matching)
    return found


def load_misses() -> np.ndarray:
    """Return how many of the project's trained models miss each row of the test split, (n,) int64.

    The user's own are left out: the hard cells must not change when a live training ends while a class plays.

    Raises:
        DatasetError: The dataset is missing or damaged.
    """
    images = cache.load_split(SPLIT)
    models = [artifact for artifact in cache.load_shelf().artifacts.values() if not artifact.own]
    fingerprints = tuple(artifact.fingerprint for artifact in models)
    return _count_misses(fingerprints, dataset_key(images), [artifact.name for artifact in models], images)


def dataset_key(images: "Split") -> str:
    """Return what tells one dataset's test split from another's."""
    identity = images.identity
    return f"{identity.md5}-{images.num_images}"


@st.cache_resource(max_entries=128, show_spinner=False)
def _collect(
    fingerprint: str, dataset: str, num_images: int, _probabilities: np.ndarray, _matching: "Matching"
) -> StoredAnswers:
    return collect_stored(_probabilities, _matching.indices, num_images)


@st.cache_resource(max_entries=4, show_spinner=False)
def _count_misses(fingerprints: tuple[str, ...], dataset: str, _names: list[str], _images: "Split") -> np.ndarray:
    return count_misses(load_stored(_names), _images.labels)

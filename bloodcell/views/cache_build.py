"""What the Build page reads, kept between reruns: the graphs of the design space, and the trainings of its networks."""

from typing import Any

import streamlit as st

from bloodcell.artifact import Shelf
from bloodcell.evaluation.repeated import Repeated, gather_trainings
from bloodcell.models.combinations import BASE, Combination
from bloodcell.models.graphs import graph_name, load_combination_graphs
from bloodcell.views import cache
from bloodcell.views.tables_build import Trained, find_equal, find_trained


def load_graph(combination: Combination) -> dict[str, Any]:
    """Return the layers and costs of a combination, shared between all readers: never alter it."""
    return _load_graphs()[graph_name(combination)]


def list_trained() -> dict[str, Trained]:
    """Return the trainings of the design space that are on the shelf, by the combination's own name."""
    shelf = cache.load_shelf()
    return _list_trained(shelf.fingerprint, shelf)


def list_equal(settings: str) -> dict[str, Trained]:
    """Return the trainings of the design space under one set of settings, by the combination's own name."""
    shelf = cache.load_shelf()
    return _list_equal(shelf.fingerprint, settings, shelf)


def load_result(trained: Trained, split: str = "test") -> Repeated:
    """Return the answers of every seed of a network on `val` or `test`, shared between all readers."""
    fingerprints = tuple(artifact.fingerprint for artifact in trained.artifacts)
    return _load_result(trained.name, fingerprints, split, trained)


@st.cache_resource(max_entries=1, show_spinner=False)
def _load_graphs() -> dict[str, dict[str, Any]]:
    return load_combination_graphs()


@st.cache_resource(max_entries=4, show_spinner=False)
def _list_trained(fingerprint: str, _shelf: Shelf) -> dict[str, Trained]:
    return find_trained(_shelf, BASE)


@st.cache_resource(max_entries=32, show_spinner=False)
def _list_equal(fingerprint: str, settings: str, _shelf: Shelf) -> dict[str, Trained]:
    return find_equal(_shelf, settings)


@st.cache_resource(max_entries=128, show_spinner=False)
def _load_result(name: str, fingerprints: tuple[str, ...], split: str, _trained: Trained) -> Repeated:
    return gather_trainings(
        [(artifact.manifest.seed, artifact.load_predictions(split)) for artifact in _trained.artifacts]
    )

"""What the Map page keeps in memory between reruns; keyed by the artifact's fingerprint and the map's file."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from bloodcell.views import cache

if TYPE_CHECKING:
    from bloodcell.artifact import Artifact
    from bloodcell.inference.cell_map import CellMap


def load_map(name: str) -> "CellMap | None":
    """Return the map of a model, shipped with it or computed here; None if there is none yet.

    Raises:
        ArtifactDamagedError: It cannot be read or belongs to other predictions.
    """
    from bloodcell.inference.cell_map import find_map

    artifact = cache.load_artifact(name)
    path = None if artifact is None else find_map(artifact)
    return None if artifact is None or path is None else _load_map(str(path), artifact.fingerprint, artifact)


def load_table(name: str) -> pd.DataFrame | None:
    """Return the table of a model's map (`tables_map.map_table`); None if there is no map yet. Do not change it.

    Raises:
        ArtifactDamagedError: The map cannot be read or belongs to other predictions.
    """
    artifact, found = cache.load_artifact(name), load_map(name)
    if artifact is None or found is None:
        return None
    return _load_table(name, artifact.fingerprint, found)


@st.cache_resource(max_entries=64, show_spinner=False)
def _load_map(path: str, fingerprint: str, _artifact: "Artifact") -> "CellMap":
    from bloodcell.inference.cell_map import load_map as read_map

    return read_map(_artifact, Path(path))


@st.cache_resource(max_entries=32, show_spinner=False)
def _load_table(name: str, fingerprint: str, _found: "CellMap") -> pd.DataFrame:
    from bloodcell.views.tables_map import map_table

    predictions, scores = cache.load_predictions(name), cache.load_probabilities(name)
    assert predictions is not None and scores is not None
    return map_table(_found.places, predictions, scores)

"""What the page Classify keeps of the training cells: the features by which the default model finds similar ones."""

import numpy as np
import streamlit as st

from bloodcell.views import cache


def load_training_features(name: str) -> np.ndarray | None:
    """Return a model's pooled features of the training cells, (n, channels), None where they are not computed yet."""
    from bloodcell.inference.similar import features_path

    artifact = cache.load_artifact(name)
    path = features_path(artifact, cache.load_split("train")) if artifact is not None else None
    return _load_features(str(path), path.stat().st_mtime_ns) if path is not None and path.is_file() else None


@st.cache_resource(max_entries=2, show_spinner=False)
def _load_features(path: str, state: int) -> np.ndarray:
    features = np.load(path, allow_pickle=False)
    features.setflags(write=False)
    return features

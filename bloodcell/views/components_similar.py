"""The training cells that the default model finds most like a cell, type by type."""

import numpy as np
import streamlit as st

from bloodcell.dataset import CLASS_NAMES, prepare_images
from bloodcell.errors import BloodCellError
from bloodcell.inference.classifier import Answer
from bloodcell.views import cache, cache_classify
from bloodcell.views import figures_images as pictures
from bloodcell.views.background import Job, find_job, start_job
from bloodcell.views.tables_classify import name_class
from bloodcell.views.theme import class_color
from bloodcell.views.uploads import CellImage

NUM_SIMILAR = 6
NUM_TYPES = 2


def show_similar(cell: CellImage, answer: Answer, key: str) -> None:
    """Show the nearest training cells of the likely types; they are looked up in the background, once per model."""
    if not cache.dataset_status()["available"]:
        return
    engine = cache.load_engine(answer.model)
    if engine is None or not engine.gives_features:
        return
    st.subheader("The most similar training cells", anchor=False)
    features = cache_classify.load_training_features(answer.model)
    if features is None:
        _prepare(answer.model)
        return
    from bloodcell.inference.similar import find_similar

    train = cache.load_split("train")
    pooled = engine.compute_outputs(prepare_images(cell.frame.pixels[None])).features
    assert pooled is not None
    for name in _likely(answer):
        label = CLASS_NAMES.index(name)
        found = find_similar(features, train.labels, pooled[0], label, NUM_SIMILAR)
        st.markdown(f"**{name_class(label)}**, nearest first by the features of {answer.model}:")
        with st.grid(NUM_SIMILAR, min_column_width=84, gap="xsmall"):
            for row, distance in found:
                with st.container(gap=None):
                    tile = pictures.tile_png(np.array(train.images[row]), class_color(label))
                    st.image(tile, width="stretch", alt=f"Training cell {row}, {name}")
                    st.caption(f"row {row} · {distance:.1f}")


def _likely(answer: Answer) -> list[str]:
    """Return the named type and the next likely one, or the most probable of the set where none was named."""
    assert answer.probabilities is not None
    ranked = sorted(answer.probabilities, key=answer.probabilities.__getitem__, reverse=True)
    first = [answer.label] if answer.label else []
    return list(dict.fromkeys([*first, *ranked]))[: max(NUM_TYPES, min(len(answer.prediction_set), 3))]


def _prepare(name: str) -> None:
    """Compute the features of the training cells in the background, and show how far it is."""
    from bloodcell.inference.similar import ensure_features

    artifact, engine = cache.load_artifact(name), cache.load_engine(name)
    assert artifact is not None and engine is not None
    job = find_job(f"features {artifact.fingerprint}")
    if job is None or (job.state == "done" and cache_classify.load_training_features(name) is None):
        train = cache.load_split("train")
        job = start_job(
            f"features {artifact.fingerprint}", lambda report: ensure_features(artifact, engine, train, report)
        )
    if job.state == "failed":
        if not isinstance(job.error, BloodCellError):
            raise job.error or RuntimeError("Looking at the training cells ended without a reason.")
        st.caption(f":material/error: {job.error}")
        return
    st.fragment(_show_job, run_every=1.0)(job)


def _show_job(job: Job) -> None:
    """How far the features are; when they are there, the page is drawn again with them."""
    if job.state != "running":
        st.rerun()
    st.progress(job.fraction, text=job.message or "Looking at the training cells …")

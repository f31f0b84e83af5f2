"""Cross-validations as pages read them, kept in memory until their file changes: answers to cells not learned from."""

from pathlib import Path

import numpy as np
import streamlit as st

from bloodcell.artifact.crossval import CROSSVAL_FILE, CrossValidation
from bloodcell.artifact.crossval import load_crossvals as read_crossvals
from bloodcell.artifact.trials import find_common_dataset
from bloodcell.dataset import find_dataset, match_images
from bloodcell.evaluation import calibrate
from bloodcell.evaluation.label_issues import LabelIssues
from bloodcell.files import artifacts_directory
from bloodcell.views import cache
from bloodcell.views.findings_held_out import find_issues


def load_crossvals() -> dict[str, CrossValidation]:
    """Return the cross-validations that are on the dataset of the trainings, shared between all readers.

    Raises:
        ArtifactDamagedError: The file cannot be read.
    """
    path = artifacts_directory() / CROSSVAL_FILE
    md5 = find_common_dataset(cache.load_shelf())
    found = _load_crossvals(str(path), cache.file_state(path))
    return {name: one for name, one in found.items() if md5 is None or one.origin.dataset["md5"] == md5}


def load_label_issues() -> LabelIssues | None:
    """Return the train labels that networks contradict which never learned them; None without a cross-validation.

    Raises:
        ArtifactDamagedError: The file of cross-validations cannot be read.
    """
    found = load_crossvals()
    return _find_issues(_key(found), found)


def load_held_out_answers() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return by network the calibrated probabilities of held-out train images, and the row of train that each is.

    Returns:
        Probabilities (n, 8), and (n,) the row in the dataset at hand, -1 for an image that it does not hold.

    Raises:
        ArtifactDamagedError: The file of cross-validations cannot be read.
        DatasetError: The dataset is missing or damaged.
    """
    found, path = load_crossvals(), find_dataset()
    return _answer(_key(found), str(path), cache.file_state(path), found)


def _key(found: dict[str, CrossValidation]) -> tuple[str, ...]:
    return (*found, cache.file_state(artifacts_directory() / CROSSVAL_FILE))


@st.cache_resource(max_entries=2, show_spinner=False)
def _load_crossvals(path: str, state: str) -> dict[str, CrossValidation]:
    return read_crossvals(Path(path).parent)


@st.cache_resource(max_entries=2, show_spinner=False)
def _find_issues(key: tuple[str, ...], _found: dict[str, CrossValidation]) -> LabelIssues | None:
    return find_issues(_found)


@st.cache_resource(max_entries=2, show_spinner=False)
def _answer(
    key: tuple[str, ...], path: str, state: str, _found: dict[str, CrossValidation]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    answers = {}
    for name, one in _found.items():
        of = one.predictions
        places = match_images(of.image_hashes, of.y_true, cache.load_split("train")).indices
        answers[name] = (calibrate(of.logits, of.y_true), places)
    return answers

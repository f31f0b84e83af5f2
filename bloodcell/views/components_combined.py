"""Whether a model's probabilities differ from perfect ones, and what more than one look at a cell brings."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from bloodcell.artifact import Shelf
from bloodcell.evaluation import CalibrationTest, compare_with_perfect
from bloodcell.inference.combined import COMBINED_FILE, find_seeds
from bloodcell.views import cache
from bloodcell.views.components import download_csv
from bloodcell.views.quantities import enumerate_words, percent
from bloodcell.views.tables_card import describe_place
from bloodcell.views.tables_forms import current_rows, looks_table


def show_calibration_test(name: str, split: str) -> None:
    """Say how large a model's calibration error is, with its interval, and whether chance explains it.

    Not on val: temperature and epoch were chosen on these images, so that they cannot tell.
    """
    if split == "val":
        st.markdown("Temperature and epoch were chosen on these images: whether the model is calibrated, test tells.")
        return
    predictions, scores = cache.load_predictions(name, split), cache.load_probabilities(name, split)
    artifact = cache.load_artifact(name)
    if artifact is None or predictions is None or scores is None:
        return
    st.markdown(describe_calibration(_test_calibration(artifact.fingerprint, split, predictions.y_true, scores)))


def describe_calibration(found: CalibrationTest) -> str:
    """Return a calibration test in two sentences."""
    low, high = found.interval
    word = "more than chance explains" if found.differs else "no more than chance explains"
    return (
        f"Calibration error **{percent(found.error, 2)}** (95 %: {100 * low:.2f} to {100 * high:.2f} %), {word}: a "
        f"perfectly calibrated model with these confidences would score {percent(found.expected_if_perfect, 2)} in the "
        f"mean on {found.num_images:,} images, and above {percent(found.highest_if_perfect, 2)} in one of twenty."
    )


def show_combined(name: str, key: str) -> None:
    """Show what eight views of each cell and several seeds together get right, or which command measures it.

    Args:
        name: Model of the shelf.
        key: Beginning of the widgets' keys, the page's name.
    """
    rows = current_rows(cache.load_record(COMBINED_FILE), dict(cache.load_shelf().artifacts))
    row = next((one for one in rows if one["model"]["name"] == name), None)
    st.header("More than one look", anchor=False)
    if row is None:
        st.caption(
            ":material/straighten: Eight views of each cell and several seeds together were not measured for this "
            f"model as it is now: `./dev python -m bloodcell measure combined {name}` measures them."
        )
        return
    table = looks_table(row)
    shown = table.assign(**{column: 100 * table[column] for column in table.columns if column != "look"})
    st.caption(
        "A cell turned or mirrored is the same cell: the mean over its eight views is often better than one pass. "
        "Probabilities are calibrated before the mean is taken."
    )
    st.dataframe(
        shown,
        hide_index=True,
        column_config={
            "look": "What is asked",
            **{
                column: st.column_config.NumberColumn(label, format="%.2f %%")
                for column, label in (
                    ("val_accuracy", "Accuracy, val"),
                    ("test_accuracy", "Accuracy, test"),
                    ("test_low", "95 % from"),
                    ("test_high", "to"),
                    ("ece", "Calibration error, test"),
                )
            },
        },
        key=f"{key}_looks",
        alt=f"Accuracy of {name} with one pass, eight views and several seeds",
    )
    shelf = cache.load_shelf()
    elsewhere = describe_members(row, shelf)
    if elsewhere:
        st.caption(f"Not trained where the model itself was: {elsewhere}.")
    if not knows_all_seeds(row, shelf):
        st.caption(
            ":material/history: Other seeds were trained since this was measured: "
            f"`./dev python -m bloodcell measure combined {name}` renews it."
        )
    download_csv(table, f"{name}_looks", key=f"{key}_looks_csv")


def describe_members(row: Mapping[str, Any], shelf: Shelf) -> str:
    """Return which seeds of a row of the record were trained on another backend or device; empty where none was."""
    artifact = shelf.artifacts[row["model"]["name"]]
    runs = [shelf.runs.get(one["name"]) for one in (row["seeds"] or {"members": []})["members"]]
    places = [(run.manifest.seed, describe_place(run, artifact)) for run in runs if run is not None]
    return enumerate_words([f"seed {seed}{place}" for seed, place in places if place])


def knows_all_seeds(row: Mapping[str, Any], shelf: Shelf) -> bool:
    """Whether a row of the record was measured with the very seeds that are there now.

    Args:
        row: Of a model on the shelf.
    """
    artifact = shelf.artifacts[row["model"]["name"]]
    measured = {one["name"]: one["fingerprint"] for one in (row["seeds"] or {}).get("members", ())}
    measured.pop(artifact.name, None)  # whose card may have changed; its weights are looked at elsewhere
    return measured == {one.name: one.fingerprint for one in find_seeds(artifact, shelf.runs)}


@st.cache_data(max_entries=128, show_spinner=False)
def _test_calibration(fingerprint: str, split: str, _y_true: np.ndarray, _scores: np.ndarray) -> CalibrationTest:
    return compare_with_perfect(_y_true, _scores)

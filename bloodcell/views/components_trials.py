"""What was tried for our own networks and whether it helped, as a section of a page."""

import pandas as pd
import streamlit as st

from bloodcell.artifact.tried import KEPT, Tried, load_tried
from bloodcell.views.components import download_csv

WORDS = {"yes": "kept", "no": "not kept", "open": "open"}


def show_trials(key: str, model: str | None = None) -> None:
    """Show the table of trials with a switch for what was kept; nothing where none is recorded.

    Args:
        key: Beginning of the widgets' keys, the page's name.
        model: Only trials of this network; None for all.
    """
    trials = [one for one in load_tried() if model is None or one.model.partition(".")[0] == model.partition(".")[0]]
    if not trials:
        return
    st.header("What was tried", anchor=False)
    num_kept = sum(one.kept == "yes" for one in trials)
    st.caption(
        f"{len(trials)} trials, {num_kept} kept. Each was judged on val; where test had been read before, the note "
        "says so. Differences of a few tenths of a point between two trainings can be chance."
    )
    options = [word for word in KEPT if any(one.kept == word for one in trials)]
    chosen = st.segmented_control(
        "Show", options, format_func=WORDS.__getitem__, selection_mode="multi", default=options, key=f"{key}_tried_kept"
    )
    table = trials_table([one for one in trials if one.kept in (chosen or options)])
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "tried": st.column_config.TextColumn("Tried", width="large"),
            "network": "Network",
            "epochs": st.column_config.NumberColumn("Epochs", format="%d"),
            "val": st.column_config.NumberColumn("Accuracy on val", format="%.2f %%"),
            "outcome": "Outcome",
            "note": st.column_config.TextColumn("Note", width="large"),
        },
        placeholder="–",
        key=f"{key}_tried",
        alt="Trials with their accuracy on val and whether they were kept",
    )
    download_csv(table, "tried", key=f"{key}_tried_csv")


def trials_table(trials: list[Tried]) -> pd.DataFrame:
    """Return trials under a reader's headings, accuracy in percent; epochs are missing where they are not known."""
    return pd.DataFrame(
        {
            "tried": [one.what for one in trials],
            "network": [one.model for one in trials],
            "epochs": pd.array([one.num_epochs or pd.NA for one in trials], dtype="Int64"),
            "val": [100 * one.val_accuracy for one in trials],
            "outcome": [WORDS[one.kept] for one in trials],
            "note": [one.note for one in trials],
        }
    )

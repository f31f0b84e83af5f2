"""The finer types, where a network tells them apart: its numbers in a report, its opinion beside an answer."""

from dataclasses import replace

import numpy as np
import streamlit as st

from bloodcell.dataset import SUBTYPES
from bloodcell.errors import BloodCellError
from bloodcell.inference.classifier import Answer
from bloodcell.inference.finer import FinerOpinion, form_finer_opinions
from bloodcell.views import cache, cache_finer
from bloodcell.views import tables_finer as tables
from bloodcell.views.components import download_csv
from bloodcell.views.quantities import half_width, percent


def show_finer_report(name: str, split: str, key: str) -> None:
    """Show how well a model tells the eleven finer types apart; nothing where it does not.

    Args:
        name: Model of the shelf.
        split: "val" or "test".
        key: Beginning of the widgets' keys, the page's name.
    """
    finer = cache_finer.load_finer(name, split)
    if finer is None:
        return
    st.header("Eleven finer types", anchor=False)
    st.caption(f":material/label: {tables.OWN_LABELS}")
    overall = finer.overall
    figures = (
        ("Accuracy, eleven types", overall.accuracy, overall.accuracy_interval),
        ("Macro F1, eleven types", overall.macro_f1, finer.macro_f1_interval),
    )
    with st.grid(3, min_column_width=160, gap="small"):
        for label, value, (low, high) in figures:
            st.metric(label, f"{percent(value)} ± {100 * half_width(low, high):.1f}")
        st.metric(
            "Images of known type", f"{overall.n:,}", help=f"{finer.num_unknown:,} more are of a known class only"
        )
    st.markdown(tables.describe_anchor(finer, split))
    effect = cache_finer.compare_heads(name, "val")
    if effect is not None:
        st.markdown(tables.describe_effect(effect))
    left, right = st.columns([6, 5], gap="medium")
    with left:
        table = tables.finer_table(finer)
        percentages = {
            column: st.column_config.NumberColumn(label, format="percent")
            for column, label in (("precision", "Precision"), ("recall", "Recall"), ("f1_score", "F1"))
        }
        st.dataframe(
            table,
            hide_index=True,
            height="content",
            column_config={"type": "Type", "class": "Class", "support": "Images", **percentages},
            key=f"{key}_finer",
            alt=f"Precision, recall and F1 of {name} for eleven finer types",
        )
        download_csv(table, f"{name}_{split}_finer", key=f"{key}_finer_csv")
    with right:
        for one in finer.within:
            st.markdown(tables.describe_within(one))
            st.dataframe(
                tables.within_table(one),
                hide_index=True,
                key=f"{key}_within_{one.class_name.replace(' ', '_')}",
                alt=f"Confusion of {name} within class {one.class_name}: true types down, answers across",
            )


def show_finer_opinion(opinion: FinerOpinion, name: str, key: str) -> None:
    """Show a model's finer opinion on a cell that it answered, with how often such opinions are right.

    Args:
        opinion: That of an answer (`Answer.finer`).
        name: The model that answered; one whose numbers over finer types are not known shows none.
        key: Beginning of the widgets' keys, the page's name.
    """
    finer = cache_finer.load_finer(name)
    if finer is None:
        return
    st.markdown(f"**Finer opinion** of {name}. {tables.describe_opinion(opinion, finer)}")
    share = st.column_config.ProgressColumn(
        "Within the class", format="percent", min_value=0.0, max_value=1.0, color="primary"
    )
    st.dataframe(
        tables.opinion_table(opinion),
        hide_index=True,
        column_config={
            "type": "Finer type",
            "share": share,
            "probability": st.column_config.NumberColumn("Probability", format="percent"),
        },
        key=f"{key}_finer_opinion",
        alt=f"Finer types of class {opinion.class_name} by {name}",
    )
    st.caption(f":material/label: {tables.OWN_LABELS}")


def show_finer_answer(answer: Answer, pixels: np.ndarray, key: str) -> None:
    """Show the finer opinion on an answered cell: the answering model's own, or that of the one that has any.

    Args:
        answer: Whose class may have finer types.
        pixels: (64, 64, 3) uint8, what the networks see.
        key: Beginning of the widgets' keys, the page's name.
    """
    if answer.finer is not None:
        show_finer_opinion(answer.finer, answer.model, key)
        return
    if answer.label not in SUBTYPES or answer.probability is None:
        return
    artifact = cache_finer.find_finer_model()
    if artifact is None:
        return
    try:
        engine = cache.load_engine(artifact.name)
        assert engine is not None
        opinion = form_finer_opinions(artifact, engine, pixels[None])[0]
    except BloodCellError as error:
        st.caption(f":material/error: No finer opinion: **{artifact.name}** cannot answer. {error}")
        return
    if opinion is None or opinion.class_name != answer.label:
        seen = "another class" if opinion is None else f"class {opinion.class_name}"
        st.caption(
            f":material/label: No finer opinion: {artifact.name}, which tells finer types apart, sees {seen} here."
        )
        return
    show_finer_opinion(replace(opinion, class_probability=answer.probability), artifact.name, key)

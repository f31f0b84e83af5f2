"""Sections of the Findings page on train cells held out: what val and test are worth, and which labels look wrong."""

from collections.abc import Mapping, Sequence

import streamlit as st

from bloodcell.artifact.crossval import CrossValidation
from bloodcell.dataset import CLASS_NAMES
from bloodcell.dataset.twins import Twin
from bloodcell.errors import ArtifactDamagedError
from bloodcell.evaluation.label_issues import LabelIssues
from bloodcell.views import cache, cache_held_out
from bloodcell.views import figures_findings as figures
from bloodcell.views import tables_findings as tables
from bloodcell.views.cache_figures import draw_plotly
from bloodcell.views.components import chart_with_table, research_use_notice, section, theme_mode
from bloodcell.views.components_findings import CELLS_AT_ONCE, show_answer, show_caveat, show_cells
from bloodcell.views.findings import Finding, Network
from bloodcell.views.findings_held_out import (
    answer_held_out,
    answer_labels,
    collect_scores,
    describe_crossval,
    issue_captions,
    issues_table,
    scores_table,
)


def find_held_out(networks: Mapping[str, Network], twins: Sequence[Sequence[Twin]] | None) -> tuple[Finding, Finding]:
    """Return both answers.

    Args:
        networks: Trained catalog rows by name.
        twins: Images that stand in the dataset more than once; None where the dataset is not here.
    """
    crossvals, problem = _load_if_readable()
    issues = None if problem else cache_held_out.load_label_issues()
    return (
        answer_held_out(crossvals, networks, problem),
        answer_labels(issues, list(crossvals), _find_places(issues, twins), problem),
    )


def show_held_out(finding: Finding, networks: Mapping[str, Network]) -> None:
    """Accuracies on held-out train images beside those on val and test."""
    show_answer(finding)
    if finding.is_answered:
        crossvals, _ = _load_if_readable()
        table = scores_table(collect_scores(crossvals, networks))
        chart_with_table(
            draw_plotly(figures.held_out_figure, table, theme_mode()),
            table,
            "findings_held_out",
            "Accuracy of cross-validated networks on train images held out, on validation and on test, with intervals",
        )
        with st.expander("How these were trained", icon=":material/model_training:"):
            for one in crossvals.values():
                st.markdown(describe_crossval(one))
                st.code(one.origin.command, language="bash", wrap_lines=True)
    show_caveat(finding)


@section
def show_labels(finding: Finding, twins: Sequence[Sequence[Twin]] | None) -> None:
    """Train labels in doubt, as pictures and as a table."""
    show_answer(finding)
    issues = cache_held_out.load_label_issues() if finding.is_answered else None
    if issues is not None and len(issues.rows):
        research_use_notice()
        of = next(iter(cache_held_out.load_crossvals().values())).predictions
        shown = issues.rows[:CELLS_AT_ONCE]
        captions = issue_captions(issues)[:CELLS_AT_ONCE]
        show_cells(shown, of.y_true, of.image_hashes, captions, "findings_labels", "train")
        with st.expander(f"All {len(issues.rows)} labels as a table", icon=":material/table:"):
            st.dataframe(
                issues_table(issues, _find_places(issues, twins)).round(1),
                hide_index=True,
                key="findings_labels_table",
                alt="Train labels that networks contradict which never learned them",
            )
    show_caveat(finding)


def _load_if_readable() -> tuple[dict[str, CrossValidation], str]:
    """Return the cross-validations and an empty text, or none and why they cannot be read."""
    try:
        return cache_held_out.load_crossvals(), ""
    except ArtifactDamagedError as error:
        return {}, str(error)


def _find_places(issues: LabelIssues | None, twins: Sequence[Sequence[Twin]] | None) -> list[str] | None:
    """Return where else in the dataset the images of the labels in doubt stand; None where there is no dataset."""
    if issues is None or twins is None:
        return None
    hashes = next(iter(cache_held_out.load_crossvals().values())).predictions.image_hashes
    split_hashes = cache.load_split("train").image_hashes
    return tables.find_other_places(hashes[issues.rows], twins, split_hashes, CLASS_NAMES, "train")

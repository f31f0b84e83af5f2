"""One cell before all models, in words and as a table: who says what, and what a change of the image did to it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.views.quantities import enumerate_words, probability_text
from bloodcell.views.tables_classify import name_class

Scores = Mapping[str, np.ndarray]
"""(8,) probabilities by model name, in the order of the page."""

MOST_NAMED = 4
"""Models that a sentence lists by name; more are only counted."""

VERDICTS: dict[str, str] = {
    "ok": "an answer may be given",
    "uncertain": "uncertain, better silent",
    "unfamiliar": "unfamiliar, better silent",
    "not_a_cell": "not a cell, better silent",
}
"""What each verdict of a guard means for the reader."""


def answers_of(scores: Scores) -> dict[str, int]:
    """Return each model's answer, a class index."""
    return {name: int(np.argmax(values)) for name, values in scores.items()}


def describe_vote(scores: Scores, label: int | None) -> str:
    """Return in Markdown what most models say of a cell, whether that is right, and who says otherwise.

    Args:
        label: The right class where it is known.
    """
    answers = answers_of(scores)
    if not answers:
        return "No model has answered yet."
    classes, counts = np.unique(list(answers.values()), return_counts=True)
    first = int(classes[np.argmax(counts)])
    if len(classes) > 1 and (counts == counts.max()).sum() > 1:
        return _describe_division(answers, label)
    mark = "" if label is None else f" ({'✓ right' if first == label else '✗ wrong'})"
    if len(answers) == 1:
        name, values = next(iter(scores.items()))
        return f"{name} says **{name_class(first)}**, {probability_text(float(values.max()))}{mark}."
    if len(classes) == 1:
        whole = "Both models say" if len(answers) == 2 else f"All {len(answers)} models say"
        return f"{whole} **{name_class(first)}**{mark}."
    others = [
        f"{_who([name for name, answer in answers.items() if answer == other])} {name_class(other)}"
        for other in sorted((int(one) for one in classes if one != first), key=lambda one: -_count(answers, one))
    ]
    return f"{counts.max()} of {len(answers)} models say **{name_class(first)}**{mark}; {', '.join(others)}."


def _describe_division(answers: Mapping[str, int], label: int | None) -> str:
    """Return what models say that no type has most votes of: every type with its voters, the right one marked."""
    order = sorted(set(answers.values()), key=lambda one: (-_count(answers, one), one))
    parts = []
    for one in order:
        mark = "" if label is None else " (✓ right)" if one == label else " (✗ wrong)"
        parts.append(f"{_who([name for name, answer in answers.items() if answer == one])} **{name_class(one)}**{mark}")
    return f"The {len(answers)} models are divided: {', '.join(parts)}."


def _count(answers: Mapping[str, int], label: int) -> int:
    return sum(answer == label for answer in answers.values())


def _who(names: Sequence[str]) -> str:
    """Return the subject and its verb: `cnn_3 says`, `cnn_3 and cnn_4 say`, `7 say`."""
    if len(names) > MOST_NAMED:
        return f"{len(names)} say"
    listed = enumerate_words(names)
    return f"{listed} {'says' if len(names) == 1 else 'say'}"


def describe_moves(before: Scores, after: Scores) -> str:
    """Return in Markdown whose answers a change of the image changed, and how far their probabilities fell."""
    names = [name for name in after if name in before]
    if not names:
        return ""
    old, new = answers_of(before), answers_of(after)
    moved = [name for name in names if old[name] != new[name]]
    kept = float(np.mean([after[name][old[name]] for name in names]))
    was = float(np.mean([before[name][old[name]] for name in names]))
    share = f"The probability of the first answer went from {probability_text(was)} to {probability_text(kept)}"
    share += "." if len(names) == 1 else " on average."
    if not moved:
        return f"No answer changed. {share}"
    if len(moved) > MOST_NAMED:
        return f"**{len(moved)} of {len(names)} changed their answer.** {share}"
    steps = ", ".join(f"{name} ({CLASS_CODES[old[name]]} → {CLASS_CODES[new[name]]})" for name in moved)
    return f"**{len(moved)} of {len(names)} changed {'its' if len(names) == 1 else 'their'} answer:** {steps}. {share}"


def row_labels(before: Scores, after: Scores, label: int | None) -> list[str]:
    """Return each model's name with a tick or a cross, and both where the change of the image changed that."""
    labels = []
    for name, values in after.items():
        if label is None:
            labels.append(name)
            continue
        marks = ["✓" if int(np.argmax(one)) == label else "✗" for one in (before[name], values)]
        labels.append(f"{name} {marks[0] if marks[0] == marks[1] else '→'.join(marks)}")
    return labels


def scores_table(before: Scores, after: Scores, label: int | None) -> pd.DataFrame:
    """Return one row per model: its answer on the cell as it is and as changed, and all probabilities of the latter."""
    rows = []
    for name, values in after.items():
        first = before[name]
        row: dict[str, object] = {
            "model": name,
            "as it is": name_class(int(first.argmax())),
            "probability as it is": float(first.max()),
            "as changed": name_class(int(values.argmax())),
            "probability as changed": float(values.max()),
        }
        if label is not None:
            row["verdict"] = "✓ right" if int(values.argmax()) == label else "✗ wrong"
        rows.append(row | {class_name: float(value) for class_name, value in zip(CLASS_NAMES, values, strict=True)})
    return pd.DataFrame(rows)

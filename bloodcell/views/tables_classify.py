"""The answers about uploaded images as words and tables; one row per file, or one per file and model."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.views.figures_images import data_address
from bloodcell.views.theme import CLASS_GLYPHS
from bloodcell.views.uploads import CellImage

Scores = Mapping[str, np.ndarray]
"""(8,) probabilities by model name; the first is the model whose answer stands large on the page."""


def name_class(label: int) -> str:
    """Return a class as a reader meets it in a table: its symbol and its name."""
    return f"{CLASS_GLYPHS[label]} {CLASS_NAMES[label]}"


def describe_agreement(scores: Scores) -> str:
    """Return in words how far the models agree about one image."""
    answers = {name: CLASS_NAMES[int(np.argmax(values))] for name, values in scores.items()}
    if not answers:
        return "No model has answered yet."
    first = next(iter(answers.values()))
    num_agreeing = sum(answer == first for answer in answers.values())
    if len(answers) == 1:
        return f"One model has answered; it says {first}."
    if num_agreeing == len(answers):
        return f"{'Both' if len(answers) == 2 else f'All {len(answers)}'} models say {first}."
    others: dict[str, list[str]] = {}
    for name, answer in answers.items():
        if answer != first:
            others.setdefault(answer, []).append(f"{name} ({100 * float(np.max(scores[name])):.1f} %)")
    against = "; ".join(
        f"{' and '.join(names) if len(names) < 3 else ', '.join(names)} {'says' if len(names) == 1 else 'say'} {answer}"
        for answer, names in others.items()
    )
    return f"{num_agreeing} of {len(answers)} models say {first}; {against}."


def describe_batch(cells: Sequence[CellImage], scores: Mapping[str, Scores]) -> str:
    """Return in words what was found in several files.

    Args:
        cells: All files.
        scores: By the key of a file that was answered.
    """
    labels = [int(np.argmax(next(iter(values.values())))) for values in scores.values() if values]
    found = ", ".join(f"{count} {CLASS_NAMES[label]}" for label, count in Counter(labels).most_common())
    num_failed = sum(cell.error is not None for cell in cells)
    sentence = f"{len(cells)} files: {len(labels)} answered" + (f" ({found})" if found else "")
    return sentence + (f", {num_failed} could not be read." if num_failed else ".")


def batch_table(cells: Sequence[CellImage], scores: Mapping[str, Scores]) -> pd.DataFrame:
    """Return one row per file for reading: picture, file, the leading model's answer, who agrees, what to know.

    Probabilities are in per cent; `agree` is there where more than one model has answered.
    """
    rows = []
    for cell in cells:
        values = scores.get(cell.key, {})
        lead = next(iter(values.values()), None)
        row: dict[str, object] = {
            "image": "" if cell.framed is None else data_address(cell.framed.pixels),
            "file": cell.name,
            "answer": "not read" if cell.error else "…" if lead is None else name_class(int(np.argmax(lead))),
            "probability": np.nan if lead is None else 100 * float(np.max(lead)),
        }
        if lead is not None and len(values) > 1:
            num_agreeing = sum(int(np.argmax(other)) == int(np.argmax(lead)) for other in values.values())
            row["agree"] = f"{num_agreeing} of {len(values)}"
        rows.append({**row, "remark": describe_remarks(cell)})
    columns = ["image", "file", "answer", "probability", "agree", "remark"]
    return pd.DataFrame(rows, columns=[column for column in columns if any(column in row for row in rows)])


def describe_remarks(cell: CellImage) -> str:
    """Return why a file could not be read, or what to know about how it was read and framed; may be empty."""
    warning = cell.framed.warning if cell.framed else None
    return cell.error or " ".join((*cell.notes, *((warning,) if warning else ())))


def answers_table(cells: Sequence[CellImage], scores: Mapping[str, Scores]) -> pd.DataFrame:
    """Return one row per file and model, for a spreadsheet; a file that could not be read has one row of its own."""
    rows: list[dict[str, object]] = []
    for cell in cells:
        if cell.error:
            rows.append({"file": cell.name, "status": "error", "remark": cell.error})
        for name, values in scores.get(cell.key, {}).items():
            label = int(np.argmax(values))
            answer = {
                "file": cell.name,
                "status": "ok",
                "label": CLASS_NAMES[label],
                "probability": float(values[label]),
            }
            rows.append({**answer, **by_class(values), "model": name, "remark": describe_remarks(cell)})
    columns = ["file", "status", "label", "probability", *CLASS_NAMES, "model", "remark"]
    return pd.DataFrame(rows, columns=columns).round(6)


def by_class(values: np.ndarray) -> dict[str, float]:
    """Return probabilities by class name."""
    return {name: float(value) for name, value in zip(CLASS_NAMES, values, strict=True)}


def probabilities_table(values: np.ndarray) -> pd.DataFrame:
    """Return one row per class: class, code, probability."""
    return pd.DataFrame({"class": CLASS_NAMES, "code": CLASS_CODES, "probability": np.asarray(values, np.float64)})


def opinions_table(scores: Scores) -> pd.DataFrame:
    """Return one row per model: its answer, the answer's probability, and the probabilities of all classes."""
    rows: list[dict[str, object]] = []
    for name, values in scores.items():
        label = int(np.argmax(values))
        says = {"model": name, "says": name_class(label), "probability": float(values[label])}
        rows.append({**says, **by_class(values)})
    return pd.DataFrame(rows, columns=["model", "says", "probability", *CLASS_NAMES])

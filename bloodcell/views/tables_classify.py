"""The answers about uploaded images as words and tables; one row per cell, or one per cell and model."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bloodcell.cases import Cell, ModelAnswer
from bloodcell.cases.reports import harmless
from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.inference.classifier import Answer
from bloodcell.inference.specimens import remarks_on
from bloodcell.views.figures_images import data_address
from bloodcell.views.theme import CLASS_GLYPHS
from bloodcell.views.uploads import CellImage, Photo

Scores = Mapping[str, np.ndarray]
"""(8,) probabilities by model name; the first is the model whose answer stands large on the page."""

REFUSALS = {"uncertain": "uncertain", "unfamiliar": "unlike the training images", "not_a_cell": "no cell"}
"""Statuses without a label, in the order in which they want a person's look."""


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


def describe_batch(photos: Sequence[Photo], answers: Mapping[str, Answer]) -> str:
    """Return in words what was found in several files or in a field.

    Args:
        photos: All files.
        answers: By the key of a cell that was asked about.
    """
    cells = [cell for photo in photos for cell in photo.cells]
    given = [answers[cell.key] for cell in cells if cell.key in answers]
    named = Counter(answer.label for answer in given if answer.label is not None)
    found = ", ".join(f"{count} {name}" for name, count in named.most_common())
    files = "1 file" if len(photos) == 1 else f"{len(photos)} files"
    if any(photo.is_field for photo in photos):
        files += " with 1 cell" if len(cells) == 1 else f" with {len(cells)} cells"
    parts = [f"{sum(named.values())} answered" + (f" ({found})" if found else "")]
    num_refused = sum(answer.label is None for answer in given)
    num_failed = sum(photo.error is not None for photo in photos)
    parts += [f"{num_refused} refused"] if num_refused else []
    parts += [f"{num_failed} could not be read"] if num_failed else []
    return f"{files}: {', '.join(parts)}."


def group_cells(cells: Sequence[CellImage], answers: Mapping[str, Answer]) -> dict[str, list[CellImage]]:
    """Return the cells by what was said of them: refusals first, then the types in class order.

    Within a group the least certain come first; cells without an answer yet come last of all.
    """
    groups: dict[str, list[CellImage]] = {}
    for status, words in REFUSALS.items():
        groups[words] = [cell for cell in cells if cell.key in answers and answers[cell.key].status == status]
    for label, name in enumerate(CLASS_NAMES):
        groups[name_class(label)] = [cell for cell in cells if cell.key in answers and answers[cell.key].label == name]
    groups["not answered yet"] = [cell for cell in cells if cell.key not in answers]
    return {words: sorted(ones, key=lambda cell: _certainty(answers, cell)) for words, ones in groups.items() if ones}


def _certainty(answers: Mapping[str, Answer], cell: CellImage) -> float:
    answer = answers.get(cell.key)
    return max(answer.probabilities.values()) if answer is not None and answer.probabilities else 0.0


def say_answer(answer: Answer | None) -> str:
    """Return an answer, or the refusal to give one, as it stands in a table and under a picture."""
    if answer is None:
        return "…"
    if answer.label is not None:
        return name_class(CLASS_NAMES.index(answer.label))
    if answer.status == "uncertain":
        return "uncertain: " + " or ".join(answer.prediction_set)
    return REFUSALS.get(answer.status, "not read")


def batch_table(
    photos: Sequence[Photo], answers: Mapping[str, Answer], scores: Mapping[str, Scores] | None = None
) -> pd.DataFrame:
    """Return one row per cell for reading, and one per file without any: picture, name, answer, who agrees, remark.

    Probabilities are in per cent; `agree` is there where more than one model has answered.
    """
    rows = []
    for photo in photos:
        for cell in photo.cells:
            answer, values = answers.get(cell.key), (scores or {}).get(cell.key, {})
            row: dict[str, object] = {
                "image": data_address(cell.frame.pixels),
                "file": cell.name,
                "answer": say_answer(answer),
                "probability": np.nan if answer is None or answer.probability is None else 100 * answer.probability,
            }
            if answer is not None and answer.label is not None and len(values) > 1:
                agreeing = sum(CLASS_NAMES[int(np.argmax(other))] == answer.label for other in values.values())
                row["agree"] = f"{agreeing} of {len(values)}"
            rows.append({**row, "remark": describe_remarks(cell, answer)})
        if not photo.cells:
            row = {"image": "", "file": photo.name, "answer": "not read" if photo.error else "no cell found"}
            rows.append({**row, "probability": np.nan, "remark": photo.error or " ".join(photo.notes)})
    columns = ["image", "file", "answer", "probability", "agree", "remark"]
    return pd.DataFrame(rows, columns=[column for column in columns if any(column in row for row in rows)])


def describe_remarks(cell: CellImage, answer: Answer | None) -> str:
    """Return why a cell was refused, or what to know about how it was read and framed; may be empty."""
    return " ".join(answer.reasons if answer is not None else remarks_on(cell.frame, cell.notes))


def answers_table(photos: Sequence[Photo], answers: Mapping[str, Answer], scores: Mapping[str, Scores]) -> pd.DataFrame:
    """Return one row per cell and model, for a spreadsheet; a file without a cell has one row of its own.

    The first row of a cell is the answer that the page gives, by the model that answers; the other models that are on
    follow. The status is that of the default model's guard. Where it refuses, the rows hold no label. No file name can
    act as a formula.
    """
    rows: list[dict[str, object]] = []
    for photo in photos:
        if photo.error:
            rows.append({"file": photo.name, "status": "error", "remark": photo.error})
        elif not photo.cells:
            rows.append({"file": photo.name, "status": "not_a_cell", "remark": " ".join(photo.notes)})
        for cell in photo.cells:
            answer = answers.get(cell.key)
            place: dict[str, object] = {"file": photo.name, "cell": cell.number}
            place |= dict(zip(("left", "top", "width", "height"), cell.outline, strict=True))
            place |= {"status": answer.status if answer else "", "remark": describe_remarks(cell, answer)}
            if answer is None or answer.probabilities is None:
                rows.append(place | {"model": answer.model if answer else ""})
                continue
            others = {name: values for name, values in scores.get(cell.key, {}).items() if name != answer.model}
            own = np.array([answer.probabilities[name] for name in CLASS_NAMES])
            given: Scores = {answer.model: own, **others}
            for name, values in given.items():
                label = int(np.argmax(values))
                named = {"label": CLASS_NAMES[label], "probability": float(values[label])}
                rows.append(place | (named if answer.status == "ok" else {}) | by_class(values) | {"model": name})
    columns = ["file", "cell", "status", "label", "probability", *CLASS_NAMES, "model"]
    safe = [{column: harmless(value) for column, value in row.items()} for row in rows]
    return pd.DataFrame(safe, columns=[*columns, "left", "top", "width", "height", "remark"]).round(6)


def case_cells(cells: Sequence[CellImage], answers: Mapping[str, Answer], fingerprint: str) -> list[Cell]:
    """Return cells as a differential counts them: the model's answers, nobody's decision."""
    return [
        Cell(
            cell.key,
            position,
            cell.photo,
            cell.name,
            cell.outline,
            "",
            False,
            ModelAnswer.from_answer(answers[cell.key], fingerprint) if cell.key in answers else None,
        )
        for position, cell in enumerate(cells, start=1)
    ]


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

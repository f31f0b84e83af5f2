"""What a model mixes up, as tables: shares, sentences, the pairs, and the single images with every model's answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bloodcell.artifact import Predictions
from bloodcell.dataset import Matching
from bloodcell.evaluation import most_confused_pairs, softmax
from bloodcell.published import load_confusion_matrices
from bloodcell.views.quantities import MISSING, percent

NORMALIZATIONS: dict[str, str] = {"row": "Row %", "column": "Column %", "count": "Counts"}
"""How a cell is expressed: share of the true class, share of the answers, or images; the first is the default."""

IMAGE_ORDERS = {
    True: "most confident mistakes first",
    False: "least confident answers first",
}
"""How the images of a cell are ordered, by whether the cell holds mistakes."""


@dataclass(frozen=True)
class ConfusedPair:
    """One cell off the diagonal: class indices, its images, their share of the true class and of all errors."""

    true: int
    predicted: int
    num_images: int
    share: float
    share_of_errors: float


@dataclass(frozen=True)
class Change:
    """One cell in which two matrices differ: class indices, images in each, difference of shares of the true class."""

    true: int
    predicted: int
    num_first: int
    num_second: int
    difference: float


@dataclass(frozen=True, eq=False)
class Answers:
    """What one model answered for the rows of another model's predictions.

    Attributes:
        name: Name of the model.
        y_pred: (n,) int64 class indices; -1 where the model has no answer for that image.
        confidence: (n,) float64 probability of the answer after temperature; NaN where there is none.
    """

    name: str
    y_pred: np.ndarray
    confidence: np.ndarray

    @property
    def num_missing(self) -> int:
        """Number of rows without an answer."""
        return int((self.y_pred < 0).sum())


def normalize_matrix(confusion_matrix: np.ndarray, normalize: str) -> np.ndarray:
    """Return shares of a confusion matrix, float64: rows or columns sum to 1, or the counts themselves.

    Args:
        confusion_matrix: (classes, classes) counts, rows true, columns predicted.
        normalize: `"row"`, `"column"` or `"count"`. A row or column without images becomes NaN.
    """
    if normalize not in NORMALIZATIONS:
        raise ValueError(f"Expected one of {', '.join(NORMALIZATIONS)}. Received: {normalize!r}")
    counts = np.array(confusion_matrix, dtype=np.float64)
    if normalize == "count":
        return counts
    totals = counts.sum(axis=1, keepdims=True) if normalize == "row" else counts.sum(axis=0, keepdims=True)
    return np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)


def describe_cell(confusion_matrix: np.ndarray, class_names: Sequence[str], true: int, predicted: int) -> str:
    """Return the sentence of one cell, such as "12 neutrophils called immature granulocyte, 1.8 % of neutrophils"."""
    count, total = int(confusion_matrix[true, predicted]), int(confusion_matrix[true].sum())
    share = f", {percent(count / total)} of {plural(class_names[true])}" if total else ""
    verdict = " (right)" if true == predicted else ""
    return f"{count_of(count, class_names[true])} called {class_names[predicted]}{verdict}{share}"


def count_of(count: int, class_name: str) -> str:
    """Return "1 neutrophil", "12 neutrophils"."""
    return f"{count:,} {class_name if count == 1 else plural(class_name)}"


def plural(class_name: str) -> str:
    """Return the plural of a cell type."""
    return f"{class_name}s"


def list_confused_pairs(
    confusion_matrix: np.ndarray, class_names: Sequence[str], limit: int | None = None
) -> list[ConfusedPair]:
    """Return the cells off the diagonal that hold images, most images first; at most `limit` of them."""
    table = most_confused_pairs(confusion_matrix, class_names)
    num_errors = max(int(table["count"].sum()), 1)
    indices = {name: index for index, name in enumerate(class_names)}
    rows = zip(*(table[column] for column in ("true_class", "predicted_class", "count", "share_of_true")), strict=True)
    return [
        ConfusedPair(indices[true], indices[predicted], int(count), float(share), int(count) / num_errors)
        for true, predicted, count, share in rows
    ][:limit]


def list_largest_changes(first: np.ndarray, second: np.ndarray, limit: int | None = None) -> list[Change]:
    """Return the cells in which two matrices differ, largest difference of row shares first; at most `limit`."""
    first, second = np.asarray(first), np.asarray(second)
    difference = np.nan_to_num(normalize_matrix(first, "row")) - np.nan_to_num(normalize_matrix(second, "row"))
    difference = difference.round(12)  # so that shares which are equal on paper are equal here
    true, predicted = np.nonzero(difference)
    order = np.argsort(-np.abs(difference[true, predicted]), kind="stable")[:limit]
    return [
        Change(i, j, int(first[i, j]), int(second[i, j]), float(difference[i, j]))
        for i, j in zip(true[order].tolist(), predicted[order].tolist(), strict=True)
    ]


def matrix_table(values: np.ndarray, class_names: Sequence[str]) -> pd.DataFrame:
    """Return a matrix with class names on both sides: the twin that a keyboard can walk through."""
    index = pd.Index(class_names, name="true \\ answered")
    return pd.DataFrame(np.asarray(values), index=index, columns=list(class_names))


def find_published_matrix(name: str, num_classes: int) -> np.ndarray | None:
    """Return the study's confusion matrix of a network on test, (classes, classes) int64, or None if not published."""
    rows = load_confusion_matrices().query("name == @name")
    if rows.empty:
        return None
    matrix = np.zeros((num_classes, num_classes), dtype=np.int64)
    matrix[rows["true_class"], rows["predicted_class"]] = rows["count"]
    return matrix


def list_published_matrices() -> tuple[str, ...]:
    """Return the networks whose confusion matrix the study prints."""
    return tuple(load_confusion_matrices()["name"].unique())


def collect_answers(name: str, predictions: Predictions, temperature: float, reference: Predictions) -> Answers:
    """Return what a model answered for the images of `reference`, brought to its rows by pixel hash.

    In test, rows whose pixels differ between two files of the dataset are taken by position where the label agrees.

    Args:
        name: Name of the model that answered.
        predictions: Its stored logits.
        temperature: Its divisor of the logits.
        reference: The rows to answer for.
    """
    rows = find_rows(reference, predictions)
    scores = softmax(predictions.logits, temperature)
    found = rows >= 0
    y_pred = np.where(found, scores.argmax(axis=1)[rows], -1)
    confidence = np.where(found, scores.max(axis=1).astype(np.float64)[rows], np.nan)
    return Answers(name, y_pred, confidence)


def find_rows(reference: Predictions, other: Predictions) -> np.ndarray:
    """Return for each row of `reference` the row of `other` about the same image, (n,) int64, -1 for none."""
    num_rows = len(reference.image_hashes)
    if np.array_equal(reference.image_hashes, other.image_hashes):
        return np.arange(num_rows)
    first_row = {image_hash: row for row, image_hash in reversed(list(enumerate(other.image_hashes.tolist())))}
    rows = np.array([first_row.get(image_hash, -1) for image_hash in reference.image_hashes.tolist()], dtype=np.int64)
    if reference.split == other.split == "test":
        shared = np.arange(min(num_rows, len(other.y_true)))
        taken = np.isin(shared, rows)
        by_place = shared[(rows[shared] < 0) & ~taken & (reference.y_true[shared] == other.y_true[shared])]
        rows[by_place] = by_place
    return rows


def select_rows(
    reference: Predictions, true: int, predicted: int, answers: Mapping[str, Answers], called_by: Sequence[str]
) -> np.ndarray:
    """Return the rows of one cell in the order they are shown in.

    Args:
        reference: Predictions whose rows are chosen.
        true, predicted: Class indices of the cell.
        answers: Answers by model.
        called_by: Models of which at least one must have answered `predicted`; the first that did gives the confidence
            by which rows are ordered: the most confident mistakes, or the least confident right answers, come first.
    """
    confidence = np.full(len(reference.y_true), np.nan)
    for name in called_by:
        chosen = (answers[name].y_pred == predicted) & np.isnan(confidence)
        confidence[chosen] = answers[name].confidence[chosen]
    rows = np.flatnonzero((reference.y_true == true) & ~np.isnan(confidence))
    keys = confidence[rows] if true == predicted else -confidence[rows]
    return rows[np.argsort(keys, kind="stable")]


def answers_table(
    rows: np.ndarray, reference: Predictions, answers: Mapping[str, Answers], class_names: Sequence[str]
) -> pd.DataFrame:
    """Return one row per image: place in the split, pixel hash, true class, each model's answer and confidence."""
    names = np.asarray([*class_names, "no stored answer"], dtype=object)
    table = pd.DataFrame(
        {
            "image": rows,
            "pixel hash": [f"{image_hash:016x}" for image_hash in reference.image_hashes[rows].tolist()],
            "true class": names[reference.y_true[rows]],
        }
    )
    for name, answer in answers.items():
        table[name] = names[answer.y_pred[rows]]
        table[f"{name} confidence"] = answer.confidence[rows]
    return table


def describe_answer(answer: Answers, row: int, true: int, class_names: Sequence[str]) -> str:
    """Return one model's answer for one image as a line of Markdown: a tick, or a cross and what it said."""
    label = int(answer.y_pred[row])
    if label < 0:
        return f":small[{MISSING} **{answer.name}** has no stored answer]"
    confidence = percent(float(answer.confidence[row])).replace(" ", "\N{NO-BREAK SPACE}")
    if label == true:
        return f":small[:green[:material/check:] **{answer.name}** {confidence}]"
    return f":small[:red[:material/close:] **{answer.name}** {class_names[label]} {confidence}]"


def describe_matching(matching: Matching) -> str:
    """Return how stored answers were brought to the images of a file, in a sentence."""
    parts = [f"{matching.num_by_pixels:,} stored answers found their image by its pixels"]
    if matching.num_by_position:
        parts.append(f"{matching.num_by_position:,} by their place, the label agreeing")
    parts.append(f"{matching.num_unmatched:,} did not match" if matching.num_unmatched else "none is left over")
    return f"{', '.join(parts)}."

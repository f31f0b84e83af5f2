"""The study's published numbers, as printed: Nushi and Islek, Machine Learning for Human Data, 2024/25.

*Deep Learning for Automated Blood Cell Classification*. A missing value was not published. Accuracies are fractions of
the test split; memory is as printed, in KB/1000 for the two basic CNNs and in bytes/1024² for the others.
"""

import csv
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

STUDY = "Nushi and Islek, Deep Learning for Automated Blood Cell Classification, 2024/25"

_DIRECTORY = Path(__file__).parent


def load_summary() -> "pd.DataFrame":
    """Return one row per network of the study, in its order: accuracy, F1, parameters, memory, step time."""
    return _read("summary").copy()


def published_accuracies() -> dict[str, float]:
    """Return the published test accuracy by network, as fractions; without pandas, for the command line."""
    with open(_DIRECTORY / "summary.csv", encoding="utf-8", newline="") as stream:
        return {row["name"]: float(row["accuracy"]) for row in csv.DictReader(stream) if row["accuracy"]}


def load_reports() -> "pd.DataFrame":
    """Return the published per-class reports: name, class_index, precision, recall, f1_score, support."""
    return _read("reports").copy()


def load_confusion_matrices() -> "pd.DataFrame":
    """Return the published confusion matrices in long form: name, true_class, predicted_class, count."""
    return _read("confusion_matrices").copy()


def load_anchors() -> "pd.DataFrame":
    """Return what others publish for BloodMNIST's test split, as reference points beside the study's and our numbers.

    Returns:
        name, accuracy and its spread over num_seeds trainings (fractions), parameters, image_size (pixels a side),
        weights_from ("ImageNet" or "scratch"), source, remark, and bytes_float32 (four bytes a parameter). What a
        source does not give is missing. None of them gives the bytes as stored.
    """
    table = _read("anchors").copy()
    return table.assign(bytes_float32=4 * table["parameters"])


@cache
def _read(table: str) -> "pd.DataFrame":
    import pandas as pd  # a second that the command line need not wait for

    return pd.read_csv(_DIRECTORY / f"{table}.csv")

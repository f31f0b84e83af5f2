"""The study's published numbers, as printed: Nushi and Islek, Machine Learning for Human Data, 2024/25.

*Deep Learning for Automated Blood Cell Classification*. A missing value was not published. Accuracies are fractions of
the test split; memory is as printed, in KB/1000 for the two basic CNNs and in bytes/1024² for the others.
"""

from functools import cache
from pathlib import Path

import pandas as pd

STUDY = "Nushi and Islek, Deep Learning for Automated Blood Cell Classification, 2024/25"

_DIRECTORY = Path(__file__).parent


def load_summary() -> pd.DataFrame:
    """Return one row per network of the study, in its order: accuracy, F1, parameters, memory, step time."""
    return _read("summary").copy()


def load_reports() -> pd.DataFrame:
    """Return the published per-class reports: name, class_index, precision, recall, f1_score, support."""
    return _read("reports").copy()


def load_confusion_matrices() -> pd.DataFrame:
    """Return the published confusion matrices in long form: name, true_class, predicted_class, count."""
    return _read("confusion_matrices").copy()


@cache
def _read(table: str) -> pd.DataFrame:
    return pd.read_csv(_DIRECTORY / f"{table}.csv")

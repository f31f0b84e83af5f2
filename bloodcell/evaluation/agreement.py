"""What a model mixes up, and where several models disagree about the same image."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def most_confused_pairs(confusion_matrix: np.ndarray, class_names: Sequence[str]) -> "pd.DataFrame":
    """Return the mistakes of a confusion matrix, most frequent first; ties in the order of the classes.

    Args:
        confusion_matrix: (classes, classes) counts, rows true, columns predicted.
        class_names: One name per row.

    Returns:
        Columns true_class, predicted_class, count, share_of_true (of the images of the true class, in (0, 1]); one row
        per kind of mistake that occurs.
    """
    import pandas as pd

    matrix = np.asarray(confusion_matrix)
    if matrix.shape != (len(class_names), len(class_names)):
        raise ValueError(f"Expected a square matrix of {len(class_names)} classes. Received: {matrix.shape}")
    errors = matrix - np.diag(np.diagonal(matrix))
    true_index, predicted_index = np.nonzero(errors)
    counts = errors[true_index, predicted_index]
    order = np.argsort(-counts, kind="stable")
    true_index, predicted_index, counts = true_index[order], predicted_index[order], counts[order]
    names = np.array(class_names, dtype=object)
    return pd.DataFrame(
        {
            "true_class": names[true_index],
            "predicted_class": names[predicted_index],
            "count": counts,
            "share_of_true": counts / matrix.sum(axis=1)[true_index],
        }
    )


def compare_predictions(y_true: np.ndarray, predictions: Mapping[str, np.ndarray]) -> "pd.DataFrame":
    """Return what several models say about the same images, one row per image.

    Args:
        y_true: (n,) class indices.
        predictions: Per model, (n,) predicted class indices of the same images.

    Returns:
        Columns index (row in the split), y_true, one per model under its name, then num_right (how many models are
        right) and agree (whether all say the same).
    """
    import pandas as pd

    y_true = np.asarray(y_true)
    if not predictions:
        raise ValueError("Expected at least one model's predictions. Received: none")
    for name, y_pred in predictions.items():
        if np.shape(y_pred) != y_true.shape:
            raise ValueError(f"Expected {y_true.shape} predictions. Received: {np.shape(y_pred)} of {name}")
    table = np.column_stack(list(predictions.values()))
    columns = {"index": np.arange(len(y_true)), "y_true": y_true, **dict(zip(predictions, table.T, strict=True))}
    columns["num_right"] = (table == y_true[:, None]).sum(axis=1)
    columns["agree"] = (table == table[:, :1]).all(axis=1)
    return pd.DataFrame(columns)

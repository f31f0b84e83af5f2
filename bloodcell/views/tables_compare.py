"""Networks of the study that are not trained here, as rows beside those that are: the comparison is complete anyway."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bloodcell.models.catalog import CATALOG

BYTES_PER_MB = 1024**2


def untrained_rows(
    table: pd.DataFrame, published: pd.DataFrame, graphs: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Return the study's networks that the leaderboard lacks, in its columns, best published accuracy first.

    What only a training gives is missing (NaN); size and parameters are those of the graph.

    Args:
        table: The leaderboard.
        published: The study's summary.
        graphs: `models.graphs.load_graphs()`.
    """
    trained = set(table["name"])
    rows = [
        {
            "name": row["name"],
            "family": CATALOG[row["name"]].family,
            "origin": CATALOG[row["name"]].origin,
            "published_accuracy": row["accuracy"],
            "parameters": graphs[row["name"]]["parameters"],
            "weights_mb": 4 * graphs[row["name"]]["parameters"] / BYTES_PER_MB,
            "published_memory_mb": row["memory_mb"],
            "published_step_time_ms": row["step_time_ms"],
        }
        for row in published.to_dict("records")
        if row["name"] not in trained and row["name"] in CATALOG
    ]
    found = pd.DataFrame(rows, columns=list(table.columns))
    numeric = [column for column in table.columns if pd.api.types.is_numeric_dtype(table[column])]
    found[numeric] = found[numeric].astype(float)
    return found.sort_values("published_accuracy", ascending=False, ignore_index=True)


def place_published(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the size of the graph where the study printed an accuracy and no memory, for drawing."""
    sizes = table["published_memory_mb"].fillna(table["weights_mb"])
    return table.assign(published_memory_mb=np.where(table["published_accuracy"].notna(), sizes, np.nan))

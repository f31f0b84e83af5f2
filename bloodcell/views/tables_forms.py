"""Exported forms and more than one look, from their records, as points of a chart, tables and sentences."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bloodcell.artifact import Artifact
from bloodcell.artifact.store import WEIGHTS_FILE
from bloodcell.inference.benchmark import Benchmark
from bloodcell.views.tables import family_name

BYTES_PER_MB = 1024**2
FORM_COLUMNS = ("name", "family", "precision", "cost", "accuracy", "low", "high", "main_cost", "main_accuracy", "on")


def current_rows(record: Mapping[str, Any] | None, artifacts: Mapping[str, Artifact]) -> list[dict[str, Any]]:
    """Return the rows of a record whose model is on the shelf with the weights that were measured."""
    if record is None:
        return []
    return [row for row in record["rows"] if _is_current(row, artifacts.get(row["model"]["name"]))]


def form_table(rows: list[dict[str, Any]], benchmark: Benchmark | None) -> pd.DataFrame:
    """Return one row per measured form of a model.

    Returns:
        name, precision, form_mb (bytes of the file / 1024²), val_accuracy, test_accuracy, test_low, test_high, changed
        (answers on test that differ from the stored ones), latency_ms and step_time_ms from the benchmark record, NaN
        where this form was not timed.
    """
    times = _form_times(benchmark)
    columns = ["name", "precision", "form_mb", "val_accuracy", "test_accuracy", "test_low", "test_high", "changed"]
    table = pd.DataFrame(
        [
            (
                row["model"]["name"],
                row["precision"],
                row["litert_bytes"] / BYTES_PER_MB,
                row["val"]["share"],
                row["test"]["share"],
                *row["test"]["interval"],
                row["test"]["changed"],
            )
            for row in rows
            if "error" not in row
        ],
        columns=columns,
    )
    keys = list(zip(table["name"], table["precision"], strict=True))
    table["latency_ms"] = [times.get(key, (np.nan, np.nan))[0] for key in keys]
    table["step_time_ms"] = [times.get(key, (np.nan, np.nan))[1] for key in keys]
    return table


def form_points(forms: pd.DataFrame, leaderboard: pd.DataFrame, cost: str, on: Collection[str]) -> pd.DataFrame:
    """Return exported forms as small points beside the models' own, in percent, with the columns of FORM_COLUMNS.

    Args:
        forms: What `form_table` returns.
        leaderboard: The models that are drawn.
        cost: Column of the leaderboard on the axis; a form's size is that of its file.
        on: Names of the models that are on.
    """
    own_cost = {"weights_mb": "form_mb"}.get(cost, cost)
    if own_cost not in forms.columns:
        return pd.DataFrame(columns=list(FORM_COLUMNS))
    models = leaderboard.set_index("name")
    shown = forms[forms["name"].isin(models.index) & forms[own_cost].notna()]
    own = models.loc[shown["name"]]
    return pd.DataFrame(
        {
            "name": shown["name"].to_numpy(),
            "family": [family_name(family) for family in own["family"]],
            "precision": shown["precision"].to_numpy(),
            "cost": shown[own_cost].to_numpy(),
            "accuracy": 100 * shown["test_accuracy"].to_numpy(),
            "low": 100 * shown["test_low"].to_numpy(),
            "high": 100 * shown["test_high"].to_numpy(),
            "main_cost": own[cost].to_numpy(),
            "main_accuracy": 100 * own["test_accuracy"].to_numpy(),
            "on": shown["name"].isin(list(on)).to_numpy(),
        },
        columns=list(FORM_COLUMNS),
    )


def looks_table(row: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per way of looking at the cells: one pass, eight views, each seed, all seeds together.

    Args:
        row: One model's of `combined.json`.

    Returns:
        look, val_accuracy, test_accuracy, test_low, test_high, ece; fractions.
    """
    looks = [("one pass", row["single"]), ("mean of eight symmetric views", row["views"])]
    seeds = row["seeds"]
    if seeds is not None:
        members = zip(seeds["members"], seeds["single"], strict=True)
        looks += [(f"seed {member['seed']}, one pass", numbers) for member, numbers in members]
        looks.append((f"mean of {len(seeds['members'])} seeds", seeds["ensemble"]))
    return pd.DataFrame(
        [
            (
                label,
                numbers["val"]["share"],
                numbers["test"]["share"],
                *numbers["test"]["interval"],
                numbers["test"]["ece"],
            )
            for label, numbers in looks
        ],
        columns=["look", "val_accuracy", "test_accuracy", "test_low", "test_high", "ece"],
    )


def _is_current(row: Mapping[str, Any], artifact: Artifact | None) -> bool:
    return artifact is not None and row["model"]["files"].get(WEIGHTS_FILE) == artifact.manifest.files.get(WEIGHTS_FILE)


def _form_times(benchmark: Benchmark | None) -> dict[tuple[str, str], tuple[float, float]]:
    """Return (ms for one image, ms for 32) by model and precision, LiteRT alone."""
    if benchmark is None:
        return {}
    return {
        (row["name"], row["precision"]): (float(row["latency_ms_median"]), float(row["step_time_ms"]))
        for row in benchmark.record["rows"]
        if row["engine"] == "litert"
    }

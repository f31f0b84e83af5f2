"""The records of `measure trust`, `robustness` and `unseen` as words and tables."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bloodcell.views.quantities import MISSING, percent

Record = Mapping[str, Any]

STATUS_WORDS = {
    "ok": "answered",
    "uncertain": "uncertain",
    "unfamiliar": "unfamiliar",
    "not_a_cell": "no cell",
}
MEASURES = {"accuracy": "named rightly", "refused": "refused", "wrong_answers": "wrong among answered"}
AIMS = {
    "answered": (0.98, "at least 98 %"),
    "right": (0.997, "at least 99.7 %"),
    "foreign": (0.95, "at least 95 %"),
    "noncells": (0.99, "at least 99 %"),
}
"""What was aimed at, as a share, by the figure on top of the page."""


def count_text(one: Record) -> str:
    """Return a share's counts, such as `3,380 of 3,421`."""
    return f"{one['count']:,} of {one['n']:,}"


def interval_text(one: Record, digits: int = 1) -> str:
    """Return a share's 95 % interval, such as `98.4 to 99.2 %`."""
    if one["interval"] is None:
        return MISSING
    low, high = one["interval"]
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f} %"


def headline_shares(record: Record) -> list[tuple[str, str, Record | None]]:
    """Return the four figures on top of the page: (key of `AIMS`, label, share), None where it was not measured."""
    fields = record["fields"]
    return [
        ("answered", "Test cells answered", record["test"]["answered"]),
        ("right", "Right among answered", record["test"]["right"]),
        ("foreign", "Foreign stain refused", None if fields is None else fields["white_cells"]["refused"]),
        ("noncells", "Non-cells refused", record["noncells"]["refused"]),
    ]


def describe_aim(key: str, one: Record) -> str:
    """Return whether a figure meets its aim, in words with a mark."""
    aim, words = AIMS[key]
    met = one["share"] is not None and one["share"] >= aim
    return f"{'✓' if met else '✗'} aim: {words}{'' if met else ', missed'}"


def describe_example(one: Record) -> str:
    """Return in words what became of a test cell: the wrong name, the types that remained, or why it was refused."""
    if one["status"] == "ok":
        return f"called {one['possible'][0]}"
    if one["status"] == "uncertain":
        return f"possible: {', '.join(one['possible'])}"
    return one["reasons"][0]


def statuses_table(record: Record) -> pd.DataFrame:
    """Return what became of the test cells: one row per class and one for all; counts."""
    test = record["test"]
    rows = [{"type": one["name"], **_counts(one)} for one in test["per_class"]]
    rows.append({"type": "all", **_counts(test)})
    return pd.DataFrame(rows)


def coverage_table(record: Record, coverage: float) -> pd.DataFrame:
    """Return per class how often the set of possible types held the right one: type, cells, held, share, low, high."""
    chosen = next(one for one in record["coverages"] if one["coverage"] == coverage)
    rows = [{"type": one["name"], **_columns(one)} for one in chosen["per_class"]]
    rows.append({"type": "all", **_columns(chosen["covered"])})
    return pd.DataFrame(rows).rename(columns={"count": "held"})


def choices_table(record: Record) -> pd.DataFrame:
    """Return what each coverage on offer brings: coverage, held, size, answered, right among answered, wrong ones."""
    return pd.DataFrame(
        [
            {
                "coverage": one["coverage"],
                "held": one["covered"]["share"],
                "size": one["mean_size"],
                "answered": one["answered"]["share"],
                "right": one["right"]["share"],
                "wrong": one["right"]["n"] - one["right"]["count"],
            }
            for one in record["coverages"]
        ]
    )


def noncells_table(record: Record) -> pd.DataFrame:
    """Return one row per kind of picture without a cell: kind, pictures, refused, share, low, high and the statuses."""
    rows = [{"kind": one["name"], **_columns(one["refused"]), **_words(one["statuses"])} for one in record["kinds"]]
    return pd.DataFrame(rows).rename(columns={"count": "refused", "n": "pictures"})


def fields_table(record: Record) -> pd.DataFrame:
    """Return one row per half of the fields and framing: fields, margin, cells, refused, share, low, high, statuses."""
    rows = [
        {"fields": half, "frame": one["margin"], **_columns(one["refused"]), **_words(one["statuses"])}
        for half in ("even", "odd")
        for one in record["framings"][half]
    ]
    return pd.DataFrame(rows).rename(columns={"count": "refused", "n": "cells"})


def robustness_table(record: Record, key: str | None = None) -> pd.DataFrame:
    """Return one row per model, corruption and severity with three shares; severity 0 is the unspoiled image.

    Args:
        key: Only this corruption, with the unspoiled images as its severity 0; None for all rows as measured.
    """
    names = {one["key"]: one["name"] for one in record["corruptions"]}
    rows = []
    for row in record["rows"]:
        if key is not None and row["corruption"] not in (key, None):
            continue
        rows.append(
            {
                "model": row["model"],
                "spoiled by": "nothing" if row["corruption"] is None else names[row["corruption"]],
                "severity": row["severity"],
                **{words: _number(row[name]["share"]) for name, words in MEASURES.items()},
            }
        )
    return pd.DataFrame(rows)


def describe_worst(record: Record) -> str:
    """Return which spoiling lets most wrong answers of the guarded model through, and where none matters."""
    rows = [row for row in record["rows"] if row["model"] == record["model"]["name"] and row["corruption"]]
    names = {one["key"]: one["name"] for one in record["corruptions"]}
    worst = max(rows, key=lambda row: row["refused"]["n"] and row["wrong_answers"]["count"] / row["refused"]["n"])
    wrong, total = worst["wrong_answers"], worst["refused"]["n"]
    return (
        f"Most wrong answers slip through under **{names[worst['corruption']]}**, severity {worst['severity']}: "
        f"{wrong['count']:,} of {total:,} cells ({percent(wrong['count'] / total)})."
    )


def unseen_table(record: Record) -> pd.DataFrame:
    """Return one row per type that was left out: cells, refused, share, low, high, and what the others were called."""
    rows = []
    for one in record["types"]:
        called = sorted(one["called"].items(), key=lambda item: -item[1])
        words = ", ".join(f"{name} {count}" for name, count in called) or MISSING
        rows.append({"type never seen": one["name"], **_columns(one["refused"]), "called instead": words})
    return pd.DataFrame(rows).rename(columns={"count": "refused", "n": "cells"})


def _counts(one: Record) -> dict[str, Any]:
    statuses = one["statuses"]
    answered, right = one["answered"], one["right"]
    return {
        "cells": answered["n"],
        **_words(statuses),
        "right": right["count"],
        "wrong": right["n"] - right["count"],
        "share right": _number(right["share"]),
    }


def _words(statuses: Record) -> dict[str, int]:
    return {STATUS_WORDS[status]: count for status, count in statuses.items()}


def _columns(one: Record) -> dict[str, Any]:
    low, high = one["interval"] or (np.nan, np.nan)
    return {"n": one["n"], "count": one["count"], "share": _number(one["share"]), "low": low, "high": high}


def _number(value: float | None) -> float:
    return np.nan if value is None else value

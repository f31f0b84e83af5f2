"""The leaderboard as a reader sees it, and the three answers on top of it. Numbers in, tables out."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from bloodcell.evaluation.comparison import choose_default
from bloodcell.models.catalog import FAMILIES
from bloodcell.views.quantities import half_width
from bloodcell.views.selection import GOOD_ACCURACY, OWN
from bloodcell.views.theme import family_style

if TYPE_CHECKING:
    from bloodcell.inference.benchmark import Benchmark

OWN_MARK = " · your own"
MOST_ACCURATE, LIGHTEST, BEST_TRADE_OFF = "Most accurate", "Lightest above 95 %", "Best trade-off"


@dataclass(frozen=True)
class Answer:
    """One card of the Overview: a question's short answer.

    Attributes:
        title: The card's heading.
        name: The model, or None where no model qualifies.
        accuracy, low, high: Test accuracy and its Wilson 95 % interval, fractions.
        weights_mb: float32 weights, bytes / 1024².
        latency_ms: Median of one image; NaN where nothing was timed.
        gain: Accuracy minus the study's best published accuracy, a fraction.
        size_ratio: Published size of the study's best network divided by this size; NaN where it was not published.
        rule: How it was chosen, in a sentence.
        equals: Other models that are as accurate, where accuracy decided.
    """

    title: str
    name: str | None
    accuracy: float = math.nan
    low: float = math.nan
    high: float = math.nan
    weights_mb: float = math.nan
    latency_ms: float = math.nan
    gain: float = math.nan
    size_ratio: float = math.nan
    rule: str = ""
    equals: tuple[str, ...] = ()


def find_answers(table: pd.DataFrame, published: pd.DataFrame) -> tuple[Answer, ...]:
    """Return the most accurate model, the lightest above 95 %, and the best trade-off, among the project's models.

    Args:
        table: The leaderboard; models of the user's own are left out.
        published: The study's summary.
    """
    table = table[table["origin"] != OWN]
    good = table[table["test_accuracy"] > GOOD_ACCURACY]
    chosen = (
        (
            MOST_ACCURATE,
            table.sort_values(["test_accuracy", "weights_mb"], ascending=[False, True]),
            "The highest accuracy on the test images, among the project's models as shipped, one training each: "
            "Findings compares means over seeds. Of equals the lighter one stands first.",
        ),
        (
            LIGHTEST,
            good.sort_values("weights_mb"),
            "The smallest float32 weights among the project's models above 95 % on the test images.",
        ),
        (
            BEST_TRADE_OFF,
            table if table.empty else table[table["name"] == choose_default(table)],
            "The fastest of the project's networks within 0.2 points of the best validation accuracy; test images have "
            "no say, and another head or training of a network (NAME.TAG) is left out. It is also the classifier that "
            "answers by default.",
        ),
    )
    best = best_published(published)
    answers = [
        Answer(title, None, rule=rule) if rows.empty else _answer(title, rows.iloc[0], best, rule)
        for title, rows, rule in chosen
    ]
    equals = table.loc[(table["test_accuracy"] == answers[0].accuracy) & (table["name"] != answers[0].name), "name"]
    return (replace(answers[0], equals=tuple(equals)), *answers[1:])


def best_published(published: pd.DataFrame) -> pd.Series:
    """Return the row of the study's summary with the highest accuracy."""
    return published.sort_values("accuracy", ascending=False).iloc[0]


def _answer(title: str, row: pd.Series, best: pd.Series, rule: str) -> Answer:
    return Answer(
        title=title,
        name=row["name"],
        accuracy=row["test_accuracy"],
        low=row["test_low"],
        high=row["test_high"],
        weights_mb=row["weights_mb"],
        latency_ms=row["latency_ms"],
        gain=row["test_accuracy"] - best["accuracy"],
        size_ratio=best["memory_mb"] / row["weights_mb"],
        rule=rule,
    )


def leaderboard_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the leaderboard in a reader's units and order of columns, ranked by test accuracy.

    Equal accuracies share a rank, and what is not trained has none. Accuracies are percent, `bar` repeats the accuracy
    as a fraction for a bar.
    """
    margins = [half_width(low, high) for low, high in zip(table["test_low"], table["test_high"], strict=True)]
    return pd.DataFrame(
        {
            "rank": table["test_accuracy"].rank(method="min", ascending=False).astype("Int64"),
            "name": table["name"],
            "measured": 100 * table["test_accuracy"],
            "margin": [100 * margin for margin in margins],
            "bar": table["test_accuracy"],
            "weights_mb": table["weights_mb"],
            "latency_ms": table["latency_ms"],
            "published": 100 * table["published_accuracy"],
            "f1": 100 * table["weighted_f1"],
            "parameters": table["parameters"],
            "family": [
                f"{family_style(family, 'light').glyph} {family_name(family)}{OWN_MARK if origin == OWN else ''}"
                for family, origin in zip(table["family"], table["origin"], strict=True)
            ],
        }
    )


def comparison_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return every number of the leaderboard in a reader's units, one row per model: the table of the Compare page."""
    short = leaderboard_table(table).drop(columns="bar")
    return short.assign(
        validation=100 * table["val_accuracy"],
        step_time_ms=table["step_time_ms"],
        ece=100 * table["ece"],
        published_memory_mb=table["published_memory_mb"],
        published_step_time_ms=table["published_step_time_ms"],
        epochs=table["epochs"],
    )


def limit_options(values: pd.Series) -> list[float]:
    """Return the limits 1, 2, 5, 10 … that would leave some of the values and take others, ascending."""
    known = values.dropna()
    steps = [digit * 10.0**power for power in range(-3, 5) for digit in (1, 2, 5)]
    return [] if known.empty else [step for step in steps if known.min() < step < known.max()]


def describe_benchmark(benchmark: "Benchmark") -> str:
    """Say in a phrase on which machine, when and with how many threads times were measured."""
    machine = benchmark.machine
    return (
        f"{machine['processor']}, {machine['num_cores']} cores, LiteRT (float16) with {benchmark.threads} threads, "
        f"{benchmark.date[:10]}"
    )


def family_name(family: str) -> str:
    """Return a family's name as a reader knows it."""
    return FAMILIES.get(family, family)

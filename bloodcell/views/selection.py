"""Which models are on: the order of the list, the first choice, the quick choices, and who wins, URL or reader.

Numbers in, names out; nothing here imports Streamlit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bloodcell.models.catalog import FAMILIES

SMALL_MB = 1.0
GOOD_ACCURACY = 0.95
# The study's comparison table holds the networks whose step time it published: its eight.
STUDY = "study"
OURS = "ours"
# A model that this user trained, on the Train page or with `train --own`.
OWN = "own"
LONGEST_NUMBER = 9
"""Digits of the longest number that an address may bring: no row, seed or cell has more."""
# A browser that has not yet heard of a new address may send the old one this long.
STALE_ADDRESS_S = 2.0


@dataclass(frozen=True)
class Address:
    """What was last written into the URL under one parameter.

    Attributes:
        written: Values that this session put there.
        replaced: Values that stood there before, or None.
        time: Seconds of the monotonic clock at that moment.
        page: The visit of a page that wrote it; a page switch drops parameters from the URL.
    """

    written: tuple[str, ...]
    replaced: tuple[str, ...] | None
    time: float
    page: str


def brings_news(in_url: tuple[str, ...] | None, last: Address | None, now: float) -> bool:
    """Return whether the URL holds a choice that did not come from this session: a link, or back and forward.

    Args:
        in_url: Values of the parameter as the browser sent them, or None where the URL does not have it.
        last: What this session wrote last, or None.
        now: Seconds of the monotonic clock.
    """
    if in_url is None or (last is not None and in_url == last.written):
        return False
    return last is None or in_url != last.replaced or now - last.time > STALE_ADDRESS_S


def read_number(text: str) -> int | None:
    """Return the whole number of 0 or more that an address brings; None if it is none, or longer than any row's."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER else None


def family_order(table: pd.DataFrame) -> list[str]:
    """Return a leaderboard's names by family, ours first, then in the catalog's order; lightest first within one.

    The user's own models come last.
    """
    ranks = {family: rank for rank, family in enumerate(FAMILIES)}
    columns = ("origin", "family", "weights_mb", "name")
    rows = zip(*(table[column].tolist() for column in columns), strict=True)
    ranked = sorted(
        (origin == OWN, origin != OURS, ranks.get(family, len(ranks)), weights_mb, name)
        for origin, family, weights_mb, name in rows
    )
    return [name for *_, name in ranked]


def known_names(values: Sequence[str], names: Sequence[str]) -> list[str] | None:
    """Return the names that a URL parameter's values hold, in their own order; None if it holds only unknown ones."""
    wanted = [value for value in values if value]
    known = [name for name in names if name in wanted]
    return known if known or not wanted else None


def study_best(table: pd.DataFrame) -> str | None:
    """Return the study's network with the best val accuracy here, or None if none is trained."""
    study = table[table["origin"] == STUDY]
    return _first(study.sort_values("val_accuracy", ascending=False))


def study_lightest_good(table: pd.DataFrame) -> str | None:
    """Return the study's smallest network above 95 % on val here, or None if none reaches it."""
    good = table[(table["origin"] == STUDY) & (table["val_accuracy"] > GOOD_ACCURACY)]
    return _first(good.sort_values("weights_mb"))


def _first(table: pd.DataFrame) -> str | None:
    return None if table.empty else str(table["name"].iloc[0])


def default_selection(table: pd.DataFrame, default_model: str | None) -> list[str]:
    """Return the first choice of a new reader: the default classifier, the study's best, its lightest good one."""
    wanted = {default_model, study_best(table), study_lightest_good(table)}
    return [name for name in family_order(table) if name in wanted]


def quick_selections(table: pd.DataFrame, published: pd.DataFrame) -> dict[str, tuple[list[str], str]]:
    """Return label -> (names, what it means) of the quick buttons, in their order.

    Args:
        table: The leaderboard.
        published: The study's summary.
    """
    names = family_order(table)
    eight = set(published.loc[published["step_time_ms"].notna(), "name"])
    small = set(table.loc[table["weights_mb"] < SMALL_MB, "name"])
    own = [name for name in names if name in set(table.loc[table["origin"] == OWN, "name"])]
    best = _first(table[table["origin"] != OWN].sort_values("val_accuracy", ascending=False))
    present = [name for name in names if name in eight]
    quick = {
        "best": ([] if best is None else [best], "The project's model with the best validation accuracy"),
        "study's eight": (
            present,
            f"The {len(eight)} networks of the study's comparison table; {len(present)} of them are trained here",
        ),
        "small ones": (
            [name for name in names if name in small],
            f"Every model whose weights take less than {SMALL_MB:g} MB as float32",
        ),
        "all": (names, "Every trained model"),
        "own": (own, "The models that you trained on the Train page"),
        "none": ([], "Switch all off"),
    }
    return quick if own else {label: choice for label, choice in quick.items() if label != "own"}

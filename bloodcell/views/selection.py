"""Which models are on: the order of the list, the first choice, and the quick choices. Numbers in, names out."""

import pandas as pd

SMALL_MB = 1.0
GOOD_ACCURACY = 0.95
# The study's comparison table holds the networks whose step time it published: its eight.
STUDY = "study"
_FAMILY_ORDER = ("hemanet", "cnn", "resnet", "inception", "vgg")


def family_order(table: pd.DataFrame) -> list[str]:
    """Return the names of a leaderboard by family, ours first, and by name within a family."""
    ranks = {family: rank for rank, family in enumerate(_FAMILY_ORDER)}
    rows = table.assign(rank=table["family"].map(lambda family: ranks.get(family, len(ranks))))
    return rows.sort_values(["rank", "family", "name"])["name"].tolist()


def study_best(table: pd.DataFrame) -> str | None:
    """Return the study's network with the best val accuracy here, or None if none is trained."""
    study = table[table["origin"] == STUDY]
    return None if study.empty else study.loc[study["val_accuracy"].idxmax(), "name"]


def study_lightest_good(table: pd.DataFrame) -> str | None:
    """Return the study's smallest network above 95 % on val here, or None if none reaches it."""
    good = table[(table["origin"] == STUDY) & (table["val_accuracy"] > GOOD_ACCURACY)]
    return None if good.empty else good.loc[good["weights_mb"].idxmin(), "name"]


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
    best = [] if table.empty else [table.loc[table["val_accuracy"].idxmax(), "name"]]
    present = [name for name in names if name in eight]
    return {
        "best": (best, "The model with the best validation accuracy"),
        "study's eight": (
            present,
            f"The {len(eight)} networks of the study's comparison table; {len(present)} of them are trained here",
        ),
        "small ones": (
            [name for name in names if name in small],
            f"Every model whose weights take less than {SMALL_MB:g} MB as float32",
        ),
        "all": (names, "Every trained model"),
        "none": ([], "Switch all off"),
    }

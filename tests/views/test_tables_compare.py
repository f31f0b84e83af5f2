"""The comparison holds all of the study's networks, trained or not."""

import numpy as np
import pandas as pd

from bloodcell.models import CATALOG
from bloodcell.models.graphs import load_graphs
from bloodcell.published import load_summary
from bloodcell.views import cache
from bloodcell.views.figures_compare import linked_cost_charts, scatter_points
from bloodcell.views.tables import comparison_table
from bloodcell.views.tables_compare import place_published, untrained_rows

TRAINED = pd.DataFrame(
    [
        {
            "name": "cnn_4", "family": "cnn", "origin": "study", "published_accuracy": 0.8878, "test_accuracy": 0.96,
            "test_low": 0.95, "test_high": 0.97, "val_accuracy": 0.96, "weighted_f1": 0.96, "parameters": 130_792,
            "weights_mb": 0.499, "latency_ms": 0.07, "step_time_ms": 1.0, "ece": 0.01, "published_memory_mb": 0.51,
            "published_step_time_ms": 6.65, "dataset": "a file", "epochs": "20",
        }
    ],
    columns=list(cache.LEADERBOARD_COLUMNS),
)  # fmt: skip


def everything():
    return pd.concat([TRAINED, untrained_rows(TRAINED, load_summary(), load_graphs())], ignore_index=True)


def test_all_nineteen_are_there_once():
    table = everything()
    study = {name for name, spec in CATALOG.items() if spec.origin == "study"}
    assert set(table["name"]) == study and len(table) == len(study) == 19
    untrained = table.iloc[1:]
    assert untrained["test_accuracy"].isna().all() and untrained["latency_ms"].isna().all()
    assert untrained["published_accuracy"].is_monotonic_decreasing
    row = table.set_index("name").loc["resnet18"]
    assert (row["published_accuracy"], row["published_memory_mb"], row["parameters"]) == (0.9567, 42.71, 11_195_016)


def test_the_full_table_ranks_only_what_is_trained():
    numbers = comparison_table(everything())
    assert numbers["rank"].iloc[0] == 1
    assert numbers["rank"].iloc[1:].isna().all() and numbers["measured"].iloc[1:].isna().all()
    assert numbers["published"].notna().all()


def test_untrained_networks_are_drawn_as_published_points_alone():
    points = scatter_points(place_published(everything()), "weights_mb", "published_memory_mb", ())
    assert len(points) == 19 and points["published_cost"].notna().all()
    assert points.loc[points["cost"].notna(), "name"].tolist() == ["cnn_4"]
    assert points["front"].tolist() == [True] + [False] * 18
    sizes = points.set_index("name")["published_cost"]
    assert sizes["resnet18"] == 42.71  # as printed
    assert sizes["cnn_bn"] == 626_024 * 4 / 1024**2  # not printed: of the graph
    chart = linked_cost_charts([(points, "MB")], ["cnn", "resnet", "inception", "vgg"], "light", height=150)
    assert chart.to_dict()["vconcat"]


def test_nothing_is_added_when_all_are_trained():
    names = load_summary()["name"]
    full = pd.concat([TRAINED.assign(name=name) for name in names], ignore_index=True)
    assert untrained_rows(full, load_summary(), load_graphs()).empty
    assert np.isnan(place_published(TRAINED.assign(published_accuracy=np.nan))["published_memory_mb"].iloc[0])

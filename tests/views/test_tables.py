"""The leaderboard as a reader sees it, and the answers on top of it."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bloodcell.published import load_summary
from bloodcell.views.tables import (
    BEST_TRADE_OFF,
    LIGHTEST,
    MOST_ACCURATE,
    best_published,
    comparison_table,
    describe_benchmark,
    find_answers,
    leaderboard_table,
    limit_options,
)


def make_leaderboard(*rows: tuple[str, str, float, float, float, float]) -> pd.DataFrame:
    """Rows are (name, family, test accuracy, val accuracy, MB, ms)."""
    table = pd.DataFrame(rows, columns=["name", "family", "test_accuracy", "val_accuracy", "weights_mb", "latency_ms"])
    return table.assign(
        origin="study",
        published_accuracy=[0.9643, *[np.nan] * (len(table) - 1)],
        test_low=table["test_accuracy"] - 0.005,
        test_high=table["test_accuracy"] + 0.004,
        weighted_f1=table["test_accuracy"],
        parameters=1000,
        step_time_ms=1.0,
        ece=0.01,
        published_memory_mb=np.nan,
        published_step_time_ms=np.nan,
        dataset="a file",
        epochs="20",
    )


BOARD = make_leaderboard(
    ("vgg16_dropout", "vgg", 0.985, 0.9800, 22.0, 2.0),
    ("cnn_bn", "cnn", 0.982, 0.9790, 2.4, 0.2),
    ("cnn_se", "cnn", 0.951, 0.9600, 1.1, 0.1),
    ("cnn_4", "cnn", 0.940, 0.9500, 0.5, 0.05),
)


def test_three_answers():
    answers = {answer.title: answer for answer in find_answers(BOARD, load_summary())}
    assert answers[MOST_ACCURATE].name == "vgg16_dropout"
    assert answers[LIGHTEST].name == "cnn_se"
    # Within 0.2 points of the best val and faster; cnn_se is faster still and too far below.
    assert answers[BEST_TRADE_OFF].name == "cnn_bn"


def test_change_is_against_the_studys_best_published_accuracy():
    best = best_published(load_summary())
    assert best["name"] == "vgg16_dropout"
    answer = find_answers(BOARD, load_summary())[0]
    assert answer.gain == pytest.approx(0.985 - best["accuracy"])
    assert answer.size_ratio == pytest.approx(best["memory_mb"] / 22.0)


def test_a_tie_for_the_most_accurate_names_both():
    tied = make_leaderboard(
        ("vgg16_dropout", "vgg", 0.985, 0.98, 22.0, 2.0),
        ("cnn_bn", "cnn", 0.985, 0.979, 2.4, 0.2),
        ("cnn_4", "cnn", 0.94, 0.95, 0.5, 0.05),
    )
    answers = find_answers(tied, load_summary())
    assert (answers[0].name, answers[0].equals) == ("cnn_bn", ("vgg16_dropout",))
    assert [answer.equals for answer in (*answers[1:], find_answers(BOARD, load_summary())[0])] == [()] * 3


def test_no_model_above_95_percent_has_no_name():
    lightest = find_answers(BOARD[BOARD["name"] == "cnn_4"].reset_index(drop=True), load_summary())[1]
    assert lightest.title == LIGHTEST
    assert lightest.name is None
    assert math.isnan(lightest.accuracy)


def test_without_times_the_trade_off_is_the_most_accurate_on_val():
    untimed = BOARD.assign(latency_ms=np.nan)
    assert find_answers(untimed, load_summary())[2].name == "vgg16_dropout"


def test_leaderboard_units_and_shared_ranks():
    tied = make_leaderboard(
        ("a", "cnn", 0.98, 0.98, 1, 1), ("b", "cnn", 0.98, 0.98, 2, 1), ("c", "no such family", 0.97, 0.97, 1, 1)
    )
    board = leaderboard_table(tied)
    assert board["rank"].tolist() == [1, 1, 3]
    assert board["measured"].tolist() == pytest.approx([98, 98, 97])
    assert board["margin"].iloc[0] == pytest.approx(0.45)
    assert board["family"].tolist() == ["● CNN", "● CNN", "✚ no such family"]
    assert board["published"].iloc[0] == pytest.approx(96.43)


def test_comparison_table_is_the_leaderboard_without_its_bar_and_more():
    numbers = comparison_table(BOARD)
    assert "bar" not in numbers
    assert {"validation", "step_time_ms", "ece", "published_memory_mb", "published_step_time_ms"} <= set(numbers)
    assert numbers["ece"].iloc[0] == pytest.approx(1.0)
    assert numbers["epochs"].eq("20").all()


def test_limits_cut_inside_the_values():
    assert limit_options(pd.Series([0.5, 1.1, 22.0])) == [1.0, 2.0, 5.0, 10.0, 20.0]
    assert limit_options(pd.Series([np.nan])) == []
    assert limit_options(pd.Series([3.0])) == []


def test_machine_of_a_benchmark_in_words():
    record = SimpleNamespace(
        machine={"processor": "an EPYC", "num_cores": 2}, threads=2, date="2026-11-23T02:00:00+00:00"
    )
    assert describe_benchmark(record) == "an EPYC, 2 cores, LiteRT (float16) with 2 threads, 2026-11-23"

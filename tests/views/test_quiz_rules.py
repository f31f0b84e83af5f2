"""The quiz's rules: the same address asks about the same cells, scores are right, hard cells are those both missed."""

import threading

import numpy as np
import pytest

from bloodcell.dataset import CLASS_NAMES, load_split
from bloodcell.views import scoreboard
from bloodcell.views.components_quiz import board_code
from bloodcell.views.quiz import (
    HARDEST,
    Game,
    Round,
    StoredAnswers,
    collect_stored,
    count_matrix,
    count_misses,
    draw_rows,
    find_hard,
    results_table,
    standings,
)

LABELS = np.array([0] * 50 + [1] * 20 + [2] * 12 + list(range(3, 8)) * 8)
MISSES = np.zeros(len(LABELS), np.int64)
MISSES[::5] = 2


def stored_of(y_pred):
    y_pred = np.asarray(y_pred, np.int64)
    return StoredAnswers(y_pred, np.where(y_pred >= 0, 0.8, np.nan))


@pytest.mark.parametrize("level", ["all", "balanced", "missed"])
def test_a_round_is_its_address(level):
    first = draw_rows(Round(level, 20, 7), LABELS, MISSES)
    np.testing.assert_array_equal(first, draw_rows(Round(level, 20, 7), LABELS, MISSES))
    assert len(first) == len(set(first.tolist())) == 20
    assert (first != draw_rows(Round(level, 20, 8), LABELS, MISSES)).any()


def test_the_levels_draw_what_they_say():
    balanced = LABELS[draw_rows(Round("balanced", 20, 1), LABELS, MISSES)]
    counts = np.bincount(balanced, minlength=8)
    assert counts.max() - counts.min() <= 1
    assert (np.diff(balanced) < 0).any(), "not in the order of the classes"
    missed = draw_rows(Round("missed", 10, 1), LABELS, MISSES)
    assert (MISSES[missed] > 0).all()
    few = np.zeros(len(LABELS), np.int64)
    few[3] = 1
    assert draw_rows(Round("missed", 10, 1), LABELS, few).tolist() == [3]
    assert len(draw_rows(Round("missed", 10, 1), LABELS, few * 0)) == 0
    scarce = np.array([0, 0, 1])
    assert sorted(draw_rows(Round("balanced", 10, 1), scarce, scarce)) == [0, 1, 2]
    with pytest.raises(ValueError, match="easy"):
        draw_rows(Round("easy", 10, 1), LABELS, MISSES)


def test_the_hard_round_takes_the_hardest():
    misses = np.arange(2000) % 7
    drawn = draw_rows(Round("missed", 40, 3), np.zeros(2000, np.int64), misses)
    assert (misses == 6).sum() < HARDEST < (misses >= 5).sum()
    assert (misses[drawn] >= 5).all()


def test_stored_answers_come_to_their_rows_and_misses_are_counted():
    probabilities = np.eye(8, dtype=np.float32)[[3, 5, 1]]
    stored = collect_stored(probabilities, np.array([2, -1, 0]), 4)
    assert stored.y_pred.tolist() == [1, -1, 3, -1]
    np.testing.assert_array_equal(stored.confidence, [1, np.nan, 1, np.nan])
    misses = count_misses({"a": stored, "b": stored_of([1, 1, 1, 1])}, np.array([1, 2, 2, 1]))
    assert misses.tolist() == [0, 1, 2, 0]


def test_a_game_counts_right_answers_and_streaks_and_takes_each_answer_once():
    game = Game((5, 6, 7, 8), (0, 1, 2, 3))
    assert game.answer(0, 0, 1.5) and game.answer(1, 1, 0.5)
    assert (game.num_right, game.streak, game.longest_streak) == (2, 2, 2)
    assert not game.answer(1, 7, 0.1), "a second press of a key comes too late"
    assert not game.answer(3, 3, 0.1)
    assert game.answer(2, 7, 1) and (game.streak, game.longest_streak) == (0, 2)
    assert game.answer(3, 3, 1) and game.is_over and (game.streak, game.num_right) == (1, 3)
    assert not game.answer(4, 0, 1)


def test_standings_judge_everyone_on_the_answered_cells():
    game = Game((0, 1, 2, 3), (0, 1, 2, 3), [0, 1, 7])
    stored = {"good": stored_of([0, 1, 2, 0]), "half": stored_of([0, 0, 0, 3]), "none": stored_of([-1, -1, -1, -1])}
    table = standings(game, stored, "you")
    assert table["who"].tolist() == ["good", "you", "half", "none"]
    assert table["right"].tolist() == [3, 2, 1, 0] and table["of"].tolist() == [3, 3, 3, 0]
    assert np.isnan(table["share"].iloc[-1])
    tied = standings(game, {"same": stored_of([0, 1, 0, 0])}, "you")
    assert tied["who"].tolist() == ["you", "same"]


def test_hard_cells_were_missed_by_people_and_networks():
    game = Game((0, 1, 2, 3), (0, 1, 2, 3), [7, 7, 2, 3])
    stored = {"a": stored_of([0, 5, 5, 5]), "b": stored_of([0, 5, 2, 5])}
    assert find_hard(game, stored) == [(1, 1.0, 2)]
    assert find_hard(game, stored, [[0, 1, 7], [0, 1]]) == [(1, pytest.approx(1 / 3), 2), (2, 0.5, 1)]
    assert find_hard(game, {}) == []


def test_the_matrix_and_the_table_hold_every_answer():
    matrix = count_matrix([0, 1, 1, 2], [0, 1, 7, -1])
    assert matrix.sum() == 3 and matrix[0, 0] == matrix[1, 1] == matrix[1, 7] == 1
    game = Game((2, 0), (2, 0), [2, 5], [1.26, 3.0])
    table = results_table(game, {"a": stored_of([4, 0, 2])}, np.arange(3, dtype=np.uint64))
    assert table["right class"].tolist() == [CLASS_NAMES[2], CLASS_NAMES[0]]
    assert table["player right"].tolist() == [True, False]
    assert table["a"].tolist() == [CLASS_NAMES[2], CLASS_NAMES[4]] and table["a probability"].tolist() == [0.8, 0.8]
    assert table["pixel hash"].tolist() == ["0" * 15 + "2", "0" * 16] and table["seconds"].tolist() == [1.3, 3.0]


def test_only_the_same_cells_of_the_same_round_share_a_board(small_dataset):
    images, wanted = load_split("test"), Round("missed", 10, 42)
    code = board_code(Game((0, 1, 2), (0, 1, 2), [5]), wanted, images)
    assert code == board_code(Game((0, 1, 2), (0, 1, 2)), wanted, images)
    assert code != board_code(Game((0, 2, 1), (0, 2, 1)), wanted, images)
    assert code != board_code(Game((0, 1, 2), (0, 1, 2)), Round("all", 10, 42), images)


@pytest.fixture
def empty_board(monkeypatch):
    monkeypatch.setattr(scoreboard, "_ROUNDS", type(scoreboard._ROUNDS)())


def test_the_board_ranks_by_right_answers_then_time(empty_board):
    scoreboard.record("r", "1", "Ada", (1, 2), 2, 9.0)
    scoreboard.record("r", "2", "Ben", (1, 2), 2, 5.0)
    scoreboard.record("r", "3", "", (1, 2, 3), 1, 1.0)
    scoreboard.record("other", "4", "Cyd", (1,), 1, 1.0)
    assert [entry.name for entry in scoreboard.list_entries("r")] == ["Ben", "Ada", "anonymous"]
    scoreboard.record("r", "1", "Ada", (1, 2, 3), 3, 12.0)
    assert [entry.name for entry in scoreboard.list_entries("r")] == ["Ada", "Ben", "anonymous"]
    assert scoreboard.list_entries("nowhere") == []


def test_the_board_keeps_the_first_time_through(empty_board):
    scoreboard.record("r", "1", "Ada", (1, 2), 1, 9.0)
    for again in ((3,), (3, 4), (3, 4, 5)):
        scoreboard.record("r", "1", "Ada", again, len(again), 1.0)
    assert [entry.answers for entry in scoreboard.list_entries("r")] == [(1, 2)]
    scoreboard.record("r", "1", "Ada", (1, 2, 5), 2, 12.0)
    assert [entry.num_right for entry in scoreboard.list_entries("r")] == [2]


def test_the_board_stays_small_and_takes_thirty_writers_at_once(empty_board, monkeypatch):
    def write(player):
        for step in range(50):
            scoreboard.record("r", f"p{player}", f"n{player}", (1,) * step, step, 1.0)

    threads = [threading.Thread(target=write, args=(player,)) for player in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.num_right for entry in scoreboard.list_entries("r")] == [49] * 30
    monkeypatch.setattr(scoreboard, "MOST_PLAYERS", 30)
    scoreboard.record("r", "late", "late", (), 0, 0.0)
    assert len(scoreboard.list_entries("r")) == 30
    monkeypatch.setattr(scoreboard, "MOST_ROUNDS", 2)
    scoreboard.record("s", "1", "a", (), 0, 0.0)
    scoreboard.record("t", "1", "a", (), 0, 0.0)
    assert scoreboard.list_entries("r") == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  Ada  Lovelace ", "Ada Lovelace"),
        ("a\n\tb\x00\u202ec", "a bc"),
        ("\u200b \n", "anonymous"),
        ("x" * 60, "x" * 24),
        ("<b>Ada</b>", "<b>Ada</b>"),
    ],
)
def test_names_lose_what_could_break_a_line(given, kept):
    assert scoreboard.clean_name(given) == kept

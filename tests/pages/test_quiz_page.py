"""The quiz page: a round from its address, answers and their networks', results, another player, no dataset."""

from pathlib import Path

import numpy as np
import pytest
from quiz_shelf import NUM_MISSED, write_quiz_shelf
from shelf import write_artifact
from streamlit.testing.v1 import AppTest

from bloodcell.artifact import Predictions
from bloodcell.dataset import CLASS_NAMES, load_split
from bloodcell.files import own_models_directory
from bloodcell.views import scoreboard
from bloodcell.views.quiz import HARDEST, Round, draw_rows

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def shelf(small_dataset, tmp_path, monkeypatch):
    """Two models that know the small test split: one right on all, one wrong on the first sixteen rows."""
    monkeypatch.setattr(scoreboard, "_ROUNDS", type(scoreboard._ROUNDS)())
    folder = tmp_path / "shelf"
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    write_quiz_shelf(folder, small_dataset)
    return folder


def open_quiz(**query):
    at = AppTest.from_file(str(APP), default_timeout=120).run()
    at.switch_page("pages/quiz.py")
    for key, value in {"models": ["cnn_3", "cnn_4"], **query}.items():
        at.query_params[key] = value
    return at.run()


def words(at):
    kinds = (at.markdown, at.caption, at.info, at.success, at.error, at.header, at.subheader, at.title)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def rows_of(level="all", length=10, seed=42):
    images = load_split("test")
    misses = np.where(np.arange(images.num_images) < NUM_MISSED, 1, 0)
    return draw_rows(Round(level, length, seed), images.labels, misses), images.labels


def play_all(at, rows, labels, wrong=()):
    """Answer every question; all but the last without clicking, which would take a run of the page each."""
    answers = [(int(labels[row]) + int(question in wrong)) % 8 for question, row in enumerate(rows)]
    game = next(game for game in at.session_state["quiz_games"].values() if game.rows == tuple(rows.tolist()))
    for question, answer in enumerate(answers[:-1]):
        assert game.answer(question, answer, 2.0)
    at.run()
    at.button(key=f"quiz_answer_{answers[-1]}").click().run()
    at.button(key="quiz_go_on").click().run()
    assert not at.exception
    return at


def test_a_question_is_answered_and_the_networks_answers_come_after(shelf):
    rows, labels = rows_of()
    at = open_quiz(quiz_seed="42")
    assert not at.exception
    before = words(at)
    assert "**Question 1 of 10** · 0 of 0 right" in before and "cnn_3" not in before
    assert f"Test row {rows[0]}" not in before, "the number would give the cell away"
    at.button(key=f"quiz_answer_{labels[rows[0]]}").click().run()
    after = words(at)
    assert f"{CLASS_NAMES[labels[rows[0]]]}." in after and "Right: it is labelled" in after
    mark = ":red" if rows[0] < NUM_MISSED else ":green"
    assert f"{mark}[:material/{'close' if rows[0] < NUM_MISSED else 'check'}:] **cnn_3**" in after
    assert ":green[:material/check:] **cnn_4**" in after
    assert at.button(key="quiz_answer_0").disabled or labels[rows[0]] == 0
    at.button(key="quiz_go_on").click().run()
    assert "**Question 2 of 10** · 1 of 1 right · streak 1, longest 1" in words(at)
    wrong = (int(labels[rows[1]]) + 1) % 8
    at.button(key=f"quiz_answer_{wrong}").click().run()
    assert f"you said {at.button(key=f'quiz_answer_{wrong}').label[:1]}" in words(at)
    assert "streak 0, longest 1" in words(at)


def test_the_results_score_player_and_networks_on_the_same_cells(shelf):
    rows, labels = rows_of()
    at = play_all(open_quiz(quiz_seed="42"), rows, labels, wrong=(2, 5))
    text = words(at)
    assert "These cells were chosen" not in text
    assert "8 of 10 right, 80.0 %" in text and "Longest streak 4" in text
    table = next(frame.value for frame in at.dataframe if "who" in frame.value.columns).set_index("who")
    assert table.loc["you", "right"] == 8 and table.loc["cnn_4", "right"] == 10
    assert table.loc["cnn_3", "right"] == int((rows >= NUM_MISSED).sum())
    board = next(frame.value for frame in at.dataframe if "player" in frame.value.columns)
    assert board["player"].tolist() == ["anonymous (you)"] and board["right"].tolist() == [8]
    hard = [question for question in (2, 5) if rows[question] < NUM_MISSED]
    assert text.count("networks missed it") == len(hard)
    if not hard:
        assert "None of these cells" in text
    at.button(key="quiz_again").click().run()
    assert "**Question 1 of 10** · 0 of 0 right" in words(at)


def test_the_hard_cells_that_both_missed_are_shown(shelf):
    rows, labels = rows_of("missed")
    at = open_quiz(quiz_seed="42", quiz_cells="missed")
    at = play_all(at, rows, labels, wrong=(0, 1))
    assert (rows < NUM_MISSED).all()
    assert words(at).count("1 of 2 networks missed it") == 2
    better = "You did better than 1 of 2 networks. These cells were chosen because networks of the project miss them"
    assert better in words(at)
    told = at.segmented_control(key="quiz_cells").help
    assert "at least one network of the project answers wrong" in told and f"at most the {HARDEST}" in told


def test_the_same_cells_again_leave_the_first_result_on_the_board(shelf):
    rows, labels = rows_of()
    at = play_all(open_quiz(quiz_seed="42"), rows, labels, wrong=(2, 5))
    assert "the board keeps your first result" in at.button(key="quiz_again").help
    at.button(key="quiz_again").click().run()
    at = play_all(at, rows, labels)
    assert "10 of 10 right, 100.0 %" in words(at) and "repeats are not entered" in words(at)
    board = next(frame.value for frame in at.dataframe if "player" in frame.value.columns)
    assert board["player"].tolist() == ["anonymous (you)"] and board["right"].tolist() == [8]


def test_a_training_that_ends_while_a_class_plays_changes_nobodys_cells(shelf):
    rows, _ = rows_of("missed")
    open_quiz(quiz_seed="42", quiz_cells="missed")
    predictions = []
    for split in ("val", "test"):
        images = load_split(split)
        logits = np.eye(8, dtype=np.float32)[(images.labels + 1) % 8]
        predictions.append(Predictions(split, images.labels, logits, images.image_hashes))
    write_artifact(own_models_directory(), "cnn_3.own1", predictions=predictions)
    late = open_quiz(quiz_seed="42", quiz_cells="missed")
    games = list(late.session_state["quiz_games"].values())
    assert [game.rows for game in games] == [tuple(rows.tolist())]


def test_a_second_player_of_the_same_address_meets_the_first_on_the_board(shelf):
    rows, labels = rows_of()
    first = open_quiz(quiz_seed="42")
    first.text_input(key="quiz_name").set_value("<b>Ada</b>").run()
    play_all(first, rows, labels)
    second = play_all(open_quiz(quiz_seed="42"), rows, labels, wrong=(0,))
    board = next(frame.value for frame in second.dataframe if "player" in frame.value.columns)
    assert board["player"].tolist() == ["<b>Ada</b>", "anonymous (you)"]
    assert "<b>Ada</b>" not in words(second), "a name stands in a table only, which shows it as it is"


def test_another_code_asks_other_cells_and_coming_back_goes_on_where_it_was(shelf):
    rows, labels = rows_of()
    at = open_quiz(quiz_seed="42")
    at.button(key=f"quiz_answer_{labels[rows[0]]}").click().run()
    at.number_input(key="quiz_seed").set_value(43).run()
    assert "**Question 1 of 10** · 0 of 0 right" in words(at)
    assert at.query_params["quiz_seed"] in ("43", ["43"])
    at.number_input(key="quiz_seed").set_value(42).run()
    assert "1 of 1 right" in words(at)
    at.button(key="quiz_new").click().run()
    assert at.query_params["quiz_seed"] not in ("42", ["42"]) and not at.exception


@pytest.mark.parametrize("seed", ["x", "-1", "9999999", "²"])
def test_a_wrong_code_in_the_address_is_passed_over(seed, shelf):
    at = open_quiz(quiz_seed=seed, quiz_questions="11", quiz_cells="easy")
    assert not at.exception and "**Question 1 of 10**" in words(at)


def test_without_a_selected_model_the_player_plays_alone(shelf):
    rows, labels = rows_of()
    at = open_quiz(quiz_seed="42")
    at.multiselect(key="models").set_value([]).run()
    at = play_all(at, rows, labels)
    assert "10 of 10 right, 100.0 %" in words(at)


def test_without_models_there_are_no_hard_cells(small_dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "empty"))
    at = open_quiz(quiz_cells="missed")
    assert not at.exception and "none is trained here" in words(at)
    at.segmented_control(key="quiz_cells").set_value("balanced").run()
    assert not at.exception and "**Question 1 of 10**" in words(at)


def test_without_a_dataset_the_download_is_offered(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "empty"))
    at = open_quiz()
    assert not at.exception
    assert at.button(key="quiz_download") and "needs the dataset" in words(at)

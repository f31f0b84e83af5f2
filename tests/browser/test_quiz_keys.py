"""The quiz under a real keyboard: numbers answer, Enter goes on, the results and the address are those of the room."""

import shutil
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from browsing import settle, start_server
from quiz_shelf import NUM_MISSED, write_quiz_shelf

from bloodcell.dataset import load_split
from bloodcell.views.quiz import Round, draw_rows

pytestmark = pytest.mark.browser
NUM_PRESSES = 6


@pytest.fixture
def quiz_server(chromium, small_dataset_file, tmp_path):
    """Address of a dashboard with the small dataset in its cache and two models that know it."""
    cache = tmp_path / "quiz cache"
    cache.mkdir()
    shutil.copy(small_dataset_file, cache / "bloodmnist_64.npz")
    write_quiz_shelf(tmp_path / "quiz shelf", small_dataset_file)
    process, url = start_server(tmp_path / "quiz shelf", cache)
    yield url
    process.terminate()
    process.wait(10)


def press_until(page, key: str, wanted) -> None:
    """Press a key until something is there: a press is lost while its button is being drawn, as under a hand."""
    for _ in range(NUM_PRESSES):
        page.keyboard.press(key)
        try:
            wanted.first.wait_for(timeout=15_000)
            return
        except Exception as error:
            if "Timeout" not in type(error).__name__:
                raise
    raise AssertionError(f"{key} was pressed {NUM_PRESSES} times and nothing came of it")


def test_a_round_is_played_with_keys_alone(quiz_server, open_tab, small_dataset_file):
    images = load_split("test", small_dataset_file)
    misses = (np.arange(images.num_images) < NUM_MISSED).astype(np.int64)
    rows = draw_rows(Round("missed", 10, 42), images.labels, misses)
    page = open_tab(f"{quiz_server}/quiz?quiz_seed=42&quiz_cells=missed&models=cnn_3&models=cnn_4")
    page.get_by_text("Question 1 of 10").wait_for()
    settle(page)
    going_on = page.locator(".st-key-quiz_go_on")
    for question, label in enumerate(images.labels[rows].tolist()):
        page.get_by_text(f"Question {question + 1} of 10").wait_for()
        going_on.wait_for(state="detached")  # until then the last answer is still uncovered
        answer = (label + int(question == 4)) % 8
        press_until(page, str(answer + 1), going_on)
        page.get_by_text("It is labelled" if question == 4 else "Right: it is labelled").wait_for()
        then = "The class on this server" if question == 9 else f"Question {question + 2} of 10"
        press_until(page, "Enter", page.get_by_text(then))
    page.get_by_text("9 of 10 right, 90.0 %").wait_for()
    settle(page)
    assert page.get_by_text("1 of 2 networks missed it").count() == 1
    query = parse_qs(urlsplit(page.url).query)
    assert query["quiz_seed"] == ["42"] and query["quiz_cells"] == ["missed"]

"""Cells opened by pointer and by keyboard, and files dropped, in a real browser."""

import shutil
from pathlib import Path

import pytest
from browsing import settle, start_server
from pictures import draw_cell, encode

pytestmark = pytest.mark.browser

DIALOG = "[role=dialog]"


@pytest.fixture(scope="module")
def whole_dashboard(chromium, small_artifacts_folder: Path, small_dataset_file: Path, tmp_path_factory):
    """Address of a dashboard with two small networks and a small dataset, found in its cache."""
    cache = tmp_path_factory.mktemp("whole")
    shutil.copyfile(small_dataset_file, cache / "bloodmnist_64.npz")
    process, url = start_server(small_artifacts_folder, cache)
    yield url
    process.terminate()
    process.wait(10)


def cell_of(page) -> str | None:
    """Return the cell that the address names."""
    return page.evaluate("new URLSearchParams(location.search).get('cell')")


def wait_for_cell(page, cell: str | None) -> None:
    wanted = "null" if cell is None else repr(cell)
    page.wait_for_function(f"new URLSearchParams(location.search).get('cell') === {wanted}")


def test_a_cell_opens_by_click_and_by_key_goes_on_and_closes(whole_dashboard, open_tab):
    page = open_tab(f"{whole_dashboard}/dataset")
    page.locator(".st-key-cell_dataset_test_5 button").first.click()
    page.locator(DIALOG).wait_for()
    wait_for_cell(page, "test-5")
    page.locator(".st-key-dataset_step_1 button").first.click()
    wait_for_cell(page, "test-6")
    page.locator(DIALOG).get_by_text("test, row 6").first.wait_for()
    page.keyboard.press("Escape")
    page.locator(DIALOG).wait_for(state="detached")
    wait_for_cell(page, None)
    tile = page.locator(".st-key-cell_dataset_test_2 button").first
    assert tile.locator("img").first.get_attribute("alt") == "erythroblast, test row 2"
    tile.focus()
    page.keyboard.press("Enter")
    page.locator(DIALOG).wait_for()
    wait_for_cell(page, "test-2")
    page.locator(DIALOG).get_by_role("link", name="Classify this cell now").click()
    page.locator("h1", has_text="Classify").wait_for()
    page.locator("h2").first.wait_for()
    assert cell_of(page) == "test-2"


def test_dropped_files_are_answered_and_a_row_opens_its_file(whole_dashboard, open_tab):
    page = open_tab(f"{whole_dashboard}/classify?models=cnn_3&models=cnn_4")
    files = [
        {"name": "bad.png", "mimeType": "image/png", "buffer": b"no image"},
        {"name": "first.png", "mimeType": "image/png", "buffer": encode(draw_cell())},
        {"name": "second.jpg", "mimeType": "image/jpeg", "buffer": encode(draw_cell(500, 400), "JPEG")},
    ]
    page.locator('[data-testid="stFileUploader"] input[type=file]').first.set_input_files(files)
    page.get_by_text("3 files: 2 answered").first.wait_for()
    page.get_by_text("bad.png is not an image").first.wait_for()
    settle(page)
    table = page.locator('.st-key-classify_table [data-testid="stDataFrame"]').first
    box = table.bounding_box()
    page.mouse.click(box["x"] + 16, box["y"] + 38 + 2.5 * 52)
    page.get_by_text("500 × 400 pixels").first.wait_for()
    assert page.get_by_text("framing unlike the training data").count()
    assert page.locator("h2").count() == 1
    assert page.locator('[data-testid="stException"]').count() == 0


@pytest.mark.parametrize("path", ["dataset", "dataset?cell=test-2", "classify", "classify?cell=test-2"])
def test_nothing_scrolls_sideways_on_a_phone(whole_dashboard, open_tab, path):
    page = open_tab(f"{whole_dashboard}/{path}", width=390, height=844, scheme="dark")
    page.wait_for_timeout(1500)
    assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 2")
    assert page.locator('[data-testid="stException"]').count() == 0

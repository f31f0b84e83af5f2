"""Cells opened by pointer and by keyboard, and files dropped, in a real browser."""

import re
import shutil
from pathlib import Path

import pytest
from browsing import settle, start_server
from made_smears import draw_smear
from pictures import draw_cell, encode
from PIL import Image

from bloodcell.views.components_classify import LARGEST_PASTE

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


def drop(page, *files) -> None:
    zone = page.locator('[data-testid="stFileUploader"] input[type=file]').first
    zone.set_input_files([{"name": name, "mimeType": "image/png", "buffer": content} for name, content in files])


def test_dropped_files_are_answered_a_tile_opens_its_cell_and_keys_move_its_frame(whole_dashboard, open_tab):
    page = open_tab(f"{whole_dashboard}/classify?models=cnn_3&models=cnn_4")
    second = encode(draw_cell(500, 400), "JPEG")
    drop(page, ("bad.png", b"no image"), ("first.png", encode(draw_cell())), ("second.jpg", second))
    page.get_by_text("3 files: 2 answered").first.wait_for()
    page.get_by_text("bad.png: bad.png is not an image").first.wait_for()
    settle(page)
    page.get_by_role("button", name=re.compile("second.jpg: ")).first.click()  # not the one that removes the file
    page.get_by_text("500 × 400 pixels").first.wait_for()
    page.locator("h2").first.wait_for()
    assert page.get_by_text("lies around the nucleated cell").count()
    settle(page)
    frame = page.locator(".frame")
    before = frame.bounding_box()
    frame.focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("-")
    page.get_by_text("is the reader's own").first.wait_for()
    settle(page)
    after = frame.bounding_box()
    assert after["width"] < before["width"] and after["x"] > before["x"]
    assert page.locator('[data-testid="stException"]').count() == 0


def test_a_field_is_boxed_and_its_cells_open_by_click_and_by_key(whole_dashboard, open_tab):
    page = open_tab(f"{whole_dashboard}/classify?models=cnn_3&models=cnn_4")
    field = draw_smear(white_cells=((70, 70), (240, 80), (150, 170))).pixels
    drop(page, ("field.png", encode(Image.fromarray(field))))
    page.get_by_text("1 file with 3 cells").first.wait_for()
    settle(page)
    boxes = page.locator("button.box")
    assert boxes.count() == 3
    assert boxes.nth(1).get_attribute("aria-label").startswith("Cell 2: ")
    boxes.nth(1).click()
    page.get_by_text("2 of 3").first.wait_for()
    page.locator("h2").first.wait_for()
    settle(page)
    boxes.nth(2).focus()
    page.keyboard.press("Enter")
    page.get_by_text("3 of 3").first.wait_for()
    assert page.locator('[data-testid="stException"]').count() == 0


PASTE = """(bytes) => {
  const data = new DataTransfer()
  data.items.add(new File([new Uint8Array(bytes)], "image.png", { type: "image/png" }))
  const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
  document.dispatchEvent(event)
  return event.defaultPrevented
}"""


def paste(page, content: list[int] | int) -> None:
    """Paste a PNG file of these bytes, or of that many empty ones."""
    for _ in range(60):  # until the part of the page that takes it is there
        if page.evaluate(PASTE, content):
            return
        page.wait_for_timeout(500)


def test_an_image_is_pasted(whole_dashboard, open_tab):
    page = open_tab(f"{whole_dashboard}/classify?models=cnn_3")
    paste(page, list(encode(draw_cell(64, 64))))
    page.get_by_text("pasted 1.png: 64 × 64 pixels").first.wait_for()
    page.locator("h2").first.wait_for()


def test_a_large_pasted_image_is_answered_in_a_sentence_and_not_by_a_lost_connection(whole_dashboard, open_tab):
    """The largest that is sent arrives (here it is no image), and a larger one is not sent."""
    page = open_tab(f"{whole_dashboard}/classify?models=cnn_3")
    paste(page, LARGEST_PASTE + 1)
    page.get_by_text("save it and drop the file instead").first.wait_for()
    paste(page, LARGEST_PASTE)
    page.get_by_text("pasted 1.png").first.wait_for()


@pytest.mark.parametrize("path", ["dataset", "dataset?cell=test-2", "classify", "classify?cell=test-2"])
def test_nothing_scrolls_sideways_on_a_phone(whole_dashboard, open_tab, path):
    page = open_tab(f"{whole_dashboard}/{path}", width=390, height=844, scheme="dark")
    page.wait_for_timeout(1500)
    assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 2")
    assert page.locator('[data-testid="stException"]').count() == 0

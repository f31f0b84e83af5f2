"""The confusion matrix under a real pointer and a real keyboard: what a heat map alone would never report."""

from urllib.parse import parse_qs, urlsplit

import pytest

from bloodcell.dataset import CLASS_NAMES

pytestmark = pytest.mark.browser
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"]'


def settle(page) -> None:
    page.wait_for_timeout(500)
    page.locator(SETTLED).wait_for()
    page.wait_for_timeout(700)


def chosen(page) -> str:
    return parse_qs(urlsplit(page.url).query)["confusion_cell"][0]


def wait_until_chosen(page, cell: str) -> None:
    """Wait until the address names the cell and its images are drawn, however busy the machine is."""
    heading = cell.capitalize()
    page.locator("h2", has_text=heading).wait_for()
    settle(page)
    assert chosen(page) == cell


def resting_box(page, area) -> dict[str, float]:
    """Return where a figure lies once the page around it has come to rest: what is drawn above it moves it down."""
    page.locator(SETTLED).wait_for()
    box = None
    for _ in range(50):
        area.scroll_into_view_if_needed()
        before, box = box, area.bounding_box()
        if box is not None and box == before:
            return box
        page.wait_for_timeout(200)
    raise AssertionError("the figure never came to rest")


def point_at(page, key: str, true: int, predicted: int, across: float = 0.5, down: float = 0.5) -> tuple[float, float]:
    """Move the pointer into a cell of a matrix; `across` and `down` say where in it. Return the place."""
    area = page.locator(f".st-key-{key} .nsewdrag").first
    box = resting_box(page, area)
    x = box["x"] + box["width"] * (predicted + across) / len(CLASS_NAMES)
    y = box["y"] + box["height"] * (true + down) / len(CLASS_NAMES)
    page.mouse.move(x - 2, y - 2)
    page.mouse.move(x, y)
    page.wait_for_timeout(400)
    return x, y


@pytest.mark.parametrize(("across", "down"), [(0.5, 0.5), (0.08, 0.9)])
def test_a_click_anywhere_in_a_cell_chooses_it_and_a_second_click_keeps_it(dashboard, open_tab, across, down):
    page = open_tab(f"{dashboard}/confusion?confusion_model=cnn_4")
    for true, predicted in ((6, 3), (2, 7)):
        for _ in range(2):
            page.mouse.click(*point_at(page, "confusion_first_chart", true, predicted, across, down))
            wait_until_chosen(page, f"{CLASS_NAMES[true]} called {CLASS_NAMES[predicted]}")


def test_pointing_at_a_cell_says_its_sentence(dashboard, open_tab):
    page = open_tab(f"{dashboard}/confusion?confusion_model=cnn_4")
    point_at(page, "confusion_first_chart", 6, 6)
    said = "".join(page.locator(".hoverlayer .hovertext").all_text_contents())
    assert "neutrophils called neutrophil (right)" in said


def test_a_click_in_the_difference_chooses_the_images_of_either_model(dashboard, open_tab):
    page = open_tab(f"{dashboard}/confusion?confusion_model=cnn_4&confusion_second=cnn_3")
    page.mouse.click(*point_at(page, "confusion_second_chart", 4, 1))
    wait_until_chosen(page, "lymphocyte called eosinophil")
    called_by = page.locator('.st-key-confusion_called_by [aria-checked="true"]')
    called_by.get_by_text("cnn_3", exact=True).wait_for()
    page.mouse.click(*point_at(page, "confusion_difference_chart", 5, 0))
    wait_until_chosen(page, "monocyte called basophil")
    called_by.get_by_text("either", exact=True).wait_for()


def test_the_table_twin_is_walked_with_the_arrow_keys(dashboard, open_tab):
    page = open_tab(f"{dashboard}/confusion?confusion_model=cnn_4")
    page.locator(".st-key-confusion_first_view [role=tab]").nth(1).click()
    settle(page)
    grid = page.locator(".st-key-confusion_first_table canvas").first.bounding_box()
    page.mouse.click(grid["x"] + 0.4 * grid["width"], grid["y"] + 0.42 * grid["height"])
    page.wait_for_url("**confusion_cell=**")
    settle(page)
    true, predicted = chosen(page).split(" called ")
    page.keyboard.press("ArrowDown")
    wait_until_chosen(page, f"{CLASS_NAMES[CLASS_NAMES.index(true) + 1]} called {predicted}")


def test_what_was_chosen_stays_through_a_visit_to_another_page(dashboard, open_tab):
    page = open_tab(f"{dashboard}/confusion?confusion_model=cnn_3&confusion_values=count")
    page.mouse.click(*point_at(page, "confusion_first_chart", 7, 2))
    wait_until_chosen(page, "platelet called erythroblast")
    page.locator('[data-testid="stSidebarNavLink"]', has_text="Compare").last.click()
    page.locator("h1", has_text="Compare").wait_for()
    settle(page)
    page.locator('[data-testid="stSidebarNavLink"]', has_text="Confusion").click()
    page.locator("h1", has_text="Confusion").wait_for()
    settle(page)
    wait_until_chosen(page, "platelet called erythroblast")
    query = parse_qs(urlsplit(page.url).query)
    assert query["confusion_model"] == ["cnn_3"] and query["confusion_values"] == ["count"]


def test_the_weak_spots_of_a_report_lead_to_the_matrix_of_that_model_and_back(dashboard, open_tab):
    page = open_tab(f"{dashboard}/reports?reports_model=cnn_3&reports_split=val")
    page.get_by_role("link", name="See these images of val on Confusion").click()
    page.locator("h1", has_text="Confusion").wait_for()
    settle(page)
    query = parse_qs(urlsplit(page.url).query)
    assert query["confusion_model"] == ["cnn_3"] and query["confusion_split"] == ["val"]
    page.locator('[data-testid="stSidebarNavLink"]', has_text="Reports").click()
    page.locator("h1", has_text="Reports").wait_for()
    settle(page)
    query = parse_qs(urlsplit(page.url).query)
    assert query["reports_model"] == ["cnn_3"] and query["reports_split"] == ["val"]

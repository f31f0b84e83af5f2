"""Overview and Compare in a real browser: the answer on the first screen, rows that open reports, linked plots."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from browsing import settle

from bloodcell.artifact import load_shelf

pytestmark = pytest.mark.browser
WIDTHS = ((1280, 800), (390, 844))


def reports_model(page) -> list[str] | None:
    return parse_qs(urlsplit(page.url).query).get("reports_model")


@pytest.mark.parametrize("path", ["", "compare"])
@pytest.mark.parametrize(("width", "height"), WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_whole(dashboard, open_tab, path, width, height, scheme):
    """No exception, no sideways scrolling, and the ground of the reader's own scheme."""
    page = open_tab(f"{dashboard}/{path}", width, height, scheme)
    assert page.get_by_test_id("stException").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth + 2")
    ground = page.get_by_test_id("stApp").evaluate("element => getComputedStyle(element).backgroundColor")
    assert ground == {"light": "rgb(251, 248, 244)", "dark": "rgb(23, 18, 31)"}[scheme]


@pytest.mark.parametrize("path", ["", "compare"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(dashboard, open_tab, path, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page = open_tab(f"{dashboard}/{path}", scheme=scheme)
    # Streamlit's own navigation puts its groups into a list as plain boxes; no page can change that.
    rules = {"exclude": [["[data-testid='stSidebarNav']"]]}
    found = [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in axe.run(page, context=rules).response["violations"]
    ]
    assert found == []


def test_the_answer_is_on_the_first_screen(dashboard, open_tab):
    page = open_tab(dashboard)
    for title in ("Most accurate", "Lightest above 95 %", "Best trade-off", "Leaderboard"):
        box = page.get_by_text(title, exact=True).first.bounding_box()
        assert box is not None, title
        assert box["y"] + box["height"] < 800, title


def click_leaderboard(page, row: int, across: int) -> None:
    """Click into a row of the leaderboard (from 0), `across` pixels from its left edge."""
    board = page.get_by_test_id("stDataFrame").first
    board.wait_for()
    page.wait_for_timeout(500)
    box = board.bounding_box()
    page.mouse.move(box["x"] + across, box["y"] + 35 * (row + 1) + 17)
    page.wait_for_timeout(400)  # the grid draws its buttons for the row under the pointer
    page.mouse.down()
    page.wait_for_timeout(60)
    page.mouse.up()
    page.wait_for_url("**/reports?**")
    settle(page)


def ranked(folder: Path) -> list[str]:
    """Names on a shelf, best test accuracy first."""
    artifacts = load_shelf(folder).artifacts
    return sorted(artifacts, key=lambda name: -artifacts[name].load_evaluation("test")["accuracy"])


def test_choosing_a_row_opens_its_report(dashboard, open_tab, shelf_folder):
    page = open_tab(dashboard)
    click_leaderboard(page, row=0, across=16)
    assert reports_model(page) == ranked(shelf_folder)[:1]


def test_clicking_a_name_opens_its_report(dashboard, open_tab, shelf_folder):
    page = open_tab(dashboard)
    click_leaderboard(page, row=1, across=120)
    assert reports_model(page) == ranked(shelf_folder)[1:2]


def test_pointing_at_a_model_marks_it_in_both_plots(dashboard, open_tab):
    """A mark that is pointed at grows, in the plot under the pointer and in the other one."""
    page = open_tab(f"{dashboard}/compare?models=")
    marks = page.locator('[data-testid="stVegaLiteChart"] [aria-roledescription="point"]')
    marks.first.wait_for()

    def drawn() -> dict[str, list[float]]:
        found = marks.evaluate_all(
            "e => e.map(x => [x.getAttribute('aria-label'), x.getAttribute('d'), x.getAttribute('opacity')])"
        )
        sizes: dict[str, list[float]] = {}
        for label, outline, opacity in found:
            if "cnn_se" in (label or ""):
                sizes.setdefault(opacity or "1", []).append(len(json.dumps(outline)))
        return sizes

    before = drawn()
    target = next(mark for mark in marks.all() if "cnn_se" in (mark.get_attribute("aria-label") or ""))
    target.hover(force=True)
    page.wait_for_timeout(500)
    after = drawn()
    assert set(before) == {"0.35"}, before
    assert set(after) == {"1"}, after
    assert len(after["1"]) >= 2


def test_the_table_twin_is_one_key_away(dashboard, open_tab):
    page = open_tab(f"{dashboard}/compare")
    page.get_by_role("tab", name="Chart").first.focus()
    page.keyboard.press("ArrowRight")
    table = page.get_by_role("tabpanel", name="Table").first
    table.get_by_test_id("stDataFrame").wait_for(state="visible")
    table.get_by_role("button", name="CSV", exact=True).wait_for(state="visible")


def test_a_table_is_written_when_it_is_asked_for(dashboard, open_tab):
    page = open_tab(dashboard)
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").first.get_by_role("button").click()
    assert download.value.suggested_filename == "leaderboard.csv"
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#,name") or "name" in lines[0].split(",")
    assert len(lines) > 1

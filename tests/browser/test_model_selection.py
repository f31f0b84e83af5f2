"""The model selection in a real browser: one for all pages, in the URL, through links, back and quick clicks."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from browsing import go_to, settle, start_server

pytestmark = pytest.mark.browser
DEFAULT = ["cnn_se", "vgg16_dropout"]
ALL = ["cnn_4", "cnn_3", "cnn_se", "cnn_bn_dropout40", "vgg16_dropout"]


def in_url(page) -> list[str] | None:
    """Names in the address, or None where it has no selection."""
    return parse_qs(urlsplit(page.url).query, keep_blank_values=True).get("models")


def shown(page) -> list[str]:
    """Names on the chips of the selection."""
    chips = page.locator('[data-testid="stSidebar"] [data-testid="stMultiSelectTagsContainer"] [data-tag]')
    return [text.strip() for text in chips.all_inner_texts()]


def assert_selected(page, names: list[str]) -> None:
    """Hold chips and address to a selection, once a loaded machine has drawn it; 20 s at most."""
    for _ in range(100):
        if shown(page) == names == in_url(page):
            break
        page.wait_for_timeout(200)
    assert shown(page) == names
    assert in_url(page) == names


def quick(page, label: str) -> None:
    page.get_by_role("radio", name=label, exact=True).click()
    settle(page)


def test_default_is_computed_and_written_into_the_url(dashboard, open_tab):
    """The study's best is also the best trade-off on this shelf; cnn_se is its lightest above 95 % on val."""
    page = open_tab(dashboard)
    assert_selected(page, DEFAULT)
    assert page.get_by_text("Models · 2 of 5 on").is_visible()


def test_selection_survives_pages_and_a_reload(dashboard, open_tab):
    page = open_tab(dashboard)
    quick(page, "all")
    go_to(page, "Compare")
    assert_selected(page, ALL)
    page.reload()
    page.locator("h1").wait_for()
    settle(page)
    assert_selected(page, ALL)


def test_none_is_kept_apart_from_the_default(dashboard, open_tab):
    page = open_tab(dashboard)
    quick(page, "none")
    assert in_url(page) == [""]
    go_to(page, "Compare")
    page.reload()
    page.locator("h1").wait_for()
    settle(page)
    assert shown(page) == []


def test_a_link_brings_its_selection_and_unknown_names_are_left_out(dashboard, open_tab):
    page = open_tab(f"{dashboard}/compare?models=cnn_3&models=no_such_model")
    assert_selected(page, ["cnn_3"])
    assert page.locator("h1").inner_text() == "Compare"


def test_a_link_that_names_only_unknown_models_opens_with_the_default(dashboard, open_tab):
    page = open_tab(f"{dashboard}/?models=no_such_model")
    assert_selected(page, DEFAULT)


def test_back_walks_through_pages_and_choices_without_losing_any(dashboard, open_tab):
    page = open_tab(dashboard)
    quick(page, "all")
    go_to(page, "Compare")
    seen = []
    for _ in range(6):
        page.go_back()
        settle(page)
        seen.append((page.locator("h1").inner_text(), tuple(shown(page))))
        if seen[-1] == ("Overview", tuple(DEFAULT)):
            break
    assert seen[-1] == ("Overview", tuple(DEFAULT)), seen
    assert all(selection in (tuple(ALL), tuple(DEFAULT)) for _, selection in seen)


def test_two_quick_clicks_both_count(dashboard, open_tab):
    page = open_tab(dashboard)
    page.get_by_role("button", name="By family, with accuracy and size").click()
    boxes = page.get_by_test_id("stPopoverBody")
    boxes.locator("label", has_text=re.compile("^cnn_3")).click()
    boxes.locator("label", has_text=re.compile("^cnn_4")).click()
    settle(page)
    assert_selected(page, ["cnn_4", "cnn_3", "cnn_se", "vgg16_dropout"])


def test_a_link_to_a_page_of_a_fresh_server_has_the_whole_navigation(chromium, open_tab, shelf_folder, tmp_path):
    """Without the shared opening, Streamlit would run the page alone, under a navigation made of file names."""
    process, url = start_server(shelf_folder, tmp_path / "cache")
    try:
        page = open_tab(f"{url}/compare?models=cnn_4")
        assert page.locator("h1").inner_text() == "Compare"
        links = page.locator('[data-testid="stSidebarNavLink"]').all_inner_texts()
        assert not any("app" in link.split() for link in links), links
        assert any(link.endswith("Overview") for link in links), links
        assert_selected(page, ["cnn_4"])
    finally:
        process.terminate()
        process.wait(10)

"""The projector's switch: on every page, in the address, and followed from page to page."""

from pathlib import Path

import pytest
from shelf import write_shelf
from streamlit.testing.v1 import AppTest

from bloodcell.views.navigation import GROUPS

APP = Path(__file__).parents[2] / "app.py"
PAGES = [page.file for pages in GROUPS.values() for page in pages if page.path.is_file()]
LARGE = "font-size: clamp("


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    folder = tmp_path / "artifacts"
    write_shelf(folder)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))


def is_large(page: AppTest) -> bool:
    return any(LARGE in element.proto.body for element in page.get("html"))


def test_switch_is_off_at_first_and_stays_out_of_the_address(shelf):
    page = AppTest.from_file(str(APP), default_timeout=120).run()
    assert page.toggle(key="projector_toggle").value is False
    assert not is_large(page)
    assert "projector" not in page.query_params


def test_an_address_turns_it_on_and_the_switch_off_again(shelf):
    page = AppTest.from_file(str(APP), default_timeout=120)
    page.query_params["projector"] = "on"
    page.run()
    assert is_large(page)
    page.toggle(key="projector_toggle").set_value(False).run()
    assert not is_large(page)
    assert page.query_params["projector"] == "off"


def test_every_page_follows(shelf):
    page = AppTest.from_file(str(APP), default_timeout=120).run()
    page.toggle(key="projector_toggle").set_value(True).run()
    for file in PAGES:
        page.switch_page(f"pages/{file}").run()
        assert not page.exception, file
        assert is_large(page), file
        assert page.query_params["projector"] == "on", file

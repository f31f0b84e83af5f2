"""A dashboard on a shelf of synthetic models, and a browser to read it with."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsing import TIMEOUT_MS, settle, start_server
from shelf import write_shelf


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    """A headless Chromium; skips where there is none."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium and no google-chrome on the PATH: browser tests are left out")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser tests")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shelf_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five synthetic artifacts with a benchmark record."""
    folder = tmp_path_factory.mktemp("shelf")
    write_shelf(folder)
    return folder


@pytest.fixture(scope="session")
def dashboard(chromium, shelf_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a dashboard on the synthetic shelf, without a dataset."""
    process, url = start_server(shelf_folder, tmp_path_factory.mktemp("cache"))
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture
def open_tab(chromium) -> Iterator[Callable]:
    """A function that opens an address in a fresh browser profile and waits until the page has settled."""
    contexts = []

    def open_address(url: str, width: int = 1280, height: int = 800, scheme: str = "light"):
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.set_default_timeout(TIMEOUT_MS)
        contexts.append(context)
        page = context.new_page()
        page.goto(url)
        page.locator("h1").first.wait_for()
        settle(page)
        return page

    yield open_address
    for context in contexts:
        context.close()

"""How tests start a dashboard and wait for its pages."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"]'
TIMEOUT_MS = 90_000


def start_server(artifacts: Path, cache: Path) -> tuple[subprocess.Popen, str]:
    """Start the dashboard on a free port and wait until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BLOODCELL_")},
        "BLOODCELL_ARTIFACTS": str(artifacts),
        "BLOODCELL_CACHE": str(cache),
        "BLOODCELL_HOME": str(cache / "home"),
    }
    options = ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.headless", "true"]
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", *options, "--server.fileWatcherType", "none"],
            cwd=PROJECT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            if urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).read() == b"ok":
                return process, url
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    process.kill()
    raise RuntimeError(f"The dashboard did not come up: {(cache / 'server.log').read_text()[-2000:]}")


def settle(page) -> None:
    """Wait until the script has run and what it changed is drawn."""
    page.wait_for_timeout(400)
    page.locator(SETTLED).wait_for()
    page.wait_for_timeout(400)


def go_to(page, title: str) -> None:
    """Follow the navigation to a page."""
    page.locator('[data-testid="stSidebarNavLink"]', has_text=re.compile(rf"{title}$")).click()
    page.locator("h1", has_text=title).wait_for()
    settle(page)

"""Thirty viewers at once on one machine: how fast does the dashboard answer, and how much memory does it hold?

    ./dev python tests/load/load_test.py                          # thirty viewers for a minute, prints the result
    ./dev python tests/load/load_test.py --save                   # and keeps it in docs/
    ./dev python tests/load/load_test.py --viewers 3 --seconds 15

It starts a dashboard of its own on 127.0.0.1 with the models and the dataset that are at hand, and stops it at the end;
it never visits another machine.
"""

import argparse
import asyncio
import contextlib
import datetime
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from process import cpu_seconds, resident_mb  # noqa: E402
from viewer import Reaction, Viewer  # noqa: E402

from bloodcell.dataset import find_dataset  # noqa: E402
from bloodcell.errors import DatasetError  # noqa: E402
from bloodcell.files import write_atomically  # noqa: E402
from bloodcell.inference.benchmark import describe_machine  # noqa: E402

RESULT_PATH = PROJECT / "docs" / "load_test.json"
DOCUMENT_PATH = PROJECT / "docs" / "classroom.md"
START_MARK, END_MARK = "<!-- load test: begin -->", "<!-- load test: end -->"
MOST_VIEWERS, MOST_SECONDS = 60, 300
ARRIVAL_S = 5.0
FIRST_TIMEOUT_S = 300.0
THINK_S = (2.0, 6.0)
LIMIT_MEDIAN_S, LIMIT_MEMORY_MB = 2.0, 3 * 1024


@contextlib.contextmanager
def running_dashboard() -> Iterator[tuple[int, int]]:
    """Start the dashboard on a free port of this machine; yield its port and process id, and stop it afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.headless", "true"]
    with tempfile.TemporaryDirectory() as folder:
        log_path = Path(folder) / "server.log"
        with log_path.open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", "app.py", *options],
                cwd=PROJECT,
                env={**os.environ, "BLOODCELL_HOME": folder},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_until_up(port, process, log_path)
            yield port, process.pid
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_up(port: int, process: subprocess.Popen, log_path: Path) -> None:
    for _ in range(900):
        with contextlib.suppress(OSError):
            if urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).read() == b"ok":
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"The dashboard did not come up: {log_path.read_text()[-2000:]}")


async def visit(port: int, pid: int, num_viewers: int, seconds: float) -> tuple[list[Reaction], list[float], float]:
    """Let viewers arrive within a few seconds and use the dashboard, after one has opened every page once.

    Returns:
        Their reactions, the server's memory in MB second by second, and the processor seconds that they cost it.
    """
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    memory: list[float] = []
    teacher = Viewer(address, seed=-1, timeout_s=FIRST_TIMEOUT_S)
    await teacher.tour()
    failed = [f"{one.page or 'overview'}: {one.error}" for one in teacher.reactions if one.error]
    if failed:
        raise SystemExit(f"The first viewer failed: {'; '.join(failed)}")
    cpu_before = cpu_seconds(pid)
    until = time.monotonic() + ARRIVAL_S + seconds
    viewers = [Viewer(address, seed) for seed in range(num_viewers)]

    async def arrive(number: int, viewer: Viewer) -> None:
        await asyncio.sleep(ARRIVAL_S * number / num_viewers)
        await viewer.run(until, THINK_S)

    async def watch() -> None:
        while True:
            memory.append(resident_mb(pid) or float("nan"))
            await asyncio.sleep(1)

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(arrive(number, viewer) for number, viewer in enumerate(viewers)))
    watcher.cancel()
    return [one for viewer in viewers for one in viewer.reactions], memory, cpu_seconds(pid) - cpu_before


def summarize(
    reactions: Sequence[Reaction],
    memory: Sequence[float],
    num_viewers: int,
    seconds: float,
    *,
    cpu_s: float,
    has_dataset: bool,
) -> dict[str, Any]:
    """Return the record of a load test: times by action and page, errors, memory, processor time, machine."""
    errors = [f"{one.action} {one.page or 'overview'}: {one.error}" for one in reactions if one.error]
    later = [one for one in reactions if one.action != "open"]
    known = [value for value in memory if value == value]
    pages = sorted({one.page for one in later})
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "viewers": num_viewers,
        "seconds": seconds,
        "think_s": list(THINK_S),
        "has_dataset": has_dataset,
        "reactions": _times(later),
        "first_paint": _times([one for one in reactions if one.action == "open"]),
        "browse": _times([one for one in later if one.action == "browse"]),
        "toggle": _times([one for one in later if one.action == "toggle"]),
        "pages": {page or "overview": _times([one for one in later if one.page == page]) for page in pages},
        "num_errors": len(errors),
        "errors": errors[:10],
        "cpu_s": None if cpu_s != cpu_s else round(cpu_s, 1),
        "memory_start_mb": round(known[0]) if known else None,
        "memory_peak_mb": round(max(known)) if known else None,
    }


def _times(reactions: Sequence[Reaction]) -> dict[str, float | int]:
    """Return count, median and 95th percentile in seconds of the reactions that succeeded."""
    seconds = sorted(one.seconds for one in reactions if not one.error)
    if not seconds:
        return {"count": 0}
    p95 = seconds[min(len(seconds) - 1, round(0.95 * (len(seconds) - 1)))]
    return {"count": len(seconds), "median_s": round(statistics.median(seconds), 3), "p95_s": round(p95, 3)}


def describe_result(result: dict[str, Any]) -> str:
    """Return a record as Markdown: a sentence on how it was measured, and a table."""
    machine, think = result["machine"], result["think_s"]
    num_runs = result["reactions"]["count"] + result["first_paint"]["count"]
    costs = [f"Errors: {result['num_errors']}."]
    if result["memory_peak_mb"] is not None:
        costs.append(
            f"Memory of the server: {result['memory_start_mb']:,} MB once every page had been opened, "
            f"{result['memory_peak_mb']:,} MB at its highest, with what all viewers share."
        )
    if result["cpu_s"] is not None and num_runs:
        costs.append(f"Processor time: {result['cpu_s'] / num_runs:.2f} s for each reaction, all cores together.")
    rows = [("All reactions", result["reactions"]), ("Opening the dashboard", result["first_paint"])]
    rows += [("Going to another page", result["browse"]), ("Toggling something", result["toggle"])]
    rows += [(f"Page {page}", times) for page, times in result["pages"].items()]
    lines = [
        f"{result['viewers']} viewers at once for {result['seconds']:g} s, each browsing and toggling at random after "
        f"{think[0]:g} to {think[1]:g} s of reading, after one viewer had opened every page once, "
        f"{'with' if result['has_dataset'] else 'without'} the dataset; "
        f"{machine['processor']}, {machine['num_cores']} cores, "
        f"{machine['memory_gb']} GB, {machine['system']}, {result['date'][:10]}.",
        "",
        f"**{' '.join(costs)}**",
        "",
        "| what | number | median, s | 95 % within, s |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {label} | {times['count']:,} | {times['median_s']:.2f} | {times['p95_s']:.2f} |"
            for label, times in rows
            if times["count"]
        ),
    ]
    return "\n".join(lines)


def has_dataset() -> bool:
    """Return whether the dashboard will find the dataset: pages with images ask more of it."""
    try:
        return find_dataset().is_file()
    except DatasetError:
        return False


def put_into_document(text: str, document: str) -> str:
    """Return the document with what stands between the two marks replaced.

    Raises:
        ValueError: A mark is missing.
    """
    if START_MARK not in document or END_MARK not in document:
        raise ValueError(f"Expected the marks {START_MARK!r} and {END_MARK!r} in the document.")
    before, _, rest = document.partition(START_MARK)
    return f"{before}{START_MARK}\n{text}\n{END_MARK}{rest.partition(END_MARK)[2]}"


def save_result(result: dict[str, Any]) -> None:
    """Keep a record beside the document, and put its table into the document."""
    document = put_into_document(describe_result(result), DOCUMENT_PATH.read_text(encoding="utf-8"))
    write_atomically(RESULT_PATH, (json.dumps(result, indent=2) + "\n").encode())
    write_atomically(DOCUMENT_PATH, document.encode())


def list_failures(result: dict[str, Any]) -> list[str]:
    """Return what misses the aims: an error, a median of two seconds, three gigabytes."""
    failures = list(result["errors"])
    if result["reactions"].get("median_s", LIMIT_MEDIAN_S) >= LIMIT_MEDIAN_S:
        failures.append(f"The median reaction is not under {LIMIT_MEDIAN_S:g} s.")
    if (result["memory_peak_mb"] or 0) >= LIMIT_MEMORY_MB:
        failures.append(f"The server held more than {LIMIT_MEMORY_MB:,} MB.")
    return failures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load test; return 0 where all aims are met, else 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=30, help=f"at most {MOST_VIEWERS}")
    parser.add_argument("--seconds", type=float, default=60, help=f"at most {MOST_SECONDS}")
    parser.add_argument("--save", action="store_true", help="keep the result in docs/")
    options = parser.parse_args(arguments)
    if not (1 <= options.viewers <= MOST_VIEWERS and 1 <= options.seconds <= MOST_SECONDS):
        parser.error(f"Expected 1 to {MOST_VIEWERS} viewers and 1 to {MOST_SECONDS} seconds.")
    with running_dashboard() as (port, pid):
        reactions, memory, cpu_s = asyncio.run(visit(port, pid, options.viewers, options.seconds))
    result = summarize(reactions, memory, options.viewers, options.seconds, cpu_s=cpu_s, has_dataset=has_dataset())
    print(describe_result(result))
    failures = list_failures(result)
    for failure in failures:
        print(f"MISSED: {failure}", file=sys.stderr)
    if options.save:
        save_result(result)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())

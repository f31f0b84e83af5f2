"""What the commands share: JSON and tables on standard output, sentences and progress on standard error."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any


class OutputError(Exception):
    """Standard output cannot be written."""


def flush_output() -> None:
    """Write out what a command has printed, while a failure can still be told.

    Raises:
        OutputError: The disk is full, or the output cannot be written for another reason.
        BrokenPipeError: The reader of a pipe has left.
    """
    try:
        if sys.stdout is not None:  # closed by whoever started this
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"The output could not be written: {error.strerror or error}.") from error


def say(message: str) -> None:
    """Write a sentence for the person at the terminal."""
    print(message, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Write one JSON value, in ASCII alone if it holds a character that cannot be written, as file names may.

    A number that is not finite is an error in the caller, not in the output.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(_encoding())  # strictly: in some locales the stream itself would let bytes through that are no text
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2, allow_nan=False)
    print(text)


def print_line(text: str) -> None:
    """Write a line of words; a character that cannot be written, as file names may hold, stands as its escape."""
    encoding = _encoding()
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
    """Write a table with aligned columns, the first `left` of them to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, ["-" * width for width in widths], *rows):
        cells = [
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print_line("  ".join(cells).rstrip())


def percent(value: float | None, decimals: int = 2) -> str:
    """Return a fraction as a percentage, a dash where there is none."""
    return "–" if value is None else f"{100 * value:.{decimals}f} %"


def _encoding() -> str:
    return getattr(sys.stdout, "encoding", None) or "utf-8"


@contextlib.contextmanager
def step_progress() -> Iterator[Callable[[int, int, str], None]]:
    """Yield a function that shows (steps done, steps in all, sentence): a bar on a terminal, lines elsewhere."""
    from tqdm import tqdm

    bar: tqdm | None = None
    last = ""

    def show(done: int, total: int, message: str) -> None:
        nonlocal bar, last
        if not sys.stderr.isatty():
            if message != last:
                say(message)
            last = message
            return
        if bar is None:
            bar = tqdm(
                total=total or None, file=sys.stderr, leave=False, bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt}"
            )
        bar.total, bar.n = total or None, done
        bar.set_description_str(message)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep what C++ libraries write to standard error by themselves off the terminal, for a moment without threads."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no standard error at all
        yield
        return
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)

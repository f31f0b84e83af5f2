"""Runs heavy or risky work in a process of its own and listens to it.

TensorFlow takes ten seconds and half a gigabyte to import, and a damaged LiteRT form can abort a whole process: neither
may happen to a page or to `classify`. A child prints its progress as marked lines on standard output and ends with a
marked line if it fails for a reason that a reader should know.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from bloodcell.errors import BloodCellError, EngineError
from bloodcell.files import PROJECT_DIRECTORY

OnProgress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and a sentence on what happens now."""

KERAS_ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
"""For children that run Keras: forms are converted and timed on TensorFlow and the processor, whoever asks."""

_PROGRESS, _ERROR = "@progress ", "@error "
_TAIL_LINES = 8


def report_progress(done: int, total: int, message: str) -> None:
    """Tell the parent process how far this child is."""
    print(_PROGRESS + json.dumps([done, total, message]), flush=True)


def run_main(main: Callable[[Sequence[str]], None]) -> None:
    """Run a child's `main` on its arguments; a `BloodCellError` reaches the parent as its message."""
    try:
        main(sys.argv[1:])
    except BloodCellError as error:
        print(_ERROR + json.dumps(str(error)), flush=True)
        raise SystemExit(1) from None


def run_child(
    module: str,
    arguments: Sequence[str],
    *,
    purpose: str,
    on_progress: OnProgress | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 3600.0,
) -> None:
    """Run `python -m module` with arguments in a child process and wait for it.

    Args:
        purpose: What the child is for, as it stands in the message of a failure: "Converting cnn_3".
        environment: Variables that the child gets besides this process's own.
        timeout_s: The child is ended after this time.

    Raises:
        EngineError: The child failed or took too long; the message ends with what it wrote last.
    """
    paths = [str(PROJECT_DIRECTORY), os.environ.get("PYTHONPATH", "")]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **(environment or {})}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as messages:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            encoding="utf-8",
            errors="replace",
            env=variables,
        )
        ran_out = threading.Event()

        def end() -> None:
            ran_out.set()
            process.kill()

        timer = threading.Timer(timeout_s, end)
        timer.daemon = True
        timer.start()
        try:
            reason = _listen(process, on_progress)
            process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode == 0:
            return
        if reason is not None:
            raise EngineError(reason)
        ending = f"took more than {timeout_s:.0f} s" if ran_out.is_set() else _describe_ending(process.returncode)
        raise EngineError(f"{purpose} failed: its process {ending}. {_last_words(messages)}")


def _listen(process: "subprocess.Popen[str]", on_progress: OnProgress | None) -> str | None:
    """Pass on the child's progress until it closes its output; return its reason for failing, if it gave one."""
    reason = None
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if line.startswith(_PROGRESS) and on_progress is not None:
                on_progress(*json.loads(line.removeprefix(_PROGRESS)))
            elif line.startswith(_ERROR):
                reason = json.loads(line.removeprefix(_ERROR))
    return reason


def _describe_ending(return_code: int) -> str:
    if return_code >= 0:
        return f"ended with code {return_code}"
    try:
        return f"was ended by {signal.Signals(-return_code).name}"
    except ValueError:
        return f"was ended by signal {-return_code}"


def _last_words(messages: IO[str]) -> str:
    messages.seek(0)
    lines = [line.strip() for line in messages.read()[-20_000:].splitlines() if line.strip()]
    return "Its last words: " + " | ".join(lines[-_TAIL_LINES:]) if lines else "It left no message."

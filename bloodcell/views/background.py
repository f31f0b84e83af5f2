"""Long work that must not stop a page: it runs in a thread of this process, and pages ask how far it is.

A thread never calls Streamlit. It writes numbers into its `Job`; a page reads them, in a fragment that repeats, so
that closing the page stops nothing and every open page shows the same progress.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

OnProgress = Callable[..., None]
"""Called with what is done, the whole (0 where unknown) and, optionally, a sentence on what happens now."""


@dataclass
class Job:
    """One piece of background work and how far it is.

    Attributes:
        name: What it is found by; only one of a name runs at a time.
        state: "running", "done" or "failed".
        done, total: Progress in the work's own unit (bytes, steps); total is 0 while unknown.
        message: A sentence on what happens now; may be empty.
        result: What the work returned, once done.
        error: What the work raised, once failed; a page shows the message of a `BloodCellError` and raises others.
        started: Seconds of the monotonic clock when it began.
    """

    name: str
    state: Literal["running", "done", "failed"] = "running"
    done: int = 0
    total: int = 0
    message: str = ""
    result: Any = None
    error: BaseException | None = None
    started: float = field(default_factory=time.monotonic)
    _finished: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def fraction(self) -> float:
        """Progress in [0, 1]; 0 while the whole is unknown."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 0.0

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is done or failed; return whether it is."""
        return self._finished.wait(timeout_s)

    def report(self, done: int = 0, total: int = 0, message: str = "") -> None:
        """Take a report of progress from the work."""
        self.done, self.total = int(done or 0), int(total or 0)
        self.message = message or self.message


_JOBS: dict[str, Job] = {}
_LOCK = threading.Lock()


def start_job(name: str, work: Callable[[OnProgress], Any]) -> Job:
    """Start `work` in a thread, or return the job of that name that is still running.

    Args:
        name: What the job is found by.
        work: Called with a function that takes reports of progress; its return value becomes the job's result.
    """
    with _LOCK:
        running = _JOBS.get(name)
        if running is not None and running.state == "running":
            return running
        job = Job(name)
        _JOBS[name] = job
    threading.Thread(target=_run, args=(job, work), name=f"job {name}", daemon=True).start()
    return job


def find_job(name: str) -> Job | None:
    """Return the latest job of that name, running or ended; None if there was none."""
    return _JOBS.get(name)


def forget_job(name: str) -> None:
    """Forget an ended job, so that its message is shown once; a running job stays."""
    with _LOCK:
        job = _JOBS.get(name)
        if job is not None and job.state != "running":
            del _JOBS[name]


def _run(job: Job, work: Callable[[OnProgress], Any]) -> None:
    try:
        job.result = work(job.report)
        job.state = "done"
    except BaseException as error:
        job.error = error
        job.state = "failed"
    finally:
        job._finished.set()

"""Fetch MedMNIST's own file into the user's cache: resumable, checked, and never half there under its name.

The bytes gather in a `.part` file beside the target, which a later call continues by an HTTP range request; pooch, the
usual tool for this, begins again each time. Only a file of the right MD5 is given its name. A lock lets one process
fetch while others wait for it.
"""

import errno
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bloodcell.dataset.source import cached_dataset_path, official_address, official_md5
from bloodcell.errors import DownloadError
from bloodcell.files import file_md5

if TYPE_CHECKING:
    import requests

ProgressCallback = Callable[[int, int], None]
"""Called with (bytes that are here, bytes in all); the second is 0 while the server does not say."""

CHUNK_BYTES = 1 << 20
SPARE_BYTES = 16 << 20
"""What a download leaves free on the disk."""
TIMEOUT_S = (10, 30)
"""Patience for a connection and for the next bytes, seconds."""
MAX_FAILURES = 4
"""Attempts in a row that bring no byte before giving up."""
FIRST_PAUSE_S = 1.0
"""Pause after the first failed attempt, seconds; it doubles with each."""
POLL_S = 0.5
"""How often a waiting process looks whether the fetching one is done, seconds."""

_BY_HAND = "or fetch {address} with a browser and let BLOODCELL_DATA name the file"


@dataclass(frozen=True)
class _Job:
    address: str
    md5: str
    target: Path
    part: Path
    on_progress: ProgressCallback

    @property
    def num_here(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    @property
    def by_hand(self) -> str:
        return _BY_HAND.format(address=self.address)


class _RestartNeeded(Exception):
    """What is in the part file cannot be continued."""


class _TryAgain(Exception):
    """An attempt that failed in a way that may pass."""


def partial_path(target: Path, md5: str | None = None) -> Path:
    """Return where the bytes of an unfinished download gather; one place per MD5, so that two files never mix."""
    return target.with_name(f"{target.name}.{(md5 or official_md5())[:8]}.part")


def download_dataset(
    on_progress: ProgressCallback | None = None, *, address: str | None = None, md5: str | None = None
) -> Path:
    """Return the path of MedMNIST's 64 x 64 file in the user's cache, fetching it (156 MB) unless it is there already.

    An interrupted download is continued by the next call. If another process is fetching, this one waits for it.

    Args:
        on_progress: Called with (bytes here, bytes in all) about once per MiB. What it raises ends the call and keeps
            what has come.
        address: Where to fetch; MedMNIST's address if None.
        md5: What the file must be; MedMNIST's MD5 if None.

    Raises:
        DownloadError: No network, an answer other than the file, no space, a folder that cannot be written, or wrong
            bytes. Nothing half-made lies under the file's name.
    """
    target = cached_dataset_path()
    md5 = md5 or official_md5()
    job = _Job(
        address or official_address(), md5, target, partial_path(target, md5), on_progress or (lambda done, total: None)
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(job):
            if not _is_complete(job):
                _fetch_checked(job)
    except OSError as error:
        raise _storage_problem(job, error) from error
    return target


def _is_complete(job: _Job) -> bool:
    return job.target.is_file() and file_md5(job.target) == job.md5


def _fetch_checked(job: _Job) -> None:
    """Fetch, compare the MD5 and give the file its name; an old part that spoils the sum is thrown away once."""
    continued = job.num_here > 0
    _fetch(job)
    found = file_md5(job.part)
    if found != job.md5 and continued:
        job.part.unlink()
        _fetch(job)
        found = file_md5(job.part)
    if found != job.md5:
        num_bytes = job.num_here
        job.part.unlink()
        raise DownloadError(
            f"{job.address} gave {num_bytes:,} bytes with MD5 {found}; expected {job.md5}. They were deleted and "
            f"nothing else was changed. Try again later, {job.by_hand}."
        )
    os.replace(job.part, job.target)


def _fetch(job: _Job) -> None:
    """Bring all bytes into the part file, continuing after each break that brought something."""
    num_failures, num_restarts = 0, 0
    while True:
        before = job.num_here
        try:
            _attempt(job)
            return
        except _RestartNeeded:
            job.part.unlink(missing_ok=True)
            num_restarts += 1
            num_failures = MAX_FAILURES if num_restarts > 1 else 1
            problem = "the server would not continue where the download had stopped"
        except _TryAgain as error:
            num_failures = 1 if job.num_here > before else num_failures + 1
            problem = str(error)
        if num_failures >= MAX_FAILURES:
            kept = job.num_here
            hint = f"{kept / 1e6:.1f} MB are kept and the next call continues there" if kept else "nothing has come"
            raise DownloadError(
                f"The dataset could not be fetched from {job.address}: {problem}; {hint}. Check the network connection "
                f"and run `python -m bloodcell data download` again, {job.by_hand}."
            )
        time.sleep(FIRST_PAUSE_S * 2 ** (num_failures - 1))


def _attempt(job: _Job) -> None:
    import requests

    start = job.num_here
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        with requests.get(job.address, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
            if response.status_code == 416:
                if _total_of_range(response) == start:
                    return
                raise _RestartNeeded
            _check_status(job, response)
            if response.status_code == 200:
                start = 0
            elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise _RestartNeeded
            _receive(job, response, start)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise _TryAgain(_explain(error)) from error
    except requests.RequestException as error:  # an OSError too, and no word about the disk
        raise DownloadError(
            f"The dataset could not be fetched from {job.address}: {error}. Nothing was changed. Try again later, "
            f"{job.by_hand}."
        ) from error


def _check_status(job: _Job, response: "requests.Response") -> None:
    status = response.status_code
    if status in (200, 206):
        return
    if status >= 500 or status in (408, 429):
        raise _TryAgain(f"the server answered {status} {response.reason}")
    raise DownloadError(
        f"{job.address} answered {status} {response.reason} instead of the file. Nothing was changed. Try again later, "
        f"{job.by_hand}."
    )


def _total_of_range(response: "requests.Response") -> int:
    found = re.search(r"/(\d+)$", response.headers.get("Content-Range", ""))
    return int(found.group(1)) if found else 0


def _receive(job: _Job, response: "requests.Response", start: int) -> None:
    length = int(response.headers.get("Content-Length") or 0)
    total = start + length if length else 0
    free = shutil.disk_usage(job.part.parent).free + (job.num_here - start)
    if length + SPARE_BYTES > free:
        raise DownloadError(
            f"The dataset needs {length / 1e6:.0f} MB more in {job.part.parent}, where {free / 1e6:.0f} MB are free; a "
            f"download leaves {SPARE_BYTES / 1e6:.0f} MB. Free some space, or let BLOODCELL_CACHE name another folder."
        )
    done = start
    with open(job.part, "r+b" if start else "wb") as stream:
        stream.seek(start)
        job.on_progress(done, total)
        for chunk in response.iter_content(CHUNK_BYTES):
            stream.write(chunk)
            done += len(chunk)
            job.on_progress(done, total)
        stream.flush()
        os.fsync(stream.fileno())
    if done < total:
        raise _TryAgain(f"the connection broke off after {done / 1e6:.1f} of {total / 1e6:.1f} MB")


def _explain(error: Exception) -> str:
    import requests

    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.exceptions.SSLError):
        return "a secure connection could not be made"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy did not let it through"
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    return "no connection to the server"


def _storage_problem(job: _Job, error: OSError) -> DownloadError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        kept = job.num_here
        return DownloadError(
            f"The disk of {job.part.parent} is full: {kept / 1e6:.1f} MB of the dataset are kept in {job.part.name} "
            "and the next call continues there. Free some space, or let BLOODCELL_CACHE name another folder."
        )
    return DownloadError(
        f"The dataset cannot be stored in {job.target.parent}: {error.strerror or error}. Let BLOODCELL_CACHE name a "
        "folder that can be written."
    )


@contextmanager
def _only_one(job: _Job) -> Iterator[None]:
    """Hold the download's lock; while another process or thread has it, show that one's progress.

    The system takes the lock back when its holder ends in any way, so nothing stale is ever left.
    """
    with open(job.target.with_name(f"{job.target.name}.lock"), "a+b") as stream:
        while not _try_lock(stream):
            job.on_progress(job.num_here, 0)
            time.sleep(POLL_S)
        yield


def _try_lock(stream: IO[bytes]) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            stream.seek(0)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        raise
    return True

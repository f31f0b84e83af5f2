"""Locks between processes that the system gives back however their holder ends; a lock file itself means nothing."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bloodcell.errors import NoLocksError, StorageError


@contextlib.contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Wait for a lock and hold it.

    Raises:
        StorageError: Its file cannot be written.
    """
    with _open(path) as stream:
        _lock(stream, exclusive=True, wait=True)
        yield


@contextlib.contextmanager
def try_lock(path: Path, patience_s: float = 3.0) -> Iterator[IO[str] | None]:
    """Hold a lock, or give None where another process keeps it longer than a moment.

    A child process that inherits the open file holds the lock as well, until it ends.

    Raises:
        StorageError: Its file cannot be written.
    """
    deadline = time.monotonic() + patience_s
    with _open(path) as stream:
        # Whoever asks `is_held` has the lock for an instant, and does not count.
        while not (held := _lock(stream, exclusive=True, wait=False)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield stream if held else None


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the right to change what lies in a folder, across processes; given back however its holder ends.

    The folder itself is locked, so that no file is left behind. Where the system has no such locks the caller goes on.

    Raises:
        StorageError: The folder cannot be made or opened.
    """
    try:
        import fcntl
    except ImportError:  # Windows: two processes may change it at once, and either finds whole files
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"The folder {folder} cannot be used: {error.strerror or error}.") from error
    try:
        with contextlib.suppress(OSError):  # some network drives
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Return whether a living process holds a lock."""
    if not path.is_file():
        return False
    with _open(path) as stream:
        return not _lock(stream, exclusive=False, wait=False)


def _open(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "a", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"The folder {path.parent} cannot be written: {error.strerror or error}.") from error


def _lock(stream: IO[str], *, exclusive: bool, wait: bool) -> bool:
    try:
        import fcntl
    except ImportError as error:
        raise NoLocksError(
            "Trainings from a page need Linux or macOS. `./dev python -m bloodcell train NAME` trains everywhere."
        ) from error
    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(stream, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

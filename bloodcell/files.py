"""Where files lie and how they are written whole or not at all."""

import hashlib
import os
import tempfile
import zipfile
import zlib
from pathlib import Path

from platformdirs import user_cache_dir, user_data_dir

from bloodcell.errors import StorageError

DAMAGED_ARRAYS = (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged .npz file raises: cut, empty, altered in one bit, or something else altogether."""

PROJECT_DIRECTORY = Path(__file__).resolve().parent.parent


def artifacts_directory() -> Path:
    """Return the folder of trained models: `BLOODCELL_ARTIFACTS`, else `artifacts/` of this project."""
    override = os.environ.get("BLOODCELL_ARTIFACTS")
    return Path(override).expanduser() if override else PROJECT_DIRECTORY / "artifacts"


def cache_directory() -> Path:
    """Return the user's cache folder: `BLOODCELL_CACHE`, else the system's place. It may not exist yet."""
    override = os.environ.get("BLOODCELL_CACHE")
    return Path(override).expanduser() if override else Path(user_cache_dir("bloodcell"))


def data_directory() -> Path:
    """Return the user's data folder: `BLOODCELL_HOME`, else the system's place. It may not exist yet."""
    override = os.environ.get("BLOODCELL_HOME")
    return Path(override).expanduser() if override else Path(user_data_dir("bloodcell"))


def own_models_directory() -> Path:
    """Return the folder of the models that this user trained, in the user's data folder. It may not exist yet."""
    return data_directory() / "models"


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never a part of either.

    Raises:
        StorageError: The disk is full or the folder cannot be written; what was there before is untouched.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise StorageError(
            f"Could not write {path}: {error.strerror or error}. Nothing that was there before has changed; "
            "free some space or choose a folder that can be written, then try again."
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_md5(path: Path) -> str:
    """Return the MD5 of a file as 32 hexadecimal digits; MD5 is what MedMNIST publishes, not a protection."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()

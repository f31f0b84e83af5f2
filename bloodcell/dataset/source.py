"""Where the dataset's file lies and which file it is."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from bloodcell.dataset.medmnist_modules import load_medmnist_module
from bloodcell.errors import DatasetError, DatasetNotFoundError
from bloodcell.files import cache_directory, file_md5

FILE_NAME = "bloodmnist_64.npz"

RECONSTRUCTION_MD5 = "ab3c41d708050cb0c13c508b43872501"
"""A file rebuilt from the original images by MedMNIST's recipe, in the official split as far as it is known."""

DatasetKind = Literal["official", "reconstruction", "unknown"]


@dataclass(frozen=True)
class DatasetIdentity:
    """Which file the numbers come from.

    Attributes:
        kind: "official" for MedMNIST's own download, "reconstruction" for the rebuilt file, "unknown" for any other.
        md5: 32 hexadecimal digits.
        path: The file that was read.
        label: The part of a sentence that stands beside numbers: "measured on" … label.
    """

    kind: DatasetKind
    md5: str
    path: Path
    label: str


def dataset_info() -> dict[str, Any]:
    """Return MedMNIST's own entry for BloodMNIST: addresses, MD5, labels, licence."""
    return load_medmnist_module("info").INFO["bloodmnist"]


def official_md5() -> str:
    """Return the MD5 that MedMNIST publishes for its 64 x 64 file."""
    return dataset_info()["MD5_64"]


def official_address() -> str:
    """Return the address that MedMNIST publishes for its 64 x 64 file."""
    return dataset_info()["url_64"]


def cached_dataset_path() -> Path:
    """Return where a download of the dataset is kept; it may not exist yet."""
    return cache_directory() / FILE_NAME


def find_dataset() -> Path:
    """Return the dataset's file: what `BLOODCELL_DATA` names, else the download in the user's cache.

    Raises:
        DatasetNotFoundError: Nothing is there, or what is there is a folder.
    """
    override = os.environ.get("BLOODCELL_DATA")
    path = Path(override).expanduser() if override else cached_dataset_path()
    if path.is_file():
        return path
    wanted = f"the file {FILE_NAME} of MedMNIST"
    if path.is_dir():
        origin = "BLOODCELL_DATA names" if override else "The place of the download is"
        inside = path / FILE_NAME
        hint = f" (the folder holds one: {inside})" if inside.is_file() else ""
        raise DatasetNotFoundError(f"{origin} a folder, {path}; expected {wanted}. Name the file itself{hint}.")
    if override:
        raise DatasetNotFoundError(
            f"BLOODCELL_DATA names {path}, where there is no file; expected {wanted}. Correct the variable, or unset "
            "it and run `python -m bloodcell data download`."
        )
    raise DatasetNotFoundError(
        f"The dataset is not here yet: there is no file {path}. Run `python -m bloodcell data download` (about 156 MB) "
        "or let BLOODCELL_DATA name a file that you have."
    )


def identify_dataset(path: Path) -> DatasetIdentity:
    """Return which file lies at `path`, by its MD5, which is read once per file and process.

    Raises:
        DatasetNotFoundError: The file cannot be read.
    """
    path = Path(path)
    try:
        status = path.stat()
        md5 = _md5_of(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise DatasetNotFoundError(
            f"The dataset's file {path} cannot be read: {error.strerror or error}. Check the path and its permissions."
        ) from error
    kind: DatasetKind = "unknown"
    if md5 == RECONSTRUCTION_MD5:
        kind = "reconstruction"
    elif md5 == official_md5():
        kind = "official"
    return DatasetIdentity(kind, md5, path, _label(kind, md5))


@lru_cache(maxsize=32)
def _md5_of(path: Path, size: int, modified_ns: int) -> str:
    # Size and time are part of the key only: a file that was written again is read again.
    return file_md5(path)


def _label(kind: DatasetKind, md5: str) -> str:
    if kind == "official":
        return "the official BloodMNIST file, 64×64"
    if kind == "reconstruction":
        return (
            "a reconstruction of BloodMNIST, 64×64, from the original images (official split, a few platelets of "
            "uncertain split): close to, but not exactly, what the official file would give"
        )
    return (
        f"an unknown dataset file (MD5 {md5[:8]}…): neither the official BloodMNIST file nor its known reconstruction"
    )


def describe_status() -> dict[str, Any]:
    """Return what `data status` prints: whether a dataset is there, which, how large, and where a download would go.

    Returns:
        A JSON-ready dict with available, path, kind, md5, label, num_images per split (None where the file is
        damaged), error (a sentence or None), download (address, md5, path, partial_bytes).
    """
    from bloodcell.dataset.download import partial_path
    from bloodcell.dataset.splits import count_images

    target = cached_dataset_path()
    partial = partial_path(target)
    status: dict[str, Any] = {
        "available": False,
        "path": None,
        "kind": None,
        "md5": None,
        "label": None,
        "num_images": None,
        "error": None,
        "download": {
            "address": official_address(),
            "md5": official_md5(),
            "path": str(target),
            "partial_bytes": partial.stat().st_size if partial.is_file() else 0,
        },
    }
    try:
        path = find_dataset()
        status["path"] = str(path)
        identity = identify_dataset(path)
        status.update(kind=identity.kind, md5=identity.md5, label=identity.label)
        status["num_images"] = count_images(path)
        status["available"] = True
    except DatasetError as error:
        status["error"] = str(error)
    return status

"""Finding the file, naming it, and saying what is wrong with it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bloodcell.dataset import describe_status, download, find_dataset, identify_dataset, source
from bloodcell.dataset.medmnist_modules import load_medmnist_module
from bloodcell.errors import DatasetNotFoundError


def test_medmnist_is_met_without_torch_and_without_a_word():
    """Neither torch nor scikit-learn is imported for the addresses, and nothing is printed."""
    code = (
        "import sys; from bloodcell.dataset.source import official_address, official_md5;"
        "assert official_address().startswith('https://') and 'bloodmnist_64' in official_address();"
        "assert official_md5() == '2b94928a2ae4916078ca51e05b6b800b';"
        "assert 'medmnist' not in sys.modules and 'sklearn' not in sys.modules and 'torch' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_medmnist_module_is_loaded_once():
    assert load_medmnist_module("info") is load_medmnist_module("info")
    with pytest.raises(ModuleNotFoundError):
        load_medmnist_module("nonsense")
    assert "medmnist" not in sys.modules


def test_the_variable_wins_over_the_cache(small_dataset, small_dataset_file):
    source.cached_dataset_path().parent.mkdir(parents=True)
    source.cached_dataset_path().write_bytes(b"a download")
    assert find_dataset() == small_dataset_file


def test_the_cache_is_looked_into_without_the_variable():
    with pytest.raises(DatasetNotFoundError, match=r"not here yet.*data download.*BLOODCELL_DATA"):
        find_dataset()
    source.cached_dataset_path().parent.mkdir(parents=True)
    source.cached_dataset_path().write_bytes(b"a download")
    assert find_dataset() == source.cached_dataset_path()


def test_a_variable_that_leads_nowhere_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("BLOODCELL_DATA", str(tmp_path / "gone.npz"))
    with pytest.raises(DatasetNotFoundError, match=r"BLOODCELL_DATA names .*gone\.npz, where there is no file"):
        find_dataset()


def test_a_variable_that_names_a_folder_is_said_with_the_file_inside(monkeypatch, tmp_path):
    monkeypatch.setenv("BLOODCELL_DATA", str(tmp_path))
    with pytest.raises(DatasetNotFoundError, match=r"names a folder, .*Name the file itself\.$"):
        find_dataset()
    (tmp_path / source.FILE_NAME).write_bytes(b"")
    with pytest.raises(DatasetNotFoundError, match=r"Name the file itself \(the folder holds one: .*\.npz\)"):
        find_dataset()


def test_an_unknown_file_says_so(small_dataset):
    identity = identify_dataset(small_dataset)
    assert identity.kind == "unknown"
    assert identity.label.startswith("an unknown dataset file (MD5 " + identity.md5[:8])
    assert identity.path == small_dataset


@pytest.mark.parametrize("kind", ["official", "reconstruction"])
def test_known_files_are_recognised_by_their_md5(tmp_path, monkeypatch, kind):
    path = tmp_path / "file.npz"
    path.write_bytes(kind.encode())
    known = {"official": source.official_md5(), "reconstruction": source.RECONSTRUCTION_MD5}[kind]
    monkeypatch.setattr(source, "file_md5", lambda path: known)
    identity = identify_dataset(path)
    assert identity.kind == kind and identity.md5 == known
    assert "unknown" not in identity.label


def test_the_md5_is_read_once_until_the_file_changes(tmp_path, monkeypatch):
    path, reads = tmp_path / "file.npz", []
    monkeypatch.setattr(source, "file_md5", lambda path: reads.append(path) or f"{len(reads):032d}")
    path.write_bytes(b"one")
    assert identify_dataset(path) == identify_dataset(path)
    assert len(reads) == 1
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert identify_dataset(path).md5.endswith("2")


def test_a_file_that_is_gone_is_said(tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"cannot be read: No such file"):
        identify_dataset(tmp_path / "gone.npz")


def test_status_without_a_dataset_says_where_a_download_goes():
    partial = download.partial_path(source.cached_dataset_path())
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"12345")
    status = describe_status()
    assert status["available"] is False and "not here yet" in status["error"]
    assert status["download"] == {
        "address": source.official_address(),
        "md5": source.official_md5(),
        "path": str(source.cached_dataset_path()),
        "partial_bytes": 5,
    }


def test_status_with_a_dataset_counts_its_images(small_dataset):
    status = describe_status()
    assert status["available"] is True and status["error"] is None
    assert status["kind"] == "unknown" and status["path"] == str(small_dataset)
    assert status["num_images"] == {"train": 96, "val": 40, "test": 48}


def test_status_of_a_damaged_file_says_what_is_wrong(monkeypatch, tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(path, train_images=np.zeros(3))
    monkeypatch.setenv("BLOODCELL_DATA", str(path))
    status = describe_status()
    assert status["available"] is False and status["path"] == str(path)
    assert "has no array train_labels" in status["error"]


def test_the_real_file_is_recognised(real_dataset: Path):
    status = describe_status()
    assert status["kind"] in ("official", "reconstruction")
    assert status["num_images"] == {"train": 11959, "val": 1712, "test": 3421}

"""Writes artifacts: every file first, the manifest last, then the whole folder into its place."""

import dataclasses
import hashlib
import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bloodcell.artifact.manifest import MANIFEST_FILE, Manifest
from bloodcell.artifact.store import (
    EVALUATION_FILE,
    HISTORY_FILE,
    LITERT_FILE,
    NEXT_MANIFEST_FILE,
    PREDICTIONS_FILE,
    RUNS_FOLDER,
    WEIGHTS_FILE,
    Artifact,
    Predictions,
    load_artifact,
    read_manifest,
)
from bloodcell.errors import StorageError
from bloodcell.files import artifacts_directory, file_sha256, write_atomically
from bloodcell.locks import lock_folder

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LITERT_FILE", "add_file", "publish_artifact"]


def publish_artifact(
    manifest: Manifest,
    *,
    weights: bytes | None,
    history: "pd.DataFrame",
    predictions: list[Predictions],
    evaluations: dict[str, dict[str, Any]],
    directory: Path | None = None,
) -> Artifact:
    """Write one artifact (with `weights`) or run (without) and return it as a reader will load it.

    An artifact of the same name is replaced in one step, and only after the new one is complete.

    Args:
        manifest: Everything but `files`, which is filled in here.
        weights: A safetensors file, or None for a run.
        evaluations: `Evaluation.to_dict()` by split.

    Raises:
        StorageError: The disk is full or the folder cannot be written; the old artifact is untouched.
    """
    root = directory or artifacts_directory()
    target = root / RUNS_FOLDER / manifest.name if manifest.kind == "run" else root / manifest.name
    contents = {
        HISTORY_FILE: history.to_csv(index=False, float_format="%.6g").encode(),
        PREDICTIONS_FILE: _serialize_predictions(predictions),
        EVALUATION_FILE: (json.dumps(evaluations, indent=1) + "\n").encode(),
    }
    if weights is not None:
        contents[WEIGHTS_FILE] = weights
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{manifest.name}.", suffix=".part"))
    except OSError as error:
        raise StorageError(f"Could not make a folder in {target.parent}: {error.strerror or error}.") from error
    try:
        os.chmod(staging, 0o755)
        for name, data in contents.items():
            write_atomically(staging / name, data)
        complete = dataclasses.replace(manifest, files={name: file_sha256(staging / name) for name in sorted(contents)})
        write_atomically(staging / MANIFEST_FILE, complete.to_json().encode())
        with lock_folder(target.parent):
            _swap(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return load_artifact(str(target.relative_to(root)), root)


def add_file(artifact: Artifact, name: str, data: bytes) -> Artifact:
    """Add or replace one derived file, such as the LiteRT form, and list it in the manifest as that is on disk now.

    What other processes have added since `artifact` was loaded stays. Killed at any moment, the artifact still loads.

    Raises:
        StorageError: The artifact was trained anew since it was loaded, the disk is full or the folder cannot be
            written; what is there is untouched.
        ArtifactDamagedError: Its files have been altered since it was loaded.
    """
    folder = artifact.directory
    with lock_folder(folder.parent):
        current = read_manifest(folder, artifact.kind == "run")
        for deciding in (WEIGHTS_FILE, PREDICTIONS_FILE):
            if current.files.get(deciding) != artifact.manifest.files.get(deciding):
                raise StorageError(
                    f"{artifact.name} was trained anew while its {name} was made, so that {name} does not fit it and "
                    "was not stored. Run the same command again."
                )
        files = {**current.files, name: hashlib.sha256(data).hexdigest()}
        manifest = dataclasses.replace(current, files=dict(sorted(files.items())))
        if (folder / NEXT_MANIFEST_FILE).exists():  # an earlier one was killed: what it left in force comes first
            write_atomically(folder / MANIFEST_FILE, current.to_json().encode())
        _replace_with_manifest(folder, name, data, manifest)
    return dataclasses.replace(artifact, manifest=manifest)


def _replace_with_manifest(folder: Path, name: str, data: bytes, manifest: Manifest) -> None:
    """Replace one file and then the manifest; in between, the next manifest is there for whoever reads."""
    pending = folder / NEXT_MANIFEST_FILE
    write_atomically(pending, manifest.to_json().encode())
    try:
        write_atomically(folder / name, data)
    except StorageError:
        pending.unlink(missing_ok=True)
        raise
    try:
        os.replace(pending, folder / MANIFEST_FILE)
    except OSError as error:
        raise StorageError(f"Could not replace {folder / MANIFEST_FILE}: {error.strerror or error}.") from error


def _swap(staging: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    try:
        if target.exists():
            os.replace(target, old)
        try:
            os.replace(staging, target)
        except OSError:
            if old.exists():
                os.replace(old, target)
            raise
    except OSError as error:
        raise StorageError(f"Could not put the finished artifact at {target}: {error.strerror or error}.") from error
    shutil.rmtree(old, ignore_errors=True)


def _serialize_predictions(predictions: list[Predictions]) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    for one in predictions:
        arrays[f"{one.split}_y_true"] = one.y_true.astype(np.uint8)
        arrays[f"{one.split}_logits"] = one.logits.astype(np.float32)
        arrays[f"{one.split}_image_hashes"] = one.image_hashes.astype(np.uint64)
        if one.subtype_logits is not None and one.finer_true is not None:
            arrays[f"{one.split}_subtype_logits"] = one.subtype_logits.astype(np.float32)
            arrays[f"{one.split}_finer_true"] = one.finer_true.astype(np.int8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()

"""Reads artifacts back: verified by hash, the damaged ones named and set aside."""

import contextlib
import io
import json
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bloodcell.artifact.manifest import MANIFEST_FILE, Manifest
from bloodcell.errors import ArtifactDamagedError, ArtifactNotFoundError
from bloodcell.files import DAMAGED_ARRAYS, artifacts_directory, file_sha256, own_models_directory

if TYPE_CHECKING:
    import pandas as pd

WEIGHTS_FILE = "weights.safetensors"
LITERT_FILE = "model.tflite"
HISTORY_FILE = "history.csv"
PREDICTIONS_FILE = "predictions.npz"
EVALUATION_FILE = "evaluation.json"
REQUIRED_FILES = {
    "artifact": (WEIGHTS_FILE, HISTORY_FILE, PREDICTIONS_FILE, EVALUATION_FILE),
    "run": (HISTORY_FILE, PREDICTIONS_FILE, EVALUATION_FILE),
}
RUNS_FOLDER = "runs"
NEXT_MANIFEST_FILE = ".manifest.json.next"
"""The manifest to be, written before `add_file` replaces a file; in force once the files fit it, never otherwise."""

# A name is a folder's, and nothing in it may lead elsewhere.
_FOLDER_NAME = re.compile(rf"({RUNS_FOLDER}/)?[^./\\\0][^/\\\0]*")


@dataclass(frozen=True)
class Predictions:
    """What a model said about every image of one split, and which images they were.

    Attributes:
        y_true: (n,) int64 class indices.
        logits: (n, 8) float32, before temperature and softmax.
        image_hashes: (n,) uint64 of the pixels, as `dataset.hash_images` gives them.
        subtype_logits: (n, 5) float32 within classes, where the network tells finer types apart; else None.
        finer_true: (n,) int64 index in `dataset.FINER_NAMES`, -1 where only the class is known; there with the former.
    """

    split: str
    y_true: np.ndarray
    logits: np.ndarray
    image_hashes: np.ndarray
    subtype_logits: np.ndarray | None = None
    finer_true: np.ndarray | None = None


@dataclass(frozen=True)
class Artifact:
    """One trained model on disk, its files verified when it was loaded.

    Attributes:
        own: Whether this user trained it, so that it lies in the user's data folder and not with the project's models.
    """

    name: str
    kind: str
    directory: Path
    manifest: Manifest
    own: bool = False

    @property
    def fingerprint(self) -> str:
        """Changes with any byte of the artifact; the key for whatever is cached about it."""
        return self.manifest.fingerprint

    @property
    def model_name(self) -> str:
        """Catalog row of the graph."""
        return self.manifest.model

    @property
    def litert_path(self) -> Path | None:
        """The LiteRT form, where the artifact ships one."""
        return self.directory / LITERT_FILE if LITERT_FILE in self.manifest.files else None

    def load_history(self) -> "pd.DataFrame":
        """Return one row per epoch: epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, seconds."""
        import pandas as pd  # a second that `models` and `classify` need not wait for

        return pd.read_csv(self.directory / HISTORY_FILE)

    def load_predictions(self, split: str) -> Predictions:
        """Return the stored logits of `"val"` or `"test"`.

        Raises:
            ValueError: Another split was asked for; train is not stored.
            ArtifactDamagedError: The file cannot be read.
        """
        if split not in ("val", "test"):
            raise ValueError(f"split must be 'val' or 'test', received {split!r}.")
        path = self.directory / PREDICTIONS_FILE
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                has_subtypes = f"{split}_subtype_logits" in stored
                return Predictions(
                    split,
                    stored[f"{split}_y_true"].astype(np.int64),
                    stored[f"{split}_logits"].astype(np.float32),
                    stored[f"{split}_image_hashes"].astype(np.uint64),
                    stored[f"{split}_subtype_logits"].astype(np.float32) if has_subtypes else None,
                    stored[f"{split}_finer_true"].astype(np.int64) if has_subtypes else None,
                )
        except DAMAGED_ARRAYS as error:
            raise ArtifactDamagedError(f"{path} cannot be read ({error}). Restore it or train again.") from error

    def load_evaluation(self, split: str) -> dict[str, Any]:
        """Return the numbers of `"val"` or `"test"` as `Evaluation.to_dict` wrote them."""
        return json.loads((self.directory / EVALUATION_FILE).read_text(encoding="utf-8"))[split]


@dataclass(frozen=True)
class DamagedArtifact:
    """An artifact that was set aside, and why."""

    name: str
    directory: Path
    reason: str


@dataclass(frozen=True)
class Shelf:
    """Everything that could be loaded, by name, and what could not."""

    artifacts: dict[str, Artifact] = field(default_factory=dict)
    runs: dict[str, Artifact] = field(default_factory=dict)
    damaged: tuple[DamagedArtifact, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Changes when any artifact or run appears, changes or goes."""
        return ",".join(a.fingerprint for shelf in (self.artifacts, self.runs) for a in shelf.values())


def load_artifact(name: str, directory: Path | None = None) -> Artifact:
    """Load one artifact or, as `runs/NAME`, one run, and verify every file by its hash.

    Raises:
        ArtifactNotFoundError: Nothing trained under that name.
        ArtifactDamagedError: A file is missing, altered or foreign.
    """
    root = directory or artifacts_directory()
    if not _FOLDER_NAME.fullmatch(name):
        raise ArtifactNotFoundError(
            f"{name!r} is not the name of a trained model: expected one such as cnn_4, or {RUNS_FOLDER}/NAME.TAG for a "
            "run."
        )
    folder, is_run = root / name, name.startswith(f"{RUNS_FOLDER}/")
    if not (folder / MANIFEST_FILE).is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise ArtifactDamagedError(
                f"{folder} has no {MANIFEST_FILE}, which is written last: the artifact is incomplete. "
                f"Delete the folder and run `{_training_command(name, root)}`."
            )
        found = sorted(p.parent.name for p in folder.parent.glob(f"*/{MANIFEST_FILE}"))
        raise ArtifactNotFoundError(
            f"No trained {'run' if is_run else 'artifact'} for {name!r} in {root}. Run "
            f"`{_training_command(name, root)}`. Available: {', '.join(found) or 'none'}."
        )
    manifest = read_manifest(folder, is_run)
    return Artifact(manifest.name, manifest.kind, folder, manifest)


def read_manifest(folder: Path, is_run: bool) -> Manifest:
    """Return the manifest that an artifact's files fit, every one verified by its hash.

    That is the next one where a process that replaces a file was killed, or is met, before it replaced the manifest.

    Raises:
        ArtifactDamagedError: A file is missing, altered or foreign.
    """
    try:
        return _read_verified(folder, MANIFEST_FILE, is_run)
    except ArtifactDamagedError:
        for name in (NEXT_MANIFEST_FILE, MANIFEST_FILE):  # in this order, both have been replaced since the first look
            if (folder / name).is_file():
                with contextlib.suppress(ArtifactDamagedError):
                    return _read_verified(folder, name, is_run)
        raise


def load_shelf(directory: Path | None = None) -> Shelf:
    """Load every artifact and run below `directory`, in alphabetical order; damaged ones are named, never raised."""
    root = directory or artifacts_directory()
    found: dict[str, dict[str, Artifact]] = {"artifact": {}, "run": {}}
    damaged = []
    folders = [(p, p.name) for p in _folders(root) if p.name != RUNS_FOLDER]
    folders += [(p, f"{RUNS_FOLDER}/{p.name}") for p in _folders(root / RUNS_FOLDER)]
    for folder, name in folders:
        try:
            artifact = load_artifact(name, root)
        except ArtifactNotFoundError:
            continue
        except ArtifactDamagedError as error:
            damaged.append(DamagedArtifact(name, folder, str(error)))
        else:
            found[artifact.kind][artifact.name] = artifact
    return Shelf(found["artifact"], found["run"], tuple(damaged))


def load_own_artifact(name: str) -> Artifact:
    """Load one of the models that this user trained, verified like any other.

    Raises:
        ArtifactNotFoundError: This user has no model of that name.
        ArtifactDamagedError: A file is missing, altered or foreign.
    """
    return replace(load_artifact(name, own_models_directory()), own=True)


def load_own_shelf() -> Shelf:
    """Load every model that this user trained; damaged ones are named, never raised."""
    shelf = load_shelf(own_models_directory())
    return replace(shelf, artifacts={name: replace(one, own=True) for name, one in shelf.artifacts.items()})


def join_shelves(project: Shelf, own: Shelf) -> Shelf:
    """Return the project's models and then this user's own; a name that both have is the project's."""
    doubles = tuple(
        DamagedArtifact(name, one.directory, f"The project has a model of that name; rename {one.directory}.")
        for name, one in own.artifacts.items()
        if name in project.artifacts
    )
    return Shelf(
        project.artifacts | {name: one for name, one in own.artifacts.items() if name not in project.artifacts},
        project.runs,
        (*project.damaged, *own.damaged, *doubles),
    )


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _training_command(name: str, root: Path) -> str:
    """Return what trains an artifact, a run or one of the user's own models of this name."""
    own = " --own" if root == own_models_directory() else ""
    row, _, tag = name.removeprefix(f"{RUNS_FOLDER}/").partition(".")
    if name.startswith(f"{RUNS_FOLDER}/"):
        return f"./dev python -m bloodcell train {row}{own} --run {tag or 'TAG'}"
    return f"./dev python -m bloodcell train {name}{own}"


def _read_verified(folder: Path, name: str, is_run: bool) -> Manifest:
    manifest = Manifest.from_json(_read_text(folder / name), str(folder / name))
    _verify(folder, manifest, is_run)
    return manifest


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactDamagedError(f"{path} cannot be read ({error}). Restore it or train again.") from error


def _verify(folder: Path, manifest: Manifest, is_run: bool) -> None:
    expected_name = folder.name
    if manifest.name != expected_name:
        raise ArtifactDamagedError(
            f"{folder} holds the artifact {manifest.name!r}, not {expected_name!r}: it was copied or renamed. "
            f"Move it back to {manifest.name!r}."
        )
    if manifest.kind not in REQUIRED_FILES or is_run != (manifest.kind == "run"):
        raise ArtifactDamagedError(f"{folder} is of kind {manifest.kind!r} and lies in the wrong folder for it.")
    for name in REQUIRED_FILES[manifest.kind]:
        if name not in manifest.files:
            raise ArtifactDamagedError(
                f"{folder / MANIFEST_FILE} does not list {name}, which every {manifest.kind} has."
            )
    for name, digest in manifest.files.items():
        path = folder / name
        if Path(name).name != name:
            raise ArtifactDamagedError(f"{folder / MANIFEST_FILE} names a file outside its folder: {name!r}.")
        if not path.is_file():
            raise ArtifactDamagedError(f"{path} is missing. Restore it or train again.")
        status = path.stat()
        if _sha256_cached(str(path), status.st_size, status.st_mtime_ns) != digest:
            raise ArtifactDamagedError(f"{path} was changed or damaged: its SHA-256 differs from the manifest's.")


@lru_cache(maxsize=4096)
def _sha256_cached(path: str, size: int, modified_ns: int) -> str:
    return file_sha256(Path(path))

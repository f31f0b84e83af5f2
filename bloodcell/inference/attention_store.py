"""Attention maps that Keras made stay on disk: ten seconds of Grad-CAM are spent once for a network, an image, a class.

A file holds no pixels of the image, only its hash in the name and where the network looked.
"""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bloodcell.artifact import Artifact
from bloodcell.dataset import INPUT_SIZE
from bloodcell.files import cache_directory, write_atomically
from bloodcell.inference.child import OnProgress
from bloodcell.inference.engine import Engine
from bloodcell.inference.explain import explain_images

VERSION = 2
"""In the name of every map; raised when maps of the same network and image come out otherwise than before."""
MOST_FILES = 2000
"""Maps that are kept, 16 KB each; the oldest go first."""


def hash_pixels(pixels: np.ndarray) -> str:
    """Return what tells one image's pixels from any other's, 32 hexadecimal digits."""
    return hashlib.blake2b(np.ascontiguousarray(pixels).tobytes(), digest_size=16).hexdigest()


def find_map(artifact: Artifact, pixels: np.ndarray, class_index: int) -> np.ndarray | None:
    """Return a stored map, (64, 64) float32 in [0, 1], or None where there is none that can be read."""
    try:
        stored = np.load(_path_of(artifact, pixels, class_index), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return stored if stored.shape == (INPUT_SIZE, INPUT_SIZE) and stored.dtype == np.float32 else None


def explain_and_store(
    artifact: Artifact,
    engine: Engine,
    images: Sequence[np.ndarray],
    class_indices: Sequence[int],
    on_progress: OnProgress | None = None,
) -> None:
    """Explain images as `explain_images` does and keep the maps, where `find_map` finds them.

    Args:
        images: Each (64, 64, 3) uint8.
        class_indices: The class to explain, one per image.

    Raises:
        EngineError: Keras could not run the network.
        StorageError: The cache cannot be written.
    """
    maps = explain_images(artifact, engine, np.stack(list(images)), class_indices, on_progress)
    for pixels, class_index, values in zip(images, class_indices, maps, strict=True):
        buffer = io.BytesIO()
        np.save(buffer, values.astype(np.float32), allow_pickle=False)
        write_atomically(_path_of(artifact, pixels, class_index), buffer.getvalue())
    _drop_oldest()


def _directory() -> Path:
    return cache_directory() / "attention"


def _path_of(artifact: Artifact, pixels: np.ndarray, class_index: int) -> Path:
    return _directory() / f"{artifact.fingerprint[:24]}-{hash_pixels(pixels)}-{int(class_index)}-v{VERSION}.npy"


def _drop_oldest() -> None:
    files = []
    for path in _directory().glob("*.npy"):
        try:
            files.append((path.stat().st_mtime, path))
        except OSError:  # another process was first
            continue
    for _, path in sorted(files)[: max(len(files) - MOST_FILES, 0)]:
        path.unlink(missing_ok=True)

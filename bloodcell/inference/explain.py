"""Where a network looked: which parts of an image speak for a class.

Networks that average their last feature map and end in one linear layer are explained by class activation maps (Zhou et
al. 2016, https://arxiv.org/abs/1512.04150): the map times the class's weights, which for them is Grad-CAM, needs no
TensorFlow and takes about a millisecond. Others get Grad-CAM (Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391)
from Keras in a process of its own, some ten seconds at first.

A map is laid over the part of the image that its places stand for (`models.map_grids`). Every network that pools its
last map pads its convolutions, so that class activation maps cover the whole image.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bloodcell.artifact import Artifact
from bloodcell.dataset import INPUT_SIZE, prepare_images
from bloodcell.errors import ArtifactDamagedError
from bloodcell.inference.child import KERAS_ENVIRONMENT, OnProgress, run_child
from bloodcell.inference.engine import Engine
from bloodcell.models.map_grids import MapGrid, even_grid

_WEIGHTS_FILE = "weights.safetensors"
_KERNEL = "logits/kernel"
_TIMEOUT_S = 600.0


def explains_at_once(engine: Engine) -> bool:
    """Whether `explain_images` needs no Keras for this network."""
    return engine.gives_features


def explain_images(
    artifact: Artifact,
    engine: Engine,
    images: np.ndarray,
    class_indices: Sequence[int],
    on_progress: OnProgress | None = None,
) -> np.ndarray:
    """Return how much each pixel speaks for a class, (n, 64, 64) float32 in [0, 1], 1 at the strongest place.

    What speaks against the class is 0, and so is the whole map where nothing speaks for it. The rim that no place of
    the last map stands for, in networks without padding, is 0 too.

    Args:
        images: (n, 64, 64, 3) uint8.
        class_indices: The class to explain, one per image.
        on_progress: Told how far Keras is, where it is needed.

    Raises:
        EngineError: The network could not be run.
        ArtifactDamagedError: The weights have no layer "logits".
    """
    if len(class_indices) != len(images):
        raise ValueError(f"Expected one class per image. Received: {len(class_indices)} for {len(images)}")
    if engine.gives_features:
        return enlarge_maps(compute_class_maps(artifact, engine, images, class_indices))
    return enlarge_maps(*_run_grad_cam(artifact, images, class_indices, on_progress))


def compute_class_maps(
    artifact: Artifact, engine: Engine, images: np.ndarray, class_indices: Sequence[int]
) -> np.ndarray:
    """Return class activation maps, (n, h, w) float32: their mean is the class's logit without its bias.

    Raises:
        EngineError: LiteRT could not run the network.
        ArtifactDamagedError: The weights have no layer "logits".
    """
    feature_maps = engine.compute_outputs(prepare_images(images)).feature_maps
    if feature_maps is None:
        raise ValueError(f"Expected a network that gives its last feature map. Received: {artifact.name}")
    weights = load_class_weights(artifact)[:, list(class_indices)]
    return np.einsum("nhwc,cn->nhw", feature_maps, weights).astype(np.float32)


def load_class_weights(artifact: Artifact) -> np.ndarray:
    """Return the weights of the linear layer "logits", (channels, classes) float32, read without Keras.

    Raises:
        ArtifactDamagedError: The file cannot be read or has no such layer.
    """
    from safetensors import SafetensorError, safe_open

    path = artifact.directory / _WEIGHTS_FILE
    try:
        with safe_open(path, framework="numpy") as stored:
            return stored.get_tensor(_KERNEL).astype(np.float32)
    except (OSError, SafetensorError) as error:
        raise ArtifactDamagedError(
            f"{path} holds no {_KERNEL} that can be read ({error}). Restore it or train again."
        ) from error


def enlarge_maps(maps: np.ndarray, grid: MapGrid | None = None) -> np.ndarray:
    """Return maps (n, h, w) at the size of the input, negative parts cut off, each divided by its highest value.

    Args:
        grid: Where the places lie, within the image; what they do not cover is 0. Without it they cover all of it.
    """
    rows, columns = maps.shape[1:]
    grid = grid or even_grid((rows, columns))
    top, bottom = round(grid.top), round(grid.top + rows * grid.height)
    left, right = round(grid.left), round(grid.left + columns * grid.width)
    enlarged = np.zeros((len(maps), INPUT_SIZE, INPUT_SIZE), np.float32)
    for target, values in zip(enlarged, maps, strict=True):
        image = Image.fromarray(np.maximum(values, 0).astype(np.float32))
        part = image.resize((right - left, bottom - top), Image.Resampling.BILINEAR)
        target[top:bottom, left:right] = np.asarray(part)
        highest = target.max()
        if highest > 0:
            target /= highest
    return enlarged


def _run_grad_cam(
    artifact: Artifact, images: np.ndarray, class_indices: Sequence[int], on_progress: OnProgress | None
) -> tuple[np.ndarray, MapGrid]:
    """Return Grad-CAM maps, (n, h, w) float32, and where their places lie."""
    directory = artifact.directory.resolve()
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, images=images, class_indices=np.asarray(class_indices, np.int64))
        run_child(
            "bloodcell.inference.grad_cam",
            [directory.name, str(directory.parent), str(given), str(found)],
            purpose=f"Explaining {artifact.name}",
            on_progress=on_progress,
            environment=KERAS_ENVIRONMENT,
            timeout_s=_TIMEOUT_S,
        )
        with np.load(found, allow_pickle=False) as stored:
            return stored["maps"], MapGrid(*stored["grid"].tolist())

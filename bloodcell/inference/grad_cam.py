"""Grad-CAM by Keras; imports TensorFlow, so it runs as a process of its own.

python -m bloodcell.inference.grad_cam NAME DIRECTORY GIVEN.npz FOUND.npz
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bloodcell.artifact import load_artifact, load_model
from bloodcell.dataset import prepare_images
from bloodcell.inference.child import report_progress, run_main
from bloodcell.models.map_grids import compute_grids

if TYPE_CHECKING:
    import keras

BATCH = 32


def compute_grad_cam(model: "keras.Model", inputs: np.ndarray, class_indices: np.ndarray) -> np.ndarray:
    """Return Grad-CAM maps, (n, h, w) float32: the last feature map's channels, weighted by the mean gradient of the
    class's logit in each.

    Args:
        model: A catalog network; TensorFlow is its backend.
        inputs: (n, 64, 64, 3) float32 in [0, 1].
        class_indices: (n,) class to explain per image.
    """
    import keras
    import tensorflow as tf

    pair = keras.Model(model.input, [find_last_map(model).output, model.get_layer("logits").output])
    maps = []
    for start in range(0, len(inputs), BATCH):
        chosen = class_indices[start : start + BATCH]
        with tf.GradientTape() as tape:  # follows whatever depends on the weights, the map among it
            feature_maps, logits = pair(tf.constant(inputs[start : start + BATCH]), training=False)
            spoken = tf.gather(logits, chosen, axis=1, batch_dims=1)
        weights = tf.reduce_mean(tape.gradient(spoken, feature_maps), axis=(1, 2), keepdims=True)
        maps.append(tf.reduce_sum(weights * feature_maps, axis=-1).numpy())
    return np.concatenate(maps)


def find_last_map(model: "keras.Model") -> "keras.Layer":
    """Return the layer that gives the last feature map, (n, h, w, channels), before pooling makes it smaller still."""
    import keras

    pooling = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D, keras.layers.GlobalAveragePooling2D)
    found = [
        layer
        for layer in model.layers
        if len(layer.output.shape) == 4 and layer.output.shape[1] > 1 and not isinstance(layer, pooling)
    ]
    return found[-1]


def main(arguments: Sequence[str]) -> None:
    """Read images and classes from one file and write their maps, and where these lie on the image, to another."""
    name, directory, given, found = arguments
    report_progress(0, 2, "Loading TensorFlow.")
    model = load_model(load_artifact(name, Path(directory)))
    report_progress(1, 2, f"Following {name} back to where it looked.")
    with np.load(given, allow_pickle=False) as stored:
        maps = compute_grad_cam(model, prepare_images(stored["images"]), stored["class_indices"])
    np.savez(found, maps=maps.astype(np.float32), grid=compute_grids(model)[find_last_map(model).name])
    report_progress(2, 2, f"{name} is explained.")


if __name__ == "__main__":
    run_main(main)

"""A cell turned or mirrored is the same cell: eight symmetric views of an image, and what a network says of them."""

import numpy as np

from bloodcell.evaluation import softmax
from bloodcell.inference.engine import Engine

NUM_VIEWS = 8


def make_views(images: np.ndarray) -> np.ndarray:
    """Return the eight symmetries of the square, (8, n, side, side, 3): four turns, each as it is and mirrored.

    Args:
        images: (n, side, side, 3) of any type.
    """
    turned = [np.rot90(images, quarter, axes=(1, 2)) for quarter in range(4)]
    return np.stack([view for turn in turned for view in (turn, turn[:, :, ::-1])])


def compute_view_probabilities(engine: Engine, inputs: np.ndarray, temperature: float, batch: int = 128) -> np.ndarray:
    """Return the mean of a network's probabilities over the eight views, (n, classes) float32.

    Args:
        inputs: (n, 64, 64, 3) float32, as `dataset.prepare_images` gives them.
        temperature: The artifact's; every view is calibrated before the mean is taken.
        batch: Images whose views are in memory at a time.
    """
    means = []
    for start in range(0, max(len(inputs), 1), batch):
        views = make_views(inputs[start : start + batch])
        y_score = softmax(engine.compute_logits(views.reshape(-1, *inputs.shape[1:])), temperature)
        means.append(y_score.reshape(NUM_VIEWS, views.shape[1], y_score.shape[-1]).mean(axis=0))
    return np.concatenate(means)

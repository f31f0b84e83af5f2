"""Averaged weights, with batch normalization's statistics made anew for them.

Weights averaged along a training (Polyak and Juditsky 1992) are often better than the last ones, but they belong to no
network that was ever run: the moving averages of batch normalization describe the activations of the raw weights. While
the learning rate is high the two differ so much that val accuracy can fall from 96 % to 25 % in one epoch. So the
statistics are computed once more, on training images, before averaged weights are measured or kept (Izmailov et al.
2018, https://arxiv.org/abs/1803.05407, section 3.1).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

NUM_IMAGES = 1024
"""Training images that the statistics are made from: every layer still sees tens of thousands of places."""


@contextlib.contextmanager
def averaged_weights(model: keras.Model, batches: Iterable[np.ndarray]) -> Iterator[None]:
    """Let a model hold its averaged weights for the length of a `with` block, then its own again.

    Args:
        model: Compiled with an optimizer that averages (`use_ema`).
        batches: Prepared training images, (n, h, w, 3) float32 each.
    """
    import keras

    swap = keras.callbacks.SwapEMAWeights()
    swap.set_model(model)
    kept = [np.array(variable) for variable in model.variables]
    swap.on_test_begin()
    try:
        recompute_batch_statistics(model, batches)
        yield
    finally:
        swap.on_test_end()
        for variable, value in zip(model.variables, kept, strict=True):  # Keras swaps by sums, which round
            variable.assign(value)


def recompute_batch_statistics(model: keras.Model, batches: Iterable[np.ndarray]) -> None:
    """Set the mean and variance of every batch normalization to their averages over some batches, in place.

    Does nothing for a model without batch normalization.

    Args:
        batches: Prepared images, (n, h, w, 3) float32 each, of similar n.
    """
    import keras

    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    try:
        for index, batch in enumerate(batches):
            for layer in layers:
                layer.momentum = index / (index + 1)  # so that the moving average is the mean of all batches so far
            model(batch, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum

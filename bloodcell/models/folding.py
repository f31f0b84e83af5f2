"""Moves every batch normalization's scale into the kernel before it, so that rounding the kernels rounds what is run.

At inference a normalization is a scale and a shift per channel. An engine multiplies the scale into the kernel of the
layer before; kernels that were rounded to float16 before that are no float16 numbers after it, and an engine that
stores float16 rounds a second time, which moved probabilities by hundredths. Folded first, the kernel that is rounded,
stored, evaluated in Keras and run in LiteRT is one and the same.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

LARGEST_KERNEL_VALUE = 3e4
"""A kernel that folding would bring near float16's largest number, 65,504, is left as it is."""


def fold_batch_norm(model: "keras.Model") -> int:
    """Fold, in place, each batch normalization that alone follows a linear convolution or dense layer.

    Answers at inference stay the same up to float32 rounding; the graph and its counts do not change. Afterwards the
    normalization has mean 0, a variance and a gamma of scale 1, and the whole shift in its beta; the layer's own bias
    is 0. Moving averages are gone, so fold a finished model, not one that trains on.

    Returns:
        How many normalizations were folded.
    """
    import keras

    kinds = (keras.layers.Conv2D, keras.layers.SeparableConv2D, keras.layers.Dense)
    num_folded = 0
    for norm in model.layers:
        if not isinstance(norm, keras.layers.BatchNormalization) or not (norm.scale and norm.center):
            continue
        source = norm.input._keras_history.operation
        if isinstance(source, kinds) and _is_linear(source) and len(source._outbound_nodes) == 1:
            num_folded += _fold(source, norm)
    return num_folded


def _is_linear(layer: "keras.Layer") -> bool:
    return layer.get_config()["activation"] == "linear"


def _fold(source: "keras.Layer", norm: "keras.Layer") -> bool:
    """Fold one pair; the last axis of the kernel is that of its output channels."""
    variable = source.pointwise_kernel if hasattr(source, "pointwise_kernel") else source.kernel
    kernel, mean, variance, gamma, beta = (
        np.asarray(weight, np.float64)
        for weight in (variable, norm.moving_mean, norm.moving_variance, norm.gamma, norm.beta)
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    folded = kernel * scale
    if not np.isfinite(folded).all() or np.abs(folded).max() > LARGEST_KERNEL_VALUE:
        return False
    shift = beta - mean * scale
    if source.use_bias:
        shift = shift + np.asarray(source.bias, np.float64) * scale
        source.bias.assign(np.zeros_like(shift, np.float32))
    variable.assign(folded.astype(np.float32))
    norm.gamma.assign(np.ones_like(shift, np.float32))
    norm.moving_mean.assign(np.zeros_like(shift, np.float32))
    norm.moving_variance.assign(np.full_like(shift, 1 - norm.epsilon, np.float32))
    norm.beta.assign(shift.astype(np.float32))
    return True

"""Convolutional networks of the study; each block halves a 64 x 64 cell image, and a dense head reads the rest."""

from collections.abc import Sequence

import keras
from keras import layers

from bloodcell.models.blocks import cbam, classifier_head, conv_block, dense_block, residual_block, squeeze_excite


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    name: str,
    filters: Sequence[int],
    padding: str = "same",
    dense_units: int = 256,
    batch_norm: bool = False,
    dropout: float = 0.0,
    l2: float = 0.0,
    residual: bool = False,
    attention: str = "none",
    attention_ratio: int = 16,
    attention_l2: float = 0.0,
) -> keras.Model:
    """Return an untrained classifier.

    The study published no code; these are its parameter counts and prose, reconstructed. Where it does not say,
    attention follows the pool, as the cheaper of the two places.

    Args:
        input_shape: (height, width, channels) of one image, pixels.
        num_classes: Width of the softmax output.
        filters: Channels of each block, first to last; its length is the depth.
        padding: "valid" or "same", for every convolution.
        dense_units: Width of the hidden dense layer.
        batch_norm: Normalize after every convolution and after the hidden dense layer.
        dropout: Share of the hidden units that training silences, in [0, 1).
        l2: Strength of the penalty on the kernels of the convolutions.
        residual: Make each block a padded residual block of two convolutions.
        attention: "none", "se" (squeeze-and-excitation) or "cbam", after each block's pool.
        attention_ratio: Channels per unit of the attention's bottleneck.
        attention_l2: Strength of the penalty on the attention's kernels.

    Returns:
        Model from (n, h, w, 3) float32 in [0, 1] to (n, num_classes) probabilities.
    """
    if attention not in ("none", "se", "cbam"):
        raise ValueError(f"attention of a CNN is 'none', 'se' or 'cbam', received {attention!r}.")
    if residual and padding != "same":
        raise ValueError(f"residual blocks are padded, received {padding=}.")
    inputs = keras.Input(input_shape, name="image")
    x = inputs
    for index, width in enumerate(filters, start=1):
        block = f"block{index}"
        if residual:
            x = residual_block(x, width, batch_norm=batch_norm, l2=l2, name=block)
        else:
            x = conv_block(x, width, padding=padding, batch_norm=batch_norm, l2=l2, name=f"{block}_conv")
        x = layers.MaxPooling2D(2, name=f"{block}_pool")(x)
        if attention == "se":
            x = squeeze_excite(x, ratio=attention_ratio, l2=attention_l2, name=f"{block}_se")
        elif attention == "cbam":
            x = cbam(x, ratio=attention_ratio, name=f"{block}_cbam")
    x = layers.Flatten(name="head_flatten")(x)
    x = dense_block(x, dense_units, batch_norm=batch_norm, dropout=dropout, name="head_dense")
    return keras.Model(inputs, classifier_head(x, num_classes), name=name)

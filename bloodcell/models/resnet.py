"""Residual networks (He et al. 2016, https://arxiv.org/abs/1512.03385) as the study trained them."""

from collections.abc import Sequence

import keras
from keras import layers

from bloodcell.models.blocks import classifier_head, conv_block, residual_block


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    name: str,
    filters: Sequence[int] = (64, 128, 256, 512),
    blocks: Sequence[int] = (2, 2, 2, 2),
) -> keras.Model:
    """Return an untrained classifier.

    Unlike the paper, every convolution has a bias: only so the study's parameter count is met. A shortcut is
    projected only where its shape changes, so none is in the first stage.

    Args:
        input_shape: (height, width, channels) of one image, pixels.
        num_classes: Width of the softmax output.
        filters: Channels of each stage; every stage but the first halves height and width.
        blocks: Residual blocks of each stage.

    Returns:
        Model from (n, h, w, 3) float32 in [0, 1] to (n, num_classes) probabilities.
    """
    inputs = keras.Input(input_shape, name="image")
    x = layers.ZeroPadding2D(3, name="stem_padding")(inputs)
    x = conv_block(x, filters[0], 7, strides=2, padding="valid", batch_norm=True, name="stem_conv")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    for stage, (width, num_blocks) in enumerate(zip(filters, blocks, strict=True), start=1):
        for index in range(num_blocks):
            strides = 2 if stage > 1 and index == 0 else 1
            x = residual_block(x, width, strides=strides, name=f"stage{stage}{chr(ord('a') + index)}")
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    return keras.Model(inputs, classifier_head(x, num_classes), name=name)

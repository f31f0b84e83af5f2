"""VGG networks (Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556) at half their usual width.

Stacks of 3x3 convolutions, each stack ended by a pool, and a large dense head: depth without batch normalization.
"""

from collections.abc import Sequence

import keras
from keras import layers

from bloodcell.models.blocks import cbam, classifier_head, conv_block, dense_block, squeeze_excite


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    name: str,
    filters: Sequence[int] = (32, 64, 128, 256, 256),
    convs: Sequence[int] = (2, 2, 3, 3, 3),
    dense_units: Sequence[int] = (1024, 1024),
    dropout: float = 0.0,
    attention: str = "none",
    attention_blocks: Sequence[int] = (),
    attention_ratio: int = 16,
) -> keras.Model:
    """Return an untrained classifier.

    The study does not say where attention sits. Here squeeze-and-excitation follows a block's pool, as in the CNN
    family, and CBAM stands before it, where the image still has all its places.

    Args:
        input_shape: (height, width, channels) of one image, pixels.
        num_classes: Width of the softmax output.
        filters: Channels of each block.
        convs: Convolutions of each block.
        dense_units: Width of each hidden dense layer.
        dropout: Share of the units that training silences after each hidden dense layer, in [0, 1).
        attention: "none", "se" (squeeze-and-excitation) or "cbam".
        attention_blocks: Blocks that get attention, counted from 1.
        attention_ratio: Channels per unit of the attention's bottleneck.

    Returns:
        Model from (n, h, w, 3) float32 in [0, 1] to (n, num_classes) probabilities.
    """
    if attention not in ("none", "se", "cbam"):
        raise ValueError(f"attention of a VGG is 'none', 'se' or 'cbam', received {attention!r}.")
    inputs = keras.Input(input_shape, name="image")
    x = inputs
    for index, (width, num_convs) in enumerate(zip(filters, convs, strict=True), start=1):
        block = f"block{index}"
        attended = index in attention_blocks
        for number in range(1, num_convs + 1):
            x = conv_block(x, width, name=f"{block}_conv{number}")
        if attention == "cbam" and attended:
            x = cbam(x, ratio=attention_ratio, name=f"{block}_cbam")
        x = layers.MaxPooling2D(2, name=f"{block}_pool")(x)
        if attention == "se" and attended:
            x = squeeze_excite(x, ratio=attention_ratio, name=f"{block}_se")
    x = layers.Flatten(name="head_flatten")(x)
    for number, units in enumerate(dense_units, start=1):
        x = dense_block(x, units, dropout=dropout, name=f"head_dense{number}")
    return keras.Model(inputs, classifier_head(x, num_classes), name=name)

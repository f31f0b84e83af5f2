"""HemaNet: this project's own family, small residual networks made for 64 x 64 blood cells.

One architecture; sizes are catalog rows that differ in channels and blocks only. Each choice and where it comes from:

- Stem: one 3x3 convolution of stride 2. A cell fills most of its frame, so full resolution costs four times as much
  and shows little more. 3x3 in place of the usual 7x7 follows Inception-v3 (Szegedy et al. 2016,
  https://arxiv.org/abs/1512.00567) and ResNet-C (He et al. 2019, https://arxiv.org/abs/1812.01187).
- Residual blocks of two 3x3 convolutions (He et al. 2016, https://arxiv.org/abs/1512.03385): at these widths they cost
  little, and a processor runs them better than depthwise convolutions.
- Shortcuts that shrink by average pooling before a 1x1 convolution (ResNet-D, He et al. 2019): a strided 1x1
  convolution would skip three of four pixels, and granules are small.
- Squeeze-and-excitation in every block (Hu et al. 2018, https://arxiv.org/abs/1709.01507): the colour of the cytoplasm
  decides between classes, and a gate on channels lets the whole cell's colour speak early. Never fewer than four
  units, or the narrowest blocks would hang on one.
- SiLU (Elfwing et al. 2018, https://arxiv.org/abs/1702.03118) in place of ReLU: smooth, and no unit can die, which
  matters where there are few.
- Batch normalization (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167) with momentum 0.9 in place of Keras's
  0.99, whose averages lag behind on an epoch of 187 steps; convolutions before it need no bias.
- Global average pooling and one linear layer (Lin et al. 2014, https://arxiv.org/abs/1312.4400): a cell's class does
  not depend on its place, and the study's dense heads hold most of its parameters.
- Dropout 0.2 (Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html) before that layer.
- Where asked, a second linear layer beside it for the finer types inside two classes, the conditional form of a
  hierarchical softmax (Redmon and Farhadi 2017, https://arxiv.org/abs/1612.08242): a finer type is as probable as its
  class times its share within the class, so that the eight are the sums of the eleven by construction, whatever the
  temperature and the precision. An eleven-way softmax that is summed afterwards would fit the same likelihood, but its
  eight logits would be no linear layer of the features any more, which maps of attention and int8 forms rely on.
"""

from collections.abc import Sequence

import keras
from keras import layers

from bloodcell.models.blocks import classifier_head, conv_block, residual_block

BATCH_NORM_MOMENTUM = 0.9
MIN_ATTENTION_UNITS = 4


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    name: str,
    filters: Sequence[int],
    blocks: Sequence[int],
    attention_ratio: int = 8,
    dropout: float = 0.2,
    subtypes: int = 0,
) -> keras.Model:
    """Return an untrained classifier.

    Args:
        input_shape: (height, width, channels) of one image, pixels.
        num_classes: Width of the softmax output.
        filters: Channels of each stage; the stem has the first stage's. Every stage but the first halves height
            and width.
        blocks: Residual blocks of each stage.
        attention_ratio: Channels per unit of the attention's bottleneck.
        dropout: Share of the pooled features that training silences, in [0, 1).
        subtypes: Finer types inside classes that the layer "subtypes" tells apart; 0 for no such layer.

    Returns:
        Model from (n, h, w, 3) float32 in [0, 1] to (n, num_classes) probabilities, or with `subtypes` to a list of
        these and of the subtypes' logits, (n, subtypes).
    """
    inputs = keras.Input(input_shape, name="image")
    x = conv_block(
        inputs,
        filters[0],
        strides=2,
        use_bias=False,
        batch_norm=True,
        momentum=BATCH_NORM_MOMENTUM,
        activation="silu",
        name="stem_conv",
    )
    for stage, (width, num_blocks) in enumerate(zip(filters, blocks, strict=True), start=1):
        for index in range(num_blocks):
            x = residual_block(
                x,
                width,
                strides=2 if stage > 1 and index == 0 else 1,
                pooled_shortcut=True,
                use_bias=False,
                momentum=BATCH_NORM_MOMENTUM,
                activation="silu",
                attention_ratio=attention_ratio,
                attention_min_units=MIN_ATTENTION_UNITS,
                name=f"stage{stage}{chr(ord('a') + index)}",
            )
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    predictions = classifier_head(x, num_classes)
    if not subtypes:
        return keras.Model(inputs, predictions, name=name)
    # Without a bias, for which the smallest of the family has no bytes left; finer types are about equally frequent.
    shares = layers.Dense(subtypes, use_bias=False, dtype="float32", name="subtypes")(x)
    return keras.Model(inputs, [predictions, shares], name=name)

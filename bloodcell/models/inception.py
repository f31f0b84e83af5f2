"""A reduced Inception-v3 (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567) for 64 x 64 images.

Every module looks at its input with several filter sizes side by side and stacks what they see.
"""

from collections.abc import Sequence

import keras
from keras import layers

from bloodcell.models.blocks import (
    Tensor,
    classifier_head,
    conv_block,
    inception_branch,
    pooled_branch,
)


def build(
    input_shape: tuple[int, int, int], num_classes: int, *, name: str, modules: Sequence[int] = (3, 5, 1)
) -> keras.Model:
    """Return an untrained classifier.

    Widths are fitted: many stacks of these modules give the study's parameter count, and these are among the closest
    to the paper's widths. The 5x5 branches are a 3x3 convolution and a separable one. The auxiliary classifiers, which
    the counts leave out, are not built.

    Args:
        input_shape: (height, width, channels) of one image, pixels.
        num_classes: Width of the softmax output.
        modules: How many modules of kind A, of kind B and of kind C.

    Returns:
        Model from (n, h, w, 3) float32 in [0, 1] to (n, num_classes) probabilities.
    """
    num_a, num_b, num_c = modules
    inputs = keras.Input(input_shape, name="image")
    x = conv_block(inputs, 32, strides=2, batch_norm=True, name="stem_conv1")
    x = conv_block(x, 64, batch_norm=True, name="stem_conv2")
    x = conv_block(x, 96, batch_norm=True, name="stem_conv3")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    for index in range(num_a):
        x = _module_a(x, pool_filters=64 if index else 32, name=f"module{index + 1}")
    x = _reduction_a(x, name="reduction1")
    for index in range(num_a, num_a + num_b):
        x = _module_b(x, name=f"module{index + 1}")
    x = _reduction_b(x, name="reduction2")
    for index in range(num_a + num_b, num_a + num_b + num_c):
        x = _module_c(x, name=f"module{index + 1}")
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    return keras.Model(inputs, classifier_head(x, num_classes), name=name)


def _module_a(x: Tensor, *, pool_filters: int, name: str) -> Tensor:
    """Return 1x1, 3x3, factorised 5x5 and pooled views of the image, stacked."""
    branches = [
        inception_branch(x, [(1, 64)], name=f"{name}_branch1"),
        inception_branch(x, [(1, 64), (3, 64)], name=f"{name}_branch2"),
        inception_branch(x, [(1, 64), (3, 96), (3, 96, "separable")], name=f"{name}_branch3"),
        pooled_branch(x, pool_filters, name=f"{name}_branch4"),
    ]
    return layers.Concatenate(name=f"{name}_concat")(branches)


def _reduction_a(x: Tensor, *, name: str) -> Tensor:
    """Return the image at half its height and width, convolved and pooled side by side."""
    branches = [
        inception_branch(x, [(3, 384, 2)], name=f"{name}_branch1"),
        inception_branch(x, [(1, 64), (3, 96), (3, 96, 2)], name=f"{name}_branch2"),
        layers.MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(x),
    ]
    return layers.Concatenate(name=f"{name}_concat")(branches)


def _module_b(x: Tensor, *, name: str) -> Tensor:
    """Return 1x1, factorised 7x7, twice factorised 7x7 and pooled views of the image, stacked."""
    row, column = (1, 7), (7, 1)
    branches = [
        inception_branch(x, [(1, 160)], name=f"{name}_branch1"),
        inception_branch(x, [(1, 96), (row, 96), (column, 160)], name=f"{name}_branch2"),
        inception_branch(x, [(1, 96), (column, 96), (row, 96), (column, 96), (row, 160)], name=f"{name}_branch3"),
        pooled_branch(x, 160, name=f"{name}_branch4"),
    ]
    return layers.Concatenate(name=f"{name}_concat")(branches)


def _reduction_b(x: Tensor, *, name: str) -> Tensor:
    """Return the image at half its height and width again, the second branch with a factorised 7x7 view."""
    branches = [
        inception_branch(x, [(1, 160), (3, 320, 2)], name=f"{name}_branch1"),
        inception_branch(x, [(1, 160), ((1, 7), 160), ((7, 1), 160), (3, 192, 2)], name=f"{name}_branch2"),
        layers.MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(x),
    ]
    return layers.Concatenate(name=f"{name}_concat")(branches)


def _module_c(x: Tensor, *, name: str) -> Tensor:
    """Return 1x1 and pooled views of the image beside two that part into a row and a column filter."""
    second = inception_branch(x, [(1, 352)], name=f"{name}_branch2")
    third = inception_branch(x, [(1, 480), (3, 352, "separable")], name=f"{name}_branch3")
    branches = [
        inception_branch(x, [(1, 320)], name=f"{name}_branch1"),
        conv_block(second, 352, (1, 3), batch_norm=True, name=f"{name}_branch2_row"),
        conv_block(second, 352, (3, 1), batch_norm=True, name=f"{name}_branch2_column"),
        conv_block(third, 352, (1, 3), batch_norm=True, name=f"{name}_branch3_row"),
        conv_block(third, 352, (3, 1), batch_norm=True, name=f"{name}_branch3_column"),
        pooled_branch(x, 160, name=f"{name}_branch4"),
    ]
    return layers.Concatenate(name=f"{name}_concat")(branches)

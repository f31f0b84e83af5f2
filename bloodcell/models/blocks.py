"""Building blocks of the networks: functions of standard Keras layers, image first.

One block can replace another, and a saved model reloads without custom classes. Layer names read BLOCK_part, so that
the text before the first underscore tells the block. Kernels before a rectifier start from He et al. 2015
(https://arxiv.org/abs/1502.01852), which keeps the signal's size from layer to layer; without it the deep networks
that have no batch normalization can stay at chance under Adam.
"""

from collections.abc import Sequence
from typing import Any

from keras import layers, regularizers

Tensor = Any  # a symbolic Keras tensor

KERNEL_INITIALIZER = "he_normal"


def penalty(l2: float) -> regularizers.Regularizer | None:
    """Return the L2 regularizer of that strength, or None for 0."""
    return regularizers.L2(l2) if l2 else None


def conv_block(
    x: Tensor,
    filters: int,
    kernel_size: int | tuple[int, int] = 3,
    *,
    strides: int = 1,
    padding: str = "same",
    use_bias: bool = True,
    batch_norm: bool = False,
    momentum: float = 0.99,
    activation: str | None = "relu",
    separable: bool = False,
    l2: float = 0.0,
    name: str,
) -> Tensor:
    """Return convolution, then batch normalization and activation where asked.

    Args:
        x: Image, (n, h, w, channels).
        filters: Channels of the result.
        kernel_size: Height and width of the kernel, pixels.
        use_bias: Whether the convolution has a bias; the study's networks have it even before batch normalization.
        momentum: Share of the old moving average that batch normalization keeps at each step.
        activation: Keras's name of the activation, or None for a linear result.
        separable: Filter each channel by itself, then mix channels by a 1x1 convolution (Chollet 2017,
            https://arxiv.org/abs/1610.02357).
        l2: Strength of the kernel penalty.
        name: Name of the convolution; the layers after it append theirs.
    """
    settings: dict[str, Any] = {"strides": strides, "padding": padding, "use_bias": use_bias, "name": name}
    if separable:
        x = layers.SeparableConv2D(
            filters,
            kernel_size,
            depthwise_initializer=KERNEL_INITIALIZER,
            pointwise_initializer=KERNEL_INITIALIZER,
            depthwise_regularizer=penalty(l2),
            pointwise_regularizer=penalty(l2),
            **settings,
        )(x)
    else:
        x = layers.Conv2D(
            filters,
            kernel_size,
            kernel_initializer=KERNEL_INITIALIZER,
            kernel_regularizer=penalty(l2),
            **settings,
        )(x)
    if batch_norm:
        x = layers.BatchNormalization(momentum=momentum, name=f"{name}_bn")(x)
    return layers.Activation(activation, name=f"{name}_{activation}")(x) if activation else x


def dense_block(x: Tensor, units: int, *, batch_norm: bool = False, dropout: float = 0.0, name: str) -> Tensor:
    """Return a dense layer with ReLU, batch normalization before it and dropout after it where asked.

    Args:
        x: Features, (n, channels).
        units: Width of the result.
        dropout: Share of the units that training silences, in [0, 1).
        name: Name of the dense layer; the layers after it append theirs.
    """
    x = layers.Dense(units, kernel_initializer=KERNEL_INITIALIZER, name=name)(x)
    if batch_norm:
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
    x = layers.Activation("relu", name=f"{name}_relu")(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x


def classifier_head(x: Tensor, num_classes: int) -> Tensor:
    """Return class probabilities, (n, num_classes), of features by way of the linear layer "logits".

    Both layers compute in float32 whatever precision the rest of the network runs in, because stored logits and the
    loss need it.
    """
    x = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return layers.Activation("softmax", dtype="float32", name="predictions")(x)


def squeeze_excite(x: Tensor, *, ratio: int, min_units: int = 1, l2: float = 0.0, name: str) -> Tensor:
    """Return the image with each channel scaled by a gate that the mean of all channels decides.

    Squeeze-and-excitation (Hu et al. 2018, https://arxiv.org/abs/1709.01507). Unlike there, the bottleneck never gets
    narrower than `min_units`, and its kernels can carry an L2 penalty.

    Args:
        x: Image, (n, h, w, channels).
        ratio: Channels per unit of the bottleneck.
        min_units: Least width of the bottleneck.
        l2: Strength of the kernel penalty.
        name: Start of the layers' names.
    """
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    gate = _channel_gate(gate, x.shape[-1], max(min_units, x.shape[-1] // ratio), l2=l2, name=name)
    return layers.Multiply(name=f"{name}_scale")([x, gate])


def _channel_gate(pooled: Tensor, channels: int, units: int, *, l2: float = 0.0, name: str) -> Tensor:
    """Return a gate in (0, 1) for each channel, (n, 1, 1, channels), decided by what pooling left, (n, 1, 1, any).

    The two dense layers of the papers are written as 1x1 convolutions, which are the same on a map of one pixel: so
    no layer of the gate has to reshape, which would split the network for LiteRT.
    """
    gate = conv_block(pooled, units, 1, l2=l2, name=f"{name}_reduce")
    return layers.Conv2D(channels, 1, activation="sigmoid", kernel_regularizer=penalty(l2), name=f"{name}_excite")(gate)


def cbam(x: Tensor, *, ratio: int, kernel_size: int = 3, name: str) -> Tensor:
    """Return the image scaled channel by channel, then place by place.

    Convolutional block attention module (Woo et al. 2018, https://arxiv.org/abs/1807.06521), fitted to the study's
    parameter count, which the paper's form cannot meet; this is the plainest of several forms that do. Mean and
    maximum of the channels go through one bottleneck side by side instead of one after the other through a shared
    one, and the place gate looks at 3x3 pixels instead of 7x7.

    Args:
        x: Image, (n, h, w, channels).
        ratio: Channels per unit of the bottleneck.
        kernel_size: Height and width of the place gate's kernel, pixels.
        name: Start of the layers' names.
    """
    height, width, channels = x.shape[1:]
    mean = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_channel_mean")(x)
    maximum = layers.GlobalMaxPooling2D(keepdims=True, name=f"{name}_channel_max")(x)
    gate = layers.Concatenate(name=f"{name}_channel_concat")([mean, maximum])
    gate = _channel_gate(gate, channels, max(1, channels // ratio), name=f"{name}_channel")
    x = layers.Multiply(name=f"{name}_channel_scale")([x, gate])

    # One-dimensional pooling with channels first runs along the last axis, here the channels of every pixel.
    pixels = layers.Reshape((height * width, channels), name=f"{name}_place_pixels")(x)
    mean = layers.GlobalAveragePooling1D(data_format="channels_first", name=f"{name}_place_mean")(pixels)
    maximum = layers.GlobalMaxPooling1D(data_format="channels_first", name=f"{name}_place_max")(pixels)
    mean = layers.Reshape((height, width, 1), name=f"{name}_place_mean_map")(mean)
    maximum = layers.Reshape((height, width, 1), name=f"{name}_place_max_map")(maximum)
    gate = layers.Concatenate(name=f"{name}_place_concat")([mean, maximum])
    gate = layers.Conv2D(1, kernel_size, padding="same", activation="sigmoid", name=f"{name}_place_gate")(gate)
    return layers.Multiply(name=f"{name}_place_scale")([x, gate])


def residual_block(
    x: Tensor,
    filters: int,
    *,
    strides: int = 1,
    pooled_shortcut: bool = False,
    use_bias: bool = True,
    momentum: float = 0.99,
    activation: str = "relu",
    batch_norm: bool = True,
    l2: float = 0.0,
    attention_ratio: int = 0,
    attention_min_units: int = 1,
    name: str,
) -> Tensor:
    """Return what two 3x3 convolutions add to their own input.

    The basic block of He et al. 2016 (https://arxiv.org/abs/1512.03385). The shortcut is the input itself where its
    shape fits. Where not, a 1x1 convolution with batch normalization matches it: with the same stride as in the
    paper, or after average pooling (He et al. 2019, https://arxiv.org/abs/1812.01187), which skips no pixel.

    Args:
        x: Image, (n, h, w, channels).
        filters: Channels of the result.
        strides: Factor by which height and width shrink.
        pooled_shortcut: Shrink the shortcut by average pooling.
        use_bias: Whether the convolutions have a bias.
        momentum: Share of the old moving average that batch normalization keeps at each step.
        activation: Keras's name of the activation between the convolutions and after the sum.
        batch_norm: Normalize after every convolution, as the paper does.
        l2: Strength of the kernel penalty.
        attention_ratio: Channels per unit of a squeeze-and-excitation before the sum; 0 for none.
        attention_min_units: Least width of its bottleneck.
        name: Start of the layers' names.
    """
    settings: dict[str, Any] = {"use_bias": use_bias, "batch_norm": batch_norm, "momentum": momentum, "l2": l2}
    y = conv_block(x, filters, strides=strides, activation=activation, name=f"{name}_conv1", **settings)
    y = conv_block(y, filters, activation=None, name=f"{name}_conv2", **settings)
    if attention_ratio:
        y = squeeze_excite(y, ratio=attention_ratio, min_units=attention_min_units, name=f"{name}_se")

    shortcut = x
    if pooled_shortcut and strides > 1:
        shortcut = layers.AveragePooling2D(strides, padding="same", name=f"{name}_shortcut_pool")(shortcut)
        strides = 1
    if strides > 1 or shortcut.shape[-1] != filters:
        shortcut = conv_block(
            shortcut, filters, 1, strides=strides, activation=None, name=f"{name}_shortcut", **settings
        )
    total = layers.Add(name=f"{name}_add")([y, shortcut])
    return layers.Activation(activation, name=f"{name}_{activation}")(total)


def inception_branch(x: Tensor, steps: Sequence[tuple[Any, ...]], *, name: str) -> Tensor:
    """Return one branch of an inception module: convolutions in a row, each with batch normalization and ReLU.

    Args:
        x: Image, (n, h, w, channels).
        steps: Per convolution its kernel size and filters, then optionally a stride or the word "separable".
        name: Start of the layers' names.
    """
    for index, (kernel_size, filters, *extra) in enumerate(steps, start=1):
        x = conv_block(
            x,
            filters,
            kernel_size,
            strides=next((item for item in extra if isinstance(item, int)), 1),
            separable="separable" in extra,
            batch_norm=True,
            name=f"{name}_conv{index}",
        )
    return x


def pooled_branch(x: Tensor, filters: int, *, name: str) -> Tensor:
    """Return the branch of an inception module that averages 3x3 pixels and then mixes channels to `filters`."""
    x = layers.AveragePooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    return inception_branch(x, [(1, filters)], name=name)

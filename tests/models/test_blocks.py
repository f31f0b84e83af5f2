"""Every kind of block reloads from a Keras file without custom classes, and does what its paper says."""

import importlib

import keras
import numpy as np
import pytest
from keras import layers

from bloodcell.models.blocks import cbam, conv_block, residual_block, squeeze_excite

SMALL_NETWORKS = {
    "plain": ("cnn", {"filters": (4, 8), "dense_units": 8, "l2": 1e-3, "dropout": 0.4}),
    "squeeze_excite": ("cnn", {"filters": (4, 8), "batch_norm": True, "attention": "se", "attention_l2": 1e-4}),
    "cnn_residual": ("cnn", {"filters": (4, 8), "batch_norm": True, "residual": True}),
    "resnet": ("resnet", {"filters": (4, 8), "blocks": (1, 2)}),
    "inception": ("inception", {"modules": (1, 1, 1)}),
    "vgg_se": ("vgg", {"filters": (4, 8), "convs": (1, 2), "attention": "se", "attention_blocks": (1,)}),
    "cbam": ("vgg", {"filters": (4, 32), "convs": (1, 2), "attention": "cbam", "attention_blocks": (1, 2)}),
    "hemanet": ("hemanet", {"filters": (4, 8, 12), "blocks": (1, 1, 2)}),
}


@pytest.mark.parametrize("kind", SMALL_NETWORKS)
def test_blocks_reload_without_custom_classes(kind, tmp_path):
    family, options = SMALL_NETWORKS[kind]
    build = importlib.import_module(f"bloodcell.models.{family}").build
    model = build((32, 32, 3), 8, name=kind, **options)
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    images = np.random.default_rng(0).random((2, 32, 32, 3), "float32")
    np.testing.assert_allclose(reloaded(images, training=False), model(images, training=False), rtol=1e-5, atol=1e-6)
    assert [layer.get_config() for layer in reloaded.layers] == [layer.get_config() for layer in model.layers]


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def model_of(block, shape, **options):
    image = keras.Input(shape)
    return keras.Model(image, block(image, name="block", **options))


def matrices(model):
    """Return the weights, 1x1 kernels as matrices."""
    return [np.asarray(weight).reshape(weight.shape[-2:] if len(weight.shape) == 4 else -1) for weight in model.weights]


def test_squeeze_excite_by_hand():
    model = model_of(squeeze_excite, (5, 5, 8), ratio=4)
    images = np.random.default_rng(0).normal(size=(2, 5, 5, 8)).astype("float32")
    reduce, reduce_bias, excite, excite_bias = matrices(model)
    assert reduce.shape == (8, 2)
    hidden = np.maximum(images.mean(axis=(1, 2)) @ reduce + reduce_bias, 0)
    gate = sigmoid(hidden @ excite + excite_bias)
    np.testing.assert_allclose(model(images), images * gate[:, None, None, :], rtol=1e-4, atol=1e-5)


def test_squeeze_excite_bottleneck_has_a_floor():
    assert model_of(squeeze_excite, (5, 5, 8), ratio=16).weights[0].shape == (1, 1, 8, 1)
    assert model_of(squeeze_excite, (5, 5, 8), ratio=16, min_units=4).weights[0].shape == (1, 1, 8, 4)


def test_cbam_by_hand():
    """Channel gate, then place gate; the place maps are mean and maximum over channels at each pixel."""
    model = model_of(cbam, (6, 5, 8), ratio=4, kernel_size=1)
    images = np.random.default_rng(0).normal(size=(2, 6, 5, 8)).astype("float32")
    reduce, reduce_bias, excite, excite_bias, place, place_bias = matrices(model)
    pooled = np.concatenate([images.mean(axis=(1, 2)), images.max(axis=(1, 2))], axis=1)
    gate = sigmoid(np.maximum(pooled @ reduce + reduce_bias, 0) @ excite + excite_bias)
    x = images * gate[:, None, None, :]
    maps = np.stack([x.mean(axis=3), x.max(axis=3)], axis=3)
    x = x * sigmoid(maps @ place + place_bias)
    np.testing.assert_allclose(model(images), x, rtol=1e-4, atol=1e-5)


def test_residual_block_passes_its_input_through():
    """With the last scale at zero a block is its activation alone: the shortcut is the input itself."""
    model = model_of(residual_block, (8, 8, 4), filters=4)
    model.get_layer("block_conv2_bn").gamma.assign(np.zeros(4))
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype("float32")
    np.testing.assert_allclose(model(images, training=False), np.maximum(images, 0), atol=1e-6)


def test_pooled_shortcut_looks_at_every_pixel():
    """A strided 1x1 shortcut ignores three of four pixels; the pooled one changes when any of them does."""
    strided = model_of(residual_block, (4, 4, 2), filters=4, strides=2)
    pooled = model_of(residual_block, (4, 4, 2), filters=4, strides=2, pooled_shortcut=True)
    image = np.zeros((1, 4, 4, 2), "float32")
    image[0, 1, 1] = 1.0
    for model, sees in ((strided, False), (pooled, True)):
        model.get_layer("block_conv2_bn").gamma.assign(np.zeros(4))
        shortcut = keras.Model(model.input, model.get_layer("block_shortcut_bn").output)
        assert bool(np.abs(shortcut(image, training=False)).max() > 0) is sees


def test_conv_block_orders_its_layers():
    image = keras.Input((8, 8, 3))
    model = keras.Model(
        image, conv_block(image, 4, batch_norm=True, momentum=0.9, activation="silu", name="block_conv")
    )
    assert [type(layer) for layer in model.layers[1:]] == [layers.Conv2D, layers.BatchNormalization, layers.Activation]
    assert model.layers[2].momentum == 0.9


def test_unknown_attention_is_refused():
    for family in ("cnn", "vgg"):
        build = importlib.import_module(f"bloodcell.models.{family}").build
        with pytest.raises(ValueError, match="received 'eca'"):
            build((32, 32, 3), 8, name="x", attention="eca", **({"filters": (4,)} if family == "cnn" else {}))

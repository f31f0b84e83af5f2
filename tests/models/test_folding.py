"""Folding a normalization into the kernel before it changes no answer, and leaves nothing for an engine to multiply."""

import keras
import numpy as np
import pytest
from keras import layers

from bloodcell.models import CATALOG, build_model
from bloodcell.models.folding import fold_batch_norm

NORMALIZED = [name for name, spec in CATALOG.items() if spec.family in ("resnet", "inception", "hemanet")]
NORMALIZED += ["cnn_bn", "cnn_se", "cnn_residual"]


def disturb(model: keras.Model) -> None:
    """Give every normalization statistics of its own, and every layer a bias."""
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.gamma.assign(generator.uniform(-1.5, 1.5, shape))
            layer.beta.assign(generator.normal(0, 0.3, shape))
            layer.moving_mean.assign(generator.normal(0, 0.3, shape))
            layer.moving_variance.assign(generator.uniform(0.1, 3.0, shape))
        elif getattr(layer, "use_bias", False):
            layer.bias.assign(generator.normal(0, 0.2, layer.bias.shape))


@pytest.mark.parametrize("name", NORMALIZED)
def test_every_normalization_of_the_catalog_folds_and_no_answer_changes(name):
    model = build_model(name)
    disturb(model)
    logits = keras.Model(model.input, model.get_layer("logits").output)
    images = np.random.default_rng(1).random((4, 64, 64, 3), dtype=np.float32)
    before = np.asarray(logits(images, training=False))
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    assert fold_batch_norm(model) == len(norms) > 0
    after = np.asarray(logits(images, training=False))
    np.testing.assert_allclose(after, before, atol=1e-4 * np.abs(before).max())
    for norm in norms:
        scale = np.asarray(norm.gamma) / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
        np.testing.assert_allclose(scale, 1, atol=2e-7)
        assert not np.asarray(norm.moving_mean).any()


def test_by_hand():
    inputs = keras.Input((2,))
    dense = layers.Dense(1, name="dense")
    norm = layers.BatchNormalization(epsilon=0.0)
    model = keras.Model(inputs, norm(dense(inputs)))
    dense.set_weights([np.array([[2.0], [3.0]]), np.array([1.0])])
    norm.set_weights([np.array([6.0]), np.array([0.5]), np.array([4.0]), np.array([9.0])])
    assert fold_batch_norm(model) == 1
    # scale 6 / 3 = 2; shift 0.5 + (1 - 4) * 2 = -5.5
    np.testing.assert_allclose(dense.get_weights()[0], [[4.0], [6.0]], rtol=1e-6)
    np.testing.assert_allclose(dense.get_weights()[1], [0.0])
    np.testing.assert_allclose(norm.get_weights()[1], [-5.5], rtol=1e-6)
    np.testing.assert_allclose(model(np.array([[1.0, 1.0]]), training=False), [[4.5]], rtol=1e-6)


@pytest.mark.parametrize("kind", ["activated", "shared", "plain input", "no scale"])
def test_what_cannot_be_folded_is_left_alone(kind):
    inputs = keras.Input((8, 8, 3))
    conv = layers.Conv2D(3, 3, activation="relu" if kind == "activated" else None, padding="same")
    source = layers.MaxPooling2D(2)(inputs) if kind == "plain input" else conv(inputs)
    outputs = layers.BatchNormalization(scale=kind != "no scale")(source)
    if kind == "shared":
        outputs = layers.Add()([outputs, source])
    model = keras.Model(inputs, outputs)
    disturbed = [np.random.default_rng(0).random(weight.shape) for weight in model.get_weights()]
    model.set_weights(disturbed)
    assert fold_batch_norm(model) == 0
    for left, given in zip(model.get_weights(), disturbed, strict=True):
        np.testing.assert_allclose(left, given, rtol=1e-6)


def test_a_kernel_that_float16_could_not_hold_is_left_alone():
    inputs = keras.Input((2,))
    dense, norm = layers.Dense(1), layers.BatchNormalization()
    model = keras.Model(inputs, norm(dense(inputs)))
    norm.set_weights([np.array([1e5]), np.zeros(1), np.zeros(1), np.zeros(1)])
    assert fold_batch_norm(model) == 0
    assert float(norm.gamma[0]) == 1e5


def test_folding_twice_changes_nothing():
    model = build_model("hemanet_nano")
    disturb(model)
    fold_batch_norm(model)
    weights = model.get_weights()
    fold_batch_norm(model)
    for once, twice in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(twice, once, rtol=1e-6, atol=1e-7)

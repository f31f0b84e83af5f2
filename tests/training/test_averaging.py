"""Statistics of batch normalization that belong to the weights: against NumPy, and put back afterwards."""

import numpy as np
import pytest

from bloodcell.dataset import load_split
from bloodcell.training import TrainingRecipe, train
from bloodcell.training.averaging import averaged_weights, recompute_batch_statistics


@pytest.fixture
def model():
    import keras

    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.BatchNormalization(name="bn")(inputs)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(outputs))
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    return model


def test_statistics_are_the_mean_over_the_batches(model):
    batches = np.random.default_rng(0).normal([1, 2, 3], [1, 2, 3], size=(5, 64, 8, 8, 3)).astype(np.float32)
    recompute_batch_statistics(model, batches)
    bn = model.get_layer("bn")
    np.testing.assert_allclose(np.asarray(bn.moving_mean), batches.mean((0, 1, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(np.asarray(bn.moving_variance), batches.var((1, 2, 3)).mean(0), rtol=1e-3)
    assert bn.momentum == 0.99


def test_averaged_weights_are_taken_out_again(model):
    x = np.random.default_rng(0).normal(5, 1, size=(64, 8, 8, 3)).astype(np.float32)
    for _ in range(3):
        model.train_on_batch(x, np.ones((64, 3), np.float32))
    before = [np.array(w) for w in model.get_weights()]
    with averaged_weights(model, [x]):
        inside = [np.array(w) for w in model.get_weights()]
    after = model.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert not np.array_equal(inside[1], before[1]), "the averaged offset differs from the last one"
    np.testing.assert_allclose(inside[2], x.mean((0, 1, 2)), rtol=1e-4)


def test_each_epoch_goes_on_from_the_raw_weights(small_dataset):
    """Averages that move this slowly stay where the training began: it would never learn if it went on from them."""
    recipe = TrainingRecipe(num_epochs=5, batch_size=16, learning_rate=3e-3, patience=None, ema_decay=0.999)
    history = train("cnn_bn", recipe, load_split("train"), load_split("val")).history
    assert history[-1]["loss"] < history[0]["loss"] / 2


def test_averaged_weights_answer_while_the_rate_is_high(small_dataset):
    """With moving averages of the raw weights, batch normalization would leave them near chance."""
    recipe = TrainingRecipe(
        num_epochs=4, batch_size=16, learning_rate=3e-3, schedule="constant", patience=None, ema_decay=0.9
    )
    history = train("cnn_bn", recipe, load_split("train"), load_split("val")).history
    assert history[-1]["val_accuracy"] > 0.6

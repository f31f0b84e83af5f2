"""Packing a form as float16 changes no answer, and stores small what can be stored small."""

import keras
import numpy as np
import pytest

from bloodcell.inference import Engine
from bloodcell.inference.convert import answering_model, convert_model
from bloodcell.inference.packing import pack_float16
from bloodcell.models import build_model
from bloodcell.models.folding import fold_batch_norm


def round_kernels(model: keras.Model) -> None:
    for weight in model.weights:
        if len(weight.shape) >= 2:
            weight.assign(np.asarray(weight).astype(np.float16).astype(np.float32))


def make_forms(model: keras.Model, folder) -> tuple[Engine, Engine]:
    """Return the engines of the float32 form and of the packed one."""
    form = convert_model(answering_model(model), "float32")
    for name, data in (("float32", form), ("packed", pack_float16(form))):
        (folder / name).write_bytes(data)
    return Engine(folder / "float32"), Engine(folder / "packed")


@pytest.fixture
def images():
    return np.random.default_rng(0).random((5, 64, 64, 3), dtype=np.float32)


def test_rounded_kernels_take_half_and_answer_the_same(tmp_path, images):
    model = build_model("cnn_4")
    generator = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) == 1:  # biases that float16 cannot hold
            weight.assign(generator.normal(0, 1, weight.shape))
    round_kernels(model)
    whole, packed = make_forms(model, tmp_path)
    np.testing.assert_array_equal(packed.compute_logits(images), whole.compute_logits(images))
    expected = np.asarray(keras.Model(model.input, model.get_layer("logits").output)(images, training=False))
    np.testing.assert_allclose(packed.compute_logits(images), expected, atol=1e-5)
    assert packed.path.stat().st_size < 2 * model.count_params() + 10_000
    assert packed.uses_xnnpack


def test_folded_normalizations_take_half_and_answer_the_same(tmp_path, images):
    """The road of an artifact: fold, round, convert, pack; no rounding is left between Keras and LiteRT."""
    model = build_model("hemanet_nano")
    model(images, training=True)  # statistics that are not those of a new model
    fold_batch_norm(model)
    round_kernels(model)
    whole, packed = make_forms(model, tmp_path)
    expected = np.asarray(keras.Model(model.input, model.get_layer("logits").output)(images, training=False))
    np.testing.assert_allclose(packed.compute_logits(images), expected, atol=1e-4)
    num_kernel_values = sum(int(np.prod(weight.shape)) for weight in model.weights if len(weight.shape) >= 2)
    saved = whole.path.stat().st_size - packed.path.stat().st_size
    assert saved > 0.9 * 2 * num_kernel_values - 8000


def test_kernels_that_were_not_rounded_stay_whole(tmp_path, images):
    model = build_model("cnn_4")
    whole, packed = make_forms(model, tmp_path)
    assert packed.path.read_bytes() == whole.path.read_bytes()


def test_one_value_beyond_float16_keeps_its_kernel_whole(tmp_path, images):
    """A kernel with a value that would overflow, and one with a value between two float16 numbers."""
    model = build_model("cnn_4")
    round_kernels(model)
    for layer, value in (("block1", 1e6), ("block2", 1.0001)):
        convolution = next(one for one in model.layers if one.name.startswith(layer) and hasattr(one, "kernel"))
        kernel = np.array(convolution.kernel)
        kernel.flat[0] = value
        convolution.kernel.assign(kernel)
    whole, packed = make_forms(model, tmp_path)
    np.testing.assert_array_equal(packed.compute_logits(images), whole.compute_logits(images))
    assert packed.path.stat().st_size < whole.path.stat().st_size

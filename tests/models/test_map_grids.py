"""Where a map's places lie: by hand, by moving a point of light, and evenly wherever networks pad."""

import numpy as np
import pytest

from bloodcell.models.catalog import graph_names
from bloodcell.models.map_grids import MapGrid, compute_grids, even_grid

UNPADDED = {"cnn_2": (3.0, 2.0), "cnn_3": (7.0, 4.0), "cnn_4": (15.0, 8.0)}
"""Where the last convolution's map begins and how wide its places are, pixels, counted by hand."""


@pytest.mark.parametrize("name", UNPADDED)
def test_unpadded_networks_by_hand(name, built):
    begin, step = UNPADDED[name]
    assert compute_grids(built(name))[f"block{name[-1]}_conv"] == MapGrid(begin, begin, step, step)


def test_middles_of_the_last_map_of_cnn_4(built):
    """Four places whose middles are pixels 18.5, 26.5, 34.5 and 42.5, the first pixel's middle counted as 0."""
    grid = compute_grids(built("cnn_4"))["block4_conv_relu"]
    middles = grid.top + (np.arange(4) + 0.5) * grid.height - 0.5
    np.testing.assert_array_equal(middles, [18.5, 26.5, 34.5, 42.5])


@pytest.mark.parametrize("name", UNPADDED)
def test_a_places_middle_is_the_middle_of_the_pixels_that_reach_it(name, built):
    """With constant kernels every pixel that a place looks at changes it, and no other pixel does."""
    import keras

    model = keras.models.clone_model(built(name))
    for layer in model.layers:
        for weight in layer.weights:
            weight.assign(np.full(weight.shape, 0.01 if "kernel" in weight.path else 0.0, "float32"))
    layer = model.get_layer(f"block{name[-1]}_conv_relu")
    last = keras.Model(model.input, layer.output)
    lit = np.zeros((64, 64, 64, 3), "float32")  # one column of light after another
    lit[np.arange(64), :, np.arange(64)] = 1.0
    answers = last(lit, training=False).numpy()[:, 0, :, 0]
    grid = compute_grids(model)[layer.name]
    for column in (0, answers.shape[1] - 1):
        reaching = np.flatnonzero(answers[:, column])
        middle = (reaching[0] + reaching[-1] + 1) / 2
        assert middle == grid.left + (column + 0.5) * grid.width


@pytest.mark.parametrize("name", [name for name in graph_names() if name not in UNPADDED])
def test_padded_networks_cover_the_image_evenly(name, built):
    """As the class activation maps of pooled networks, which are placed without Keras, take for granted."""
    model = built(name)
    grids = compute_grids(model)
    for layer in model.layers:
        shape = layer.output.shape[1:3]
        if len(layer.output.shape) == 4 and type(layer).__name__ != "ZeroPadding2D":
            assert grids[layer.name] == even_grid(shape), layer.name


def test_what_padding_adds_lies_outside_the_image(built):
    grids = compute_grids(built("resnet18"))
    assert grids["stem_padding"] == MapGrid(-3.0, -3.0, 1.0, 1.0)

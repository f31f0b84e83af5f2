"""Maps as colours, filters, blocks and sentences: nothing here needs a network."""

import numpy as np
import pytest

from bloodcell.dataset import Box
from bloodcell.models.graphs import load_graphs
from bloodcell.models.map_grids import MapGrid, even_grid
from bloodcell.views import figures_inside as figures
from bloodcell.views import tables_inside as tables
from bloodcell.views.layer_words import FOLDED, KINDS, describe_layer, name_kind


def test_the_scale_holds_zero_and_is_never_empty():
    assert figures.Scale.of(np.array([2.0, 5.0])) == figures.Scale(0.0, 5.0)
    assert figures.Scale.of(np.array([-2.0, 5.0])) == figures.Scale(-2.0, 5.0)
    silent = figures.Scale.of(np.zeros(3))
    assert silent.high > silent.low
    below = figures.Scale.of(np.full(3, -1.0))
    assert below.low == -1.0 < below.high


def test_colours_run_from_dark_to_bright():
    colours = figures.colour_map(np.array([[-1.0, 0.0, 1.0, 9.0]]), figures.Scale(0.0, 1.0))
    assert colours.shape == (1, 4, 3) and colours.dtype == np.uint8
    np.testing.assert_array_equal(colours[0, 0], colours[0, 1])  # below the scale: its dark end
    np.testing.assert_array_equal(colours[0, 2], colours[0, 3])
    brightness = figures.cividis().astype(int).sum(axis=1)
    assert brightness[0] < brightness[128] < brightness[255]


def test_what_is_a_map_and_what_a_list():
    assert figures.split_maps(np.zeros((4, 6, 3))).shape == (4, 6, 3)
    assert figures.split_maps(np.zeros((16, 3))).shape == (4, 4, 3)
    assert figures.split_maps(np.zeros((1, 1, 8))) is None
    assert figures.split_maps(np.zeros(64)) is None
    assert figures.split_maps(np.zeros((15, 3))) is None


def test_a_filter_of_no_weight_is_grey_and_one_scale_serves_all():
    kernel = np.zeros((3, 3, 3, 2), np.float32)
    kernel[1, 1, 0, 1] = -0.5
    tiles, strongest = figures.colour_filters(kernel)
    assert tiles.shape == (2, 3, 3, 3) and strongest == 0.5
    assert set(np.unique(tiles[0])) == {128}
    assert tiles[1, 1, 1].tolist() == [0, 128, 128]


@pytest.mark.parametrize(("shape", "side"), [((64, 64), 7), ((8, 8), 8), ((1, 1), 64), ((5, 5), 13)])
@pytest.mark.parametrize("corner", [False, True])
def test_the_frame_of_a_place_lies_in_the_cell(shape, side, corner):
    place = (shape[0] - 1, shape[1] - 1) if corner else (0, 0)
    box = figures.frame_of_place(place, even_grid(shape))
    assert (box.width, box.height) == (side, side)
    assert (box.left, box.top) == ((64 - side,) * 2 if corner else (0, 0))


def test_the_frame_of_a_place_that_does_not_cover_the_image_evenly():
    """The last map of cnn_4 begins at pixel 15; its first and last places are framed there, not at the image's edge."""
    grid = MapGrid(15, 15, 8, 8)
    assert figures.frame_of_place((0, 3), grid) == Box(39, 15, 8, 8)
    assert figures.frame_of_place((0, 0), MapGrid(-3, -3, 1, 1)) == Box(0, 0, 7, 7)


def test_a_marked_place_leaves_the_rest_as_it_was():
    cell = np.full((64, 64, 3), 90, np.uint8)
    marked = figures.mark_place(cell, (2, 3), even_grid((8, 8)), factor=4)
    assert marked.shape == (256, 256, 3) and (cell == 90).all()
    changed = np.argwhere((marked != 90).any(axis=-1))
    assert changed.min(axis=0).tolist() == [2 * 32, 3 * 32]
    assert changed.max(axis=0).tolist() == [3 * 32 - 1, 4 * 32 - 1]
    assert marked[2 * 32 + 16, 3 * 32 + 16].tolist() == [90, 90, 90]


def test_zero_is_written_on_a_scale_only_where_there_is_room():
    assert ">0<" in figures.scale_html(figures.Scale(-1.0, 1.0), "light")
    assert ">0<" not in figures.scale_html(figures.Scale(-0.01, 1.0), "light")
    assert "−1" in figures.scale_html(figures.Scale(-1.0, 1.0), "dark")


def test_a_sheet_has_a_square_for_every_unit_and_no_more():
    figure = figures.sheet_figure(np.arange(40.0), "light")
    assert figure.data[0].z.shape == (2, 32)
    assert np.isfinite(figure.data[0].z).sum() == 40


def test_blocks_add_up_to_the_network():
    for name, graph in load_graphs().items():
        blocks = tables.group_blocks(graph["layers"])
        assert sum(block.flops for block in blocks) == graph["flops"], name
        assert sum(block.parameters for block in blocks) == graph["parameters"], name
        assert sum(block.flop_share for block in blocks) == pytest.approx(1)
        assert [layer["name"] for block in blocks for layer in block.layers] == [
            layer["name"] for layer in graph["layers"]
        ], f"the layers of a block of {name} do not stand together"
        for block in blocks:
            assert tables.first_choice(block) in [layer["name"] for layer in block.layers]


def test_every_layer_of_the_catalog_has_words():
    for graph in load_graphs().values():
        for layer, follower in zip(graph["layers"], [*graph["layers"][1:], None], strict=True):
            assert layer["type"] in KINDS
            text = describe_layer(layer, None, follower)
            assert text.endswith(".") and "A layer of kind" not in text and "fixed curve" not in text


def test_folding_is_said_where_it_happened_and_nowhere_else():
    layers = {layer["name"]: layer for layer in load_graphs()["cnn_bn"]["layers"]}
    bn, conv = layers["block1_conv_bn"], layers["block1_conv"]
    assert FOLDED in describe_layer(bn)
    assert FOLDED in describe_layer(conv, (3, 3, 3, 16), bn)
    plain = describe_layer(conv, (3, 3, 3, 16), layers["block1_pool"])
    assert FOLDED not in plain and "red, green and blue" in plain and "3 × 3" in plain
    assert name_kind(conv, (3, 3, 3, 16)) == "convolution, 3 × 3"


def test_channels_are_ranked_and_listed():
    maps = np.zeros((2, 3, 3), np.float32)
    maps[1, 2, 1] = 4
    maps[0, 1, 2] = 2
    assert tables.rank_channels(maps, by_strength=True).tolist() == [1, 2, 0]
    assert tables.rank_channels(maps, by_strength=False).tolist() == [0, 1, 2]
    table = tables.channels_table(maps)
    assert table.loc[1, ["highest", "row of highest", "column of highest"]].tolist() == [4, 1, 2]


def test_the_weights_of_a_filter_as_a_table():
    kernel = np.arange(2 * 2 * 3 * 2, dtype=np.float32).reshape(2, 2, 3, 2)
    table = tables.filters_table(kernel)
    row = table[(table["filter"] == 1) & (table["row"] == 1) & (table["column"] == 0) & (table["colour"] == "blue")]
    assert len(table) == kernel.size and row["weight"].item() == kernel[1, 0, 2, 1]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 FLOPs"), (999, "999 FLOPs"), (16_384, "16.4 k FLOPs"), (634e6, "634 M FLOPs")]
)
def test_counts_are_short(value, text):
    assert tables.count_text(int(value), "FLOPs") == text

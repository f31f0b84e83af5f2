"""The Inside page: whole, without dataset, before a network is opened, without any network."""

from pathlib import Path

import pytest
from pictures import draw_cell, encode
from shelf import write_artifact
from streamlit.testing.v1 import AppTest

from bloodcell.artifact import load_artifact
from bloodcell.dataset import load_split, prepare_images
from bloodcell.inference import channels
from bloodcell.inference.inside import InsideEngine, find_inside
from bloodcell.views import components_jobs
from bloodcell.views.background import Job

APP = Path(__file__).parents[2] / "app.py"


def open_inside(**query):
    at = AppTest.from_file(str(APP), default_timeout=120)
    at.run()
    at.switch_page("pages/inside.py")
    for key, value in query.items():
        at.query_params[key] = value
    return at.run()


def words(at):
    """Return everything that the page says, as one text."""
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error, at.header, at.subheader, at.title)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def address(at, key):
    """Return the value that the address holds under a key."""
    value = at.query_params[key]
    return value if isinstance(value, str) else value[0]


def keys(at, start):
    return [button.key for button in at.button if str(button.key).startswith(start)]


@pytest.fixture
def no_build(monkeypatch):
    """Let background work stay at its beginning for ever, and note what was started."""
    started = {}
    monkeypatch.setattr(components_jobs, "find_job", started.get)
    monkeypatch.setattr(components_jobs, "start_job", lambda name, work: started.setdefault(name, Job(name)))
    return started


def test_a_cell_on_its_way_through_a_network(small_dataset, opened_cache):
    at = open_inside(inside_model="cnn_3", inside_cell="test-5", inside_layer="block2_conv_relu")
    assert not at.exception
    text = words(at)
    assert "block2_conv_relu: activation, ReLU" in text
    assert "test, row 5" in text.replace("\\", "") and "Answered: " in text
    assert keys(at, "strip_block_") == [
        f"strip_block_{name}" for name in ("input", "block1", "block2", "block3", "head")
    ]
    assert keys(at, "strip_layer_") == [f"strip_layer_block2_{name}" for name in ("conv", "conv_relu", "pool")]
    assert len(keys(at, "cell_inside_channel_")) == 32
    assert len(keys(at, "cell_inside_filter_")) == 16
    engine = InsideEngine(find_inside(load_artifact("cnn_3")))
    maps = engine.compute_layers(prepare_images(load_split("test").images[5:6]))["block2_conv_relu"][0]
    strongest = int(maps.max(axis=(0, 1)).argmax())
    assert keys(at, "cell_inside_channel_")[0] == f"cell_inside_channel_{strongest}"
    assert f"Channel {strongest} of block2_conv_relu" in text
    assert "reads block2_conv" in text


def test_clicks_open_blocks_layers_and_channels_and_the_address_keeps_them(small_dataset, opened_cache):
    at = open_inside(inside_model="cnn_3", inside_cell="test-5")
    at.button(key="strip_block_block3").click().run()
    assert address(at, "inside_layer") == "block3_pool"
    at.button(key="cell_inside_channel_7").click().run()
    assert address(at, "inside_channel") == "7"
    assert "Channel 7 of block3_pool" in words(at)
    at.button(key="inside_layer_next").click().run()
    assert address(at, "inside_layer") == "head_flatten"
    assert not keys(at, "cell_inside_channel_") and "numbers in reading order" in words(at)
    at.button(key="strip_layer_logits").click().run()
    assert "One number per class" in words(at)
    at.button(key="cell_inside_filter_3").click().run()
    assert address(at, "inside_layer") == "block1_conv" and address(at, "inside_channel") == "3"
    assert "Channel 3 of block1_conv" in words(at)
    at.button(key="inside_cell_surprise").click().run()
    assert address(at, "inside_cell").startswith("test-")
    assert not at.exception


def test_an_unknown_address_is_no_harm(small_dataset, opened_cache):
    at = open_inside(inside_model="cnn_3", inside_cell="test-999999", inside_layer="block9", inside_channel="999")
    assert [error.value.replace("\\", "") for error in at.error] == [
        "The address asks for test-999999, a cell that this dataset does not hold."
    ]
    assert not at.exception
    assert "Channel" in words(at)


def test_top_cells_are_computed_when_asked_for(small_dataset, opened_cache, no_build):
    at = open_inside(inside_model="cnn_3", inside_cell="test-5", inside_layer="block1_pool")
    at.button(key="inside_find").click().run()
    assert list(no_build) == ["channels cnn_3"]
    path = channels.ensure_channels(load_artifact("cnn_3"))
    try:
        at.run()
        assert not at.exception
        top = channels.load_channels(path)["block1_pool"]
        shown = int(words(at).partition("Channel ")[2].split()[0])
        assert len(keys(at, "cell_inside_top_")) == channels.NUM_TOP
        at.button(key="cell_inside_top_0").click().run()
        assert address(at, "inside_cell") == f"test-{top.rows[shown, 0]}"
        at = open_inside(inside_model="cnn_3", inside_cell="test-5", inside_layer="image")
        assert not at.exception
        assert "This is the image itself" in words(at), "the input has no ranked cells"
    finally:
        path.unlink()


def test_without_the_dataset_an_own_image_is_looked_into(opened_cache):
    at = open_inside(inside_model="cnn_3", inside_layer="block1_pool")
    assert not at.exception
    assert "No cell yet" in words(at) and "The dataset is not" in words(at)
    assert len(keys(at, "cell_inside_filter_")) == 16, "filters need no cell"
    picture = encode(draw_cell(64, 64), "PNG")
    at.file_uploader(key="inside_cell_file").upload("mine.png", picture, "image/png").run()
    assert not at.exception
    assert len(keys(at, "cell_inside_channel_")) == 16
    assert "mine" in words(at) and "Answered: " in words(at)
    at.file_uploader(key="inside_cell_file").upload("broken.png", b"no image", "image/png").run()
    assert not at.exception
    assert any("broken" in error.value for error in at.error)


def test_a_network_that_was_not_opened_is_opened_in_the_background(small_dataset, small_artifacts, no_build):
    at = open_inside(inside_model="cnn_4")
    assert not at.exception
    assert list(no_build) == ["inside cnn_4"]
    assert keys(at, "strip_block_") and keys(at, "cell_inside_filter_"), "shapes, costs and filters are there at once"


def test_weights_that_cannot_be_read_are_one_sentence(tmp_path, monkeypatch, no_build):
    write_artifact(tmp_path / "shelf", "cnn_3")
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "shelf"))
    at = open_inside()
    assert not at.exception
    assert any("cannot be read" in error.value for error in at.error)
    assert keys(at, "strip_block_")


def test_without_any_model_the_first_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "none"))
    at = open_inside()
    assert not at.exception
    assert any("train cnn_4" in code.value for code in at.code)

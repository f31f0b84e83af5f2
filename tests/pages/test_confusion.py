"""The confusion page: cells, their images with every model's answer, two models, the published matrix, gaps."""

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bloodcell.artifact import Predictions
from bloodcell.dataset import load_split
from tests.shelf import write_artifact

APP = Path(__file__).parents[2] / "app.py"
MIXED_UP = "neutrophil called immature granulocyte"
# row of test -> (answer, logit of the answer); label is row % 8 in the small dataset: 6, 14, 22 and 30 are neutrophils
MISTAKES = {
    "cnn_4": {6: (3, 4.0), 14: (3, 9.0), 22: (3, 6.0), 5: (6, 5.0)},
    "vgg16_dropout": {6: (3, 7.0), 30: (3, 8.0)},
}


def answer(split, mistakes, shuffle=False):
    """Return predictions for a split of the small dataset, right but for `mistakes`."""
    logits = np.zeros((split.num_images, 8), np.float32)
    logits[np.arange(split.num_images), split.labels] = 8.0
    for row, (label, logit) in mistakes.items():
        logits[row] = 0
        logits[row, label] = logit
    order = np.random.default_rng(0).permutation(split.num_images) if shuffle else np.arange(split.num_images)
    return Predictions(split.name, split.labels[order], logits[order], split.image_hashes[order])


@pytest.fixture
def shelf(small_dataset, tmp_path, monkeypatch):
    """`cnn_4` and `vgg16_dropout` on the small dataset with known mistakes; the rows of the second are shuffled."""
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "artifacts"))
    val, test = load_split("val"), load_split("test")
    for name, mistakes in MISTAKES.items():
        shuffle = name == "vgg16_dropout"
        stored = [answer(val, {}, shuffle), answer(test, mistakes, shuffle)]
        write_artifact(tmp_path / "artifacts", name, predictions=stored)
    return tmp_path / "artifacts"


def open_confusion(**query):
    at = AppTest.from_file(str(APP), default_timeout=120)
    at.run()
    at.switch_page("pages/confusion.py")
    for key, value in query.items():
        at.query_params[key] = value
    return at.run()


def words(at):
    """Return everything that the page says, as one text."""
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error, at.header, at.title)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def pictures(at):
    """Return the alternative texts of the shown cells, in order."""
    return [image.alt for element in at.get("image") for image in element.proto.imgs]


def test_the_pair_most_often_confused_is_open_at_first(shelf):
    at = open_confusion(confusion_model="cnn_4")
    assert not at.exception
    assert at.selectbox(key="confusion_cell").value == MIXED_UP
    assert "**3 neutrophils called immature granulocyte, 50.0 % of neutrophils.**" in words(at)
    assert "4 of 48 images are wrong" in words(at)


def test_errors_only_is_kept_in_the_address(shelf):
    at = open_confusion(confusion_model="cnn_4", confusion_errors_only="on")
    assert not at.exception
    assert at.toggle(key="confusion_errors_only_switch").value
    at.toggle(key="confusion_errors_only_switch").set_value(False).run()
    assert at.query_params["confusion_errors_only"] == "off"
    at.toggle(key="confusion_errors_only_switch").set_value(True).run()
    assert at.query_params["confusion_errors_only"] == "on"


def test_the_most_confident_mistake_comes_first_with_every_selected_models_answer(shelf):
    at = open_confusion(confusion_model="cnn_4", models=["cnn_4", "vgg16_dropout"])
    assert pictures(at) == [f"neutrophil, test row {row}" for row in (14, 22, 6)]
    answers = [
        element.value for element in at.markdown if "**vgg16_dropout**" in element.value and ":small" in element.value
    ]
    assert [("check" in text.splitlines()[1]) for text in answers] == [True, True, False], "by pixels, not by place"
    assert all("immature granulocyte" in text.splitlines()[0] and "close" in text.splitlines()[0] for text in answers)
    assert "48 stored answers found their image by its pixels, none is left over" in words(at)


def test_a_listed_pair_opens_its_images_and_the_url_keeps_the_cell(shelf):
    at = open_confusion(confusion_model="cnn_4")
    at.button(key="confusion_pair_5_6").click().run()
    assert at.selectbox(key="confusion_cell").value == "monocyte called neutrophil"
    assert pictures(at) == ["monocyte, test row 5"]
    assert at.query_params["confusion_cell"] == "monocyte called neutrophil"


def test_a_link_opens_the_same_view(shelf):
    at = open_confusion(
        confusion_model="vgg16_dropout",
        confusion_second="cnn_4",
        confusion_values="count",
        confusion_split="test",
        confusion_cell=MIXED_UP,
    )
    assert not at.exception
    assert at.segmented_control(key="confusion_values").value == "count"
    assert at.selectbox(key="confusion_second").value == "cnn_4"
    assert "**vgg16_dropout**: 2 neutrophils called immature granulocyte, 33.3 % of neutrophils." in words(at)
    assert "**cnn_4**: 3 neutrophils called immature granulocyte, 50.0 % of neutrophils." in words(at)


def test_a_link_with_nonsense_opens_the_page_all_the_same(shelf):
    at = open_confusion(confusion_model="nobody", confusion_second="x", confusion_values="?", confusion_cell="a b")
    assert not at.exception
    assert at.segmented_control(key="confusion_values").value == "row"
    assert at.selectbox(key="confusion_second").value == "none"


def test_two_models_show_the_images_of_either_of_one_and_of_only_one(shelf):
    at = open_confusion(confusion_model="cnn_4", confusion_second="vgg16_dropout")
    rows = {14, 22, 6}
    assert {text.rsplit(" ", 1)[1] for text in pictures(at)} == {str(row) for row in rows | {30}}
    for whose, expected in (("first", {6, 14, 22}), ("second", {6, 30}), ("only one", {14, 22, 30})):
        at.segmented_control(key="confusion_called_by").set_value(whose).run()
        assert {int(text.rsplit(" ", 1)[1]) for text in pictures(at)} == expected
    assert not at.exception
    assert at.query_params["confusion_called_by"] == "only one"
    linked = open_confusion(
        confusion_model="cnn_4",
        confusion_second="vgg16_dropout",
        confusion_called_by="second",
        confusion_cell=MIXED_UP,
    )
    assert {int(text.rsplit(" ", 1)[1]) for text in pictures(linked)} == {6, 30}


def test_the_largest_differences_are_listed_and_open_their_cell(shelf):
    at = open_confusion(confusion_model="cnn_4", confusion_second="vgg16_dropout")
    labels = [button.label for button in at.button if str(button.key).startswith("confusion_pair_")]
    assert any("neutrophil right · **−16.7 points** (3 against 4)" in label for label in labels)
    at.button(key="confusion_pair_6_6").click().run()
    assert "least confident answers first" in words(at)


def test_the_published_matrix_can_stand_beside(shelf):
    at = open_confusion(confusion_model="vgg16_dropout")
    at.button(key="confusion_put").click().run()
    assert at.selectbox(key="confusion_second").value == "published vgg16_dropout"
    assert "**published vgg16_dropout**: 12 neutrophils called immature granulocyte, 1.8 % of neutrophils." in words(at)
    assert len(at.get("plotly_chart")) == 3 and not at.exception


def test_on_val_there_is_no_published_matrix_and_no_mistake_here(shelf):
    at = open_confusion(confusion_model="cnn_4", confusion_second="published resnet18", confusion_split="val")
    assert "the study prints test only" in words(at)
    assert len(at.get("plotly_chart")) == 1
    assert "Nothing: every image is right." in words(at)
    at.selectbox(key="confusion_cell").select(MIXED_UP).run()
    assert "No neutrophil of val was called immature granulocyte." in words(at)
    assert not at.exception


def test_without_the_dataset_the_answers_are_still_listed(shelf, monkeypatch):
    monkeypatch.delenv("BLOODCELL_DATA")
    at = open_confusion(confusion_model="cnn_4", models=["cnn_4", "vgg16_dropout"])
    assert not at.exception
    assert pictures(at) == []
    assert any("download" in str(button.key) for button in at.button)
    table = at.dataframe[-1].value
    assert table["image"].tolist() == [14, 22, 6]
    assert table["vgg16_dropout"].tolist() == ["neutrophil", "neutrophil", "immature granulocyte"]


def test_images_of_another_file_are_counted_and_not_guessed(shelf, tmp_path, monkeypatch, small_dataset):
    with np.load(small_dataset) as stored:
        arrays = dict(stored)
    arrays["val_images"] = arrays["val_images"].copy()
    arrays["val_images"][:3] = 255 - arrays["val_images"][:3]
    other = tmp_path / "other.npz"
    np.savez_compressed(other, **arrays)
    monkeypatch.setenv("BLOODCELL_DATA", str(other))
    at = open_confusion(
        confusion_model="cnn_4", confusion_split="val", confusion_cell="basophil called basophil", models=["cnn_4"]
    )
    assert not at.exception
    assert "37 stored answers found their image by its pixels, 3 did not match" in words(at)
    assert "This image is not in the dataset's file here." in words(at)
    assert len(pictures(at)) == 4


def test_many_images_are_paged_and_another_cell_begins_with_the_first_page(shelf, small_dataset, tmp_path, monkeypatch):
    with np.load(small_dataset) as stored:
        arrays = dict(stored)
    arrays["test_images"] = np.random.default_rng(1).integers(0, 256, (60, 64, 64, 3)).astype(np.uint8)
    arrays["test_labels"] = np.repeat([[6], [1]], 30, axis=0).astype(np.uint8)
    np.savez_compressed(tmp_path / "many.npz", **arrays)
    monkeypatch.setenv("BLOODCELL_DATA", str(tmp_path / "many.npz"))
    test = load_split("test")
    mistakes = {row: (3, 3.0 + row / 100) for row in range(60)}
    write_artifact(shelf, "cnn_se", predictions=[answer(load_split("val"), {}), answer(test, mistakes)])
    at = open_confusion(confusion_model="cnn_se", confusion_cell=MIXED_UP)
    assert pictures(at) == [f"neutrophil, test row {row}" for row in range(29, 5, -1)]
    at.session_state["confusion_page"] = 2
    at.run()
    assert pictures(at) == [f"neutrophil, test row {row}" for row in range(5, -1, -1)]
    at.button(key="confusion_pair_1_3").click().run()
    assert pictures(at)[0] == "eosinophil, test row 59" and len(pictures(at)) == 24
    assert not at.exception


def test_without_a_trained_model_the_page_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "empty"))
    at = open_confusion()
    assert not at.exception
    assert "No trained model here yet" in words(at)
    assert "bloodcell train" in at.code[0].value

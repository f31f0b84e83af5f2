"""From files to answers: one per file, in order, bad files included; and which model answers by default."""

import io
import json

import numpy as np
import pytest
from made_smears import draw_smear
from PIL import Image
from shelf import write_artifact, write_benchmark, write_shelf

from bloodcell.artifact import load_artifact, load_shelf
from bloodcell.dataset import CLASS_NAMES, load_split, prepare_images
from bloodcell.errors import ArtifactNotFoundError
from bloodcell.evaluation import softmax
from bloodcell.inference import load_engine, read_image
from bloodcell.inference.benchmark import load_benchmark
from bloodcell.inference.classifier import (
    AskedCell,
    answer_cells,
    choose_default_model,
    classify_files,
    classify_image,
    compute_probabilities,
    set_threshold,
)
from bloodcell.inference.engine import Outputs
from bloodcell.inference.finder_frame import frame_cell
from bloodcell.inference.prediction_sets import fit_set_threshold, predict_set


@pytest.fixture
def artifact(small_artifacts):
    return load_artifact("cnn_4")


@pytest.fixture
def engine(artifact):
    return load_engine(artifact)


@pytest.fixture
def split(small_dataset):
    return load_split("test")


def write_png(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def test_probabilities_are_those_stored_with_the_model(artifact, engine, split):
    found = compute_probabilities(artifact, engine, split.images)
    stored = softmax(artifact.load_predictions("test").logits, artifact.manifest.temperature)
    np.testing.assert_allclose(found, stored, atol=1e-3)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_files_are_answered_in_order_and_bad_ones_stop_nothing(artifact, engine, split, tmp_path):
    """More files than one pass takes, every tenth of them bad."""
    paths = []
    for index in range(75):
        path = tmp_path / f"{index:02}.png"
        if index % 10 == 3:
            path.write_text("words")
        else:
            write_png(path, split.images[index % split.num_images])
        paths.append(path)
    answers = list(classify_files(paths, artifact, engine))
    assert [answer.file for answer in answers] == [str(path) for path in paths]
    expected = compute_probabilities(artifact, engine, split.images)
    for index, answer in enumerate(answers):
        if index % 10 == 3:
            assert (answer.status, answer.label, answer.probability, answer.probabilities) == (
                "error",
                None,
                None,
                None,
            )
            assert answer.prediction_set == ()
            assert "is not an image" in answer.reasons[0]
        else:
            y_score = expected[index % split.num_images]
            assert answer.status == "ok"
            assert answer.label == CLASS_NAMES[y_score.argmax()]
            assert answer.probability == pytest.approx(y_score.max(), abs=1e-5)
            assert list(answer.probabilities) == list(CLASS_NAMES)
            np.testing.assert_allclose(list(answer.probabilities.values()), y_score, atol=1e-5)
            assert answer.prediction_set[0] == answer.label
            assert answer.reasons == ()


def test_with_eight_views_the_label_is_the_most_probable_on_average(artifact, split):
    """The headline says what the bars and the table say, whatever the image alone would have said."""
    inputs = prepare_images(split.images[:1])

    class Turning:
        """Sure of a basophil in the image as it is, less sure of a monocyte in every other view of it."""

        gives_subtypes = False

        def compute_logits(self, batch):
            is_plain = [np.array_equal(image, inputs[0]) for image in batch]
            return np.array([np.eye(8)[0] * 20 if plain else np.eye(8)[5] * 5 for plain in is_plain], np.float32)

    asked = [AskedCell("a", frame_cell(split.images[0]))]
    (plain,), (views,) = (answer_cells(asked, artifact, Turning(), None, 0.5, views) for views in (False, True))
    assert plain.label == "basophil"
    assert views.label == "monocyte" == max(views.probabilities, key=views.probabilities.__getitem__)
    assert views.probability == views.probabilities["monocyte"]
    assert views.prediction_set[0] == "monocyte"


def test_finer_probabilities_add_up_to_the_class_with_eight_views_too(artifact, split):
    """The shares within the class come from the image as it is, the class's probability from all views."""

    class Doubting:
        """Surer of a neutrophil in the first view than in the others."""

        gives_subtypes = True

        def compute_logits(self, inputs):
            logits = np.zeros((len(inputs), 8), np.float32)
            logits[:, 6], logits[0, 6] = 2, 5
            return logits

        def compute_outputs(self, inputs):
            subtype_logits = np.tile(np.float32([0, 0, 0, 1.5, 0]), (len(inputs), 1))
            return Outputs(self.compute_logits(inputs), None, subtype_logits)

    asked = [AskedCell("a.png", frame_cell(split.images[0]))]
    (plain,), (views,) = (answer_cells(asked, artifact, Doubting(), None, 0.5, views) for views in (False, True))
    assert plain.finer.shares == views.finer.shares
    assert views.probability < plain.probability - 0.05
    for answer in (plain, views):
        assert sum(answer.finer.probabilities.values()) == pytest.approx(answer.probability)


def test_each_page_of_a_file_gets_an_answer(artifact, engine, split, tmp_path):
    pages = [Image.fromarray(np.array(image)) for image in split.images[:3]]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    write_png(tmp_path / "plain.png", split.images[3])
    answers = list(classify_files([tmp_path / "pages.tif", tmp_path / "plain.png"], artifact, engine))
    assert [answer.page for answer in answers] == [1, 2, 3, None]
    assert {answer.file for answer in answers[:3]} == {str(tmp_path / "pages.tif")}
    expected = compute_probabilities(artifact, engine, split.images[:4])
    for answer, y_score in zip(answers, expected, strict=True):
        np.testing.assert_allclose(list(answer.probabilities.values()), y_score, atol=1e-5)
    assert answers[1].to_dict()["page"] == 2 and "page" not in answers[3].to_dict()


def test_only_bad_files_and_no_files(artifact, engine, tmp_path):
    assert [answer.status for answer in classify_files([tmp_path / "none.png"], artifact, engine)] == ["error"]
    assert list(classify_files([], artifact, engine)) == []


def test_an_answer_is_ready_for_json_in_the_order_agreed(artifact, engine, split, tmp_path):
    path = write_png(tmp_path / "cell.png", split.images[0])
    (answer,) = classify_files([path], artifact, engine)
    record = json.loads(json.dumps(answer.to_dict()))
    expected = ["file", "status", "label", "probability", "probabilities", "prediction_set", "model", "reasons"]
    assert list(record) == expected
    assert record["model"] == "cnn_4"
    assert record["prediction_set"] == list(answer.prediction_set)


def test_notes_and_the_framing_are_among_the_reasons(artifact, engine):
    smear = Image.fromarray(draw_smear(160, 160, white_cells=((80, 80),)).pixels).convert("RGBA")
    smear.putpixel((0, 0), (0, 0, 0, 128))
    buffer = io.BytesIO()
    smear.save(buffer, "PNG")
    answer = classify_image(read_image(buffer.getvalue(), "a.png"), artifact, engine, kind="crop")
    assert answer.status == "ok"
    assert "laid on white" in answer.reasons[0]
    assert "lies around the nucleated cell" in answer.reasons[1]


def test_an_image_too_small_to_frame_is_an_error(artifact, engine):
    buffer = io.BytesIO()
    Image.new("RGB", (10, 900)).save(buffer, "PNG")
    answer = classify_image(read_image(buffer.getvalue(), "strip.png"), artifact, engine)
    assert (answer.file, answer.status) == ("strip.png", "error")
    assert "10 x 900" in answer.reasons[0]


def test_an_original_is_framed_as_the_dataset_was(artifact, engine, split, tmp_path):
    """A 360 x 363 image whose middle is a dataset image enlarged is answered like that image; another size is not."""
    middle = np.asarray(Image.fromarray(split.images[0]).resize((200, 200), Image.Resampling.BICUBIC))
    original = np.full((363, 360, 3), 230, np.uint8)
    original[82:282, 80:280] = middle
    (answer,) = classify_files([write_png(tmp_path / "a.png", original)], artifact, engine)
    assert answer.reasons == ()
    expected = compute_probabilities(artifact, engine, split.images[:1])[0]
    np.testing.assert_allclose(list(answer.probabilities.values()), expected, atol=0.05)


def test_sets_hold_the_right_class_as_often_as_promised():
    """Drawn answers whose probabilities are true: coverage on new ones is the promise, whatever the accuracy."""
    generator = np.random.default_rng(0)
    y_score = generator.dirichlet(np.full(8, 0.3), 40_000)
    y_true = (generator.random((40_000, 1)) > y_score.cumsum(axis=1)).sum(axis=1).clip(0, 7)
    for coverage in (0.9, 0.99):
        threshold = fit_set_threshold(y_true[:5000], y_score[:5000], coverage)
        held = [
            CLASS_NAMES[label] in predict_set(row, threshold, CLASS_NAMES)
            for label, row in zip(y_true[5000:], y_score[5000:], strict=True)
        ]
        assert np.mean(held) == pytest.approx(coverage, abs=0.01)


def test_set_threshold_by_hand():
    y_score = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]])
    y_true = np.array([0, 1, 0, 0])  # the right classes have 0.9, 0.8, 0.7, 0.4
    assert fit_set_threshold(y_true, y_score, 0.8) == pytest.approx(0.4)  # rank ⌈5 · 0.8⌉ = 4
    assert fit_set_threshold(y_true, y_score, 0.5) == pytest.approx(0.7)  # rank ⌈2.5⌉ = 3
    assert fit_set_threshold(y_true, y_score, 0.99) == 0  # four images cannot promise it
    with pytest.raises(ValueError, match="coverage"):
        fit_set_threshold(y_true, y_score, 1.0)


def test_a_set_is_never_empty_and_most_probable_first():
    names = ("a", "b", "c")
    assert predict_set(np.array([0.2, 0.5, 0.3]), 0.4, names) == ("b",)
    assert predict_set(np.array([0.2, 0.5, 0.3]), 0.9, names) == ("b", "c"), "none is sure enough: not one alone"
    assert predict_set(np.array([0.2, 0.5, 0.3]), 0.25, names) == ("b", "c")
    assert predict_set(np.array([0.2, 0.5, 0.3]), 0.0, names) == ("b", "c", "a")


def test_the_threshold_comes_from_val(tmp_path):
    artifact = write_artifact(tmp_path, "cnn_3", accuracy=0.97)
    val = artifact.load_predictions("val")
    assert set_threshold(artifact) == fit_set_threshold(val.y_true, softmax(val.logits, 1.0))


def test_the_default_is_the_fastest_of_the_best_on_val(tmp_path):
    write_shelf(tmp_path)
    shelf = load_shelf(tmp_path)
    accuracies = {name: one.load_evaluation("val")["accuracy"] for name, one in shelf.artifacts.items()}
    near = [name for name, accuracy in accuracies.items() if accuracy >= max(accuracies.values()) - 0.002]
    benchmark = load_benchmark(tmp_path)
    assert benchmark is not None
    assert choose_default_model(shelf, benchmark) == min(near, key=benchmark.latencies().__getitem__)


def test_without_timings_the_default_is_the_best_on_val(tmp_path):
    for name, accuracy in (("cnn_3", 0.90), ("cnn_4", 0.97), ("cnn_bn", 0.80)):
        write_artifact(tmp_path, name, accuracy)
    assert choose_default_model(load_shelf(tmp_path), None) == "cnn_4"


def test_timings_decide_only_between_equals(tmp_path):
    for name, accuracy in (("cnn_3", 1.0), ("cnn_4", 1.0), ("cnn_bn", 0.80)):
        write_artifact(tmp_path, name, accuracy)
    write_benchmark(tmp_path, {"cnn_3": 2.0, "cnn_4": 0.5, "cnn_bn": 0.01})
    assert choose_default_model(load_shelf(tmp_path), load_benchmark(tmp_path)) == "cnn_4"


def test_an_empty_shelf_says_how_to_fill_it(tmp_path):
    with pytest.raises(ArtifactNotFoundError, match="bloodcell train"):
        choose_default_model(load_shelf(tmp_path), None)

"""From an image to the cells to ask about, and their answers: crops of any framing, fields, and nothing at all."""

import json
from dataclasses import replace

import numpy as np
import pytest
from made_fields import compose_field, read_originals
from made_smears import draw_smear
from PIL import Image

from bloodcell.artifact import load_artifact
from bloodcell.dataset import CLASS_NAMES, Box, frame_image
from bloodcell.errors import ImageError
from bloodcell.files import PROJECT_DIRECTORY
from bloodcell.inference import UploadedImage, load_engine
from bloodcell.inference.classifier import AskedCell, answer_cells, classify_files, classify_image
from bloodcell.inference.finder import frame_cell, survey_image
from bloodcell.inference.guard import Examination
from bloodcell.inference.specimens import find_specimen, remarks_on

CONTRACT = ["file", "status", "label", "probability", "probabilities", "prediction_set", "model", "reasons"]
CENTRES = ((70, 70), (240, 80), (150, 170))


@pytest.fixture
def smear():
    return draw_smear(white_cells=CENTRES)


@pytest.fixture
def artifact(small_artifacts):
    return load_artifact("cnn_4")


@pytest.fixture
def engine(artifact):
    return load_engine(artifact)


class Refusing:
    """A guard that lets by what it is told to, in order."""

    def __init__(self, artifact, statuses):
        self.artifact, self.statuses, self.asked = artifact, list(statuses), []

    def examine(self, images, coverage):
        self.asked.append(len(images))
        taken, self.statuses = self.statuses[: len(images)], self.statuses[len(images) :]
        possible = {"ok": (2,), "uncertain": (2, 4)}
        return [
            Examination(status, possible.get(status, ()), () if status == "ok" else (f"It is {status}.",), (0.5, None))
            for status in taken
        ]


def image_of(pixels, name="a.png"):
    return UploadedImage(name, pixels, ())


def test_a_field_gives_every_cell_at_one_scale(smear):
    specimen = find_specimen(smear.pixels)
    assert specimen.kind == specimen.guess.kind == "field"
    assert len(specimen.frames) == 3
    assert len({frame.box.width for frame in specimen.frames}) == 1
    for frame, (x, y) in zip(specimen.frames, CENTRES, strict=True):
        box = frame.cell.box
        assert box.left < x < box.left + box.width and box.top < y < box.top + box.height


def test_the_reader_may_say_that_it_is_a_crop(smear):
    specimen = find_specimen(smear.pixels, "crop", survey=survey_image(smear.pixels))
    assert specimen.kind == "crop" and specimen.guess.kind == "field"
    (frame,) = specimen.frames
    assert frame.kind == "found" and frame.cell.box.left < 150 < frame.cell.box.left + frame.cell.box.width


def test_the_reader_may_say_that_an_original_is_a_field():
    smear = draw_smear(360, 363, white_cells=((100, 100), (260, 260)))
    assert find_specimen(smear.pixels).kind == "crop"
    assert len(find_specimen(smear.pixels, "field").frames) == 2


def test_the_readers_own_frame_is_taken_as_it_is(smear):
    box = Box(100, 110, 90, 90)
    specimen = find_specimen(smear.pixels, box=box)
    assert specimen.kind == "crop" and specimen.frames[0].kind == "drawn" and specimen.frames[0].box == box
    with pytest.raises(ImageError, match="too small"):
        find_specimen(smear.pixels, box=Box(0, 0, 2, 2))


@pytest.mark.parametrize("size", [(64, 64), (360, 363)])
def test_the_datasets_own_sizes_are_framed_to_the_pixel_without_looking(size, monkeypatch):
    monkeypatch.setattr("bloodcell.inference.finder_survey.survey_image", None)
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    specimen = find_specimen(pixels)
    np.testing.assert_array_equal(specimen.frames[0].pixels, frame_image(pixels).pixels)
    assert remarks_on(specimen.frames[0], ("read so",)) == ("read so",)


@pytest.mark.parametrize("kind", [None, "crop", "field"])
def test_what_is_too_small_is_refused_in_a_sentence(kind):
    with pytest.raises(ImageError, match="too small to show a cell"):
        find_specimen(np.full((8, 300, 3), 200, np.uint8), kind)


def test_a_field_is_answered_cell_by_cell(smear, artifact, engine):
    answer = classify_image(image_of(smear.pixels), artifact, engine)
    record = json.loads(json.dumps(answer.to_dict()))
    assert list(record) == [*CONTRACT, "kind", "cells"]
    assert (record["kind"], record["status"], record["label"]) == ("field", "ok", None)
    assert "3 cells were found, 3 answered" in record["reasons"][0]
    for cell, (x, y) in zip(record["cells"], CENTRES, strict=True):
        assert list(cell) == [*CONTRACT, "box", "frame"]
        left, top, width, height = cell["box"]
        assert left < x < left + width and top < y < top + height
        assert cell["file"] == "a.png" and cell["status"] == "ok" and cell["label"] in CLASS_NAMES
        assert sum(cell["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert "red cells" in cell["reasons"][0]


def test_a_cell_of_a_field_gets_the_answer_of_its_frame(smear, artifact, engine):
    answer = classify_image(image_of(smear.pixels), artifact, engine)
    frame = find_specimen(smear.pixels).frames[1]
    (alone,) = answer_cells([AskedCell("a.png", frame)], artifact, engine)
    assert alone.probabilities == pytest.approx(answer.cells[1].probabilities, abs=1e-5)


def test_a_guard_refuses_cells_of_a_field_one_by_one(smear, artifact, engine):
    guard = Refusing(artifact, ["ok", "unfamiliar", "uncertain"])
    answer = classify_image(image_of(smear.pixels), artifact, engine, guard)
    assert [cell.status for cell in answer.cells] == ["ok", "unfamiliar", "uncertain"]
    assert answer.status == "ok" and answer.cells[0].label == CLASS_NAMES[2]
    assert answer.cells[1].probabilities is None and answer.cells[1].reasons[0] == "It is unfamiliar."
    assert answer.cells[2].label is None and answer.cells[2].prediction_set == (CLASS_NAMES[2], CLASS_NAMES[4])
    refused = classify_image(image_of(smear.pixels), artifact, engine, Refusing(artifact, ["unfamiliar"] * 3))
    assert refused.status == "unfamiliar"


@pytest.mark.parametrize("kind", ["crop", "field"])
def test_where_nothing_is_found_nothing_is_answered(kind, artifact, engine):
    """With no guard at all: an empty slide, of any colour, is no cell."""
    guard = Refusing(artifact, [])
    for pixels in (np.full((300, 400, 3), 240, np.uint8), np.full((90, 90, 3), (200, 150, 220), np.uint8)):
        answer = classify_image(image_of(pixels), artifact, engine, guard, kind=kind)
        assert answer.status == "not_a_cell" and answer.label is None and answer.probabilities is None
        assert "No nucleated cell and no platelet" in answer.reasons[0]
        assert (answer.cells == ()) == (kind == "field")
    assert not guard.asked


def test_answers_over_eight_views_do_not_care_how_the_cell_is_turned(smear, artifact, engine):
    frame = find_specimen(smear.pixels).frames[0]
    turned = replace(frame, pixels=np.rot90(frame.pixels).copy())
    one, other = answer_cells([AskedCell("a", frame), AskedCell("b", turned)], artifact, engine, views=True)
    assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    single, other = answer_cells([AskedCell("a", frame), AskedCell("b", turned)], artifact, engine)
    assert single.probabilities != pytest.approx(other.probabilities, abs=1e-5)
    assert single.prediction_set == one.prediction_set, "the sets were fitted on single views"


def test_files_with_fields_among_them_keep_their_order(smear, artifact, engine, tmp_path):
    Image.fromarray(smear.pixels).save(tmp_path / "b.png")
    Image.fromarray(smear.pixels[:64, :64]).save(tmp_path / "c.png")
    (tmp_path / "a.png").write_text("words")
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png", "b.png")]
    answers = list(classify_files(paths, artifact, engine))
    assert [answer.status for answer in answers] == ["error", "ok", "ok", "ok"]
    assert [answer.cells and len(answer.cells) for answer in answers] == [None, 3, None, 3]
    assert next(iter(classify_files([tmp_path / "b.png"], artifact, engine, kind="crop"))).cells is None


def test_composed_fields_are_boxed_and_answered(real_samples):
    """Originals of the dataset side by side: every cell is found, framed at its scale and named as on its own."""
    shipped = sorted(path.parent for path in (PROJECT_DIRECTORY / "artifacts").glob("*/model.tflite"))
    if not shipped:
        pytest.skip("no trained model with a LiteRT form is committed")
    artifact = load_artifact(shipped[-1].name, shipped[-1].parent)
    engine = load_engine(artifact)
    originals = read_originals(real_samples)
    mixed = [originals[index] for start in range(6) for index in range(start, len(originals), 6)]
    found = right = 0
    for start in range(0, len(mixed), 6):
        field = compose_field(mixed[start : start + 6], 3)
        answer = classify_image(image_of(field.pixels), artifact, engine)
        assert answer.cells is not None
        for (x, y), label in zip(field.centres, field.labels, strict=True):
            around = [
                cell
                for cell in answer.cells
                if 0 < x - cell.box.left < cell.box.width and 0 < y - cell.box.top < cell.box.height
            ]
            found += len(around) == 1
            right += any(cell.label == CLASS_NAMES[label] for cell in around)
    assert found >= 46, f"{found} of 48 found"
    assert right >= 42, f"{right} of 48 right"


def test_crops_of_other_framings_are_answered_like_their_originals(real_samples):
    shipped = sorted(path.parent for path in (PROJECT_DIRECTORY / "artifacts").glob("*/model.tflite"))
    if not shipped:
        pytest.skip("no trained model with a LiteRT form is committed")
    artifact = load_artifact(shipped[-1].name, shipped[-1].parent)
    engine = load_engine(artifact)
    asked, labels = [], []
    for pixels, label in read_originals(real_samples):
        doubled = np.array(Image.fromarray(pixels).resize((720, 726), Image.Resampling.BICUBIC))
        asked.append(AskedCell("a", frame_cell(doubled)))
        labels.append(CLASS_NAMES[label])
    answers = answer_cells(asked, artifact, engine)
    right = sum(answer.label == label for answer, label in zip(answers, labels, strict=True))
    assert right >= 43, f"{right} of 48 right"

"""Figures and tables of cases hold the numbers of the differential; files find their way into a case."""

import io

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from bloodcell.cases import OTHER, CaseStore, Choice, encode_pixels
from bloodcell.cases.differential import compare_differentials, compute_differential, differential_of
from bloodcell.cases.reports import RESEARCH_USE
from bloodcell.dataset import CLASS_NAMES, Box
from bloodcell.errors import CaseLockedError
from bloodcell.inference import read_image
from bloodcell.inference.classifier import classify_image
from bloodcell.inference.guard import Examination
from bloodcell.views import components, review, tables_cases
from bloodcell.views.figures_cases import comparison_figure, differential_figure
from bloodcell.views.intake import GivenFile, give_pages, keep_files
from tests.made_cases import make_answer, make_image
from tests.made_smears import draw_smear
from tests.pictures import bad_files
from tests.shelf import write_artifact


@pytest.fixture
def store(tmp_path):
    return CaseStore(sa.engine.make_url(f"sqlite:///{tmp_path / 'cases.sqlite'}"))


@pytest.fixture
def case(store):
    case_id = store.create_case("S", "Ana")
    labels = ["neutrophil"] * 6 + ["lymphocyte"] * 3 + ["erythroblast", "platelet", "monocyte"]
    answers = [[make_answer(label, finer_label="band neutrophil" if n < 2 else None)] for n, label in enumerate(labels)]
    store.add_images(case_id, [make_image(n) for n in range(len(labels))], answers, "Ana")
    cells = store.load_case(case_id).cells
    store.decide(case_id, [Choice(cells[-1].id, OTHER, "blast")], "Ana", store.newest_record(case_id))
    store.set_white_count(case_id, 5.0, "Ana")
    return store.load_case(case_id)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_figure_draws_the_differential(case, mode):
    found = differential_of(case)
    figure = differential_figure(found, mode)
    bars = {
        name.removeprefix("<i>").removesuffix("</i>"): x
        for name, x in zip(figure.data[1].y, figure.data[1].x, strict=True)
    }
    assert bars == pytest.approx({share.name: share.percent for share in found.shares})
    error = figure.data[1].error_x
    highs = np.array(figure.data[1].x) + np.array(error.array)
    assert highs[::-1] == pytest.approx([share.high for share in found.shares])
    ranges = {
        name: (base, base + x)
        for name, base, x in zip(figure.data[0].y, figure.data[0].base, figure.data[0].x, strict=True)
    }
    assert ranges["neutrophil"] == (40, 80)
    assert differential_figure(compute_differential([]), mode).data, "an empty case can be drawn"


def test_the_tables_hold_the_same_numbers(case):
    found = differential_of(case)
    table = tables_cases.differential_table(found)
    assert table["n"].tolist() == [share.count for share in found.shares]
    assert table.loc[0, "95 % interval"] == f"{found.shares[0].low:.1f} to {found.shares[0].high:.1f}"
    assert "band neutrophil (network's opinion)" in set(table["type"])
    assert "10⁹/L" in table and "10⁹/L" not in tables_cases.differential_table(compute_differential(case.cells))
    beside = " ".join(tables_cases.describe_beside(found))
    assert "1 erythroblast: 10.0 per 100 white cells" in beside and "1 × blast (a white cell)" in beside
    history = tables_cases.history_table(case)
    assert history["no."].tolist() == list(range(case.num_records, 0, -1))


def test_the_comparison_shows_what_is_clear(case):
    other = compute_differential([])
    same = compare_differentials(differential_of(case), differential_of(case))
    figure = comparison_figure(same, ("a", "b"), "light")
    assert set(figure.data[0].x) == {0.0}
    table = tables_cases.comparison_table(same, ("a", "b"))
    assert list(table.columns) == ["type", "a %", "b %", "difference, points", "95 % interval", "clear"]
    assert not any(table["clear"])
    assert not comparison_figure(compare_differentials(differential_of(case), other), ("a", "b"), "dark").data[0].x


def test_reports_and_pages_carry_the_same_notice():
    assert components.RESEARCH_USE == RESEARCH_USE


class PlainEngine:
    """An engine without a network: its logits follow from the mean colour, so that equal pixels get equal answers."""

    gives_subtypes = False

    def compute_logits(self, inputs):
        return (inputs.mean(axis=(1, 2)) @ np.arange(24).reshape(3, 8) / 3).astype(np.float32)


def test_files_become_cells_with_the_classifiers_answers(store, tmp_path):
    """Same pixels, same answer as the classifier gives; what cannot be read is named and stops nothing."""
    artifact, engine = write_artifact(tmp_path / "artifacts", "cnn_3"), PlainEngine()
    files = [GivenFile(f"cell {n}.png", encode_pixels(make_image(n).pixels // (1 + n % 3))) for n in range(10)]
    broken = [GivenFile(name, data) for name, (data, _) in list(bad_files().items())[:2]]
    case_id = store.create_case("S", "Ana")
    told: list[int] = []
    intake = keep_files(store, case_id, [*files[:5], *broken, *files[5:]], "Ana", artifact, engine, on_file=told.append)
    assert (intake.num_added, len(intake.failed)) == (10, 2) and told == list(range(1, 13))
    assert "2 files could not be read" in intake.describe()
    case = store.load_case(case_id)
    for cell, (name, data, *_) in zip(case.cells, files, strict=True):
        expected = classify_image(read_image(data, name), artifact, engine)
        assert cell.file == name and cell.answer.fingerprint == artifact.fingerprint
        assert cell.answer.details["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
        assert cell.answer.label in CLASS_NAMES
        assert cell.answer.details["thresholds"] and cell.answer.details["versions"]
    again = keep_files(store, case_id, files, "Ana", artifact, engine)
    assert (again.num_added, again.num_present) == (0, 10)
    assert again.describe() == "0 cells were added, 10 were in the case already and stay as first framed."


def test_every_refused_file_is_named_once(store):
    case_id = store.create_case("S", "Ana")
    small = encode_pixels(np.zeros((5, 5, 3), np.uint8))
    intake = keep_files(store, case_id, [GivenFile("folder/small.png", small), GivenFile("bad.png", b"text")], "Ana")
    assert intake.failed[0].startswith("small.png: The image is 5 x 5 pixels")
    assert intake.failed[1].startswith("bad.png is not an image")
    assert all(sentence.count(".png") == 1 for sentence in intake.failed)


def test_pictures_that_were_dropped_come_back_with_the_same_file(store):
    case_id = store.create_case("S", "Ana")
    files = [GivenFile(f"{n}.png", encode_pixels(make_image(n).pixels)) for n in range(2)]
    keep_files(store, case_id, files, "Ana")
    case = store.load_case(case_id)
    store.decide(case_id, [Choice(cell.id, "monocyte") for cell in case.cells], "Ana", case.num_records)
    store.sign_off(case_id, "Ana", False, store.newest_record(case_id))
    store.reopen(case_id, "Ana", "second look")
    intake = keep_files(store, case_id, files[:1], "Ana")
    assert (intake.num_present, intake.num_returned) == (1, 1) and "1 picture came back" in intake.describe()
    assert [cell.has_pixels for cell in store.load_case(case_id).cells] == [True, False]


def test_the_views_that_the_reader_saw_are_kept_and_recorded(store, tmp_path):
    """With eight views the probability in the case is the mean that Classify showed, not that of the image as it is."""
    artifact, case_id = write_artifact(tmp_path / "artifacts", "cnn_3"), store.create_case("S", "Ana")

    class Corner(PlainEngine):
        def compute_logits(self, inputs):
            return (inputs[:, 0, 0] @ np.arange(24).reshape(3, 8)).astype(np.float32)

    file = GivenFile("a.png", encode_pixels(make_image(1).pixels))
    keep_files(store, case_id, [file], "Ana", artifact, Corner(), views=True)
    answer = store.load_case(case_id).cells[0].answer
    image = read_image(file.data, file.name)
    plain, mean = (classify_image(image, artifact, Corner(), views=views) for views in (False, True))
    assert answer.probability == pytest.approx(mean.probability) != pytest.approx(plain.probability)
    assert answer.details["num_views"] == 8


def test_each_page_of_a_file_is_an_image_of_the_case(store):
    pages = [Image.fromarray(np.array(make_image(n).pixels)) for n in range(2)]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    case_id = store.create_case("S", "Ana")
    assert keep_files(store, case_id, give_pages("smear.tif", buffer.getvalue()), "Ana").num_added == 2
    assert [cell.file for cell in store.load_case(case_id).cells] == ["smear.tif, page 1", "smear.tif, page 2"]


def test_a_field_becomes_its_cells_with_their_frames(store, tmp_path):
    """One image of three cells, its frames reaching beyond the border; a frame that the reader drew; an empty slide."""
    artifact, engine = write_artifact(tmp_path / "artifacts", "cnn_3"), PlainEngine()
    smear = draw_smear(white_cells=((40, 40), (240, 80), (150, 170)))
    case_id = store.create_case("S", "Ana")
    other = draw_smear(white_cells=((240, 80),), seed=1)
    drawn = GivenFile("crop.png", encode_pixels(other.pixels), "crop", Box(200, 40, 80, 80))
    empty = GivenFile("empty.png", encode_pixels(np.full((240, 320, 3), 240, np.uint8)), "field")
    files = [GivenFile("field.png", encode_pixels(smear.pixels)), drawn, empty]
    intake = keep_files(store, case_id, files, "Ana", artifact, engine)
    assert (intake.num_added, intake.num_empty) == (4, 1) and "in 1 image no cell was found" in intake.describe()
    case = store.load_case(case_id)
    assert [cell.file for cell in case.cells] == ["field.png"] * 3 + ["crop.png"]
    assert len({cell.image_id for cell in case.cells[:3]}) == 1
    assert min(case.cells[0].box.left, case.cells[0].box.top) < 0
    assert case.cells[3].box == (200, 40, 80, 80)
    assert all(cell.answer.label in CLASS_NAMES for cell in case.cells)
    addresses = review.picture_addresses(case, store.load_pictures(case_id), store.load_images(case_id))
    assert set(addresses) == {cell.id for cell in case.cells}
    assert keep_files(store, case_id, files[:2], "Ana", artifact, engine).num_present == 4


def test_without_a_model_cells_are_labelled_by_hand_and_a_signed_case_takes_none(store):
    case_id = store.create_case("S", "Ana")
    files = [GivenFile("a.png", encode_pixels(make_image(1).pixels))]
    assert keep_files(store, case_id, files, "Ana").num_added == 1
    case = store.load_case(case_id)
    assert case.cells[0].answer is None
    store.decide(case_id, [Choice(case.cells[0].id, "monocyte")], "Ana", case.num_records)
    store.sign_off(case_id, "Ana", True, store.newest_record(case_id))
    with pytest.raises(CaseLockedError):
        keep_files(store, case_id, [GivenFile("b.png", encode_pixels(make_image(2).pixels))], "Ana")


def test_what_the_guard_refuses_is_kept_as_refused_with_its_limits(store, tmp_path):
    """The guard's word is stored: status, reasons and the limits that decided."""
    artifact, engine = write_artifact(tmp_path / "artifacts", "cnn_3"), PlainEngine()

    class Limits:
        pixel_limit, feature_limit = 12.5, 3.25

    class RefusingGuard:
        def __init__(self):
            self.artifact, self.parameters = artifact, Limits()

        def examine(self, images, coverage):
            return [Examination("unfamiliar", (), ("The stain is unlike the training data.",), (2.0, 0.0))] * len(
                images
            )

    case_id = store.create_case("S", "Ana")
    files = [GivenFile("a.png", encode_pixels(make_image(1).pixels))]
    keep_files(store, case_id, files, "Ana", artifact, engine, RefusingGuard(), coverage=0.9)
    cell = store.load_case(case_id).cells[0]
    assert (cell.answer.status, cell.label) == ("unfamiliar", None)
    assert "The stain is unlike the training data." in cell.answer.reasons
    thresholds = cell.answer.details["thresholds"]
    assert thresholds["coverage of the prediction set"] == 0.9
    assert (thresholds["greatest strangeness of pixels"], thresholds["greatest strangeness of features"]) == (
        12.5,
        3.25,
    )

"""The classify page: empty, one image, many, every kind of wrong file, and models that are not ready yet."""

import io
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from made_smears import draw_smear
from pictures import bad_files, draw_cell, encode, odd_files
from PIL import Image
from shelf import write_artifact
from streamlit import config
from streamlit.testing.v1 import AppTest

from bloodcell.artifact import load_artifact, load_shelf
from bloodcell.dataset import CLASS_NAMES, load_split
from bloodcell.errors import EngineError
from bloodcell.evaluation import softmax
from bloodcell.inference.benchmark import load_benchmark
from bloodcell.inference.classifier import choose_default_model
from bloodcell.inference.guard import Examination
from bloodcell.inference.prediction_sets import COVERAGE
from bloodcell.views import cache, cache_classroom, components_classify, components_engines, uploads
from bloodcell.views.background import find_job, forget_job
from bloodcell.views.components_classify import LARGEST_PASTE

APP = Path(__file__).parents[2] / "app.py"
NOTICE = "For research and teaching only"


def open_classify(**query):
    at = AppTest.from_file(str(APP), default_timeout=120).run()
    at.switch_page("pages/classify.py")
    for key, value in query.items():
        at.query_params[key] = value
    return at.run()


def upload(at, files):
    """Drop files, name -> content, and run the page."""
    for name, content in files.items():
        at.file_uploader[0].upload(name, content, "application/octet-stream")
    return at.run()


def words(at):
    """Return everything that the page says, as one text."""
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error, at.header, at.subheader, at.title)
    return "\n".join(str(element.value) for kind in kinds for element in kind).replace("\\", "")


def sentences(at):
    """Return the errors without the backslashes that keep Markdown from reading file names."""
    return [error.value.replace("\\", "") for error in at.error]


def verdict(at):
    return [header.value for header in at.header]


def tiles(at):
    """Return the buttons that open a cell."""
    return [button for button in at.button if str(button.key).startswith("cell_tile_")]


def batch(at):
    """Return the table of cells; the page must have been opened with `classify_view="table"`."""
    return next(frame.value for frame in at.dataframe if "remark" in frame.value.columns)


def test_an_empty_page_is_drawn_before_anything_is_loaded_for_the_first_answer(
    small_dataset, small_artifacts, monkeypatch
):
    def refuse(name):
        raise RuntimeError(f"the engine of {name} is loaded")

    monkeypatch.setattr(cache, "load_engine", refuse)
    at = open_classify()
    assert len(at.exception) == 1
    assert at.file_uploader and NOTICE in words(at)
    assert sum(str(button.key).startswith("cell_classify_") for button in at.button) == 8
    assert not at.header


def test_an_engine_that_fails_is_no_matter_for_an_empty_page(small_artifacts, monkeypatch):
    def fail(name):
        raise EngineError(f"{name} cannot run")

    monkeypatch.setattr(cache, "load_engine", fail)
    at = open_classify()
    assert not at.exception and not at.error
    at = upload(at, {"cell.png": encode(draw_cell())})
    assert "cannot run" in "\n".join(sentences(at))


def test_without_any_model_the_page_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "empty"))
    at = open_classify()
    assert not at.exception
    assert any("bloodcell train" in code.value for code in at.code)
    assert not at.file_uploader


def test_an_example_is_answered_as_its_stored_logits_say(small_dataset, small_artifacts):
    at = open_classify(cell="test-3")
    assert not at.exception
    lead = next(name for name in ("cnn_3", "cnn_4") if f"So says **{name}**" in words(at))
    artifact = load_artifact(lead)
    stored = softmax(artifact.load_predictions("test").logits, artifact.manifest.temperature)[3]
    label = int(stored.argmax())
    assert CLASS_NAMES[label].capitalize() in verdict(at)[0]
    shown = next(frame.value for frame in at.dataframe if list(frame.value.columns) == ["class", "code", "probability"])
    np.testing.assert_allclose(shown["probability"], stored, atol=5e-3)  # the LiteRT form keeps float16 weights
    true = int(load_split("test").labels[3])
    mark = "✓ right" if true == label else "✗ wrong"
    assert f"{CLASS_NAMES[true]}: **{mark}**" in words(at)
    assert NOTICE in words(at)


def test_an_example_is_a_click_away_and_closes_again(small_dataset, small_artifacts):
    at = open_classify()
    key = next(button.key for button in at.button if str(button.key).startswith("cell_classify_"))
    at.button(key=key).click().run()
    assert at.query_params["cell"] == "test-" + key.rsplit("_", 1)[1]
    assert len(verdict(at)) == 1
    at.button(key="classify_back").click().run()
    assert "cell" not in at.query_params and not verdict(at)


def test_other_examples_come_on_request(small_dataset, small_artifacts):
    at = open_classify()

    def examples():
        return [button.key for button in at.button if str(button.key).startswith("cell_classify_")]

    before = examples()
    at.button(key="classify_shuffle").click().run()
    assert len(examples()) == 8 and examples() != before


def test_one_image_is_answered_by_every_selected_model(small_artifacts):
    at = upload(open_classify(models=["cnn_3", "cnn_4"]), {"cell.png": encode(draw_cell())})
    assert not at.exception
    assert len(verdict(at)) == 1
    text = words(at)
    assert "360 × 363 pixels, of which the frame, 200 × 200, is kept" in text
    assert "Every selected model" in text and NOTICE in text
    opinions = next(frame.value for frame in at.dataframe if "says" in frame.value.columns)
    assert set(opinions["model"]) == {"cnn_3", "cnn_4"}
    np.testing.assert_allclose(opinions[list(CLASS_NAMES)].sum(axis=1), 1, atol=1e-5)
    assert not at.warning


@pytest.mark.parametrize("name", odd_files())
def test_an_unusual_file_is_read_and_the_reader_told(name, small_artifacts):
    content, told = odd_files()[name]
    at = upload(open_classify(), {name: content})
    assert not at.exception
    assert len(verdict(at)) == 1
    assert told in words(at)


@pytest.mark.parametrize("name", bad_files())
def test_a_bad_file_alone_is_a_sentence(name, small_artifacts):
    content, sentence = bad_files()[name]
    at = upload(open_classify(), {name: content})
    assert not at.exception
    assert not verdict(at)
    assert any(sentence in said for said in sentences(at))


def test_bad_files_stop_nothing_and_each_has_its_sentence(small_artifacts):
    bad = {name: content for name, (content, _) in bad_files().items()}
    files = {"first.png": encode(draw_cell()), **bad, "last.jpg": encode(draw_cell(), "JPEG")}
    at = upload(open_classify(classify_view="table"), files)
    assert not at.exception
    table = batch(at).set_index("file")
    assert (table.loc[["first.png", "last.jpg"], "answer"] != "not read").all()
    for name, (_, sentence) in bad_files().items():
        assert table.loc[name, "answer"] == "not read"
        assert sentence in table.loc[name, "remark"]
    text = words(at)
    assert "9 files: 2 answered" in text and "7 could not be read" in text


def test_each_page_of_a_tiff_is_an_image_of_its_own(small_artifacts):
    pages = [Image.open(io.BytesIO(encode(draw_cell(side, side)))) for side in (360, 64)]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    at = upload(open_classify(classify_view="table"), {"smear.tif": buffer.getvalue()})
    assert not at.exception
    assert list(batch(at)["file"]) == ["smear.tif, page 1", "smear.tif, page 2"]
    assert (batch(at)["answer"] != "not read").all()


def test_sixty_files_are_answered_at_once(small_artifacts):
    content = encode(draw_cell(), "JPEG")
    at = upload(open_classify(classify_view="table"), {f"cell_{number:02d}.jpg": content for number in range(60)})
    assert not at.exception
    table = batch(at)
    assert len(table) == 60 and (table["answer"] != "not read").all()
    assert "60 files: 60 answered" in words(at)


def test_a_tile_opens_its_cell_and_all_are_forgotten_on_request(small_artifacts):
    files = {"one.png": encode(draw_cell()), "two.png": b"no image", "three.png": encode(draw_cell(64, 64))}
    at = upload(open_classify(), files)
    assert not at.exception and not verdict(at) and len(tiles(at)) == 2
    assert "two.png is not an image" in words(at)
    next(button for button in tiles(at) if "three.png" in button.help).click().run()
    assert not at.exception and len(verdict(at)) == 1
    assert "2 of 2" in words(at) and "three.png: 64 × 64 pixels" in words(at)
    at.button(key="classify_previous").click().run()
    assert "1 of 2" in words(at) and "one.png: 360 × 363 pixels" in words(at)
    at.button(key="classify_back").click().run()
    assert not verdict(at) and len(tiles(at)) == 2
    at.button(key="classify_restart").click().run()
    assert not at.exception and not at.dataframe and not tiles(at)
    assert at.file_uploader[0].value == []


def test_answers_stay_while_the_reader_visits_another_page(small_artifacts):
    files = {"one.png": encode(draw_cell()), "two.jpg": encode(draw_cell(), "JPEG")}
    at = upload(open_classify(classify_view="table"), files)
    at.switch_page("pages/dataset.py").run()
    at.switch_page("pages/classify.py").run()
    assert not at.exception
    assert batch(at)["file"].tolist() == ["one.png", "two.jpg"]
    upload(at, {"three.png": encode(draw_cell(64, 64))})
    assert batch(at)["file"].tolist() == ["one.png", "two.jpg", "three.png"]
    at.button(key="classify_restart").click().run()
    assert not at.exception and not verdict(at) and not at.dataframe


def test_what_was_kept_as_a_case_is_not_kept_again_with_the_next(small_artifacts):
    """One patient's cells stay out of the next patient's case."""
    from bloodcell.cases import open_store

    at = upload(open_classify(classify_views="8"), {"first.png": encode(draw_cell())})
    assert "1 cell of 1 file: first.png" in words(at)
    (seen,) = at.session_state["classify_answers"].values()
    at.text_input(key="classify_case_identifier").set_value("Patient 1").run()
    at.button(key="classify_case_go").click().run()
    assert not at.exception and at.query_params["case"] == open_store().find_case("Patient 1").id
    at.switch_page("pages/classify.py").run()
    assert not verdict(at) and not at.dataframe
    upload(at, {"second.png": encode(draw_cell(64, 64))})
    assert "1 cell of 1 file: second.png" in words(at)
    at.text_input(key="classify_case_identifier").set_value("Patient 2").run()
    at.button(key="classify_case_go").click().run()
    files = {
        case.identifier: [cell.file for cell in open_store().load_case(case.id).cells]
        for case in open_store().list_cases()
    }
    assert files == {"Patient 1": ["first.png"], "Patient 2": ["second.png"]}
    (cell,) = open_store().load_case(open_store().find_case("Patient 1").id).cells
    assert (cell.answer.probability, cell.answer.num_views) == (seen.probability, 8), "what was seen is what is kept"


def test_a_removed_file_is_forgotten(small_artifacts):
    at = upload(open_classify(), {"one.png": encode(draw_cell()), "two.jpg": encode(draw_cell(), "JPEG")})
    at.file_uploader[0].set_value([]).run()
    upload(at, {"three.png": encode(draw_cell(64, 64))})
    assert not at.exception
    assert "three" in words(at) and "one" not in "".join(str(frame.value) for frame in at.dataframe)
    assert not any("file" in frame.value.columns for frame in at.dataframe), "one file alone needs no table"


def test_names_that_look_like_markdown_are_shown_as_they_are(small_artifacts):
    at = upload(open_classify(), {"a [x](y) *b* $c$.png": encode(draw_cell())})
    assert not at.exception
    assert any(r"a \[x\]\(y\) \*b\* \$c\$\.png" in caption.value for caption in at.caption)


def test_the_default_model_answers_whichever_models_are_on(small_artifacts):
    at = upload(open_classify(), {"cell.png": encode(draw_cell())})
    before = verdict(at)
    at.multiselect(key="models").set_value([]).run()
    assert not at.exception and verdict(at) == before
    assert "Every selected model" not in words(at) and "of which the frame" in words(at)


@pytest.fixture
def field():
    return encode(Image.fromarray(draw_smear(white_cells=((70, 70), (240, 80), (150, 170))).pixels))


def test_a_field_is_cut_up_and_each_cell_opens(small_artifacts, field):
    at = upload(open_classify(), {"field.png": field})
    assert not at.exception and not verdict(at)
    text = words(at)
    assert "1 file with 3 cells: 3 answered" in text and "red cells wide" in text
    assert len(tiles(at)) == 3 and "white cells" in text and "preliminary" in text
    tiles(at)[0].click().run()
    assert not at.exception and len(verdict(at)) == 1
    assert "of 3" in words(at) and "sized by" in words(at)
    at.button(key="classify_back").click().run()
    assert len(tiles(at)) == 3


def test_the_reader_may_say_that_a_field_is_one_cell_and_frame_it(small_artifacts, field):
    at = upload(open_classify(), {"field.png": field})
    at.segmented_control(key=kind_key(at)).set_value("crop").run()
    assert not at.exception and len(verdict(at)) == 1
    at.number_input(key="classify_frame_x").set_value(240.0).run()
    at.number_input(key="classify_frame_y").set_value(80.0).run()
    at.number_input(key="classify_frame_side").set_value(110.0).run()
    assert not at.exception
    assert "of which the frame, 110 × 110, is kept" in words(at)
    assert "The frame of 110 x 110 pixels is the reader's own." in words(at)
    at.button(key="classify_frame_again").click().run()
    assert "reader's own" not in words(at) and "lies around the nucleated cell" in words(at)
    at.number_input(key="classify_frame_side").set_value(1.0).run()
    assert not at.exception and len(verdict(at)) == 1, "the least frame is taken instead"
    at.segmented_control(key=kind_key(at)).set_value("field").run()
    assert len(tiles(at)) == 3


def kind_key(at):
    return next(control.key for control in at.segmented_control if "_kind_" in str(control.key))


def test_an_empty_slide_is_no_cell_without_any_guard(small_artifacts):
    at = upload(open_classify(), {"empty.png": encode(Image.new("RGB", (500, 400), (250, 235, 210)))})
    assert not at.exception
    assert verdict(at) == [":material/block: Not answered: no cell"]
    assert "No nucleated cell and no platelet was found" in words(at)
    assert not any(list(frame.value.columns) == ["class", "code", "probability"] for frame in at.dataframe)


class Guard:
    """Says of every cell what it is told to say."""

    def __init__(self, artifact, status, possible):
        self.artifact, self.status, self.possible = artifact, status, possible

    def examine(self, images, coverage):
        reasons = () if self.status == "ok" else (f"Because it is so, at {100 * coverage:g} %.",)
        return [Examination(self.status, self.possible, reasons, (0.5, None))] * len(images)


@pytest.mark.parametrize(
    ("status", "possible", "headline"),
    [
        ("unfamiliar", (), ":material/block: Not answered: unlike the training images"),
        ("not_a_cell", (), ":material/block: Not answered: no cell"),
        ("uncertain", (1, 3), ":material/block: Undecided: eosinophil or immature granulocyte"),
    ],
)
def test_a_refusal_comes_first_with_its_reason(status, possible, headline, small_artifacts, monkeypatch):
    monkeypatch.setattr(cache_classroom, "load_guard", lambda name: Guard(cache.load_artifact(name), status, possible))
    at = upload(open_classify(classify_coverage="99.8"), {"cell.png": encode(draw_cell())})
    assert not at.exception and verdict(at) == [headline]
    assert "Because it is so, at 99.8 %." in words(at) and NOTICE in words(at)
    bars = [frame for frame in at.dataframe if list(frame.value.columns) == ["class", "code", "probability"]]
    assert len(bars) == (status == "uncertain")
    assert ("Every selected model" in words(at)) == (status == "uncertain")
    if status != "uncertain":
        at.toggle(key="classify_anyway").set_value(True).run()
        assert "Not to be believed" in words(at)


def test_coverage_and_views_are_chosen_and_kept_in_the_address(small_artifacts):
    at = upload(open_classify(), {"cell.png": encode(draw_cell())})
    assert f"Possible at {100 * COVERAGE:g} % coverage" in words(at)
    at.selectbox(key="classify_coverage").set_value("95").run()
    assert "Possible at 95 % coverage" in words(at) and at.query_params["classify_coverage"] == "95"
    at.radio(key="classify_views").set_value("8").run()
    assert not at.exception and at.query_params["classify_views"] == "8"
    assert len(verdict(at)) == 1


def test_files_above_the_budget_are_left_out_and_let_go(small_artifacts, monkeypatch):
    """What is kept stays in memory: the rest is refused, freed, and the reader told what to do."""
    content, freed = encode(draw_cell()), []
    monkeypatch.setattr(uploads, "MAXIMUM_SESSION_BYTES", 2 * len(content))
    monkeypatch.setattr(components_classify, "forget_uploads", freed.extend)
    at = upload(open_classify(classify_view="table"), {f"{number}.png": content for number in range(3)})
    assert not at.exception and batch(at)["file"].tolist() == ["0.png", "1.png"]
    assert "1 file was left out. Start over" in words(at) and "bloodcell classify FOLDER" in words(at)
    assert len(freed) == 1
    at.run()
    assert "1 file was left out" in words(at) and batch(at)["file"].tolist() == ["0.png", "1.png"]
    at.button(key="classify_restart").click().run()
    assert not at.exception and "left out" not in words(at) and len(freed) == 3, "a fresh start frees all"
    upload(at, {"3.png": content})
    assert not at.exception and len(verdict(at)) == 1


def test_pages_of_one_file_count_once(small_artifacts, monkeypatch):
    buffer = io.BytesIO()
    pages = [draw_cell() for _ in range(3)]
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    monkeypatch.setattr(uploads, "MAXIMUM_SESSION_BYTES", 2 * len(buffer.getvalue()))
    files = {"stack.tif": buffer.getvalue(), "other.tif": buffer.getvalue()}
    at = upload(open_classify(classify_view="table"), files).run()
    assert not at.exception and len(batch(at)) == 6 and "left out" not in words(at)


def test_what_was_stopped_is_read_on_request(small_artifacts):
    files = {f"{number}.png": encode(draw_cell()) for number in range(3)}
    at = upload(open_classify(classify_view="table"), files)
    read = at.session_state["classify_photos"]
    for key in list(read)[1:]:
        del read[key]  # as where the button was pressed after the first
    at.session_state["classify_stopped"] = True
    at.run()
    assert not at.exception and len(verdict(at)) == 1
    assert "Stopped: 2 files were not read." in words(at)
    at.button(key="classify_read_on").click().run()
    assert not at.exception and len(batch(at)) == 3


def test_tensorflow_stays_out_of_the_page(small_artifacts, small_dataset):
    import subprocess

    script = f"""
import sys
from streamlit.testing.v1 import AppTest
at = AppTest.from_file({str(APP)!r}, default_timeout=120).run()
at.switch_page("pages/classify.py")
at.query_params["cell"] = "test-1"
at.run()
assert not at.exception and len(at.header) == 1, at.exception
assert not {{"tensorflow", "keras", "torch"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=APP.parent, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture
def mixed_artifacts(small_artifacts, tmp_path, monkeypatch):
    """The small artifacts, and one network whose LiteRT form is not there yet."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    for path in small_artifacts.iterdir():
        if path.is_dir() and not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    write_artifact(folder, "vgg16", num_images=48)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    yield folder
    job = find_job("LiteRT vgg16")
    if job is not None:
        assert job.wait(10)
        forget_job("LiteRT vgg16")


@pytest.mark.parametrize("default", ["cnn_3", "vgg16"])
def test_small_networks_speak_while_a_large_one_is_prepared(default, mixed_artifacts, monkeypatch):
    """Where the large one is the default, the verdict waits for it: nobody else may answer in its place."""
    reported, go_on = threading.Event(), threading.Event()

    def build(artifact, on_progress):
        on_progress(1, 4, "Converting.")
        reported.set()
        assert go_on.wait(60)
        raise EngineError("The form differs from Keras.")

    monkeypatch.setattr(components_engines, "ensure_litert", build)
    monkeypatch.setattr(cache, "default_model", lambda: default)
    at = upload(open_classify(models=["cnn_3", "vgg16"]), {"cell.png": encode(draw_cell())})
    assert reported.wait(10)
    at.run()
    assert not at.exception
    assert ("So says **cnn_3**" in words(at)) == (default == "cnn_3")
    assert ("whose word decides, is being prepared" in words(at)) == (default == "vgg16")
    assert "Every selected model" in words(at)
    assert any("vgg16" in bar.proto.text and "Converting." in bar.proto.text for bar in at.get("progress"))
    go_on.set()
    assert find_job("LiteRT vgg16").wait(10)
    at.run()
    assert not at.exception
    assert any("vgg16" in error.value and "differs from Keras" in error.value for error in at.error)
    assert at.button(key="retry_vgg16")


def test_the_samples_are_answered_as_the_stored_logits_say(real_dataset, real_samples):
    """The whole way, file to page, for the 48 originals, against what training stored for the same rows."""
    import pandas as pd

    shelf = load_shelf(APP.parent / "artifacts")
    name = choose_default_model(shelf, load_benchmark(APP.parent / "artifacts")) if shelf.artifacts else None
    if name is None or shelf.artifacts[name].litert_path is None:
        pytest.skip("no trained default network with a LiteRT form is in artifacts/")
    artifact = shelf.artifacts[name]
    labels = pd.read_csv(real_samples / "labels.csv")
    at = open_classify(models=[name], classify_view="table")
    at = upload(at, {file: (real_samples / file).read_bytes() for file in labels["file"]})
    assert not at.exception
    stored = softmax(artifact.load_predictions("test").logits, artifact.manifest.temperature)
    table = batch(at).set_index("file").loc[labels["file"]]
    expected = stored[labels["test_index"]]
    answered = table["probability"].notna().to_numpy()
    assert answered.sum() >= 44
    np.testing.assert_allclose(table["probability"][answered] / 100, expected.max(axis=1)[answered], atol=1e-3)
    names = [CLASS_NAMES[index] for index in expected.argmax(axis=1)[answered]]
    assert [answer.split(" ", 1)[1] for answer in table["answer"][answered]] == names


def test_the_largest_pasted_image_fits_into_what_a_browser_may_send():
    """Three bytes travel as four letters, beside what the page's other widgets say."""
    assert (config.get_option("server.maxWidgetStateSize") - 1) * 1e6 > LARGEST_PASTE * 4 / 3

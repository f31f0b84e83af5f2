"""The dataset page: whole, without dataset, without anything, and while it downloads."""

import shutil
import threading
from pathlib import Path

import pytest
from made_crossval import make_crossval
from pictures import draw_cell, encode
from streamlit.testing.v1 import AppTest

from bloodcell.artifact.crossval import CROSSVAL_FILE, save_crossval
from bloodcell.dataset import CLASS_NAMES, load_split
from bloodcell.errors import DownloadError
from bloodcell.views import components
from bloodcell.views.background import find_job, forget_job

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture(autouse=True)
def no_job_is_left():
    yield
    job = find_job(components.DOWNLOAD_JOB)
    if job is not None:
        assert job.wait(10)
        forget_job(components.DOWNLOAD_JOB)


def open_dataset(**query):
    at = AppTest.from_file(str(APP), default_timeout=120)
    for key, value in query.items():
        at.query_params[key] = value
    at.run()
    at.switch_page("pages/dataset.py")
    for key, value in query.items():
        at.query_params[key] = value
    return at.run()


def words(at):
    """Return everything that the page says, as one text."""
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error, at.header, at.title)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def tiles(at):
    return [button.key for button in at.button if str(button.key).startswith("cell_dataset_")]


def test_the_page_shows_classes_counts_and_cells(small_dataset, small_artifacts):
    at = open_dataset()
    assert not at.exception
    text = words(at)
    assert "**184 images**: 96 train · 40 val · 48 test." in text
    for name in CLASS_NAMES:
        assert f"**{name.capitalize()}**" in text
    assert "12 train · 5 val · 6 test" in text
    assert "unknown dataset file" in text, "a file that is not known says so beside the numbers"
    assert "reconstruct" not in text.lower().replace("nor its known reconstruction", ""), (
        "and claims no other's defects"
    )
    assert "10.17632/snkd93bnjr.1" in text and "CC BY 4.0" in text
    assert len(tiles(at)) == 40


def test_the_gallery_filters_by_split_and_class_and_begins_again(small_dataset, small_artifacts):
    at = open_dataset()
    at.session_state["dataset_page"] = 2
    at.run()
    assert len(tiles(at)) == 48 - 40
    at.selectbox(key="dataset_class").select("monocyte").run()
    labels = load_split("test").labels
    assert tiles(at) == [f"cell_dataset_test_{row}" for row, label in enumerate(labels) if label == 5]
    at.segmented_control(key="dataset_split").set_value("val").run()
    assert len(tiles(at)) == 5 and all("_val_" in key for key in tiles(at))
    assert not at.exception


def test_split_and_class_stay_when_the_reader_comes_back(small_dataset, small_artifacts):
    at = open_dataset()
    at.segmented_control(key="dataset_split").set_value("train").run()
    at.selectbox(key="dataset_class").select("monocyte").run()
    shown = tiles(at)
    at.switch_page("pages/overview.py").run()
    at.switch_page("pages/dataset.py").run()
    assert not at.exception
    assert tiles(at) == shown and all("_train_" in key for key in shown)
    assert at.selectbox(key="dataset_class").value == "monocyte"


def test_a_link_may_name_split_class_and_page(small_dataset, small_artifacts):
    at = open_dataset(dataset_split="train", dataset_page="3")
    assert tiles(at) == [f"cell_dataset_train_{row}" for row in range(80, 96)]


def test_a_train_cell_shows_what_networks_answered_that_never_saw_it(
    small_dataset, small_artifacts, tmp_path, monkeypatch
):
    """Without a cross-validation it is said that none is stored; with one, a contradicted label is marked."""
    assert "Answers are stored for val and test only" in words(open_dataset(cell="train-6"))
    folder = tmp_path / "artifacts"
    shutil.copytree(small_artifacts, folder)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    save_crossval(make_crossval(load_split("train"), "cnn_3", {6: 3}), folder)
    at = open_dataset(cell="train-6")
    answers = next(frame.value for frame in at.dataframe if "verdict" in frame.value.columns)
    assert answers["model"].tolist() == ["cnn_3"] and answers["verdict"].tolist() == ["✗ wrong"]
    assert "immature granulocyte" in answers["answer"][0] and answers["probability"][0] > 90
    assert "**The label is in doubt**" in words(at) and "of a cross-validation, did not" in words(at)
    at = open_dataset(cell="train-7")
    assert next(frame.value for frame in at.dataframe if "verdict" in frame.value.columns)["verdict"][0] == "✓ right"
    assert "in doubt" not in words(at)
    (folder / CROSSVAL_FILE).write_bytes(b"nothing")
    at = open_dataset(cell="train-6")
    assert not at.exception and "crossval.npz cannot be read" in words(at)


def test_a_click_enlarges_a_cell_and_shows_where_it_is_from_and_what_each_model_answered(
    small_dataset, small_artifacts
):
    at = open_dataset(models=["cnn_3", "cnn_4"])
    at.button(key="cell_dataset_test_9").click().run()
    assert not at.exception
    assert at.query_params["cell"] == "test-9"
    facts = next(table.value for table in at.table if "Pixel hash" in table.value.index)
    values = facts.iloc[:, 0]
    assert values["Split and row"] == "test, row 9"
    assert values["Label"] == "1 (EO)"
    assert values["Pixel hash"] == f"`{int(load_split('test').image_hashes[9]):016x}`"
    assert "unknown dataset file" in values["From"]
    answers = next(frame.value for frame in at.dataframe if "verdict" in frame.value.columns)
    assert set(answers["model"]) == {"cnn_3", "cnn_4"}
    assert set(answers["verdict"]) <= {"✓ right", "✗ wrong"}
    at.button(key="dataset_step_1").click().run()
    assert at.query_params["cell"] == "test-10"


def test_next_stays_within_the_chosen_class(small_dataset, small_artifacts):
    at = open_dataset()
    at.selectbox(key="dataset_class").select("monocyte").run()
    at.button(key="cell_dataset_test_5").click().run()
    at.button(key="dataset_step_1").click().run()
    assert at.query_params["cell"] == "test-13"
    at.button(key="dataset_step_-1").click().run()
    at.button(key="dataset_step_-1").click().run()
    assert at.query_params["cell"] == "test-45", "before the first comes the last"


def test_a_cell_in_the_address_opens_and_one_that_does_not_exist_is_passed_over(small_dataset, small_artifacts):
    at = open_dataset(cell="val-3")
    assert any("Pixel hash" in table.value.index for table in at.table)
    for wrong in ("val-4000", "nonsense", "train-", "test--1", f"test-{'9' * 5000}", "test-²"):
        at = open_dataset(cell=wrong)
        assert not at.exception
        assert not any("Pixel hash" in table.value.index for table in at.table)


def test_answers_about_train_are_not_stored_and_the_page_says_so(small_dataset, small_artifacts):
    at = open_dataset(cell="train-0")
    assert "Answers are stored for val and test only" in words(at)


def test_preprocessing_of_an_own_image_shows_its_road_or_its_sentence(small_dataset, small_artifacts):
    at = open_dataset()
    at.segmented_control(key="dataset_source").set_value("Your own image").run()
    at.file_uploader(key="dataset_own").upload("cell.png", encode(draw_cell()), "image/png").run()
    assert not at.exception
    text = words(at)
    for title in ("1. The image", "2. The middle square", "3. Resized to 64 × 64", "4. Values in [0, 1]"):
        assert title in text
    at = open_dataset()
    at.segmented_control(key="dataset_source").set_value("Your own image").run()
    at.file_uploader(key="dataset_own").upload("text.png", b"I am no image", "image/png").run()
    assert not at.exception
    assert any("is not an image" in error.value for error in at.error)


def test_preprocessing_of_a_stored_cell_says_that_the_original_is_not_in_the_file(small_dataset, small_artifacts):
    text = words(open_dataset())
    assert "the original image is not in it" in text
    assert "1. What the network gets" in text


def test_without_a_dataset_the_numbers_come_from_the_answers_and_the_download_is_offered(small_artifacts, monkeypatch):
    at = open_dataset()
    assert not at.exception
    text = words(at)
    assert "Counted in the stored answers of cnn_3, measured on an unknown dataset file" in text
    assert "5 val · 6 test" in text
    assert "The dataset is not" in text
    assert "CC BY 4.0" in text and "2b94928a2ae4916078ca51e05b6b800b" in text and "zenodo.org" in text
    assert "156 MB" in at.button(key="dataset_download").label
    assert not tiles(at)


def test_without_anything_the_published_numbers_remain(monkeypatch, tmp_path):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "empty"))
    at = open_dataset()
    assert not at.exception
    text = words(at)
    assert "the study's published reports" in text
    assert "**3,421 images**: 3,421 test." in text
    assert "666 test" in text


def test_a_damaged_dataset_is_one_sentence(monkeypatch, tmp_path, small_artifacts):
    path = tmp_path / "damaged.npz"
    path.write_bytes(b"not an archive")
    monkeypatch.setenv("BLOODCELL_DATA", str(path))
    at = open_dataset()
    assert not at.exception
    assert "truncated or not a NumPy archive" in words(at)
    assert not any(str(button.key).endswith("_download") for button in at.button), "the variable would hide a download"


def test_the_download_shows_progress_and_its_failure_in_a_sentence(monkeypatch, small_artifacts):
    reported, go_on = threading.Event(), threading.Event()

    def slow(report):
        report(39_000_000, 156_000_000)
        reported.set()
        assert go_on.wait(30)
        raise DownloadError("The connection broke off. 39 MB are kept.")

    monkeypatch.setattr(components, "download_dataset", slow)
    at = open_dataset()
    at.button(key="dataset_download").click().run()
    assert reported.wait(10)
    at.run()
    assert "39 of 156 MB" in str(at.get("progress")[0].proto.text)
    assert not any(button.key == "dataset_download" for button in at.button)
    go_on.set()
    assert find_job(components.DOWNLOAD_JOB).wait(10)
    at.run()
    assert not at.exception
    assert any("39 MB are kept" in error.value for error in at.error)
    assert at.button(key="dataset_download")


def test_after_the_download_the_cells_are_there(monkeypatch, small_artifacts, small_dataset_file, tmp_path):
    def quick(report):
        target = tmp_path / "cache" / "bloodmnist_64.npz"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(small_dataset_file.read_bytes())

    monkeypatch.setattr(components, "download_dataset", quick)
    at = open_dataset()
    at.button(key="dataset_download").click().run()
    assert find_job(components.DOWNLOAD_JOB).wait(10)
    at.run()
    assert not at.exception
    assert len(tiles(at)) == 40


def test_an_original_gives_the_dataset_pixels_on_the_page(real_dataset, real_samples, small_artifacts):
    at = open_dataset()
    assert not at.exception
    text = words(at)
    assert "200 × 200 pixels from column 80, row 82 on" in text
    assert "**17,092 images**: 11,959 train · 1,712 val · 3,421 test." in text

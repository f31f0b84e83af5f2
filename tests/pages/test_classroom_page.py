"""The Classroom: its cell and changes come from the address, all selected models answer, uploads, no dataset."""

import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from pictures import bad_files, draw_cell, encode
from streamlit.testing.v1 import AppTest

from bloodcell.artifact import load_artifact
from bloodcell.dataset import CLASS_NAMES, load_split
from bloodcell.errors import EngineError
from bloodcell.inference.classifier import compute_probabilities
from bloodcell.inference.engine import load_engine
from bloodcell.inference.perturbations import CONTROLS, perturb_image
from bloodcell.views import cache_classroom, components_attention
from bloodcell.views.background import find_job, forget_job

APP = Path(__file__).parents[2] / "app.py"
BOTH = ["cnn_3", "cnn_4"]


def open_classroom(**query):
    at = AppTest.from_file(str(APP), default_timeout=120).run()
    at.switch_page("pages/classroom.py")
    for key, value in query.items():
        at.query_params[key] = value
    return at.run()


def words(at):
    """Return everything that the page says, as one text."""
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error, at.header, at.title)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def answers(at):
    """Return the table of all models."""
    return next(frame.value for frame in at.dataframe if "as changed" in frame.value.columns).set_index("model")


def expected(name, row, **amounts):
    """Return what a model says of a test cell, changed or not, computed here."""
    artifact = load_artifact(name)
    pixels = perturb_image(load_split("test").images[row], amounts)
    return compute_probabilities(artifact, load_engine(artifact), pixels[None])[0]


def test_an_address_reproduces_cell_changes_and_answers(small_dataset, small_artifacts):
    at = open_classroom(models=BOTH, classroom_cell="test-11", classroom_change="rotate:45,light:0.6")
    assert not at.exception
    table = answers(at)
    for name in BOTH:
        np.testing.assert_allclose(
            table.loc[name, list(CLASS_NAMES)].astype(float), expected(name, 11, rotate=45, light=0.6), atol=1e-5
        )
        assert table.loc[name, "probability as it is"] == pytest.approx(expected(name, 11).max(), abs=1e-5)
    text = words(at)
    assert "**test, row 11**" in text and "rotated by 45°, brightness 0.6×" in text
    assert at.slider(key="classroom_set_rotate").value == 45
    assert "For research and teaching only" in text
    assert at.query_params["classroom_change"] in ("rotate:45,light:0.6", ["rotate:45,light:0.6"])


def test_a_slider_moves_the_answers_and_the_address_and_reset_takes_all_back(small_dataset, small_artifacts):
    at = open_classroom(models=BOTH, classroom_cell="test-3")
    still = answers(at)
    at.slider(key="classroom_set_blur").set_value(3.0).run()
    at.toggle(key="classroom_set_mirror").set_value(True).run()
    assert not at.exception
    assert at.query_params["classroom_change"] in ("mirror:1,blur:3", ["mirror:1,blur:3"])
    moved = answers(at)
    np.testing.assert_allclose(
        moved.loc["cnn_4", list(CLASS_NAMES)].astype(float), expected("cnn_4", 3, mirror=1, blur=3), atol=1e-5
    )
    at.button(key="classroom_reset").click().run()
    assert not at.exception
    np.testing.assert_allclose(
        answers(at)[list(CLASS_NAMES)].astype(float), still[list(CLASS_NAMES)].astype(float), atol=1e-6
    )
    assert all(at.slider(key=f"classroom_set_{key}").value == CONTROLS[key].neutral for key in ("blur", "rotate"))
    assert at.button(key="classroom_reset").disabled


def test_each_image_and_model_is_computed_once(small_dataset, small_artifacts, monkeypatch):
    from bloodcell.inference import classifier

    computed = []
    real = classifier.compute_probabilities

    def count(artifact, engine, images):
        computed.append((artifact.name, images.tobytes()))
        return real(artifact, engine, images)

    monkeypatch.setattr(classifier, "compute_probabilities", count)
    cache_classroom._load_scores.clear()
    at = open_classroom(models=BOTH, classroom_cell="test-20")
    assert len(computed) == 2
    at.slider(key="classroom_set_rotate").set_value(30.0).run()
    at.slider(key="classroom_set_rotate").set_value(0.0).run()
    at.slider(key="classroom_set_rotate").set_value(30.0).run()
    at.multiselect(key="models").set_value(["cnn_3"]).run()
    at.multiselect(key="models").set_value(BOTH).run()
    assert not at.exception
    assert len(computed) == 4 and len(set(computed)) == 4


def test_models_switch_on_and_off_and_cell_and_changes_stay(small_dataset, small_artifacts):
    at = open_classroom(models=["cnn_3"], classroom_cell="test-9", classroom_change="violet:0.6")
    assert list(answers(at).index) == ["cnn_3"]
    at.button(key="classroom_all").click().run()
    assert set(answers(at).index) == set(BOTH)
    assert "**test, row 9**" in words(at) and at.slider(key="classroom_set_violet").value == 0.6
    at.button(key="classroom_none").click().run()
    assert not at.exception and "No model is on" in words(at)
    assert "**test, row 9**" in words(at), "the cell stays in sight"


def test_surprise_is_a_test_cell_in_the_address(small_dataset, small_artifacts):
    at = open_classroom()
    seen = set()
    for _ in range(4):
        at.button(key="classroom_surprise").click().run()
        value = at.query_params["classroom_cell"]
        seen.add(value if isinstance(value, str) else value[0])
    assert not at.exception
    assert len(seen) > 1 and all(cell.startswith("test-") for cell in seen)


def test_the_gallery_opens_and_a_click_chooses(small_dataset, small_artifacts):
    at = open_classroom()
    at.button(key="classroom_gallery").click().run()
    tiles = [button for button in at.button if str(button.key).startswith("cell_classroom_")]
    assert len(tiles) == 24
    row = tiles[0].key.rsplit("_", 1)[1]
    tiles[0].click().run()
    assert not at.exception
    assert f"**test, row {row}**" in words(at)


@pytest.mark.parametrize("cell", ["test-9999", "nonsense", "val--1", "test-²"])
def test_a_cell_that_does_not_exist_is_said_and_another_shown(cell, small_dataset, small_artifacts):
    at = open_classroom(classroom_cell=cell, classroom_change="rotate:oops,rust:1")
    assert not at.exception
    assert "which is not in the dataset here" in words(at)
    assert "**test, row" in words(at) and "Nothing is changed" in words(at)


def test_an_own_image_is_answered_and_the_address_says_that_it_cannot_travel(small_dataset, small_artifacts):
    at = open_classroom(models=BOTH)
    at.file_uploader[0].upload("my cell.png", encode(draw_cell()), "image/png").run()
    assert not at.exception
    assert "**my cell\\.png**" in words(at) and "its type is not known" in words(at)
    assert at.query_params["classroom_cell"] in ("upload", ["upload"])
    assert set(answers(at).index) == set(BOTH)
    at.button(key="classroom_surprise").click().run()
    assert "**test, row" in words(at)
    at.selectbox(key="classroom_file").select_index(0).run()
    assert "**my cell\\.png**" in words(at)
    at.button(key="classroom_forget").click().run()
    assert not at.exception and "**test, row" in words(at)
    other = open_classroom(classroom_cell="upload")
    assert "an address cannot hold" in words(other)


def test_own_images_stay_through_a_visit_to_another_page(small_dataset, small_artifacts):
    at = open_classroom()
    at.file_uploader[0].upload("one.png", encode(draw_cell()), "image/png").run()
    at.slider(key="classroom_set_blur").set_value(2.0).run()
    at.switch_page("pages/dataset.py").run()
    at.switch_page("pages/classroom.py").run()
    assert not at.exception
    assert "**one\\.png**" in words(at) and "blurred by 2 px" in words(at)


def test_bad_files_are_sentences(small_dataset, small_artifacts):
    at = open_classroom()
    for name, (content, _) in bad_files().items():
        at.file_uploader[0].upload(name, content, "application/octet-stream")
    at.run()
    assert not at.exception
    said = "\n".join(error.value.replace("\\", "") for error in at.error)
    for _, sentence in bad_files().values():
        assert sentence in said
    assert "**test, row" in words(at)


def test_without_a_dataset_uploads_work_and_the_download_is_offered(small_artifacts):
    at = open_classroom(models=BOTH, classroom_cell="test-3", classroom_change="blur:2")
    assert not at.exception
    assert at.button(key="classroom_download")
    assert at.button(key="classroom_surprise").disabled
    assert "The address names the cell test\\-3" in words(at)
    at.file_uploader[0].upload("cell.png", encode(draw_cell()), "image/png").run()
    assert not at.exception
    assert set(answers(at).index) == set(BOTH) and "blurred by 2 px" in words(at)


def test_without_any_model_the_page_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "empty"))
    at = open_classroom()
    assert not at.exception
    assert any("bloodcell train" in code.value for code in at.code)


def test_without_a_guard_the_command_that_fits_one_is_named(small_dataset, small_artifacts):
    assert "measure guard" in words(open_classroom())


def test_a_guard_speaks_about_the_changed_cell(small_dataset, small_artifacts, monkeypatch):
    from bloodcell.inference.guard import Examination

    def examine(name, pixels):
        dark = pixels.mean() < 100
        return Examination("not_a_cell" if dark else "ok", (), ("It is dark.",) if dark else (), (2.0, None))

    monkeypatch.setattr(cache_classroom, "load_examination", examine)
    at = open_classroom(classroom_cell="test-3")
    assert "an answer may be given" in words(at)
    at.slider(key="classroom_set_light").set_value(0.4).run()
    assert "**not a cell, better silent** (as it is: an answer may be given). It is dark." in words(at)


def test_networks_that_pool_are_explained_at_once_and_up_to_four(small_dataset, small_artifacts):
    at = open_classroom(models=BOTH, classroom_cell="test-3", classroom_look=["cnn_4", "cnn_99"])
    assert not at.exception
    assert at.multiselect(key="classroom_look").value == ["cnn_4"]
    at.segmented_control(key="classroom_look_kind").set_value("covering").run()
    assert not at.exception and "when covered" in words(at)


@pytest.fixture
def without_features(monkeypatch):
    """Engines that give no feature map, so that every network needs Keras."""
    from bloodcell.inference.engine import Engine

    monkeypatch.setattr(Engine, "gives_features", property(lambda engine: False))
    yield
    for job in [name for name in components_attention.find_job.__globals__["_JOBS"] if name.startswith("attention")]:
        find_job(job).wait(10)
        forget_job(job)


def test_other_networks_are_explained_in_the_background_on_request(
    small_dataset, small_artifacts, monkeypatch, without_features
):
    began, go_on = threading.Event(), threading.Event()

    def explain(artifact, engine, images, classes, report):
        report(1, 2, "Following it back.")
        began.set()
        assert go_on.wait(60)
        raise EngineError("Keras gave up.")

    monkeypatch.setattr(components_attention, "explain_and_store", explain)
    at = open_classroom(models=["cnn_4"], classroom_cell="test-3")
    assert not at.exception
    at.button(key="classroom_explain_cnn_4").click().run()
    assert began.wait(10)
    at.run()
    assert any("Following it back." in bar.proto.text for bar in at.get("progress"))
    go_on.set()
    name = next(name for name in components_attention.find_job.__globals__["_JOBS"] if name.startswith("attention"))
    assert find_job(name).wait(10)
    at.run()
    assert not at.exception
    assert any("Keras gave up" in error.value for error in at.error)
    assert at.button(key="classroom_explain_cnn_4"), "and may be asked again"


def test_tensorflow_stays_out_of_the_page(small_artifacts, small_dataset):
    import subprocess

    script = f"""
import sys
from streamlit.testing.v1 import AppTest
at = AppTest.from_file({str(APP)!r}, default_timeout=120).run()
at.switch_page("pages/classroom.py")
at.query_params["classroom_change"] = "rotate:30"
at.run()
assert not at.exception and len(at.dataframe) == 1, at.exception
assert not {{"tensorflow", "keras", "torch"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=APP.parent, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]

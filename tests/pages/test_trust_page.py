"""The Trust page: whole, with records missing, out of date, with and without the cells behind the numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from bloodcell.artifact import add_file, load_artifact
from bloodcell.dataset import hash_images, load_split
from bloodcell.inference import trust
from tests.shelf import write_benchmark, write_shelf
from tests.trust_records import make_trust_record, make_unseen_record, write_records

APP = Path(__file__).parents[2] / "app.py"
DEFAULT = "vgg16_dropout"


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Five synthetic artifacts, of which vgg16_dropout answers by default, and all three records."""
    folder = tmp_path / "artifacts"
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    write_shelf(folder)
    write_benchmark(folder, {DEFAULT: 0.01})
    write_records(folder, load_artifact(DEFAULT), load_artifact("cnn_se"))
    return folder


def open_trust(**query):
    at = AppTest.from_file(str(APP.parent / "pages" / "trust.py"), default_timeout=120)
    for key, value in query.items():
        at.query_params[key] = value
    return at.run()


def words(at):
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error, at.header, at.title)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def metrics(at):
    return {metric.label: metric.value for metric in at.metric}


def test_four_figures_stand_on_top_with_their_aims(shelf):
    at = open_trust()
    assert not at.exception
    assert metrics(at) == {
        "Test cells answered": "96.5 %",
        "Right among answered": "99.1 %",
        "Foreign stain refused": "96.8 %",
        "Non-cells refused": "99.0 %",
    }
    text = words(at)
    assert "772 of 800" in text
    assert text.count("✓ aim") == 2 and text.count("✗ aim") == 2
    assert "have never seen a blast" in text
    assert "as usual as in 99.9 % of the val images" in text
    assert "those of 99.8 % of the val images" in text
    assert "synthetic cells" in text
    assert "not a medical device" in text.lower()
    assert len(at.get("plotly_chart")) == 6


def test_another_coverage_can_be_chosen_and_linked(shelf):
    def held(at):
        tables = [frame.value for frame in at.dataframe if "held" in frame.value and "type" in frame.value]
        return int(tables[0].set_index("type").loc["all", "held"])

    assert held(open_trust()) == round(trust.COVERAGE * 800)
    assert held(open_trust(trust_coverage="0.95")) == 760


def test_a_record_of_another_coverage_is_shown_as_such(shelf):
    path = shelf / trust.TRUST_FILE
    record = json.loads(path.read_text())
    record["coverage"] = 0.97
    record["coverages"] = [one for one in record["coverages"] if one["coverage"] != trust.COVERAGE]
    path.write_text(json.dumps(record))
    at = open_trust()
    assert not at.exception
    assert any("measured at 97 % coverage" in one.value for one in at.warning)
    assert any("At 97 % coverage the set" in one.value for one in at.markdown)


def test_without_any_record_the_commands_stand_there(shelf):
    for name in (trust.TRUST_FILE, trust.ROBUSTNESS_FILE, trust.UNSEEN_FILE):
        (shelf / name).unlink()
    at = open_trust()
    assert not at.exception
    assert not at.metric
    commands = [block.value for block in at.code]
    assert commands == ["./dev python -m bloodcell measure trust", "./dev python -m bloodcell measure unseen"]
    assert "have never seen a blast" in words(at)


def test_each_missing_record_names_its_command(shelf):
    (shelf / trust.ROBUSTNESS_FILE).unlink()
    (shelf / trust.UNSEEN_FILE).unlink()
    at = open_trust()
    commands = [block.value for block in at.code]
    assert commands == ["./dev python -m bloodcell measure robustness", "./dev python -m bloodcell measure unseen"]


def test_a_record_without_fields_says_what_is_missing(shelf):
    record = make_trust_record(load_artifact(DEFAULT), with_fields=False)
    trust.save_record(record, trust.TRUST_FILE, shelf)
    at = open_trust()
    assert metrics(at)["Foreign stain refused"] == "–"
    assert "BLOODCELL_FIELDS" in words(at)


def test_numbers_of_another_state_are_marked(shelf):
    assert "another state" not in words(open_trust())
    add_file(load_artifact(DEFAULT), "guard.npz", b"a guard that was fitted since")
    assert f"another state of **{DEFAULT}**" in words(open_trust())


def test_a_curve_of_another_state_of_the_model_beside_it_is_marked(shelf):
    assert "The curve of" not in words(open_trust())
    add_file(load_artifact("cnn_se"), "guard.npz", b"a guard that was fitted since")
    assert "The curve of **cnn_se** was measured on another state" in words(open_trust())


def test_numbers_of_a_model_that_is_no_longer_the_default_are_marked(shelf):
    write_records(shelf, load_artifact("cnn_4"), load_artifact("cnn_se"))
    assert f"the default model is now **{DEFAULT}**" in words(open_trust())


def test_a_damaged_record_counts_as_none(shelf):
    (shelf / trust.TRUST_FILE).write_text("{")
    at = open_trust()
    assert not at.exception
    assert at.code[0].value == "./dev python -m bloodcell measure trust"


def test_test_cells_are_shown_only_if_they_are_the_very_images(shelf, small_dataset):
    images = load_split("test").images
    hashes = [f"{int(value):016x}" for value in hash_images(images[:2])]
    common = {"label": "basophil", "possible": ["monocyte"], "reasons": []}
    examples = [
        {"row": 0, "hash": hashes[0], "status": "ok", **common},
        {"row": 1, "hash": hashes[0], "status": "ok", **common},  # another image lies in this row here
        {"row": 10**6, "hash": hashes[1], "status": "ok", **common},
    ]
    trust.save_record(make_trust_record(load_artifact(DEFAULT), examples=examples), trust.TRUST_FILE, shelf)
    at = open_trust()
    assert not at.exception
    assert [caption.value for caption in at.caption].count("labelled basophil; called monocyte") == 1


def test_without_the_dataset_the_page_says_where_the_cells_are(shelf):
    assert "appear here when the dataset is on this machine" in words(open_trust())


def test_foreign_cells_are_cut_out_where_the_fields_are(shelf, tmp_path, monkeypatch):
    folder = tmp_path / "smears"
    (folder / "images").mkdir(parents=True)
    Image.fromarray(np.full((160, 200, 3), 200, np.uint8)).save(folder / "images" / "smear_00000.png")
    assert "unfamiliar: Another stain." not in words(open_trust())
    monkeypatch.setenv("BLOODCELL_FIELDS", str(folder))
    assert "unfamiliar: Another stain." in words(open_trust())
    (folder / "images" / "smear_00000.png").write_text("words")
    at = open_trust()
    assert not at.exception
    assert "is not an image" in words(at)


def test_the_spoiled_and_the_unseen_are_told_in_words(shelf):
    text = words(open_trust(trust_corruption="jpeg"))
    assert "Each of 1,000 test cells was spoiled in 9 ways" in text
    assert "**blur**, severity 2" in text
    assert "**43.5 %** were refused (348 of 800)" in text
    assert "Measured 2026-01-02 on synthetic cells" in text and "coverage; Classify starts" not in text


def test_a_figure_on_unseen_types_of_other_limits_is_told_as_such(shelf):
    record = make_unseen_record()
    del record["coverage"]
    trust.save_record(record, trust.UNSEEN_FILE)
    assert "measured at an unknown coverage; Classify starts with" in words(open_trust())

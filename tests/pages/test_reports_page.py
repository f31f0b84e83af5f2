"""The reports page: one model in full, beside what the study printed, on test and on val, and with things missing."""

import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bloodcell.artifact import load_artifact
from bloodcell.inference.combined import COMBINED_FILE
from bloodcell.inference.trust import describe_model, save_record, share
from bloodcell.models.graphs import load_graphs
from bloodcell.published import load_summary
from bloodcell.views.quantities import percent
from tests.shelf import write_artifact, write_shelf

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Five synthetic artifacts."""
    folder = tmp_path / "artifacts"
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    write_shelf(folder)
    return folder


def open_reports(**query):
    at = AppTest.from_file(str(APP), default_timeout=120)
    at.run()
    at.switch_page("pages/reports.py")
    for key, value in query.items():
        at.query_params[key] = value
    return at.run()


def words(at):
    """Return everything that the page says, as one text."""
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error, at.header, at.title, at.html)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def metrics(at):
    return {metric.label: metric.value for metric in at.metric}


def card(at):
    return at.table[0].value.iloc[:, 0].to_dict()


@pytest.mark.parametrize("name", ["cnn_se", "vgg16_dropout"])
def test_a_model_has_a_whole_report(shelf, name):
    at = open_reports(reports_model=name)
    assert not at.exception
    stored = load_artifact(name).load_evaluation("test")
    assert metrics(at)["Accuracy"] == percent(stored["accuracy"], 2)
    assert metrics(at)["Calibration error"] == percent(stored["ece"], 2)
    text = words(at)
    low, high = stored["accuracy_interval"]
    assert f"95 %: {100 * low:.1f} to {100 * high:.1f} %" in text
    assert f"**{load_graphs()[name]['parameters']:,}** parameters" in text
    assert len(at.get("plotly_chart")) == 4
    assert card(at)["Seed"] == "0" and "synthetic answers" in card(at)["Data"]
    assert at.code[0].value == load_artifact(name).manifest.command


def test_the_studys_accuracy_and_report_stand_beside_on_test_only(shelf):
    at = open_reports(reports_model="vgg16_dropout")
    published = load_summary().set_index("name").loc["vgg16_dropout", "accuracy"]
    measured = load_artifact("vgg16_dropout").load_evaluation("test")["accuracy"]
    difference = f"{100 * (measured - published):+.2f} points".replace("-", "−")
    assert f"The study reports {percent(published, 2)} on test; this training measures **{difference}**" in words(at)
    assert "Second line: published value" in words(at) and "<small>" in words(at)
    at.segmented_control(key="reports_split").set_value("val").run()
    assert "this training measures" not in words(at)
    assert "<small>" not in words(at)
    assert metrics(at)["Accuracy"] == percent(load_artifact("vgg16_dropout").load_evaluation("val")["accuracy"], 2)
    assert not at.exception


def test_a_network_whose_report_was_not_printed_says_so(shelf):
    assert "The study prints no class report of this network." in words(open_reports(reports_model="cnn_3"))


def test_previous_and_next_walk_through_all_models_and_the_url_follows(shelf):
    at = open_reports(reports_model="cnn_4")
    seen = []
    for _ in range(5):
        seen.append(at.query_params["reports_model"])
        at.button(key="reports_model_next").click().run()
        assert not at.exception
    names = [value[0] if isinstance(value, list) else value for value in seen]
    assert len(set(names)) == 5
    assert at.selectbox(key="reports_model").value == "cnn_4"
    at.button(key="reports_model_previous").click().run()
    assert at.selectbox(key="reports_model").value == names[-1]


def test_only_layers_with_parameters_can_be_listed(shelf):
    at = open_reports(reports_model="cnn_4")

    def layers(at):
        return next(element.value for element in at.dataframe if "output" in element.value)

    everything = layers(at)
    assert len(everything) == len(load_graphs()["cnn_4"]["layers"])
    at.toggle(key="reports_with_parameters_switch").set_value(True).run()
    assert 0 < len(layers(at)) < len(everything)
    assert layers(at)["parameters"].sum() == load_graphs()["cnn_4"]["parameters"]


def test_the_address_keeps_a_switch_across_pages(shelf):
    """A link switches it on; another page and back leave it on; a click switches it off in the address too."""
    at = open_reports(reports_model="cnn_4", reports_with_parameters="on")
    assert at.toggle(key="reports_with_parameters_switch").value
    at.switch_page("pages/compare.py").run()
    at.switch_page("pages/reports.py").run()
    assert at.toggle(key="reports_with_parameters_switch").value
    at.toggle(key="reports_with_parameters_switch").set_value(False).run()
    assert at.query_params["reports_with_parameters"] == "off"
    assert not at.toggle(key="reports_with_parameters_switch").value


def test_a_training_of_a_graph_that_left_the_catalog_is_still_reported(shelf):
    write_artifact(shelf, "retired")
    at = open_reports(reports_model="retired")
    assert not at.exception
    assert "The catalog no longer has a network called retired" in words(at)


def test_a_damaged_model_is_named_and_the_others_stay(shelf):
    (shelf / "cnn_3" / "history.csv").write_text("epoch\n1\n")
    at = open_reports(reports_model="cnn_4")
    assert not at.exception
    assert any("cnn_3" in str(warning.value) and "history.csv" in str(warning.value) for warning in at.warning)
    assert "Accuracy" in metrics(at)


def test_what_more_than_one_look_brings_is_not_measured_and_the_command_stands_there(shelf):
    """No record; one with a row of other weights; one that is damaged."""
    numbers = {split: {**share(390, 400), "ece": 0.004} for split in ("val", "test")}
    model = describe_model(load_artifact("cnn_4"))
    row = {"model": model, "single": numbers, "views": numbers, "seeds": None}
    record = {"date": "2026-01-01", "model": None, "dataset": {"label": "synthetic"}, "rows": [row]}
    command = "`./dev python -m bloodcell measure combined cnn_4`"
    for rows in (None, [{**row, "model": {**model, "files": {"weights.safetensors": "others"}}}], [3]):
        if rows is not None:
            save_record({**record, "rows": rows}, COMBINED_FILE, shelf)
        at = open_reports(reports_model="cnn_4")
        assert not at.exception
        assert "More than one look" in [header.value for header in at.header]
        assert [command in caption.value for caption in at.caption].count(True) == 1
    save_record(record, COMBINED_FILE, shelf)
    assert command not in words(open_reports(reports_model="cnn_4"))


def test_without_a_trained_model_the_page_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "empty"))
    at = open_reports()
    assert not at.exception
    assert "No trained model here yet" in words(at) and "bloodcell train" in at.code[0].value


def test_no_number_on_the_page_needs_keras(shelf):
    """A fresh interpreter draws the page without TensorFlow or Keras."""
    script = (
        "import sys; from streamlit.testing.v1 import AppTest\n"
        f"at = AppTest.from_file({str(APP)!r}, default_timeout=120).run()\n"
        "for page in ('pages/reports.py', 'pages/confusion.py'):\n"
        "    at.switch_page(page).run(); assert not at.exception, at.exception\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'tensorflow', 'keras', 'jax', 'torch'}))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=APP.parent, timeout=240)
    assert found.stdout.strip().splitlines()[-1] == "[]", found.stderr[-2000:]

"""Overview: full, without times, without anything, and with a damaged artifact."""

from pathlib import Path

import pytest
from shelf import SHELF, write_artifact, write_shelf
from streamlit.testing.v1 import AppTest

from bloodcell.files import own_models_directory

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    folder = tmp_path / "artifacts"
    write_shelf(folder)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    return folder


def open_overview() -> AppTest:
    page = AppTest.from_file(str(APP), default_timeout=120).run()
    assert not page.exception
    return page


def words(page: AppTest) -> str:
    """Everything that the page says, as one text."""
    kinds = (page.title, page.header, page.markdown, page.caption, page.info, page.warning, page.error)
    return "\n".join(element.value for kind in kinds for element in kind)


def test_three_cards_are_computed(shelf):
    page = open_overview()
    said = words(page)
    assert page.title[0].value == "Overview"
    for title in ("Most accurate", "Lightest above 95 %", "Best trade-off"):
        assert title in said
    assert len(page.metric) == 3
    assert all("±" in metric.value and metric.value.endswith(tuple("0123456789")) for metric in page.metric)
    assert "**vgg16_dropout**" in said and "**cnn_se**" in said


def test_a_loss_against_the_study_is_shown_as_one(shelf):
    """Streamlit colours a change by its sign, and knows a minus only as a hyphen."""
    page = open_overview()
    table = {metric.value: metric.delta for metric in page.metric}
    assert any(delta.startswith("+") for delta in table.values())
    assert any(delta.startswith("-") for delta in table.values())


def test_leaderboard_holds_every_model(shelf):
    board = open_overview().dataframe[0].value
    assert set(board["name"]) == set(SHELF)
    assert board["rank"].tolist() == sorted(board["rank"])
    assert board["measured"].is_monotonic_decreasing


def test_own_models_are_counted_as_such(shelf, tmp_path, monkeypatch):
    assert "your own" not in words(open_overview())
    monkeypatch.setenv("BLOODCELL_HOME", str(tmp_path / "home"))
    write_artifact(own_models_directory(), "net3_bn.own1")
    said = words(open_overview())
    assert f"{len(SHELF)} trained networks and 1 of your own, eight types of cell" in said


def test_what_numbers_come_from_is_said(shelf):
    said = words(open_overview())
    assert "Measured on synthetic answers" in said
    assert "a processor, 2 cores" in said
    assert "14 are not trained here" in said


def test_without_benchmark_the_page_is_whole_and_names_the_command(shelf):
    (shelf / "benchmark.json").unlink()
    page = open_overview()
    assert "bloodcell benchmark --save" in words(page)
    assert len(page.metric) == 3


def test_without_artifacts_the_published_figures_and_the_command_stand_there(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "nothing"))
    page = open_overview()
    assert "No trained model here yet" in words(page)
    assert "bloodcell train" in page.code[0].value
    assert "vgg16_dropout" in set(page.dataframe[0].value["Model"])
    assert not page.metric


def test_a_damaged_artifact_is_named_with_its_reason(shelf):
    (shelf / "cnn_3" / "history.csv").write_text("changed")
    page = open_overview()
    warned = [warning.value for warning in page.warning]
    assert len(warned) == 1
    assert "cnn_3" in warned[0] and "SHA-256" in warned[0]
    assert "cnn_3" not in set(page.dataframe[0].value["name"])


def test_every_artifact_damaged_still_says_so(shelf):
    for folder in shelf.iterdir():
        if folder.is_dir():
            (folder / "manifest.json").write_text("{")
    page = open_overview()
    assert len(page.warning) == len(SHELF)
    assert "No trained model here yet" in words(page)


def test_one_selection_for_both_pages(shelf):
    page = open_overview()
    assert page.multiselect(key="models").value == ["cnn_se", "vgg16_dropout"]
    page.multiselect(key="models").set_value(["cnn_4"]).run()
    page.switch_page("pages/compare.py").run()
    assert page.multiselect(key="models").value == ["cnn_4"]
    assert page.query_params["models"] in ("cnn_4", ["cnn_4"])  # one value may come as itself


def test_check_boxes_by_family_change_the_selection(shelf):
    page = open_overview()
    assert not any(str(box.key).startswith("selection_on_") for box in page.checkbox), "closed, and not sent"
    page.session_state["selection_families"] = True
    page.run()
    page.checkbox(key="selection_on_cnn_4").check().run()
    assert page.multiselect(key="models").value == ["cnn_4", "cnn_se", "vgg16_dropout"]
    page.checkbox(key="selection_on_cnn_se").uncheck().run()
    assert page.multiselect(key="models").value == ["cnn_4", "vgg16_dropout"]
    label = page.checkbox(key="selection_on_cnn_4").label
    assert "%" in label and "MB" in label


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("all", ["cnn_4", "cnn_3", "cnn_se", "cnn_bn_dropout40", "vgg16_dropout"]),
        ("none", []),
        ("small ones", ["cnn_4", "cnn_3"]),
    ],
)
def test_quick_choices(shelf, label, expected):
    page = open_overview()
    page.pills(key="selection_quick").set_value(label).run()
    assert page.multiselect(key="models").value == expected

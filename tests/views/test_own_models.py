"""Models that the user trained stand in every comparison, marked, and never become the default classifier."""

import json

import pytest
from shelf import SHELF, write_artifact, write_shelf

from bloodcell.artifact import join_shelves, load_own_artifact, load_own_shelf, load_shelf
from bloodcell.commands.shelf import find_artifact
from bloodcell.errors import ArtifactNotFoundError
from bloodcell.files import own_models_directory
from bloodcell.inference.classifier import choose_default_model
from bloodcell.published import load_summary
from bloodcell.views import cache, tables
from bloodcell.views.selection import OWN, default_selection, family_order, quick_selections


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Five models of the project; the best and fastest of all is the user's own."""
    folder = tmp_path / "artifacts"
    write_shelf(folder)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    write_artifact(own_models_directory(), "net3_bn.own1", accuracy=0.999)
    return folder


def test_an_own_model_joins_the_comparisons_and_is_marked(shelf):
    table = cache.leaderboard().set_index("name")
    assert set(table.index) == {*SHELF, "net3_bn.own1"}
    assert table.loc["net3_bn.own1", ["origin", "family"]].tolist() == [OWN, "cnn"]
    shown = tables.leaderboard_table(cache.leaderboard()).set_index("name")
    assert shown.loc["net3_bn.own1", "family"].endswith("your own")
    assert not shown.loc["cnn_4", "family"].endswith("your own")
    assert cache.load_artifact("net3_bn.own1").own and not cache.load_artifact("cnn_4").own
    assert cache.load_evaluation("net3_bn.own1").accuracy > 0.99
    assert family_order(cache.leaderboard())[-1] == "net3_bn.own1"
    quick = quick_selections(cache.leaderboard(), load_summary())
    assert quick["own"][0] == ["net3_bn.own1"] and "net3_bn.own1" in quick["all"][0]


def test_an_own_model_is_never_the_default_nor_the_projects_answer(shelf):
    table = cache.leaderboard()
    assert table["name"].iloc[0] == "net3_bn.own1"
    assert cache.default_model() == "vgg16_dropout"
    assert choose_default_model(load_shelf(), cache.load_benchmark()) == "vgg16_dropout"
    assert "net3_bn.own1" not in default_selection(table, cache.default_model())
    assert quick_selections(table, load_summary())["best"][0] == ["vgg16_dropout"]
    assert {answer.name for answer in tables.find_answers(table, load_summary())} <= set(SHELF)


def test_own_models_alone_answer_nothing_by_themselves(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "nothing"))
    write_artifact(own_models_directory(), "cnn_4.own1")
    assert cache.default_model() is None
    assert [answer.name for answer in tables.find_answers(cache.leaderboard(), load_summary())] == [None] * 3


def test_a_damaged_own_model_is_named_and_left_out(shelf):
    path = own_models_directory() / "net3_bn.own1" / "evaluation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"test": {}}))
    assert "net3_bn.own1" not in set(cache.leaderboard()["name"])
    assert [item.name for item in cache.load_shelf().damaged] == ["net3_bn.own1"]


def test_a_name_that_the_project_has_stays_the_projects(shelf):
    write_artifact(own_models_directory(), "cnn_4", accuracy=0.1)
    joined = join_shelves(load_shelf(), load_own_shelf())
    assert not joined.artifacts["cnn_4"].own
    assert [item.name for item in joined.damaged] == ["cnn_4"]
    assert cache.load_evaluation("cnn_4").accuracy > 0.8


def test_the_command_line_finds_own_models_by_name_only(shelf):
    assert find_artifact("net3_bn.own1").own
    assert not find_artifact("cnn_4").own
    with pytest.raises(ArtifactNotFoundError):
        find_artifact("cnn_4.own9")
    with pytest.raises(ArtifactNotFoundError):
        load_own_artifact("cnn_4")

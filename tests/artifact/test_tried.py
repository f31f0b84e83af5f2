"""The table of trials: noted from runs or by hand, kept whole, shown on pages."""

import csv
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bloodcell.__main__ import main
from bloodcell.artifact.tried import Tried, add_tried, load_tried, save_tried
from tests.shelf import write_artifact

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "artifacts"
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(path))
    return path


def test_a_trial_is_read_from_what_was_trained(folder, capsys):
    artifact = write_artifact(folder, "hemanet_tiny.wide", accuracy=0.95)
    command = ["tried", "wider stem", "--from", artifact.name, "--kept", "no", "--note", "slower, no better"]
    assert main([*command, "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    accuracy = artifact.load_evaluation("val")["accuracy"]
    assert shown["val_accuracy"] == accuracy and shown["num_epochs"] == 5 and shown["source"] == artifact.name
    (kept,) = load_tried()
    assert kept == Tried(
        "wider stem", "hemanet_tiny", artifact.name, 5, pytest.approx(accuracy), "no", "slower, no better"
    )


def test_the_same_words_replace_and_others_are_added(folder, capsys):
    by_hand = ["--model", "hemanet_nano", "--epochs", "60"]
    assert main(["tried", "longer", "--val", "98.4", *by_hand]) == 0
    assert main(["tried", "dropout 0.1, not 0.2", "--val", "98.2", *by_hand, "--kept", "no"]) == 0
    assert main(["tried", "longer", "--val", "98.5", *by_hand, "--kept", "yes"]) == 0
    assert [(one.what, one.val_accuracy, one.kept) for one in load_tried()] == [
        ("longer", 0.985, "yes"),
        ("dropout 0.1, not 0.2", 0.982, "no"),
    ]
    rows = list(csv.reader((folder / "tried.csv").read_text().splitlines()))
    assert rows[0][:3] == ["what", "model", "source"] and rows[1][4] == "0.985000"
    capsys.readouterr()
    assert main(["tried"]) == 0
    assert "98.50 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["--val", "98"], ["x", "--val", "98"], ["x"], ["x", "--val", "198", "--model", "cnn_4"]],
)
def test_an_incomplete_trial_is_wrong_usage(folder, arguments):
    with pytest.raises(SystemExit) as caught:
        main(["tried", *arguments])
    assert caught.value.code == 2
    assert load_tried() == []


@pytest.mark.parametrize(
    "arguments",
    [["--note", "hi"], ["--kept", "yes"], ["--kept", "open"], ["--model", "cnn_2"], ["--epochs", "0"], ["", "--json"]],
)
def test_without_words_nothing_is_noted_and_that_is_said(folder, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(["tried", *arguments])
    assert caught.value.code == 2
    assert "say in words what was tried" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--model", "cnn_2", "--epochs", "99"], ["--model", "cnn_3"], ["--epochs", "0"]])
def test_network_and_epochs_do_not_go_with_a_training(folder, capsys, arguments):
    write_artifact(folder, "cnn_3")
    with pytest.raises(SystemExit) as caught:
        main(["tried", "x", "--from", "cnn_3", *arguments])
    assert caught.value.code == 2
    assert "--model and --epochs do not go with --from" in capsys.readouterr().err
    assert load_tried() == []


def test_what_is_not_said_is_open_and_without_a_note(folder):
    assert main(["tried", "x", "--val", "98", "--model", "cnn_2"]) == 0
    assert load_tried() == [Tried("x", "cnn_2", "", 0, 0.98, "open", "")]


def test_an_unknown_network_or_run_is_one_sentence(folder, capsys):
    assert main(["tried", "x", "--val", "98", "--model", "no such"]) == 1
    assert main(["tried", "x", "--from", "runs/hemanet_tiny.s9"]) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 2


def test_a_damaged_line_costs_no_other(folder, caplog):
    save_tried([Tried("good", "hemanet_nano", "", 60, 0.98, "yes")], folder)
    with open(folder / "tried.csv", "a", encoding="utf-8") as stream:
        stream.write("bad,hemanet_nano,,60,1.98,yes,\nworse,hemanet_nano,,60,0.98,perhaps,\nshort\n")
    assert [one.what for one in load_tried(folder)] == ["good"]
    assert caplog.text.count("left out") == 3


HEADER = "what,model,source,num_epochs,val_accuracy,kept,note\n"
LINE = "wider,hemanet_nano,,60,0.980000,no,costs time\n"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((HEADER + LINE).replace(",", ";").encode(), r"line 1 names other columns \(what;model;"),
        ((HEADER + LINE + LINE.replace("costs", "Größe")).encode("latin-1"), "line 3 is no UTF-8 text"),
        ((HEADER + LINE + LINE.replace("0.98", "98")).encode(), r"line 3 is no trial \(val_accuracy 98"),
        ((HEADER + LINE + "short\n" + LINE + "short\n").encode(), r"line 3 is no trial .* \(1 more like it\)"),
        ((HEADER + LINE.replace("costs", "slow, costs")).encode(), "line 2 is no trial"),
        ((HEADER.replace("note", "note,by") + LINE.replace("time", "time,me")).encode(), "line 1 names other columns"),
        ((HEADER + LINE).encode("utf-16"), "line 1 is no UTF-8 text"),
    ],
)
def test_a_table_that_cannot_be_read_whole_is_not_written_anew(folder, capsys, data, words):
    """As a spreadsheet may have saved it: with semicolons, in another encoding, with a column of its own."""
    folder.mkdir()
    (folder / "tried.csv").write_bytes(data)
    assert main(["tried", "longer", "--val", "98.4", "--model", "hemanet_nano"]) == 1
    said = capsys.readouterr().err
    assert re.search(words, said) and "nothing was stored" in said
    assert (folder / "tried.csv").read_bytes() == data


def test_a_table_of_a_spreadsheet_in_utf_8_is_read(folder):
    folder.mkdir()
    (folder / "tried.csv").write_bytes((HEADER + LINE).replace("\n", "\r\n").encode("utf-8-sig"))
    assert main(["tried", "longer", "--val", "98.4", "--model", "hemanet_nano"]) == 0
    assert [(one.what, one.note) for one in load_tried()] == [("wider", "costs time"), ("longer", "")]


def test_trials_noted_at_once_all_stay(folder):
    trials = [Tried(f"trial {number}", "hemanet_nano", "", 60, 0.98, "no") for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(add_tried, trials))
    assert sorted(load_tried(), key=trials.index) == trials


def test_reports_shows_the_trials_of_our_family_alone(folder):
    save_tried(
        [
            Tried("longer", "hemanet_nano", "", 60, 0.985, "yes", "pays"),
            Tried("wider", "hemanet_nano", "", 0, 0.984, "no"),
        ],
        folder,
    )
    write_artifact(folder, "hemanet_tiny")
    write_artifact(folder, "cnn_4")
    for name, is_shown in (("hemanet_tiny", True), ("cnn_4", False)):
        at = AppTest.from_file(str(APP), default_timeout=120)
        at.run()
        at.switch_page("pages/reports.py")
        at.query_params["reports_model"] = name
        at.run()
        assert not at.exception
        assert ("What was tried" in [header.value for header in at.header]) == is_shown
        tables = [one.value for one in at.dataframe if "tried" in one.value.columns]
        assert [table["outcome"].tolist() for table in tables] == ([["kept", "not kept"]] if is_shown else [])

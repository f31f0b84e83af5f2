"""The findings page: with everything trained, with little, with nothing, with something damaged."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from findings_shelf import ROWS, write_rows, write_trials
from made_crossval import made_train, make_crossval
from shelf import write_benchmark
from streamlit.testing.v1 import AppTest

from bloodcell.artifact.crossval import CROSSVAL_FILE, save_crossval
from bloodcell.dataset import load_split
from bloodcell.training.experiments import EXPERIMENTS, LADDER_NETWORKS

APP = Path(__file__).parents[2] / "app.py"
QUESTIONS = [
    "Can a lightweight network compete?",
    "Does attention help?",
    "What do depth and weight buy?",
    "Does augmentation hurt?",
    "What does each idea change, one at a time?",
    "Two rows side by side",
    "What does every good model get wrong?",
    "Is the accuracy on val or on test to be believed?",
    "Which labels look wrong?",
    "How much accuracy does a byte buy?",
]
STEPS = dict.fromkeys(LADDER_NETWORKS, 0.965) | {"no batch normalization": 0.90, "SE attention": 0.985}
ARMS = {"none": 0.955, "study_balanced": 0.92, "symmetries_shift": 0.985}


@pytest.fixture(scope="module")
def full_shelf(tmp_path_factory):
    """Rows of the catalog, the whole ladder and the whole augmentation study. Read only."""
    folder = tmp_path_factory.mktemp("findings") / "artifacts"
    write_rows(folder)
    write_trials(folder, EXPERIMENTS["ladder"].trials, STEPS)
    write_trials(folder, EXPERIMENTS["augmentation"].trials, ARMS)
    write_benchmark(folder, {name: 0.1 + place for place, name in enumerate(ROWS)})
    save_crossval(make_crossval(made_train(400), "hemanet_tiny", {6: 3, 14: 3}, {"num_epochs": 50}), folder)
    return folder


@pytest.fixture
def shelf(full_shelf, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(full_shelf))
    return full_shelf


def open_findings(**query):
    at = AppTest.from_file(str(APP), default_timeout=240).run()
    at.switch_page("pages/findings.py")
    for key, value in query.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    return at


def words(at):
    """Return everything that the page says, as one text."""
    kinds = (at.header, at.subheader, at.markdown, at.caption, at.info, at.warning, at.error, at.code)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def evidence(at, against):
    """Return the evidence in which every network is compared with the same one."""
    tables = [table.value for table in at.dataframe if "against" in table.value.columns]
    return next(table for table in tables if set(table["against"]) == {against})


def test_every_question_is_answered_from_a_full_shelf(shelf):
    at = open_findings()
    assert [header.value for header in at.header] == QUESTIONS
    text = words(at)
    assert "Not answered yet" not in text
    assert "**Yes" in text and "hemanet_tiny" in text
    summary = at.markdown[1].value
    assert summary.count("](#") == 9
    assert "**The study's augmentation hurts" in summary
    assert "**Flips and shifts help" in summary


def test_the_ladder_claims_what_three_seeds_carry_and_nothing_else(shelf):
    at = open_findings()
    table = evidence(at, "base").set_index("Network")
    assert list(table.index) == [label for label in LADDER_NETWORKS if label != "base"]
    assert set(table["Seeds"]) == {"3 / 3"}
    claims = table["Claim"].to_dict()
    assert claims.pop("no batch normalization") == "▼ worse"
    assert claims.pop("SE attention") == "▲ better"
    assert set(claims.values()) == {"○ no claim"}
    assert "Of 11 single changes 1 helps, 1 hurts and 9 show no difference that three seeds can show" in words(at)


def test_a_step_is_chosen_by_list_and_by_link_and_stays_in_the_url(shelf):
    at = open_findings(findings_step="SE attention")
    assert at.selectbox(key="findings_step").value == "SE attention"
    assert "The step “SE attention”" in [header.value for header in at.subheader]
    assert any("Attention" in set(table.value.get("What", ())) for table in at.dataframe)
    at.selectbox(key="findings_step").set_value("two blocks").run()
    assert not at.exception
    assert at.query_params["findings_step"] in ("two blocks", ["two blocks"])
    changed = next(table.value for table in at.dataframe if "net2_bn_dropout40" in table.value.columns)
    assert changed["What"].tolist() == ["Channels, block by block"]


def test_two_rows_list_everything_that_differs(shelf):
    at = open_findings(findings_a="vgg16", findings_b="vgg16_se")
    table = next(table.value for table in at.dataframe if set(table.value.columns) >= {"What", "vgg16", "vgg16_se"})
    assert table["What"].tolist() == ["Attention", "Blocks with attention"]
    at.selectbox(key="findings_b").set_value("vgg16").run()
    assert not at.exception
    assert "the same network" in words(at)
    at.selectbox(key="findings_b").set_value("resnet18").run()
    assert not at.exception
    assert "bloodcell train resnet18" in words(at)


def test_the_ceiling_is_counted_by_hand(shelf):
    at = open_findings()
    counts = next(table.value for table in at.dataframe if "Wrong with" in table.value.columns)
    missed = int(counts["Images"].iloc[0])
    assert f"**{missed} of 600 test images" in words(at)


def test_held_out_cells_and_labels_in_doubt_are_shown(shelf):
    at = open_findings()
    text = words(at)
    assert "**hemanet_tiny reads 99.50 % of 400 train cells right, each while it was held out**" in text
    assert "with 50 epochs in place of 80" in text
    assert "**2 of 400 train labels (0.50 %) are contradicted by networks that never learned them.**" in text
    assert "./dev python -m bloodcell measure crossval hemanet_tiny" in [code.value for code in at.code]
    table = next(table.value for table in at.dataframe if "Looks like" in table.value.columns)
    assert sorted(table["Train row"]) == [6, 14] and set(table["Label"]) == {"neutrophil"}


def test_the_first_twelve_cells_in_doubt_are_shown_with_the_dataset(full_shelf, small_dataset, tmp_path, monkeypatch):
    folder = tmp_path / "artifacts"
    shutil.copytree(full_shelf, folder)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    split = load_split("train")
    wrong = {row: (row + 1) % 8 for row in range(0, 80, 6)}
    (folder / CROSSVAL_FILE).unlink()
    one = make_crossval(split, "hemanet_tiny", wrong, dataset={"kind": "official", "md5": "0" * 32, "label": "made"})
    save_crossval(one, folder)
    at = open_findings()
    assert len(wrong) == 14 and "**14 of 96 train labels" in words(at)
    assert sum("train row" in one.value for one in at.markdown) == 12


def test_a_damaged_cross_validation_is_named_and_nothing_else_breaks(full_shelf, tmp_path, monkeypatch):
    folder = tmp_path / "artifacts"
    shutil.copytree(full_shelf, folder)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    data = (folder / CROSSVAL_FILE).read_bytes()
    (folder / CROSSVAL_FILE).write_bytes(data[: len(data) // 2])
    at = open_findings()
    assert [header.value for header in at.header] == QUESTIONS
    assert words(at).count("crossval.npz cannot be read") >= 2 and "test images" in words(at)


def test_a_cross_validation_of_another_dataset_is_left_out(full_shelf, tmp_path, monkeypatch):
    folder = tmp_path / "artifacts"
    shutil.copytree(full_shelf, folder)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    (folder / CROSSVAL_FILE).unlink()
    save_crossval(make_crossval(made_train(400, "b" * 32), "hemanet_tiny"), folder)
    assert words(open_findings()).count("no network is cross-validated here") >= 2


def test_one_seed_claims_nothing_small(tmp_path, monkeypatch):
    """Rows alone: a difference of 0.2 points between one training each is none that one seed can show."""
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path))
    write_rows(tmp_path, {"cnn_bn_dropout40": 0.968, "vgg16_dropout": 0.97})
    at = open_findings()
    assert evidence(at, "vgg16_dropout")["Claim"].tolist() == ["○ no claim"]
    text = words(at)
    assert "no difference that one seed can show" in text
    assert "35 of the 36 trainings of the ladder experiment" in text
    assert "./dev python -m bloodcell experiment ladder" in text
    assert "./dev python -m bloodcell experiment augmentation" in text
    assert text.count("Not answered yet") >= 6  # three questions, in the summary and in their place


def test_a_partly_trained_ladder_answers_from_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path))
    trials = [trial for trial in EXPERIMENTS["ladder"].trials if trial.seed == 0]
    write_trials(tmp_path, trials, {"base": 0.96, "two blocks": 0.90})
    at = open_findings(findings_step="three blocks")
    assert evidence(at, "base")["Network"].tolist() == ["two blocks"]
    text = words(at)
    assert "The one change tried so far hurts" in text
    assert "Not trained yet on the ladder: net3_bn_dropout40" in text


def test_nothing_is_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "nothing"))
    at = open_findings()
    assert [header.value for header in at.header] == QUESTIONS
    text = words(at)
    assert "No trained model here yet" in text
    assert text.count("Not answered yet") == 2 * 9
    assert "DenseNet-121" in str([table.value for table in at.dataframe])


def test_a_damaged_run_is_named_and_the_rest_is_answered(full_shelf, tmp_path, monkeypatch):
    import shutil

    folder = tmp_path / "artifacts"
    shutil.copytree(full_shelf, folder)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    (folder / "runs/net2_bn_dropout40.study-seed1/history.csv").write_text("epoch\n")
    at = open_findings()
    assert any("net2_bn_dropout40.study-seed1" in warning.value for warning in at.warning)
    assert evidence(at, "base").set_index("Network")["Seeds"]["two blocks"] == "2 / 3"


def test_trainings_on_another_dataset_are_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path))
    write_rows(tmp_path, {"cnn_4": 0.92, "cnn_bn": 0.95, "vgg16": 0.96})
    other = {"kind": "official", "md5": "f" * 32, "label": "another file", "num_images": {}}
    write_rows(tmp_path, {"cnn_se": 0.99}, dataset=other)
    at = open_findings()
    assert "Left out, because measured on another file of the dataset: cnn_se" in words(at)
    assert "cnn_se" not in evidence(at, "vgg16")["Network"].tolist()
    assert "**cnn_se** was trained on another file of the dataset" in words(at)
    assert not [code.value for code in at.code if "cnn_se" in code.value]


def test_numbers_change_when_an_artifact_does(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path))
    write_rows(tmp_path, {"cnn_4": 0.92, "vgg16": 0.96})
    before = evidence(open_findings(), "vgg16")["Points"].iloc[0]
    write_rows(tmp_path, {"cnn_4": 0.95})
    after = evidence(open_findings(), "vgg16")["Points"].iloc[0]
    assert after == pytest.approx(before + 3.0)


def test_no_framework_is_needed(shelf):
    script = (
        "import sys, json; from streamlit.testing.v1 import AppTest\n"
        f"at = AppTest.from_file({str(APP)!r}, default_timeout=240).run()\n"
        "at.switch_page('pages/findings.py').run(); assert not at.exception, at.exception\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules} & {'tensorflow', 'keras', 'jax'})))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=APP.parent, timeout=400)
    assert json.loads(found.stdout.strip().splitlines()[-1]) == [], found.stderr[-2000:]

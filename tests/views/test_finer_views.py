"""Finer types on pages: a section of Reports, an opinion beside an answer, and nothing where there is none."""

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bloodcell.cases import ModelAnswer
from bloodcell.evaluation import FinerEvaluation
from bloodcell.inference.classifier import AskedCell, answer_cells
from bloodcell.inference.engine import Outputs
from bloodcell.inference.finer import form_finer_opinions
from bloodcell.inference.specimens import find_specimen
from bloodcell.views import tables_finer as tables
from tests.finer import write_finer_artifact
from tests.shelf import write_artifact

APP = Path(__file__).parents[2] / "app.py"


class FinerEngine:
    """Answers as a network would: one neutrophil, probably a band; one platelet."""

    gives_subtypes = True

    def compute_outputs(self, inputs: np.ndarray) -> Outputs:
        logits = np.full((len(inputs), 8), -5, np.float32)
        logits[0, 6], logits[1:, 7] = 2, 2
        subtype_logits = np.tile(np.array([0, 0, 0, 1.5, 0], np.float32), (len(inputs), 1))
        return Outputs(logits, None, subtype_logits)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "artifacts"
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(path))
    return path


def test_an_opinion_divides_its_class_and_no_other(folder):
    artifact = write_finer_artifact(folder)
    neutrophil, platelet = form_finer_opinions(artifact, FinerEngine(), np.zeros((2, 64, 64, 3), np.uint8))
    assert platelet is None
    assert neutrophil.name == "band neutrophil" and neutrophil.class_name == "neutrophil"
    assert neutrophil.shares["band neutrophil"] == pytest.approx(1 / (1 + np.exp(-1.5)), abs=1e-5)
    assert sum(neutrophil.probabilities.values()) == pytest.approx(neutrophil.class_probability)
    finer = FinerEvaluation.from_dict(artifact.load_evaluation("test")["finer"])
    sentence = tables.describe_opinion(neutrophil, finer)
    assert "**band neutrophil**, 81.8 % within the class" in sentence and "right in" in sentence


def test_a_network_without_finer_types_has_no_opinion(folder):
    engine = FinerEngine()
    engine.gives_subtypes = False
    images = np.zeros((2, 64, 64, 3), np.uint8)
    assert form_finer_opinions(write_artifact(folder, "cnn_4"), engine, images) == [None, None]


def test_reports_shows_the_section_where_there_is_one(folder):
    artifact = write_finer_artifact(folder)
    write_artifact(folder, "cnn_4")
    at = AppTest.from_file(str(APP), default_timeout=120)
    at.run()
    at.switch_page("pages/reports.py")
    at.query_params["reports_model"] = artifact.name
    at.run()
    assert not at.exception
    finer = artifact.load_evaluation("test")["finer"]
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["Macro F1, eleven types"].startswith(f"{100 * finer['overall']['macro_f1']:.1f} %")
    text = "\n".join(element.value for element in (*at.markdown, *at.caption))
    assert "Our own labels beyond BloodMNIST" in text and "Abou Ali" in text
    within = finer["within"][1]
    assert f"{sum(map(sum, within['confusion_matrix']))} images of class neutrophil" in text
    at.query_params["reports_model"] = "cnn_4"
    at.run()
    assert "Eleven finer types" not in [header.value for header in at.header]


def test_the_opinion_is_shown_below_an_answer(folder):
    artifact = write_finer_artifact(folder)

    def page(name: str) -> None:
        from bloodcell.inference.finer import FinerOpinion
        from bloodcell.views.components_finer import show_finer_opinion

        shares = {"band neutrophil": 0.8, "segmented neutrophil": 0.2}
        show_finer_opinion(FinerOpinion("neutrophil", 0.9, shares), name, "test")

    at = AppTest.from_function(page, args=(artifact.name,), default_timeout=60).run()
    assert not at.exception
    assert "**band neutrophil**" in at.markdown[0].value
    assert at.dataframe[0].value["probability"].tolist() == pytest.approx([0.72, 0.18])
    at = AppTest.from_function(page, args=("no such model",), default_timeout=60).run()
    assert not at.exception and not at.markdown


def test_an_answer_carries_the_finer_opinion_and_a_case_keeps_it(folder):
    """The classifier names the finer type of the class that it answers, and the record of a cell has it."""
    artifact = write_finer_artifact(folder)
    engine = FinerEngine()
    engine.compute_logits = lambda inputs: engine.compute_outputs(inputs).logits
    frames = find_specimen(np.full((64, 64, 3), 200, np.uint8), "crop").frames * 2
    first, second = answer_cells([AskedCell("a.png", frame) for frame in frames], artifact, engine)
    assert first.label == "neutrophil" and first.to_dict()["finer_label"] == "band neutrophil"
    assert sum(first.to_dict()["finer_probabilities"].values()) == pytest.approx(first.probability)
    assert second.label == "platelet" and "finer_label" not in second.to_dict()
    assert ModelAnswer.from_answer(first, artifact.fingerprint).finer_label == "band neutrophil"

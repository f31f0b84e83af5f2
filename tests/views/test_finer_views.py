"""Finer types on pages: a section of Reports, an opinion beside an answer, and nothing where there is none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bloodcell.artifact import Predictions, publish_artifact
from bloodcell.cases import ModelAnswer
from bloodcell.evaluation import FinerEvaluation
from bloodcell.inference.classifier import AskedCell, answer_cells
from bloodcell.inference.engine import Outputs
from bloodcell.inference.finer import form_finer_opinions
from bloodcell.inference.specimens import find_specimen
from bloodcell.pipeline import describe_predictions
from bloodcell.views import cache_finer
from bloodcell.views import tables_finer as tables
from tests.finer import make_finer_predictions, write_finer_artifact
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


def show_page(label: str, name: str) -> None:
    import numpy as np

    from bloodcell.inference.classifier import Answer
    from bloodcell.views.components_finer import show_finer_answer

    answer = Answer("a.png", "ok", label, 0.9, {label: 0.9}, (label,), name, ())
    show_finer_answer(answer, np.zeros((64, 64, 3), np.uint8), "test")


def test_another_models_opinion_stands_below_the_answer_of_one_that_has_none(folder, monkeypatch):
    write_artifact(folder, "cnn_4")
    text = "\n".join(one.value for one in AppTest.from_function(show_page, args=("neutrophil", "cnn_4")).run().markdown)
    assert "Finer opinion" not in text, "no model here tells finer types apart"
    artifact = write_finer_artifact(folder)
    monkeypatch.setattr("bloodcell.views.cache.load_engine", lambda name: FinerEngine())
    monkeypatch.setattr("bloodcell.views.cache_finer.find_litert", lambda one: Path("form"))
    at = AppTest.from_function(show_page, args=("neutrophil", "cnn_4"), default_timeout=60).run()
    assert not at.exception
    assert f"**Finer opinion** of {artifact.name}. If it is a cell of class neutrophil: **band" in at.markdown[0].value
    assert at.dataframe[0].value["probability"].sum() == pytest.approx(0.9), "divides what the answer says"
    at = AppTest.from_function(show_page, args=("immature granulocyte", "cnn_4"), default_timeout=60).run()
    assert "sees class neutrophil here" in at.caption[0].value and not at.dataframe
    at = AppTest.from_function(show_page, args=("platelet", "cnn_4"), default_timeout=60).run()
    assert not at.caption and not at.markdown


def test_what_finer_types_do_to_the_eight_classes_is_told_beside_the_twin(folder):
    predictions = [make_finer_predictions(split) for split in ("val", "test")]
    own = write_finer_artifact(folder)
    plain = [Predictions(one.split, one.y_true, one.logits, one.image_hashes) for one in predictions]
    shift = np.roll(plain[0].logits[:9], 1, axis=1)
    worse = Predictions("val", plain[0].y_true, np.concatenate([shift, plain[0].logits[9:]]), plain[0].image_hashes)
    publish_artifact(
        replace(own.manifest, model="hemanet_nano.eleven"),
        weights=b"no weights",
        history=own.load_history(),
        predictions=predictions,
        evaluations={one.split: describe_predictions(one, 1.0) for one in predictions},
        directory=folder,
    )
    write_artifact(folder, "hemanet_nano", predictions=[worse, plain[1]])
    effect = cache_finer.compare_heads(own.name, "val")
    right = [int((one.logits.argmax(axis=1) == one.y_true).sum()) for one in (predictions[0], worse)]
    assert f"on val: {right[0]} of 400 images right, and {right[1]} with hemanet_nano" in tables.describe_effect(effect)
    write_artifact(folder, "hemanet_nano", predictions=plain, seed=1)
    assert cache_finer.compare_heads(own.name, "val") is None, "another seed is no twin"
    assert cache_finer.compare_heads("hemanet_nano", "val") is None
    row = write_artifact(folder.parent / "scratch", "hemanet_nano", predictions=[worse, plain[1]])
    publish_artifact(
        replace(row.manifest, name="hemanet_nano.short", kind="run", files={}),
        weights=None,
        history=row.load_history(),
        predictions=[worse, plain[1]],
        evaluations={split: row.load_evaluation(split) for split in ("val", "test")},
        directory=folder,
    )
    assert cache_finer.compare_heads(own.name, "val").b == "hemanet_nano.short", "where the row was trained otherwise"


def test_the_anchor_stands_beside_accuracy_mean_over_types_and_macro_f1_of_the_split(folder):
    finer = FinerEvaluation.from_dict(write_finer_artifact(folder).load_evaluation("val")["finer"])
    text = tables.describe_anchor(finer, "val")
    assert "here on val" in text and f"mean over the types {100 * finer.mean_recall:.1f} %" in text
    low, high = finer.overall.accuracy_interval
    assert f"(95 %: {100 * low:.1f} to {100 * high:.1f} %)" in text

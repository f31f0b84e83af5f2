"""A live training in numbers, words and curves."""

import numpy as np
import pandas as pd
import pytest
from live_runs import write_run

from bloodcell.training import live
from bloodcell.training.live import PREPARING, write_state
from bloodcell.training.live_log import LiveProgress, read_log
from bloodcell.training.live_request import LiveRequest, full_recipe, quick_lesson
from bloodcell.training.recipes import recipe_for
from bloodcell.views import figures_training, tables_training


@pytest.fixture(autouse=True)
def no_worker(monkeypatch):
    monkeypatch.setattr(live, "ensure_worker", lambda: None)


def test_curves_have_a_colour_per_run_and_a_line_per_kind():
    runs = [write_run("done", LiveRequest("cnn_3", seed=seed)) for seed in range(2)]
    curves = {tables_training.run_label(run): read_log(run.folder) for run in runs}
    figure = figures_training.curves_figure(curves, "accuracy", "position", "light")
    assert len(figure.data) == 6 and [trace.showlegend for trace in figure.data] == [False, True, False] * 2
    assert figure.data[1].line.color != figure.data[4].line.color
    assert list(figure.data[2].y) == [60.0, 60.0] and list(figure.data[2].x) == [1.0, 2.0]
    seconds = figures_training.curves_figure(curves, "loss", "seconds", "dark")
    assert list(seconds.data[0].x) == [2.0 * step for step in range(1, 11)]
    table = tables_training.curves_table(curves, "accuracy")
    assert len(table) == 2 * (10 + 10 + 2) and table["Accuracy, %"].max() <= 100


def test_a_long_training_draws_as_few_points_as_a_short_one():
    points = pd.DataFrame({"what": "training", "position": np.arange(10_000) / 100, "loss": np.arange(10_000.0)})
    thin = figures_training.thin_out(points)
    assert len(thin) == figures_training.MOST_POINTS
    assert thin["loss"].mean() == pytest.approx(points["loss"].mean(), rel=1e-3)
    assert thin["position"].is_monotonic_increasing


def test_how_far_it_is_in_words():
    run = write_run("running", LiveRequest("cnn_3", num_epochs=4))
    progress = read_log(run.folder)
    say = tables_training.describe_progress
    assert say(run, progress) == "epoch 3 of 4, step 2 of 4, about 12 s left"
    (run.folder / "control").write_text("finish")
    assert say(run, progress) == "epoch 3 of 4, step 2 of 4, ends after this epoch, about 4 s left"
    (run.folder / "control").unlink()
    assert say(write_state(run, state="paused", phase="Paused"), progress) == "Paused: epoch 3 of 4, step 2 of 4"
    assert say(write_state(run, state="done", phase=""), progress) == "2 of 4 epochs"
    assert say(write_state(run, phase=PREPARING), progress) == PREPARING
    assert write_state(run, phase=PREPARING).is_storing and not run.is_storing
    assert say(write_state(run, state="queued"), LiveProgress()) == "waits for its turn"
    assert tables_training.fraction_done(run, progress) == 2.5 / 4


def test_samples_have_the_latest_answer():
    samples = tables_training.list_samples(read_log(write_run().folder))
    assert len(samples) == 16 and [one.right for one in samples] == [False] * 2 + [True] * 14
    assert samples[0].probability == 0.93 and tables_training.list_samples(LiveProgress()) == []
    assert np.isnan(tables_training.latest_accuracy(LiveProgress()))


@pytest.mark.parametrize("name", ["net3_bn", "cnn_3", "vgg16", "resnet18", "hemanet_tiny"])
def test_presets_can_be_trained_and_keep_what_suits_the_network(name):
    base = recipe_for(name)[1]
    for request in (quick_lesson(name), full_recipe(name)):
        request.check()
        assert request.optimizer == base.optimizer
    assert full_recipe(name).learning_rate == base.learning_rate and full_recipe(name).share == 1.0
    assert quick_lesson(name).share == 0.1 and quick_lesson(name).num_epochs <= 5

"""The Train page: ask, queue, watch, pause, compare, delete; the same for every viewer, and only for those who may."""

from pathlib import Path

import pytest
from live_runs import write_run
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from bloodcell.dataset import load_split
from bloodcell.files import own_models_directory
from bloodcell.locks import try_lock
from bloodcell.training import live
from bloodcell.training.live import claim_next, find_run, list_runs, write_state
from bloodcell.training.live_request import LiveRequest
from bloodcell.views import cache_training, components_training
from tests.shelf import write_artifact, write_shelf

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture(autouse=True)
def prepared(tmp_path, monkeypatch, small_dataset):
    """A shelf, a dataset, no worker, and nothing kept from the last test."""
    folder = tmp_path / "artifacts"
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    write_shelf(folder)
    started = []
    monkeypatch.setattr(live, "ensure_worker", lambda: started.append(True))
    monkeypatch.setattr(components_training, "viewer_address", lambda: None)
    monkeypatch.setattr(ContextProxy, "headers", {"Host": "localhost:8501"})
    cache_training.forget_runs()
    return started


def open_train(**query):
    at = AppTest.from_file(str(APP), default_timeout=120)
    at.run()
    at.switch_page("pages/train.py")
    for key, value in query.items():
        at.query_params[key] = value
    return at.run()


def again(at):
    cache_training.forget_runs()
    return at.run()


def words(at):
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error, at.header, at.title)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def labels(at):
    return [button.label for button in at.button]


def click(at, key):
    return at.button(key=key).click().run()


# asking


def test_a_quick_lesson_is_one_click_away_and_a_second_viewer_sees_it(prepared):
    at, other = open_train(), open_train()
    assert not at.exception
    assert "Nothing has been trained here yet" in words(at)
    click(at, "train_start")
    assert not at.exception and prepared
    (run,) = list_runs()
    assert run.request == LiveRequest("net3_bn", 4, 32, 2e-3, "adam", "none", 0.1, 0)
    assert "1 · net3_bn" in words(at) and "1 waiting" in words(at)
    assert "1" in at.query_params["train_runs"]
    assert "1 · net3_bn" in words(again(other)) and not other.exception
    click(other, "train_row_1_stop")
    assert find_run(1).state == "stopped"
    assert "Taken out of the queue" in words(again(at))


def test_everything_that_is_asked_for_can_come_from_the_address():
    at = open_train(
        train_model="net3_bn_se", train_epochs="10", train_rate="0.0005", train_batch="64", train_optimizer="adamw",
        train_augmentation="symmetries_shift", train_share="0.5", train_seed="7",
    )  # fmt: skip
    assert not at.exception
    click(at, "train_start")
    assert list_runs()[0].request == LiveRequest("net3_bn_se", 10, 64, 5e-4, "adamw", "symmetries_shift", 0.5, 7)


def test_a_name_that_no_network_has_falls_back_to_the_lesson():
    at = open_train(train_model="net9_bn", train_epochs="0", train_rate="many")
    assert not at.exception
    click(at, "train_start")
    assert list_runs()[0].request.model == "net3_bn" and list_runs()[0].request.num_epochs == 4


def test_a_second_link_in_one_session_brings_all_that_it_names():
    """The lesson's race: another network, all else the same, though the address held the same rate before."""
    race = {"train_rate": "0.0005", "train_optimizer": "adamw"}
    at = open_train(train_model="net3", **race)
    for model in ("net3_bn", "resnet18"):
        at.query_params["train_model"] = model
        at.run()
        assert at.selectbox(key="train_model").value == model
        assert (at.selectbox(key="train_optimizer").value, at.selectbox(key="train_rate").value) == ("adamw", "0.0005")
    at.selectbox(key="train_model").set_value("vgg16").run()
    assert at.selectbox(key="train_rate").value != "0.0005", "by hand, a network brings its own rate"


def test_another_network_brings_its_own_rate_and_the_full_recipe_is_one_click_away():
    at = open_train()
    at.selectbox(key="train_model").set_value("resnet18").run()
    assert (at.selectbox(key="train_optimizer").value, at.selectbox(key="train_rate").value) == ("sgd", "0.05")
    click(at, "train_full")
    assert at.selectbox(key="train_share").value == "1"
    assert at.selectbox(key="train_epochs").value == "20" and "20" in at.query_params["train_epochs"]
    click(at, "train_quick")
    assert at.selectbox(key="train_share").value == "0.1"
    assert not at.exception


def test_without_the_dataset_nothing_can_be_started_and_the_download_is_offered(monkeypatch):
    monkeypatch.delenv("BLOODCELL_DATA")
    at = open_train()
    assert not at.exception
    assert at.button(key="train_start").disabled
    assert any("Download BloodMNIST" in label for label in labels(at))


# watching


def test_a_running_training_shows_curves_matrix_and_answers(small_dataset):
    split = load_split("val")
    with try_lock(live.worker_lock_path()):
        write_run("running", LiveRequest("cnn_3", num_epochs=4), labels=split.labels, md5=split.identity.md5)
        at = open_train()
        assert not at.exception
        assert "epoch 3 of 4, step 2 of 4, about 12 s left" in words(at) and "**60.0 %** on val" in words(at)
        assert len(at.get("plotly_chart")) == 3
        assert len(at.get("image")) == 16
        tables = [frame.value for frame in at.dataframe]
        assert [set(table["On"]) for table in tables[:2]] == [{"training", "val cells", "all of val"}] * 2
        assert tables[2].iloc[0].tolist()[:3] == ["basophil", 0, 5]  # true class, itself, answered as the next
        captions = words(at)
        assert captions.count(":green[✓]") == 14 and captions.count(":red[✗]") == 2
        assert {"Pause", "Finish", "Stop"} <= set(labels(at))
        live.ask(1, "finish")
        again(at)
        assert "ends after this epoch" in words(at) and not {"Pause", "Finish"} & set(labels(at))
        live.resume(1)
        again(at)
        click(at, "train_card_1_pause")
        assert find_run(1).wish == "pause"
        write_state(find_run(1), state="paused", phase="Paused")
        again(at)
        assert "Paused: epoch 3 of 4" in words(at)
        click(at, "train_card_1_play_arrow")
        assert find_run(1).wish == "run"


def test_two_runs_stand_on_one_chart_and_in_the_address():
    for seed in range(3):
        write_run("done", LiveRequest("cnn_3", seed=seed), model=f"cnn_3.own{seed + 1}")
    at = open_train(train_runs=["1", "3"])
    assert at.multiselect(key="train_runs").value == ["3", "1"]
    assert set(at.dataframe[0].value["Run"]) == {"1 · cnn_3", "3 · cnn_3"}
    at.segmented_control(key="train_axis").set_value("seconds").run()
    assert not at.exception and "seconds" in at.query_params["train_axis"]


def test_a_new_run_stands_beside_the_one_that_was_shown():
    write_run("done", model="cnn_3.own1")
    at = open_train()
    click(at, "train_start")
    assert not at.exception
    assert sorted(at.multiselect(key="train_runs").value) == ["1", "2"]


def test_a_run_that_died_says_why_and_what_can_be_done():
    run = write_run("failed", reason="The machine ran out of memory.")
    (run.folder / "cnn_3.npz").write_bytes(b"")
    at = open_train()
    assert "ran out of memory" in words(at)
    click(at, "train_row_1_save")
    assert find_run(1).keep and find_run(1).state == "queued"


def test_a_run_whose_process_is_gone_is_shown_as_dead():
    with try_lock(live.worker_lock_path()):
        write_run("running")
    at = open_train()
    assert not at.exception and "ended without a word" in words(at)


def test_what_was_shown_stays_readable_without_the_dataset(monkeypatch):
    write_run("done", model="cnn_3.own1")
    monkeypatch.delenv("BLOODCELL_DATA")
    at = open_train()
    assert not at.exception
    assert len(at.get("image")) == 0 and words(at).count(":green[✓]") == 14


# after the training


def test_a_finished_model_is_reported_and_deleted_with_its_run():
    run = write_run("done", model="cnn_3.own1")
    artifact = write_artifact(own_models_directory(), "cnn_3.own1")
    at = open_train()
    assert "**cnn_3.own1**" in words(at) and "on test" in words(at)
    click(at, "train_deleted_run_1")
    assert not at.exception
    assert not run.folder.exists() and not artifact.directory.exists()
    assert "cnn_3.own1" not in words(at)


def test_models_without_a_run_and_damaged_ones_can_be_deleted_too():
    write_artifact(own_models_directory(), "cnn_4.mine")
    (own_models_directory() / "cnn_3.own9").mkdir()
    (own_models_directory() / "cnn_3.own9" / "history.csv").write_text("")
    at = open_train()
    assert not at.exception and "cnn_4.mine" in words(at)
    click(at, "train_deleted_model_cnn_4.mine")
    click(at, "train_deleted_model_cnn_3.own9")
    assert list(own_models_directory().iterdir()) == [] and not at.exception


def test_earlier_runs_are_paged():
    for _ in range(10):
        write_run("done", epochs=0, model="gone")
    at = open_train()
    assert "10 · cnn_3" in words(at) and "**2 · cnn_3**" not in words(at)


# who may


@pytest.mark.parametrize(("rule", "reason"), [("off", "switched trainings off"), ("local", "from another machine")])
def test_who_may_not_train_can_watch(monkeypatch, rule, reason):
    monkeypatch.setenv("BLOODCELL_TRAINING", rule)
    monkeypatch.setattr(components_training, "viewer_address", lambda: "192.168.1.20")
    write_run("stopped", reason="Stopped by a viewer.")
    at = open_train()
    assert not at.exception
    assert at.button(key="train_start").disabled and reason in words(at)
    assert not {"Resume", "Delete the run and its model for good"} & set(labels(at))
    assert len(at.get("plotly_chart")) == 3


def test_a_right_that_was_taken_back_is_refused_at_the_click(monkeypatch):
    at = open_train()
    monkeypatch.setenv("BLOODCELL_TRAINING", "off")
    click(at, "train_start")
    assert list_runs() == [] and "switched trainings off" in at.error[0].value


def test_an_error_is_a_sentence_until_the_next_action(monkeypatch):
    monkeypatch.setattr(live, "MOST_QUEUED", 0)
    at = open_train()
    click(at, "train_start")
    assert "wait already" in at.error[0].value and not at.exception
    assert at.run().error  # it stays until the next action, however often a clock draws the page
    monkeypatch.setattr(live, "MOST_QUEUED", 1)
    click(at, "train_start")
    assert not at.error and len(list_runs()) == 1


def test_claiming_shows_at_once():
    live.enqueue(LiveRequest("cnn_3"))
    at = open_train()
    with try_lock(live.worker_lock_path()):
        claim_next()
        assert "Starting" in words(again(at))

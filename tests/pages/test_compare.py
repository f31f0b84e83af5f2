"""Compare: limits, axes, F1, times of this machine, and what is missing."""

import json
from pathlib import Path

import pytest
from shelf import SHELF, write_benchmark, write_shelf
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from bloodcell.errors import EngineError
from bloodcell.inference import benchmark
from bloodcell.views import cache, components_training
from bloodcell.views.background import find_job, forget_job

APP = Path(__file__).parents[2] / "app.py"
JOB = "measurement"


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    folder = tmp_path / "artifacts"
    write_shelf(folder)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    return folder


@pytest.fixture(autouse=True)
def viewer_is_local(monkeypatch):
    monkeypatch.setattr(components_training, "viewer_address", lambda: None)
    monkeypatch.setattr(ContextProxy, "headers", {"Host": "localhost:8501"})


@pytest.fixture(autouse=True)
def no_job_is_left():
    yield
    job = find_job(JOB)
    if job is not None:
        assert job.wait(10)
        forget_job(JOB)


def open_compare(**query: str) -> AppTest:
    page = AppTest.from_file(str(APP), default_timeout=120)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    page.switch_page("pages/compare.py").run()
    assert not page.exception
    return page


def numbers(page: AppTest):
    """The full table: the last of the page."""
    return page.dataframe[len(page.dataframe) - 1].value


def trained(page: AppTest):
    """The rows of the full table that have a measured accuracy; the study's others stand below them."""
    return numbers(page).dropna(subset=["measured"])


def said(page: AppTest) -> str:
    kinds = (page.title, page.header, page.markdown, page.caption, page.info, page.warning, page.error)
    return "\n".join(element.value for kind in kinds for element in kind)


def test_page_is_whole(shelf):
    page = open_compare()
    assert page.title[0].value == "Compare"
    assert trained(page)["name"].tolist() == numbers(page)["name"].tolist()[: len(SHELF)]
    assert set(trained(page)["name"]) == set(SHELF)
    assert len(numbers(page)) == 19 and numbers(page)["published"].notna().all()
    assert "Not trained here, so without a measured number: vgg16_reduced" in said(page)
    assert [header.value for header in page.header] == ["F1 by class", "All numbers", "Times on this machine"]


def test_limits_leave_out_what_does_not_meet_them(shelf):
    page = open_compare()
    page.select_slider(key="compare_accuracy").set_value("95").run()
    assert (trained(page)["measured"] >= 95).all()
    assert numbers(page).set_index("name").drop(trained(page)["name"])["published"].min() >= 95
    page.select_slider(key="compare_size").set_value("2").run()
    assert numbers(page)["name"].tolist() == ["cnn_se"]
    assert not page.exception


def test_limits_that_nothing_meets_are_said(shelf):
    page = open_compare()
    page.select_slider(key="compare_accuracy").set_value("99").run()
    assert "No model meets these limits" in said(page)
    assert not page.exception


def test_a_limit_on_time_keeps_the_fast_ones(shelf):
    page = open_compare()
    page.select_slider(key="compare_time").set_value("0.1").run()
    assert (numbers(page)["latency_ms"] <= 0.1).all()
    assert len(numbers(page)) == 2


def test_a_rank_is_that_among_all_models(shelf):
    page = open_compare()
    ranks = trained(page).set_index("name")["rank"]
    page.select_slider(key="compare_size").set_value("2").run()
    left = trained(page).set_index("name")["rank"]
    assert 0 < len(left) < len(ranks) and (left == ranks[left.index]).all() and left.min() > 1


def test_models_without_a_time_are_named(shelf):
    record = json.loads((shelf / "benchmark.json").read_text())
    record["rows"] = [row for row in record["rows"] if row["name"] != "cnn_se"]
    (shelf / "benchmark.json").write_text(json.dumps(record))
    page = open_compare()
    assert "Not on the time axis, because trained since the times were measured" in said(page)
    assert said(page).split("Not on the time axis", 1)[1].split("\n")[0].endswith(": cnn_se.")


def test_published_times_are_drawn_without_measured_ones(shelf):
    """Their twin table holds no measured cost under that axis."""
    page = open_compare()
    page.selectbox(key="compare_time_axis").set_value("published").run()
    assert not page.exception
    twin = page.dataframe[0].value
    published = twin[twin["Axis"].str.contains("Published")]
    assert len(published) == 8  # trained or not
    assert published["Cost"].isna().all()
    assert published["Published cost"].notna().all()


def test_f1_has_a_row_per_model_that_is_on(shelf):
    page = open_compare(models="cnn_4")
    assert page.dataframe[1].value["Model"].tolist() == ["cnn_4"]
    page.multiselect(key="models").set_value([]).run()
    assert "No model that is on meets the limits" in said(page)


def test_without_times_there_is_no_time_axis(shelf):
    (shelf / "benchmark.json").unlink()
    page = open_compare()
    assert "time axis is empty" in said(page)
    assert not [slider for slider in page.select_slider if slider.key == "compare_time"]


def test_without_artifacts_the_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "nothing"))
    page = open_compare()
    assert "No trained model here yet" in said(page)
    assert "bloodcell train" in page.code[0].value


def test_own_times_are_shown_as_this_machines(shelf):
    write_benchmark(cache.own_benchmark_directory(), dict.fromkeys(SHELF, 3.0), processor="my own")
    page = open_compare()
    assert numbers(page).set_index("name").loc["vgg16_dropout", "latency_ms"] == 2.0, "the record, until one chooses"
    assert "a processor, 2 cores" in said(page)
    page.segmented_control(key="compare_machine").set_value("here").run()
    assert (trained(page)["latency_ms"] == 3.0).all()
    assert "my own" in said(page)


def test_what_is_chosen_is_in_the_address_and_the_address_sets_it(shelf):
    write_benchmark(cache.own_benchmark_directory(), dict(zip(SHELF, (0.06, 0.3, 0.7, 3.0, 4.0), strict=True)))
    page = open_compare()
    values = {"compare_accuracy": "90", "compare_size": "20", "compare_time": "1", "compare_time_axis": "batch"}
    values["compare_machine"] = "here"
    assert not set(values) & set(page.query_params), "what nobody chose is left out"
    page.segmented_control(key="compare_machine").set_value("here").run()
    page.selectbox(key="compare_time_axis").set_value("batch").run()
    for key in ("compare_accuracy", "compare_size", "compare_time"):
        page.select_slider(key=key).set_value(values[key]).run()
    assert {key: page.query_params[key] for key in values} == values
    other = AppTest.from_file(str(APP), default_timeout=120).run()
    other.switch_page("pages/compare.py")
    for key, value in values.items():
        other.query_params[key] = value
    other.run()
    assert not other.exception
    assert {key: other.session_state[key] for key in values} == values
    assert numbers(other)["name"].tolist() == numbers(page)["name"].tolist() != []


def test_measuring_stores_into_the_cache_only(shelf, monkeypatch):
    record = (shelf / "benchmark.json").read_bytes()
    fresh = benchmark.load_benchmark(shelf).record

    def measure(artifacts, *, engines, effort, on_progress):
        assert {artifact.name for artifact in artifacts} == set(SHELF)
        on_progress(1, 2, "Half.")
        return fresh | {"machine": fresh["machine"] | {"processor": "measured now"}}

    monkeypatch.setattr(benchmark, "run_benchmark", measure)
    page = open_compare()
    page.button(key="compare_measure").click().run()
    assert find_job(JOB).wait(10)
    page.run()
    assert "measured now" in said(page)
    assert page.segmented_control(key="compare_machine").value == "here", "who measures sees it at once"
    assert (shelf / "benchmark.json").read_bytes() == record


def test_a_failed_measurement_is_one_sentence(shelf, monkeypatch):
    def fail(artifacts, **options):
        raise EngineError("The form of cnn_4 cannot be built.")

    monkeypatch.setattr(benchmark, "run_benchmark", fail)
    page = open_compare()
    page.button(key="compare_measure").click().run()
    assert find_job(JOB).wait(10)
    page.run()
    assert [error.value for error in page.error] == ["The form of cnn_4 cannot be built."]
    assert not page.exception


def test_who_may_not_train_may_neither_measure_nor_forget(shelf, monkeypatch):
    write_benchmark(cache.own_benchmark_directory(), dict.fromkeys(SHELF, 3.0))
    page = open_compare()
    assert not page.button(key="compare_measure").disabled
    monkeypatch.setenv("BLOODCELL_TRAINING", "off")
    page.button(key="compare_measure").click().run()
    assert find_job(JOB) is None, "the right was taken back before the click"
    assert page.button(key="compare_measure").disabled and "switched trainings off" in said(page)
    assert "compare_forget" not in [button.key for button in page.button]


def test_times_of_this_machine_are_forgotten(shelf):
    write_benchmark(cache.own_benchmark_directory(), dict.fromkeys(SHELF, 3.0))
    page = open_compare(compare_machine="here")
    page.button(key="compare_forget").click().run()
    assert not page.exception and cache.load_own_benchmark() is None
    assert numbers(page).set_index("name").loc["vgg16_dropout", "latency_ms"] == 2.0
    assert not page.segmented_control
    assert "compare_forget" not in [button.key for button in page.button]


def test_times_that_cannot_be_deleted_are_a_sentence(shelf, monkeypatch):
    write_benchmark(cache.own_benchmark_directory(), dict.fromkeys(SHELF, 3.0))

    def refuse(path, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    page = open_compare()
    page.button(key="compare_forget").click().run()
    assert "cannot be deleted: Permission denied" in page.error[0].value and not page.exception

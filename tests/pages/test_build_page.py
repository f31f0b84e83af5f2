"""Build: switches and address, costs, results where trained, the offer to train where not, images with and without."""

from pathlib import Path

import numpy as np
import pytest
from made_runs import NUM_IMAGES, write_runs
from shelf import make_predictions, write_artifact, write_shelf
from streamlit.testing.v1 import AppTest

from bloodcell.files import own_models_directory
from bloodcell.models.combinations import BASE
from bloodcell.models.graphs import load_combination_graphs

APP = Path(__file__).parents[2] / "app.py"
ATTENTION = "net4_bn_dropout40_se"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    folder = tmp_path / "artifacts"
    write_runs(folder, "cnn_bn_dropout40", (20, 22, 24))
    write_runs(folder, ATTENTION, (4, 5, 6))
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    return folder


def open_build(**query: str) -> AppTest:
    page = AppTest.from_file(str(APP), default_timeout=120)
    page.run()
    for key, value in query.items():
        page.query_params[key] = value
    page.switch_page("pages/build.py")
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    kinds = (page.title, page.header, page.markdown, page.caption, page.info, page.warning, page.error, page.code)
    return "\n".join(element.value for kind in kinds for element in kind)


def network(page: AppTest) -> str:
    return page.session_state["build_network"]


def test_page_opens_on_the_base_without_anything_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "empty"))
    page = open_build()
    assert network(page) == BASE.name
    assert "Nobody trained this network here yet." in said(page)
    assert "./dev python -m bloodcell train cnn_bn_dropout40" in said(page)
    graph = load_combination_graphs()[BASE.name]
    assert f"**{graph['parameters']:,}** parameters" in said(page)
    assert [header.value for header in page.header] == ["One switch from here", "Layer by layer"]
    assert len(page.dataframe[1].value) == len(graph["layers"])


def test_switches_name_the_network_and_write_the_address(runs):
    page = open_build()
    page.segmented_control(key="build_attention").set_value("se").run()
    assert network(page) == ATTENTION
    assert page.query_params["build_network"] == ATTENTION
    page.segmented_control(key="build_l2").set_value(1e-3).run()
    page.segmented_control(key="build_residual").set_value(True).run()
    assert network(page) == "net4_bn_dropout40_l2_1e-3_se_residual"
    assert "A CNN of four blocks with batch normalization" in said(page)
    page.button(key="build_back").click().run()
    assert network(page) == BASE.name
    assert not page.exception


def test_an_address_sets_the_switches(runs):
    page = open_build(build_network="net3_dropout50_cbam")
    assert page.segmented_control(key="build_depth").value == 3
    assert page.segmented_control(key="build_batch_norm").value is False
    assert page.segmented_control(key="build_dropout").value == 0.5
    assert page.segmented_control(key="build_attention").value == "cbam"
    assert "Nobody trained this network here yet." in said(page)


def test_an_unknown_address_opens_the_base(runs):
    assert network(open_build(build_network="net9_bn")) == BASE.name


def test_what_was_trained_is_compared_with_the_base(runs):
    page = open_build(build_network=ATTENTION)
    assert page.metric[0].value == "97.50 %"
    assert "± 0.50 points over 3 seeds" in said(page)
    assert "**+8.5 ± " in said(page)
    assert "**Better** than `cnn_bn_dropout40`, more than chance" in said(page)
    table = page.dataframe[1].value  # below the chart, its twin stands first
    assert table["seeds"].tolist().count(3) == 2
    assert "Class by class" in [header.value for header in page.header]


def test_what_nobody_chose_to_compare_with_is_proposed_anew(runs):
    """The first switch that is flipped is compared with the base, not with what the base was compared with."""
    write_runs(runs, "net2_bn_dropout40", (30, 31, 32))
    page = open_build()
    assert page.selectbox(key="build_against").value != BASE.name
    page.segmented_control(key="build_attention").set_value("se").run()
    assert page.selectbox(key="build_against").value == BASE.name
    page.selectbox(key="build_against").set_value("net2_bn_dropout40").run()
    page.button(key="build_back").click().run()
    page.segmented_control(key="build_attention").set_value("se").run()
    assert page.selectbox(key="build_against").value == "net2_bn_dropout40", "what was chosen stays"


def test_a_link_counts_though_the_page_was_left_meanwhile(runs):
    write_runs(runs, "net2_bn_dropout40", (30, 31, 32))
    page = open_build(build_network=ATTENTION, build_against="net2_bn_dropout40")
    assert page.selectbox(key="build_against").value == "net2_bn_dropout40"
    page.switch_page("pages/overview.py").run()
    page.switch_page("pages/build.py")
    page.query_params["build_network"], page.query_params["build_against"] = ATTENTION, "net2_bn_dropout40"
    page.run()
    assert page.selectbox(key="build_against").value == "net2_bn_dropout40"


def test_without_the_dataset_images_are_counted_and_offered(runs):
    page = open_build(build_network=ATTENTION)
    options = page.segmented_control(key="build_images").options
    assert options == ["More often right (20)", "Less often right (0)"]
    assert any("dataset" in info.value.lower() for info in page.info)
    counts = next(frame.value for frame in page.dataframe if "more often right" in frame.value)
    assert counts["more often right"].sum() == 20


def test_with_the_dataset_images_are_shown(tmp_path, small_dataset, monkeypatch):
    from bloodcell.dataset import load_split

    split = load_split("test")
    hashes = np.arange(NUM_IMAGES, dtype=np.uint64)
    hashes[: len(split.labels)] = split.image_hashes
    folder = tmp_path / "artifacts"
    write_runs(folder, "cnn_bn_dropout40", (20, 22), hashes=hashes)
    write_runs(folder, ATTENTION, (0, 1), hashes=hashes)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    page = open_build(build_network=ATTENTION)
    assert "**net4_bn_dropout40_se**: right ×2" in said(page)
    assert "This image is not in the dataset's file here." not in said(page)
    page.segmented_control(key="build_images").set_value("worse").run()
    assert not page.exception


def test_other_settings_are_not_compared(runs):
    write_runs(runs, "cnn_bn", (50,), recipe={"num_epochs": 2})
    page = open_build(build_network="net4_bn")
    assert page.metric[0].value == "75.00 %"
    assert "trained with other settings than the base" in said(page)
    assert "Class by class" not in [header.value for header in page.header]


def write_lesson(name: str, accuracy: float, seed: int = 0) -> None:
    """Write a model as a quick lesson leaves it; all of them answer the same images."""
    recipe = {"num_epochs": 4, "max_images": 1196, "patience": None, "norm_momentum": 0.9}
    predictions = [make_predictions(split, accuracy, 1, 400) for split in ("val", "test")]
    write_artifact(own_models_directory(), name, predictions=predictions, recipe=recipe, seed=seed)


def test_lessons_of_the_base_leave_the_projects_comparisons_alone(runs):
    for seed in range(4):
        write_lesson(f"cnn_bn_dropout40.own{seed + 1}", 0.5, seed)
    page = open_build(build_network=ATTENTION)
    assert "other settings than the base" not in said(page)
    assert "**+8.5 ± " in said(page)
    assert open_build().metric[0].value == "89.00 %"


def test_a_lesson_is_compared_with_a_lesson_of_the_base(runs):
    write_lesson("net3_bn.own1", 0.9)
    page = open_build(build_network="net3_bn")
    assert "trained with other settings than the base" in said(page)
    write_lesson("cnn_bn_dropout40.own2", 0.5)
    page = open_build(build_network="net3_bn")
    assert "trained with other settings than the base" not in said(page)
    assert "Your own training: it is compared only with trainings by the same settings." in said(page)
    assert "**Better** than `cnn_bn_dropout40`, more than chance" in said(page)


def test_the_nearest_that_is_trained_is_one_click_away(runs):
    page = open_build(build_network="net3_bn_dropout40_se")
    page.button(key="build_nearest").click().run()
    assert network(page) == ATTENTION


def test_training_is_offered_on_the_train_page_once_it_exists(runs, monkeypatch):
    import bloodcell.views.navigation as navigation

    exists = (navigation.PAGES_DIRECTORY / "train.py").is_file()
    page = open_build(build_network="net2")
    links = [link for link in page.get("page_link") if "Train net2 now" in link.proto.label]
    assert len(links) == exists
    assert all("train_model=net2" in link.proto.query_string for link in links)
    assert ("compared only with live trainings of the base by the same choices" in said(page)) == exists


def test_page_is_whole_on_an_ordinary_shelf(tmp_path, monkeypatch):
    folder = tmp_path / "artifacts"
    write_shelf(folder)
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(folder))
    page = open_build()
    assert page.metric[0].value.endswith("%")
    assert "one seed; its spread is not known" in said(page)
    assert "nothing to compare with" in said(page)


def test_first_paint_imports_no_keras(runs):
    import subprocess
    import sys

    code = (
        "import sys; from streamlit.testing.v1 import AppTest;"
        f"page = AppTest.from_file({str(APP)!r}, default_timeout=120).run();"
        "page.switch_page('pages/build.py').run(); assert not page.exception;"
        "print(sorted({'keras', 'tensorflow', 'jax'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=APP.parent)
    assert result.stdout.strip().splitlines()[-1] == "[]"

"""Design space as tables, drawing and figures: costs, neighbours, and which trainings may be compared."""

import re

import pytest
from made_runs import write_runs
from shelf import write_artifact

from bloodcell.artifact import join_shelves, load_own_shelf, load_shelf
from bloodcell.dataset import CLASS_NAMES
from bloodcell.evaluation.evidence import find_evidence
from bloodcell.evaluation.repeated import compare_repeated, gather_trainings
from bloodcell.files import own_models_directory
from bloodcell.models.combinations import BASE, Combination, all_combinations
from bloodcell.models.graphs import graph_name, load_combination_graphs
from bloodcell.views import figures_build as figures
from bloodcell.views import tables_build as tables
from bloodcell.views.drawing import draw_network, list_chips

GRAPHS = load_combination_graphs()


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html[html.index("<ol") :]))


def gather(trained):
    return gather_trainings([(a.manifest.seed, a.load_predictions("test")) for a in trained.artifacts])


def test_neighbours_differ_in_one_switch_each():
    neighbours = tables.list_neighbours(BASE)
    assert len(neighbours) == 2 + 1 + 2 + 3 + 2 + 1
    assert all(tables.count_differences(one.combination, BASE) == 1 for one in neighbours)
    assert [one.label for one in neighbours][:4] == [
        "two blocks",
        "three blocks",
        "no batch normalization",
        "no dropout",
    ]
    assert tables.describe_difference(BASE, Combination(2, True, 0.4, 0.0, "se")) == "four blocks, no attention"


def test_study_names_are_found():
    assert tables.study_name(BASE) == "cnn_bn_dropout40"
    assert tables.study_name(Combination(2)) is None


def test_every_graph_can_be_drawn_with_all_its_costs():
    for combination in all_combinations():
        if combination.l2:
            continue
        graph = GRAPHS[graph_name(combination)]
        text = words(draw_network(graph, combination.name, "dark", combination.dropout))
        assert text.count("conv,") == combination.depth * (3 if combination.residual else 1)
        assert text.count("batch norm") == combination.batch_norm * (text.count("conv,") + 1)
        assert text.count("SE attention") == combination.depth * (combination.attention == "se")
        assert text.count("CBAM attention") == combination.depth * (combination.attention == "cbam")
        assert text.count("shortcut") == combination.depth * combination.residual
        assert (f"dropout {combination.dropout:g}" in text) == bool(combination.dropout)
        shown = [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) parameters", text)]
        assert sum(shown) == graph["parameters"]
        assert len(shown) == combination.depth + 1


def test_drawing_of_a_block_by_hand():
    layers = [layer for layer in GRAPHS["net3_bn_se"]["layers"] if layer["block"] == "block2"]
    assert list_chips(layers, 16) == [
        ("3×3 conv, 32", "weights"),
        ("batch norm", "plain"),
        ("ReLU", "plain"),
        ("max pool 2×2", "plain"),
        ("SE attention", "attention"),
    ]


def test_what_is_drawn_is_escaped():
    assert 'aria-label="&lt;b&gt;"' in draw_network(GRAPHS["net2"], "<b>", "light")


def test_memory_by_hand():
    table = tables.cost_table(GRAPHS["net2"]).set_index("layer")
    assert table.loc["block1_conv", "weight_bytes"] == 4 * 448
    assert table.loc["block1_conv", "output_bytes"] == 4 * 64 * 64 * 16
    assert table.loc["head_flatten", ["weight_bytes", "output_bytes"]].tolist() == [0, 4 * 16 * 16 * 32]
    total = GRAPHS["net2"]["parameters"] * 4 / 1024**2
    assert tables.describe_memory(table)[0] == f"{total:.2f} MB"


@pytest.fixture
def shelf(tmp_path):
    folder = tmp_path / "artifacts"
    write_runs(folder, "cnn_bn_dropout40", (10, 12, 14))
    write_runs(folder, "net4_bn_dropout40_se", (4, 5))
    write_runs(folder, "cnn_bn", (30,), recipe={"num_epochs": 3, "batch_size": 64})
    write_runs(folder, "cnn_3", (30,))
    return load_shelf(folder)


def test_trainings_are_found_by_network_and_settings(shelf):
    trained = tables.find_trained(shelf, BASE)
    assert set(trained) == {BASE.name, "net4_bn", "net4_bn_dropout40_se"}
    assert trained[BASE.name].name == "cnn_bn_dropout40"
    assert [artifact.manifest.seed for artifact in trained[BASE.name].artifacts] == [0, 1, 2]
    assert trained[BASE.name].settings == trained["net4_bn_dropout40_se"].settings
    assert trained["net4_bn"].settings != trained[BASE.name].settings


def test_the_settings_of_the_artifact_count_even_where_others_have_more_seeds(tmp_path):
    folder = tmp_path / "artifacts"
    write_artifact(folder, "cnn_bn_dropout40")
    write_runs(folder, "cnn_bn_dropout40", (1, 2, 3), recipe={"num_epochs": 5, "augmentation": "symmetries_shift"})
    trained = tables.find_trained(load_shelf(folder), BASE)[BASE.name]
    assert [artifact.kind for artifact in trained.artifacts] == ["artifact"]
    assert trained.num_others == 3


def write_own(name, seed, **recipe):
    """Write a model as a live training leaves it."""
    lesson = {"num_epochs": 4, "max_images": 1196, "patience": None, "norm_momentum": 0.9}
    return write_artifact(own_models_directory(), name, seed=seed, recipe=lesson | recipe)


def load_joined(folder):
    return join_shelves(load_shelf(folder), load_own_shelf())


def test_own_trainings_never_take_the_place_of_the_projects(tmp_path):
    folder = tmp_path / "artifacts"
    artifact = write_artifact(folder, "cnn_bn_dropout40")
    write_artifact(folder, "cnn_bn")
    write_own("cnn_bn_dropout40.own1", 0)
    write_own("cnn_bn_dropout40.own2", 1)
    write_own("cnn_bn.own3", 0)
    trained = tables.find_trained(load_joined(folder), BASE)
    assert [one.name for one in trained[BASE.name].artifacts] == [artifact.name]
    assert trained[BASE.name].num_others == 2
    assert trained["net4_bn"].settings == trained[BASE.name].settings


def test_the_projects_runs_count_before_own_trainings_under_any_settings(tmp_path):
    folder = tmp_path / "artifacts"
    write_artifact(folder, "cnn_bn_dropout40")
    own = write_artifact(own_models_directory(), "cnn_bn.own1", seed=0)
    run = write_runs(folder, "cnn_bn", (4,), recipe=own.manifest.recipe)[0]
    assert tables.find_trained(load_joined(folder), BASE)["net4_bn"].artifacts == (run,), "one of a seed: the project's"
    write_runs(folder, "net3_bn", (4,), recipe={"num_epochs": 3})
    write_own("net3_bn.own2", 0)
    write_own("net3_bn.own3", 1)
    assert not tables.find_trained(load_joined(folder), BASE)["net3_bn"].own


def test_own_trainings_are_shown_under_the_settings_that_the_base_has_too(tmp_path):
    folder = tmp_path / "artifacts"
    write_artifact(folder, "cnn_bn_dropout40")
    write_own("cnn_bn_dropout40.own1", 0)
    write_own("net3_bn.own2", 0)
    write_own("net3_bn.own3", 0, num_epochs=9)
    write_own("net3_bn.own4", 1, num_epochs=9)
    shelf = load_joined(folder)
    trained = tables.find_trained(shelf, BASE)["net3_bn"]
    assert [one.name for one in trained.artifacts] == ["net3_bn.own2"] and trained.own
    equal = tables.find_equal(shelf, trained.settings)
    assert {name: [one.name for one in found.artifacts] for name, found in equal.items()} == {
        "net3_bn": ["net3_bn.own2"],
        BASE.name: ["cnn_bn_dropout40.own1"],
    }


def test_a_field_that_older_recipes_lack_does_not_part_them(tmp_path):
    folder = tmp_path / "artifacts"
    old, new = (
        write_runs(folder, model, (1,), recipe=recipe)[0]
        for model, recipe in (
            ("net2", {"num_epochs": 20}),
            ("net3", {"num_epochs": 20, "clip_norm": None, "xla": True, "optimizer": "adam"}),
        )
    )
    other = write_runs(folder, "net4", (1,), recipe={"num_epochs": 20, "optimizer": "sgd"})[0]
    assert tables.describe_settings(old) == tables.describe_settings(new)
    assert tables.describe_settings(other) != tables.describe_settings(new)


def test_neighbours_table_by_hand(shelf):
    trained = tables.find_trained(shelf, BASE)
    results = {name: gather(trained[name]) for name in (BASE.name, "net4_bn_dropout40_se")}
    graphs = {one.combination.name: GRAPHS[graph_name(one.combination)] for one in tables.list_neighbours(BASE)}
    table = tables.neighbours_table(BASE, GRAPHS[BASE.name], graphs, results).set_index("change")
    assert len(table) == 12
    own, attention = table.iloc[0], table.loc["SE attention"]
    assert own["accuracy"] == pytest.approx(1 - 12 / 200)
    assert own["spread"] == pytest.approx(2 / 200)
    assert attention["difference"] == pytest.approx((12 - 4.5) / 200)
    assert attention["seeds"] == 2
    assert attention["parameters_change"] == graphs["net4_bn_dropout40_se"]["parameters"] - 626_024
    assert table.loc["two blocks", ["accuracy", "difference"]].isna().all()
    assert table.loc["dropout 0.5", "flops_change"] == 0


def test_words_for_a_change(shelf):
    trained = tables.find_trained(shelf, BASE)
    base, attention = gather(trained[BASE.name]), gather(trained["net4_bn_dropout40_se"])
    change = compare_repeated(attention, base, 8)

    def describe(first, second, seed_spread=0.0):
        return tables.describe_change(find_evidence("a", "b", first, second, seed_spread), "it")

    assert describe(attention, base).startswith("**Better** than it, more than chance: **+3.8 ± ")
    assert describe(base, attention).startswith("**Worse** than it, more than chance: **−3.8 ± ")
    assert describe(base, base) == "Exactly as often right as it."
    assert "no difference that two seeds can show" in describe(attention, base, seed_spread=0.05), "seeds spread wider"
    counts = tables.image_counts_table(change, attention, CLASS_NAMES)
    assert counts["more often right"].sum() == change.num_gained == 10
    assert counts["less often right"].sum() == change.num_lost == 0
    assert tables.describe_answers(base, 12, CLASS_NAMES) == "right ×2, monocyte ×1"
    assert tables.describe_accuracy(base) == "94.0 % ± 1.0"


def test_figures_show_every_seed_and_class(shelf):
    trained = tables.find_trained(shelf, BASE)
    base, attention = gather(trained[BASE.name]), gather(trained["net4_bn_dropout40_se"])
    figure = figures.seeds_figure({"as it stands": base, "SE attention": attention}, "light")
    assert [len(trace.x) for trace in figure.data] == [3, 1, 2, 1]
    assert figure.data[1].x[0] == pytest.approx(94)
    table = tables.class_changes_table(compare_repeated(attention, base, 8), CLASS_NAMES)
    bars = figures.class_changes_figure(table, CLASS_NAMES, "dark").data[0]
    assert list(bars.x) == pytest.approx((100 * table["difference"]).tolist())
    assert len(bars.y) == 8

"""The sentences and tables of the Findings page, held to numbers by hand."""

import math
import re
from dataclasses import asdict, replace

import numpy as np
import pytest

from bloodcell.dataset import CLASS_NAMES
from bloodcell.dataset.twins import Twin
from bloodcell.evaluation import Evaluation
from bloodcell.evaluation.evidence import Evidence
from bloodcell.evaluation.repeated import Repeated
from bloodcell.models.graphs import find_graph
from bloodcell.published import load_anchors
from bloodcell.training.experiments import LADDER_NETWORKS
from bloodcell.training.recipes import TrainingRecipe
from bloodcell.views import figures_findings as figures
from bloodcell.views import tables_findings as tables
from bloodcell.views.findings import (
    Network,
    compare_two,
    describe_difference,
    describe_machines,
    describe_no_difference,
    describe_p,
    other_differences,
)
from bloodcell.views.findings_answers import (
    answer_attention,
    answer_augmentation,
    answer_depth,
    answer_lightweight,
    find_steps,
    rank_correlation,
)
from bloodcell.views.findings_closing import answer_bytes, answer_ceiling

NUM_IMAGES = 500
Y_TRUE = np.arange(NUM_IMAGES) % 8


def network(name, num_wrong, weights_mb, seeds=1, val_wrong=None, latency_ms=math.nan, **settings):
    """Return a network that is wrong on the first images of both splits, one more with each seed."""

    def trainings(wrong):
        y_pred = np.tile(Y_TRUE, (seeds, 1))
        for seed in range(seeds):
            y_pred[seed, : wrong + seed] = (Y_TRUE[: wrong + seed] + 1) % 8
        return Repeated(tuple(range(seeds)), Y_TRUE, y_pred, np.arange(NUM_IMAGES, dtype=np.uint64))

    val = trainings(num_wrong if val_wrong is None else val_wrong)
    recipe = asdict(TrainingRecipe(**settings))
    return Network(name, name, val, trainings(num_wrong), (0.01,) * seeds, weights_mb, latency_ms, recipe, 20)


def evidence(**changes):
    values = {
        "a": "one", "b": "two", "seeds_a": (0,), "seeds_b": (0,), "accuracy_a": 0.97, "accuracy_b": 0.95,
        "spread_a": math.nan, "spread_b": math.nan, "difference": 0.02, "interval": (0.01, 0.03), "p_value": 0.0004,
        "p_corrected": 0.0004, "num_more_a": 30, "num_more_b": 10, "num_images": 1000, "are_apart": True,
    }  # fmt: skip
    return Evidence(**{**values, **changes})


def test_words_for_differences():
    assert describe_difference(evidence()) == "**+2.0 ± 1.0 points**, p < 0.001"
    none = evidence(difference=-0.002, interval=(-0.006, 0.002), p_corrected=0.314)
    assert describe_difference(none) == "−0.2 ± 0.4 points, p = 0.31"
    assert describe_no_difference(none) == "no difference that one seed can show"
    assert describe_no_difference(evidence(seeds_a=(0, 1, 2), seeds_b=(0, 1, 2))).endswith("three seeds can show")
    assert [describe_p(value) for value in (0.00001, 0.0042, 0.5)] == ["< 0.001", "= 0.004", "= 0.50"]


def test_the_light_network_is_chosen_on_val_and_the_word_follows_the_evidence():
    deep = network("vgg16", 20, 22.0)
    equal = network("cnn_4", 20, 0.5)
    networks = {"vgg16": deep, "cnn_4": equal, "cnn_bn": network("cnn_bn", 0, 2.4, val_wrong=30)}
    found = answer_lightweight(networks)
    assert found.short.startswith("**Yes, as far as one seed can show.** Between cnn_4 (0.500 MB, 96.0 %) and vgg16")
    assert "44 times fewer weights" in found.short
    assert "Of the 2 lightweight networks trained here, 2 are at worst 1 point behind" in found.answer
    worse = answer_lightweight({"vgg16": deep, "cnn_4": network("cnn_4", 60, 0.5)})
    assert worse.short.startswith("**Not quite.** cnn_4") and "**−8.0" in worse.short
    assert "none is at worst 1 point behind" in worse.answer
    better = answer_lightweight({"vgg16": network("vgg16", 60, 22.0), "cnn_4": equal})
    assert better.short.startswith("**Yes.** cnn_4 (0.500 MB, 96.0 %) beats vgg16")
    assert not answer_lightweight({"cnn_4": equal}).is_answered
    assert "no deep network" in answer_lightweight({"cnn_4": equal}).short


def test_only_pairs_that_differ_in_attention_alone_decide():
    pair = {"cnn_se": network("cnn_se", 5, 1.1), "cnn_bn": network("cnn_bn", 60, 2.4)}
    found = answer_attention(pair, {}, 35)
    assert not found.is_answered and len(found.evidence) == 1
    assert "also differs in" in found.caveat
    assert other_differences(found.evidence[0], {"attention", "attention_l2"}, pair)
    clean = {"vgg16": network("vgg16", 10, 22.0), "vgg16_se": network("vgg16_se", 50, 22.1)}
    hurt = answer_attention(pair | clean, {}, 0)
    assert hurt.short == "**It hurts.** Of 1 clean comparison it hurts in 1."
    assert [one.what for one in hurt.missing] == ["vgg16_cbam"]


def test_networks_trained_for_other_epochs_are_no_clean_pair():
    pair = {"vgg16": network("vgg16", 10, 22.0), "vgg16_se": network("vgg16_se", 50, 22.1, num_epochs=8)}
    found = answer_attention(pair, {}, 0)
    assert not found.is_answered
    assert "also differs in epochs (8, not 20)" in found.caveat
    assert "fewer epochs than the recipe plans, so perhaps at less than their best: vgg16_se (8 of 20 epochs)" in (
        found.caveat
    )
    assert list(tables.settings_table(*pair.values()).iloc[0]) == ["Epochs", "20", "8"]
    both = {name: replace(one, recipe=pair["vgg16_se"].recipe) for name, one in pair.items()}
    equal = answer_attention(both, {}, 0)
    assert equal.is_answered
    assert equal.short.endswith("Some were trained for only 8 of 20 epochs: longer trainings may tell otherwise.")
    light = answer_lightweight({"cnn_4": network("cnn_4", 20, 0.5), "vgg16": network("vgg16", 20, 22.0, num_epochs=8)})
    assert "vgg16 (22.0 MB, 96.0 %, 8 of 20 epochs)" in light.short


def test_rows_of_another_file_are_not_missing():
    pair = {"vgg16": network("vgg16", 10, 22.0), "vgg16_se": network("vgg16_se", 50, 22.1)}
    found = answer_attention(pair, {}, 0, elsewhere=("cnn_se", "cnn_bn"))
    assert [one.what for one in found.missing] == ["vgg16_cbam"]


def test_several_numbers_of_seeds_are_not_called_by_the_most():
    once = {"vgg16": network("vgg16", 10, 22.0), "vgg16_se": network("vgg16_se", 11, 22.1)}
    thrice = {"base": network("cnn_bn_dropout40", 10, 2.4, 3), "SE attention": network("cnn_se", 10, 2.5, 3)}
    ladder = {label: replace(one, name=label, model=LADDER_NETWORKS[label]) for label, one in thrice.items()}
    assert "three seeds" in answer_attention({}, ladder, 0).short
    both = answer_attention(once, ladder, 0).short
    assert both.startswith("**No difference that its seeds can show.** None of 2")
    arms = {
        "cnn_se": {"none": thrice["base"], "symmetries_shift": thrice["base"]},
        "vgg16_dropout": {"none": once["vgg16"], "symmetries_shift": once["vgg16"]},
    }
    assert "make no difference that its seeds can show" in answer_augmentation(arms, 0).short


def test_weight_that_buys_nothing_is_said_and_so_is_what_else_differs():
    rows = [network("cnn_4", 40, 0.5), network("cnn_bn", 10, 2.4), network("vgg16", 11, 22.0)]
    found = answer_depth({one.name: one for one in rows}, {}, 0)
    assert "4.8 times the weights: **+6.0" in found.short
    assert "they also differ in" in found.short and "batch normalization" in found.short
    assert "The one heavier network, vgg16 (22.0 MB, 97.8 %), with 9.2 times the weights, is not better" in found.short
    more = [*rows, network("resnet18", 30, 42.0)]
    short = answer_depth({one.name: one for one in more}, {}, 0).short
    assert "None of the 2 heavier networks is better on validation; the best of them, vgg16" in short
    assert "heavier network" not in answer_depth({one.name: one for one in rows[:2]}, {}, 0).short


def test_steps_are_the_best_within_each_budget_where_they_better_the_last():
    rows = [network("cnn_4", 40, 0.5), network("cnn_3", 50, 0.65), network("cnn_bn", 20, 2.4), network("vgg16", 20, 22)]
    assert [one.name for one in find_steps(rows)] == ["cnn_4", "cnn_bn"]


def test_rank_correlation_is_scipys():
    from scipy.stats import spearmanr

    first, second = [0.5, 0.65, 1.1, 2.4, 2.4, 22.0], [0.92, 0.90, 0.95, 0.96, 0.97, 0.965]
    known = spearmanr(first, second)
    assert rank_correlation(first, second) == pytest.approx(known.statistic)
    assert rank_correlation([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) == pytest.approx(1)


def test_classes_agree_with_the_evaluation():
    first, second = network("cnn_4", 40, 0.5, seeds=2).test, network("cnn_bn", 7, 2.4).test
    table = tables.classes_table(first, second, CLASS_NAMES)
    scores = [
        [report.f1_score for report in Evaluation.from_predictions(Y_TRUE, np.eye(8)[row], CLASS_NAMES).per_class]
        for row in first.y_pred
    ]
    np.testing.assert_allclose(table["f1_a"], 100 * np.mean(scores, axis=0))
    np.testing.assert_allclose(table["f1_difference"], table["f1_a"] - table["f1_b"])
    gained, lost = tables.changed_rows(first, second)
    assert len(gained) == 0 and sorted(lost) == list(range(7, 41))
    changes = tables.changes_table(lost, first, second, ("a", "b"), CLASS_NAMES)
    assert changes["b"].eq("right").all()
    assert changes.set_index("Image").loc[40, "a"] in (
        f"1 × {CLASS_NAMES[1]}, 1 × right",
        f"1 × right, 1 × {CLASS_NAMES[1]}",
    )


def test_costs_and_layers_of_two_graphs():
    names = ("cnn_bn_dropout40", "net4_bn_dropout40_se")
    graphs = tuple(find_graph(name) for name in names)
    costs = tables.costs_table(names, graphs, {"cnn_bn_dropout40": 0.2}).set_index("")
    assert costs.loc["Parameters", "cnn_bn_dropout40"] == "626,024"
    assert costs.loc["Parameters", "Ratio"] == f"{graphs[1]['parameters'] / 626_024:.2f} ×"
    assert costs.loc["ms, one image"].isna().tolist() == [False, True, True]
    assert tables.describe_layers(*graphs).startswith("Layers more: ")
    assert "fewer" not in tables.describe_layers(*graphs)
    assert tables.describe_layers(graphs[0], graphs[0]) == "The same layers in the same number."


def test_bytes_are_set_beside_the_anchors():
    rows = {
        "hemanet_tiny": network("hemanet_tiny", 10, 0.4),
        "vgg16": network("vgg16", 9, 20.0, val_wrong=15),  # better on test, and not chosen by it
    }
    stored = {"hemanet_tiny": 2 * 1024**2 // 10, "vgg16": 10 * 1024**2}
    table = tables.bytes_table(rows, stored, load_anchors())
    found = answer_bytes(table)
    anchors = load_anchors()
    heavier = anchors["bytes_float32"] > 0.4 * 1024**2
    num_beaten = int((heavier & (anchors["accuracy"] < 0.98)).sum())
    num_sized = int(anchors["parameters"].notna().sum())
    verb = "is" if num_beaten == 1 else "are"
    assert found.short == "**hemanet_tiny reaches 98.0 % with 0.200 MB as stored** (0.400 MB as float32)."
    assert f"Of the {num_sized} published anchors whose size is known, {num_beaten} {verb} both heavier" in found.answer
    assert "The lightest anchor at or above it is Inception-like" in found.answer
    drawn = figures.bytes_figure(table, "dark")
    assert sum(len(trace.x) for trace in drawn.data if trace.name and trace.name.startswith("published")) == num_sized
    assert not answer_bytes(table[table["group"] == "published"]).is_answered
    heavy = table.assign(float32_mb=table["float32_mb"].where(table["name"] != "hemanet_tiny", 100.0))
    assert re.search(r"Inception-like .*: [1-9]\d? % of the float32 bytes", answer_bytes(heavy).answer)


def test_a_spread_over_seeds_widens_every_interval_of_a_shelf():
    pair = [network("vgg16", 10, 22.0), network("vgg16_se", 20, 22.1)]
    alone = compare_two(*pair)
    spread = compare_two(*(replace(one, seed_spread=0.01) for one in pair))
    assert alone.difference == spread.difference and np.ptp(spread.interval) > 2 * np.ptp(alone.interval)
    machines = [replace(pair[0], machines=("TensorFlow (a processor)",)), replace(pair[1], machines=("JAX (a card)",))]
    assert "partly on TensorFlow (a processor), partly on JAX (a card)" in describe_machines(machines)
    assert describe_machines(machines[:1] * 2) == ""


def test_a_number_that_would_round_to_zero_shows_its_side():
    assert describe_difference(evidence(difference=0.0044, interval=(0.0006, 0.0082))).startswith("**+0.44 ± 0.38")
    assert describe_difference(evidence(difference=0.02, interval=(0.01, 0.03))).startswith("**+2.0 ± 1.0")


def test_the_size_of_plain_networks_is_told_apart_from_what_size_brings():
    names = ("cnn_4", "cnn_bn", "cnn_residual", "resnet18", "vgg16", "vgg16_se", "inception_v3")
    rows = [network(name, wrong, size) for name, wrong, size in zip(
        names, (60, 10, 9, 12, 11, 13, 8), (0.5, 2.4, 3.2, 42.7, 22.0, 22.1, 39.3), strict=True)]  # fmt: skip
    answer = answer_depth({one.name: one for one in rows}, {}, 0).answer
    assert re.search(r"0\.\d\d \(Spearman\), −?-?0\.\d\d without the plain one of the CNN family", answer)


def test_twins_with_two_labels_are_named():
    twins = [
        (Twin("train", 1018, 1), Twin("test", 3126, 6)),
        (Twin("train", 5, 2), Twin("train", 9, 2)),
    ]
    assert not answer_ceiling(None, twins).is_answered
    table = tables.twins_table(twins, CLASS_NAMES)
    assert table.iloc[0].tolist() == ["train 1018, test 3126", "several", "eosinophil / neutrophil", True]
    from bloodcell.evaluation.ceiling import Answered, find_ceiling

    y_score = np.full((4, 8), 0.01)
    y_score[:, 0] = 0.93
    ceiling = find_ceiling({"a": Answered(np.array([0, 0, 1, 0]), y_score, np.arange(4, dtype=np.uint64))})
    text = answer_ceiling(ceiling, twins).answer
    assert text.startswith("**1 of 4 test images (25.0 %) are missed by the one good model, a,**")
    assert "holds 2 images more than once, pixel for pixel; 1 of them stand in test" in text
    assert (
        "1 under two labels, so that one of them is wrong: train 1018 as eosinophil and test 3126 as neutrophil" in text
    )


def test_a_missed_image_says_where_else_it_stands():
    from bloodcell.evaluation.ceiling import Answered, find_ceiling

    y_score = np.full((4, 8), 0.01)
    y_score[:, 0] = 0.93
    hashes = np.arange(10, 14, dtype=np.uint64)
    ceiling = find_ceiling({"a": Answered(np.array([0, 6, 1, 0]), y_score, hashes)})
    twins = [(Twin("train", 1018, 1), Twin("test", 3126, 6)), (Twin("test", 7, 0), Twin("test", 8, 0))]
    test_hashes = np.full(4000, 99, np.uint64)
    test_hashes[[3126, 7, 8]] = (11, 10, 10)
    found = tables.find_other_places(hashes[ceiling.rows], twins, test_hashes, CLASS_NAMES)
    by_row = dict(zip(ceiling.rows.tolist(), found, strict=True))
    assert by_row == {1: "train 1018 as eosinophil", 2: ""}
    assert tables.ceiling_images_table(ceiling, CLASS_NAMES, found)["Also in the dataset"].tolist() == found
    captions = dict(zip(ceiling.rows.tolist(), tables.ceiling_captions(ceiling, CLASS_NAMES, found), strict=True))
    assert "**also train 1018 as eosinophil**" in captions[1] and "also" not in captions[2]
    assert "Also in the dataset" not in tables.ceiling_images_table(ceiling, CLASS_NAMES)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_figures_draw_every_comparison(mode):
    some = [
        evidence(a="one"),
        evidence(a="other", difference=-0.02, interval=(-0.03, -0.01)),
        evidence(a="third", p_corrected=1),
    ]
    figure = figures.differences_figure(some, ["one", "other", "third"], mode, "other")
    marks = figure.data[0]
    assert marks.name == figures.DIFFERENCES_TRACE
    assert list(marks.marker.symbol) == ["triangle-up", "triangle-down", "circle-open"]
    assert marks.marker.size[1] > marks.marker.size[0]
    assert [point[0] for point in marks.customdata] == ["one", "other", "third"]
    assert figures.differences_figure([], [], mode).data

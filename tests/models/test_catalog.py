"""The catalog lists the study's networks with exactly their parameter counts."""

import importlib
import inspect

import numpy as np
import pytest

from bloodcell.errors import BloodCellError, ModelNotFoundError
from bloodcell.models import (
    CATALOG,
    DEFAULTS,
    FAMILIES,
    OPTION_LABELS,
    build_model,
    differences,
    get_spec,
    graph_of,
    has_subtypes,
    logits_model,
)
from bloodcell.models.catalog import ABSENT

STUDY_COUNTS = {
    "cnn_2": (407_080, 407_080),
    "cnn_3": (171_624, 171_624),
    "cnn_4": (130_792, 130_792),
    "cnn_dropout40": (549_032, 549_032),
    "cnn_dropout50": (549_032, 549_032),
    "cnn_bn": (626_024, 625_032),
    "cnn_bn_dropout40": (626_024, 625_032),
    "cnn_bn_l2_1e-2": (626_024, 625_032),
    "cnn_bn_l2_1e-3": (626_024, 625_032),
    "cnn_bn_l2_1e-4": (626_024, 625_032),
    "cnn_se": (287_807, 287_455),
    "cnn_residual": (835_064, 833_112),
    "resnet18": (11_195_016, 11_185_416),
    "inception_v3": (10_313_800, 10_288_520),
    "vgg16": (5_787_560, 5_787_560),
    "vgg16_dropout": (5_787_560, 5_787_560),
    "vgg16_reduced": (4_607_400, 4_607_400),
    "vgg16_se": (5_807_414, 5_807_414),
    "vgg16_cbam": (5_800_994, 5_800_994),
}

HEMANET_LIMITS = {
    # name: (parameters, bytes of its tensors as stored: kernels float16, vectors float32; the limit of its size)
    "hemanet_pico": (15_196, 31_680, 32_000),
    "hemanet_nano": (30_860, 63_744, 64_000),
    "hemanet_tiny": (119_552, 243_104, 250_000),
    "hemanet_small": (437_986, 883_384, 1_000_000),
    "hemanet_base": (1_691_246, 3_397_240, 5_000_000),
}


def count(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


def stored_size(model):
    """Return parameters and bytes on disk: kernels as float16, vectors as float32."""
    sizes = [int(np.prod(variable.shape)) * (2 if len(variable.shape) > 1 else 4) for variable in model.weights]
    return model.count_params(), sum(sizes)


def test_study_networks_are_listed_in_the_study_order():
    assert [name for name, spec in CATALOG.items() if spec.origin == "study"] == list(STUDY_COUNTS)


@pytest.mark.parametrize(("name", "counts"), STUDY_COUNTS.items())
def test_study_networks_have_the_study_counts(name, counts, built):
    model = built(name)
    assert (count(model.weights), count(model.trainable_weights)) == counts
    assert model.count_params() == counts[0]


def test_our_networks_come_after_the_study_smallest_first():
    assert [name for name, spec in CATALOG.items() if spec.origin == "ours"] == list(HEMANET_LIMITS)


@pytest.mark.parametrize(("name", "limits"), HEMANET_LIMITS.items())
def test_our_networks_keep_their_promised_size(name, limits, built):
    parameters, stored, promised = limits
    assert stored_size(built(f"{name}.eight")) == (parameters, stored)
    units = 5 * CATALOG[name].options["filters"][-1]
    assert stored_size(built(f"{name}.eleven")) == (parameters + units, stored + 2 * units)
    assert stored_size(built(name))[1] <= promised
    assert stored_size(built(f"{name}.eleven"))[1] <= promised


def test_our_networks_have_a_bias_only_where_no_normalization_follows(built):
    """A bias before batch normalization would be dead weight; momentum 0.9 lets short trainings be judged."""
    model = built("hemanet_base")
    layers = {type(layer).__name__: [] for layer in model.layers}
    for layer in model.layers:
        layers[type(layer).__name__].append(layer)
    normalized = {layer.name.removesuffix("_bn") for layer in layers["BatchNormalization"]}
    assert {layer.name for layer in layers["Conv2D"] if not layer.use_bias} == normalized
    assert len(layers["Conv2D"]) - len(normalized) == 2 * len(layers["Multiply"]) == 12, "the gates of six blocks"
    assert {layer.momentum for layer in layers["BatchNormalization"]} == {0.9}
    assert len(layers["AveragePooling2D"]) == 2, "stages 2 and 3 begin with a pooled shortcut"
    assert model.get_layer("stage3c_add").output.shape == (None, 8, 8, 176)


@pytest.mark.parametrize("name", CATALOG)
def test_forward_pass_returns_probabilities(name, built):
    """Each catalog row builds and scores two small images, and its probabilities are the softmax of its logits."""
    model = built(name)
    images = np.random.default_rng(0).random((2, 64, 64, 3), "float32")
    answers = model(images, training=False)
    scores = np.asarray(answers[0] if has_subtypes(model) else answers)
    logits = np.asarray(logits_model(model)(images, training=False))
    assert scores.shape == logits.shape == (2, 8)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, rtol=1e-5)
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(scores, expected / expected.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6)
    assert np.abs(scores[0] - scores[1]).max() > 0, "the network does not look at its image"


@pytest.mark.parametrize("name", CATALOG)
def test_every_network_has_the_agreed_ends(name, built):
    """Pages, training and conversion find input, logits and predictions under the same names in every network."""
    model = built(name)
    assert model.name == name
    assert model.layers[0].name == "image"
    assert [layer.name for layer in model.layers if layer.name != "subtypes"][-2:] == ["logits", "predictions"]
    assert model.get_layer("logits").get_config()["activation"] == "linear"
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    assert "Lambda" not in {type(layer).__name__ for layer in model.layers}


def test_a_tag_gives_our_networks_the_other_head(built):
    """`.eleven` tells finer types apart and `.eight` does not, whichever the row does; other tags name trainings."""
    for tag, units in (("eight", 0), ("eleven", 5)):
        model = built(f"hemanet_nano.{tag}")
        assert has_subtypes(model) == bool(units)
        assert get_spec(f"hemanet_nano.{tag}").all_options["subtypes"] == units
    own = "eleven" if CATALOG["hemanet_nano"].all_options["subtypes"] else "eight"
    other = {"eleven": "eight", "eight": "eleven"}[own]
    assert graph_of(f"hemanet_nano.{own}.s1") == "hemanet_nano"
    assert graph_of(f"hemanet_nano.{other}.s1") == f"hemanet_nano.{other}"
    assert graph_of("cnn_bn.sgd") == "cnn_bn" and graph_of("cnn_bn.eleven") == "cnn_bn"
    with pytest.raises(ModelNotFoundError):
        get_spec("cnn_bn.eleven")


@pytest.mark.parametrize("family", FAMILIES)
def test_defaults_of_the_catalog_are_those_of_the_builders(family):
    parameters = inspect.signature(importlib.import_module(f"bloodcell.models.{family}").build).parameters
    options = {key: item.default for key, item in parameters.items() if item.default is not inspect.Parameter.empty}
    assert DEFAULTS[family] == options


@pytest.mark.parametrize("spec", CATALOG.values(), ids=list(CATALOG))
def test_rows_say_only_what_differs_from_the_defaults(spec):
    for option, value in spec.options.items():
        assert option not in DEFAULTS[spec.family] or value != DEFAULTS[spec.family][option], (
            f"{spec.name} repeats the default of {option}"
        )
    assert spec.description.endswith(".")
    assert "fitted" not in spec.description and "reconstruct" not in spec.description


def test_only_the_two_networks_with_an_open_design_are_called_fitted():
    assert {spec.name for spec in CATALOG.values() if spec.fidelity == "fitted"} == {"inception_v3", "vgg16_cbam"}
    assert all((spec.fidelity == "own design") == (spec.origin == "ours") for spec in CATALOG.values())


def test_every_option_has_words_for_a_reader():
    options = {"family"} | {option for spec in CATALOG.values() for option in spec.all_options}
    assert options == set(OPTION_LABELS)


def test_penalty_sits_on_the_convolutions_only(built):
    model = built("cnn_bn_l2_1e-3")
    penalised = {
        layer.name: float(layer.kernel_regularizer.l2)
        for layer in model.layers
        if getattr(layer, "kernel_regularizer", None)
    }
    assert penalised == pytest.approx({f"block{index}_conv": 1e-3 for index in range(1, 5)})
    assert [layer.name for layer in built("cnn_bn").layers if getattr(layer, "kernel_regularizer", None)] == []


def test_dropout_rates_are_those_of_the_rows(built):
    rates = {name: [layer.rate for layer in built(name).layers if hasattr(layer, "rate")] for name in CATALOG}
    assert {name: found for name, found in rates.items() if found} == {
        "cnn_dropout40": [0.4],
        "cnn_dropout50": [0.5],
        "cnn_bn_dropout40": [0.4],
        "cnn_residual": [0.4],
        "vgg16_dropout": [0.5, 0.5],
    } | {name: [0.2] for name in HEMANET_LIMITS}


def test_deep_network_without_normalization_keeps_its_signal(built):
    """He initialisation: noise through sixteen layers neither dies nor explodes."""
    images = np.random.default_rng(0).random((8, 64, 64, 3), "float32")
    logits = np.asarray(logits_model(built("vgg16"))(images, training=False))
    assert 0.01 < np.abs(logits).mean() < 10


def test_unknown_name_lists_the_names():
    with pytest.raises(ModelNotFoundError, match=r"no network named 'vgg19'.*cnn_2, cnn_3.*vgg16_cbam"):
        get_spec("vgg19")
    with pytest.raises(BloodCellError):
        build_model("vgg19")


def test_image_too_small_is_refused_with_the_name():
    with pytest.raises(ValueError, match=r"'cnn_4' cannot be built for images of \(8, 8, 3\)"):
        build_model("cnn_4", input_shape=(8, 8, 3))


def test_other_class_counts_and_sizes_build():
    model = build_model("cnn_se", input_shape=(32, 32, 3), num_classes=11)
    assert model.output_shape == (None, 11)


def test_differences_of_neighbours_are_one_idea():
    assert differences("cnn_bn", "cnn_bn_dropout40") == [("dropout", "none", "0.4")]
    assert differences("cnn_bn_l2_1e-2", "cnn_bn_l2_1e-4") == [("l2", "0.01", "0.0001")]
    assert differences("vgg16", "vgg16_reduced") == [("convs", "2-2-3-3-3", "2-2-3-2-2")]
    assert differences("vgg16", "vgg16") == []


def test_differences_name_every_idea_at_once():
    """The study's cnn_4 and cnn_bn differ in more than normalization; the page must not hide that."""
    assert differences("cnn_4", "cnn_bn") == [
        ("padding", "valid", "same"),
        ("dense_units", "64", "256"),
        ("batch_norm", "no", "yes"),
    ]


def test_differences_between_families_cover_both():
    rows = {option: (a, b) for option, a, b in differences("cnn_bn", "resnet18")}
    assert rows["family"] == ("CNN", "ResNet")
    assert rows["batch_norm"] == ("yes", ABSENT)
    assert rows["blocks"] == (ABSENT, "2-2-2-2")
    assert rows["filters"] == ("16-32-64-128", "64-128-256-512")


def test_row_as_json_has_every_option():
    row = get_spec("vgg16_dropout").to_dict()
    assert row["options"]["dropout"] == 0.5
    assert row["options"]["convs"] == [2, 2, 3, 3, 3]
    assert row["fidelity"] == "reconstructed"

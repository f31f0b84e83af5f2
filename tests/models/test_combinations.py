"""The design space: names say everything, combinations build, the ladder changes one thing at a time."""

from dataclasses import asdict

import numpy as np
import pytest

from bloodcell.errors import ModelNotFoundError
from bloodcell.models import CATALOG, build_model, get_spec
from bloodcell.models.catalog import name_of
from bloodcell.models.combinations import BASE, LADDER, Combination, all_combinations, parse_combination


def test_each_name_leads_back_to_its_combination():
    names = {one.name: one for one in all_combinations()}
    assert len(names) == 3 * 2 * 3 * 4 * 3 * 2
    assert all(parse_combination(name) == one for name, one in names.items())
    assert not names.keys() & CATALOG.keys()
    assert Combination(4, True, 0.4, 1e-3, "se", True).name == "net4_bn_dropout40_l2_1e-3_se_residual"


@pytest.mark.parametrize("name", ["net5", "net4_dropout30", "net4_bn_bn", "cnn_4", "net4_se_bn", ""])
def test_other_names_are_no_combination(name):
    assert parse_combination(name) is None


def test_what_is_not_in_the_space_is_refused():
    with pytest.raises(ValueError, match=r"dropout must be one of .* received 0.3"):
        Combination(dropout=0.3)


def test_a_combination_is_a_row_like_any_other():
    spec = get_spec("net3_bn_se")
    assert spec.origin == "ladder"
    assert spec.description == ("A CNN of three blocks with batch normalization and squeeze-and-excitation attention.")
    with pytest.raises(ModelNotFoundError):
        get_spec("net9_bn")


def test_each_step_of_the_ladder_changes_one_thing():
    base = asdict(BASE)
    for step in LADDER:
        changed = [key for key, value in asdict(step.combination).items() if value != base[key]]
        assert changed == [step.idea]
    assert len({step.name for step in LADDER}) == len(LADDER) == 11


def test_the_base_and_two_steps_are_networks_of_the_study():
    for combination, row in (
        (BASE, "cnn_bn_dropout40"),
        (Combination(4, True), "cnn_bn"),
        (Combination(4, True, 0.4, residual=True), "cnn_residual"),
        (Combination(4, True, 0.0, 1e-3), "cnn_bn_l2_1e-3"),
    ):
        assert get_spec(combination.name).all_options == CATALOG[row].all_options
        assert name_of(combination) == row
    assert name_of(LADDER[0].combination) == "net2_bn_dropout40"


@pytest.mark.parametrize(
    "name", ["net2", "net3_l2_1e-2_residual", "net4_bn_cbam", "net4_bn_dropout50_se_residual", "net4_dropout40"]
)
def test_combinations_score_images(name):
    model = build_model(name)
    scores = np.asarray(model(np.zeros((2, 64, 64, 3), "float32"), training=False))
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, rtol=1e-5)
    has_batch_norm = any(type(layer).__name__ == "BatchNormalization" for layer in model.layers)
    assert has_batch_norm == ("_bn" in name)

"""The experiments are complete, change one thing at a time, and share what they have in common."""

from dataclasses import asdict

from bloodcell.models import CATALOG, get_spec
from bloodcell.models.combinations import LADDER
from bloodcell.training import RECIPES, recipe_for
from bloodcell.training.augmentation import AUGMENTATIONS
from bloodcell.training.experiments import AUGMENTATION_ARMS, EXPERIMENTS, LADDER_NETWORKS


def test_every_trial_can_be_trained_and_has_a_name_of_its_own():
    for experiment in EXPERIMENTS.values():
        for trial in experiment.trials:
            assert get_spec(trial.model).name == trial.model
            assert trial.recipe_name in RECIPES
            assert trial.run_name.partition(".")[0] == trial.model
        names = [trial.run_name for trial in experiment.trials]
        assert len(set(names)) == len(names)
        seeds = [trial.seed for trial in experiment.trials]
        assert seeds == sorted(seeds)  # one seed of everything first


def test_the_ladder_trains_base_and_steps_with_three_seeds_under_one_recipe():
    trials = EXPERIMENTS["ladder"].trials
    assert len(trials) == (1 + len(LADDER)) * 3
    assert {trial.recipe_name for trial in trials} == {recipe_for("cnn_bn_dropout40")[0]}
    assert trials[0].run_name == "cnn_bn_dropout40.study-seed0"
    assert {trial.model for trial in trials} == set(LADDER_NETWORKS.values())


def test_the_augmentation_study_is_what_the_question_asks():
    counts = {}
    for trial in EXPERIMENTS["augmentation"].trials:
        key = (trial.model, RECIPES[trial.recipe_name].augmentation)
        counts[key] = counts.get(key, 0) + 1
        assert trial.label == RECIPES[trial.recipe_name].augmentation
    arms = ("none", "study_balanced", "symmetries_shift")
    assert counts == {
        **{(network, arm): 3 for network in ("cnn_bn_dropout40", "cnn_se") for arm in arms},
        **{("vgg16_dropout", arm): 2 for arm in ("none", "symmetries_shift")},
    }


def test_an_augmented_arm_changes_the_augmentation_alone():
    for network, arms in AUGMENTATION_ARMS.items():
        assert arms["none"] == recipe_for(network)[0]
        plain = asdict(RECIPES[arms["none"]])
        for arm, recipe_name in arms.items():
            changed = {key: value for key, value in asdict(RECIPES[recipe_name]).items() if value != plain[key]}
            assert changed == ({} if arm == "none" else {"augmentation": arm})
            assert arm in AUGMENTATIONS


def test_experiments_share_trials():
    names = {key: {trial.run_name for trial in one.trials} for key, one in EXPERIMENTS.items()}
    assert "cnn_bn_dropout40.study-seed1" in names["ladder"] & names["augmentation"] & names["seeds"]
    assert {trial.model for trial in EXPERIMENTS["seeds"].trials} <= set(CATALOG)

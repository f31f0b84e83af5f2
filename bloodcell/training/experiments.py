"""The experiments behind the Findings page, as data: which networks are trained how often, the most telling first.

An experiment is a list of trials; a trial is one training, kept without weights as the run `NAME.RECIPE-seedN`. The
names say everything, so that experiments share the trials that they have in common: the base of the ladder, the arms
without augmentation and the seeds of the study's rows are trained once.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bloodcell.models.catalog import name_of
from bloodcell.models.combinations import BASE, LADDER, LADDER_SEEDS
from bloodcell.training.recipes import recipe_for


@dataclass(frozen=True)
class Trial:
    """One training of an experiment.

    Attributes:
        model: Catalog row or combination.
        recipe_name: Key of `RECIPES`.
        seed: Of everything random.
        label: What this trial varies, in a few words.
        as_artifact: Trained as the network's artifact was, where there is one and its recipe was altered (fewer epochs,
            another number format): a seed of another training would say nothing of this one.
    """

    model: str
    recipe_name: str
    seed: int
    label: str
    as_artifact: bool = False

    @property
    def tag(self) -> str:
        """Tag of the run, which names recipe and seed."""
        return f"{self.recipe_name}-seed{self.seed}"

    @property
    def run_name(self) -> str:
        """Name of the run."""
        return f"{self.model}.{self.tag}"


@dataclass(frozen=True)
class Experiment:
    """A question that several trainings answer together.

    Attributes:
        name: Key of `EXPERIMENTS` and word of the command line.
        question: What it asks.
        trials: In the order in which they are worth training.
    """

    name: str
    question: str
    trials: tuple[Trial, ...]

    @property
    def command(self) -> str:
        """The one command that trains what is missing."""
        return f"./dev python -m bloodcell experiment {self.name}"


LADDER_RECIPE = "study"
"""The recipe of every network of the ladder, that of its base."""

LADDER_NETWORKS: dict[str, str] = {"base": name_of(BASE)} | {step.label: name_of(step.combination) for step in LADDER}
"""Label of each network of the ladder, the base first, and the name under which it is trained."""

_ARMS_OF_CNNS = {"none": "study", "study_balanced": "study_balanced", "symmetries_shift": "study_symmetries"}
AUGMENTATION_ARMS: dict[str, dict[str, str]] = {
    "cnn_bn_dropout40": _ARMS_OF_CNNS,
    "cnn_se": _ARMS_OF_CNNS,
    "vgg16_dropout": {"none": "study_vgg", "symmetries_shift": "study_vgg_symmetries"},
}
"""Of each network, the recipe of each arm; an arm is a name of `AUGMENTATIONS`."""

AUGMENTATION_SEEDS: dict[str, Sequence[int]] = {
    "cnn_bn_dropout40": (0, 1, 2),
    "cnn_se": (0, 1, 2),
    "vgg16_dropout": (0, 1),
}

SEED_NETWORKS = (
    "cnn_bn_dropout40",
    "cnn_se",
    "cnn_bn",
    "hemanet_tiny",
    "vgg16_dropout",
    "vgg16",
    "vgg16_se",
    "vgg16_cbam",
    "resnet18",
    "cnn_4",
)
"""Rows on whose small differences the answers to the study's questions hang."""
SEEDS = (0, 1, 2)


def _by_seed(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Return all trials of the first seed, then those of the next: one of everything tells more than two of half."""
    return tuple(sorted(trials, key=lambda trial: trial.seed))


EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "ladder",
            "What does each idea of the study change, one at a time?",
            _by_seed(
                Trial(network, LADDER_RECIPE, seed, label)
                for (label, network), seed in itertools.product(LADDER_NETWORKS.items(), LADDER_SEEDS)
            ),
        ),
        Experiment(
            "augmentation",
            "Does augmentation hurt?",
            _by_seed(
                Trial(network, recipe, seed, arm)
                for network, arms in AUGMENTATION_ARMS.items()
                for arm, recipe in arms.items()
                for seed in AUGMENTATION_SEEDS[network]
            ),
        ),
        Experiment(
            "seeds",
            "How much of a difference between two networks is chance?",
            _by_seed(
                Trial(network, recipe_for(network)[0], seed, f"seed {seed}", as_artifact=True)
                for network, seed in itertools.product(SEED_NETWORKS, SEEDS)
            ),
        ),
    )
}

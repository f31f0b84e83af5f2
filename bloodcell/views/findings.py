"""What the answers of the Findings page are made of: networks with their trainings, comparisons, and words for both."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bloodcell.evaluation.evidence import Evidence, correct_together, find_evidence
from bloodcell.evaluation.repeated import Repeated
from bloodcell.models.catalog import OPTION_LABELS, differences, get_spec
from bloodcell.training.experiments import EXPERIMENTS, LADDER_NETWORKS
from bloodcell.views.quantities import MISSING, percent, points

BASE = "base"
"""Label of the ladder's base, as in `LADDER_NETWORKS`."""
BACKEND_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
SETTING_LABELS = {
    "num_epochs": "epochs",
    "batch_size": "images per step",
    "schedule": "schedule of the learning rate",
    "patience": "epochs of patience",
    "ema_decay": "decay of averaged weights",
    "clip_norm": "longest gradient",
    "compute_dtype": "numbers computed in",
    "max_images": "images trained on",
    "norm_momentum": "momentum of batch normalization",
    "teacher_share": "share of the targets that a teacher decides",
    "mixup": "alpha of mixup",
}
"""Fields of a recipe whose name is not yet what a reader would call them."""


@dataclass(frozen=True, eq=False)
class Network:
    """One network with every training that differs in the seed alone.

    Attributes:
        name: What it is called in evidence: a catalog row, a step of the ladder, or an arm of the augmentation study.
        model: Catalog row or combination that it is.
        val, test: Answers of its trainings on both splits.
        ece: Expected calibration error on test of each training.
        weights_mb: float32 weights, bytes / 1024².
        latency_ms: Median of one image; NaN where nothing was timed.
        recipe: Everything that decided its trainings besides graph, seed and data; empty where not known.
        planned_epochs: Epochs of its recipe as published; 0 where not known. `recipe` says how many it was trained for.
        seed_spread: Standard deviation of the accuracy on test over seeds, pooled over everything trained; 0 where not
            known.
        machines: Backend and device of its trainings, in words, each once.
    """

    name: str
    model: str
    val: Repeated
    test: Repeated
    ece: tuple[float, ...]
    weights_mb: float
    latency_ms: float = math.nan
    recipe: Mapping[str, Any] = field(default_factory=dict)
    planned_epochs: int = 0
    seed_spread: float = 0.0
    machines: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """Key of `FAMILIES`."""
        return get_spec(self.model).family

    @property
    def origin(self) -> str:
        """ "study", "ours" or "ladder"."""
        return get_spec(self.model).origin

    @property
    def shortened(self) -> str:
        """ "10 of 20 epochs" where it was trained for fewer than its recipe plans; empty otherwise."""
        num_epochs = self.recipe.get("num_epochs", self.planned_epochs)
        return f"{num_epochs} of {self.planned_epochs} epochs" if num_epochs < self.planned_epochs else ""


@dataclass(frozen=True)
class Missing:
    """Something that a question still waits for, and the command that brings it."""

    what: str
    command: str


@dataclass(frozen=True)
class Finding:
    """One question and its computed answer.

    Attributes:
        key: Short name, the anchor of the heading.
        question: The heading.
        short: The answer in a line.
        answer: The answer in sentences, Markdown.
        evidence: Comparisons behind it, corrected for one another.
        caveat: What the evidence does not show.
        missing: What is not trained yet.
        is_answered: Whether there is evidence for the main part of the question.
    """

    key: str
    question: str
    short: str
    answer: str
    evidence: tuple[Evidence, ...] = ()
    caveat: str = ""
    missing: tuple[Missing, ...] = ()
    is_answered: bool = True


def describe_difference(one: Evidence) -> str:
    """Return a difference with its interval, such as "+1.8 ± 0.5 points, p < 0.001"; a claim is bold."""
    margin = 100 * (one.interval[1] - one.interval[0]) / 2
    digits = 2 if abs(100 * abs(one.difference) - margin) < 0.1 else 1  # on which side of zero the interval ends
    text = f"{signed(one.difference, digits)} ± {margin:.{digits}f} points"
    return f"{text if one.verdict == 'undecided' else f'**{text}**'}, p {describe_p(one.p_corrected)}"


def signed(difference: float, digits: int = 1) -> str:
    """Return a difference of two fractions in points without the word, such as "+1.8" or "−0.2"."""
    return points(difference, digits).removesuffix(" points")


def describe_p(value: float) -> str:
    """Return a p-value as it stands in a sentence: "< 0.001" or "= 0.03"."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}" if value < 0.01 else f"= {value:.2f}"


def describe_no_difference(one: Evidence) -> str:
    """Return in words that the evidence carries no claim: "no difference that one seed can show"."""
    number = {1: "one seed", 2: "two seeds", 3: "three seeds"}.get(one.num_seeds, f"{one.num_seeds} seeds")
    return f"no difference that {number} can show"


def compare(networks: Mapping[str, Network], pairs: Iterable[tuple[str, str]]) -> list[Evidence]:
    """Return the evidence of every pair of which both are trained, corrected for all of them together."""
    return correct_together(compare_two(networks[a], networks[b]) for a, b in pairs if a in networks and b in networks)


def compare_two(a: Network, b: Network) -> Evidence:
    """Return the evidence of one pair on test, not corrected for any other."""
    return find_evidence(a.name, b.name, a.test, b.test, max(a.seed_spread, b.seed_spread))


def best_on_val(networks: Iterable[Network]) -> Network | None:
    """Return the network with the highest mean accuracy on val; the lighter one of two that are equal."""
    return max(networks, key=lambda one: (one.val.accuracy, -one.weights_mb), default=None)


def missing_rows(
    networks: Mapping[str, Network], names: Iterable[str], elsewhere: Collection[str] = ()
) -> tuple[Missing, ...]:
    """Return those of some catalog rows that are not trained, as one entry with one command.

    Args:
        networks: What is trained and can be compared.
        names: The rows that a question wants.
        elsewhere: Rows trained on another file of the dataset: they cannot be compared, and are not missing either.
    """
    absent = [name for name in dict.fromkeys(names) if name not in networks and name not in elsewhere]
    if not absent:
        return ()
    return (Missing(", ".join(absent), f"./dev python -m bloodcell train {' '.join(absent)}"),)


def missing_trials(experiment: str, num_missing: int) -> tuple[Missing, ...]:
    """Return what an experiment still lacks as one entry; empty where it is complete."""
    if not num_missing:
        return ()
    plan = EXPERIMENTS[experiment]
    what = f"{num_missing} of the {len(plan.trials)} trainings of the {experiment} experiment"
    return (Missing(what, plan.command),)


def list_settings(a: Network, b: Network) -> list[tuple[str, str, str]]:
    """Return what differs between how two networks were trained: the setting's name and both values, in words."""
    if not a.recipe or not b.recipe:
        return []
    return [
        (
            SETTING_LABELS.get(key, key.replace("_", " ")),
            write_setting(key, a.recipe[key]),
            write_setting(key, b.recipe[key]),
        )
        for key in a.recipe
        if a.recipe[key] != b.recipe[key]
    ]


def write_setting(field: str, value: Any) -> str:
    """Return one value of a field of a recipe as a reader would write it; the name of a model stays as it is."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if field == "teacher" else str(value).replace("_", " ")


def join_words(parts: Sequence[str], separator: str = ", ") -> str:
    """Return parts as one enumeration with "and" before the last; parted by semicolons, without it."""
    if separator == "; " or len(parts) < 2:
        return separator.join(parts)
    return f"{separator.join(parts[:-1])} and {parts[-1]}"


def other_differences(one: Evidence, options: set[str], networks: Mapping[str, Network]) -> list[str]:
    """Return what the two networks of a comparison differ in besides some options: in their graph, in their training.

    Args:
        one: A comparison of catalog rows or steps of the ladder.
        options: What the question is about.
        networks: Both networks, by the names that `one` has for them.
    """
    a, b = (LADDER_NETWORKS.get(name, name) for name in (one.a, one.b))
    graphs = [
        (name_option(found.option), found.value_a, found.value_b)
        for found in differences(a, b)
        if found.option not in options
    ]
    settings = list_settings(networks[one.a], networks[one.b])
    return [f"{label} ({value_a}, not {value_b})" for label, value_a, value_b in [*graphs, *settings]]


def name_option(option: str) -> str:
    """Return what an option of a network is called inside a sentence."""
    label = OPTION_LABELS[option]
    return label if label[1].isdigit() else label[0].lower() + label[1:]  # "L2 penalty", but "padding"


def describe_shortened(networks: Iterable[Network]) -> str:
    """Say which networks were trained for fewer epochs than their recipe plans; empty where none was."""
    short = [f"{one.name} ({one.shortened})" for one in networks if one.shortened]
    if not short:
        return ""
    return f"Trained for fewer epochs than the recipe plans, so perhaps at less than their best: {', '.join(short)}."


def describe_machines(networks: Iterable[Network]) -> str:
    """Say that networks were trained on several backends or devices; empty where all were trained on one."""
    machines = list(dict.fromkeys(machine for one in networks for machine in one.machines))
    if len(machines) < 2:
        return ""
    return (
        f"Trained partly on {', partly on '.join(machines)}: by the same code, with another random start for a seed "
        "and another order of sums."
    )


def describe_machine(backend: str, device: str) -> str:
    """Return what a training ran on, such as "TensorFlow (AMD EPYC, 2 cores)"."""
    return f"{BACKEND_NAMES.get(backend, backend)} ({device})"


def describe_accuracy(network: Repeated) -> str:
    """Return the mean accuracy with its spread over seeds, such as "95.9 % ± 0.2 over 3 seeds"."""
    if math.isnan(network.spread):
        return f"{percent(network.accuracy)} (one seed)"
    return f"{percent(network.accuracy)} ± {100 * network.spread:.1f} over {network.num_trainings} seeds"


def mean_ece(network: Network) -> str:
    """Return the mean calibration error over seeds as text."""
    return percent(float(np.mean(network.ece))) if network.ece else MISSING

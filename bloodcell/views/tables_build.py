"""The design space of the CNN family as a reader meets it: switches, one switch from here, costs, and what changed."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from bloodcell.artifact import Artifact, Shelf
from bloodcell.artifact.trials import complete_recipe, trained_on
from bloodcell.evaluation.evidence import Evidence
from bloodcell.evaluation.repeated import Change, Repeated
from bloodcell.models.catalog import CATALOG, name_of
from bloodcell.models.combinations import ATTENTIONS, DEPTHS, DROPOUTS, PENALTIES, Combination, all_combinations
from bloodcell.views import findings
from bloodcell.views.quantities import megabytes, percent
from bloodcell.views.tables_evaluation import layers_table

BYTES_PER_FLOAT = 4
BYTES_PER_MB = 1024**2
DEPTH_WORDS = {2: "two", 3: "three", 4: "four"}
CHOICES: dict[str, tuple[Any, ...]] = {
    "depth": DEPTHS,
    "batch_norm": (False, True),
    "dropout": DROPOUTS,
    "l2": PENALTIES,
    "attention": ATTENTIONS,
    "residual": (False, True),
}
"""Every switch and its values, in the order they stand on the page."""


@dataclass(frozen=True)
class Neighbour:
    """A network that differs in one switch: which, to what value, in words, and the network."""

    switch: str
    value: Any
    label: str
    combination: Combination


@dataclass(frozen=True, eq=False)
class Trained:
    """The trainings of one network under one set of settings.

    Attributes:
        name: The network.
        settings: What all of them were trained with; two of equal settings can be compared.
        artifacts: One per seed, by seed.
        num_others: Trainings of the same network under other settings, which are left out.
    """

    name: str
    settings: str
    artifacts: tuple[Artifact, ...]
    num_others: int

    @property
    def own(self) -> bool:
        """Whether all of them are the user's own, none the project's."""
        return all(artifact.own for artifact in self.artifacts)


def describe_value(switch: str, value: Any) -> str:
    """Return one switch's value in words, such as "two blocks" or "no dropout"."""
    if switch == "depth":
        return f"{DEPTH_WORDS[value]} blocks"
    if switch == "batch_norm":
        return "batch normalization" if value else "no batch normalization"
    if switch == "dropout":
        return f"dropout {value:g}" if value else "no dropout"
    if switch == "l2":
        return f"L2 penalty {value:g}" if value else "no L2 penalty"
    if switch == "attention":
        return {"none": "no attention", "se": "SE attention", "cbam": "CBAM attention"}[value]
    return "residual connections" if value else "no residual connections"


def list_neighbours(combination: Combination) -> list[Neighbour]:
    """Return every network that one switch makes of this one, in the order of the switches."""
    return [
        Neighbour(switch, value, describe_value(switch, value), replace(combination, **{switch: value}))
        for switch, values in CHOICES.items()
        for value in values
        if value != getattr(combination, switch)
    ]


def describe_difference(one: Combination, other: Combination) -> str:
    """Return what the first has that the second has not, in words; empty where they are the same network."""
    changed = [f.name for f in fields(one) if getattr(one, f.name) != getattr(other, f.name)]
    return ", ".join(describe_value(switch, getattr(one, switch)) for switch in changed)


def count_differences(one: Combination, other: Combination) -> int:
    """Return in how many switches two networks differ."""
    return sum(getattr(one, f.name) != getattr(other, f.name) for f in fields(one))


def study_name(combination: Combination) -> str | None:
    """Return the study's name of this network, or None if the study did not train it."""
    name = name_of(combination)
    return name if name in CATALOG else None


def group_trainings(shelf: Shelf) -> dict[str, dict[str, tuple[Artifact, ...]]]:
    """Return the trainings of the design space: combination's own name -> settings -> one per seed in their order.

    Of several of one seed the project's counts before the user's own, the study's name before the combination's.
    """
    combinations = {name: one.name for one in all_combinations() for name in (name_of(one), one.name)}
    found = [one for one in (*shelf.artifacts.values(), *shelf.runs.values()) if one.model_name in combinations]
    groups: dict[str, dict[str, dict[int, Artifact]]] = {}
    for artifact in sorted(found, key=lambda one: (one.own, one.model_name not in CATALOG)):
        of_network = groups.setdefault(combinations[artifact.model_name], {})
        of_network.setdefault(describe_settings(artifact), {}).setdefault(artifact.manifest.seed, artifact)
    return {
        name: {settings: tuple(by_seed[seed] for seed in sorted(by_seed)) for settings, by_seed in of_network.items()}
        for name, of_network in groups.items()
    }


def describe_settings(artifact: Artifact) -> str:
    """Return what a training was made with besides graph and seed: the whole recipe, and the data."""
    return json.dumps([complete_recipe(artifact.manifest.recipe), trained_on(artifact)], sort_keys=True)


def find_trained(shelf: Shelf, base: Combination) -> dict[str, Trained]:
    """Return the trainings of each network of the design space, by the combination's own name.

    Settings are those of the base where a network was trained with them, so that as many as can be are comparable. The
    base is shown by the project's trainings where there are any, and so is any other network.
    """
    groups = group_trainings(shelf)
    of_base = groups.get(base.name, {})
    reference = _choose_settings(of_base, of_base, None) if of_base else None
    return {
        one.name: _make_trained(one, groups[one.name], _choose_settings(groups[one.name], of_base, reference))
        for one in all_combinations()
        if one.name in groups
    }


def find_equal(shelf: Shelf, settings: str) -> dict[str, Trained]:
    """Return the trainings under one set of settings, which can be compared, by the combination's own name."""
    groups = group_trainings(shelf)
    return {
        one.name: _make_trained(one, groups[one.name], settings)
        for one in all_combinations()
        if settings in groups.get(one.name, {})
    }


def neighbours_table(
    combination: Combination,
    graph: Mapping[str, Any],
    graphs: Mapping[str, Mapping[str, Any]],
    results: Mapping[str, Repeated],
) -> pd.DataFrame:
    """Return this network and every one that one switch makes of it, with costs and, where trained, accuracies.

    Args:
        combination: The network on the page; it is the first row.
        graph: Its graph.
        graphs: Graph of each neighbour, by the combination's own name.
        results: Trainings of those that are trained under the same settings, by the combination's own name.

    Returns:
        switch ("this network" in the first row), change, name, accuracy, spread (fractions, NaN where there is none),
        difference (accuracy minus this network's), seeds, parameters, flops, parameters_change, flops_change.
    """
    own = results.get(combination.name)
    rows = [("this network", "as it stands", combination)]
    rows += [(one.switch.replace("_", " "), one.label, one.combination) for one in list_neighbours(combination)]
    table = []
    for switch, change, other in rows:
        result = results.get(other.name)
        cost = graph if other == combination else graphs[other.name]
        table.append(
            {
                "switch": switch,
                "change": change,
                "name": name_of(other),
                "accuracy": result.accuracy if result else math.nan,
                "spread": result.spread if result else math.nan,
                "difference": result.accuracy - own.accuracy if result and own and result is not own else math.nan,
                "seeds": result.num_trainings if result else 0,
                "parameters": cost["parameters"],
                "parameters_change": cost["parameters"] - graph["parameters"],
                "flops": cost["flops"],
                "flops_change": cost["flops"] - graph["flops"],
            }
        )
    return pd.DataFrame(table)


def cost_table(graph: Mapping[str, Any]) -> pd.DataFrame:
    """Return `layers_table` with each layer's memory: float32 bytes of its weights and of its output for one image."""
    table = layers_table(graph)
    outputs = [math.prod(layer["output_shape"]) for layer in graph["layers"]]
    table["weight_bytes"] = BYTES_PER_FLOAT * table["parameters"]
    table["output_bytes"] = BYTES_PER_FLOAT * np.array(outputs, dtype=np.int64)
    return table


def describe_memory(layers: pd.DataFrame) -> tuple[str, str]:
    """Return the memory of the weights, and of all layers' outputs for one image, as text."""
    return (
        megabytes(layers["weight_bytes"].sum() / BYTES_PER_MB),
        megabytes(layers["output_bytes"].sum() / BYTES_PER_MB),
    )


def describe_accuracy(result: Repeated) -> str:
    """Return the mean accuracy with its spread over seeds, such as "95.9 % ± 0.2"; one seed has no spread."""
    spread = "" if math.isnan(result.spread) else f" ± {100 * result.spread:.1f}"
    return f"{percent(result.accuracy)}{spread}"


def describe_change(evidence: Evidence, name: str) -> str:
    """Return in a sentence what the first of two networks may be said to do better, by the rule of Findings."""
    if evidence.difference == 0:
        return f"Exactly as often right as {name}."
    amount = findings.describe_difference(evidence)
    if evidence.verdict == "undecided":
        return f"Compared with {name}: {amount}; **{findings.describe_no_difference(evidence)}**."
    return f"**{evidence.verdict.capitalize()}** than {name}, more than chance: {amount}."


def class_changes_table(change: Change, class_names: Sequence[str]) -> pd.DataFrame:
    """Return per class the images and the recall of both networks, fractions, and the difference."""
    return pd.DataFrame(
        {
            "class": [class_names[one.class_index] for one in change.per_class],
            "images": [one.num_images for one in change.per_class],
            "first": [one.first for one in change.per_class],
            "second": [one.second for one in change.per_class],
            "difference": [one.difference for one in change.per_class],
        }
    )


def image_counts_table(change: Change, first: Repeated, class_names: Sequence[str]) -> pd.DataFrame:
    """Return per class how many images the first network gets right more often, and how many less often."""
    labels = first.y_true[change.rows_first]
    return pd.DataFrame(
        {
            "class": list(class_names),
            "more often right": [int((change.gains[labels == index] > 0).sum()) for index in range(len(class_names))],
            "less often right": [int((change.gains[labels == index] < 0).sum()) for index in range(len(class_names))],
        }
    )


def describe_answers(result: Repeated, row: int, class_names: Sequence[str]) -> str:
    """Return what the seeds of one network answered for one image, such as "right" or "2 × neutrophil, 1 right"."""
    y_true = int(result.y_true[row])
    labels, counts = np.unique(result.y_pred[:, row], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    alone = result.num_trainings == 1
    parts = [
        ("right" if labels[i] == y_true else class_names[labels[i]]) + ("" if alone else f" ×{counts[i]}")
        for i in order.tolist()
    ]
    return ", ".join(parts)


def images_table(
    change: Change,
    rows: np.ndarray,
    first: Repeated,
    second: Repeated,
    names: tuple[str, str],
    class_names: Sequence[str],
) -> pd.DataFrame:
    """Return one row per changed image: pixel hash, true class, the answers of both networks.

    Args:
        rows: Places in `change.rows_first`.
        names: What the two networks are called.
    """
    of_first, of_second = change.rows_first[rows], change.rows_second[rows]
    return pd.DataFrame(
        {
            "image": of_first,
            "pixel hash": [f"{image_hash:016x}" for image_hash in first.image_hashes[of_first].tolist()],
            "true class": [class_names[label] for label in first.y_true[of_first].tolist()],
            names[0]: [describe_answers(first, row, class_names) for row in of_first.tolist()],
            names[1]: [describe_answers(second, row, class_names) for row in of_second.tolist()],
        }
    )


def _make_trained(combination: Combination, of_settings: Mapping[str, tuple[Artifact, ...]], settings: str) -> Trained:
    others = sum(len(artifacts) for key, artifacts in of_settings.items() if key != settings)
    return Trained(name_of(combination), settings, of_settings[settings], others)


def _choose_settings(
    of_settings: Mapping[str, Sequence[Artifact]], of_base: Mapping[str, Sequence[Artifact]], reference: str | None
) -> str:
    """Return the settings that a network is shown under.

    These are `reference`, else those of the artifact that the other pages show, else any of the project's before the
    user's own; of those that are left, the ones that the base was trained with too, then those with the most seeds.
    """

    def rank(settings: str) -> tuple[bool, bool, bool, bool, int]:
        kinds = [one.kind for one in of_settings[settings] if not one.own]
        of_artifact = "artifact" in kinds
        return settings == reference, of_artifact, bool(kinds), settings in of_base, len(of_settings[settings])

    return max(of_settings, key=rank)

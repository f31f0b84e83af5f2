"""What the Findings page reads, kept in memory between reruns and made anew when any artifact or run changes."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import streamlit as st

from bloodcell.artifact import Artifact, Shelf
from bloodcell.artifact.trials import (
    TrialState,
    complete_recipe,
    count_epochs,
    find_common_dataset,
    find_repeats,
    find_trials,
)
from bloodcell.dataset.twins import Twin, find_twins
from bloodcell.evaluation.ceiling import Answered, Ceiling, choose_good, find_ceiling
from bloodcell.evaluation.repeated import gather_trainings, pool_spread
from bloodcell.inference.benchmark import Benchmark, load_benchmark
from bloodcell.inference.ladder_times import LADDER_TIMES_FILE
from bloodcell.models.catalog import CATALOG
from bloodcell.models.graphs import find_graph
from bloodcell.training.experiments import AUGMENTATION_ARMS, EXPERIMENTS, LADDER_NETWORKS
from bloodcell.views import cache
from bloodcell.views.findings import Finding, Network, describe_machine
from bloodcell.views.findings_answers import (
    answer_attention,
    answer_augmentation,
    answer_depth,
    answer_ladder,
    answer_lightweight,
    network_arm_name,
)
from bloodcell.views.tables import describe_benchmark


@dataclass(frozen=True, eq=False)
class Evidenced:
    """Everything that the questions are answered from.

    Attributes:
        networks: Trained catalog rows by name.
        ladder: Trained networks of the ladder by label, the base among them.
        arms: Trained arms of the augmentation study: network -> arm -> trainings.
        histories: Training curves of each of `arms`, one artifact per seed.
        findings: The answers by key, in the order of the page.
        seed_spread: Standard deviation of the accuracy on test over seeds, pooled over `networks` and `ladder`.
        left_out: Trainings on other images than most, which cannot stand beside the others.
    """

    networks: dict[str, Network]
    ladder: dict[str, Network]
    arms: dict[str, dict[str, Network]]
    histories: dict[str, dict[str, tuple[Artifact, ...]]]
    findings: dict[str, Finding]
    left_out: tuple[str, ...]
    seed_spread: float = 0.0


def load_evidence() -> Evidenced:
    """Return the answers of the Findings page and what they rest on, shared between all readers: never alter it."""
    shelf = cache.load_shelf()
    table = cache.leaderboard()
    known = table[table["latency_ms"].notna()]
    latencies = tuple(zip(known["name"].tolist(), known["latency_ms"].tolist(), strict=True))
    return _load_evidence(shelf.fingerprint, latencies, shelf)


def load_ceiling() -> Ceiling | None:
    """Return the test images that every good model gets wrong; None where nothing is trained."""
    good = choose_good({name: one.val.accuracy for name, one in load_evidence().networks.items()})
    fingerprints = tuple(cache.load_shelf().artifacts[name].fingerprint for name in good)
    return _load_ceiling(tuple(good), fingerprints) if good else None


def load_twins() -> list[tuple[Twin, ...]]:
    """Return the images that stand in the dataset more than once.

    Raises:
        DatasetError: The dataset is missing or damaged.
    """
    splits = {name: cache.load_split(name) for name in ("train", "val", "test")}
    return _load_twins(splits["train"].identity.md5)


@st.cache_resource(max_entries=2, show_spinner=False)
def _load_evidence(fingerprint: str, latencies: tuple[tuple[str, float], ...], _shelf: Shelf) -> Evidenced:
    md5 = find_common_dataset(_shelf)
    timed = dict(latencies)
    everything = (*_shelf.artifacts.values(), *_shelf.runs.values())
    networks = {
        name: _gather(name, name, repeats, timed.get(name, math.nan))
        for name in CATALOG
        if (repeats := find_repeats(_shelf, name)) and repeats[0].manifest.dataset["md5"] == md5
    }
    rungs = find_trials(_shelf, EXPERIMENTS["ladder"].trials, md5)
    ladder = {
        label: _gather(label, model, trained, timed.get(model, math.nan))
        for label, model in LADDER_NETWORKS.items()
        if (trained := _done([one for one in rungs if one.trial.model == model]))
    }
    trials = find_trials(_shelf, EXPERIMENTS["augmentation"].trials, md5)
    histories = {
        network: {
            arm: trained
            for arm, recipe in of.items()
            if (
                trained := _done(
                    [one for one in trials if (one.trial.model, one.trial.recipe_name) == (network, recipe)]
                )
            )
        }
        for network, of in AUGMENTATION_ARMS.items()
    }
    arms = {
        network: {arm: _gather(network_arm_name(network, arm), network, of[arm], math.nan) for arm in of}
        for network, of in histories.items()
    }
    reference = next(iter({**networks, **ladder}.values()), None)
    strangers = [name for name, one in networks.items() if not _share_images(one, reference)]
    networks, ladder = (
        {name: one for name, one in some.items() if _share_images(one, reference)} for some in (networks, ladder)
    )
    arms = {
        network: {arm: one for arm, one in of.items() if _share_images(one, reference)} for network, of in arms.items()
    }
    seeds = find_trials(_shelf, EXPERIMENTS["seeds"].trials, md5)
    num_rungs, num_trials, num_seeds = (sum(one.state != "done" for one in states) for states in (rungs, trials, seeds))
    spread = pool_spread(one.test for one in _each_once(networks, ladder))
    networks, ladder = (
        {name: replace(one, seed_spread=spread) for name, one in some.items()} for some in (networks, ladder)
    )
    arms = {network: {arm: replace(one, seed_spread=spread) for arm, one in of.items()} for network, of in arms.items()}
    left_out = (*strangers, *(one.name for one in everything if one.manifest.dataset["md5"] != md5))
    answers = (
        answer_lightweight(networks, left_out, num_seeds),
        answer_attention(networks, ladder, num_rungs, left_out, num_seeds),
        answer_depth(networks, ladder, num_rungs, left_out, num_seeds),
        answer_augmentation(arms, num_trials),
        answer_ladder(ladder, num_rungs),
    )
    return Evidenced(networks, ladder, arms, histories, {one.key: one for one in answers}, left_out, spread)


def _each_once(networks: dict[str, Network], ladder: dict[str, Network]) -> list[Network]:
    """Return everything trained, each once: the ladder's base and some of its steps are catalog rows too."""
    found = (*networks.values(), *ladder.values())
    return list({(one.model, json.dumps(one.recipe, sort_keys=True)): one for one in found}.values())


def _share_images(one: Network, reference: Network | None) -> bool:
    """Whether two networks answered any common test image, without which nothing can be paired."""
    return reference is not None and bool(np.isin(one.test.image_hashes, reference.test.image_hashes).any())


def _done(states: list[TrialState]) -> tuple[Artifact, ...]:
    return tuple(one.artifact for one in states if one.artifact is not None)


def _gather(name: str, model: str, trainings: tuple[Artifact, ...], latency_ms: float) -> Network:
    val, test = (
        gather_trainings([(one.manifest.seed, one.load_predictions(split)) for one in trainings])
        for split in ("val", "test")
    )
    return Network(
        name,
        model,
        val,
        test,
        tuple(float(one.load_evaluation("test")["ece"]) for one in trainings),
        trainings[0].manifest.weights_bytes_float32 / cache.BYTES_PER_MB,
        latency_ms,
        complete_recipe(trainings[0].manifest.recipe),
        count_epochs(trainings[0])[1],
        machines=tuple(sorted({describe_machine(one.manifest.backend, one.manifest.device) for one in trainings})),
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def _load_ceiling(names: tuple[str, ...], fingerprints: tuple[str, ...]) -> Ceiling:
    answered = {}
    for name in names:
        predictions, scores = cache.load_predictions(name), cache.load_probabilities(name)
        assert predictions is not None and scores is not None
        answered[name] = Answered(predictions.y_true, scores, predictions.image_hashes)
    return find_ceiling(answered)


@st.cache_data(max_entries=2, show_spinner=False)
def _load_twins(md5: str) -> list[tuple[Twin, ...]]:
    splits = {name: cache.load_split(name) for name in ("train", "val", "test")}
    return find_twins({name: (split.image_hashes, split.labels) for name, split in splits.items()})


@st.cache_data(max_entries=64, show_spinner=False)
def load_curves(fingerprints: tuple[str, ...], _artifacts: tuple[Artifact, ...]) -> np.ndarray:
    """Return val accuracy over epochs of several trainings, (trainings, epochs) float64; NaN after the last epoch."""
    curves = [one.load_history()["val_accuracy"].to_numpy(float) for one in _artifacts]
    longest = max(map(len, curves))
    return np.array([np.append(curve, np.full(longest - len(curve), np.nan)) for curve in curves])


@st.cache_data(max_entries=128, show_spinner=False)
def load_graph(name: str) -> dict[str, Any]:
    """Return the layers, parameters and FLOPs of a catalog row or a network of the ladder."""
    graph = find_graph(name)
    assert graph is not None, name
    return graph


def load_times(names: Sequence[str]) -> dict[str, float]:
    """Return ms for one image of those of some networks that were timed together: times of two records never mix."""
    record = _find_record(names)
    return {} if record is None else {name: time for name, time in record.latencies().items() if name in names}


def describe_times(names: Sequence[str]) -> str:
    """Say where the times of some networks come from, or which command measures them."""
    record, times = _find_record(names), load_times(names)
    lacking = [name for name in names if name not in times]
    if not lacking and record is not None:
        return f"Time: one image, median; {describe_benchmark(record)}. FLOPs count a multiply-add as two."
    listed = " and ".join(lacking)
    if not all(name in CATALOG for name in names):
        return f"No time of {listed} beside the other yet: `./dev python -m bloodcell measure ladder` measures both."
    untrained = [name for name in lacking if name not in cache.load_shelf().artifacts]
    if untrained:
        return f"No time of {listed}: a network is timed once it is trained, by `./dev python -m bloodcell train`."
    return f"No time of {listed} yet: `./dev python -m bloodcell benchmark --save` measures it."


def _find_record(names: Sequence[str]) -> Benchmark | None:
    """Return the record that has the most of some networks; of equals the ladder's for its own, else that of models."""
    of_ladder = load_benchmark(file_name=LADDER_TIMES_FILE)
    records = [record for record in (cache.load_benchmark(), of_ladder) if record is not None]
    if set(names) <= set(LADDER_NETWORKS.values()):
        records.reverse()
    return max(records, key=lambda record: len(set(names) & set(record.latencies())), default=None)

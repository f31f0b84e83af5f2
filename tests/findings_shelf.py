"""A shelf whose networks answered the same images: rows of the catalog, the ladder and the augmentation study."""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from shelf import write_artifact, write_run

from bloodcell.artifact import Predictions
from bloodcell.models.graphs import find_graph
from bloodcell.training import RECIPES, recipe_for
from bloodcell.training.experiments import Trial

NUM_IMAGES = 600
ROWS = {
    "cnn_3": 0.90,
    "cnn_4": 0.92,
    "cnn_bn": 0.955,
    "cnn_bn_dropout40": 0.965,
    "cnn_se": 0.96,
    "vgg16": 0.965,
    "vgg16_dropout": 0.97,
    "vgg16_se": 0.90,
    "hemanet_tiny": 0.975,
}


def answer_images(accuracy: float, chance: str, num_images: int = NUM_IMAGES) -> list[Predictions]:
    """Return answers on val and test that are right for that share of the same images; `chance` says for which."""
    found = []
    for number, split in enumerate(("val", "test")):
        images = np.random.default_rng(number)
        y_true = images.integers(0, 8, num_images)
        hashes = images.integers(0, 2**63, num_images).astype(np.uint64)
        hardness = images.random(num_images)  # some images are hard for all
        own = np.random.default_rng([number, zlib.crc32(chance.encode())])
        order = np.argsort(hardness + own.normal(0, 0.02, num_images))
        wrong = order[round(accuracy * num_images) :]
        y_pred = y_true.copy()
        y_pred[wrong] = (y_true[wrong] + 1 + (hardness[wrong] > 0.99)) % 8
        logits = own.normal(0, 1, (num_images, 8)).astype(np.float32)
        logits[np.arange(num_images), y_pred] += 8
        found.append(Predictions(split, y_true, logits, hashes))
    return found


def write_rows(directory: Path, rows: Mapping[str, float] = ROWS, **fields: object) -> None:
    """Write artifacts of catalog rows, trained by their own recipe."""
    for name, accuracy in rows.items():
        recipe_name, recipe = recipe_for(name)
        graph = find_graph(name)
        assert graph is not None
        write_artifact(
            directory,
            name,
            accuracy,
            graph["parameters"],
            predictions=answer_images(accuracy, name),
            recipe_name=recipe_name,
            recipe=asdict(recipe),
            **fields,
        )


def write_trials(directory: Path, trials: Iterable[Trial], accuracies: Mapping[str, float]) -> None:
    """Write the runs of trials, at the accuracy of their label; a label without one is left out."""
    for trial in trials:
        if trial.label not in accuracies:
            continue
        accuracy = accuracies[trial.label] - 0.002 * trial.seed
        graph = find_graph(trial.model)
        assert graph is not None
        write_run(
            directory,
            trial.run_name,
            accuracy=accuracy,
            parameters=graph["parameters"],
            predictions=answer_images(accuracy, trial.run_name),
            recipe_name=trial.recipe_name,
            recipe=asdict(RECIPES[trial.recipe_name]),
            seed=trial.seed,
        )

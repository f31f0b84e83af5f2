"""Runs of design-space networks without training: synthetic answers of a chosen accuracy, seed by seed."""

import dataclasses
from pathlib import Path

import numpy as np
from shelf import write_artifact

from bloodcell.artifact import Artifact, Predictions, publish_artifact
from bloodcell.dataset import CLASS_NAMES
from bloodcell.evaluation import Evaluation, softmax

NUM_IMAGES = 200
BASE_ROW = "cnn_bn_dropout40"


def write_runs(
    directory: Path,
    model: str,
    num_wrong: tuple[int, ...],
    recipe: dict | None = None,
    hashes: np.ndarray | None = None,
) -> list[Artifact]:
    """Write one run per entry of `num_wrong`, seed 0 first; the first so many images are answered one class too high.

    Args:
        directory: The folder of artifacts.
        model: Network that the runs are of.
        num_wrong: Wrong answers of each seed, of NUM_IMAGES.
        recipe: Settings of the training.
        hashes: (NUM_IMAGES,) of the images, so that they can be those of a dataset.
    """
    scratch = write_artifact(directory.parent / "scratch", model)
    runs = []
    for seed, wrong in enumerate(num_wrong):
        predictions = []
        for split in ("val", "test"):
            y_true = np.arange(NUM_IMAGES) % 8
            y_pred = np.where(np.arange(NUM_IMAGES) < wrong, (y_true + 1) % 8, y_true)
            image_hashes = np.arange(NUM_IMAGES, dtype=np.uint64) if hashes is None else hashes
            predictions.append(Predictions(split, y_true, 9 * np.eye(8, dtype=np.float32)[y_pred], image_hashes))
        manifest = dataclasses.replace(
            scratch.manifest,
            name=f"{model}.seed{seed}",
            kind="run",
            seed=seed,
            recipe=recipe or {"num_epochs": 20, "batch_size": 64},
            files={},
        )
        evaluations = {
            p.split: Evaluation.from_predictions(p.y_true, softmax(p.logits), CLASS_NAMES).to_dict()
            for p in predictions
        }
        runs.append(
            publish_artifact(
                manifest,
                weights=None,
                history=scratch.load_history(),
                predictions=predictions,
                evaluations=evaluations,
                directory=directory,
            )
        )
    return runs

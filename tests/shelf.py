"""A shelf of artifacts without training: synthetic logits of a chosen accuracy, written through the artifact room."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bloodcell.artifact import Artifact, Manifest, Predictions, publish_artifact
from bloodcell.dataset import CLASS_NAMES
from bloodcell.evaluation import Evaluation, softmax

NUM_IMAGES = {"train": 11959, "val": 1712, "test": 3421}
# name -> (accuracy, parameters, ms for one image): the order of costs is that of the real networks.
SHELF = {
    "cnn_3": (0.90, 171_848, 0.08),
    "cnn_4": (0.92, 130_792, 0.07),
    "cnn_bn_dropout40": (0.962, 626_024, 0.21),
    "cnn_se": (0.955, 287_807, 0.31),
    "vgg16_dropout": (0.971, 5_787_560, 2.0),
}


def make_predictions(split: str, accuracy: float, seed: int, num_images: int) -> Predictions:
    """Return logits (n, 8) that are right for about `accuracy` of the images."""
    rng = np.random.default_rng([seed, num_images])
    y_true = rng.integers(0, 8, num_images)
    y_pred = np.where(rng.random(num_images) < accuracy, y_true, (y_true + rng.integers(1, 8, num_images)) % 8)
    logits = rng.normal(0, 1, (num_images, 8)).astype(np.float32)
    logits[np.arange(num_images), y_pred] += 7
    return Predictions(split, y_true, logits, rng.integers(0, 2**63, num_images).astype(np.uint64))


def write_artifact(
    directory: Path,
    name: str,
    accuracy: float = 0.9,
    parameters: int = 1000,
    num_images: int = 400,
    predictions: list[Predictions] | None = None,
    **manifest_fields: Any,
) -> Artifact:
    """Write one artifact whose weights are a few bytes; everything that a page reads is in place.

    Args:
        manifest_fields: Fields of the manifest that a test wants otherwise, such as `recipe` or `seed`.
    """
    chance = sum(map(ord, name))
    predictions = predictions or [make_predictions(split, accuracy, chance, num_images) for split in ("val", "test")]
    evaluations = {
        p.split: Evaluation.from_predictions(p.y_true, softmax(p.logits), CLASS_NAMES).to_dict() for p in predictions
    }
    epochs = np.arange(1, 6)
    history = pd.DataFrame(
        {
            "epoch": epochs,
            "loss": 1 / epochs,
            "accuracy": accuracy - 0.3 / epochs,
            "val_loss": 1.1 / epochs,
            "val_accuracy": accuracy - 0.35 / epochs,
            "learning_rate": 1e-3,
            "seconds": 5.0,
        }
    )
    manifest = Manifest(
        name=name,
        kind="artifact",
        model=name.partition(".")[0],
        recipe_name="default",
        recipe={"num_epochs": 5, "batch_size": 64},
        seed=0,
        dataset={"kind": "unknown", "md5": "0" * 32, "label": "synthetic answers", "num_images": NUM_IMAGES},
        input_shape=(64, 64, 3),
        input_range=(0.0, 1.0),
        class_names=CLASS_NAMES,
        parameters=parameters,
        trainable_parameters=parameters,
        weights_bytes_float32=4 * parameters,
        weights_bytes_stored=2 * parameters,
        temperature=1.0,
        best_epoch=4,
        num_epochs=5,
        duration_s=25.0,
        device="processor",
        backend="none",
        versions={"numpy": np.__version__},
        created="2026-01-01T00:00:00Z",
        command=f"./dev python -m bloodcell train {name}",
    )
    manifest = dataclasses.replace(manifest, **manifest_fields)
    return publish_artifact(
        manifest,
        weights=b"no weights" if manifest.kind == "artifact" else None,
        history=history,
        predictions=predictions,
        evaluations=evaluations,
        directory=directory,
    )


def write_run(directory: Path, name: str, **options: Any) -> Artifact:
    """Write one run, `NAME.TAG`: everything of an artifact but the weights."""
    return write_artifact(directory, name, kind="run", **options)


def write_benchmark(directory: Path, latencies: dict[str, float], processor: str = "a processor") -> Path:
    """Write a benchmark record with LiteRT and Keras rows for the given milliseconds per image."""
    rows = [
        {
            "name": name,
            "engine": engine,
            "precision": precision,
            "latency_ms_median": latency * factor,
            "latency_ms_p95": latency * factor * 1.2,
            "step_time_ms": latency * factor * 20,
            "batch_size": 32,
            "best_batch_size": 64,
            "throughput_images_per_s": 1000 / (latency * factor),
            "peak_memory_mb": 120.0,
            "parameters": SHELF.get(name, (0, 1000, 0))[1],
            "flops": int(3e7 * latency / 0.07),
            "weights_bytes_float32": 4 * SHELF.get(name, (0, 1000, 0))[1],
            "weights_bytes_stored": 2 * SHELF.get(name, (0, 1000, 0))[1],
            "litert_bytes": 2 * SHELF.get(name, (0, 1000, 0))[1],
        }
        for name, latency in latencies.items()
        for engine, precision, factor in (("litert", "float16", 1.0), ("keras", "float32", 8.0))
    ]
    record = {
        "date": "2026-01-01",
        "machine": {"processor": processor, "num_cores": 2, "memory_gb": 8.0, "system": "Linux", "python": "3.11"},
        "versions": {"numpy": np.__version__},
        "threads": 2,
        "note": "synthetic",
        "rows": rows,
    }
    path = directory / "benchmark.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))
    return path


def write_shelf(directory: Path, num_images: int = 400) -> None:
    """Write five artifacts of the catalog and a benchmark record."""
    for name, (accuracy, parameters, _) in SHELF.items():
        write_artifact(directory, name, accuracy, parameters, num_images)
    write_benchmark(directory, {name: latency for name, (_, _, latency) in SHELF.items()})

"""What an answer of each network of the ladder costs: size and time follow from the graph, so none needs a training.

Every network is built with random weights, converted, and timed in turns with the others, as `benchmark` does.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bloodcell.artifact import Manifest, Predictions, load_shelf, publish_artifact
from bloodcell.dataset import CLASS_NAMES, INPUT_SIZE
from bloodcell.inference.benchmark import FULL, Effort, group_alike, run_benchmark
from bloodcell.inference.child import KERAS_ENVIRONMENT, OnProgress, report_progress, run_child, run_main

LADDER_TIMES_FILE = "ladder_times.json"
"""Record beside the artifacts, in the form of `benchmark.json`."""


def measure_ladder(
    names: Sequence[str], effort: Effort = FULL, on_progress: OnProgress | None = None
) -> dict[str, Any]:
    """Return a benchmark record of untrained networks, LiteRT alone; those that answer alike are timed as one.

    Args:
        names: Catalog rows or combinations.
        effort: How long is measured.
        on_progress: Called with steps done, steps in all, and what happens now.

    Raises:
        EngineError: A network cannot be built or converted, or a measuring process failed.
    """
    groups = group_alike({name: name for name in names})
    with tempfile.TemporaryDirectory() as folder:
        run_child(
            "bloodcell.inference.ladder_times",
            [folder, *groups],
            purpose="Building the networks",
            on_progress=on_progress,
            environment=KERAS_ENVIRONMENT,
        )
        artifacts = list(load_shelf(Path(folder)).artifacts.values())
        record = run_benchmark(artifacts, engines=("litert",), effort=effort, on_progress=on_progress)
    rows = {row["name"]: row for row in record["rows"]}
    return record | {"rows": [rows[first] | {"name": name} for first, alike in groups.items() for name in alike]}


def main(arguments: Sequence[str]) -> None:
    """Write one artifact of random weights per network into a folder: FOLDER NAME ..."""
    import keras
    import pandas as pd

    from bloodcell.artifact.weights import serialize_weights
    from bloodcell.models import build_model

    folder, *names = arguments
    for number, name in enumerate(names):
        report_progress(number, len(names), f"Building {name}.")
        keras.utils.set_random_seed(0)  # the same weights each time, so that forms in the cache are found again
        model = build_model(name)
        weights = serialize_weights(model)
        nothing = (np.zeros(0, np.int64), np.zeros((0, len(CLASS_NAMES)), np.float32), np.zeros(0, np.uint64))
        publish_artifact(
            _describe_untrained(name, model.count_params(), len(weights)),
            weights=weights,
            history=pd.DataFrame(),
            predictions=[Predictions(split, *nothing) for split in ("val", "test")],
            evaluations={},
            directory=Path(folder),
        )


def _describe_untrained(name: str, parameters: int, weights_bytes_stored: int) -> Manifest:
    """Return a manifest that lives as long as the measurement."""
    return Manifest(
        name=name,
        kind="artifact",
        model=name,
        recipe_name="none",
        recipe={},
        seed=0,
        dataset={"kind": "unknown", "md5": "", "label": "untrained", "num_images": {}},
        input_shape=(INPUT_SIZE, INPUT_SIZE, 3),
        input_range=(0.0, 1.0),
        class_names=CLASS_NAMES,
        parameters=parameters,
        trainable_parameters=parameters,
        weights_bytes_float32=4 * parameters,
        weights_bytes_stored=weights_bytes_stored,
        temperature=1.0,
        best_epoch=0,
        num_epochs=0,
        duration_s=0.0,
        device="",
        backend="",
        versions={},
        created="",
        command="",
    )


if __name__ == "__main__":
    run_main(main)

"""Makes the LiteRT form that gives every layer; imports TensorFlow, so it runs as a process of its own.

    python -m bloodcell.inference.inside_build NAME --directory D --output FILE

Before the form is handed out, it answers once in yet another process, and every layer is compared with Keras.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bloodcell.artifact import Artifact, load_artifact, load_model
from bloodcell.errors import EngineError
from bloodcell.files import write_atomically
from bloodcell.inference.child import report_progress, run_child, run_main
from bloodcell.inference.convert import convert_model, draw_trial_inputs
from bloodcell.inference.inside import RESTING, graph_path, write_graph
from bloodcell.models.graphs import describe_model
from bloodcell.models.map_grids import compute_grids, find_sources

if TYPE_CHECKING:
    import keras

NUM_TRIAL_IMAGES = 2
TOLERANCE = 0.002
"""Largest difference from Keras on the trial images, as a share of the layer's largest value."""

_NUM_STEPS = 4


def build_inside(
    artifact: Artifact, target: Path, on_progress: Callable[[int, int, str], None] = report_progress
) -> None:
    """Convert a trained model with every layer as an output, try the form in another process, and write it whole.

    Raises:
        EngineError: The conversion failed, or the form crashes or computes otherwise than Keras.
        StorageError: The disk is full.
    """
    on_progress(0, _NUM_STEPS, "Loading TensorFlow.")
    model = load_model(artifact)
    layers = layers_model(model)
    on_progress(1, _NUM_STEPS, f"Opening every layer of {artifact.name}.")
    form = convert_model(layers, "float16")
    on_progress(2, _NUM_STEPS, "Comparing every layer with Keras.")
    inputs = draw_trial_inputs()[:NUM_TRIAL_IMAGES]
    expected = {name: np.asarray(values) for name, values in layers(inputs, training=False).items()}
    check_layers(try_layers(form, inputs, artifact.name), expected, artifact.name)
    on_progress(3, _NUM_STEPS, "Storing the form.")
    write_atomically(graph_path(target), _describe_inside(model))
    write_atomically(target, form)  # last: whoever finds it finds its graph
    on_progress(_NUM_STEPS, _NUM_STEPS, f"{artifact.name} is open.")


def layers_model(model: "keras.Model") -> "keras.Model":
    """Return a model that shares the given one's weights and gives every layer's output under the layer's name."""
    import keras

    outputs = {layer.name: layer.output for layer in model.layers if type(layer).__name__ not in RESTING}
    return keras.Model(model.input, outputs, name=f"{model.name}_inside")


def _describe_inside(model: "keras.Model") -> bytes:
    sources = {layer.name: [source.name for source in find_sources(layer)] for layer in model.layers}
    return write_graph(describe_model(model)["layers"], sources, compute_grids(model))


def try_layers(form: bytes, inputs: np.ndarray, name: str) -> dict[str, np.ndarray]:
    """Return what a form gives for every layer, computed in a process of its own.

    Raises:
        EngineError: The process failed or died.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / file for file in ("form.tflite", "inputs.npy", "layers.npz")]
        paths[0].write_bytes(form)
        np.save(paths[1], inputs)
        run_child(
            "bloodcell.inference.inside_trial",
            list(map(str, paths)),
            purpose=f"Running every layer of {name} in LiteRT",
            timeout_s=300,
        )
        with np.load(paths[2], allow_pickle=False) as stored:
            return dict(stored)


def check_layers(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], name: str) -> None:
    """Compare what a form gives with what Keras gives.

    Raises:
        EngineError: A layer is missing, has another shape, or differs by more than rounding.
    """
    for layer, values in expected.items():
        if layer not in found or found[layer].shape != values.shape:
            shape = found[layer].shape if layer in found else "nothing"
            raise EngineError(f"The opened form of {name} gives {shape} for {layer}; expected {values.shape}.")
        difference = np.abs(found[layer] - values).max() / max(float(np.abs(values).max()), 1e-6)
        if not difference <= TOLERANCE:  # also where it is not a number
            raise EngineError(
                f"The opened form of {name} differs from Keras in layer {layer} by {difference:.2%} of its largest "
                "value. Report the model."
            )


def main(arguments: Sequence[str]) -> None:
    """Build one artifact's form as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bloodcell.inference.inside_build")
    parser.add_argument("name", help="artifact to open")
    parser.add_argument("--directory", type=Path, help="folder of artifacts, else the usual one")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    options = parser.parse_args(arguments)
    build_inside(load_artifact(options.name, options.directory), options.output)


if __name__ == "__main__":
    run_main(main)

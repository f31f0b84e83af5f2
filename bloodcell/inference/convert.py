"""Converts a trained model to LiteRT; imports TensorFlow, so it runs as a process of its own.

    python -m bloodcell.inference.convert NAME [--directory D] [--precision float16|float32|int8] --output FILE

The form takes batches of any size and ends at the logits; a network that tells finer types apart gives those of its
subtypes too, and one that only averages its last feature map before the logits gives that map, so that distances
between features and maps of attention need no TensorFlow. Before it is
handed out, it answers once in yet another process, and its probabilities are compared with Keras: LiteRT has been seen
to abort on an int8 form whose attention bottleneck never fires, and a page must not be the first to find out.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bloodcell.artifact import Artifact, load_artifact, load_model
from bloodcell.dataset import CLASS_NAMES, INPUT_SIZE, load_split, prepare_images
from bloodcell.errors import EngineError
from bloodcell.evaluation import finer_probabilities, softmax
from bloodcell.files import write_atomically
from bloodcell.inference.child import report_progress, run_child, run_main
from bloodcell.inference.forms import PRECISIONS, Precision
from bloodcell.inference.packing import pack_float16
from bloodcell.models import has_subtypes

if TYPE_CHECKING:
    import keras

NUM_CALIBRATION_IMAGES = 512
NUM_TRIAL_IMAGES = 16
TOLERANCE = {"float32": 0.002, "float16": 0.002}
"""Largest difference in probability from Keras on the trial images; beyond it the conversion went wrong."""

_NUM_STEPS = 4


def build_litert(
    artifact: Artifact,
    target: Path,
    precision: Precision = "float16",
    on_progress: Callable[[int, int, str], None] = report_progress,
) -> None:
    """Convert a trained model in this process, try the form in another, and write it whole to `target`.

    Args:
        precision: Of the stored weights. "float16" holds the kernels that it can hold exactly, as `packing` says, and
            computes in float32; "int8" also computes in integers, and is calibrated on train images.

    Raises:
        EngineError: The conversion failed, or the form crashes or answers otherwise than Keras.
        DatasetError: "int8" was asked for and there is no dataset to calibrate on.
        StorageError: The disk is full.
    """
    on_progress(0, _NUM_STEPS, "Loading TensorFlow.")
    calibration = _calibration_images() if precision == "int8" else None
    trained = load_model(artifact)
    model, gives_subtypes = answering_model(trained), has_subtypes(trained)
    on_progress(1, _NUM_STEPS, f"Converting {artifact.name} to LiteRT, {precision}.")
    form = convert_model(model, precision, calibration)
    on_progress(2, _NUM_STEPS, "Trying the form.")
    inputs = draw_trial_inputs() if calibration is None else calibration[:NUM_TRIAL_IMAGES]
    answers = model(inputs, training=False)
    given = answers if len(model.outputs) > 1 else [answers]  # Keras unwraps a list of one
    expected = np.concatenate([np.asarray(each) for each in given[: 2 if gives_subtypes else 1]], axis=1)
    _check_answers(try_form(form, inputs, artifact.name), expected, artifact, precision)
    on_progress(3, _NUM_STEPS, "Storing the form.")
    write_atomically(target, form)
    on_progress(_NUM_STEPS, _NUM_STEPS, f"{artifact.name} is ready.")


def answering_model(model: "keras.Model") -> "keras.Model":
    """Return a model that shares the given one's weights and gives its logits and, if they exist, two things more.

    They are the subtypes' logits and the pooled map. The latter is there where nothing but global average pooling (and
    dropout, which rests) lies between the last feature map and the linear layer "logits".
    """
    import keras

    logits = model.get_layer("logits")
    outputs = [logits.output]
    if has_subtypes(model):
        outputs.append(model.get_layer("subtypes").output)
    source = logits.input._keras_history.operation
    while isinstance(source, keras.layers.Dropout):
        source = source.input._keras_history.operation
    if isinstance(source, keras.layers.GlobalAveragePooling2D):
        outputs.append(source.input)
    return keras.Model(model.input, outputs, name=f"{model.name}_answers")


def convert_model(model: "keras.Model", precision: Precision, calibration: np.ndarray | None = None) -> bytes:
    """Return the LiteRT form of a Keras model as bytes; imports TensorFlow.

    Args:
        calibration: (n, 64, 64, 3) float32 inputs whose activations set the scales of "int8"; else None.

    Raises:
        EngineError: The converter does not know an operation of the model.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if precision == "int8":
        if calibration is None:
            raise ValueError("Expected calibration inputs for int8. Received: None")
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _one_by_one(calibration)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it describes its temporary files to whoever listens
            form = converter.convert()
    except Exception as error:  # the converter's own error classes are private
        raise EngineError(f"{model.name} could not be converted to LiteRT, {precision}: {error}") from error
    return pack_float16(form) if precision == "float16" else form


def try_form(form: bytes, inputs: np.ndarray, name: str) -> np.ndarray:
    """Return a form's answers, computed in a process of its own: (2, n, outputs), one by one and as one batch.

    Outputs are the classes' logits and, where the form gives any, the subtypes'.

    Raises:
        EngineError: The process failed or died.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / file for file in ("form.tflite", "inputs.npy", "answers.npy")]
        paths[0].write_bytes(form)
        np.save(paths[1], inputs)
        run_child(
            "bloodcell.inference.trial", list(map(str, paths)), purpose=f"Running {name} in LiteRT", timeout_s=300
        )
        return np.load(paths[2])


def _check_answers(answers: np.ndarray, expected: np.ndarray, artifact: Artifact, precision: Precision) -> None:
    if not np.isfinite(answers).all():
        raise EngineError(f"The LiteRT form of {artifact.name}, {precision}, answers with numbers that are not finite.")
    if answers.shape[1:] != expected.shape:
        raise EngineError(f"The LiteRT form of {artifact.name} answers {answers.shape[1:]}, expected {expected.shape}.")
    temperature = max(artifact.manifest.temperature, 1.0)  # a sharper one enlarges roundings as it does confidence
    wanted = _probabilities(expected, temperature)
    difference = max(float(np.abs(_probabilities(each, temperature) - wanted).max()) for each in answers)
    if difference > TOLERANCE.get(precision, 1.0):
        raise EngineError(
            f"The LiteRT form of {artifact.name}, {precision}, differs from Keras by {difference:.3f} in probability; "
            f"at most {TOLERANCE[precision]} was expected. Export it as float32, and report the model."
        )


def _probabilities(answers: np.ndarray, temperature: float) -> np.ndarray:
    """Return those of the classes, or of the finer types where the answers, (n, 8) or (n, 13), say them."""
    logits, subtype_logits = np.split(answers, [len(CLASS_NAMES)], axis=1)
    if not subtype_logits.shape[1]:
        return softmax(logits, temperature)
    return finer_probabilities(logits, subtype_logits, temperature)


def _one_by_one(images: np.ndarray) -> Iterator[list[np.ndarray]]:
    for image in images:
        yield [image[None]]


def _calibration_images() -> np.ndarray:
    """Return prepared train images, spread over the split, in which every class is met in its own share."""
    split = load_split("train")
    num_images = min(NUM_CALIBRATION_IMAGES, split.num_images)
    rows = np.random.default_rng(0).choice(split.num_images, num_images, replace=False)
    return prepare_images(split.images[rows])


def draw_trial_inputs() -> np.ndarray:
    """Return drawn cells, (n, 64, 64, 3) float32: discs of any colour and size on pale ground; no dataset is needed."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:INPUT_SIZE, :INPUT_SIZE]
    images = generator.normal(225, 8, (NUM_TRIAL_IMAGES, INPUT_SIZE, INPUT_SIZE, 3))
    for image in images:
        for radius in (generator.integers(14, 28), generator.integers(5, 14)):  # the cell, then its nucleus
            row, column = generator.integers(26, 38, size=2)
            disc = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
            image[disc] = generator.integers(40, 220, size=3) + generator.normal(0, 8, (int(disc.sum()), 3))
    return prepare_images(np.clip(images, 0, 255).astype(np.uint8))


def main(arguments: Sequence[str]) -> None:
    """Convert one artifact as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bloodcell.inference.convert")
    parser.add_argument("name", help="artifact to convert")
    parser.add_argument("--directory", type=Path, help="folder of artifacts, else the usual one")
    parser.add_argument("--precision", choices=PRECISIONS, default="float16")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    options = parser.parse_args(arguments)
    build_litert(load_artifact(options.name, options.directory), options.output, options.precision)


if __name__ == "__main__":
    run_main(main)

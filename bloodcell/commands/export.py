"""`export`: a trained model in a form that other programs read."""

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloodcell.commands.output import say, step_progress
from bloodcell.commands.shelf import find_artifact

if TYPE_CHECKING:
    from bloodcell.artifact import Artifact


def add_parser(subparsers: Any) -> None:
    """Describe the command's arguments."""
    parser = subparsers.add_parser(
        "export",
        help="write a trained model as a Keras or LiteRT file",
        description="Keras files end at probabilities without temperature, LiteRT files at logits.",
    )
    parser.add_argument("name", metavar="NAME", help="trained model")
    parser.add_argument("--format", choices=("keras", "litert"), required=True)
    parser.add_argument(
        "--precision",
        choices=("float32", "float16", "int8"),
        help="of a LiteRT file's weights (float16); int8 is calibrated on train images",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="file to write (NAME.keras or NAME.PRECISION.tflite)"
    )
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Write the file and print its path."""
    if options.format == "keras" and options.precision not in (None, "float32"):
        options.parser.error("--precision belongs to --format litert; a Keras file holds float32")
    artifact = find_artifact(options.name)
    if options.format == "keras":
        path = options.output or Path(f"{artifact.name}.keras")
        if path.suffix != ".keras":
            options.parser.error(f"a Keras file ends in .keras, received {path}")
        _write_keras(artifact, path)
        ending = "probabilities before the temperature"
    else:
        precision = options.precision or "float16"
        path = options.output or Path(f"{artifact.name}.{precision}.tflite")
        _write_litert(artifact, path, precision)
        ending = "logits"
    say(
        f"{artifact.name} takes (n, 64, 64, 3) float32 in [0, 1] and gives {ending}. "
        f"Calibrated probabilities are softmax(logits / {artifact.manifest.temperature:.4f})."
    )
    print(path)
    return 0


def _write_litert(artifact: "Artifact", path: Path, precision: Any) -> None:
    from bloodcell.files import write_atomically
    from bloodcell.inference.forms import ensure_litert

    with step_progress() as on_progress:
        form = ensure_litert(artifact, on_progress, precision=precision)
    write_atomically(path, form.read_bytes())


def _write_keras(artifact: "Artifact", path: Path) -> None:
    from bloodcell.artifact import load_model
    from bloodcell.errors import StorageError

    with contextlib.redirect_stdout(sys.stderr):
        model = load_model(artifact)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            part = Path(folder) / path.name
            model.save(part)
            os.replace(part, path)
    except OSError as error:
        raise StorageError(f"Could not write {path}: {error.strerror or error}. Choose another --output.") from error

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
        description="Keras files give probabilities without temperature, LiteRT files logits, and nothing else; those "
        "of a network with the tag .eleven give logits of finer types too, as their second output.",
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
        ending, logits = "probabilities before the temperature", "log(probabilities)"
    else:
        precision = options.precision or "float16"
        if options.output is not None and options.output.suffix == ".keras":
            options.parser.error(f"a LiteRT file ends in .tflite, received {options.output}")
        path = options.output or Path(f"{artifact.name}.{precision}.tflite")
        _write_litert(artifact, path, precision)
        ending, logits = "logits", "logits"
    say(
        f"{artifact.name} takes (n, 64, 64, 3) float32 in [0, 1] and gives {ending}, "
        f"(n, {len(artifact.manifest.class_names)}) float32. Calibrated probabilities are "
        f"softmax({logits} / {artifact.manifest.temperature:.4f}).{_describe_subtypes(artifact)}"
    )
    print(path)
    return 0


def _describe_subtypes(artifact: "Artifact") -> str:
    """Return a sentence on the second output, after a space; nothing for a network that gives one."""
    from bloodcell.dataset import CLASS_NAMES, SUBTYPE_COLUMNS, SUBTYPE_NAMES
    from bloodcell.models import get_spec

    if not get_spec(artifact.model_name).all_options.get("subtypes"):
        return ""
    shares = " and ".join(
        f"softmax of columns {columns.start} to {columns.stop - 1} ({', '.join(SUBTYPE_NAMES[columns])}) within "
        f"{CLASS_NAMES[label]}"
        for label, columns in SUBTYPE_COLUMNS.items()
    )
    width = len(SUBTYPE_NAMES)
    return f" The second output, (n, {width}) float32, holds logits of finer types: their shares are {shares}."


def _write_litert(artifact: "Artifact", path: Path, precision: Any) -> None:
    from bloodcell.files import write_atomically
    from bloodcell.inference import load_engine
    from bloodcell.inference.export_form import drop_feature_map

    with step_progress() as on_progress:
        engine = load_engine(artifact, precision=precision, on_progress=on_progress)  # so a damaged form is built again
    write_atomically(path, drop_feature_map(engine.path.read_bytes()))


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

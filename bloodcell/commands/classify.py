"""`classify`: what one trained model says of image files, of single cells or of whole smear fields."""

import argparse
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloodcell.commands.output import percent, print_json, print_line, quiet_libraries, say, step_progress
from bloodcell.commands.shelf import find_artifact, load_shelf_aloud

if TYPE_CHECKING:
    from bloodcell.artifact import Artifact
    from bloodcell.inference.classifier import Answer
    from bloodcell.inference.engine import Engine
    from bloodcell.inference.guard import Guard


def add_parser(subparsers: Any) -> None:
    """Describe the command's arguments."""
    parser = subparsers.add_parser(
        "classify",
        help="classify images of single cells or of whole smear fields",
        description="One answer per file, or per page of a TIFF with several, in order; a file that cannot be read "
        "gets an error and stops nothing. The "
        "cell is looked for and framed as in the training images; a field gets one answer per cell, each with its box "
        "(left, top, width, height). Where the default model has a guard, it refuses what is no cell or unlike the "
        "training images, and says why. "
        "Research and teaching only, not a medical device.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="image file, or folder of images")
    parser.add_argument("--model", metavar="NAME", help="trained model; else the fastest of the best on val")
    parser.add_argument(
        "--coverage",
        type=_share,
        metavar="SHARE",
        help="share of cells whose set of possible types shall hold the right one; else the one that was chosen on val",
    )
    parser.add_argument("--kind", choices=("crop", "field"), help="what every image is; else each is guessed")
    parser.add_argument("--views", action="store_true", help="average over the eight symmetric views of each cell")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Answer every file."""
    if "" in options.paths:  # of a shell variable that is not set; as a path it would be the working folder
        options.parser.error("PATH is empty")
    artifact, default = _choose_models(options.model)
    engine = _load_engine(artifact)
    guard = _load_guard(default, artifact, engine)
    answers = list(_classify(options, artifact, engine, guard))
    if options.json:
        print_json([answer.to_dict() for answer in answers])
    else:
        for answer in answers:
            _print_answer(answer)
        say(f"{artifact.name}; research and teaching only, not a medical device.")
    return 0


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1, received {text}")
    return value


def _choose_models(name: str | None) -> "tuple[Artifact, Artifact]":
    """Return the model that is asked, and the default model, whose guard decides whether there is an answer."""
    from bloodcell.inference.benchmark import load_benchmark
    from bloodcell.inference.classifier import choose_default_model

    asked = None if name is None else find_artifact(name)
    shelf = load_shelf_aloud()
    default = shelf.artifacts[choose_default_model(shelf, load_benchmark())]
    return asked or default, default


def _load_guard(default: "Artifact", asked: "Artifact", engine: "Engine") -> "Guard | None":
    from bloodcell.inference.guard import has_guard, load_guard

    if not has_guard(default):
        return None
    return load_guard(default, engine if default.fingerprint == asked.fingerprint else _load_engine(default))


def _load_engine(artifact: "Artifact") -> "Engine":
    from bloodcell.inference.engine import load_engine
    from bloodcell.inference.forms import ensure_litert

    with step_progress() as on_progress:
        ensure_litert(artifact, on_progress)
    with quiet_libraries():
        return load_engine(artifact)


def _classify(
    options: argparse.Namespace, artifact: "Artifact", engine: "Engine", guard: "Guard | None"
) -> "Iterator[Answer]":
    """Yield answers in the order of the paths, the images of a folder in its place."""
    from bloodcell.errors import ImageError
    from bloodcell.inference.classifier import classify_files, failed_answer
    from bloodcell.inference.images import list_images
    from bloodcell.inference.prediction_sets import COVERAGE

    coverage = options.coverage or COVERAGE
    for path in map(Path, options.paths):
        if not os.path.isdir(path):  # Path.is_dir raises where the path may not be looked into, or is too long
            files = [path]
        else:
            try:
                files = list_images(path)
            except ImageError as error:
                yield failed_answer(str(path), error, artifact)
                continue
        yield from classify_files(files, artifact, engine, guard, coverage, options.kind, options.views)


def _print_answer(answer: "Answer", indent: str = "") -> None:
    file = answer.file if answer.page is None else f"{answer.file}, page {answer.page}"
    name = file if answer.box is None else "{} + {}, {} x {}".format(*answer.box)
    if answer.cells is not None:
        print_line(f"{indent}{name}: field")
    elif answer.label is None:
        possible = f", {' or '.join(answer.prediction_set)}" if answer.prediction_set else ""
        print_line(f"{indent}{name}: {answer.status.replace('_', ' ')}{possible}")
    else:
        others = ", ".join(answer.prediction_set[1:])
        certainty = "> 99.9 %" if (answer.probability or 0) >= 0.9995 else percent(answer.probability, 1)
        print_line(f"{indent}{name}: {answer.label}, {certainty}{f', or {others}' if others else ''}")
    if answer.finer is not None:
        share = percent(answer.finer.shares[answer.finer.name], 0)
        print_line(f"{indent}    Finer opinion, beyond BloodMNIST: {answer.finer.name}, {share} within the class")
    for reason in answer.reasons:
        print_line(f"{indent}    {reason}")
    for cell in answer.cells or ():
        _print_answer(cell, indent + "    ")

"""`classify`: what one trained model says of image files."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloodcell.commands.output import percent, print_json, quiet_libraries, say, step_progress
from bloodcell.commands.shelf import find_artifact, load_shelf_aloud

if TYPE_CHECKING:
    from bloodcell.artifact import Artifact
    from bloodcell.inference.classifier import Answer
    from bloodcell.inference.engine import Engine


def add_parser(subparsers: Any) -> None:
    """Describe the command's arguments."""
    parser = subparsers.add_parser(
        "classify",
        help="classify images of single cells",
        description="One answer per file, in order; a file that cannot be read gets an error and stops nothing. "
        "Research and teaching only, not a medical device.",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="image file, or folder of images")
    parser.add_argument("--model", metavar="NAME", help="trained model; else the fastest of the best on val")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Answer every file."""
    artifact = _choose_model(options.model)
    engine = _load_engine(artifact)
    answers = list(_classify(options.paths, artifact, engine))
    if options.json:
        print_json([answer.to_dict() for answer in answers])
    else:
        for answer in answers:
            _print_answer(answer)
        say(f"{artifact.name}; research and teaching only, not a medical device.")
    return 0


def _choose_model(name: str | None) -> "Artifact":
    if name is not None:
        return find_artifact(name)
    from bloodcell.inference.benchmark import load_benchmark
    from bloodcell.inference.classifier import choose_default_model

    shelf = load_shelf_aloud()
    return shelf.artifacts[choose_default_model(shelf, load_benchmark())]


def _load_engine(artifact: "Artifact") -> "Engine":
    from bloodcell.inference.engine import load_engine
    from bloodcell.inference.forms import ensure_litert

    with step_progress() as on_progress:
        ensure_litert(artifact, on_progress)
    with quiet_libraries():
        return load_engine(artifact)


def _classify(paths: Sequence[Path], artifact: "Artifact", engine: "Engine") -> "Iterator[Answer]":
    """Yield answers in the order of the paths, the images of a folder in its place."""
    from bloodcell.errors import ImageError
    from bloodcell.inference.classifier import classify_files, failed_answer
    from bloodcell.inference.images import list_images

    for path in paths:
        if not path.is_dir():
            files = [path]
        else:
            try:
                files = list_images(path)
            except ImageError as error:
                yield failed_answer(str(path), error, artifact)
                continue
        yield from classify_files(files, artifact, engine)


def _print_answer(answer: "Answer") -> None:
    if answer.label is None:
        print(f"{answer.file}: {answer.status}")
    else:
        others = ", ".join(answer.prediction_set[1:])
        print(f"{answer.file}: {answer.label}, {percent(answer.probability, 1)}{f', or {others}' if others else ''}")
    for reason in answer.reasons:
        print(f"    {reason}")

"""`train`: load what is trained, train what is not, and show how it goes."""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloodcell.commands.output import percent, print_json, print_line, say
from bloodcell.errors import BloodCellError, DatasetError, StorageError

if TYPE_CHECKING:
    from bloodcell.artifact import Artifact

LARGEST_SEED = 2**32 - 1
"""NumPy's own limit."""


def add_parser(subparsers: Any) -> None:
    """Describe the command's arguments."""
    parser = subparsers.add_parser(
        "train",
        help="train networks, or load what is trained already",
        description="Loads what is trained and trains what is not. Stopped at any moment, the same command continues.",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="network; network.tag for another training of it; hemanet_tiny.eleven and .eight for other heads",
    )
    parser.add_argument("--recipe", help="another recipe than the network's own")
    parser.add_argument("--seed", type=_seed, help="seed of everything random (0)")
    parser.add_argument("--epochs", type=positive, help="another number of epochs than the recipe's")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        dest="changes",
        help="another value of a field of the recipe, such as batch_size=32; may be repeated",
    )
    parser.add_argument("--own", action="store_true", help="keep it among your own models, not with the project's")
    parser.add_argument("--all", action="store_true", help="every network of the catalog")
    parser.add_argument("--force", action="store_true", help="train again and replace what is there")
    parser.add_argument("--run", metavar="TAG", dest="tag", help="keep a run without weights, as NAME.TAG")
    parser.add_argument(
        "--add",
        type=Path,
        metavar="SET",
        help="labelled set, a folder or a zip file, whose cells are added to train; for a name with a tag (cnn_4.lab)",
    )
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Train or load each name in turn; a network that fails does not keep the others from their turn."""
    from bloodcell.models import CATALOG, graph_of
    from bloodcell.training import parse_changes, recipe_for

    try:
        parse_changes(options.changes)
    except ValueError as error:
        options.parser.error(f"--set: {error}")
    if bool(options.names) == options.all:
        options.parser.error("give one or more names, or --all")
    names = list(CATALOG) if options.all else list(dict.fromkeys(options.names))
    for name in names:  # before hours of training, not after
        recipe_for(graph_of(name), options.recipe)
    done, failed = [], []
    for name in names:
        try:
            done.append(_train_one(name, options))
        except (DatasetError, StorageError):
            raise  # the next one would meet the same
        except BloodCellError as error:
            failed.append(name)
            say(f"{name}: {error}")
    if options.json:
        print_json(done)
    else:
        for row in done:
            print_line(
                f"{row['name']}: {row['state']}, {percent(row['val_accuracy'])} on val, "
                f"{percent(row['test_accuracy'])} on test, in {row['directory']}"
            )
    if failed:
        say(f"Not trained: {', '.join(failed)}.")
    return 1 if failed else 0


def _train_one(name: str, options: argparse.Namespace) -> dict[str, Any]:
    from bloodcell.models import graph_of
    from bloodcell.pipeline import load_or_train
    from bloodcell.training import parse_changes, recipe_for

    changes = parse_changes(options.changes)
    recipe = recipe_for(graph_of(name), options.recipe)[1].replace(**changes)
    num_epochs = options.epochs or recipe.num_epochs
    with TrainingDisplay(name, num_epochs) as display, contextlib.redirect_stdout(sys.stderr):
        artifact: Artifact = load_or_train(
            name,
            recipe_name=options.recipe,
            seed=options.seed,
            num_epochs=options.epochs,
            changes=changes,
            run_tag=options.tag,
            own=options.own,
            force=options.force,
            added_set=options.add,
            on_epoch=display.on_epoch,
            on_batch=display.on_batch,
        )
    return {
        "name": artifact.name,
        "kind": artifact.kind,
        "state": "trained" if display.num_seen else "already trained",
        "directory": str(artifact.directory),
        "val_accuracy": artifact.load_evaluation("val")["accuracy"],
        "test_accuracy": artifact.load_evaluation("test")["accuracy"],
        "best_epoch": artifact.manifest.best_epoch,
        "num_epochs": artifact.manifest.num_epochs,
        "duration_s": artifact.manifest.duration_s,
        "dataset": artifact.manifest.dataset["label"],
    }


class TrainingDisplay:
    """A bar per epoch with loss and accuracy, on a terminal, and one line per finished epoch everywhere."""

    def __init__(self, name: str, num_epochs: int) -> None:
        """Show nothing yet: a cached model needs no bar."""
        self.num_seen = 0
        self._name, self._num_epochs = name, num_epochs
        self._bar: Any = None

    def __enter__(self) -> "TrainingDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def on_batch(self, step: int, num_steps: int, numbers: dict[str, float]) -> None:
        """Move the bar of the running epoch."""
        if self._bar is None:
            from tqdm import tqdm

            epoch = f"{self._name} {self.num_seen + 1}/{self._num_epochs}"
            # `disable=None` shows no bar where standard error is not a terminal.
            self._bar = tqdm(total=num_steps, desc=epoch, file=sys.stderr, leave=False, disable=None)
        self._bar.set_postfix(
            {key: f"{numbers[key]:.4f}" for key in ("loss", "accuracy") if key in numbers}, refresh=False
        )
        self._bar.update(step - self._bar.n)

    def on_epoch(self, numbers: dict[str, float]) -> None:
        """Say how a finished epoch went; epochs of an interrupted training that is continued are said again."""
        self._close()
        self.num_seen += 1
        say(
            f"{self._name} epoch {int(numbers['epoch'])}/{self._num_epochs}: loss {numbers['loss']:.4f}, "
            f"accuracy {percent(numbers['accuracy'])}, val loss {numbers['val_loss']:.4f}, "
            f"val accuracy {percent(numbers['val_accuracy'])}, {numbers['seconds']:.1f} s"
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def positive(text: str) -> int:
    """Read a whole number of 1 or more from the command line."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, received {text!r}") from None
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, received {value}")
    return value


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {LARGEST_SEED}, received {text!r}")
    return int(text)

"""`measure crossval`: train a network once per fold, and keep what each answers to the images that were held out."""

import argparse
import contextlib
import sys
from typing import Any

from bloodcell.commands.output import percent, print_json, print_line, say
from bloodcell.commands.train import TrainingDisplay, positive


def add_crossval_arguments(action: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    action.add_argument("name", metavar="NAME", help="network; network.tag for another recipe of it")
    action.add_argument("--epochs", type=positive, help="another number of epochs than the recipe's")
    action.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        dest="changes",
        help="another value of a field of the recipe, such as mixup=0; may be repeated",
    )
    action.add_argument("--folds", type=positive, metavar="N", help="networks to train, 2 or more; five if not given")
    action.add_argument("--force", action="store_true", help="train again and replace what is there")


def measure_crossval(options: argparse.Namespace) -> int:
    """Cross-validate a network and store what was answered."""
    from bloodcell.artifact.crossval import CROSSVAL_FILE
    from bloodcell.files import artifacts_directory
    from bloodcell.models import graph_of
    from bloodcell.pipeline import cross_validate_network
    from bloodcell.training import parse_changes, recipe_for
    from bloodcell.training.crossval import NUM_FOLDS

    try:
        changes = parse_changes(options.changes)
    except ValueError as error:
        options.parser.error(f"--set: {error}")
    num_folds = options.folds or NUM_FOLDS
    if num_folds < 2:
        options.parser.error("--folds: expected 2 or more, received 1")
    if options.epochs is not None:
        changes["num_epochs"] = options.epochs
    display = TrainingDisplay(options.name, recipe_for(graph_of(options.name))[1].replace(**changes).num_epochs)

    def on_fold(fold: int) -> None:
        display.num_seen = 0
        say(f"Fold {fold + 1} of {num_folds}.")

    with display, contextlib.redirect_stdout(sys.stderr):
        one = cross_validate_network(
            options.name,
            changes=changes,
            num_folds=num_folds,
            force=options.force,
            on_fold=on_fold,
            on_epoch=display.on_epoch,
            on_batch=display.on_batch,
        )
    say(f"{'Stored' if display.num_seen else 'Already'} in {artifacts_directory() / CROSSVAL_FILE}.")
    numbers = _describe(one)
    if options.json:
        print_json(numbers)
    else:
        right = numbers["right"]
        low, high = (percent(bound, 2) for bound in right["interval"])
        print_line(
            f"{one.name}: {percent(right['share'], 2)} of {right['n']:,} train images right while held out "
            f"({low} to {high}), {numbers['label_issues']} labels in doubt"
        )
    return 0


def _describe(one: Any) -> dict[str, Any]:
    from bloodcell.evaluation import calibrate
    from bloodcell.evaluation.label_issues import find_label_issues
    from bloodcell.inference.trust import share

    of = one.predictions
    return {
        "name": one.name,
        "num_folds": one.origin.num_folds,
        "num_epochs": one.origin.recipe["num_epochs"],
        "right": share(int((of.logits.argmax(axis=1) == of.y_true).sum()), len(of.y_true)),
        "label_issues": len(find_label_issues(of.y_true, calibrate(of.logits, of.y_true)).rows),
        "device": one.origin.device,
        "command": one.origin.command,
    }

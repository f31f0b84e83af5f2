"""`experiment`: train what is missing of an experiment, the most telling trial first."""

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING, Any

from bloodcell.commands.output import percent, print_json, print_table, say
from bloodcell.commands.shelf import load_shelf_aloud
from bloodcell.commands.train import TrainingDisplay, positive
from bloodcell.errors import BloodCellError, DatasetError, DatasetNotFoundError, StorageError

if TYPE_CHECKING:
    from bloodcell.artifact.trials import TrialState
    from bloodcell.training.experiments import Experiment


def add_parser(subparsers: Any) -> None:
    """Describe the command's arguments."""
    from bloodcell.training.experiments import EXPERIMENTS

    parser = subparsers.add_parser(
        "experiment",
        help="train what the Findings page compares, or say what is missing",
        description="Trains the missing trials of an experiment as runs, the most telling first. Stopped at any "
        "moment, the same command continues. "
        + " ".join(f"{one.name}: {one.question}" for one in EXPERIMENTS.values()),
    )
    parser.add_argument("name", choices=list(EXPERIMENTS), help="which experiment")
    parser.add_argument("--list", action="store_true", help="only say what is done and what is missing")
    parser.add_argument("--only", type=positive, metavar="N", help="train at most N trials this time")
    parser.add_argument("--force", action="store_true", help="also replace runs that are damaged or trained otherwise")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Train in turn what is missing; a trial that fails does not keep the others from their turn."""
    from bloodcell.training.experiments import EXPERIMENTS

    experiment = EXPERIMENTS[options.name]
    failed = [] if options.list else _train_missing(experiment, options.only, options.force)
    states = _states(experiment)
    if options.json:
        print_json(_summary(experiment, states))
    else:
        _print_states(experiment, states)
    if failed:
        say(f"Not trained: {', '.join(failed)}.")
    return 1 if failed else 0


def _states(experiment: "Experiment") -> "list[TrialState]":
    from bloodcell.artifact.trials import find_trials
    from bloodcell.dataset import find_dataset, identify_dataset

    try:
        md5 = identify_dataset(find_dataset()).md5
    except DatasetNotFoundError:
        md5 = None  # to list needs no dataset; to train says that there is none
    return find_trials(load_shelf_aloud(), experiment.trials, md5)


def _train_missing(experiment: "Experiment", limit: int | None, force: bool) -> list[str]:
    """Train up to `limit` trials and return the names of those that failed."""
    states = _states(experiment)
    wanted = [one for one in states if one.state == "missing" or (force and one.state != "done")]
    for one in states:
        if one not in wanted and one.state != "done":
            say(f"{one.trial.run_name} is {one.state}: {one.reason} It is left alone; --force trains it again.")
    failed = []
    for number, one in enumerate(wanted[:limit], start=1):
        say(f"Training {number} of {len(wanted[:limit])}: {one.trial.run_name} ({one.trial.label})")
        try:
            _train_one(one)
        except (DatasetError, StorageError):
            raise  # the next one would meet the same
        except BloodCellError as error:
            failed.append(one.trial.run_name)
            say(f"{one.trial.run_name}: {error}")
    return failed


def _train_one(wanted: "TrialState") -> None:
    """Train one trial as a run, or as the network's artifact where it is that and none is there yet."""
    from bloodcell.pipeline import load_or_train
    from bloodcell.training import RECIPES

    trial = wanted.trial
    num_epochs = wanted.changes.get("num_epochs", RECIPES[trial.recipe_name].num_epochs)
    with TrainingDisplay(trial.run_name, num_epochs) as display, contextlib.redirect_stdout(sys.stderr):
        load_or_train(
            trial.model,
            recipe_name=trial.recipe_name,
            seed=trial.seed,
            changes=wanted.changes,
            run_tag=None if wanted.is_artifact else trial.tag,
            force=wanted.state != "missing",
            on_epoch=display.on_epoch,
            on_batch=display.on_batch,
        )


def _summary(experiment: "Experiment", states: "list[TrialState]") -> dict[str, Any]:
    num_done = sum(one.state == "done" for one in states)
    return {
        "experiment": experiment.name,
        "question": experiment.question,
        "done": num_done,
        "missing": len(states) - num_done,
        "trials": [_describe(one) for one in states],
    }


def _describe(one: "TrialState") -> dict[str, Any]:
    trial, artifact = one.trial, one.artifact
    return {
        "run": trial.run_name,
        "model": trial.model,
        "label": trial.label,
        "recipe": trial.recipe_name,
        "seed": trial.seed,
        "state": one.state,
        "reason": one.reason,
        "trained_as": None if artifact is None else artifact.kind,
        "val_accuracy": None if artifact is None else artifact.load_evaluation("val")["accuracy"],
        "test_accuracy": None if artifact is None else artifact.load_evaluation("test")["accuracy"],
        "duration_s": None if artifact is None else artifact.manifest.duration_s,
    }


def _print_states(experiment: "Experiment", states: "list[TrialState]") -> None:
    rows = [_describe(one) for one in states]
    print_table(
        ("network", "what varies", "recipe", "seed", "state", "val", "test"),
        [
            (
                row["model"],
                row["label"],
                row["recipe"],
                str(row["seed"]),
                f"done ({row['trained_as']})" if row["state"] == "done" else row["state"],
                percent(row["val_accuracy"]),
                percent(row["test_accuracy"]),
            )
            for row in rows
        ],
        left=3,
    )
    summary = _summary(experiment, states)
    print(f"{experiment.name}: {summary['done']} of {len(rows)} done, {summary['missing']} missing.")
    if summary["missing"]:
        print(f"Run `{experiment.command}` to train what is missing.")

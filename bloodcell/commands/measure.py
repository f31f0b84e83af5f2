"""`measure`: fit the guard of the default model, and measure when the model should be believed."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloodcell.commands.measure_crossval import add_crossval_arguments, measure_crossval
from bloodcell.commands.measure_finder import measure_finder
from bloodcell.commands.measure_map import measure_map
from bloodcell.commands.measure_models import measure_combined, measure_forms
from bloodcell.commands.output import percent, print_json, print_table, say, step_progress
from bloodcell.commands.shelf import find_artifact, load_shelf_aloud
from bloodcell.commands.train import positive
from bloodcell.errors import EngineError, ImageError

if TYPE_CHECKING:
    from bloodcell.artifact import Artifact
    from bloodcell.inference.guard import Guard

UNSEEN_MODEL = "hemanet_nano"
UNSEEN_EPOCHS = 20


def add_parser(subparsers: Any) -> None:
    """Describe the command's arguments."""
    parser = subparsers.add_parser("measure", help="fit guards, and measure when to believe an answer")
    actions = parser.add_subparsers(dest="action", required=True, metavar="WHAT")
    for name, function, text in (
        ("guard", measure_guard, "fit the guard of a model on train and val, and store it with the model"),
        ("trust", measure_trust, "cells answered and right, foreign cells and pictures without a cell refused"),
        ("robustness", measure_robustness, "blurred, badly lit, compressed test cells, in five severities"),
        ("finder", measure_finder, "marked white cells of smear fields found, and altered originals framed"),
        ("forms", measure_forms, "what the float32, float16 and int8 forms of models get right on val and test"),
        ("combined", measure_combined, "what eight views of each cell, and several seeds together, get right"),
        (
            "ladder",
            measure_ladder,
            "what the networks of the ladder cost: they are timed untrained, on a quiet machine",
        ),
        ("map", measure_map, "all test cells as models arrange them, in two dimensions, stored with each model"),
        ("crossval", measure_crossval, "train images, each answered by a network that never saw it: trains five"),
        ("unseen", measure_unseen, "types that a network never saw: trains one small network per left-out type"),
    ):
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        action.add_argument("--json", action="store_true", help="JSON on standard output")
        action.set_defaults(run=function, parser=action)
        if name == "guard":
            action.add_argument(
                "name", nargs="?", metavar="NAME", help="trained model; the default one if none is given"
            )
        if name in ("forms", "combined"):
            action.add_argument("names", nargs="*", metavar="NAME", help="trained models; all where none is given")
        if name == "map":
            action.add_argument(
                "names", nargs="*", metavar="NAME", help="trained models; all that have no map if none is given"
            )
        if name in ("trust", "robustness"):
            action.add_argument(
                "--max-images", type=positive, metavar="N", help="only N test images, and store nothing"
            )
        if name == "ladder":
            action.add_argument("--quick", action="store_true", help="under a minute, less exact, and store nothing")
        if name == "crossval":
            add_crossval_arguments(action)
        if name == "unseen":
            action.add_argument("--model", default=UNSEEN_MODEL, help=f"network to train ({UNSEEN_MODEL})")
            action.add_argument(
                "--epochs", type=positive, default=UNSEEN_EPOCHS, help=f"epochs of each ({UNSEEN_EPOCHS})"
            )


def measure_guard(options: argparse.Namespace) -> int:
    """Fit a guard and store it with its model."""
    from bloodcell.dataset import load_split
    from bloodcell.inference.guard_fit import fit_guard

    artifact = _default_model() if options.name is None else find_artifact(options.name)
    with step_progress() as on_progress:
        guard = fit_guard(artifact, load_split("train"), load_split("val"), on_progress)
    found = {
        "model": guard.artifact.name,
        "fingerprint": guard.artifact.fingerprint,
        "pixel_limit": guard.parameters.pixel_limit,
        "feature_limit": guard.parameters.feature_limit,
        "num_val": len(guard.parameters.true_scores),
    }
    if options.json:
        print_json(found)
    else:
        print(f"{artifact.name} has a guard now; `measure trust` and `measure robustness` tell what it is worth.")
    return 0


def measure_trust(options: argparse.Namespace) -> int:
    """Measure the default model with its guard on, and store the record."""
    from bloodcell.inference import trust

    guard, test = _load_guard(), _load_test(options.max_images)
    fields = os.environ.get("BLOODCELL_FIELDS")
    if not fields:
        say("BLOODCELL_FIELDS names no folder of smear fields: the foreign stain is left out.")
    elif not Path(fields).is_dir():
        raise ImageError(f"BLOODCELL_FIELDS names {fields}, which is no folder. Correct it or unset it.")
    with step_progress() as on_progress:
        record = trust.measure_trust(guard, test, Path(fields) if fields else None, on_progress=on_progress)
    if options.max_images is None:
        say(f"Stored in {trust.save_record(record, trust.TRUST_FILE)}.")
    if options.json:
        print_json(record)
    else:
        _print_trust(record)
    return 0


def measure_robustness(options: argparse.Namespace) -> int:
    """Measure the default model and the study's best on spoiled images, and store the record."""
    from bloodcell.inference import trust
    from bloodcell.inference.engine import load_engine
    from bloodcell.inference.robustness import choose_study_best
    from bloodcell.inference.robustness import measure_robustness as measure

    guard, test = _load_guard(), _load_test(options.max_images)
    best = choose_study_best(load_shelf_aloud())
    others = [(best, load_engine(best))] if best is not None and best.name != guard.artifact.name else []
    with step_progress() as on_progress:
        record = measure(guard, others, test, on_progress=on_progress)
    if options.max_images is None:
        say(f"Stored in {trust.save_record(record, trust.ROBUSTNESS_FILE)}.")
    if options.json:
        print_json(record)
    else:
        _print_robustness(record)
    return 0


def measure_ladder(options: argparse.Namespace) -> int:
    """Time every network of the ladder, and store the record beside the artifacts."""
    from bloodcell.files import artifacts_directory
    from bloodcell.inference import ladder_times
    from bloodcell.inference.benchmark import FULL, QUICK, save_benchmark
    from bloodcell.training.experiments import LADDER_NETWORKS

    names = list(LADDER_NETWORKS.values())
    with step_progress() as on_progress:
        record = ladder_times.measure_ladder(names, QUICK if options.quick else FULL, on_progress)
    if not options.quick:
        path = artifacts_directory() / ladder_times.LADDER_TIMES_FILE
        save_benchmark(record, path)
        say(f"Stored in {path}.")
    if options.json:
        print_json(record)
    else:
        print_table(
            ("network", "ms, one image", "ms, 32 images"),
            [(row["name"], f"{row['latency_ms_median']:.3f}", f"{row['step_time_ms']:.2f}") for row in record["rows"]],
        )
    return 0


def measure_unseen(options: argparse.Namespace) -> int:
    """Train one small network per left-out type, measure each under its own guard, and store the record."""
    from bloodcell.dataset import CLASS_NAMES, load_split
    from bloodcell.inference import trust
    from bloodcell.inference.prediction_sets import COVERAGE
    from bloodcell.inference.unseen import leave_out, measure_left_out
    from bloodcell.pipeline import publish_training
    from bloodcell.training import recipe_for, train

    recipe_name, recipe = recipe_for(options.model)
    recipe = recipe.replace(num_epochs=options.epochs, teacher=None)  # who has seen the type cannot teach here
    splits = {name: load_split(name) for name in ("train", "val", "test")}
    command = f"./dev python -m bloodcell measure unseen --model {options.model} --epochs {options.epochs}"
    types = []
    for label, name in enumerate(CLASS_NAMES):
        tag = f"without-{name.replace(' ', '-')}"
        say(f"Training {options.model} without {name} ({label + 1} of {len(CLASS_NAMES)}).")
        kept_train, kept_val = leave_out(splits["train"], label), leave_out(splits["val"], label)
        result = train(options.model, recipe, kept_train, kept_val, on_epoch=_say_epoch)
        run = publish_training(
            f"{options.model}.{tag}", "run", recipe_name, recipe, 0, result, kept_train, kept_val, command=command
        )
        types.append(measure_left_out(result.model, run, label, kept_train, kept_val, splits["test"]))
        refused = types[-1]["refused"]
        say(f"Of {refused['n']} cells of type {name}, {percent(refused['share'])} were refused.")
    record = trust.describe_origin(run, splits["test"].identity)
    record |= {"model": {"name": options.model, "num_epochs": options.epochs}, "coverage": COVERAGE}
    counts = {key: sum(one["refused"][key] for one in types) for key in ("count", "n")}
    record |= {"refused": trust.share(counts["count"], counts["n"]), "types": types}
    say(f"Stored in {trust.save_record(record, trust.UNSEEN_FILE)}.")
    if options.json:
        print_json(record)
    else:
        rows = [(one["name"], str(one["refused"]["n"]), percent(one["refused"]["share"])) for one in types]
        print_table(("type never seen", "cells", "refused"), rows)
    return 0


def _default_model() -> "Artifact":
    from bloodcell.inference.benchmark import load_benchmark
    from bloodcell.inference.classifier import choose_default_model

    shelf = load_shelf_aloud()
    return shelf.artifacts[choose_default_model(shelf, load_benchmark())]


def _load_guard() -> "Guard":
    from bloodcell.inference.engine import load_engine
    from bloodcell.inference.guard import load_guard

    artifact = _default_model()
    guard = load_guard(artifact, load_engine(artifact))
    if guard is None:
        raise EngineError(
            f"The default model, {artifact.name}, has no guard yet. Run `./dev python -m bloodcell measure guard`."
        )
    return guard


def _load_test(max_images: int | None) -> Any:
    """Return the test split, or every so-manieth image of it."""
    from bloodcell.dataset import Split, load_split

    test = load_split("test")
    if max_images is None:
        return test
    step = max(1, test.num_images // max(1, max_images))
    return Split(test.name, test.images[::step][:max_images], test.labels[::step][:max_images], test.identity)


def _say_epoch(numbers: dict[str, float]) -> None:
    say(f"epoch {int(numbers['epoch'])}: val accuracy {percent(numbers['val_accuracy'])}")


def _print_trust(record: dict[str, Any]) -> None:
    test, fields, noncells = record["test"], record["fields"], record["noncells"]
    rows = [
        ("test cells answered", test["answered"]),
        ("right among answered", test["right"]),
        ("pictures without a cell refused", noncells["refused"]),
    ]
    if fields is not None:
        rows.insert(2, ("white cells of a foreign stain refused", fields["white_cells"]["refused"]))
    print(f"{record['model']['name']}, {record['dataset']['label']}, {record['date']}")
    _print_shares(rows)


def _print_shares(rows: list[tuple[str, dict[str, Any]]]) -> None:
    print_table(
        ("", "share", "95 % interval", "count", "of"),
        [
            (
                name,
                percent(one["share"]),
                "–" if one["interval"] is None else " to ".join(percent(bound) for bound in one["interval"]),
                str(one["count"]),
                str(one["n"]),
            )
            for name, one in rows
        ],
    )


def _print_robustness(record: dict[str, Any]) -> None:
    print(f"{record['n']} test cells, {record['dataset']['label']}, {record['date']}")
    print(f"Refusals are those of {record['model']['name']}, whichever model is asked.")
    print_table(
        ("model", "spoiled by", "severity", "accuracy", "refused", "wrong among answered"),
        [
            (
                row["model"],
                row["corruption"] or "nothing",
                str(row["severity"]),
                *(percent(row[key]["share"]) for key in ("accuracy", "refused", "wrong_answers")),
            )
            for row in record["rows"]
        ],
        left=2,
    )

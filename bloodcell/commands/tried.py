"""`tried`: the table of what was tried for our own networks, with the val accuracy that decided."""

import argparse
from dataclasses import asdict
from typing import Any

from bloodcell.commands.output import percent, print_json, print_table, say
from bloodcell.commands.shelf import find_artifact


def add_parser(subparsers: Any) -> None:
    """Describe the command's arguments."""
    parser = subparsers.add_parser(
        "tried",
        help="show what was tried for our networks, or note one more trial",
        description="Without WHAT, shows the table. With it, notes a trial and the val accuracy that decides, from "
        "a run or an artifact, or given by hand; the same words and network replace the older line.",
    )
    parser.add_argument("what", nargs="?", metavar="WHAT", help="what differs, in words")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--from", dest="source", metavar="NAME", help="artifact, or runs/NAME.TAG, to read it from")
    source.add_argument("--val", type=float, metavar="PERCENT", help="val accuracy by hand, such as 98.95")
    parser.add_argument("--model", metavar="NAME", help="network, where --val is given")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs, where --val is given (0, not known)")
    parser.add_argument("--kept", choices=("yes", "no", "open"), help="whether it is kept (open)")
    parser.add_argument("--note", help="why, or what to know about it")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Note a trial where one is given, and show the table."""
    from bloodcell.artifact.tried import TRIED_FILE, add_tried, load_tried
    from bloodcell.files import artifacts_directory

    told = (options.source, options.val, options.model, options.epochs, options.kept, options.note)
    if options.what is not None:
        trials = add_tried(_read_trial(options))
        say(f"Stored in {artifacts_directory() / TRIED_FILE}.")
    elif any(value is not None for value in told):
        options.parser.error("say in words what was tried: WHAT is missing, and without it nothing is noted")
    else:
        trials = load_tried()
    if options.json:
        print_json([asdict(one) for one in trials])
    elif trials:
        print_table(
            ("tried", "network", "epochs", "val", "kept", "note"),
            [
                (one.what, one.model, str(one.num_epochs or "–"), percent(one.val_accuracy), one.kept, one.note)
                for one in trials
            ],
            left=2,
        )
    return 0


def _read_trial(options: argparse.Namespace) -> Any:
    from bloodcell.artifact.tried import Tried
    from bloodcell.models import get_spec

    what = " ".join(options.what.split())
    if not what:
        options.parser.error("say in words what was tried")
    kept: Any = options.kept or "open"  # argparse checked it
    note = options.note or ""
    if options.source:
        if options.model is not None or options.epochs is not None:
            options.parser.error("--model and --epochs do not go with --from, which reads both from what was trained")
        artifact = find_artifact(options.source)
        manifest = artifact.manifest
        accuracy = artifact.load_evaluation("val")["accuracy"]
        return Tried(what, manifest.model, artifact.name, manifest.num_epochs, accuracy, kept, note)
    if options.val is None or options.model is None:
        options.parser.error("give --from NAME, or --val PERCENT with --model NAME")
    num_epochs = options.epochs or 0
    if not 0 <= options.val <= 100 or num_epochs < 0:
        options.parser.error("--val lies between 0 and 100, and --epochs is no less than 0")
    return Tried(what, get_spec(options.model).name, "", num_epochs, options.val / 100, kept, note)

"""`cases`: all reviewed cases into one file, and back."""

import argparse
import getpass
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bloodcell.commands.output import print_json, say


def add_parser(subparsers: Any) -> None:
    """Describe the command's arguments."""
    parser = subparsers.add_parser(
        "cases",
        help="back up all reviewed cases into one file, or restore them from it",
        description="The cases are those of the page Cases: in your own file, or on the server that "
        "BLOODCELL_DATABASE_URL names.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, function, text in (
        ("backup", backup, "write every case, with its pictures and its whole history, into a new file"),
        (
            "restore",
            restore,
            "bring back the cases of a backup that are not here; those that are stay as they are",
        ),
    ):
        action = actions.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}. JSON on standard output."
        )
        action.add_argument("file", type=Path, metavar="FILE", help="the backup")
        action.add_argument("--json", action="store_true", help="as it always is")
        action.set_defaults(run=function)
        if function is restore:
            action.add_argument(
                "--reviewer",
                metavar="NAME",
                help="who restores, as each restored case will say (default: the name of your account)",
            )
            action.set_defaults(parser=action)


def backup(options: argparse.Namespace) -> int:
    """Write the backup; a file that is there is never replaced."""
    from bloodcell.cases import open_store
    from bloodcell.cases.backup import write_backup
    from bloodcell.errors import StorageError

    if os.path.lexists(options.file):
        raise StorageError(f"{options.file} is there already and was not replaced. Choose another name for the backup.")
    num_cases = write_backup(open_store(), options.file)
    say(f"{num_cases} {'case is' if num_cases == 1 else 'cases are'} in {options.file}.")
    print_json({"file": str(options.file), "num_cases": num_cases, "num_bytes": options.file.stat().st_size})
    return 0


def restore(options: argparse.Namespace) -> int:
    """Bring back what is not here, and say what stayed and what got another identifier."""
    reviewer = _account() if options.reviewer is None else options.reviewer.strip()
    if not reviewer:
        options.parser.error("each restored case says who restored it: give --reviewer NAME")
    from bloodcell.cases import open_store
    from bloodcell.cases.backup import restore_backup

    done = restore_backup(open_store(), options.file, reviewer)
    say(done.describe())
    print_json(asdict(done))
    return 0


def _account() -> str:
    """Return the name of the account that runs this, empty where the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container may run under a number alone
        return ""

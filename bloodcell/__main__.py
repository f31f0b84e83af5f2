"""The command line: `./dev python -m bloodcell COMMAND`.

JSON on standard output alone, messages on standard error. Exit codes: 2 for wrong usage, 1 for a failure, 130 when
stopped.
"""

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from bloodcell.commands import (
    benchmark,
    cases,
    classify,
    data,
    evaluate,
    experiment,
    export,
    measure,
    models,
    train,
    tried,
)
from bloodcell.commands.output import OutputError, flush_output, say
from bloodcell.errors import BloodCellError


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m bloodcell", description="Which network reads blood cells best, and at what cost?"
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (models, train, experiment, evaluate, benchmark, classify, cases, measure, data, export, tried):
        command.add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = build_parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        flush_output()
        return status
    except BloodCellError as error:
        say(str(error))
        return 1
    except OutputError as error:
        say(str(error))
        _discard_output()
        return 1
    except KeyboardInterrupt:
        action = getattr(options, "action", None)
        continues = options.command in ("train", "experiment") or action in ("download", "crossval")
        hint = " The same command continues where it ended." if continues else ""
        say(f"Stopped.{hint}")
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        _discard_output()
        return 0
    except OSError as error:
        if error.filename is not None or error.errno != errno.ENOSPC:  # of standard output nothing is named
            raise
        say(f"The output could not be written: {error.strerror}.")
        _discard_output()
        return 1


def _discard_output() -> None:
    """Send what is left to nowhere: Python flushes once more at its end, and would fail there."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())

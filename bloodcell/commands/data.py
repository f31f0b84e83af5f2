"""`data`: where the dataset is, which file it is, how to get it, and what its originals tell besides."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bloodcell.commands.output import print_json, say


def add_parser(subparsers: Any) -> None:
    """Describe the command's arguments."""
    parser = subparsers.add_parser("data", help="find, download or verify the dataset")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, function, text in (
        ("status", status, "where the dataset is and which file it is"),
        ("download", download, "fetch MedMNIST's file into the cache, or continue an interrupted download"),
        ("verify", verify, "read and check every array"),
        (
            "link",
            link,
            "match a copy of the original images to the dataset, and learn the finer types from their names",
        ),
    ):
        action = actions.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}; JSON on standard output."
        )
        action.add_argument("--json", action="store_true", help="as it always is")
        action.set_defaults(run=function)
        if name == "link":
            action.add_argument("folder", type=Path, metavar="FOLDER", help="the originals, as BNE_48823.jpg")


def status(options: argparse.Namespace) -> int:
    """Print what is known of the dataset; a missing one is no failure of this command."""
    from bloodcell.dataset import describe_status

    found = describe_status()
    say(found["error"] or f"{found['path']} is {found['label']}.")
    print_json(found)
    return 0


def download(options: argparse.Namespace) -> int:
    """Fetch the official file, and say where it lies."""
    from tqdm import tqdm

    from bloodcell.dataset import identify_dataset
    from bloodcell.dataset.download import download_dataset

    with tqdm(unit="B", unit_scale=True, unit_divisor=1024, file=sys.stderr, disable=None, leave=False) as bar:

        def show(num_bytes: int, total: int) -> None:
            bar.total = total or None
            bar.update(num_bytes - bar.n)

        path = download_dataset(show)
    return _print_identity(identify_dataset(path))


def verify(options: argparse.Namespace) -> int:
    """Check the dataset at hand, every array of it."""
    from bloodcell.dataset import find_dataset, verify_dataset

    return _print_identity(verify_dataset(find_dataset()))


def link(options: argparse.Namespace) -> int:
    """Match originals to rows by pixels, add the finer types to the cache, and compare them with the package's."""
    from tqdm import tqdm

    from bloodcell.dataset.linking import link_originals

    with tqdm(unit="image", file=sys.stderr, disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = link_originals(options.folder, show)
    num_matched = found.num_exact + found.num_close
    say(
        f"{num_matched:,} of {found.num_files:,} images are in the dataset, {found.num_close:,} of them with slightly "
        f"other pixels; the names of {sum(found.subtypes.values()):,} rows tell a finer type. The package's table says "
        f"the same of {found.num_agreeing:,}, nothing of {found.num_new:,}, and otherwise of {len(found.differing):,}. "
        f"{found.num_added:,} of these rows were not linked before; {found.num_linked:,} are linked in all."
    )
    print_json({**asdict(found), "table": None if found.table is None else str(found.table)})
    return 0


def _print_identity(identity: Any) -> int:
    say(f"{identity.path} is {identity.label}.")
    print_json({"path": str(identity.path), "kind": identity.kind, "md5": identity.md5, "label": identity.label})
    return 0

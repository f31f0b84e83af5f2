"""`models`: every network of the catalog, its size, and how well it is known to do."""

import argparse
from typing import Any

from bloodcell.commands.output import percent, print_json, print_table
from bloodcell.commands.shelf import load_shelf_aloud

BYTES_PER_MIB = 1024**2


def add_parser(subparsers: Any) -> None:
    """Describe the command's arguments."""
    parser = subparsers.add_parser("models", help="list every network of the catalog")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List the catalog."""
    rows = list_models()
    if options.json:
        print_json(rows)
    else:
        print_table(
            ("name", "family", "parameters", "MiB", "test accuracy", "published"),
            [
                (
                    row["name"],
                    row["family"],
                    f"{row['parameters']:,}",
                    f"{row['weights_mib']:.2f}",
                    percent(row["test_accuracy"]) if row["trained"] else "not trained",
                    percent(row["published_accuracy"]),
                )
                for row in rows
            ],
            left=2,
        )
    return 0


def list_models() -> list[dict[str, Any]]:
    """Return one dict per row of the catalog, in its order; None where a number is not known."""
    from bloodcell.models import CATALOG
    from bloodcell.models.graphs import load_graphs
    from bloodcell.published import published_accuracies

    graphs, published, shelf = load_graphs(), published_accuracies(), load_shelf_aloud()
    rows = []
    for name, spec in CATALOG.items():
        artifact = shelf.artifacts.get(name)
        parameters = graphs[name]["parameters"]
        rows.append(
            {
                "name": name,
                "family": spec.family,
                "description": spec.description,
                "parameters": parameters,
                "trainable_parameters": graphs[name]["trainable_parameters"],
                "weights_mib": parameters * 4 / BYTES_PER_MIB,
                "trained": artifact is not None,
                "test_accuracy": None if artifact is None else artifact.load_evaluation("test")["accuracy"],
                "published_accuracy": published.get(name),
            }
        )
    return rows

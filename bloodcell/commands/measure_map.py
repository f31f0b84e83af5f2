"""`measure map`: the map of all test cells, computed and stored with each model."""

import argparse
import time
from typing import Any

from bloodcell.commands.output import percent, print_json, print_table, say, step_progress
from bloodcell.commands.shelf import find_artifact, find_artifacts


def measure_map(options: argparse.Namespace) -> int:
    """Compute maps and store them with their models: of the named ones anew, else of those that have none."""
    from bloodcell.dataset import load_split
    from bloodcell.inference.cell_map import SPLIT, has_map, store_map
    from bloodcell.inference.cell_map import measure_map as measure

    artifacts = [find_artifact(name) for name in dict.fromkeys(options.names)] or find_artifacts(())
    wanted = [artifact for artifact in artifacts if options.names or not has_map(artifact)]
    for artifact in artifacts:
        if artifact not in wanted:
            say(f"{artifact.name} has its map; name it to compute it anew.")
    test = load_split(SPLIT) if wanted else None
    found: list[dict[str, Any]] = []
    for artifact in wanted:
        assert test is not None
        started = time.perf_counter()
        with step_progress() as on_progress:
            computed = measure(artifact, test, on_progress)
        store_map(artifact, computed)
        seconds = round(time.perf_counter() - started, 1)
        found.append({"name": artifact.name, **computed.record, "seconds": seconds})
    if options.json:
        print_json(found)
    elif found:
        print_table(
            ("model", "cells", "features", "trustworthiness", "s"),
            [
                (
                    one["name"],
                    str(one["num_cells"]),
                    str(one["num_features"]),
                    percent(one["trustworthiness"]),
                    str(one["seconds"]),
                )
                for one in found
            ],
        )
    return 0

"""`benchmark`: what an answer of each trained model costs on this machine."""

import argparse
from pathlib import Path
from typing import Any

from bloodcell.commands.output import print_json, print_table, say, step_progress
from bloodcell.commands.shelf import find_artifacts


def add_parser(subparsers: Any) -> None:
    """Describe the command's arguments."""
    parser = subparsers.add_parser(
        "benchmark",
        help="measure latency, throughput and memory of trained models",
        description="All models take turns, so that what slows the machine slows all of them. Keep it quiet meanwhile.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="trained models; all where none is given")
    parser.add_argument("--engine", choices=("litert", "keras", "both"), help="both, or litert with --quick")
    parser.add_argument(
        "--precision",
        choices=("float16", "float32", "int8"),
        nargs="+",
        default=["float16"],
        help="LiteRT forms (float16)",
    )
    parser.add_argument(
        "--threads", type=int, choices=range(1, 65), metavar="N", default=2, help="processor threads (2)"
    )
    parser.add_argument("--quick", action="store_true", help="under a minute, less exact")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--save", action="store_true", help="store the record with the artifacts, as benchmark.json")
    target.add_argument("--output", type=Path, metavar="FILE", help="store the record in a file")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Measure, print and, if asked, store."""
    from bloodcell.files import artifacts_directory
    from bloodcell.inference.benchmark import BENCHMARK_FILE, ENGINES, FULL, QUICK, run_benchmark, save_benchmark

    if options.save and (options.names or options.quick):
        options.parser.error("--save keeps one record of every model, measured at length; use --output FILE")
    engine = options.engine or ("litert" if options.quick else "both")
    with step_progress() as on_progress:
        record = run_benchmark(
            find_artifacts(options.names),
            engines=[name for name in ENGINES if engine in (name, "both")],
            precisions=list(dict.fromkeys(options.precision)),
            num_threads=options.threads,
            effort=QUICK if options.quick else FULL,
            on_progress=on_progress,
        )
    if options.json:
        print_json(record)
    else:
        _print_record(record)
    target = artifacts_directory() / BENCHMARK_FILE if options.save else options.output
    if target is not None:
        save_benchmark(record, target)
        say(f"Stored in {target}.")
    return 0


def _print_record(record: dict[str, Any]) -> None:
    machine = record["machine"]
    print(f"{machine['processor']}, {machine['num_cores']} cores, {machine['system']}, {record['date']}")
    print(record["note"] + "\n")
    print_table(
        ("name", "engine", "precision", "ms, 1 image", "95th", "ms, 32 images", "images/s", "at batch", "MB"),
        [
            (
                row["name"],
                row["engine"],
                row["precision"],
                f"{row['latency_ms_median']:.3f}",
                f"{row['latency_ms_p95']:.3f}",
                f"{row['step_time_ms']:.2f}",
                f"{row['throughput_images_per_s']:.0f}",
                str(row["best_batch_size"]),
                f"{row['peak_memory_mb']:.1f}",
            )
            for row in sorted(record["rows"], key=lambda row: row["latency_ms_median"])
        ],
        left=3,
    )

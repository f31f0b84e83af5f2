"""`evaluate`: the numbers of trained models, from their stored predictions or measured again."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloodcell.commands.output import percent, print_json, print_table, say
from bloodcell.commands.shelf import find_artifacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bloodcell.artifact import Artifact
    from bloodcell.evaluation import Evaluation


def add_parser(subparsers: Any) -> None:
    """Describe the command's arguments."""
    parser = subparsers.add_parser("evaluate", help="report how good trained models are")
    parser.add_argument("names", nargs="+", metavar="NAME", help="trained model, or runs/NAME.TAG for a run")
    parser.add_argument("--split", choices=("val", "test", "train"), help="which images (test)")
    parser.add_argument("--recompute", action="store_true", help="run the model on the dataset instead")
    parser.add_argument(
        "--cells", type=Path, metavar="SET", help="run the model on a labelled set instead, a folder or a zip file"
    )
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Report on each name."""
    if options.cells is not None and (options.split or options.recompute):
        options.parser.error("--cells stands for the images: leave out --split and --recompute")
    split = options.split or "test"
    if split == "train" and not options.recompute:
        options.parser.error("predictions on train are not stored: add --recompute")
    artifacts = find_artifacts(options.names)
    if options.cells is not None:
        reports = evaluate_on_set(artifacts, options.cells)
    else:
        reports = [evaluate(artifact, split, options.recompute) for artifact in artifacts]
    if options.json:
        print_json(reports)
    else:
        for report in reports:
            _print_report(report)
    return 0


def evaluate(artifact: "Artifact", split: str, recompute: bool) -> dict[str, Any]:
    """Return name, split, n, accuracy and every other number of `Evaluation`, and where they come from.

    Of a network that tells finer types apart also "finer", from the stored predictions.

    Raises:
        BloodCellError: The dataset is missing or the engine cannot be built, if the numbers are measured again.
    """
    from bloodcell.dataset import find_dataset, identify_dataset
    from bloodcell.evaluation import Evaluation, softmax
    from bloodcell.pipeline import evaluate_finer

    manifest = artifact.manifest
    if recompute:
        from bloodcell.pipeline import recompute as run_again

        say(f"Running {artifact.name} on {split} ...")
        evaluation = run_again(artifact, split)
        source, dataset, finer = "LiteRT, run now", identify_dataset(find_dataset()).label, None
    else:
        predictions = artifact.load_predictions(split)
        y_score = softmax(predictions.logits, manifest.temperature)
        evaluation = Evaluation.from_predictions(predictions.y_true, y_score, manifest.class_names)
        source, dataset = "stored predictions", manifest.dataset["label"]
        finer = evaluate_finer(predictions, manifest.temperature)
    report = _report(artifact, split, evaluation, source, dataset)
    return report if finer is None else report | {"finer": finer.to_dict()}


def evaluate_on_set(artifacts: "Sequence[Artifact]", folder_or_zip: Path) -> list[dict[str, Any]]:
    """Return what `evaluate` does, for images of a labelled set; their split is called "set".

    Raises:
        BloodCellError: The set cannot be read or an engine cannot be built.
    """
    from bloodcell.dataset import load_labelled_set
    from bloodcell.inference.classifier import read_cell
    from bloodcell.pipeline import evaluate_images

    images, labels = load_labelled_set(folder_or_zip, read_cell)
    dataset = f"the labelled set {folder_or_zip.name}"
    reports = []
    for artifact in artifacts:
        say(f"Running {artifact.name} on {len(labels)} cells of {folder_or_zip} ...")
        if "train_md5" in artifact.manifest.dataset:
            say(f"{artifact.name} was trained with added cells: where they are these, the numbers flatter it.")
        reports.append(_report(artifact, "set", evaluate_images(artifact, images, labels), "LiteRT, run now", dataset))
    return reports


def _report(artifact: "Artifact", split: str, evaluation: "Evaluation", source: str, dataset: str) -> dict[str, Any]:
    numbers = evaluation.to_dict()
    head = {"name": artifact.name, "split": split, "n": numbers.pop("n"), "accuracy": numbers.pop("accuracy")}
    return head | numbers | {"temperature": artifact.manifest.temperature, "source": source, "dataset": dataset}


def _print_report(report: dict[str, Any]) -> None:
    low, high = report["accuracy_interval"]
    print(f"{report['name']} on {report['split']}: {report['n']} images of {report['dataset']} ({report['source']})")
    print(f"accuracy {percent(report['accuracy'])} (95 % interval {percent(low)} to {percent(high)})")
    auc = "–" if report["auc"] is None else f"{report['auc']:.5f}"
    print(f"AUC {auc}, calibration error (ECE) {report['ece']:.4f}, log loss {report['log_loss']:.4f}\n")
    rows = [
        (one["name"], *(f"{one[key]:.4f}" for key in ("precision", "recall", "f1_score")), str(one["support"]))
        for one in report["per_class"]
    ]
    for mean in ("macro", "weighted"):
        values = (f"{report[f'{mean}_{key}']:.4f}" for key in ("precision", "recall", "f1"))
        rows.append((f"{mean} mean", *values, str(report["n"])))
    print_table(("class", "precision", "recall", "F1", "images"), rows)
    print("\nrows: true class, columns: predicted, in the order above")
    matrix = report["confusion_matrix"]
    width = max(len(str(count)) for row in matrix for count in row)
    print("\n".join("  ".join(str(count).rjust(width) for count in row) for row in matrix), end="\n\n")

"""A model's card: what it is, how it came about, how it stands against the study, what it is for."""

import statistics
from collections.abc import Mapping
from typing import Any

from bloodcell.artifact import Artifact, Manifest
from bloodcell.artifact.store import Shelf
from bloodcell.artifact.trials import Variant, complete_recipe, count_epochs, find_variants
from bloodcell.evaluation import Evaluation
from bloodcell.inference.combined import find_seeds
from bloodcell.models.catalog import ModelSpec
from bloodcell.views.findings import join_words, write_setting
from bloodcell.views.quantities import MISSING, megabytes, percent, percent_interval, points
from bloodcell.views.tables_evaluation import describe_shape, find_weak_spots

STUDY_LEARNING_RATE = 1e-3
"""The one learning rate that the study publishes, that of Adam."""

FIDELITY: dict[str, str] = {
    "reconstructed": "Layers reconstructed from the study's text and its parameter counts",
    "fitted": "Layers fitted: one of several designs that give the study's parameter counts",
    "own design": "A network of this project, not of the study",
}


def card_rows(manifest: Manifest, spec: ModelSpec | None, evaluation: Evaluation) -> dict[str, str]:
    """Return the model's card as label -> text, in the order it is read.

    Args:
        manifest: What the artifact recorded.
        spec: Its row of the catalog, or None if the catalog no longer has it.
        evaluation: Numbers of the split that the reader looks at.
    """
    dataset = manifest.dataset
    counts = ", ".join(f"{count:,} {split}" for split, count in dataset.get("num_images", {}).items())
    low, high = evaluation.accuracy_interval
    rows = {
        "Network": f"{spec.description} {FIDELITY.get(spec.fidelity, spec.fidelity)}." if spec else manifest.name,
        "Accuracy": f"{percent_interval(evaluation.accuracy, low, high, 2)} on {evaluation.n:,} images",
        "Recipe": f"{manifest.recipe_name}: {describe_recipe(manifest.recipe)}",
        "Seed": str(manifest.seed),
        "Data": f"{dataset.get('label', MISSING)} ({counts})" if counts else str(dataset.get("label", MISSING)),
        "MD5 of the data": str(dataset.get("md5") or MISSING),
        "Training time": f"{describe_duration(manifest.duration_s)} for {manifest.num_epochs} epochs",
        "Kept epoch": f"{manifest.best_epoch}, the best on val",
        "Device": manifest.device,
        "Backend": f"{manifest.backend} · {describe_versions(manifest.versions)}",
        "Trained": manifest.created.replace("T", " ").split(".")[0].removesuffix("+00:00").removesuffix("Z") + " UTC",
        "Temperature": f"{manifest.temperature:.3f}, fitted on val; every probability is softmax(logits / temperature)",
        "Size": f"{manifest.parameters:,} parameters ({manifest.trainable_parameters:,} trainable), "
        f"{megabytes(manifest.weights_bytes_float32 / 1024**2)} as float32, "
        f"{megabytes(manifest.weights_bytes_stored / 1024**2)} as stored",
        "Input": f"{describe_shape(manifest.input_shape)} pixels, values "
        f"{manifest.input_range[0]:g} to {manifest.input_range[1]:g}",
        "Known weak spots": " ".join(find_weak_spots(evaluation)),
        "Intended use": manifest.intended_use,
    }
    if manifest.notes:
        rows["Notes"] = " ".join(manifest.notes)
    return rows


def describe_recipe(recipe: Mapping[str, Any]) -> str:
    """Return a recipe's settings that are on, such as "optimizer adam, learning rate 0.001, …"."""
    parts = []
    for key, value in recipe.items():
        if value is None or value is False or value == 0 or value == "none":
            continue
        if key == "teacher_share" and not recipe.get("teacher"):
            continue
        parts.append(f"{_name_field(key)} {write_setting(key, value)}")
    return ", ".join(parts)


def describe_versions(versions: Mapping[str, str]) -> str:
    """Return package versions, such as "keras 3.15.0, tensorflow 2.21.0"."""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def describe_duration(seconds: float) -> str:
    """Return a duration in the two largest units, such as "12 min 5 s" or "1 h 20 min"."""
    total = round(seconds)
    hours, minutes, rest = total // 3600, total // 60 % 60, total % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def study_rows(artifact: Artifact, published: float | None, shelf: Shelf) -> dict[str, str]:
    """Return what a card says of other trainings of the network: the study's, those of other seeds, and those changed.

    Args:
        artifact: The card's model.
        published: The study's accuracy on test, in [0, 1]; None where it published none.
        shelf: Everything trained, the runs among it.
    """
    rows = {}
    if published is not None and artifact.name == artifact.model_name:
        rows["Against the study"] = describe_against_study(artifact, published)
    seeds = find_seeds(artifact, shelf.runs)
    if seeds:
        rows["Other seeds"] = "; ".join(
            f"seed {one.manifest.seed}{describe_place(one, artifact)}: {_accuracies(one)}" for one in seeds
        )
    variants = find_variants(shelf, artifact.name)
    if variants:
        changes = "; ".join(_describe_variant(one) for one in variants)
        rows["Changed alone"] = f"{changes}. With so few seeds, tenths of a point are no evidence."
    return rows


def describe_against_study(artifact: Artifact, published: float) -> str:
    """Return how far a model's test accuracy is from the published one, and what was chosen where the study is silent.

    Args:
        published: In [0, 1].
    """
    accuracy = float(artifact.load_evaluation("test")["accuracy"])
    recipe = complete_recipe(artifact.manifest.recipe)
    choices = [f"{recipe['batch_size']} images per step"]
    other = ""
    if recipe["optimizer"] == "sgd":  # with cosine decay, as published
        choices.append(f"a learning rate of {recipe['learning_rate']:g}")
    else:
        if recipe["schedule"] == "cosine":
            choices.append("a learning rate that falls to zero along a cosine")
        if recipe["learning_rate"] != STUDY_LEARNING_RATE:
            other = f" Otherwise than in the study: a learning rate of {recipe['learning_rate']:g}, not "
            other += f"{STUDY_LEARNING_RATE:g}."
    if recipe["warmup_epochs"]:
        choices.append("a warm-up")
    if recipe["clip_norm"] is not None:
        choices.append("clipped gradients")
    choices += ["kernels that start from He et al. 2015", "the epoch that is best on val"]
    asked, planned = count_epochs(artifact)
    shortened = f" Trained for {asked} of the {planned} epochs of its recipe." if asked < planned else ""
    return (
        f"{percent(accuracy, 2)} on test, {percent(published, 2)} published: {points(accuracy - published)}. Chosen "
        f"here where the study is silent: {', '.join(choices)}.{other}{shortened} What each of them adds is known only "
        "where it was changed alone."
    )


def describe_place(other: Artifact, artifact: Artifact) -> str:
    """Return on which backend and device another training ran, where that was not the artifact's."""
    here, there = ((one.manifest.backend, one.manifest.device) for one in (artifact, other))
    return "" if there == here else f" ({there[0]}, {there[1]})"


def _describe_variant(variant: Variant) -> str:
    recipes = (complete_recipe(one.manifest.recipe) for one in variant.pairs[0])
    old, new = (write_setting(variant.field, recipe[variant.field]) for recipe in recipes)
    befores, afters = zip(*variant.pairs, strict=True)
    seeds = [str(one.manifest.seed) for one in afters]
    which = f"{'mean of the seeds' if len(seeds) > 1 else 'seed'} {join_words(seeds)}"
    return (
        f"{_name_field(variant.field)} {new} in place of {old}: {_accuracies(*afters)}, in place of "
        f"{_accuracies(*befores)} ({which})"
    )


def _name_field(field: str) -> str:
    return field.removeprefix("num_").replace("_", " ")


def _accuracies(*ones: Artifact) -> str:
    """Return the accuracies of a training on val and test, or the means of several."""
    val, test = (
        percent(statistics.fmean(float(one.load_evaluation(split)["accuracy"]) for one in ones), 2)
        for split in ("val", "test")
    )
    return f"{val} on val, {test} on test"

"""Walks the whole road: data, network, training, artifact, evaluation, engine."""

from __future__ import annotations

import datetime
import logging
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bloodcell.artifact import (
    LITERT_FILE,
    Artifact,
    Manifest,
    Predictions,
    add_file,
    load_artifact,
    load_own_artifact,
    publish_artifact,
)
from bloodcell.artifact.crossval import CrossValidation, Origin, check_storable, save_crossval
from bloodcell.artifact.trials import complete_recipe
from bloodcell.artifact.weights import fill_weights, serialize_weights
from bloodcell.dataset import (
    CLASS_NAMES,
    INPUT_SIZE,
    UNKNOWN,
    Split,
    add_labelled_set,
    find_subtypes,
    load_split,
    prepare_images,
)
from bloodcell.errors import ArtifactError, ArtifactNotFoundError, EngineError, StorageError, TrainingError
from bloodcell.evaluation import (
    Evaluation,
    FinerEvaluation,
    finer_probabilities,
    fit_subtype_temperature,
    fit_temperature,
    softmax,
)
from bloodcell.files import own_models_directory
from bloodcell.models import answers_model, build_model, get_spec, graph_of, has_subtypes
from bloodcell.models.folding import fold_batch_norm
from bloodcell.teachers import describe_teaching, find_teacher
from bloodcell.training import (
    RECIPES,
    TrainingRecipe,
    TrainingResult,
    checkpoint_path,
    describe_changes,
    recipe_for,
    train,
)
from bloodcell.training.crossval import NUM_FOLDS, HeldOut, checkpoint_folder, cross_validate

if TYPE_CHECKING:
    import keras

    from bloodcell.training.trainer import OnBatch, OnEpoch

logger = logging.getLogger(__name__)

LARGEST_SHIPPED_LITERT_BYTES = 2_500_000
# A name becomes a folder: letters, digits and a few marks, beginning with a letter or digit.
_NAME = re.compile(r"[A-Za-z0-9][\w-]*(\.[\w-]+)*")
RECORDED_PACKAGES = ("keras", "tensorflow", "jax", "numpy", "ai-edge-litert", "scikit-learn", "medmnist")


def load_or_train(
    name: str,
    *,
    recipe_name: str | None = None,
    seed: int | None = None,
    num_epochs: int | None = None,
    changes: Mapping[str, Any] | None = None,
    run_tag: str | None = None,
    own: bool = False,
    force: bool = False,
    added_set: Path | None = None,
    on_epoch: OnEpoch | None = None,
    on_batch: OnBatch | None = None,
) -> Artifact:
    """Return the artifact of a catalog row, trained now where it is not there yet.

    Args:
        name: Catalog row, or the row with a tag after a dot for another training of the same graph (`cnn_bn.sgd`), or
            of the graph with another head (`hemanet_tiny.eleven`; see `models.catalog.HEADS`).
        recipe_name: A recipe other than the row's own.
        seed: 0 where None.
        num_epochs: Another length than the recipe's.
        changes: Other fields of the recipe, by name.
        run_tag: Keep everything but the weights, as the run `NAME.TAG`.
        own: Keep it among this user's own models and not with the project's.
        force: Train again, and replace what is there once the new one is whole.
        added_set: A labelled set, folder or zip file, whose cells are added to train. The name must carry a tag then.

    Raises:
        TrainingError: What is there was trained by another recipe, seed or data than was asked for, or the name will
            not do.
        BloodCellError: The data are missing, the name is unknown, the disk is full.
    """
    model_name = graph_of(name)
    get_spec(model_name)
    if own and "." not in name:
        raise TrainingError(f"A model of your own needs a tag, so that it is told from the project's: {name}.mine")
    kind = "run" if run_tag else "artifact"
    full_name = f"{name}.{run_tag}" if run_tag else name
    _check_name(full_name, model_name, added_set)
    changed = {**(changes or {}), **({} if num_epochs is None else {"num_epochs": num_epochs})}
    train_split = None if added_set is None else _with_added(added_set)
    if not force:
        existing = _find(full_name, kind, own)
        if existing:
            _check_same(existing, {"recipe_name": recipe_name, "seed": seed}, changed)
            _check_same_data(existing, train_split)
            return existing
    recipe_name, recipe = recipe_for(model_name, recipe_name)
    recipe = recipe.replace(**changed)
    seed = 0 if seed is None else seed
    if train_split is not None and recipe.max_images is not None and recipe.max_images < train_split.num_images:
        raise TrainingError(
            f"The recipe {recipe_name} takes the first {recipe.max_images} images only, and added cells stand at the "
            "end. Choose another recipe."
        )
    train_split, val_split = train_split or load_split("train"), load_split("val")
    teacher = None if recipe.teacher is None else find_teacher(recipe.teacher, full_name, own)
    result = train(
        model_name, recipe, train_split, val_split, seed=seed, on_epoch=on_epoch, on_batch=on_batch, teacher=teacher
    )
    artifact = publish_training(
        full_name,
        kind,
        recipe_name,
        recipe,
        seed,
        result,
        train_split,
        val_split,
        own=own,
        notes=() if teacher is None else (describe_teaching(teacher, recipe),),
        added_set=added_set,
    )
    checkpoint_path(model_name, recipe, seed, train_split, teacher=teacher).unlink(missing_ok=True)
    return attach_litert(artifact) if kind == "artifact" else artifact


def publish_training(
    name: str,
    kind: str,
    recipe_name: str,
    recipe: TrainingRecipe,
    seed: int,
    result: TrainingResult,
    train_split: Split,
    val_split: Split,
    *,
    own: bool = False,
    notes: tuple[str, ...] = (),
    added_set: Path | None = None,
    command: str | None = None,
) -> Artifact:
    """Store a finished training: weights rounded as they are kept, and everything measured on the rounded ones.

    Args:
        own: Store it among this user's own models.
        notes: Sentences for its card.
        added_set: The labelled set that was added to train.
        command: What trains it again; `train` with its recipe and seed where None.
    """
    model_name = graph_of(name)
    fold_batch_norm(result.model)  # first, so that the kernels that are rounded are those that LiteRT runs
    calibrate_subtypes(result.model, val_split)
    weights = serialize_weights(result.model)
    stored_model = build_model(model_name)
    fill_weights(stored_model, weights, "the weights just trained")
    test_split = load_split("test")
    predictions = [predict_split(stored_model, split) for split in (val_split, test_split)]
    temperature = fit_temperature(predictions[0].logits, predictions[0].y_true)
    manifest = Manifest(
        name=name,
        kind=kind,
        model=model_name,
        recipe_name=recipe_name,
        recipe=asdict(recipe),
        seed=seed,
        dataset=_describe_data(train_split, val_split, test_split),
        input_shape=(INPUT_SIZE, INPUT_SIZE, 3),
        input_range=(0.0, 1.0),
        class_names=CLASS_NAMES,
        parameters=stored_model.count_params(),
        trainable_parameters=int(sum(np.prod(w.shape) for w in stored_model.trainable_weights)),
        weights_bytes_float32=4 * stored_model.count_params(),
        weights_bytes_stored=len(weights),
        temperature=temperature,
        best_epoch=result.best_epoch,
        num_epochs=len(result.history),
        duration_s=round(result.duration_s, 1),
        device=result.device,
        backend=result.backend,
        versions=_versions(),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=command or _command(name, kind, recipe_name, recipe, seed, own, added_set, result.backend),
        notes=notes,
    )
    artifact = publish_artifact(
        manifest,
        weights=weights if kind == "artifact" else None,
        history=pd.DataFrame(result.history),
        predictions=predictions,
        evaluations={one.split: describe_predictions(one, temperature) for one in predictions},
        directory=own_models_directory() if own else None,
    )
    return replace(artifact, own=own)


def cross_validate_network(
    name: str,
    *,
    changes: Mapping[str, Any] | None = None,
    num_folds: int = NUM_FOLDS,
    force: bool = False,
    on_fold: Callable[[int], None] | None = None,
    on_epoch: OnEpoch | None = None,
    on_batch: OnBatch | None = None,
) -> CrossValidation:
    """Return the cross-validation of a catalog row: what is there, or what networks trained now answer, fold by fold.

    Args:
        name: Catalog row, or the row with a tag after a dot for another recipe.
        changes: Other fields of the row's recipe, by name.
        num_folds: From 2 to the number of train images.
        force: Train again, and replace what is there once the new one is whole.

    Raises:
        TrainingError: The name will not do, there are too many folds, the recipe has a teacher, a training failed, or
            what is there came from another recipe, number of folds or dataset.
        BloodCellError: The data are missing, the name is unknown, the result cannot be stored.
    """
    model_name = graph_of(name)
    _check_name(name, model_name, None)
    recipe_name, recipe = recipe_for(model_name)
    recipe = recipe.replace(**(changes or {}))
    train_split, val_split = load_split("train"), load_split("val")
    if num_folds > train_split.num_images:
        raise TrainingError(f"{num_folds} folds of {train_split.num_images} train images leave some without an image.")
    existing = check_storable(name, train_split.identity.md5).get(name)  # before hours of training, not after
    if existing and not force:
        _check_same_folds(existing, recipe, num_folds, train_split.identity.md5)
        return existing
    found = cross_validate(
        model_name,
        recipe,
        train_split,
        val_split,
        num_folds=num_folds,
        on_fold=on_fold,
        on_epoch=on_epoch,
        on_batch=on_batch,
    )
    one = describe_held_out(name, recipe_name, recipe, train_split, found)
    save_crossval(one)
    for fold in range(num_folds):
        folder = checkpoint_folder(fold, num_folds)
        checkpoint_path(model_name, recipe, fold, train_split, folder).unlink(missing_ok=True)
    return one


def _check_same_folds(existing: CrossValidation, recipe: TrainingRecipe, num_folds: int, md5: str) -> None:
    origin = existing.origin
    there, asked = complete_recipe(origin.recipe), complete_recipe(asdict(recipe))
    differing = [f"{field} {there[field]}, not {value}" for field, value in asked.items() if there[field] != value]
    differing += [] if origin.num_folds == num_folds else [f"{origin.num_folds} folds, not {num_folds}"]
    differing += [] if origin.dataset["md5"] == md5 else ["another dataset file"]
    if differing:
        raise TrainingError(
            f"{existing.name!r} is cross-validated already, with {' and '.join(differing)}. Add --force to replace it, "
            f"or give it a tag to keep both, such as {existing.name.partition('.')[0]}.other."
        )


def describe_held_out(
    name: str,
    recipe_name: str,
    recipe: TrainingRecipe,
    train_split: Split,
    found: HeldOut,
    notes: tuple[str, ...] = (),
) -> CrossValidation:
    """Return what networks answered to images held out, with how it came to be, ready to be stored."""
    num_folds = int(found.folds.max()) + 1
    words = [] if found.backend == "tensorflow" else [f"KERAS_BACKEND={found.backend}"]
    words.append(f"./dev python -m bloodcell measure crossval {name}")
    words += _describe_recipe(recipe_name, recipe)
    words += [] if num_folds == NUM_FOLDS else [f"--folds {num_folds}"]
    identity = train_split.identity
    origin = Origin(
        name=name,
        model=graph_of(name),
        recipe_name=recipe_name,
        recipe=asdict(recipe),
        num_folds=num_folds,
        dataset={"kind": identity.kind, "md5": identity.md5, "label": identity.label},
        duration_s=round(found.duration_s, 1),
        device=found.device,
        backend=found.backend,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=" ".join(words),
        notes=notes,
    )
    predictions = Predictions("train", train_split.labels, found.logits, train_split.image_hashes)
    return CrossValidation(origin, found.folds, predictions)


def predict_split(model: keras.Model, split: Split) -> Predictions:
    """Return a Keras model's answers for every image of a split, those on subtypes included where it gives any."""
    from bloodcell.training.trainer import compute_logits

    answers = compute_logits(answers_model(model), split.images)
    logits, subtype_logits = np.split(answers, [len(CLASS_NAMES)], axis=1)
    if not subtype_logits.shape[1]:
        return Predictions(split.name, split.labels, logits, split.image_hashes)
    return Predictions(split.name, split.labels, logits, split.image_hashes, subtype_logits, find_subtypes(split))


def calibrate_subtypes(model: keras.Model, val_split: Split) -> None:
    """Divide, in place, the layer "subtypes" by the temperature under which its shares fit val best, if there is one.

    The most probable type stays the same; what is stored and exported then needs no second temperature.
    """
    if not has_subtypes(model):
        return
    found = predict_split(model, val_split)
    assert found.subtype_logits is not None and found.finer_true is not None
    temperature = fit_subtype_temperature(found.subtype_logits, found.finer_true)
    layer = model.get_layer("subtypes")
    layer.set_weights([weight / np.float32(temperature) for weight in layer.get_weights()])


def describe_predictions(predictions: Predictions, temperature: float) -> dict[str, Any]:
    """Return the numbers of stored predictions ready for JSON, with those over finer types under "finer"."""
    numbers = evaluate_predictions(predictions, temperature).to_dict()
    finer = evaluate_finer(predictions, temperature)
    return numbers if finer is None else {**numbers, "finer": finer.to_dict()}


def evaluate_finer(predictions: Predictions, temperature: float) -> FinerEvaluation | None:
    """Return the numbers over the eleven finer types, or None where there are no answers or no known types."""
    if predictions.subtype_logits is None or predictions.finer_true is None:
        return None
    if (predictions.finer_true == UNKNOWN).all():
        return None
    y_score = finer_probabilities(predictions.logits, predictions.subtype_logits, temperature)
    return FinerEvaluation.from_predictions(predictions.finer_true, y_score)


def evaluate_predictions(predictions: Predictions, temperature: float) -> Evaluation:
    """Return the numbers of stored predictions, with probabilities softmax(logits / temperature)."""
    return Evaluation.from_predictions(predictions.y_true, softmax(predictions.logits, temperature), CLASS_NAMES)


def recompute(artifact: Artifact, split_name: str) -> Evaluation:
    """Run the model on the dataset through the engine that answers, and return the numbers found now.

    Raises:
        BloodCellError: The data are missing, or the engine cannot be built.
    """
    split = load_split(split_name)
    return evaluate_images(artifact, split.images, split.labels)


def evaluate_images(artifact: Artifact, images: np.ndarray, labels: np.ndarray) -> Evaluation:
    """Run the model on images through the engine that answers, and return the numbers.

    Args:
        images: (n, 64, 64, 3) uint8.
        labels: (n,) int64 in [0, 8).
    """
    from bloodcell.inference import load_engine

    engine = load_engine(artifact)
    starts = range(0, len(images), 256)
    logits = np.concatenate([engine.compute_logits(prepare_images(images[i : i + 256])) for i in starts])
    return Evaluation.from_predictions(labels, softmax(logits, artifact.manifest.temperature), CLASS_NAMES)


def attach_litert(artifact: Artifact) -> Artifact:
    """Build the LiteRT form in a process of its own, and ship it with the artifact where it is small.

    A failure is said and leaves the artifact whole: the form is then built in the reader's cache when it is needed.
    """
    from bloodcell.inference import ensure_litert

    if 2 * artifact.manifest.parameters > LARGEST_SHIPPED_LITERT_BYTES:
        return artifact
    try:
        data = ensure_litert(artifact).read_bytes()
        return add_file(artifact, LITERT_FILE, data) if len(data) <= LARGEST_SHIPPED_LITERT_BYTES else artifact
    except (EngineError, StorageError) as error:
        logger.warning("%s is complete and stored, but without its LiteRT form. %s", artifact.name, error)
        return artifact


def _find(name: str, kind: str, own: bool) -> Artifact | None:
    try:
        if own:
            return load_own_artifact(f"runs/{name}" if kind == "run" else name)
        return load_artifact(f"runs/{name}" if kind == "run" else name)
    except ArtifactNotFoundError:
        return None
    except ArtifactError as error:
        raise TrainingError(f"{error} To replace it, add --force.") from error


def _check_same(existing: Artifact, asked: dict[str, Any], changes: dict[str, Any]) -> None:
    manifest = existing.manifest
    differing = [
        f"{key.replace('_', ' ')} {getattr(manifest, key)!r}, not {value!r}"
        for key, value in asked.items()
        if value is not None and getattr(manifest, key) != value
    ]
    for field, value in changes.items():
        there = manifest.recipe.get(field, getattr(TrainingRecipe(), field))  # a field that came later
        if there != value:
            is_epochs = field == "num_epochs"
            differing.append(f"{there} epochs, not {value}" if is_epochs else f"{field} {there}, not {value}")
    if differing:
        raise TrainingError(
            f"{existing.name!r} is there already, trained with {' and '.join(differing)}. "
            "Add --force to replace it, or --run TAG to keep both."
        )


def _check_name(full_name: str, model_name: str, added_set: Path | None) -> None:
    if not _NAME.fullmatch(full_name):
        raise TrainingError(
            f"{full_name!r} cannot be a name: expected letters, digits, - and _, in parts with a dot between them, "
            "such as cnn_4.lab."
        )
    if added_set is not None and full_name == model_name:
        raise TrainingError(
            f"A training with added cells is another one than {model_name}: give it a tag, such as {model_name}.lab."
        )


def _with_added(added_set: Path) -> Split:
    from bloodcell.inference.classifier import read_cell

    held_out = [load_split("val"), load_split("test")]
    train_split, num_left_out = add_labelled_set(load_split("train"), added_set, held_out, read_cell)
    if num_left_out:
        logger.warning(
            "%d cells of %s are images of val or test, or nearly equal to one, and were left out.",
            num_left_out,
            added_set,
        )
    return train_split


def _check_same_data(existing: Artifact, train_split: Split | None) -> None:
    if train_split is not None and existing.manifest.dataset.get("train_md5") != train_split.identity.md5:
        raise TrainingError(
            f"{existing.name!r} is there already, trained without these cells. Add --force to replace it, or choose "
            "another tag."
        )


def _describe_data(train_split: Split, val_split: Split, test_split: Split) -> dict[str, Any]:
    file, trained_on = val_split.identity, train_split.identity
    return {
        "kind": file.kind,
        "md5": file.md5,
        "label": trained_on.label,
        "num_images": {split.name: split.num_images for split in (train_split, val_split, test_split)},
    } | ({"train_md5": trained_on.md5} if trained_on.md5 != file.md5 else {})


def _versions() -> dict[str, str]:
    found = {}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _describe_recipe(recipe_name: str, recipe: TrainingRecipe) -> list[str]:
    """Return the words of a command line in which a recipe differs from that of its name."""
    named = RECIPES[recipe_name]
    words = [] if recipe.num_epochs == named.num_epochs else [f"--epochs {recipe.num_epochs}"]
    changes = describe_changes(recipe, named.replace(num_epochs=recipe.num_epochs))
    return [*words, *(f"--set {change}" for change in changes)]


def _command(
    name: str,
    kind: str,
    recipe_name: str,
    recipe: TrainingRecipe,
    seed: int,
    own: bool,
    added_set: Path | None,
    backend: str,
) -> str:
    model_name = graph_of(name)
    base, tag = name, ""
    if kind == "run":
        base, tag = model_name, name.removeprefix(f"{model_name}.")
        if own:  # whose name has a tag of its own before the run's
            first, _, tag = tag.partition(".")
            base = f"{model_name}.{first}"
    words = [] if backend == "tensorflow" else [f"KERAS_BACKEND={backend}"]
    words += ["./dev python -m bloodcell train", base]
    if recipe_for(model_name)[0] != recipe_name:
        words.append(f"--recipe {recipe_name}")
    words += [*_describe_recipe(recipe_name, recipe), f"--seed {seed}"]
    if added_set is not None:
        words.append(f"--add {shlex.quote(added_set.name)}")  # not its folder, which is nobody else's business
    if tag:
        words.append(f"--run {tag}")
    if own:
        words.append("--own")
    return " ".join([*words, "--force"])

"""Fits a guard: everything from train, every limit on val, nothing from images of other kinds."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bloodcell.artifact import LITERT_FILE, Artifact, add_file
from bloodcell.dataset import Split, prepare_images
from bloodcell.inference.engine import Engine, load_engine
from bloodcell.inference.forms import build_in_child
from bloodcell.inference.guard import GUARD_FILE, Guard, GuardParameters, parse_parameters, serialize_parameters
from bloodcell.inference.guard_density import fit_mixture
from bloodcell.inference.guard_pixels import GROUPS, describe_pixels
from bloodcell.inference.guard_words import USUAL_PERCENTILES, list_quantities
from bloodcell.inference.views import compute_view_probabilities

PIXEL_TAIL = 0.001
"""Share of val that its pixels may refuse."""
PART_TAIL = 0.005
"""Share of val in which a part of the description counts as strange; only in the words for a refusal."""
FEATURE_TAIL = 0.001
"""Share of val that its features may refuse."""
MOST_DESCRIBED = 6000
"""Training images that the mixture is fitted on, drawn at random; more of them change nothing."""
RIDGE_SHARE = 1e-3
"""Added to the features' variances, as a share of their mean: a channel that never fires divides nothing by 0."""

OnProgress = Callable[[int, int, str], None]


def fit_parameters(
    train_images: np.ndarray,
    train_labels: np.ndarray,
    train_features: np.ndarray | None,
    val_images: np.ndarray,
    val_features: np.ndarray | None,
    val_true_scores: np.ndarray,
) -> GuardParameters:
    """Return a guard's parameters.

    Args:
        train_images: (n, 64, 64, 3) uint8.
        train_labels: (n,) class indices; a class without an image has no mean.
        train_features: (n, c) pooled features; None for a network that has none, whose features are not guarded.
        val_images, val_features: The same of val.
        val_true_scores: (m,) probabilities, averaged over eight views, of the right class.
    """
    rows = np.random.default_rng(0).permutation(len(train_images))[:MOST_DESCRIBED]
    described = describe_pixels(train_images[np.sort(rows)])
    mixture = fit_mixture(described.numbers)
    val_numbers = describe_pixels(val_images).numbers
    parts = [mixture.score_part(val_numbers, slice(*columns)) for columns in GROUPS.values()]
    usual = np.percentile(list_quantities(described), USUAL_PERCENTILES, axis=0).T
    if train_features is None or val_features is None:
        means, whitening = np.zeros((0, 0)), np.zeros((0, 0))
    else:
        means, whitening = _fit_classes(train_features.astype(np.float64), train_labels)
    parameters = GuardParameters(
        mixture=mixture,
        pixel_limit=_limit(mixture.score(val_numbers), PIXEL_TAIL),
        part_limits=np.array([_limit(scores, PART_TAIL) for scores in parts]),
        usual=usual,
        class_means=means,
        whitening=whitening,
        feature_limit=np.inf,
        true_scores=np.sort(val_true_scores),
    )
    if val_features is None:
        return parameters
    limit = _limit(parameters.measure_distances(val_features), FEATURE_TAIL)
    return GuardParameters(**{**vars(parameters), "feature_limit": limit})


def fit_guard(artifact: Artifact, train: Split, val: Split, on_progress: OnProgress | None = None) -> Guard:
    """Fit a guard for a trained model and store it with the artifact, as its file guard.npz.

    Raises:
        EngineError: The LiteRT form cannot be built.
        StorageError: The disk is full.
    """
    report = on_progress or (lambda done, total, message: None)
    report(0, 4, f"Looking for features in {artifact.name}.")
    artifact, engine = renew_form(artifact)
    report(1, 4, f"Describing {train.num_images} training images by {artifact.name}.")
    train_features = compute_features(engine, train.images)
    report(2, 4, f"Describing {val.num_images} val images by {artifact.name}, eight views each.")
    val_features = compute_features(engine, val.images)
    y_score = compute_view_probabilities(engine, prepare_images(val.images), artifact.manifest.temperature)
    report(3, 4, "Fitting.")
    true_scores = y_score[np.arange(val.num_images), val.labels]
    parameters = fit_parameters(train.images, train.labels, train_features, val.images, val_features, true_scores)
    data = serialize_parameters(parameters)
    artifact = add_file(artifact, GUARD_FILE, data)
    report(4, 4, f"The guard of {artifact.name} is stored with it.")
    return Guard(parse_parameters(data), artifact, engine)


def renew_form(artifact: Artifact) -> tuple[Artifact, Engine]:
    """Return an engine that gives features where the network has some: an artifact's form from before that is renewed.

    Raises:
        EngineError: The LiteRT form cannot be built.
    """
    engine = load_engine(artifact)
    if engine.gives_features or artifact.litert_path is None:
        return artifact, engine
    with tempfile.TemporaryDirectory() as folder:
        form = Path(folder) / LITERT_FILE
        build_in_child(artifact, form, "float16")
        renewed = Engine(form)
        if not renewed.gives_features:
            return artifact, engine
        return add_file(artifact, LITERT_FILE, form.read_bytes()), renewed


def compute_features(engine: Engine, images: np.ndarray, batch: int = 256) -> np.ndarray | None:
    """Return pooled features of images, (n, c) float32, or None if the network has none.

    Args:
        images: (n, 64, 64, 3) uint8.
    """
    if not engine.gives_features:
        return None
    pooled = []
    for start in range(0, max(len(images), 1), batch):
        features = engine.compute_outputs(prepare_images(images[start : start + batch])).features
        assert features is not None
        pooled.append(features)
    return np.concatenate(pooled)


def _fit_classes(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return class means (classes, c), and what makes the spread around them 1 in every direction, (c, c)."""
    present = np.unique(labels)
    means = np.stack([features[labels == label].mean(axis=0) for label in present])
    centred = features - means[np.searchsorted(present, labels)]
    covariance = centred.T @ centred / len(features)
    covariance += RIDGE_SHARE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return means, np.linalg.inv(np.linalg.cholesky(covariance)).T


def _limit(scores: np.ndarray, tail: float) -> float:
    """Return the value that a share `tail` of the scores exceeds."""
    return float(np.quantile(scores, 1 - tail))

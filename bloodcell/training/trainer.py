"""One training from first epoch to best weights, on any Keras backend, resumable after a kill.

Data are plain arrays and the order of images, their augmentation and dropout follow from seed and epoch alone, so that
a resumed training sees what the uninterrupted one would have seen.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bloodcell.dataset import Split, find_subtypes, prepare_images
from bloodcell.errors import NoLocksError, StorageError, TrainingError
from bloodcell.files import cache_directory
from bloodcell.locks import try_lock
from bloodcell.training.allocator import keep_freed_memory
from bloodcell.training.augmentation import AUGMENTATIONS, epoch_order
from bloodcell.training.averaging import NUM_IMAGES, averaged_weights
from bloodcell.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from bloodcell.training.recipes import TrainingRecipe
from bloodcell.training.targets import (
    NUM_CLASSES,
    Teacher,
    accuracy,
    follow_teacher,
    hierarchical_loss,
    make_targets,
)

if TYPE_CHECKING:
    import keras

    from bloodcell.training.feed import EpochFeed

OnEpoch = Callable[[dict[str, float]], None]
OnBatch = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and how it came to be.

    Attributes:
        model: float32 model with the best epoch's weights.
        history: One dict per epoch: epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, seconds.
        best_epoch: Epoch, from 1, whose weights `model` holds.
        duration_s: Seconds over all parts.
        device: Processor or accelerator, in words.
        backend: Keras backend.
    """

    model: keras.Model
    history: list[dict[str, float]]
    best_epoch: int
    duration_s: float
    device: str
    backend: str


def train(
    model_name: str,
    recipe: TrainingRecipe,
    train_split: Split,
    val_split: Split,
    *,
    seed: int = 0,
    on_epoch: OnEpoch | None = None,
    on_batch: OnBatch | None = None,
    on_model: Callable[[keras.Model], None] | None = None,
    should_end: Callable[[], bool] | None = None,
    directory: Path | None = None,
    teacher: Teacher | None = None,
    keep_last: bool = False,
) -> TrainingResult:
    """Train one catalog row, or continue where a killed training of the same recipe, seed and data ended.

    The process holds on to the most memory that it needed: let one train that ends soon afterwards.

    Args:
        on_epoch: Called after each epoch with its numbers, those of resumed epochs included.
        on_batch: Called after each step with (step, steps per epoch, running numbers).
        on_model: Called once, before the first step, with the model that ends in logits and learns from here on.
        should_end: Asked before each epoch but the first; True ends the training with the epochs that it has.
        directory: Folder of checkpoints; the user's cache by default.
        teacher: The network that the recipe names as teacher; None where it names none.
        keep_last: Keep the last epoch's weights and not those of the best epoch on val. Needs a directory of its own,
            so that a training that keeps the best one is never continued.

    Raises:
        ValueError: A recipe with a teacher comes without it, or one without comes with it.
        TrainingError: The loss is no number any more, the data have no images, or another process trains the same.
    """
    import keras

    from bloodcell.training.feed import EpochFeed

    if not len(train_split.labels) or not len(val_split.labels):
        raise TrainingError("A training needs at least one image in train and one in val.")
    if (recipe.teacher is None) != (teacher is None):
        raise ValueError(f"Expected a teacher where the recipe names one. It names: {recipe.teacher!r}")
    keep_freed_memory()
    images, labels = train_split.images[: recipe.max_images], train_split.labels[: recipe.max_images]
    keras.utils.set_random_seed(seed)
    model, answers = _build(model_name, recipe.compute_dtype)
    finer = find_subtypes(train_split)[: recipe.max_images] if answers.output.shape[-1] > NUM_CLASSES else None
    targets = make_targets(labels, finer)
    _compile(answers, recipe, num_steps_per_epoch=_num_steps(labels, recipe, seed))
    checkpoint = checkpoint_path(model_name, recipe, seed, train_split, directory, teacher)
    with _alone(checkpoint, model_name):
        progress = load_checkpoint(checkpoint, answers) or Progress([], 0, [], 0.0)
        if teacher is not None and len(progress.history) < recipe.num_epochs:
            started = time.monotonic()
            targets = follow_teacher(targets, teacher.answer(images), recipe.teacher_share)
            progress.seconds += time.monotonic() - started
        if on_model:
            on_model(answers)
        if on_epoch:
            for numbers in progress.history:
                on_epoch(numbers)
        augmentation = AUGMENTATIONS[recipe.augmentation]
        while len(progress.history) < recipe.num_epochs and not _is_exhausted(progress, recipe):
            if progress.history and should_end and should_end():
                break
            feed = EpochFeed.create(
                images,
                labels,
                targets,
                recipe,
                augmentation,
                seed=seed,
                epoch=len(progress.history) + 1,
            )
            numbers = _run_epoch(answers, recipe, feed, val_split, progress, on_batch, keep_last)
            save_checkpoint(checkpoint, answers, progress)
            if on_epoch:
                on_epoch(numbers)
    if recipe.compute_dtype != "float32":
        model, answers = _build(model_name, "float32")
    answers.set_weights(progress.best_weights)
    return TrainingResult(
        model, progress.history, progress.best_epoch, progress.seconds, describe_device(), keras.backend.backend()
    )


def compute_logits(model: keras.Model, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """Return float32 logits of stored pixels, (n, 8), or (n, 13) with those of subtypes.

    Args:
        model: A model that ends in logits, as `models.answers_model` gives it.
        images: (n, 64, 64, 3) uint8.
    """
    parts = []
    for start in range(0, len(images), batch_size):
        outputs = model.predict_on_batch(prepare_images(images[start : start + batch_size]))
        parts.append(np.asarray(outputs, dtype=np.float32))
    return np.concatenate(parts)


def checkpoint_path(
    model_name: str,
    recipe: TrainingRecipe,
    seed: int,
    train_split: Split,
    directory: Path | None = None,
    teacher: Teacher | None = None,
) -> Path:
    """Return where this training's checkpoint lies; another recipe, seed, dataset, teacher or backend has another."""
    import keras

    from bloodcell.models import get_spec

    fields = asdict(recipe)
    if recipe.norm_momentum is None:  # a field that came later: older checkpoints keep their place
        del fields["norm_momentum"]
    if not recipe.mixup:
        del fields["mixup"]
    if recipe.teacher is None:
        del fields["teacher"], fields["teacher_share"]
    elif teacher is not None:
        fields["teacher"] = f"eight views of {teacher.digest}"
    identity = [fields, seed, train_split.identity.md5]
    if get_spec(model_name).all_options.get("subtypes"):  # they can come from another table
        identity.append(hashlib.sha256(find_subtypes(train_split).tobytes()).hexdigest())
    if keras.backend.backend() != "tensorflow":
        identity.append(keras.backend.backend())
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    return (directory or cache_directory() / "training") / f"{model_name}-s{seed}-{digest}.npz"


@contextlib.contextmanager
def _alone(checkpoint: Path, model_name: str) -> Iterator[None]:
    """Keep a second process from a training that one is busy with: both would go on from one checkpoint, replacing it.

    Where the folder cannot be written there is no checkpoint either, and the training goes on without both. A system
    without file locks leaves it to its user.
    """
    with contextlib.ExitStack() as stack:
        try:
            is_alone = stack.enter_context(try_lock(checkpoint.with_suffix(".lock"), patience_s=0.5)) is not None
        except (StorageError, NoLocksError):
            is_alone = True
        if not is_alone:
            raise TrainingError(
                f"Another process trains {model_name} by the same recipe, seed and data now. Let it end, or stop it; "
                "what it has done so far is kept."
            )
        yield


def describe_device() -> str:
    """Return the processor or accelerator that computes, in words."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform != "cpu":
            return str(device.device_kind)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
    return describe_processor()


def describe_processor() -> str:
    """Return the processor's name and the number of cores this process may use."""
    import os

    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {num_cores} {'core' if num_cores == 1 else 'cores'}"


def _build(model_name: str, compute_dtype: str) -> tuple[keras.Model, keras.Model]:
    import keras

    from bloodcell.models import answers_model, build_model

    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(compute_dtype)
    try:
        model = build_model(model_name)
        return model, answers_model(model)
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def _num_steps(labels: np.ndarray, recipe: TrainingRecipe, seed: int) -> int:
    order = epoch_order(labels, recipe.augmentation, np.random.default_rng((seed, 0)))
    return math.ceil(len(order) / recipe.batch_size)


def _compile(model: keras.Model, recipe: TrainingRecipe, num_steps_per_epoch: int) -> None:
    import keras

    if recipe.norm_momentum is not None:
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = recipe.norm_momentum
    num_steps = num_steps_per_epoch * recipe.num_epochs
    num_warmup = round(num_steps_per_epoch * recipe.warmup_epochs)
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if num_warmup else recipe.learning_rate,
            decay_steps=max(1, num_steps - num_warmup),
            warmup_target=recipe.learning_rate if num_warmup else None,
            warmup_steps=num_warmup,
        )
    elif recipe.schedule != "constant":
        raise ValueError(f"schedule must be 'cosine' or 'constant', received {recipe.schedule!r}.")
    common: dict[str, Any] = {"learning_rate": rate, "global_clipnorm": recipe.clip_norm}
    if recipe.ema_decay is not None:
        common |= {"use_ema": True, "ema_momentum": recipe.ema_decay, "ema_overwrite_frequency": None}
    if recipe.optimizer == "adam":
        optimizer = keras.optimizers.Adam(**common)
    elif recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(weight_decay=recipe.weight_decay, **common)
        optimizer.exclude_from_weight_decay(var_list=[w for w in model.trainable_variables if len(w.shape) < 2])
    elif recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=0.9, nesterov=True, **common)
    else:
        raise ValueError(f"optimizer must be 'adam', 'adamw' or 'sgd', received {recipe.optimizer!r}.")
    # `fit`, which runs one epoch at a time here, would end each by putting the averaged weights in place of the raw.
    optimizer.finalize_variable_values = lambda variables: None
    optimizer.build(model.trainable_variables)
    loss: Any = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    metric: Any = "accuracy"
    if model.output.shape[-1] > NUM_CLASSES:
        loss, metric = hierarchical_loss(recipe.label_smoothing), accuracy
    model.compile(
        optimizer,
        loss,
        metrics=[metric],
        jit_compile=recipe.xla or keras.backend.backend() == "jax",
    )


def _run_epoch(
    model: keras.Model,
    recipe: TrainingRecipe,
    feed: EpochFeed,
    val_split: Split,
    progress: Progress,
    on_batch: OnBatch | None,
    keep_last: bool,
) -> dict[str, float]:
    """Train one epoch, evaluate on val, and note both in `progress`."""
    from bloodcell.training.feed import BatchReporter

    started = time.monotonic()
    epoch = len(progress.history) + 1
    reporter = BatchReporter(len(feed), on_batch)
    logs = model.fit(
        feed, epochs=epoch, initial_epoch=epoch - 1, shuffle=False, verbose=0, callbacks=[reporter]
    ).history
    loss = float(logs["loss"][-1])
    if not math.isfinite(loss):
        raise TrainingError(
            f"{model.name.removesuffix('_logits')} diverged in epoch {epoch}: its loss is {loss}. "
            "Lower the learning rate, add a warm-up or clip the gradient."
        )
    averaged = averaged_weights(model, feed.samples(NUM_IMAGES)) if recipe.ema_decay is not None else None
    with averaged or contextlib.nullcontext():
        val_loss, val_accuracy = score_logits(
            compute_logits(model, val_split.images)[:, :NUM_CLASSES], val_split.labels
        )
        if keep_last or _is_better(val_accuracy, val_loss, progress):
            progress.best_epoch = epoch
            progress.best_weights = [np.array(w) for w in model.get_weights()]
    seconds = time.monotonic() - started - reporter.seconds  # whoever watches may also hold the training up
    progress.seconds += seconds
    numbers = {
        "epoch": epoch,
        "loss": loss,
        "accuracy": float(logs["accuracy"][-1]),
        "val_loss": val_loss,
        "val_accuracy": val_accuracy,
        "learning_rate": float(np.asarray(model.optimizer.learning_rate)),
        "seconds": seconds,
    }
    progress.history.append(numbers)
    return numbers


def score_logits(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return loss (mean cross-entropy) and accuracy of (n, 8) logits."""
    from scipy.special import log_softmax

    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    loss = -log_probabilities[np.arange(len(labels)), labels].mean()
    return float(loss), float((logits.argmax(axis=1) == labels).mean())


def _is_better(val_accuracy: float, val_loss: float, progress: Progress) -> bool:
    if not progress.best_epoch:
        return True
    best = progress.history[progress.best_epoch - 1]
    return (val_accuracy, -val_loss) > (best["val_accuracy"], -best["val_loss"])


def _is_exhausted(progress: Progress, recipe: TrainingRecipe) -> bool:
    return recipe.patience is not None and len(progress.history) - progress.best_epoch >= recipe.patience

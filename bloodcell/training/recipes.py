"""How each network is trained. A recipe opens with its lab note; what was measured stands in the artifact's card.

The study publishes Adam at 1e-3 with a schedule, SGD with cosine decay for the ResNet, categorical cross-entropy, early
stopping, and curves of about 20 epochs; batch size and seeds are not published. What it leaves open is chosen on val.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bloodcell.errors import RecipeNotFoundError
from bloodcell.training.augmentation import AUGMENTATIONS

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("cosine", "constant")
COMPUTE_DTYPES = ("float32", "mixed_bfloat16")


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything that decides a training besides the graph, the data and the seed.

    Attributes:
        num_epochs: Most epochs that are run.
        batch_size: Images per step.
        optimizer: `"adam"`, `"adamw"` or `"sgd"` (momentum 0.9, Nesterov).
        learning_rate: Highest learning rate, reached after the warm-up.
        schedule: `"cosine"` decays to zero over all epochs; `"constant"` does not.
        warmup_epochs: Epochs of linear rise from zero.
        weight_decay: Decoupled decay of kernels (AdamW; Loshchilov and Hutter 2019); vectors are left alone.
        label_smoothing: Share of the target spread over all classes, in [0, 1).
        augmentation: A name of `augmentation.AUGMENTATIONS`.
        patience: Early stopping: epochs without a better val accuracy before the end; None never stops early.
        ema_decay: Per-step decay of the averaged weights that are evaluated and kept; None keeps the raw ones.
        clip_norm: Longest global gradient norm; None does not clip.
        compute_dtype: `"float32"` or `"mixed_bfloat16"`; weights stay float32 and evaluation is float32.
        xla: Compile the training step with XLA, which on a processor pays for many small layers; speed alone changes.
        max_images: Train on the first images only; None takes all.
        norm_momentum: Share of the old moving averages that batch normalization keeps at each step; None leaves it to
            the network. Keras's 0.99 lags by hundreds of steps, so a short training looks broken on val and is not.
        teacher: Artifact, or several joined by `+`, whose probabilities of each train image become a share of its
            targets: their mean over the artifacts and over the eight symmetric views of the image, made once before the
            first epoch (distillation of an ensemble, Hinton et al. 2015, https://arxiv.org/abs/1503.02531); None learns
            from the labels alone.
        teacher_share: Share of the targets that the teacher decides, above 0 and up to 1; the labels decide the rest.
        mixup: Alpha of the distribution Beta(alpha, alpha) by which every image of a step is blended with another one,
            and its targets alike (mixup, Zhang et al. 2018, https://arxiv.org/abs/1710.09412); 0 blends none.
    """

    num_epochs: int = 20
    batch_size: int = 64
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warmup_epochs: float = 0.0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augmentation: str = "none"
    patience: int | None = 12
    ema_decay: float | None = None
    clip_norm: float | None = None
    compute_dtype: str = "float32"
    xla: bool = False
    max_images: int | None = None
    norm_momentum: float | None = None
    teacher: str | None = None
    teacher_share: float = 0.5
    mixup: float = 0.0

    def replace(self, **changes: object) -> "TrainingRecipe":
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


_HEMANET = TrainingRecipe(
    num_epochs=50,
    optimizer="adamw",
    learning_rate=2e-3,
    warmup_epochs=1.0,
    weight_decay=0.02,
    label_smoothing=0.05,
    augmentation="symmetries_shift_color",
    patience=None,
    ema_decay=0.995,
    mixup=0.2,
)

_STUDY = TrainingRecipe()

# Aim: the VGG family has no batch norm and can stay at 19 % under Adam at 1e-3; a smaller rate after a warm-up
# cures it. Expected: vgg16_dropout at or above 0.964 (published). bfloat16 nearly halves the time on processors
# that have it.
_STUDY_VGG = TrainingRecipe(learning_rate=3e-4, warmup_epochs=1.0, clip_norm=1.0, compute_dtype="mixed_bfloat16")

RECIPES: dict[str, TrainingRecipe] = {
    # Aim: the study's plain recipe, for every network that does not say otherwise.
    # Expected: at or above the published test accuracy of each row without augmentation.
    "study": _STUDY,
    # Aim: the study's ResNet, SGD with cosine decay. Expected: about 0.957 (published).
    "study_sgd": TrainingRecipe(optimizer="sgd", learning_rate=0.05, warmup_epochs=1.0),
    "study_vgg": _STUDY_VGG,
    # Aim: does augmentation hurt, as the study found? `study` with the augmentation changed and nothing else: first the
    # study's own (rotation to 90°, flips, nearest fill, classes balanced), then one that loses no pixels (symmetries of
    # the square, reflected shifts).      Run: ./dev python -m bloodcell experiment augmentation
    # Expected: the first a little below no augmentation or equal, the second half a point above. Balancing draws more
    # images an epoch. Augmented networks still learn after 20 epochs and would gain from more; but one thing at a time.
    "study_balanced": _STUDY.replace(augmentation="study_balanced"),
    "study_symmetries": _STUDY.replace(augmentation="symmetries_shift"),
    "study_vgg_symmetries": _STUDY_VGG.replace(augmentation="symmetries_shift"),
    # Aim: our own family. AdamW, warm-up, cosine, label smoothing (Szegedy et al. 2016), averaged weights (Polyak and
    # Juditsky 1992), mixup, and only augmentations that lose no pixels. Longer training pays more than width. Mixup
    # lowers the log loss on val more than any other single change did (artifacts/tried.csv); it gave nothing on test,
    # and nothing that five folds of train could show (artifacts/crossval.npz).
    "hemanet": _HEMANET,
    # Expected: the smaller the network, the more epochs it still gains from. Nano and pico are no more accurate on val
    # with mixup than without.
    "hemanet_small": _HEMANET.replace(num_epochs=80),
    "hemanet_tiny": _HEMANET.replace(num_epochs=80),
    "hemanet_nano": _HEMANET.replace(num_epochs=120, mixup=0.0),
    # Aim: prove the road, not the model. Under a minute anywhere.
    "smoke": TrainingRecipe(num_epochs=1, max_images=256, patience=None),
}

_RECIPE_OF_FAMILY = {
    "cnn": "study",
    "resnet": "study_sgd",
    "inception": "study",
    "vgg": "study_vgg",
    "hemanet": "hemanet",
}
_RECIPE_OF_MODEL = {
    "cnn_residual": "study",
    "hemanet_pico": "hemanet_nano",
    "hemanet_nano": "hemanet_nano",
    "hemanet_tiny": "hemanet_tiny",
    "hemanet_small": "hemanet_small",
}

_CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "augmentation": tuple(AUGMENTATIONS),
    "compute_dtype": COMPUTE_DTYPES,
}

_Limit = tuple[str, Callable[[float], bool]]
_COUNT: _Limit = ("1 or more", lambda value: value >= 1)
_ABOVE_ZERO: _Limit = ("a number above 0", lambda value: 0 < value < math.inf)
_NOT_BELOW_ZERO: _Limit = ("a number of 0 or more", lambda value: 0 <= value < math.inf)
_SHARE: _Limit = ("0 or more and below 1", lambda value: 0 <= value < 1)
_LIMITS: dict[str, _Limit] = {  # a NaN is within none of them
    "num_epochs": _COUNT,
    "batch_size": _COUNT,
    "learning_rate": _ABOVE_ZERO,
    "warmup_epochs": ("0 to 1000", lambda value: 0 <= value <= 1000),
    "weight_decay": _NOT_BELOW_ZERO,
    "label_smoothing": _SHARE,
    "patience": _COUNT,
    "ema_decay": _SHARE,
    "clip_norm": _ABOVE_ZERO,
    "max_images": _COUNT,
    "norm_momentum": _SHARE,
    "mixup": _NOT_BELOW_ZERO,
    "teacher_share": ("above 0 and up to 1", lambda value: 0 < value <= 1),
}


def parse_changes(words: Sequence[str]) -> dict[str, Any]:
    """Return the fields that words such as `batch_size=32` or `patience=none` give other values.

    Raises:
        ValueError: No such field, or no such value of it; the message names what there is.
    """
    kinds = typing.get_type_hints(TrainingRecipe)
    changes: dict[str, Any] = {}
    for word in words:
        field, sign, text = word.partition("=")
        if not sign or field not in kinds:
            raise ValueError(f"expected FIELD=VALUE with a field among {', '.join(kinds)}, received {word!r}")
        changes[field] = _parse_value(field, kinds[field], text)
        _check_value(field, changes[field])
    return changes


def _parse_value(field: str, kind: Any, text: str) -> Any:
    if isinstance(kind, types.UnionType):
        if text.lower() == "none":
            return None
        kind = next(one for one in typing.get_args(kind) if one is not types.NoneType)
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{field} is true or false, received {text!r}")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{field} is of type {kind.__name__}, received {text!r}") from None


def _check_value(field: str, value: Any) -> None:
    if field in _CHOICES and value not in _CHOICES[field]:
        raise ValueError(f"{field} must be one of {', '.join(_CHOICES[field])}, received {value!r}")
    if value is not None and field in _LIMITS:
        words, is_allowed = _LIMITS[field]
        if not is_allowed(value):
            raise ValueError(f"{field} must be {words}, received {value}")


def describe_changes(recipe: TrainingRecipe, base: TrainingRecipe) -> list[str]:
    """Return the fields in which a recipe differs from another, as words that `parse_changes` reads."""
    fields, before = dataclasses.asdict(recipe), dataclasses.asdict(base)
    return [
        f"{name}={str(value).lower() if value is None or isinstance(value, bool) else value}"
        for name, value in fields.items()
        if value != before[name]
    ]


def recipe_for(model_name: str, recipe_name: str | None = None) -> tuple[str, TrainingRecipe]:
    """Return the name and the recipe that trains a catalog row.

    Raises:
        ModelNotFoundError: No such row.
        RecipeNotFoundError: No recipe of that name.
    """
    from bloodcell.models import get_spec

    spec = get_spec(model_name)
    row = model_name.partition(".")[0]  # another head is trained as the row itself is
    chosen = recipe_name or _RECIPE_OF_MODEL.get(row) or _RECIPE_OF_FAMILY.get(spec.family, "study")
    if chosen not in RECIPES:
        raise RecipeNotFoundError(f"No recipe {chosen!r}. Available: {', '.join(RECIPES)}.")
    return chosen, RECIPES[chosen]

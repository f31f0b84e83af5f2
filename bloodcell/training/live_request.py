"""What a viewer may ask of a live training, and the recipe that it becomes."""

from __future__ import annotations

from dataclasses import dataclass

from bloodcell.errors import TrainingError
from bloodcell.models import get_spec
from bloodcell.training.augmentation import AUGMENTATIONS
from bloodcell.training.recipes import OPTIMIZERS, TrainingRecipe, recipe_for

MOST_EPOCHS = 200
NORM_MOMENTUM = 0.9
DEFAULT_WEIGHT_DECAY = 0.02


@dataclass(frozen=True)
class LiveRequest:
    """What a viewer asks for.

    Attributes:
        model: Catalog row, or a combination's name.
        num_epochs: Epochs, 1 to 200.
        batch_size: Images per step, 1 to 1024.
        learning_rate: Highest learning rate; it decays along half a cosine.
        optimizer: One of `OPTIMIZERS`.
        augmentation: A name of `AUGMENTATIONS`.
        share: Share of the training images, above 0 and up to 1: the first ones of the file, which is in no order.
        seed: Seed of everything random.
    """

    model: str
    num_epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 2e-3
    optimizer: str = "adam"
    augmentation: str = "none"
    share: float = 0.1
    seed: int = 0

    def check(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            ModelNotFoundError: No network has that name.
            TrainingError: A number or a name is outside of what is allowed.
        """
        recipe_for(self.model)
        limits: tuple[tuple[str, float, float, float], ...] = (
            ("epochs", self.num_epochs, 1, MOST_EPOCHS),
            ("batch size", self.batch_size, 1, 1024),
            ("learning rate", self.learning_rate, 1e-6, 10.0),
            ("share of the data", self.share, 0.001, 1.0),
            ("seed", self.seed, 0, 2**31 - 1),
        )
        for name, value, lowest, highest in limits:
            if not lowest <= value <= highest:  # a NaN is never within
                raise TrainingError(f"The {name} must be {lowest:g} to {highest:g}, received {value:g}.")
        for name, text, allowed in (
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("augmentation", self.augmentation, tuple(AUGMENTATIONS)),
        ):
            if text not in allowed:
                raise TrainingError(f"The {name} must be one of {', '.join(allowed)}, received {text!r}.")

    def make_recipe(self, num_images: int) -> tuple[str, TrainingRecipe]:
        """Return the name of the network's own recipe and that recipe with the viewer's changes.

        What the viewer does not choose stays the network's own, with four exceptions: float32 and no XLA, so that the
        first step comes soon everywhere; no early stopping; batch normalization's averages follow within tens of
        steps; averaged weights only where the training is long enough to outlive its first ones.

        Args:
            num_images: Training images of the dataset at hand.
        """
        name, base = recipe_for(self.model)
        num_used = max(1, round(self.share * num_images))
        num_steps = -(-num_used // self.batch_size) * self.num_epochs
        outlived = base.ema_decay is not None and num_steps * (1 - base.ema_decay) >= 10
        decay = (base.weight_decay or DEFAULT_WEIGHT_DECAY) if self.optimizer == "adamw" else 0.0
        return name, base.replace(
            num_epochs=self.num_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            optimizer=self.optimizer,
            augmentation=self.augmentation,
            max_images=None if num_used >= num_images else num_used,
            warmup_epochs=min(base.warmup_epochs, self.num_epochs / 4),
            weight_decay=decay,
            ema_decay=base.ema_decay if outlived else None,
            patience=None,
            compute_dtype="float32",
            xla=False,
            norm_momentum=NORM_MOMENTUM,
            teacher=None,
        )


def quick_lesson(model: str) -> LiveRequest:
    """Return a training that learns something within a minute on two cores: a tenth of the images, four epochs.

    Optimizer and learning rate are the network's own; batch normalization bears twice the rate.
    """
    base = recipe_for(model)[1]
    doubled = get_spec(model).all_options.get("batch_norm") and base.optimizer == "adam"
    return LiveRequest(
        model,
        num_epochs=4,
        batch_size=32,
        learning_rate=2 * base.learning_rate if doubled else base.learning_rate,
        optimizer=base.optimizer,
        share=0.1,
    )


def full_recipe(model: str) -> LiveRequest:
    """Return the training by which the project trains the network, as far as a viewer may choose it."""
    base = recipe_for(model)[1]
    return LiveRequest(
        model,
        num_epochs=min(base.num_epochs, MOST_EPOCHS),
        batch_size=base.batch_size,
        learning_rate=base.learning_rate,
        optimizer=base.optimizer,
        augmentation=base.augmentation,
        share=1.0,
    )

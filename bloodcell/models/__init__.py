"""The networks: a catalog of rows, one builder per family, and the layers of each as data.

Importing this room does not import Keras; `build_model` does.
"""

import importlib
from typing import TYPE_CHECKING

from bloodcell.models.catalog import CATALOG, DEFAULTS, FAMILIES, OPTION_LABELS, ModelSpec, differences, get_spec

if TYPE_CHECKING:
    import keras

__all__ = [
    "CATALOG",
    "DEFAULTS",
    "FAMILIES",
    "OPTION_LABELS",
    "ModelSpec",
    "build_model",
    "differences",
    "get_spec",
    "logits_model",
]


def build_model(name: str, input_shape: tuple[int, int, int] = (64, 64, 3), num_classes: int = 8) -> "keras.Model":
    """Return an untrained classifier of the catalog.

    Args:
        name: Key of `CATALOG`.
        input_shape: (height, width, channels) of one image, pixels.
        num_classes: Width of the softmax output.

    Returns:
        Model from layer "image", (n, h, w, 3) float32 in [0, 1], by way of the linear layer "logits" to
        layer "predictions", (n, num_classes) probabilities.

    Raises:
        ModelNotFoundError: The catalog holds no such name.
        ValueError: The image is too small for the network.
    """
    spec = get_spec(name)
    family = importlib.import_module(f"bloodcell.models.{spec.family}")
    try:
        return family.build(input_shape, num_classes, name=spec.name, **spec.all_options)
    except ValueError as error:
        raise ValueError(
            f"{name!r} cannot be built for images of {input_shape} with {num_classes} classes: {error}"
        ) from error


def logits_model(model: "keras.Model") -> "keras.Model":
    """Return a model that shares the given one's weights and ends at its logits, before the softmax."""
    import keras

    return keras.Model(model.input, model.get_layer("logits").output, name=f"{model.name}_logits")

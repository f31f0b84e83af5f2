"""The networks: a catalog of rows, one builder per family, and the layers of each as data.

Importing this room does not import Keras; `build_model` does.
"""

import importlib
from typing import TYPE_CHECKING

from bloodcell.models.catalog import (
    CATALOG,
    DEFAULTS,
    FAMILIES,
    OPTION_LABELS,
    ModelSpec,
    differences,
    get_spec,
    graph_of,
)

if TYPE_CHECKING:
    import keras

__all__ = [
    "CATALOG",
    "DEFAULTS",
    "FAMILIES",
    "OPTION_LABELS",
    "ModelSpec",
    "answers_model",
    "build_model",
    "differences",
    "get_spec",
    "graph_of",
    "has_subtypes",
    "logits_model",
]


def build_model(name: str, input_shape: tuple[int, int, int] = (64, 64, 3), num_classes: int = 8) -> "keras.Model":
    """Return an untrained classifier of the catalog.

    Args:
        name: Key of `CATALOG`, or another name that `get_spec` knows.
        input_shape: (height, width, channels) of one image, pixels.
        num_classes: Width of the softmax output.

    Returns:
        Model from layer "image", (n, h, w, 3) float32 in [0, 1], by way of the linear layer "logits" to
        layer "predictions", (n, num_classes) probabilities. A row with the option "subtypes" gives a list of these and
        of the output of the linear layer "subtypes".

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


def has_subtypes(model: "keras.Model") -> bool:
    """Whether a model tells finer types apart, in a linear layer "subtypes"."""
    return any(layer.name == "subtypes" for layer in model.layers)


def answers_model(model: "keras.Model") -> "keras.Model":
    """Return a model that shares the given one's weights and gives its logits, with the subtypes' beside if it has any.

    Returns:
        Model to (n, num_classes), or (n, num_classes + subtypes), float32.
    """
    import keras

    if not has_subtypes(model):
        return logits_model(model)
    both = [model.get_layer(name).output for name in ("logits", "subtypes")]
    answers = keras.layers.Concatenate(dtype="float32", name="answers")(both)
    return keras.Model(model.input, answers, name=f"{model.name}_answers")

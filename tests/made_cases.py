"""Answers and images for cases, without a model: each image differs from every other in every pixel."""

import numpy as np

from bloodcell.cases import ModelAnswer, NewCell, NewImage
from bloodcell.dataset import Box

MODEL = "cnn_test"
FINGERPRINT = "ab" * 16


def make_answer(label: str | None, probability: float = 0.9, status: str = "ok", **details: object) -> ModelAnswer:
    """Return what a model might have said."""
    given = {"probabilities": {}, "reasons": ["because"], "thresholds": {"coverage": 0.99}, "versions": {"numpy": "2"}}
    sets = (label,) if label else ()
    return ModelAnswer(MODEL, FINGERPRINT, status, label, probability if label else None, sets, given | details)


def make_image(number: int, side: int = 64) -> NewImage:
    """Return an image of one cell; images of different numbers differ in every pixel."""
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
    cell = NewCell(pixels[:64, :64].copy(), Box(0, 0, 64, 64))
    return NewImage(f"cell {number}.png", pixels, (cell,))

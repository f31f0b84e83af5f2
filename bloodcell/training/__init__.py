"""Trains catalog networks by recipe, resumable after a kill; Keras is imported when a training starts."""

from bloodcell.training.recipes import RECIPES, TrainingRecipe, describe_changes, parse_changes, recipe_for
from bloodcell.training.trainer import TrainingResult, checkpoint_path, train

__all__ = [
    "RECIPES",
    "TrainingRecipe",
    "TrainingResult",
    "checkpoint_path",
    "describe_changes",
    "parse_changes",
    "recipe_for",
    "train",
]

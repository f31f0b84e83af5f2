"""Trained models for the commands: found by name, or all of them."""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bloodcell.commands.output import say
from bloodcell.errors import ArtifactNotFoundError
from bloodcell.models import CATALOG, get_spec

if TYPE_CHECKING:
    from bloodcell.artifact import Artifact, Shelf


def find_artifact(name: str) -> "Artifact":
    """Return one trained model, the project's or this user's own, or as `runs/NAME.TAG` one run.

    Raises:
        ModelNotFoundError: Neither the shelf nor the catalog knows the name.
        ArtifactError: It is in the catalog and not trained, or damaged.
    """
    from bloodcell.artifact import load_artifact, load_own_artifact

    try:
        return load_artifact(name)
    except ArtifactNotFoundError:
        for other in (load_own_artifact, lambda run: load_artifact(f"runs/{run}")):  # a run is known by either name
            with contextlib.suppress(ArtifactNotFoundError):
                return other(name)
        model_name = name.removeprefix("runs/").partition(".")[0]
        if model_name not in CATALOG:
            get_spec(name)  # a name that cannot be trained either: say which can
        raise


def find_artifacts(names: Sequence[str]) -> "list[Artifact]":
    """Return trained models by name, each once; all of the shelf where no name is given.

    Raises:
        ArtifactNotFoundError: No name is given and nothing is trained.
    """
    if names:
        return [find_artifact(name) for name in dict.fromkeys(names)]
    shelf = load_shelf_aloud()
    if not shelf.artifacts:
        raise ArtifactNotFoundError("No model is trained yet. Run `./dev python -m bloodcell train cnn_se`.")
    return list(shelf.artifacts.values())


def load_shelf_aloud() -> "Shelf":
    """Return the shelf, and say what of it is damaged."""
    from bloodcell.artifact import load_shelf

    shelf = load_shelf()
    for damaged in shelf.damaged:
        say(f"{damaged.name} is set aside: {damaged.reason}")
    return shelf

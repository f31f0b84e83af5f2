"""What git holds of the artifacts is whole: a clone reads every model."""

import dataclasses
import json
import shlex
import subprocess
from pathlib import Path

import pytest

from bloodcell.__main__ import build_parser
from bloodcell.artifact.trials import complete_recipe
from bloodcell.files import PROJECT_DIRECTORY
from bloodcell.models import graph_of
from bloodcell.training import parse_changes, recipe_for


@pytest.fixture(scope="module")
def tracked():
    """Every file of the artifacts that git holds."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "artifacts"], cwd=PROJECT_DIRECTORY, capture_output=True, text=True, check=False
    )
    if listed.returncode or not listed.stdout:
        pytest.skip("not a git checkout")
    return {PROJECT_DIRECTORY / name for name in listed.stdout.split("\0") if name}


@pytest.fixture(scope="module")
def manifests(tracked) -> dict[Path, dict]:
    found = [path for path in tracked if path.name == "manifest.json"]
    assert found
    return {path: json.loads(path.read_text(encoding="utf-8")) for path in found}


def test_every_file_that_a_committed_manifest_lists_is_committed(tracked, manifests):
    """A manifest that went in without its map made three models unreadable in a clone, and nothing here showed it."""
    missing = [
        str((path.parent / name).relative_to(PROJECT_DIRECTORY))
        for path, manifest in manifests.items()
        for name in manifest["files"]
        if path.parent / name not in tracked
    ]
    assert missing == []


def test_every_command_on_a_card_trains_that_card_again(manifests):
    """A recipe that is changed later must not change what the commands of older trainings do."""
    for manifest in manifests.values():
        words = shlex.split(manifest["command"])
        options = build_parser().parse_args(words[words.index("train") :])
        [name] = options.names
        recipe_name, recipe = recipe_for(graph_of(name), options.recipe)
        changes = parse_changes(options.changes) | ({"num_epochs": options.epochs} if options.epochs else {})
        found = (
            f"{name}.{options.tag}" if options.tag else name,
            recipe_name,
            complete_recipe(dataclasses.asdict(recipe.replace(**changes))),
            options.seed,
        )
        recorded = complete_recipe(manifest["recipe"])
        assert found == (manifest["name"], manifest["recipe_name"], recorded, manifest["seed"])

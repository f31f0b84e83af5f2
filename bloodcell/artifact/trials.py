"""Which trials of an experiment are trained, and where their results lie."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from bloodcell.artifact.store import RUNS_FOLDER, Artifact, Shelf
from bloodcell.models import CATALOG
from bloodcell.training.experiments import Trial
from bloodcell.training.recipes import RECIPES, TrainingRecipe, recipe_for

SPEED_ALONE = ("xla",)
"""Fields of a recipe that change how fast a training is and nothing of what it gives."""


@dataclass(frozen=True)
class TrialState:
    """What the shelf holds of one trial.

    Attributes:
        trial: The trial.
        state: "done"; "missing"; "damaged"; or "different", trained by another recipe, seed or dataset.
        artifact: The run, or the artifact that counts as it; None unless done.
        reason: Why it is damaged or what is different; empty otherwise.
        is_artifact: Missing, and the very training that gives the network's artifact, which is missing too: train that.
        changes: Fields of the trial's recipe that it is to be trained with otherwise, as its artifact was.
    """

    trial: Trial
    state: Literal["done", "missing", "damaged", "different"]
    artifact: Artifact | None = None
    reason: str = ""
    is_artifact: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)


def find_trial(shelf: Shelf, trial: Trial, dataset_md5: str | None = None) -> TrialState:
    """Return what the shelf holds of a trial.

    The network's artifact counts where recipe, seed and data are the trial's: nothing is trained twice.

    Args:
        shelf: Everything trained.
        trial: What is looked for.
        dataset_md5: The dataset on which it must have been trained; None takes any.
    """
    artifact, run = shelf.artifacts.get(trial.model), shelf.runs.get(trial.run_name)
    changes = _altered(artifact, trial) if artifact and trial.as_artifact else {}
    wanted = complete_recipe(asdict(RECIPES[trial.recipe_name]) | changes)
    if artifact and not _differing(artifact, trial, wanted, dataset_md5):
        return TrialState(trial, "done", artifact)
    if run:
        differing = _differing(run, trial, wanted, dataset_md5)
        if differing:
            return TrialState(trial, "different", reason=differing, changes=changes)
        return TrialState(trial, "done", run)
    for damaged in shelf.damaged:
        if damaged.name == f"{RUNS_FOLDER}/{trial.run_name}":
            return TrialState(trial, "damaged", reason=damaged.reason, changes=changes)
    is_own = trial.model in CATALOG and trial.seed == 0 and recipe_for(trial.model)[0] == trial.recipe_name
    damaged_names = {damaged.name for damaged in shelf.damaged}
    is_artifact = is_own and not artifact and trial.model not in damaged_names
    return TrialState(trial, "missing", is_artifact=is_artifact, changes=changes)


def find_trials(shelf: Shelf, trials: Sequence[Trial], dataset_md5: str | None = None) -> list[TrialState]:
    """Return what the shelf holds of each trial, in their order."""
    return [find_trial(shelf, trial, dataset_md5) for trial in trials]


def find_repeats(shelf: Shelf, name: str) -> tuple[Artifact, ...]:
    """Return every training of one network by the same recipe on the same data, by seed: its artifact and its runs.

    Backend and device may differ; what is computed is the same, its last digits and the first weights are not.

    Args:
        shelf: Everything trained.
        name: Name of an artifact; without it on the shelf there are no repeats of it.
    """
    artifact = shelf.artifacts.get(name)
    if artifact is None:
        return ()
    own, data = complete_recipe(artifact.manifest.recipe), trained_on(artifact)
    by_seed = {
        run.manifest.seed: run
        for run in shelf.runs.values()
        if run.model_name == artifact.model_name
        and complete_recipe(run.manifest.recipe) == own
        and trained_on(run) == data
    }
    by_seed[artifact.manifest.seed] = artifact
    return tuple(by_seed[seed] for seed in sorted(by_seed))


def find_twin(shelf: Shelf, name: str) -> Artifact | None:
    """Return the training of the catalog row, artifact or run, that differs from an artifact with another head in that.

    Recipe, seed and data are the artifact's.

    Args:
        shelf: Everything trained.
        name: Name of an artifact with another head, `hemanet_tiny.eleven`; any other has no twin.
    """
    artifact, row = shelf.artifacts.get(name), name.partition(".")[0]
    if artifact is None or artifact.model_name == row:
        return None

    def facts(training: Artifact) -> tuple[Any, ...]:
        return complete_recipe(training.manifest.recipe), training.manifest.seed, trained_on(training)

    own = facts(artifact)
    candidates = [shelf.artifacts[row]] if row in shelf.artifacts else []
    candidates += [run for run in shelf.runs.values() if run.model_name == row]
    return next((one for one in candidates if facts(one) == own), None)


@dataclass(frozen=True)
class Variant:
    """Trainings that differ from those of an artifact in one field of the recipe alone, seed by seed.

    Attributes:
        field: The field.
        pairs: Per seed, in their order, the training by the artifact's recipe and the one with the field changed.
    """

    field: str
    pairs: tuple[tuple[Artifact, Artifact], ...]


def find_variants(shelf: Shelf, name: str) -> list[Variant]:
    """Return what was trained otherwise than an artifact in one field alone, by field and value.

    Both trainings of a pair have their data, seed and backend in common: another backend begins elsewhere, whatever the
    seed.

    Args:
        shelf: Everything trained.
        name: Name of an artifact; without it on the shelf there are no variants of it.
    """
    found: dict[tuple[str, str], list[tuple[Artifact, Artifact]]] = {}
    for repeat, run in itertools.product(find_repeats(shelf, name), shelf.runs.values()):
        there, here = ((one.model_name, one.manifest.seed, one.manifest.backend) for one in (run, repeat))
        if there != here or trained_on(run) != trained_on(repeat):
            continue
        own, other = (complete_recipe(one.manifest.recipe) for one in (repeat, run))
        changed = [field for field in own if other.get(field) != own[field]]
        if "teacher" in changed and None in (own["teacher"], other["teacher"]):
            changed = [field for field in changed if field != "teacher_share"]
        if len(changed) == 1:
            pairs = found.setdefault((changed[0], str(other[changed[0]])), [])
            if all(before is not repeat for before, _ in pairs):
                pairs.append((repeat, run))
    return [Variant(field, tuple(pairs)) for (field, _), pairs in sorted(found.items())]


def complete_recipe(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides a training; a field that a recipe did not have yet when it was recorded is at its default.

    Args:
        recipe: As a manifest records it.
    """
    defaults = {field.name: field.default for field in fields(TrainingRecipe)}
    whole = {key: value for key, value in (defaults | dict(recipe)).items() if key not in SPEED_ALONE}
    if whole["teacher"] is None:  # whatever its share would be
        whole["teacher_share"] = defaults["teacher_share"]
    return whole


def trained_on(training: Artifact) -> str | None:
    """Return the MD5 of what a training learned from: that of the file, or of the file and the cells added to it."""
    dataset = training.manifest.dataset
    return dataset.get("train_md5") or dataset.get("md5")


def count_epochs(training: Artifact) -> tuple[int, int]:
    """Return the epochs that a training was asked for, and those that its recipe plans; equal where it is not known."""
    recipe = RECIPES.get(training.manifest.recipe_name)
    asked = training.manifest.recipe.get("num_epochs", training.manifest.num_epochs)
    return asked, asked if recipe is None else recipe.num_epochs


def find_common_dataset(shelf: Shelf) -> str | None:
    """Return the MD5 of the dataset file that most artifacts and runs were trained on; None on an empty shelf."""
    counts = Counter(one.manifest.dataset["md5"] for one in (*shelf.artifacts.values(), *shelf.runs.values()))
    return counts.most_common(1)[0][0] if counts else None


def _altered(artifact: Artifact, trial: Trial) -> dict[str, Any]:
    """Return the fields in which an artifact's recipe leaves the trial's; empty where it was another recipe."""
    if artifact.manifest.recipe_name != trial.recipe_name:
        return {}
    planned = complete_recipe(asdict(RECIPES[trial.recipe_name]))
    found = complete_recipe(artifact.manifest.recipe)
    return {key: value for key, value in found.items() if key in planned and value != planned[key]}


def _differing(artifact: Artifact, trial: Trial, wanted: Mapping[str, Any], dataset_md5: str | None) -> str:
    """Return what differs between a training and a trial by some recipe, in words; empty where they are the same."""
    manifest = artifact.manifest
    found = complete_recipe(manifest.recipe)
    words = [
        f"{key.replace('_', ' ')} {found.get(key)!r}, not {wanted.get(key)!r}"
        for key in {**wanted, **found}
        if found.get(key) != wanted.get(key)
    ]
    if manifest.seed != trial.seed:
        words.append(f"seed {manifest.seed}, not {trial.seed}")
    if dataset_md5 is not None and trained_on(artifact) != dataset_md5:
        words.append("another dataset")
    return " and ".join(words)

"""Two answers of the Findings page from train images that were held out: what val is worth, and which labels are wrong.

A held-out image was answered by a network that had not learned from it; see `training.crossval`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bloodcell.artifact.crossval import CrossValidation
from bloodcell.dataset import CLASS_NAMES
from bloodcell.evaluation import calibrate, paired_difference, unpaired_interval, wilson_interval
from bloodcell.evaluation.label_issues import LabelIssues, find_label_issues
from bloodcell.training.recipes import RECIPES
from bloodcell.views.findings import (
    SETTING_LABELS,
    Finding,
    Missing,
    Network,
    describe_machine,
    describe_p,
    join_words,
    signed,
    write_setting,
)
from bloodcell.views.quantities import percent
from bloodcell.views.tables_confusion import count_of

COMMAND = "./dev python -m bloodcell measure crossval hemanet_small"
HELD_OUT_QUESTION = "Is the accuracy on val or on test to be believed?"
LABELS_QUESTION = "Which labels look wrong?"
_COMPARED = ("test", "val")
_PARTS = {"val": "validation", "held out": "train, held out", "test": "test"}


@dataclass(frozen=True)
class Score:
    """One accuracy of one network.

    Attributes:
        name: The cross-validated network.
        part: "held out", "val" or "test".
        accuracy: Share that is right, mean over the trainings.
        num_images: Images that were answered.
        num_trainings: Trainings that the accuracy is a mean of.
    """

    name: str
    part: str
    accuracy: float
    num_images: int
    num_trainings: int

    @property
    def right(self) -> int:
        """Images that are right; over several trainings the nearest whole number to the mean."""
        return round(self.accuracy * self.num_images)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval."""
        return wilson_interval(self.right, self.num_images)


def collect_scores(crossvals: Mapping[str, CrossValidation], networks: Mapping[str, Network]) -> list[Score]:
    """Return the accuracies to compare: each network held out, and on val and test where it has its own row.

    Args:
        crossvals: By name.
        networks: Trained catalog rows by name, on the same dataset.
    """
    found = []
    for name, one in crossvals.items():
        of = one.predictions
        accuracy = float((of.logits.argmax(axis=1) == of.y_true).mean())
        found.append(Score(name, "held out", accuracy, len(of.y_true), 1))
        network = networks.get(name)
        if network is not None:
            for part, answers in (("val", network.val), ("test", network.test)):
                found.append(Score(name, part, answers.accuracy, len(answers.y_true), answers.num_trainings))
    return found


def scores_table(scores: Sequence[Score]) -> pd.DataFrame:
    """Return one row per accuracy with its interval, percent."""
    return pd.DataFrame(
        {
            "Network": [one.name for one in scores],
            "Images": [_PARTS[one.part] for one in scores],
            "Accuracy": [100 * one.accuracy for one in scores],
            "95 % from": [100 * one.interval[0] for one in scores],
            "to": [100 * one.interval[1] for one in scores],
            "n": [one.num_images for one in scores],
            "Trainings": [one.num_trainings for one in scores],
        }
    )


def answer_held_out(
    crossvals: Mapping[str, CrossValidation], networks: Mapping[str, Network], problem: str = ""
) -> Finding:
    """Is the accuracy on val or on test to be believed?

    Args:
        crossvals: Cross-validations on the dataset of `networks`, by name; the first is the one that is told.
        networks: Trained catalog rows by name.
        problem: Why the cross-validations cannot be read; empty where they can.
    """
    key = "held-out"
    if not crossvals:
        return _not_answered(key, HELD_OUT_QUESTION, problem)
    scores = collect_scores(crossvals, networks)
    name, one = next(iter(crossvals.items()))
    own = {score.part: score for score in scores if score.name == name}
    held = own["held out"]
    low, high = held.interval
    counted = (
        f"**{name} reads {percent(held.accuracy, 2)} of {held.num_images:,} train cells right, each while it was held "
        "out**"
    )
    sentences = [f"{counted} ({percent(low, 2)} to {percent(high, 2)}): {_describe_folds(one)}."]
    short = f"{counted}."
    if "val" in own:
        words = {part: _describe_against(own[part], held) for part in _COMPARED}
        sentences.append(
            f"On test its {_trainings(own['test'])} {percent(own['test'].accuracy, 2)}, {words['test']}; on validation "
            f"{percent(own['val'].accuracy, 2)}, {words['val']}. Nothing was chosen by the held-out cells; by "
            "validation the recipe and the epoch that is kept were."
        )
        short = f"{counted}; {percent(own['test'].accuracy, 2)} on test, {percent(own['val'].accuracy, 2)} on val."
    for other in list(crossvals.values())[1:]:
        if np.array_equal(other.predictions.image_hashes, one.predictions.image_hashes):
            sentences.append(_compare(one, other))
    caveat = (
        "Each of these networks learned from a part of train only, so with all of it a little more can be expected. "
        "The cells are of one laboratory, and cells of one donor may stand on both sides. The differences between the "
        "splits are between different images; their intervals (Newcombe), widened for two comparisons, leave the "
        "spread over seeds out."
    )
    return Finding(key, HELD_OUT_QUESTION, short, "\n\n".join(sentences), caveat=caveat)


def describe_crossval(one: CrossValidation) -> str:
    """Return how a cross-validation came to be, Markdown."""
    origin = one.origin
    notes = f" {' '.join(origin.notes)}" if origin.notes else ""
    return (
        f"**{origin.name}**: {origin.num_folds} folds on {origin.dataset['label']}, the fold as seed, the last epoch's "
        f"weights; {describe_machine(origin.backend, origin.device)}, {origin.created[:10]}.{notes}"
    )


def find_issues(crossvals: Mapping[str, CrossValidation]) -> LabelIssues | None:
    """Return the train labels that networks contradict which had not learned them; None without a cross-validation.

    The calibrated probabilities of all cross-validations are averaged.
    """
    if not crossvals:
        return None
    everything = [one.predictions for one in crossvals.values()]
    scores = [calibrate(of.logits, of.y_true) for of in everything]
    return find_label_issues(everything[0].y_true, np.mean(scores, axis=0))


def answer_labels(
    issues: LabelIssues | None,
    names: Sequence[str],
    other_places: Sequence[str] | None = None,
    problem: str = "",
) -> Finding:
    """Which labels look wrong?

    Args:
        issues: From `find_issues`.
        names: The cross-validated networks.
        other_places: Where else in the dataset each of the images stands, and under which label; None where the
            dataset is not here.
        problem: Why the cross-validations cannot be read; empty where they can.
    """
    key = "labels"
    if issues is None:
        return _not_answered(key, LABELS_QUESTION, problem)
    num_issues, total = len(issues.rows), issues.num_images
    share = percent(num_issues / total, 2)
    short = (
        f"**{num_issues} of {total:,} train labels ({share}) are contradicted by networks that never learned them.**"
    )
    sentences = [short]
    if num_issues:
        pairs = Counter(zip(issues.labels.tolist(), issues.suggested.tolist(), strict=True))
        (label, suggested), count = max(pairs.items(), key=lambda item: (item[1], item[0]))
        sentences.append(
            f"Most often it is {count_of(count, CLASS_NAMES[label])} that {'looks' if count == 1 else 'look'} like "
            f"{CLASS_NAMES[suggested]}. A label is listed where another class is at least as probable for the image as "
            "it is, on average, for the images that carry it as label (confident learning, Northcutt et al. 2021)."
        )
        if other_places is not None:
            elsewhere = sum(bool(place) for place in other_places)
            none = "None of them stands" if elsewhere == 0 else f"{elsewhere} of them {_stand(elsewhere)}"
            sentences.append(f"{none} in the dataset a second time.")
    answered = join_words(names)
    caveat = (
        f"Answered by {answered}, each cell by networks that had not learned from it. A contradiction is a reason to "
        "look, not a proof: cells ripen gradually, and people disagree about them too. No label was changed, neither "
        "for training nor in any number here."
    )
    return Finding(key, LABELS_QUESTION, short, " ".join(sentences), caveat=caveat)


def issues_table(issues: LabelIssues, other_places: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the labels in doubt, the clearest first.

    Args:
        other_places: One per issue; None where the dataset is not here.
    """
    table = pd.DataFrame(
        {
            "Train row": issues.rows,
            "Label": [CLASS_NAMES[label] for label in issues.labels.tolist()],
            "Looks like": [CLASS_NAMES[label] for label in issues.suggested.tolist()],
            "Probability of that": 100 * issues.suggested_probability,
            "of the label": 100 * issues.label_probability,
        }
    )
    if other_places is not None:
        table["Also in the dataset"] = list(other_places)
    return table


def issue_captions(issues: LabelIssues) -> list[str]:
    """Return what stands below the picture of each label in doubt, Markdown."""
    return [
        f":small[label: **{CLASS_NAMES[label]}**  \n{CLASS_NAMES[suggested]} {percent(float(probability))}  \n"
        f"train row {row}]"
        for row, label, suggested, probability in zip(
            issues.rows.tolist(),
            issues.labels.tolist(),
            issues.suggested.tolist(),
            issues.suggested_probability.tolist(),
            strict=True,
        )
    ]


def _not_answered(key: str, question: str, problem: str) -> Finding:
    text = problem or "Not answered yet: no network is cross-validated here."
    missing = () if problem else (Missing("train images answered by networks that never saw them", COMMAND),)
    return Finding(key, question, text, text, missing=missing, is_answered=False)


def _stand(number: int) -> str:
    return "stands" if number == 1 else "stand"


def _describe_folds(one: CrossValidation) -> str:
    """Say who answered, and in what the trainings differ from the recipe's own."""
    origin = one.origin
    text = (
        f"by {origin.num_folds} networks, each trained on the other {origin.num_folds - 1} of {origin.num_folds} parts"
    )
    named = RECIPES.get(origin.recipe_name)
    changed = [] if named is None else _list_changes(origin.recipe, vars(named))
    return f"{text}, with {join_words(changed)}" if changed else text


def _list_changes(recipe: Mapping[str, object], named: Mapping[str, object]) -> list[str]:
    """Return what a recipe has otherwise than another, such as "50 epochs in place of 80"."""
    found = []
    for field, value in recipe.items():
        if field not in named or named[field] == value:
            continue
        new, old = write_setting(field, value), write_setting(field, named[field])
        label = SETTING_LABELS.get(field, field.replace("_", " "))
        found.append(
            f"{new} {label} in place of {old}" if field == "num_epochs" else f"{label} {new} in place of {old}"
        )
    return found


def _describe_against(score: Score, held: Score) -> str:
    """Say how an accuracy on other images compares with the held-out one: a difference with its interval."""
    low, high = unpaired_interval(
        (score.right, score.num_images), (held.right, held.num_images), num_comparisons=len(_COMPARED)
    )
    text = f"{signed(score.accuracy - held.accuracy, 2)} points ({signed(low, 2)} to {signed(high, 2)})"
    if low > 0:
        return f"{text}: more than chance between the images explains"
    if high < 0:
        return f"{text}: less than chance between the images explains"
    return f"{text}: the same within chance"


def _compare(one: CrossValidation, other: CrossValidation) -> str:
    """Return how another cross-validation does on the same images, paired."""
    y_true = one.predictions.y_true
    found = paired_difference(y_true, *(each.predictions.logits.argmax(axis=1) for each in (other, one)))
    low, high = found.interval
    changed = _list_changes(other.origin.recipe, one.origin.recipe)
    setting = f" ({join_words(changed)})" if changed else ""
    share = percent(float((other.predictions.logits.argmax(axis=1) == y_true).mean()), 2)
    verdict = "" if found.p_value < 0.05 else ", no difference that these cells can show"
    return (
        f"{other.name}{setting} reads {share}: {signed(found.difference, 2)} points ({signed(low, 2)} to "
        f"{signed(high, 2)}), p {describe_p(found.p_value)}{verdict}."
    )


def _trainings(score: Score) -> str:
    return "one training has" if score.num_trainings == 1 else f"{score.num_trainings} trainings have on average"

"""Finer types as tables and sentences."""

import pandas as pd

from bloodcell.dataset import CLASS_NAMES, FINER_CLASSES
from bloodcell.evaluation import FinerEvaluation, Within
from bloodcell.evaluation.evidence import Evidence
from bloodcell.inference.finer import FinerOpinion
from bloodcell.views.findings import describe_difference, describe_no_difference
from bloodcell.views.quantities import percent, percent_interval, probability_text

OWN_LABELS = (
    "Our own labels beyond BloodMNIST, from the names of the original images: promyelocyte, myelocyte, metamyelocyte, "
    "band and segmented neutrophil. The borders between them are gradual, and hard for people too."
)
PUBLISHED_ACCURACY, PUBLISHED_MACRO_F1 = 0.93, 0.90
PUBLISHED_SOURCE = (
    "a fine-tuned EfficientNetV2-B0 with ImageNet weights, on the larger original images and in its own split "
    "(Abou Ali et al., Algorithms 2023, 16, 562)"
)


def finer_table(finer: FinerEvaluation) -> pd.DataFrame:
    """Return precision, recall and F1, fractions, and the number of images, one row per finer type."""
    reports = finer.overall.per_class
    return pd.DataFrame(
        {
            "type": [report.name for report in reports],
            "class": [CLASS_NAMES[label] for label in FINER_CLASSES],
            "precision": [report.precision for report in reports],
            "recall": [report.recall for report in reports],
            "f1_score": [report.f1_score for report in reports],
            "support": [report.support for report in reports],
        }
    )


def within_table(within: Within) -> pd.DataFrame:
    """Return the confusion within one class as counts, true types down and answers across."""
    table = pd.DataFrame(within.confusion_matrix, columns=list(within.names))
    table.insert(0, "is ↓, called →", list(within.names))
    return table


def describe_within(within: Within) -> str:
    """Return how well the types of one class are told apart, in a sentence."""
    total = int(within.confusion_matrix.sum())
    share = percent_interval(within.accuracy, *within.accuracy_interval)
    return f"Of {total:,} images of class {within.class_name}, **{share}** are given the right type within it."


def describe_anchor(finer: FinerEvaluation, split: str) -> str:
    """Return what is published for eleven types on these images, beside what was measured here.

    Args:
        finer: Measured on `split`.
    """
    intervals = (finer.overall.accuracy_interval, finer.macro_f1_interval)
    accuracy, macro_f1 = (f"(95 %: {100 * low:.1f} to {100 * high:.1f} %)" for low, high in intervals)
    return (
        f"Published for eleven types: {percent(PUBLISHED_ACCURACY, 0)} average accuracy and "
        f"{percent(PUBLISHED_MACRO_F1, 0)} macro F1, by {PUBLISHED_SOURCE}. Measured here on {split}, at 64×64: "
        f"accuracy {percent(finer.overall.accuracy)} {accuracy}, mean over the types {percent(finer.mean_recall)}, "
        f"macro F1 {percent(finer.overall.macro_f1)} {macro_f1}."
    )


def describe_effect(effect: Evidence) -> str:
    """Return what finer types do to the accuracy on the eight classes, beside the same network without them."""
    own, twin = (round(accuracy * effect.num_images) for accuracy in (effect.accuracy_a, effect.accuracy_b))
    claim = {"better": "it helps", "worse": "it hurts"}.get(effect.verdict, describe_no_difference(effect))
    return (
        f"Over the eight classes, on val: {own:,} of {effect.num_images:,} images right, and {twin:,} with "
        f"{effect.b}, the same training without finer types ({describe_difference(effect)}: {claim})."
    )


def opinion_table(opinion: FinerOpinion) -> pd.DataFrame:
    """Return the finer types of the answered class with their share in it and their probability."""
    return pd.DataFrame(
        {
            "type": list(opinion.shares),
            "share": list(opinion.shares.values()),
            "probability": list(opinion.probabilities.values()),
        }
    )


def describe_opinion(opinion: FinerOpinion, finer: FinerEvaluation) -> str:
    """Return a finer opinion in a sentence, with how often such opinions are right on test."""
    share = probability_text(opinion.shares[opinion.name])
    sentence = f"If it is a cell of class {opinion.class_name}: **{opinion.name}**, {share} within the class."
    within = next((one for one in finer.within if one.class_name == opinion.class_name), None)
    if within is None:
        return sentence
    return (
        f"{sentence} On test such opinions are right in {percent_interval(within.accuracy, *within.accuracy_interval)}."
    )

"""What the lessons look up: every number in their texts, and whether a step can be taken here."""

import streamlit as st

from bloodcell.models.combinations import parse_combination
from bloodcell.views import cache, cache_build
from bloodcell.views.lessons import Step
from bloodcell.views.quantities import megabytes, percent, points
from bloodcell.views.tables_confusion import list_confused_pairs, plural
from bloodcell.views.tables_trust import headline_shares

TRUST_RECORD = "trust.json"


def find_fact(kind: str, name: str) -> str | None:
    """Return one of `lessons.FACTS` as text, None where it is not known here.

    Raises:
        ValueError: There is no such kind.
    """
    if kind in ("train", "val", "gap", "first"):
        return _find_in_history(kind, name)
    if kind in ("accuracy", "ece", "weakest", "pair", "errors"):
        return _find_in_evaluation(kind, name)
    if kind in ("parameters", "extra"):
        numbers = [_count_parameters(one) for one in name.split(",")]
        return f"{numbers[0] - sum(numbers[1:]):,}"
    if kind == "size":
        artifact = cache.load_artifact(name)
        return None if artifact is None else megabytes(artifact.manifest.weights_bytes_float32 / cache.BYTES_PER_MB)
    if kind == "trust":
        record = cache.load_record(TRUST_RECORD)
        shares = {} if record is None else {key: one for key, _, one in headline_shares(record)}
        one = shares.get(name)
        return None if one is None or one["share"] is None else percent(one["share"])
    raise ValueError(f"Expected a kind of fact of lessons.FACTS. Received: {kind!r}")


def show_needs(step: Step) -> None:
    """Say what a step needs that is not here, and how to get it."""
    trained = cache.load_shelf().artifacts
    for name in step.models:
        if name not in trained:
            st.caption(
                f":material/model_training: **{name}** is not trained here: `./dev python -m bloodcell train {name}`"
            )
    if step.needs_dataset and not cache.dataset_status()["available"]:
        st.caption(
            ":material/database_off: This step looks at images, which are not on this machine: the Dataset page offers "
            "the download."
        )


def _find_in_history(kind: str, name: str) -> str | None:
    history = cache.load_history(name)
    if history is None or history.empty:
        return None
    last, first = history.iloc[-1], history.iloc[0]
    if kind == "gap":
        return points(float(last["accuracy"]) - float(last["val_accuracy"])).removeprefix("+")
    row, column = {"train": (last, "accuracy"), "val": (last, "val_accuracy"), "first": (first, "val_accuracy")}[kind]
    return percent(float(row[column]))


def _find_in_evaluation(kind: str, name: str) -> str | None:
    evaluation = cache.load_evaluation(name, "test")
    if evaluation is None:
        return None
    if kind == "weakest":
        return min((one for one in evaluation.per_class if one.support), key=lambda one: one.f1_score).name
    if kind == "pair":
        pairs = list_confused_pairs(evaluation.confusion_matrix, evaluation.class_names, 1)
        if not pairs:
            return "nothing for something else"
        true, predicted = (evaluation.class_names[index] for index in (pairs[0].true, pairs[0].predicted))
        return f"{plural(true)} for {plural(predicted)}"
    if kind == "errors":
        return f"{evaluation.num_errors:,}"
    return percent(evaluation.accuracy) if kind == "accuracy" else percent(evaluation.ece, 2)


def _count_parameters(name: str) -> int:
    combination = parse_combination(name)
    if combination is None:
        raise ValueError(f"Expected a network of the design space. Received: {name!r}")
    return int(cache_build.load_graph(combination)["parameters"])

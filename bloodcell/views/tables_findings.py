"""Tables of the Findings page: the evidence of a question, steps, arms, one comparison class by class, the anchors."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bloodcell.dataset.twins import Twin
from bloodcell.evaluation.ceiling import Ceiling
from bloodcell.evaluation.evidence import Evidence, describe_seeds
from bloodcell.evaluation.metrics import wilson_interval
from bloodcell.evaluation.repeated import Repeated, match_rows
from bloodcell.models.catalog import OPTION_LABELS, differences
from bloodcell.views.findings import Network, list_settings

VERDICTS = {"better": "▲ better", "worse": "▼ worse", "undecided": "○ no claim"}
EVIDENCE_COLUMNS = {
    "Seeds": "Trainings of the first and of the second network",
    "Points": "Accuracy on test of the first minus that of the second",
    "p": "Two-sided; McNemar's exact test, or with several seeds its form for shares",
    "p, corrected": "After Holm's correction for all comparisons of this question",
    "Claim": "Interval and corrected test agree, and the difference is larger than training again would give",
}


def evidence_table(evidence: Sequence[Evidence]) -> pd.DataFrame:
    """Return one row per comparison, in points and counts of images."""
    return pd.DataFrame(
        {
            "Network": [one.a for one in evidence],
            "against": [one.b for one in evidence],
            "Points": [100 * one.difference for one in evidence],
            "95 % from": [100 * one.interval[0] for one in evidence],
            "to": [100 * one.interval[1] for one in evidence],
            "Claim": [VERDICTS[one.verdict] for one in evidence],
            "Right more often": [one.num_more_a for one in evidence],
            "less often": [one.num_more_b for one in evidence],
            "p": [one.p_value for one in evidence],
            "p, corrected": [one.p_corrected for one in evidence],
            "Seeds": [f"{len(one.seeds_a)} / {len(one.seeds_b)}" for one in evidence],
            "Images": [one.num_images for one in evidence],
        }
    )


def networks_table(networks: Sequence[Network]) -> pd.DataFrame:
    """Return one row per network: mean and spread over its seeds on val and test, calibration, size and time."""
    return pd.DataFrame(
        {
            "Network": [one.name for one in networks],
            "Seeds": [one.test.num_trainings for one in networks],
            "Val": [100 * one.val.accuracy for one in networks],
            "± val": [100 * one.val.spread for one in networks],
            "Test": [100 * one.test.accuracy for one in networks],
            "± test": [100 * one.test.spread for one in networks],
            "ECE": [100 * float(np.mean(one.ece)) for one in networks],
            "± ECE": [100 * float(np.std(one.ece, ddof=1)) if len(one.ece) > 1 else np.nan for one in networks],
            "MB": [one.weights_mb for one in networks],
            "ms": [one.latency_ms for one in networks],
        }
    )


def differences_table(a: str, b: str) -> pd.DataFrame:
    """Return everything in which two networks differ, in a reader's words, one option per row."""
    found = differences(a, b)
    return pd.DataFrame(
        {
            "What": [OPTION_LABELS[one.option] for one in found],
            a: [one.value_a for one in found],
            b: [one.value_b for one in found],
        }
    )


def settings_table(first: Network, second: Network) -> pd.DataFrame:
    """Return everything that differs between how two networks were trained, one setting per row."""
    found = list_settings(first, second)
    return pd.DataFrame(
        {
            "What": [label[0].upper() + label[1:] for label, *_ in found],
            first.name: [value for _, value, _ in found],
            second.name: [value for *_, value in found],
        }
    )


def classes_table(first: Repeated, second: Repeated, class_names: Sequence[str]) -> pd.DataFrame:
    """Return per class the F1 and recall of both networks, means over seeds, percent, and their differences in points.

    Returns:
        Columns class, images, f1_a, f1_b, f1_difference, recall_a, recall_b, recall_difference.
    """
    scores_a, scores_b = (_class_scores(one, len(class_names)) for one in (first, second))
    return pd.DataFrame(
        {
            "class": list(class_names),
            "images": np.bincount(first.y_true, minlength=len(class_names)),
            "f1_a": 100 * scores_a[0],
            "f1_b": 100 * scores_b[0],
            "f1_difference": 100 * (scores_a[0] - scores_b[0]),
            "recall_a": 100 * scores_a[1],
            "recall_b": 100 * scores_b[1],
            "recall_difference": 100 * (scores_a[1] - scores_b[1]),
        }
    )


def changed_rows(first: Repeated, second: Repeated) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of `first` whose images it gets right more often, and less often; largest change first."""
    rows = match_rows(first.image_hashes, second.image_hashes)
    shared = np.flatnonzero(rows >= 0)
    change = first.share_right[shared] - second.share_right[rows[shared]]
    order = np.argsort(-np.abs(change), kind="stable")
    shared, change = shared[order], change[order]
    return shared[change > 1e-9], shared[change < -1e-9]


def changes_table(
    rows: np.ndarray, first: Repeated, second: Repeated, names: tuple[str, str], class_names: Sequence[str]
) -> pd.DataFrame:
    """Return one row per image: its hash, true class, and what the trainings of both networks answered."""
    others = match_rows(first.image_hashes[rows], second.image_hashes)
    return pd.DataFrame(
        {
            "Image": rows,
            "Pixel hash": [f"{value:016x}" for value in first.image_hashes[rows].tolist()],
            "True class": [class_names[label] for label in first.y_true[rows].tolist()],
            names[0]: [describe_answers(first, row, class_names) for row in rows.tolist()],
            names[1]: [describe_answers(second, row, class_names) for row in others.tolist()],
        }
    )


def describe_answers(network: Repeated, row: int, class_names: Sequence[str]) -> str:
    """Return what the trainings of a network answered for one image, such as "right" or "2 × neutrophil, 1 × right"."""
    labels, counts = np.unique(network.y_pred[:, row], return_counts=True)
    words = ["right" if label == network.y_true[row] else class_names[label] for label in labels.tolist()]
    if len(words) == 1:
        return words[0]
    order = np.argsort(-counts, kind="stable")
    return ", ".join(f"{counts[place]} × {words[place]}" for place in order.tolist())


def ceiling_pairs_table(ceiling: Ceiling, class_names: Sequence[str]) -> pd.DataFrame:
    """Return how many of the images that all models miss are of which class and called what by most, largest first."""
    pairs = pd.DataFrame(
        {
            "true": [class_names[label] for label in ceiling.y_true.tolist()],
            "called": [class_names[label] for label in ceiling.majority.tolist()],
            "doubtful": ceiling.is_doubtful.astype(int),
        }
    )
    table = pairs.groupby(["true", "called"], sort=False).agg(images=("doubtful", "size"), doubtful=("doubtful", "sum"))
    return table.reset_index().sort_values(
        ["images", "true", "called"], ascending=[False, True, True], ignore_index=True
    )


def find_other_places(
    image_hashes: np.ndarray,
    twins: Sequence[Sequence[Twin]],
    split_hashes: np.ndarray,
    class_names: Sequence[str],
    split: str = "test",
) -> list[str]:
    """Return where else in the dataset each image stands and under which label, such as "train 1018 as monocyte".

    Args:
        image_hashes: (n,) of images of a split.
        twins: Images that stand in the dataset more than once.
        split_hashes: Those of the split in which the twins were found.
        split: Its name.

    Returns:
        One text per image, empty for one that stands there once.
    """
    places = {
        int(split_hashes[own.place]): " and ".join(
            f"{twin.split} {twin.place} as {class_names[twin.label]}" for twin in group if twin != own
        )
        for group in twins
        for own in group
        if own.split == split
    }
    return [places.get(image_hash, "") for image_hash in image_hashes.tolist()]


def ceiling_images_table(
    ceiling: Ceiling, class_names: Sequence[str], other_places: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the images that all models miss, the surest common mistake first, with every model's answer.

    Args:
        other_places: From `find_other_places`, one per image; None where the dataset is not here.
    """
    table = pd.DataFrame(
        {
            "Image": ceiling.rows,
            "True class": [class_names[label] for label in ceiling.y_true.tolist()],
            "Called by most": [class_names[label] for label in ceiling.majority.tolist()],
            "Mean confidence": 100 * ceiling.confidence.mean(axis=0),
            "Label in doubt": ceiling.is_doubtful,
        }
    )
    if other_places is not None:
        table["Also in the dataset"] = list(other_places)
    for name, answers in zip(ceiling.names, ceiling.answers, strict=True):
        table[name] = [class_names[label] for label in answers.tolist()]
    return table


def twins_table(twins: Sequence[Sequence[Twin]], class_names: Sequence[str]) -> pd.DataFrame:
    """Return the images that stand in the dataset more than once, those under two labels first."""
    rows = [
        {
            "Places": ", ".join(f"{twin.split} {twin.place}" for twin in group),
            "Splits": "several" if len({twin.split for twin in group}) > 1 else "one",
            "Labels": " / ".join(dict.fromkeys(class_names[twin.label] for twin in group)),
            "Two labels": len({twin.label for twin in group}) > 1,
        }
        for group in twins
    ]
    table = pd.DataFrame(rows, columns=["Places", "Splits", "Labels", "Two labels"])
    return table.sort_values(["Two labels", "Splits"], ascending=[False, False], kind="stable", ignore_index=True)


def bytes_table(
    networks: Mapping[str, Network], stored_bytes: Mapping[str, int], anchors: pd.DataFrame
) -> pd.DataFrame:
    """Return accuracy beside bytes, ours and the published anchors: one row each.

    Args:
        networks: Trained rows of the catalog with all their seeds.
        stored_bytes: Bytes of the weights as stored, by model.
        anchors: `published.load_anchors()`.

    Returns:
        name, group ("trained here" or "published"), family, accuracy, low, high (percent, on test; ours with Wilson's
        95 % interval of the mean over seeds), val_accuracy (percent; NaN for published ones), float32_mb, stored_mb (MB
        of 1024²; NaN where not given), image_size (pixels), weights_from, source.
    """
    mb = 1024**2
    rows = list(networks.values())
    sizes = [len(one.test.y_true) for one in rows]
    intervals = [wilson_interval(round(one.test.accuracy * n), n) for one, n in zip(rows, sizes, strict=True)]
    ours = pd.DataFrame(
        {
            "name": [one.name for one in rows],
            "group": "trained here",
            "family": [one.family for one in rows],
            "accuracy": [100 * one.test.accuracy for one in rows],
            "low": [100 * low for low, _ in intervals],
            "high": [100 * high for _, high in intervals],
            "val_accuracy": [100 * one.val.accuracy for one in rows],
            "float32_mb": [one.weights_mb for one in rows],
            "stored_mb": [stored_bytes.get(one.name, np.nan) / mb for one in rows],
            "image_size": 64,
            "weights_from": "scratch",
            "source": [f"trained here, {describe_seeds(one.test.seeds)}" for one in rows],
        }
    )
    theirs = pd.DataFrame(
        {
            "name": anchors["name"],
            "group": "published",
            "family": "published",
            "accuracy": 100 * anchors["accuracy"],
            "low": 100 * (anchors["accuracy"] - anchors["spread"]),
            "high": 100 * (anchors["accuracy"] + anchors["spread"]),
            "val_accuracy": np.nan,
            "float32_mb": anchors["bytes_float32"] / mb,
            "stored_mb": np.nan,
            "image_size": anchors["image_size"],
            "weights_from": anchors["weights_from"].fillna("–"),
            "source": anchors["source"] + ", " + anchors["remark"],
        }
    )
    return pd.concat([ours, theirs], ignore_index=True)


def _class_scores(network: Repeated, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return F1 and recall by class, means over the trainings; 0 where undefined."""
    f1_scores, recalls = [], []
    for y_pred in network.y_pred:
        counts = np.bincount(network.y_true * num_classes + y_pred, minlength=num_classes**2)
        matrix = counts.reshape(num_classes, num_classes)
        right, support, called = np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
        total = support + called
        f1_scores.append(np.divide(2 * right, total, out=np.zeros(num_classes), where=total > 0))
        recalls.append(np.divide(right, support, out=np.zeros(num_classes), where=support > 0))
    return np.mean(f1_scores, axis=0), np.mean(recalls, axis=0)


def ceiling_counts_table(ceiling: Ceiling) -> pd.DataFrame:
    """Return how many images are wrong with 1, 2, … all of the good models, most models first."""
    num_models = len(ceiling.names)
    numbers = np.arange(num_models, 0, -1)
    return pd.DataFrame(
        {
            "Wrong with": [f"{number} of {num_models} models" for number in numbers.tolist()],
            "Images": ceiling.num_wrong[numbers],
            "% of test": 100 * ceiling.num_wrong[numbers] / ceiling.num_images,
        }
    ).round(2)


def ceiling_captions(
    ceiling: Ceiling, class_names: Sequence[str], other_places: Sequence[str] | None = None
) -> list[str]:
    """Return what stands below the picture of each image that all good models miss, Markdown.

    Args:
        other_places: From `find_other_places`, one per image; None where the dataset is not here.
    """
    captions = []
    confidence = ceiling.confidence.mean(axis=0)
    for place, (label, called) in enumerate(zip(ceiling.y_true.tolist(), ceiling.majority.tolist(), strict=True)):
        num_called = int((ceiling.answers[:, place] == called).sum())
        doubt = "  \n**label in doubt**" if ceiling.is_doubtful[place] else ""
        if other_places is not None and other_places[place]:
            doubt += f"  \n**also {other_places[place]}**"
        captions.append(
            f":small[label: **{class_names[label]}**  \n{num_called} of {len(ceiling.names)}: {class_names[called]}  \n"
            f"mean confidence {100 * confidence[place]:.1f} %{doubt}]"
        )
    return captions


def describe_layers(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """Return which kinds of layers the second graph has more or fewer of than the first, in a sentence."""
    counts = [Counter(layer["type"] for layer in graph["layers"]) for graph in (first, second)]
    parts = []
    for word, more, less in (("more", counts[1], counts[0]), ("fewer", counts[0], counts[1])):
        kinds = [f"{number} {kind}" for kind, number in (more - less).items()]
        if kinds:
            parts.append(f"{word}: {', '.join(kinds)}")
    return f"Layers {'; '.join(parts)}." if parts else "The same layers in the same number."


def costs_table(
    names: tuple[str, str], graphs: tuple[Mapping[str, Any], Mapping[str, Any]], times: Mapping[str, float]
) -> pd.DataFrame:
    """Return size, arithmetic and time of two networks and the ratio of the second to the first.

    Args:
        names: The two networks.
        graphs: Their "parameters" and "flops".
        times: ms for one image, by network, as far as measured.
    """
    rows = [
        ("Parameters", [graph["parameters"] for graph in graphs], "{:,.0f}"),
        ("MB, float32", [4 * graph["parameters"] / 1024**2 for graph in graphs], "{:.3f}"),
        ("Million FLOPs, one image", [graph["flops"] / 1e6 for graph in graphs], "{:.1f}"),
        ("ms, one image", [times.get(name, np.nan) for name in names], "{:.3f}"),
    ]
    return pd.DataFrame(
        [
            {
                "": label,
                **{
                    name: form.format(value) if value == value else None
                    for name, value in zip(names, values, strict=True)
                },
                "Ratio": f"{values[1] / values[0]:.2f} ×"
                if values[0] == values[0] and values[1] == values[1]
                else None,
            }
            for label, values, form in rows
        ]
    )

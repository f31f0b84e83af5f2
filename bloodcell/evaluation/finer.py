"""What a network says of the eleven finer types, and how often it is right, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from bloodcell.dataset import CLASS_NAMES, FINER_CLASSES, FINER_NAMES, SUBTYPE_COLUMNS, SUBTYPES, UNKNOWN
from bloodcell.evaluation.calibration import fit_temperature, softmax
from bloodcell.evaluation.metrics import Evaluation, compute_confusion_matrix, wilson_interval

NUM_RESAMPLES = 1000
_ABSENT = -1e4
"""Logit of a type that an image cannot be; far below any other, and finite."""


@dataclass(frozen=True, eq=False)
class Within:
    """How well the types inside one class are told apart, of the images that are of that class.

    Attributes:
        class_name: One of the eight.
        names: Its finer types.
        accuracy: Share of its images of known type whose type is the most probable one within the class.
        accuracy_interval: Wilson 95 % interval, (low, high).
        confusion_matrix: (types, types) int64, rows true, columns predicted.
    """

    class_name: str
    names: tuple[str, ...]
    accuracy: float
    accuracy_interval: tuple[float, float]
    confusion_matrix: np.ndarray


@dataclass(frozen=True, eq=False)
class FinerEvaluation:
    """The numbers of one model over the eleven finer types, on the images of a split whose type is known.

    Attributes:
        overall: All numbers of an evaluation, over eleven types in place of eight classes.
        macro_f1_interval: Bootstrap 95 % interval of its macro F1, (low, high), images drawn within each type.
        mean_recall: Mean over the types of the share that is recognised.
        within: One entry per class that has finer types and images of them.
        num_unknown: Images of the split that are left out because only their class is known.
    """

    overall: Evaluation
    macro_f1_interval: tuple[float, float]
    mean_recall: float
    within: tuple[Within, ...]
    num_unknown: int

    @classmethod
    def from_predictions(cls, finer: np.ndarray, y_score: np.ndarray) -> Self:
        """Return the numbers of one model.

        Args:
            finer: (n,) index in FINER_NAMES, or UNKNOWN; at least one known.
            y_score: (n, 11) probabilities, as `finer_probabilities` gives them.
        """
        known = finer != UNKNOWN
        if not known.any():
            raise ValueError("Expected at least one image of known finer type. Received: none")
        y_true, y_score = finer[known], y_score[known]
        overall = Evaluation.from_predictions(y_true, y_score, FINER_NAMES)
        within = (_report_within(label, y_true, y_score) for label in SUBTYPE_COLUMNS)
        return cls(
            overall=overall,
            macro_f1_interval=_macro_f1_interval(overall.confusion_matrix),
            mean_recall=overall.macro_recall,
            within=tuple(one for one in within if one is not None),
            num_unknown=int((~known).sum()),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain JSON values."""
        return {
            "overall": self.overall.to_dict(),
            "macro_f1_interval": list(self.macro_f1_interval),
            "mean_recall": self.mean_recall,
            "within": [
                {
                    "class_name": one.class_name,
                    "names": list(one.names),
                    "accuracy": one.accuracy,
                    "accuracy_interval": list(one.accuracy_interval),
                    "confusion_matrix": one.confusion_matrix.tolist(),
                }
                for one in self.within
            ],
            "num_unknown": self.num_unknown,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_dict` wrote.

        Raises:
            ValueError: A number is missing or is not one.
        """
        try:
            within = tuple(
                Within(
                    one["class_name"],
                    tuple(one["names"]),
                    float(one["accuracy"]),
                    _pair(one["accuracy_interval"]),
                    np.array(one["confusion_matrix"], np.int64),
                )
                for one in values["within"]
            )
            return cls(
                Evaluation.from_dict(values["overall"]),
                _pair(values["macro_f1_interval"]),
                float(values["mean_recall"]),
                within,
                int(values["num_unknown"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"Expected numbers as `to_dict` writes them. Received some with: {error}") from error


def finer_probabilities(logits: np.ndarray, subtype_logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return probabilities of the eleven finer types, (n, 11) float32, whose sums are the eight classes' own.

    A type's probability is that of its class, softmax(logits / temperature), times its share within the class, the
    softmax of the class's columns of the subtypes' logits; those carry their temperature in the weights already.

    Args:
        logits: (n, 8).
        subtype_logits: (n, 5), in the order of SUBTYPE_NAMES.
        temperature: That of the eight classes.
    """
    probabilities = softmax(logits, temperature)
    columns = []
    for label in range(len(CLASS_NAMES)):
        own = probabilities[:, label : label + 1]
        places = SUBTYPE_COLUMNS.get(label)
        columns.append(own if places is None else own * softmax(subtype_logits[:, places]))
    return np.concatenate(columns, axis=1)


def fit_subtype_temperature(subtype_logits: np.ndarray, finer: np.ndarray) -> float:
    """Return the temperature under which the shares within classes fit best, over all images of known subtype.

    Args:
        subtype_logits: (n, 5) of the val split.
        finer: (n,) index in FINER_NAMES, or UNKNOWN. With none of a subtype, the temperature is 1.
    """
    masked, y_true = [], []
    for label, places in SUBTYPE_COLUMNS.items():
        first = FINER_CLASSES.index(label)
        rows = (finer >= first) & (finer < first + places.stop - places.start)
        own = np.full((int(rows.sum()), subtype_logits.shape[1]), _ABSENT)
        own[:, places] = subtype_logits[rows, places]
        masked.append(own)
        y_true.append(finer[rows] - first + places.start)
    if not sum(map(len, y_true)):
        return 1.0
    return fit_temperature(np.concatenate(masked), np.concatenate(y_true))


def _report_within(label: int, y_true: np.ndarray, y_score: np.ndarray) -> Within | None:
    names = SUBTYPES[CLASS_NAMES[label]]
    first = FINER_CLASSES.index(label)
    rows = (y_true >= first) & (y_true < first + len(names))
    if not rows.any():
        return None
    answers = y_score[rows, first : first + len(names)].argmax(axis=1)
    matrix = compute_confusion_matrix(y_true[rows] - first, answers, len(names))
    right, total = int(np.trace(matrix)), int(matrix.sum())
    return Within(CLASS_NAMES[label], names, right / total, wilson_interval(right, total), matrix)


def _macro_f1_interval(confusion_matrix: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the bootstrap 95 % interval of the mean F1: answers are drawn anew within each true type."""
    generator = np.random.default_rng(seed)
    support = confusion_matrix.sum(axis=1)
    shares = confusion_matrix / np.maximum(support, 1)[:, None]
    resampled = np.zeros((NUM_RESAMPLES, *confusion_matrix.shape))
    for row, (count, share) in enumerate(zip(support.tolist(), shares, strict=True)):
        if count:
            resampled[:, row] = generator.multinomial(count, share, size=NUM_RESAMPLES)
    right = np.diagonal(resampled, axis1=1, axis2=2)
    denominator = resampled.sum(axis=1) + support
    f1_scores = np.divide(2 * right, denominator, out=np.zeros_like(right), where=denominator > 0)[:, support > 0]
    low, high = np.quantile(f1_scores.mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _pair(values: Any) -> tuple[float, float]:
    low, high = map(float, values)
    return low, high

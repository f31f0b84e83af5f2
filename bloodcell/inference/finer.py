"""A finer opinion on cells whose class lumps together what laboratories keep apart."""

from dataclasses import dataclass

import numpy as np

from bloodcell.artifact import Artifact
from bloodcell.dataset import CLASS_NAMES, FINER_CLASSES, SUBTYPES, prepare_images
from bloodcell.evaluation import finer_probabilities
from bloodcell.inference.engine import Engine


@dataclass(frozen=True)
class FinerOpinion:
    """How a network divides its most probable class among the finer types in it.

    Attributes:
        class_name: The most probable of the eight classes.
        class_probability: Its calibrated probability.
        shares: Share of each finer type within the class, summing to 1, in the order in which the cells mature.
    """

    class_name: str
    class_probability: float
    shares: dict[str, float]

    @property
    def name(self) -> str:
        """The most probable finer type within the class."""
        return max(self.shares, key=lambda name: self.shares[name])

    @property
    def probabilities(self) -> dict[str, float]:
        """Calibrated probability of each finer type of the class; they add up to that of the class."""
        return {name: self.class_probability * share for name, share in self.shares.items()}


def form_finer_opinions(artifact: Artifact, engine: Engine, images: np.ndarray) -> list[FinerOpinion | None]:
    """Return a finer opinion per image, None where the most probable class has no finer types, or the network none.

    Args:
        artifact: Whose temperature calibrates the classes.
        engine: That of the artifact.
        images: (n, 64, 64, 3) uint8, as `dataset.frame_image` gives them.
    """
    if not engine.gives_subtypes or not len(images):
        return [None] * len(images)
    outputs = engine.compute_outputs(prepare_images(images))
    assert outputs.subtype_logits is not None
    eleven = finer_probabilities(outputs.logits, outputs.subtype_logits, artifact.manifest.temperature)
    return [_opinion(row) for row in eleven]


def _opinion(probabilities: np.ndarray) -> FinerOpinion | None:
    """Return the opinion in one row of eleven probabilities."""
    by_class = np.bincount(FINER_CLASSES, weights=probabilities, minlength=len(CLASS_NAMES))
    label = int(by_class.argmax())
    names = SUBTYPES.get(CLASS_NAMES[label])
    if names is None:
        return None
    first = FINER_CLASSES.index(label)
    shares = probabilities[first : first + len(names)] / by_class[label]
    return FinerOpinion(
        CLASS_NAMES[label],
        float(by_class[label]),
        {name: float(share) for name, share in zip(names, shares, strict=True)},
    )

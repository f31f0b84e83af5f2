"""Refuses before it answers: no cell, a cell unlike the training data, or a cell of which several types are possible.

Three looks, in this order, each with a limit chosen on val:

1. The pixels (`guard_pixels`, `guard_density`), before any network: colours, layout and detail together must be as
   usual as those of all but one in a thousand val images. What is refused is called "not_a_cell" where nothing stained
   lies in the middle or the layout is none of a cell's, else "unfamiliar".
2. The features of the default network: the Mahalanobis distance of the pooled features to the nearest class mean (Lee
   et al. 2018, https://arxiv.org/abs/1807.03888), with a limit for all but one in a thousand. Networks that do not
   pool a last feature map go without this look.
3. The conformal set (`prediction_sets`) of the probabilities averaged over the eight symmetric views; a set of several
   types is "uncertain", and so is an empty one, where no type is as probable as the coverage asks for. Two of the
   latter's types remain possible; at the default coverage no test cell has one.

Tried on a four-epoch network and val alone for the second look, and not kept: relative Mahalanobis distance (Ren et al.
2021), distances with a covariance per class, the tenth nearest neighbour, energy (Liu et al. 2020) and the highest
probability. All but the neighbours let through far more of what the pixels give away; the neighbours (a few points
better) would have to travel with the artifact.
"""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bloodcell.artifact import Artifact
from bloodcell.dataset import prepare_images
from bloodcell.errors import ArtifactDamagedError, EngineError
from bloodcell.files import DAMAGED_ARRAYS
from bloodcell.inference.engine import Engine, Outputs
from bloodcell.inference.guard_density import Mixture
from bloodcell.inference.guard_pixels import GROUPS, PixelDescription, describe_pixels
from bloodcell.inference.guard_words import explain_features, explain_pixels, explain_set, is_no_cell
from bloodcell.inference.prediction_sets import (
    COVERAGE,
    explain_unreached,
    list_possible,
    reaches_threshold,
    threshold_of_scores,
)
from bloodcell.inference.views import compute_view_probabilities

GUARD_FILE = "guard.npz"

Verdict = Literal["ok", "uncertain", "unfamiliar", "not_a_cell"]


@dataclass(frozen=True, eq=False)
class GuardParameters:
    """Everything that was fitted, as it is stored beside the weights.

    Attributes:
        mixture: How usual a description of pixels is.
        pixel_limit: Highest score of the mixture that is let through.
        part_limits: (3,) the same for each of `GROUPS` alone; these only choose words.
        usual: (5, 2) lowest and highest usual value of the quantities of `guard_words.QUANTITIES`.
        class_means: (classes, c) mean pooled features of the training images; c is 0 where the network pools none.
        whitening: (c, c) makes the features' spread around their class means 1 in every direction.
        feature_limit: Greatest distance to the nearest class mean that is let through.
        true_scores: (n,) probabilities, averaged over eight views, of the right class of every val image.
    """

    mixture: Mixture
    pixel_limit: float
    part_limits: np.ndarray
    usual: np.ndarray
    class_means: np.ndarray
    whitening: np.ndarray
    feature_limit: float
    true_scores: np.ndarray

    @property
    def knows_features(self) -> bool:
        """Whether the network's features are looked at."""
        return self.whitening.size > 0

    def measure_distances(self, features: np.ndarray) -> np.ndarray:
        """Return the distance of pooled features (n, c) to the nearest class mean, (n,)."""
        white = features @ self.whitening
        means = self.class_means @ self.whitening
        return np.sqrt(((white[:, None] - means) ** 2).sum(axis=-1)).min(axis=1)


@dataclass(frozen=True)
class Examination:
    """What the guard says of one image.

    Attributes:
        status: "ok" where a label may be given.
        possible: Indices of the classes that remain possible, most probable first; empty where the image was refused
            before any network was asked.
        reasons: Sentences; empty where all is well.
        strangeness: (pixels, features) as shares of their limits, above 1 where refused; None for features that were
            not looked at.
    """

    status: Verdict
    possible: tuple[int, ...]
    reasons: tuple[str, ...]
    strangeness: tuple[float, float | None]


@dataclass(frozen=True, eq=False)
class Guard:
    """The guard of one trained model; depends on that model and the image, and on nothing else.

    Attributes:
        parameters: What was fitted.
        artifact, engine: The model whose guard it is.
    """

    parameters: GuardParameters
    artifact: Artifact
    engine: Engine

    def examine(self, images: np.ndarray, coverage: float = COVERAGE) -> list[Examination]:
        """Return one examination per image.

        Args:
            images: (n, 64, 64, 3) uint8, as `dataset.frame_image` gives them.
            coverage: Promised share of images whose conformal set holds the right class, in (0, 1).

        Raises:
            EngineError: LiteRT could not run the network.
        """
        threshold = threshold_of_scores(self.parameters.true_scores, coverage)
        pixels = describe_pixels(images)
        scores = self.parameters.mixture.score(pixels.numbers)
        passed = np.flatnonzero(scores <= self.parameters.pixel_limit)
        inputs = prepare_images(images[passed])
        outputs = self.engine.compute_outputs(inputs)
        distances = self._measure(outputs)
        near = distances <= self.parameters.feature_limit
        y_score = compute_view_probabilities(self.engine, inputs[near], self.artifact.manifest.temperature)
        examined = iter(
            self._judge_passed(scores[passed], outputs.logits, distances, near, y_score, threshold, coverage)
        )
        refused = np.ones(len(images), bool)
        refused[passed] = False
        return [
            self._refuse_pixels(pixels, index, scores[index]) if refused[index] else next(examined)
            for index in range(len(images))
        ]

    def _measure(self, outputs: Outputs) -> np.ndarray:
        if not self.parameters.knows_features:
            return np.zeros(len(outputs.logits))
        if outputs.features is None:
            raise EngineError(
                f"The LiteRT form of {self.artifact.name} gives no features, which its guard needs. Run "
                f"`./dev python -m bloodcell measure guard {self.artifact.name}`, which builds both anew."
            )
        return self.parameters.measure_distances(outputs.features)

    def _refuse_pixels(self, pixels: PixelDescription, index: int, score: float) -> Examination:
        parameters = self.parameters
        row = pixels.numbers[index : index + 1]
        parts = [parameters.mixture.score_part(row, slice(*columns))[0] for columns in GROUPS.values()]
        shares = np.array(parts) / parameters.part_limits
        no_cell = is_no_cell(pixels, index, shares)
        reasons = explain_pixels(pixels, index, shares, parameters.usual, no_cell)
        strangeness = float(score / parameters.pixel_limit)
        return Examination("not_a_cell" if no_cell else "unfamiliar", (), reasons, (strangeness, None))

    def _judge_passed(
        self,
        scores: np.ndarray,
        logits: np.ndarray,
        distances: np.ndarray,
        near: np.ndarray,
        y_score: np.ndarray,
        threshold: float,
        coverage: float,
    ) -> list[Examination]:
        """Return examinations of the images whose pixels passed, in their order."""
        parameters, names = self.parameters, self.artifact.manifest.class_names
        views, examined = iter(y_score), []
        for score, answer, distance, is_near in zip(scores, logits.argmax(axis=1), distances, near, strict=True):
            seen = float(distance / parameters.feature_limit) if parameters.knows_features else None
            strangeness = (float(score / parameters.pixel_limit), seen)
            if not is_near:
                examined.append(Examination("unfamiliar", (), (explain_features(),), strangeness))
                continue
            mean = next(views)
            possible = list_answered(mean, int(answer), threshold)
            if len(possible) == 1:
                examined.append(Examination("ok", possible, (), strangeness))
                continue
            types = [names[index] for index in possible]
            is_reached = reaches_threshold(mean, threshold)
            reason = explain_set(types, coverage) if is_reached else explain_unreached(types, threshold, coverage)
            examined.append(Examination("uncertain", possible, (reason,), strangeness))
        return examined


def list_answered(y_score: np.ndarray, answer: int, threshold: float) -> tuple[int, ...]:
    """Return the classes of a set, most probable first; the network's answer on the image as it is stays in it.

    Args:
        y_score: (classes,) probabilities of one image, mean over its views.
        answer: Index of the class that the network gives the image as it is.
        threshold: From `prediction_sets.threshold_of_scores`.
    """
    possible = {*list_possible(y_score, threshold), answer}
    return tuple(sorted(possible, key=lambda index: -y_score[index]))


def has_guard(artifact: Artifact) -> bool:
    """Whether a trained model comes with a guard."""
    return GUARD_FILE in artifact.manifest.files


def load_guard(artifact: Artifact, engine: Engine) -> Guard | None:
    """Return the guard of a trained model, or None where none was fitted.

    Raises:
        ArtifactDamagedError: The file of the guard cannot be read.
    """
    if not has_guard(artifact):
        return None
    path = artifact.directory / GUARD_FILE
    try:
        return Guard(parse_parameters(path.read_bytes()), artifact, engine)
    except DAMAGED_ARRAYS as error:
        raise ArtifactDamagedError(
            f"{path} cannot be read ({error}). Run `./dev python -m bloodcell measure guard {artifact.name}`."
        ) from error


def serialize_parameters(parameters: GuardParameters) -> bytes:
    """Return fitted parameters as the bytes of an .npz file, float32."""
    mixture = {f"mixture_{name}": getattr(parameters.mixture, name) for name in _MIXTURE_ARRAYS}
    arrays = mixture | {name: getattr(parameters, name) for name in _ARRAYS}
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, allow_pickle=False, **{name: np.asarray(values, np.float32) for name, values in arrays.items()}
    )
    return buffer.getvalue()


def parse_parameters(data: bytes) -> GuardParameters:
    """Read parameters back.

    Raises:
        KeyError: An array is missing.
        ValueError, zipfile.BadZipFile: The bytes are no .npz file.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        mixture = Mixture(*(stored[f"mixture_{name}"].astype(np.float64) for name in _MIXTURE_ARRAYS))
        values = {name: stored[name].astype(np.float64) for name in _ARRAYS}
    limits = {name: float(values.pop(name)) for name in ("pixel_limit", "feature_limit")}
    return GuardParameters(mixture=mixture, **limits, **values)  # type: ignore[arg-type]


_MIXTURE_ARRAYS = ("centre", "scale", "weights", "means", "covariances")
_ARRAYS = ("pixel_limit", "part_limits", "usual", "class_means", "whitening", "feature_limit", "true_scores")

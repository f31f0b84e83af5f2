"""How usual a list of numbers is among those of the training images: a mixture of a few Gaussians.

A mixture and not one Gaussian, because the training images come in two white balances and eight types. Scores are
negative log densities: the higher, the stranger. The density of a part of the numbers follows from the same mixture, so
that a strange description can be traced to what is strange in it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

NUM_COMPONENTS = 8
ROWS_PER_NUMBER = 6
"""Least training rows per component and number; with fewer rows fewer components are fitted, at least one."""
RIDGE = 0.01
"""Added to every variance, in units of the robust spread, so that a number that never varies divides nothing by 0."""
FARTHEST = 30.0
"""Numbers are clipped at this many robust spreads from the median: beyond it, strange is strange."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussians over scaled numbers.

    Attributes:
        centre, scale: (d,) median and robust spread that rows are scaled with.
        weights: (k,) shares of the components.
        means: (k, d) of the scaled rows.
        covariances: (k, d, d) of the scaled rows.
    """

    centre: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return the negative log density of rows (n, d), (n,) float64."""
        return self._score(rows, slice(None), self._whole)

    def score_part(self, rows: np.ndarray, part: slice) -> np.ndarray:
        """Return the negative log density of some columns of rows (n, d), whatever the others are, (n,) float64."""
        if (part.start, part.stop) not in self._parts:
            self._parts[part.start, part.stop] = _prepare(self.covariances[:, part, part])
        return self._score(rows, part, self._parts[part.start, part.stop])

    @cached_property
    def _whole(self) -> tuple[np.ndarray, np.ndarray]:
        return _prepare(self.covariances)

    @cached_property
    def _parts(self) -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]:
        return {}

    def _score(self, rows: np.ndarray, part: slice, prepared: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        whitening, log_scale = prepared
        scaled = np.clip((rows[:, part] - self.centre[part]) / self.scale[part], -FARTHEST, FARTHEST)
        logs = np.empty((len(rows), len(self.weights)))
        for index, mean in enumerate(self.means[:, part]):
            distance = (((scaled - mean) @ whitening[index]) ** 2).sum(axis=1)
            logs[:, index] = np.log(self.weights[index]) + log_scale[index] - 0.5 * distance
        highest = logs.max(axis=1)
        return -(highest + np.log(np.exp(logs - highest[:, None]).sum(axis=1)))


def fit_mixture(rows: np.ndarray, seed: int = 0) -> Mixture:
    """Return the mixture that describes rows, (n, d), n above 1; uses scikit-learn, which scoring does not need."""
    from sklearn.mixture import GaussianMixture

    centre = np.median(rows, axis=0)
    scale = np.percentile(np.abs(rows - centre), 75, axis=0) + 1e-3
    scaled = np.clip((rows - centre) / scale, -FARTHEST, FARTHEST)
    num_components = int(np.clip(len(rows) // (ROWS_PER_NUMBER * rows.shape[1]), 1, NUM_COMPONENTS))
    fitted = GaussianMixture(num_components, reg_covar=RIDGE, random_state=seed, max_iter=200).fit(scaled)
    # As they are stored, so that a guard scores the same before and after.
    parts = (centre, scale, fitted.weights_, fitted.means_, fitted.covariances_)
    return Mixture(*(np.asarray(part, np.float32).astype(np.float64) for part in parts))


def _prepare(covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return per component what makes its numbers independent with variance 1, and the constant of its log density."""
    num_numbers = covariances.shape[1]
    whitening = np.empty_like(covariances)
    log_scale = np.empty(len(covariances))
    for index, covariance in enumerate(covariances):
        lower = np.linalg.cholesky(covariance)
        whitening[index] = np.linalg.inv(lower).T
        log_scale[index] = -np.log(np.diag(lower)).sum() - 0.5 * num_numbers * np.log(2 * np.pi)
    return whitening, log_scale

"""How two networks differ on the same images, with one seed or several each, and what may be claimed from it.

A difference is claimed only where three things agree: its bootstrap interval leaves out zero, the test is significant
after Holm's correction for all comparisons of the same question, and it is larger than what training again would give.
The interval knows the spread that seeds show, pooled over many networks. Besides, no seed of the better one may fall to
the level of any seed of the other, and where either network was trained once the difference must reach
`ONE_SEED_LIMIT`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bloodcell.evaluation.comparison import holm_correction
from bloodcell.evaluation.repeated import Repeated, match_rows

ONE_SEED_LIMIT = 0.003
"""Differences below 0.3 points are no evidence where a network was trained once."""
SIGNIFICANCE = 0.05
PRIOR_FREEDOM = 4
"""Degrees of freedom that the spread of other networks counts as: as much as three seeds of both of a pair."""
NUM_RESAMPLES = 40_000
NUM_SIGN_FLIPS = 10_000
_MOST_CELLS = 4_000_000
"""Numbers held at once while signs are flipped."""

Verdict = Literal["better", "worse", "undecided"]


@dataclass(frozen=True)
class Evidence:
    """How network a differs from network b on the images that both answered.

    Attributes:
        a, b: Names.
        seeds_a, seeds_b: Seeds of their trainings.
        accuracy_a, accuracy_b: Mean accuracy over the trainings, on the shared images.
        spread_a, spread_b: Standard deviation over the seeds (n − 1 below); NaN with one seed.
        difference: Mean accuracy of a minus that of b.
        interval: Bootstrap 95 % interval of the difference, over images, with the chance of training as it was given.
        p_value: Two-sided. With one training each McNemar's exact test; else signs of the images' differences flipped
            at random, which is its form for shares.
        p_corrected: The same after Holm's correction for all comparisons of one question.
        num_more_a, num_more_b: Images that a, or b, gets right more often.
        num_images: Images in all.
        are_apart: No training of the more accurate one is as low as any of the other.
    """

    a: str
    b: str
    seeds_a: tuple[int, ...]
    seeds_b: tuple[int, ...]
    accuracy_a: float
    accuracy_b: float
    spread_a: float
    spread_b: float
    difference: float
    interval: tuple[float, float]
    p_value: float
    p_corrected: float
    num_more_a: int
    num_more_b: int
    num_images: int
    are_apart: bool

    @property
    def num_seeds(self) -> int:
        """Trainings of the network that was trained less often."""
        return min(len(self.seeds_a), len(self.seeds_b))

    @property
    def is_significant(self) -> bool:
        """Whether interval and corrected test both leave out "no difference" on these images."""
        half_an_image = 0.5 / self.num_images  # nearer to zero, the resampling would decide
        return self.p_corrected < SIGNIFICANCE and (
            self.interval[0] > half_an_image or self.interval[1] < -half_an_image
        )

    @property
    def exceeds_chance_of_training(self) -> bool:
        """Whether training again would not be expected to undo the difference."""
        return self.are_apart and (self.num_seeds > 1 or abs(self.difference) >= ONE_SEED_LIMIT - 1e-12)

    @property
    def verdict(self) -> Verdict:
        """What may be claimed of a against b."""
        if not (self.is_significant and self.exceeds_chance_of_training):
            return "undecided"
        return "better" if self.difference > 0 else "worse"


def find_evidence(
    a: str, b: str, first: Repeated, second: Repeated, seed_spread: float = 0.0, seed: int = 0
) -> Evidence:
    """Return how two networks differ; `p_corrected` is `p_value` until `correct_together` is asked.

    Args:
        a, b: What the networks are called.
        first, second: Their trainings.
        seed_spread: Standard deviation of the accuracy over seeds that many networks show, as `repeated.pool_spread`
            finds it. Two or three seeds are too few to tell a pair's own, so that it is moderated by this one (Smyth
            2004, https://doi.org/10.2202/1544-6115.1027); 0 where it is not known.
        seed: Of the resampling; the same seed gives the same interval.

    Raises:
        ValueError: They were measured on no common image.
    """
    rows = match_rows(first.image_hashes, second.image_hashes)
    kept = np.flatnonzero(rows >= 0)
    if not len(kept):
        raise ValueError(f"Expected {a} and {b} to be measured on shared images. Received: none is shared")
    right_a = (first.y_pred == first.y_true)[:, kept]
    right_b = (second.y_pred == second.y_true)[:, rows[kept]]
    accuracies_a, accuracies_b = right_a.mean(axis=1), right_b.mean(axis=1)
    # Counts instead of shares: whole numbers add up exactly, so that images on which both are equal count as equal.
    scores = len(right_b) * right_a.sum(axis=0) - len(right_a) * right_b.sum(axis=0)
    low, high = sorted((accuracies_a, accuracies_b), key=lambda one: one.mean())
    p_value = _test_signs(scores, seed)
    return Evidence(
        a=a,
        b=b,
        seeds_a=first.seeds,
        seeds_b=second.seeds,
        accuracy_a=float(accuracies_a.mean()),
        accuracy_b=float(accuracies_b.mean()),
        spread_a=_spread(accuracies_a),
        spread_b=_spread(accuracies_b),
        difference=float(scores.sum() / (len(right_a) * len(right_b) * len(kept))),
        interval=_bootstrap(
            scores, (len(right_a), len(right_b)), *_moderate([accuracies_a, accuracies_b], seed_spread), seed
        ),
        p_value=p_value,
        p_corrected=p_value,
        num_more_a=int((scores > 0).sum()),
        num_more_b=int((scores < 0).sum()),
        num_images=len(kept),
        are_apart=bool(low.max() < high.min()),
    )


def correct_together(evidence: Iterable[Evidence]) -> list[Evidence]:
    """Return the comparisons of one question with their p-values corrected for testing all of them (Holm 1979)."""
    listed = list(evidence)
    corrected = holm_correction([one.p_value for one in listed])
    return [replace(one, p_corrected=float(value)) for one, value in zip(listed, corrected, strict=True)]


def _spread(accuracies: np.ndarray) -> float:
    return float(accuracies.std(ddof=1)) if len(accuracies) > 1 else float("nan")


def _moderate(accuracies: Sequence[np.ndarray], prior_spread: float) -> tuple[float, int]:
    """Return the standard deviation over seeds that both networks of a pair share, moderated by that of many others.

    With it come its degrees of freedom, own ones and the prior's.
    """
    own = sum(float(((one - one.mean()) ** 2).sum()) for one in accuracies)
    freedom = sum(len(one) - 1 for one in accuracies)
    prior_freedom = PRIOR_FREEDOM if prior_spread else 0
    total = freedom + prior_freedom
    return (float(np.sqrt((own + prior_freedom * prior_spread**2) / total)) if total else 0.0), total


def _bootstrap(
    scores: np.ndarray, num_trainings: tuple[int, int], seed_spread: float, freedom: int, seed: int
) -> tuple[float, float]:
    """Return the 95 % interval of the difference when images are drawn anew and both networks trained anew.

    Args:
        scores: (images,) whole numbers, the images' differences times the trainings of a times those of b.
        num_trainings: Trainings of a, and of b.
        seed_spread: Standard deviation of the accuracy over seeds.
        freedom: Its degrees of freedom: the fewer, the longer the tails of what training again may give.
    """
    generator = np.random.default_rng(seed)
    # Images of one difference are alike, and there are few differences: their numbers are multinomial.
    values, counts = np.unique(scores, return_counts=True)
    drawn = generator.multinomial(len(scores), counts / len(scores), size=NUM_RESAMPLES)
    differences = drawn @ values / (num_trainings[0] * num_trainings[1] * len(scores))
    noise = seed_spread * np.sqrt(1 / num_trainings[0] + 1 / num_trainings[1])
    chance = generator.standard_t(freedom, NUM_RESAMPLES) if freedom else 0.0
    low, high = np.quantile(differences + chance * noise, [0.025, 0.975])
    return float(low), float(high)


def _test_signs(scores: np.ndarray, seed: int) -> float:
    """Return how probable a sum of scores this far from 0 is if each image's sign were a coin's; two-sided."""
    from scipy.special import bdtr  # the exact test of `scipy.stats.binomtest`, whose import costs seconds

    differing = scores[scores != 0]
    if not len(differing):
        return 1.0
    if (np.abs(differing) == abs(differing[0])).all():
        fewer = min(int((differing > 0).sum()), int((differing < 0).sum()))
        return min(1.0, 2 * float(bdtr(fewer, len(differing), 0.5)))
    generator = np.random.default_rng(seed)
    observed, num_as_far, done = abs(int(differing.sum())), 0, 0
    while done < NUM_SIGN_FLIPS:
        size = min(NUM_SIGN_FLIPS - done, max(1, _MOST_CELLS // len(differing)))
        signs = generator.integers(0, 2, size=(size, len(differing)), dtype=np.int8) * 2 - 1
        num_as_far += int((np.abs(signs @ differing) >= observed).sum())
        done += size
    return (1 + num_as_far) / (1 + NUM_SIGN_FLIPS)


def describe_seeds(seeds: Sequence[int]) -> str:
    """Return how often a network was trained: "1 seed", "3 seeds"."""
    return "1 seed" if len(seeds) == 1 else f"{len(seeds)} seeds"

"""Random changes of training images as plain array operations, so that any backend trains on the same pixels.

`symmetries` and shifts lose no pixels; rotations by other angles interpolate, which has been reported to hurt at 64×64.
Every function takes and returns (n, h, w, 3) float32 in [0, 1] and a NumPy generator, and leaves its input alone.
"""

from collections.abc import Callable

import numpy as np

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]

LONGEST_SHIFT = 4


def keep(inputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Change nothing."""
    return inputs


def apply_symmetries(inputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Show each image in one of the eight symmetries of the square, equally likely."""
    result = np.empty_like(inputs)
    choice = generator.integers(8, size=len(inputs))
    for index in range(8):
        chosen = choice == index
        result[chosen] = symmetry(inputs[chosen], index)
    return result


def symmetry(inputs: np.ndarray, index: int) -> np.ndarray:
    """Return images under symmetry `index` in [0, 8): quarter turns 0 to 3, mirrored from 4 on."""
    turned = np.rot90(inputs, k=index % 4, axes=(1, 2))
    return turned[:, :, ::-1] if index >= 4 else turned


def shift_reflected(inputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Move each image by up to 4 pixels along both axes, and fill the rim with its mirror image."""
    n, height, width, _ = inputs.shape
    reach = LONGEST_SHIFT
    padded = np.pad(inputs, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    tops, lefts = generator.integers(0, 2 * reach + 1, size=(2, n))
    result = np.empty_like(inputs)
    for index, (top, left) in enumerate(zip(tops.tolist(), lefts.tolist(), strict=True)):
        result[index] = padded[index, top : top + height, left : left + width]
    return result


def vary_color(inputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Scale each channel by 0.95 to 1.05 and move it by up to 0.02, alike over an image."""
    n, height, width, channels = inputs.shape
    gain = generator.uniform(0.95, 1.05, size=(n, 1, channels)).astype(np.float32)
    offset = generator.uniform(-0.02, 0.02, size=(n, 1, channels)).astype(np.float32)
    # Whole rows at once: broadcasting over three channels alone takes NumPy five times as long.
    rows = np.ascontiguousarray(inputs).reshape(n, height, width * channels)
    changed = rows * np.tile(gain, width)
    changed += np.tile(offset, width)
    return np.clip(changed, 0.0, 1.0, out=changed).reshape(inputs.shape)


def rotate_and_flip(inputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The study's own: rotate by up to 90° either way with nearest fill, and flip along both axes at random."""
    from scipy.ndimage import rotate

    result = np.empty_like(inputs)
    angles = generator.uniform(-90.0, 90.0, size=len(inputs))
    flips = generator.integers(2, size=(len(inputs), 2)).astype(bool)
    for index, (angle, (vertical, horizontal)) in enumerate(zip(angles, flips, strict=True)):
        image = rotate(inputs[index], angle, reshape=False, order=1, mode="nearest")
        image = image[::-1] if vertical else image
        result[index] = image[:, ::-1] if horizontal else image
    return np.clip(result, 0.0, 1.0)


def chain(*steps: Augmentation) -> Augmentation:
    """Return one augmentation that applies several in turn."""

    def apply(inputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        for step in steps:
            inputs = step(inputs, generator)
        return inputs

    return apply


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": keep,
    "symmetries_shift": chain(apply_symmetries, shift_reflected),
    "symmetries_shift_color": chain(apply_symmetries, shift_reflected, vary_color),
    "study_balanced": rotate_and_flip,
}

BALANCED = frozenset({"study_balanced"})
"""Augmentations under which every class is drawn as often as the largest one, as the study did."""


def epoch_order(labels: np.ndarray, augmentation: str, generator: np.random.Generator) -> np.ndarray:
    """Return the row numbers of one epoch, shuffled; where the augmentation balances, small classes repeat."""
    if augmentation not in BALANCED:
        return generator.permutation(len(labels))
    counts = np.bincount(labels)
    rows = []
    for label in np.flatnonzero(counts):
        own = np.flatnonzero(labels == label)
        extra = generator.choice(own, size=counts.max() - len(own))
        rows.append(np.concatenate([own, extra]))
    return generator.permutation(np.concatenate(rows))

"""Images that are in the dataset more than once, pixel for pixel."""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Twin(NamedTuple):
    """One of several places of the same image."""

    split: str
    place: int
    label: int


def find_twins(splits: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> list[tuple[Twin, ...]]:
    """Return every image that stands in two or more places, with its label in each.

    Args:
        splits: Name of a split -> (hashes, labels) of its images, (n,) each.
    """
    places: dict[int, list[Twin]] = defaultdict(list)
    for split, (hashes, labels) in splits.items():
        for place, (image_hash, label) in enumerate(zip(hashes.tolist(), labels.tolist(), strict=True)):
            places[image_hash].append(Twin(split, place, label))
    return [tuple(twins) for twins in places.values() if len(twins) > 1]

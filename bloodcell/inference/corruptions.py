"""Spoils images as microscopes, cameras and software do: nine ways in five severities, after MedMNIST-C.

Di Salvo et al. 2024, MedMNIST-C (https://arxiv.org/abs/2406.17536), corrupts BloodMNIST at 224 pixels a side. Here the
images have 64, so lengths in pixels are scaled by 64/224; strengths that are no lengths are theirs. Its stain deposits
and air bubbles are left out, and the saturation is replaced by a shift of the stain itself: haematoxylin and eosin
made stronger or weaker in optical density (Tellez et al. 2019, https://arxiv.org/abs/1902.06543).
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance
from scipy import ndimage

from bloodcell.dataset import INPUT_SIZE

SEVERITIES = (1, 2, 3, 4, 5)
SCALE = INPUT_SIZE / 224
_STAINS = np.array([(0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78)])
"""Optical density in red, green, blue of haematoxylin, eosin and what is left (Ruifrok and Johnston 2001)."""

Apply = Callable[[np.ndarray, Any, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Corruption:
    """One way of spoiling an image.

    Attributes:
        name: As a reader meets it.
        unit: What the strengths measure.
        strengths: One per severity, mildest first.
        apply: From (64, 64, 3) uint8 and a strength, or one of the settings, to the spoiled image.
        settings: One per severity, where `apply` needs more than the strength; else empty.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    apply: Apply
    settings: tuple[tuple[float, ...], ...] = ()


def corrupt_images(images: np.ndarray, name: str, severity: int, seed: int = 0) -> np.ndarray:
    """Return spoiled copies of images, (n, 64, 64, 3) uint8.

    Args:
        images: (n, 64, 64, 3) uint8.
        name: Key of CORRUPTIONS.
        severity: 1, the mildest, to 5.
        seed: Of what is drawn per image, such as the direction of a motion.
    """
    corruption = CORRUPTIONS.get(name)
    if corruption is None or severity not in SEVERITIES:
        raise ValueError(
            f"Expected a corruption among {', '.join(CORRUPTIONS)} and a severity of 1 to 5. "
            f"Received: {name!r}, {severity!r}"
        )
    generator = np.random.default_rng([seed, list(CORRUPTIONS).index(name), severity])
    setting = (corruption.settings or corruption.strengths)[severity - 1]
    spoiled = [corruption.apply(image, setting, generator) for image in images]
    return np.stack(spoiled) if spoiled else images.copy()


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return _to_bytes(ndimage.convolve(image.astype(np.float64), (kernel / kernel.sum())[..., None], mode="reflect"))


def _disc_share(radius: float) -> np.ndarray:
    """Return how much of each pixel a disc covers, its middle in the middle of the kernel."""
    reach = int(np.ceil(radius)) + 1
    fine = (np.arange((2 * reach + 1) * 8) + 0.5) / 8 - reach - 0.5
    inside = (np.hypot(*np.meshgrid(fine, fine)) <= radius).astype(np.float64)
    side = 2 * reach + 1
    return inside.reshape(side, 8, side, 8).mean(axis=(1, 3))


def _defocus(image: np.ndarray, radius: float, generator: np.random.Generator) -> np.ndarray:
    return _convolve(image, _disc_share(max(radius, 0.5)))


def _smear(radius: int, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of ImageMagick's motion blur, pixels of 64 from the pixel itself, and their weights.

    They are 2 * radius + 1 in a row, weighted by a Gaussian's half; radius and sigma are in pixels of 224.
    """
    places = np.arange(2 * radius + 1)
    return places * SCALE, np.exp(-0.5 * (places / sigma) ** 2)


def _mean_shift(radius: int, sigma: float) -> float:
    steps, weights = _smear(radius, sigma)
    return round(float(np.average(steps, weights=weights)), 2)


def _motion(image: np.ndarray, setting: tuple[int, float], generator: np.random.Generator) -> np.ndarray:
    """Smear along a line of any direction.

    Args:
        setting: (radius, sigma) as `_smear` takes them.
    """
    steps, weights = _smear(*setting)
    angle = generator.uniform(0, 2 * np.pi)
    reach = int(np.ceil(steps[-1])) + 1
    rows, columns = reach + steps * np.sin(angle), reach + steps * np.cos(angle)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for down in (0, 1):
        for right in (0, 1):
            share = (1 - np.abs(rows - top - down)) * (1 - np.abs(columns - left - right))
            np.add.at(kernel, (top + down, left + right), weights * share)
    return _convolve(image, kernel)


def restain(image: np.ndarray, factors: Sequence[float] | np.ndarray, offsets: float | np.ndarray = 0.0) -> np.ndarray:
    """Return an image with more or less of each stain, (h, w, 3) uint8.

    Args:
        image: (h, w, 3) uint8.
        factors: (3,) what the optical density of haematoxylin, eosin and the rest is multiplied by.
        offsets: (3,) what is added to it.
    """
    densities = -np.log((image.astype(np.float64) + 1) / 256)
    amounts = densities @ np.linalg.inv(_STAINS)
    changed = amounts * np.asarray(factors) + offsets
    return _to_bytes(256 * np.exp(-(changed @ _STAINS)) - 1)


def _stain(image: np.ndarray, strength: float, generator: np.random.Generator) -> np.ndarray:
    """Multiply each stain by 1 ± strength and move it a little, signs drawn per image and stain."""
    signs = generator.choice([-1.0, 1.0], (2, 3))
    return restain(image, 1 + strength * signs[0], 0.1 * strength * signs[1])


def _brightness(image: np.ndarray, factor: float, generator: np.random.Generator) -> np.ndarray:
    return np.array(ImageEnhance.Brightness(Image.fromarray(image)).enhance(factor))


def _contrast(image: np.ndarray, factor: float, generator: np.random.Generator) -> np.ndarray:
    return np.array(ImageEnhance.Contrast(Image.fromarray(image)).enhance(factor))


def _jpeg(image: np.ndarray, quality: float, generator: np.random.Generator) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=int(quality))
    return np.array(Image.open(buffer))


def _pixelate(image: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    side = int(INPUT_SIZE * share)
    small = Image.fromarray(image).resize((side, side), Image.Resampling.BOX)
    return np.array(small.resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BOX))


def _scaled(*lengths: float) -> tuple[float, ...]:
    return tuple(round(length * SCALE, 3) for length in lengths)


_MOTIONS = ((3, 3.0), (5, 5.0), (10, 5.0), (10, 7.0), (10, 9.0))
"""Radius and sigma of MedMNIST-C's motion blur of BloodMNIST, pixels of 224, one pair per severity."""

CORRUPTIONS: dict[str, Corruption] = {
    "blur": Corruption("blur", "radius of a defocused point, pixels", _scaled(2, 3, 4, 5, 6), _defocus),
    "motion": Corruption(
        "motion", "mean shift by the smear, pixels", tuple(_mean_shift(*one) for one in _MOTIONS), _motion, _MOTIONS
    ),
    "stain": Corruption("stain shift", "change of each stain, share", (0.05, 0.10, 0.20, 0.30, 0.40), _stain),
    "brighter": Corruption("brighter", "factor", (1.1, 1.2, 1.3, 1.35, 1.4), _brightness),
    "darker": Corruption("darker", "factor", (0.9, 0.8, 0.7, 0.6, 0.5), _brightness),
    "contrast up": Corruption("more contrast", "factor", (1.1, 1.15, 1.2, 1.25, 1.3), _contrast),
    "contrast down": Corruption("less contrast", "factor", (0.9, 0.8, 0.7, 0.6, 0.5), _contrast),
    "jpeg": Corruption("JPEG", "quality", (50, 30, 15, 10, 7), _jpeg),
    "pixelation": Corruption("pixelation", "share of the pixels a side", (0.6, 0.5, 0.4, 0.3, 0.25), _pixelate),
}
"""By the name of the command and of the records."""

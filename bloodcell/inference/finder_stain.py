"""Separates what a stained smear shows, by colour alone: empty ground, red cells, and what took up the purple stain.

Nothing here knows a fixed colour. The ground is what is brightest in the image, and the red cells' own mix of
absorptions is measured in the image; "purple" is the absorption of green and red light beyond that mix, so that red
cells lie at zero under every camera and white balance, and nuclei far above.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

GROUND_PERCENTILE = 97.0
"""The ground is looked for at this percentile of each pixel's darkest channel, and just below."""
GROUND_TOLERANCE = 0.93
FAINTEST_DENSITY = 0.07
"""Optical density in green below which a pixel is ground, whatever the rest of the image holds."""
ENOUGH = 0.02
"""Share of the image that bodies without a nucleus must cover to stand for the red cells."""
RED_CONTRAST = (0.12, 0.33)
"""Least and greatest optical density in green that is believed of red cells."""
RED_BLUE_RATIO = (0.52, 1.0)
"""Least and greatest absorption of blue over green that is believed of red cells; white cells' bodies lie below."""


@dataclass(frozen=True, eq=False)
class StainMaps:
    """What each pixel of an image absorbs.

    Attributes:
        density: (h, w) float32, optical density in green; about 0 on empty ground.
        purple: (h, w) float32, absorption beyond the red cells' mix; about 0 on ground and red cells, 0.1 to 0.3 in the
            bodies of white cells, 0.3 and more in nuclei and platelets.
        body: (h, w) bool, every pixel that is not empty ground.
        contrast: Optical density in green of a typical red cell, or of the palest bodies where there is no red cell.
        noise: Spread of `purple` in the red cells, as a standard deviation.
        redness: 1 minus the red cells' absorption of red over that of green: about 0.3 to 0.6 in smears, 0 for grey.
    """

    density: np.ndarray
    purple: np.ndarray
    body: np.ndarray
    contrast: float
    noise: float
    redness: float


def separate_stains(pixels: np.ndarray, smoothing: float = 1.0) -> StainMaps | None:
    """Return the stain maps of an image, or None where nothing stands out from the ground.

    Args:
        pixels: (h, w, 3) float, [0, 255].
        smoothing: Standard deviation of the Gaussian that the optical densities are smoothed with, pixels.
    """
    ground = _measure_ground(pixels)
    densities = -np.log(np.maximum(pixels, 1.0) / np.maximum(ground, 1.0))
    densities = ndimage.gaussian_filter(densities.astype(np.float32), (smoothing, smoothing, 0))
    red, green, blue = densities[..., 0], densities[..., 1], densities[..., 2]
    absorbing = green > FAINTEST_DENSITY
    if absorbing.sum() < 20:
        return None
    stained = green - blue + red
    ceiling = max(0.45, float(threshold_otsu(np.clip(stained[absorbing], 0, 1.5))))
    plain = _pick_plain_bodies(green, stained >= ceiling, absorbing)
    contrast = float(np.clip(np.median(green[plain]), *RED_CONTRAST))
    plain &= green > 0.6 * contrast
    blue_ratio, red_ratio, is_red = _measure_red_mix(red[plain], green[plain], blue[plain])
    excess = blue_ratio * green - blue
    purple = excess + np.maximum(red - red_ratio * green, 0.0)
    values = purple[plain][is_red]
    noise = 1.48 * float(np.median(np.abs(values - np.median(values)))) if values.size else 0.0
    return StainMaps(green, purple, green > 0.45 * contrast, contrast, noise, 1.0 - red_ratio)


def _pick_plain_bodies(green: np.ndarray, nuclear: np.ndarray, absorbing: np.ndarray) -> np.ndarray:
    """Return the pixels of bodies that hold no nucleus, or of all bodies without their nuclei where those are few."""
    plain = absorbing & ~nuclear
    if plain.sum() < 20:
        return absorbing
    bodies, _ = ndimage.label(green > 0.5 * np.median(green[plain]))
    with_nucleus = np.unique(bodies[nuclear])
    apart = plain & (bodies > 0) & ~np.isin(bodies, with_nucleus)
    return apart if apart.sum() >= ENOUGH * green.size else plain


def _measure_ground(pixels: np.ndarray) -> np.ndarray:
    darkest = pixels.min(axis=2)
    bright = darkest >= GROUND_TOLERANCE * np.percentile(darkest, GROUND_PERCENTILE)
    return np.median(pixels[bright], axis=0)


def _measure_red_mix(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Return the red cells' absorption of blue and of red over green, and which pixels have about that mix.

    Of all bodies red cells absorb most blue for their green, so their mix is looked for high among the pixels.
    """
    ratio = blue / green
    blue_ratio = float(np.clip(np.percentile(ratio, 65), *RED_BLUE_RATIO))
    is_red = np.abs(ratio - blue_ratio) < 0.2
    red_ratio = float(np.median((red / green)[is_red])) if is_red.sum() > 50 else 0.5
    return blue_ratio, red_ratio, is_red

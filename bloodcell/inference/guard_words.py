"""Says in words why an image was refused, and tells a picture without a cell from a cell that looks strange."""

from collections.abc import Sequence

import numpy as np

from bloodcell.inference.guard_pixels import PixelDescription

QUANTITIES = ("ground", "tint", "nucleus", "contrast", "detail")
"""Rows of `GuardParameters.usual`: luminance of the ground, its red less its blue, density of the darkest body in
green, contrast of the whole image, log10 of its finest detail."""
USUAL_PERCENTILES = (0.5, 99.5)

FLAT_CONTRAST = 8.0
"""Standard deviation of luminance below which an image is called one colour; training images have 18 and more."""
DARK_GROUND = 90.0
"""Luminance below which ground is not that of transmitted light; training images have 140 and more."""
FAINTEST_NUCLEUS = 0.15
"""Density in green; training images have 0.18 and more."""
VIOLET_RED = (0.25, 1.0)
VIOLET_BLUE = 0.55
"""Density in red and blue as shares of that in green within which a dark body is violet; nuclei have 0.41 to 0.83 and
mostly 0.1 to 0.3, in foreign stains less."""
EMPTIEST_MIDDLE = 0.03
STRANGEST_LAYOUT = 1.5
"""Share of its limit beyond which the layout alone says that there is no cell."""


def list_quantities(pixels: PixelDescription) -> np.ndarray:
    """Return the quantities that refusals speak of, (n, 5) in the order of `QUANTITIES`."""
    luminance = pixels.ground @ np.array((0.299, 0.587, 0.114))
    tint = pixels.ground[:, 0] - pixels.ground[:, 2]
    return np.stack([luminance, tint, pixels.darkest[:, 1], pixels.contrast, pixels.fine_detail], axis=1)


def is_no_cell(pixels: PixelDescription, index: int, shares: np.ndarray) -> bool:
    """Return whether an image that was refused by its pixels shows no cell, rather than a strange one.

    Args:
        shares: (3,) strangeness of stain, layout and detail, as shares of their limits.
    """
    return bool(_find_flaws(pixels, index)) or bool(shares[1] > STRANGEST_LAYOUT)


def _find_flaws(pixels: PixelDescription, index: int) -> list[str]:
    """Return what keeps an image from showing any stained cell."""
    red, green, blue = pixels.darkest[index]
    luminance = list_quantities(pixels)[index, 0]
    if pixels.contrast[index] < FLAT_CONTRAST:
        return ["The image is nearly of one colour: there is nothing on it to name."]
    if luminance < DARK_GROUND:
        return ["The image is dark all over; a stained cell lies on bright ground."]
    if green < FAINTEST_NUCLEUS or pixels.central[index] < EMPTIEST_MIDDLE:
        return ["No stained nucleus or platelet lies in the middle of the image."]
    if not VIOLET_RED[0] <= red / green <= VIOLET_RED[1] or blue / green > VIOLET_BLUE:
        return ["What is dark on the image is not violet like a stained nucleus or platelet."]
    return []


def explain_pixels(
    pixels: PixelDescription, index: int, shares: np.ndarray, usual: np.ndarray, no_cell: bool
) -> tuple[str, ...]:
    """Return the reasons for a refusal by the pixels, the gravest first.

    Args:
        shares: (3,) strangeness of stain, layout and detail, as shares of their limits.
        usual: (5, 2) lowest and highest usual value of `QUANTITIES`.
    """
    if no_cell:
        layout = "What is light and what is dark on the image lies unlike one cell on bright ground."
        return tuple(_find_flaws(pixels, index)) or (layout,)
    values = list_quantities(pixels)[index]
    low, high = values < usual[:, 0], values > usual[:, 1]
    reasons = []
    for part in np.argsort(-shares):
        if shares[part] > 1.0:
            reasons.append((_explain_stain, _explain_layout, _explain_detail)[part](low, high))
    together = "Colours, layout and sharpness of the image are each usual, but not in this combination."
    return tuple(reasons) or (together,)


def _explain_stain(low: np.ndarray, high: np.ndarray) -> str:
    found = [
        word
        for place, below, above in (
            (0, "the ground is darker", "the ground is brighter"),
            (1, "the ground is bluer", "the ground is more yellow"),
            (2, "the darkest parts are paler", "the darkest parts are darker"),
        )
        for word, is_so in ((below, low[place]), (above, high[place]))
        if is_so
    ]
    details = f": {', '.join(found)}" if found else ""
    return f"Stain or lighting differ from those of the training images{details}."


def _explain_layout(low: np.ndarray, high: np.ndarray) -> str:
    return (
        "The cell fills its frame otherwise than in the training images: in size, in place, or in what lies around it."
    )


def _explain_detail(low: np.ndarray, high: np.ndarray) -> str:
    if low[4]:
        return "The image is less sharp than the training images: out of focus, moved, or enlarged from a smaller one."
    if high[4]:
        return "The image is coarser than the training images: grainy, sharpened, or strongly compressed."
    return "The finest detail differs from that of the training images, as compression, blur or enlarging leave it."


def explain_features() -> str:
    """Return the reason for a refusal by the network's features."""
    return (
        "The network finds this cell unlike all eight types that it knows: it may be of a type that it has never seen, "
        "damaged, not alone, or shown larger or smaller than in the training images."
    )


def explain_set(names: Sequence[str], coverage: float) -> str:
    """Return the reason for an uncertain answer: which types remain possible."""
    return f"Several types remain possible at {100 * coverage:g} % coverage: {', '.join(names)}."

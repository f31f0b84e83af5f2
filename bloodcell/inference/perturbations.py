"""Changes one cell by hand: turned, moved, restained, blurred, covered, compressed, each by a chosen amount.

Where `corruptions` spoils many images in fixed severities for a measurement, here a reader sets every amount of one
image and may write all of them into an address. The order is that of the world: the cell lies so and is stained so, the
microscope blurs and lights it, something covers it, the camera compresses it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bloodcell.dataset import INPUT_SIZE
from bloodcell.inference.corruptions import CORRUPTIONS, restain

Amounts = Mapping[str, float]
"""By the key of a control; a control that is missing stands at its neutral value."""

_MIDDLE = INPUT_SIZE // 2
_NOTHING_DRAWN = np.random.default_rng(0)
"""The corruptions that are used here draw nothing."""


@dataclass(frozen=True)
class Control:
    """One thing that can be changed.

    Attributes:
        key: What it is called in an address.
        name: As a reader meets it.
        group: Heading under which it stands.
        lowest, highest, step: Its range; a range of 0 to 1 in steps of 1 is a switch.
        neutral: The value that changes nothing.
        unit: Stands behind the value; may be empty.
        help: What the number means.
        phrase: How a change is told, with `{}` for value and unit.
    """

    key: str
    name: str
    group: str
    lowest: float
    highest: float
    step: float
    neutral: float
    unit: str
    help: str
    phrase: str

    @property
    def is_switch(self) -> bool:
        """Whether it is only on or off."""
        return (self.lowest, self.highest, self.step) == (0, 1, 1)

    def snap(self, value: float) -> float:
        """Return the nearest value that the control can take."""
        steps = round((min(max(value, self.lowest), self.highest) - self.lowest) / self.step)
        return round(self.lowest + steps * self.step, 6)


PLACE, STAIN, CAMERA, COVER = "Place", "Stain and light", "Sharpness", "Cover"
_TURN = (
    "Counter-clockwise. Quarter turns lose no pixels; others interpolate. What comes in at the rim is its mirror image."
)
_SHIFT = "What comes in at the rim is its mirror image."
_DENSITY = "Its optical density is multiplied by this (Ruifrok and Johnston 2001): another laboratory's stain."
CONTROLS: dict[str, Control] = {
    control.key: control
    for control in (
        Control("rotate", "Rotate", PLACE, -180, 180, 15, 0, "°", _TURN, "rotated by {}"),
        Control("right", "Shift to the right", PLACE, -24, 24, 1, 0, " px", _SHIFT, "shifted right by {}"),
        Control("down", "Shift downwards", PLACE, -24, 24, 1, 0, " px", _SHIFT, "shifted down by {}"),
        Control("mirror", "Flip left and right", PLACE, 0, 1, 1, 0, "", "A mirror image.", "flipped left and right"),
        Control("flip", "Flip top and bottom", PLACE, 0, 1, 1, 0, "", "Upside down.", "flipped top and bottom"),
        Control("violet", "Haematoxylin (violet)", STAIN, 0.4, 1.6, 0.05, 1, "×", _DENSITY, "haematoxylin {}"),
        Control("rose", "Eosin (rose)", STAIN, 0.4, 1.6, 0.05, 1, "×", _DENSITY, "eosin {}"),
        Control(
            "light", "Brightness", STAIN, 0.4, 1.6, 0.05, 1, "×", "Every value is multiplied by this.", "brightness {}"
        ),
        Control("blur", "Blur", CAMERA, 0, 4, 0.5, 0, " px", "Standard deviation of a Gaussian blur.", "blurred by {}"),
        Control(
            "jpeg",
            "JPEG quality",
            CAMERA,
            5,
            100,
            5,
            100,
            "",
            "100 leaves the image uncompressed; 95 is a good camera's, 10 a bad messenger's.",
            "JPEG quality {}",
        ),
        Control(
            "cover",
            "Covering square",
            COVER,
            0,
            40,
            2,
            0,
            " px",
            "Side of a square in the image's mean colour; slide it over the nucleus and see who minds.",
            "covered by a square of {}",
        ),
        Control("cover_x", "Its middle, from the left", COVER, 0, 64, 2, _MIDDLE, " px", "", "{} from the left"),
        Control("cover_y", "Its middle, from the top", COVER, 0, 64, 2, _MIDDLE, " px", "", "{} from the top"),
    )
}
"""In the order in which they stand on the page."""


def perturb_image(image: np.ndarray, amounts: Amounts) -> np.ndarray:
    """Return a changed copy of a framed image; without amounts it equals the image.

    Args:
        image: (64, 64, 3) uint8.
        amounts: By key of `CONTROLS`.

    Raises:
        ValueError: A key is none of a control, or the image has another form.
    """
    if image.shape != (INPUT_SIZE, INPUT_SIZE, 3) or image.dtype != np.uint8:
        raise ValueError(f"Expected a (64, 64, 3) uint8 image. Received: {image.shape} {image.dtype}")
    unknown = set(amounts) - set(CONTROLS)
    if unknown:
        raise ValueError(f"Expected amounts of {', '.join(CONTROLS)}. Received: {', '.join(sorted(unknown))}")
    value = {key: float(amounts.get(key, control.neutral)) for key, control in CONTROLS.items()}
    changed = image.copy()
    if value["mirror"]:
        changed = changed[:, ::-1]
    if value["flip"]:
        changed = changed[::-1]
    changed = _rotate(changed, value["rotate"])
    changed = _shift(changed, round(value["right"]), round(value["down"]))
    if value["violet"] != 1 or value["rose"] != 1:
        changed = restain(changed, (value["violet"], value["rose"], 1.0))
    if value["blur"] > 0:
        blurred = ndimage.gaussian_filter(changed.astype(np.float32), (value["blur"], value["blur"], 0), mode="reflect")
        changed = np.clip(np.round(blurred), 0, 255).astype(np.uint8)
    if value["light"] != 1:
        changed = CORRUPTIONS["brighter"].apply(np.ascontiguousarray(changed), value["light"], _NOTHING_DRAWN)
    if value["cover"] > 0:
        changed = cover_square(changed, round(value["cover"]), round(value["cover_x"]), round(value["cover_y"]))
    if value["jpeg"] < 100:
        changed = CORRUPTIONS["jpeg"].apply(np.ascontiguousarray(changed), value["jpeg"], _NOTHING_DRAWN)
    return np.ascontiguousarray(changed)


def _rotate(image: np.ndarray, degrees: float) -> np.ndarray:
    """Turn counter-clockwise as a reader sees it; quarter turns move pixels, others interpolate between them."""
    if degrees % 90 == 0:
        return np.rot90(image, k=int(degrees // 90) % 4)
    turned = ndimage.rotate(image.astype(np.float32), degrees, axes=(1, 0), reshape=False, order=1, mode="mirror")
    return np.clip(np.round(turned), 0, 255).astype(np.uint8)


def _shift(image: np.ndarray, right: int, down: int) -> np.ndarray:
    reach = max(abs(right), abs(down))
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    top, left = reach - down, reach - right
    return padded[top : top + INPUT_SIZE, left : left + INPUT_SIZE]


def cover_square(image: np.ndarray, side: int, column: int, row: int) -> np.ndarray:
    """Return a copy with a square in the image's mean colour; where it leaves the image it is cut off.

    Args:
        image: (h, w, 3) uint8.
        side: Pixels.
        column, row: Its middle, pixels from the left and from the top.
    """
    covered = image.copy()
    top, left = row - side // 2, column - side // 2
    covered[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = image.mean(axis=(0, 1)).round()
    return covered


def compute_occlusion_map(
    score: Callable[[np.ndarray], np.ndarray], image: np.ndarray, class_index: int, side: int = 16, stride: int = 4
) -> np.ndarray:
    """Return how far the probability of a class falls where a square covers the image, (16, 16) float32 in [-1, 1].

    Zeiler and Fergus 2014 (https://arxiv.org/abs/1311.2901); it asks any network, without looking inside.

    Args:
        score: From (n, 64, 64, 3) uint8 to (n, classes) probabilities.
        image: (64, 64, 3) uint8.
        class_index: The class to watch.
        side: Side of the square, pixels.
        stride: Pixels between two places; they lie in the middle of squares of this side.
    """
    middles = range(stride // 2, INPUT_SIZE, stride)
    covered = [cover_square(image, side, column, row) for row in middles for column in middles]
    y_score = score(np.stack([image, *covered]))[:, class_index]
    return (y_score[0] - y_score[1:]).reshape(len(middles), len(middles)).astype(np.float32)


def keep_changes(amounts: Amounts) -> dict[str, float]:
    """Return only what is changed, in the order of the controls; a place of no cover is no change."""
    changes = {
        key: control.snap(amounts[key])
        for key, control in CONTROLS.items()
        if key in amounts and control.snap(amounts[key]) != control.neutral
    }
    if "cover" not in changes:
        changes = {key: value for key, value in changes.items() if not key.startswith("cover")}
    return changes


def write_amounts(amounts: Amounts) -> str:
    """Return amounts as they stand in an address, such as `rotate:30,blur:1.5`; empty where nothing is changed."""
    return ",".join(f"{key}:{value:g}" for key, value in keep_changes(amounts).items())


def read_amounts(text: str) -> dict[str, float]:
    """Return the amounts of an address; what is no control or no number is passed over, what is too much is cut."""
    amounts = {}
    for part in text.split(","):
        key, _, written = part.strip().partition(":")
        try:
            value = float(written)
        except ValueError:
            continue
        if key in CONTROLS and math.isfinite(value):
            amounts[key] = value
    return keep_changes(amounts)


def describe_amounts(amounts: Amounts) -> str:
    """Return what was changed in words, such as `rotated by 30°, blurred by 1.5 px`; empty where nothing was."""
    phrases = []
    for key, value in keep_changes(amounts).items():
        if not key.startswith("cover_"):
            phrases.append(CONTROLS[key].phrase.format(f"{value:g}{CONTROLS[key].unit}".replace("-", "−")))
    return ", ".join(phrases)

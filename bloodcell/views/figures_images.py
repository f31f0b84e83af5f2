"""Pictures of cells: enlarged by whole pixels, framed, bordered in the colour of their class."""

import base64
import io
import re
from functools import lru_cache

import numpy as np
from PIL import Image

from bloodcell.dataset import Box

DIMMED = 0.45
"""Brightness that is left outside the frame."""

GALLERY_STYLE = """<style>
[class*="st-key-cell_"] button {padding: 0; min-height: 0; border: 0; line-height: 1.25; height: auto;
  border-radius: 4px}
[class*="st-key-cell_"] button :is(div, span, p) {width: 100%; max-width: 100%; white-space: normal; overflow: visible}
[class*="st-key-cell_"] button span {display: block}
[class*="st-key-cell_"] button p {font-size: 0.8rem; text-align: center}
[class*="st-key-cell_"] button img {display: block; width: 100%; max-width: 100%; max-height: none; height: auto;
  image-rendering: pixelated; border-radius: 4px}
[class*="st-key-cell_"] button:hover img {filter: brightness(1.08)}
[class*="st-key-cell_"] button:focus-visible {outline: 3px solid currentColor; outline-offset: 2px}
.stImage img {image-rendering: pixelated}
</style>"""
"""Makes buttons whose key begins with `cell_` show the picture of their label at full width, unblurred."""


def enlarge(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Return the image with every pixel as a square of `factor` x `factor`; nothing is smoothed.

    Args:
        pixels: (h, w, 3) uint8.
        factor: 1 or more.
    """
    if factor < 1:
        raise ValueError(f"Expected a factor of 1 or more. Received: {factor}")
    return np.repeat(np.repeat(pixels, factor, axis=0), factor, axis=1)


def enlarge_to(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return the image enlarged by the smallest whole factor that makes its longer side at least `side` pixels."""
    return enlarge(pixels, max(1, -(-side // max(pixels.shape[:2]))))


def add_border(pixels: np.ndarray, colour: str, width: int) -> np.ndarray:
    """Return the image with a border around it; the image itself stays whole.

    Args:
        pixels: (h, w, 3) uint8.
        colour: "#RRGGBB".
        width: Width of the border, pixels.
    """
    height, breadth = pixels.shape[:2]
    bordered = np.empty((height + 2 * width, breadth + 2 * width, 3), dtype=np.uint8)
    bordered[:] = rgb_of(colour)
    bordered[width : width + height, width : width + breadth] = pixels
    return bordered


def cell_tile(pixels: np.ndarray, colour: str, factor: int = 2, border: int = 6) -> np.ndarray:
    """Return a gallery picture: the cell enlarged by whole pixels with a border in the colour of its class."""
    return add_border(enlarge(pixels, factor), colour, border)


def tile_png(pixels: np.ndarray, colour: str, factor: int = 2, border: int = 6) -> bytes:
    """Return `cell_tile` as a PNG file, encoded once: a page shows the same cells at every rerun."""
    return _encode_once(np.ascontiguousarray(pixels).tobytes(), pixels.shape, factor, colour, border)


def enlarged_png(pixels: np.ndarray, factor: int) -> bytes:
    """Return `enlarge` as a PNG file, encoded once."""
    return _encode_once(np.ascontiguousarray(pixels).tobytes(), pixels.shape, factor, None, 0)


@lru_cache(maxsize=1000)
def _encode_once(content: bytes, shape: tuple[int, ...], factor: int, colour: str | None, border: int) -> bytes:
    pixels = enlarge(np.frombuffer(content, np.uint8).reshape(shape), factor)
    return encode_png(pixels if colour is None else add_border(pixels, colour, border))


def tile_label(pixels: np.ndarray, colour: str, description: str, caption: str = "") -> str:
    """Return a button's label that shows a cell; with `GALLERY_STYLE` the picture fills the button.

    Args:
        pixels: (64, 64, 3) uint8.
        colour: "#RRGGBB" of the border.
        description: What a screen reader says, the name of the button.
        caption: Short text below the picture.
    """
    plain = description.replace("[", "(").replace("]", ")")
    address = _png_address(tile_png(pixels, colour))
    return f"![{plain}]({address}) {caption}".rstrip()


def shrink_to(pixels: np.ndarray, box: Box, longest: int) -> tuple[np.ndarray, Box]:
    """Return the image with its longer side at most `longest` pixels, and the box in its new pixels.

    Args:
        pixels: (h, w, 3) uint8 of any size.
        box: A rectangle in these pixels.
        longest: Upper limit of the longer side, pixels.
    """
    height, width = pixels.shape[:2]
    if max(height, width) <= longest:
        return pixels, box
    scale = longest / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    smaller = np.array(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BOX))
    left, top = min(round(box.left * scale), size[0] - 1), min(round(box.top * scale), size[1] - 1)
    right = min(max(left + 1, round((box.left + box.width) * scale)), size[0])
    bottom = min(max(top + 1, round((box.top + box.height) * scale)), size[1])
    return smaller, Box(left, top, right - left, bottom - top)


def draw_frame(pixels: np.ndarray, box: Box, colour: str) -> np.ndarray:
    """Return the image with what lies outside the box dimmed and the box outlined just within its edge.

    Args:
        pixels: (h, w, 3) uint8.
        box: The part that the network sees, in these pixels.
        colour: "#RRGGBB" of the outline.
    """
    inside = (slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
    framed = (pixels.astype(np.float32) * DIMMED).astype(np.uint8)
    framed[inside] = pixels[inside]
    line = min(max(1, round(max(pixels.shape[:2]) / 120)), max(1, min(box.width, box.height) // 4))
    part = framed[inside]
    for edge in (part[:line], part[-line:], part[:, :line], part[:, -line:]):
        edge[:] = rgb_of(colour)
    return framed


def encode_png(pixels: np.ndarray) -> bytes:
    """Return the image as a PNG file, without loss."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


def data_address(pixels: np.ndarray) -> str:
    """Return the image as a `data:` address that a table or a label can show."""
    return _png_address(encode_png(pixels))


def _png_address(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def image_address(pixels: np.ndarray, quality: int = 88) -> str:
    """Return an image to look at as a `data:` address: WebP, a tenth of a PNG's size; small ones without loss."""
    buffer = io.BytesIO()
    is_small = max(pixels.shape[:2]) <= 128
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "WEBP", lossless=is_small, quality=quality, method=1)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def overlay_map(pixels: np.ndarray, attention: np.ndarray, colour: str, opacity: float) -> np.ndarray:
    """Return an image with a colour laid over it, as strong as a map says.

    Args:
        pixels: (64, 64, 3) uint8.
        attention: (64, 64) float in [0, 1].
        colour: "#RRGGBB".
        opacity: Of the colour where the map is 1, in [0, 1].
    """
    share = (np.clip(attention, 0, 1) * opacity)[..., None]
    return np.round(pixels * (1 - share) + np.array(rgb_of(colour)) * share).astype(np.uint8)


def escape_markdown(text: str) -> str:
    """Return text, such as the name of a reader's file, so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:])", r"\\\1", text)


def rgb_of(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of "#RRGGBB"."""
    digits = colour.removeprefix("#")
    if len(digits) != 6:
        raise ValueError(f"Expected a colour such as '#E69F00'. Received: {colour!r}")
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)

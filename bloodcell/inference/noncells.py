"""Pictures that show no blood cell, drawn by code: what a guard must refuse before a network names it.

None of them is used to set a threshold. Every kind is drawn large and reduced to 64 x 64 like an upload, in colours of
any sort and, because that is harder, in the colours of the stain: violet discs, pale ground, red cells without nuclei.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from bloodcell.dataset import INPUT_SIZE

CANVAS = 192
"""Side of the square that is drawn on, pixels; three times the input, so that edges are smooth after reduction."""
GROUND_COLORS = ((254, 229, 203), (254, 228, 232), (240, 236, 240), (205, 205, 200), (250, 250, 248))
"""Empty ground of smears: this dataset's warm and cool form, and other microscopes."""
RED_CELL_COLORS = ((214, 178, 172), (205, 170, 168), (196, 160, 190), (175, 130, 125), (225, 185, 165))
VIOLETS = ((70, 30, 110), (95, 60, 140), (120, 80, 160), (150, 100, 170), (60, 40, 90))
TEXT = (
    "the patient was seen on monday and blood was drawn haemoglobin platelets white count within normal limits "
    "signed page total report sample smear normal see below 4.2 11.9 150 fl pg g/l invoice date name street"
)

Draw = Callable[[np.random.Generator], Image.Image]


def draw_noncells(num_per_kind: int, seed: int) -> dict[str, np.ndarray]:
    """Return pictures without a cell by kind, (num_per_kind, 64, 64, 3) uint8 each; equal seeds draw equal pictures."""
    drawn = {}
    for index, (kind, draw) in enumerate(KINDS.items()):
        generator = np.random.default_rng([seed, index])
        images = [_reduce(draw(generator)) for _ in range(num_per_kind)]
        drawn[kind] = np.stack(images) if images else np.zeros((0, INPUT_SIZE, INPUT_SIZE, 3), np.uint8)
    return drawn


def _reduce(image: Image.Image) -> np.ndarray:
    return np.array(image.convert("RGB").resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BILINEAR))


def _color(generator: np.random.Generator, low: int = 0, high: int = 256) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in generator.integers(low, high, 3))
    return red, green, blue


def _pick(generator: np.random.Generator, colors: tuple[tuple[int, int, int], ...], spread: int = 8) -> tuple[int, ...]:
    """Return one of the colours, a little off."""
    values = np.array(colors[generator.integers(len(colors))]) + generator.integers(-spread, spread + 1, 3)
    return tuple(int(value) for value in np.clip(values, 0, 255))


def _from_array(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _clouds(generator: np.random.Generator, roughness: float, channels: int = 1) -> np.ndarray:
    """Return random smooth fields in [0, 1], (side, side, channels): amplitudes fall as frequency to `-roughness`."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(CANVAS), np.fft.fftfreq(CANVAS)))
    frequency[0, 0] = 1.0
    waves = generator.normal(size=(CANVAS, CANVAS, channels)) + 1j * generator.normal(size=(CANVAS, CANVAS, channels))
    field = np.fft.ifft2(waves * (frequency**-roughness)[..., None], axes=(0, 1)).real
    low, high = field.min(axis=(0, 1)), field.max(axis=(0, 1))
    return (field - low) / np.maximum(high - low, 1e-12)


def _grain(image: Image.Image, generator: np.random.Generator, strength: float = 2.0) -> Image.Image:
    """Return the picture with a camera's noise."""
    values = np.asarray(image.convert("RGB"), np.float64)
    return _from_array(values + generator.normal(0, strength * 2, values.shape))


def _draw_flat(generator: np.random.Generator) -> Image.Image:
    colors = [(0, 0, 0), (255, 255, 255), _color(generator), _pick(generator, GROUND_COLORS), _pick(generator, VIOLETS)]
    return Image.new("RGB", (CANVAS, CANVAS), tuple(colors[generator.integers(len(colors))]))


def _draw_gradient(generator: np.random.Generator) -> Image.Image:
    rows, columns = np.mgrid[:CANVAS, :CANVAS] / (CANVAS - 1)
    if generator.random() < 0.4:
        centre = generator.uniform(0.2, 0.8, 2)
        share = np.clip(np.hypot(rows - centre[0], columns - centre[1]) / generator.uniform(0.3, 1.0), 0, 1)
    else:
        angle = generator.uniform(0, 2 * np.pi)
        along = rows * np.sin(angle) + columns * np.cos(angle)
        share = (along - along.min()) / (along.max() - along.min())
    first = np.array(_color(generator) if generator.random() < 0.5 else _pick(generator, VIOLETS))
    last = np.array(_color(generator) if generator.random() < 0.5 else _pick(generator, GROUND_COLORS))
    return _from_array(first + (last - first) * share[..., None])


def _draw_noise(generator: np.random.Generator) -> Image.Image:
    channels = 3 if generator.random() < 0.6 else 1
    side = int(generator.choice([CANVAS, CANVAS // 3, CANVAS // 6]))
    if generator.random() < 0.5:
        values = generator.uniform(0, 256, (side, side, channels))
    else:
        values = generator.normal(generator.uniform(60, 220), generator.uniform(5, 80), (side, side, channels))
    small = _from_array(np.broadcast_to(values, (side, side, 3)))
    return small.resize((CANVAS, CANVAS), Image.Resampling.NEAREST)


def _draw_clouds(generator: np.random.Generator) -> Image.Image:
    field = _clouds(generator, generator.uniform(1.0, 2.5), 3 if generator.random() < 0.4 else 1)
    if field.shape[-1] == 3:
        return _from_array(field * 255)
    first, last = np.array(_color(generator)), np.array(_color(generator))
    if generator.random() < 0.4:
        first, last = np.array(_pick(generator, VIOLETS)), np.array(_pick(generator, GROUND_COLORS))
    return _from_array(first + (last - first) * field)


def _write_lines(draw: ImageDraw.ImageDraw, generator: np.random.Generator, color: tuple[int, ...], size: int) -> None:
    font = ImageFont.load_default(size)
    left = int(generator.integers(-10, 15))
    for top in range(int(generator.integers(0, 12)), CANVAS, int(size * generator.uniform(1.1, 1.7))):
        if generator.random() < 0.9:
            words = " ".join(generator.choice(TEXT.split(), int(generator.integers(2, 12))))
            draw.text((left, top), words, fill=tuple(color), font=font)


def _draw_text(generator: np.random.Generator) -> Image.Image:
    dark = generator.random() < 0.2
    paper = _color(generator, 0, 60) if dark else _pick(generator, (*GROUND_COLORS, (255, 255, 255)), 6)
    ink = (
        _color(generator, 180, 256) if dark else (_color(generator, 0, 90) if generator.random() < 0.7 else VIOLETS[0])
    )
    image = Image.new("RGB", (CANVAS, CANVAS), tuple(paper))
    _write_lines(ImageDraw.Draw(image), generator, ink, int(generator.integers(9, 42)))
    turned = image.rotate(float(generator.uniform(-8, 8)), Image.Resampling.BILINEAR, fillcolor=tuple(paper))
    return _grain(turned, generator) if generator.random() < 0.5 else turned


def _draw_screen(generator: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (CANVAS, CANVAS), _color(generator, 200, 256))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, CANVAS, int(generator.integers(12, 40))), fill=_color(generator))
    for _ in range(generator.integers(2, 9)):
        left, top = generator.integers(0, CANVAS - 30, 2)
        width, height = generator.integers(15, 100, 2)
        draw.rectangle(
            (left, top, left + width, top + height), fill=_color(generator, 100, 256), outline=_color(generator)
        )
    _write_lines(draw, generator, _color(generator, 0, 120), int(generator.integers(8, 16)))
    return image


def _draw_chart(generator: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (CANVAS, CANVAS), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    draw.line((20, 10, 20, 175, 185, 175), fill=(40, 40, 40), width=2)
    heights = generator.integers(10, 150, int(generator.integers(4, 12)))
    step = 160 // len(heights)
    if generator.random() < 0.5:
        for index, height in enumerate(heights):
            draw.rectangle((24 + index * step, 174 - height, 20 + (index + 1) * step, 174), fill=_color(generator))
    else:
        points = [(24 + index * step, 174 - int(height)) for index, height in enumerate(heights)]
        draw.line(points, fill=_color(generator), width=int(generator.integers(1, 5)))
    return image


def _draw_shapes(generator: np.random.Generator) -> Image.Image:
    stained = generator.random() < 0.4
    ground = _pick(generator, GROUND_COLORS) if stained else _color(generator)
    image = Image.new("RGB", (CANVAS, CANVAS), tuple(ground))
    draw = ImageDraw.Draw(image)
    for _ in range(generator.integers(1, 7)):
        color = _pick(generator, VIOLETS) if stained else _color(generator)
        points = [
            tuple(int(v) for v in generator.integers(-20, CANVAS + 20, 2)) for _ in range(generator.integers(3, 6))
        ]
        if generator.random() < 0.6:
            draw.polygon(points, fill=tuple(color))
        else:
            draw.line(points, fill=tuple(color), width=int(generator.integers(2, 14)))
    return image


def _draw_discs(generator: np.random.Generator) -> Image.Image:
    """Plain discs, half of them violet on pale ground: the shape and colour of a cell with nothing inside."""
    stained = generator.random() < 0.5
    ground = _pick(generator, GROUND_COLORS) if stained else _color(generator)
    image = Image.new("RGB", (CANVAS, CANVAS), tuple(ground))
    draw = ImageDraw.Draw(image)
    for _ in range(generator.integers(1, 4)):
        row, column = generator.integers(50, CANVAS - 50, 2)
        radius = int(generator.integers(10, 70))
        color = _pick(generator, VIOLETS) if stained else _color(generator)
        draw.ellipse((column - radius, row - radius, column + radius, row + radius), fill=tuple(color))
    return image


def _draw_pattern(generator: np.random.Generator) -> Image.Image:
    rows, columns = np.mgrid[:CANVAS, :CANVAS]
    angle, period = generator.uniform(0, np.pi), generator.uniform(6, 80)
    along, across = rows * np.sin(angle) + columns * np.cos(angle), rows * np.cos(angle) - columns * np.sin(angle)
    kind = generator.integers(4)
    if kind == 0:
        share = (np.sin(2 * np.pi * along / period) > 0).astype(float)
    elif kind == 1:
        share = ((np.sin(2 * np.pi * along / period) > 0) ^ (np.sin(2 * np.pi * across / period) > 0)).astype(float)
    elif kind == 2:
        share = 0.5 + 0.5 * np.sin(2 * np.pi * along / period)
    else:
        centre = generator.uniform(0, CANVAS, 2)
        share = 0.5 + 0.5 * np.sin(2 * np.pi * np.hypot(rows - centre[0], columns - centre[1]) / period)
    first, last = np.array(_color(generator)), np.array(_color(generator))
    return _from_array(first + (last - first) * share[..., None])


def _draw_codes(generator: np.random.Generator) -> Image.Image:
    side = int(generator.integers(12, 40))
    if generator.random() < 0.5:
        modules = generator.integers(0, 2, (side, side))
    else:
        modules = np.repeat(generator.integers(0, 2, (1, side)), side, axis=0)
    small = _from_array(np.repeat((255 * modules)[..., None], 3, axis=-1))
    return small.resize((CANVAS, CANVAS), Image.Resampling.NEAREST)


def _draw_landscape(generator: np.random.Generator) -> Image.Image:
    horizon = generator.uniform(0.3, 0.8) * CANVAS + 25 * (_clouds(generator, 2.0)[0, :, 0] - 0.5)
    rows = np.arange(CANVAS)[:, None]
    sky = np.array(_color(generator, 90, 256)) + (rows / CANVAS)[..., None] * generator.uniform(-60, 60, 3)
    sky = sky + 60 * (_clouds(generator, 1.8) - 0.5)
    land = np.array(_color(generator, 20, 170)) + 110 * (_clouds(generator, generator.uniform(0.8, 1.5)) - 0.5)
    image = _from_array(np.where((rows > horizon)[..., None], land, sky))
    if generator.random() < 0.5:
        row, column = int(generator.integers(10, CANVAS // 2)), int(generator.integers(10, CANVAS - 10))
        radius = int(generator.integers(6, 25))
        ImageDraw.Draw(image).ellipse(
            (column - radius, row - radius, column + radius, row + radius), fill=(255, 244, 200)
        )
    return _grain(image, generator)


def _draw_leaves(generator: np.random.Generator) -> Image.Image:
    """Dead leaves, discs and boxes of every size before each other: the statistics of photographs (Lee et al. 2001)."""
    image = Image.new("RGB", (CANVAS, CANVAS), _color(generator))
    draw = ImageDraw.Draw(image)
    for _ in range(260):
        radius = int(4 / generator.uniform(0.04, 1.0))
        row, column = generator.integers(-20, CANVAS + 20, 2)
        box = (column - radius, row - radius, column + radius, row + radius)
        color = _color(generator, 20, 240)
        if generator.random() < 0.5:
            draw.ellipse(box, fill=color)
        else:
            draw.rectangle(box, fill=color)
    return _grain(image.filter(ImageFilter.GaussianBlur(float(generator.uniform(0, 2)))), generator)


def _draw_lights(generator: np.random.Generator) -> Image.Image:
    """A dark picture with lights, as from a lens that nobody uncovered at night."""
    image = Image.new("RGB", (CANVAS, CANVAS), _color(generator, 0, 35))
    draw = ImageDraw.Draw(image)
    for _ in range(generator.integers(3, 25)):
        row, column = generator.integers(0, CANVAS, 2)
        radius = int(generator.integers(1, 12))
        draw.ellipse((column - radius, row - radius, column + radius, row + radius), fill=_color(generator, 120, 256))
    return _grain(image.filter(ImageFilter.GaussianBlur(float(generator.uniform(0.5, 4)))), generator)


def _draw_scribble(generator: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (CANVAS, CANVAS), tuple(_pick(generator, (*GROUND_COLORS, (255, 255, 255)))))
    draw = ImageDraw.Draw(image)
    color = _pick(generator, VIOLETS) if generator.random() < 0.4 else _color(generator, 0, 150)
    for _ in range(generator.integers(1, 5)):
        steps = generator.normal(0, 14, (int(generator.integers(8, 40)), 2)).cumsum(axis=0)
        points = [tuple(point) for point in steps + generator.uniform(40, CANVAS - 40, 2)]
        draw.line(points, fill=tuple(color), width=int(generator.integers(1, 9)), joint="curve")
    return image


def _draw_tissue(generator: np.random.Generator) -> Image.Image:
    """A section of tissue in pink and violet: stained like a smear, built otherwise."""
    pink, field = np.array((225, 150, 190)) + generator.integers(-20, 20, 3), _clouds(generator, 1.2)
    image = _from_array(pink + 70 * (field - 0.5) * np.array((0.6, 1.2, 0.8)))
    draw = ImageDraw.Draw(image)
    for _ in range(generator.integers(25, 120)):
        row, column = generator.integers(0, CANVAS, 2)
        width, height = generator.integers(3, 11, 2)
        draw.ellipse(
            (column - width, row - height, column + width, row + height), fill=tuple(_pick(generator, VIOLETS, 25))
        )
    return _grain(image.filter(ImageFilter.GaussianBlur(float(generator.uniform(0.5, 1.5)))), generator)


def _lay_ground(generator: np.random.Generator) -> Image.Image:
    ground = np.array(_pick(generator, GROUND_COLORS, 5))
    return _from_array(ground + generator.uniform(2, 14) * (_clouds(generator, 2.2) - 0.5) * np.array((1.0, 1.0, 1.0)))


def _draw_ground(generator: np.random.Generator) -> Image.Image:
    """The empty ground of a smear: a little uneven, a little noisy, sometimes with a speck of dust."""
    image = _lay_ground(generator)
    if generator.random() < 0.3:
        row, column = generator.integers(10, CANVAS - 10, 2)
        radius = int(generator.integers(1, 5))
        ImageDraw.Draw(image).ellipse(
            (column - radius, row - radius, column + radius, row + radius), fill=_color(generator, 60, 160)
        )
    return _grain(image, generator)


def _draw_red_cells(generator: np.random.Generator) -> Image.Image:
    """Red cells with their pale middle on the ground of a smear, none with a nucleus."""
    image = _lay_ground(generator)
    draw = ImageDraw.Draw(image)
    color = np.array(_pick(generator, RED_CELL_COLORS))
    radius = float(generator.uniform(22, 44))
    for _ in range(generator.integers(2, 14)):
        row, column = generator.uniform(-20, CANVAS + 20, 2)
        width, height = radius * generator.uniform(0.85, 1.15, 2)
        for share, shade in ((1.0, 0), (0.72, 8), (0.5, 22), (0.32, 32)):
            box = (column - share * width, row - share * height, column + share * width, row + share * height)
            draw.ellipse(box, fill=tuple(int(v) for v in np.minimum(color + shade * generator.uniform(0.7, 1), 255)))
    return _grain(image.filter(ImageFilter.GaussianBlur(2.5)), generator)


KINDS: dict[str, Draw] = {
    "one colour": _draw_flat,
    "colour gradients": _draw_gradient,
    "noise": _draw_noise,
    "smooth noise": _draw_clouds,
    "pages of text": _draw_text,
    "screens": _draw_screen,
    "charts": _draw_chart,
    "bar and matrix codes": _draw_codes,
    "shapes": _draw_shapes,
    "plain discs": _draw_discs,
    "stripes and rings": _draw_pattern,
    "scribbles": _draw_scribble,
    "landscapes": _draw_landscape,
    "photograph-like clutter": _draw_leaves,
    "lights at night": _draw_lights,
    "tissue sections": _draw_tissue,
    "empty ground": _draw_ground,
    "drawn red cells": _draw_red_cells,
}
"""How each kind is drawn, by the name that a reader meets."""

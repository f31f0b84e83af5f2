"""Image files for tests, drawn here: a cell of any size in any format, and every kind of wrong file."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def draw_cell(width: int = 360, height: int = 363) -> Image.Image:
    """Return a violet disc with a darker nucleus on a pale ground."""
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(rows - height / 2, columns - width / 2) / min(width, height)
    pixels = np.full((height, width, 3), (244, 224, 200), dtype=np.uint8)
    pixels[distance < 0.2] = (190, 150, 200)
    pixels[distance < 0.12] = (90, 50, 130)
    return Image.fromarray(pixels)


def encode(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    """Return an image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """Return a PNG file that states a size and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def odd_files() -> dict[str, tuple[bytes, str]]:
    """Return files that can be read though they are unusual: name -> (content, what a reader is told)."""
    cell = draw_cell()
    alpha = cell.convert("RGBA")
    alpha.putalpha(128)
    turned = cell.getexif()
    turned[0x0112] = 6
    grey16 = Image.fromarray(np.asarray(cell.convert("L")).astype(np.uint16) * 257)
    return {
        "animated.gif": (encode(cell, "GIF", save_all=True, append_images=[draw_cell(360, 360)]), "2 frames"),
        "cmyk.jpg": (encode(cell.convert("CMYK"), "JPEG"), "converted from CMYK"),
        "sixteen.tif": (encode(grey16, "TIFF"), "16-bit values were scaled"),
        "palette.png": (encode(cell.convert("P")), ""),
        "alpha.png": (encode(alpha), "transparent parts were laid on white"),
        "rotated.jpg": (encode(cell, "JPEG", exif=turned), "turned upright"),
        "small.bmp": (encode(draw_cell(64, 64), "BMP"), ""),
        "wide.webp": (encode(draw_cell(800, 500), "WEBP"), "lies around the nucleated cell that was found"),
    }


def bad_files() -> dict[str, tuple[bytes, str]]:
    """Return files that are refused: name -> (content, a part of the sentence)."""
    return {
        "text.png": (b"I am no image at all, whatever my name says.", "is not an image that can be read"),
        "truncated.jpg": (encode(draw_cell(), "JPEG")[:1500], "is damaged or incomplete"),
        "empty.png": (b"", "is empty (0 bytes)"),
        "bomb.png": (png_header(30_000, 30_000), "million"),
        "one.png": (encode(Image.new("RGB", (1, 1))), "too small to show a cell"),
        "strip.png": (encode(Image.new("RGB", (10, 4000))), "a strip that shows no cell"),
        "huge.png": (b"\x89PNG\r\n\x1a\n" + bytes(100_000_000), "files up to 64 MB are read"),
    }

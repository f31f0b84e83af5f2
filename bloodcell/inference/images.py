"""Reads a reader's image file into safe pixels, or says in one sentence why it cannot.

What arrives is not trusted: formats are on a list, sizes are judged from the header before anything is decoded, one
image is decoded at a time, and whatever a decoder raises becomes an `ImageError`. The limits keep the process under
2 GB. Metadata are dropped; only the turn that a camera noted (EXIF orientation) is applied first.
"""

import io
import math
import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from bloodcell.errors import ImageError
from bloodcell.inference.dicom import count_frames, is_dicom, read_frame, read_size

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".dcm")
MAXIMUM_BYTES = 64 * 1024**2
"""Largest file that is read."""
MAXIMUM_PIXELS = 40_000_000
"""Most pixels that are decoded; with transparency a pixel costs up to 20 bytes on the way to RGB."""
MAXIMUM_ASPECT = 100
"""Longest side over shortest; a strip beyond it shows no cell."""
LONGEST_SIDE = 2048
"""A longer image is reduced by a whole number after decoding, so that sixty of them fit in memory, pixels."""
SHORTEST_REDUCED_SIDE = 64
MAXIMUM_PAGES = 200
"""Most pages of one file that are read."""

_READABLE = "PNG, JPEG, BMP, TIFF, WEBP or GIF"
_DECODING = threading.Lock()
_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR_CONFIGURATION = 258, 262, 284  # TIFF tags
_SUBFILE_TYPE, _REDUCED_COPY = 254, 1
_WHITE_IS_ZERO, _SEPARATE_PLANES = 0, 2
_TIFF_STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")

# Pillow warns from 89 million pixels on, far above the limit here; installed once, since filters belong to no thread.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


@dataclass(frozen=True, eq=False)
class UploadedImage:
    """A file that was read.

    Attributes:
        name: File name without its folder.
        pixels: (height, width, 3) uint8 RGB, read-only.
        notes: What was done on the way to these pixels that a reader should know, as sentences.
    """

    name: str
    pixels: np.ndarray
    notes: tuple[str, ...]


def list_pages(data: bytes) -> tuple[int | None, ...]:
    """Return the pages of a TIFF or DICOM file that holds several pictures, from 0; (None,) for every other file.

    Smaller copies of a page, as scanners of slides add them, are not counted. A file that cannot be read has one page:
    `read_image` then says why.
    """
    if is_dicom(data):
        return _list_frames(data)
    if data[:4] not in _TIFF_STARTS:
        return (None,)
    try:
        with _DECODING, Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
            pages = []
            for page in range(min(int(getattr(image, "n_frames", 1)), MAXIMUM_PAGES)):
                image.seek(page)
                kind = _tiff_tag(image, _SUBFILE_TYPE)
                if not (isinstance(kind, int) and kind & _REDUCED_COPY):
                    pages.append(page)
    except Exception:  # decoders raise whatever they like on damaged files
        return (None,)
    return tuple(pages) if len(pages) > 1 else (None,)


def _list_frames(data: bytes) -> tuple[int | None, ...]:
    try:
        number = min(count_frames(data), MAXIMUM_PAGES)
    except Exception:  # a damaged file, or no pydicom
        return (None,)
    return tuple(range(number)) if number > 1 else (None,)


def name_page(name: str, page: int | None) -> str:
    """Return what a page, from 0, of a file is called; the file's own name for None."""
    return name if page is None else f"{name}, page {page + 1}"


def read_image(
    data: bytes, name: str, longest_side: int | None = LONGEST_SIDE, page: int | None = None
) -> UploadedImage:
    """Return one picture of an image file as RGB pixels.

    Args:
        data: The whole file.
        name: What the file is called in messages; a folder before it is dropped.
        longest_side: Images longer than this are reduced by a whole number (box average); None keeps every pixel.
        page: Which page of a TIFF or DICOM file, from 0, as `list_pages` gives them; its number joins the name.
            None reads the first picture of any file, and notes how many there are.

    Raises:
        ImageError: The file is empty, too large, no image of a known format, damaged, or of a kind not handled.
    """
    name = name_page(Path(name.replace("\\", "/")).name or "the image", page)
    _check_bytes(len(data), name)
    try:
        if is_dicom(data):
            with _DECODING:
                _check_size(read_size(data, name), name)
                return _finish(*read_frame(data, name, page or 0), name, longest_side, [])
        with _DECODING, Image.open(io.BytesIO(data), formats=FORMATS) as image:
            notes = _note_frames(image) if page is None else []
            image.seek(page or 0)
            _check_size(image.size, name)
            return _decode(image, name, longest_side, notes)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            f"{name} states more pixels than are read: at most {MAXIMUM_PIXELS // 10**6} million, such as "
            "8000 x 5000. Cut out the cell and save it as an image of its own."
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name} is not an image that can be read, whatever its name says: expected {_READABLE}. "
            "Open it in an image program and save it as PNG."
        ) from error
    except MemoryError as error:
        raise ImageError(f"{name} needs more memory than there is. Cut out the cell and save it as PNG.") from error
    except Exception as error:  # decoders raise whatever they like on damaged files, and a reader gets a sentence
        raise ImageError(
            f"{name} is damaged or incomplete and cannot be decoded ({_first_line(error)}). "
            "Save or transfer it again, as PNG if it stays so."
        ) from error


def read_image_file(path: Path, longest_side: int | None = LONGEST_SIDE) -> UploadedImage:
    """Return the first picture of an image file on disk; see `read_image`.

    Raises:
        ImageError: There is no such file, it cannot be read, or it is no image.
    """
    return read_image(read_file(path), path.name, longest_side)


def read_file(path: Path) -> bytes:
    """Return the bytes of what should be an image file.

    Raises:
        ImageError: There is no such file, it cannot be read, or it is empty or too large.
    """
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder; expected an image file.")
        if not path.is_file():
            reason = "is not a regular file" if path.exists() else "does not exist"
            raise ImageError(f"{path} {reason}; expected an image file ({_READABLE}).")
        _check_bytes(path.stat().st_size, path.name)
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}. Check the path and its rights.") from error


def read_images(paths: Iterable[Path]) -> Iterator[tuple[Path, UploadedImage | ImageError]]:
    """Yield each path with its image or with the error that says why there is none, in order, one at a time."""
    for path in paths:
        try:
            yield path, read_image_file(path)
        except ImageError as error:
            yield path, error


def list_images(folder: Path) -> list[Path]:
    """Return the image files of a folder by their names' endings, sorted; folders inside it are not entered.

    Raises:
        ImageError: The folder cannot be read or holds no image.
    """
    try:
        found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    except OSError as error:
        raise ImageError(f"The folder {folder} cannot be read: {error.strerror or error}.") from error
    if not found:
        raise ImageError(f"The folder {folder} holds no image: expected files ending in {', '.join(SUFFIXES)}.")
    return found


def _check_bytes(num_bytes: int, name: str) -> None:
    if num_bytes == 0:
        raise ImageError(f"{name} is empty (0 bytes). Save or transfer it again.")
    if num_bytes > MAXIMUM_BYTES:
        raise ImageError(
            f"{name} has {num_bytes / 1024**2:.0f} MB; files up to {MAXIMUM_BYTES // 1024**2} MB are read. "
            "Cut out the cell and save it as PNG."
        )


def _check_size(size: tuple[int, int], name: str) -> None:
    """Judge the size that the header states, before anything is decoded."""
    width, height = size
    if width * height > MAXIMUM_PIXELS:
        raise ImageError(
            f"{name} is {width} x {height} pixels; images up to {MAXIMUM_PIXELS // 10**6} million pixels are read, "
            "such as 8000 x 5000. Cut out the cell and save it as an image of its own."
        )
    if max(width, height) > MAXIMUM_ASPECT * min(width, height):
        raise ImageError(
            f"{name} is {width} x {height} pixels, a strip that shows no cell: the longer side may be at most "
            f"{MAXIMUM_ASPECT} times the shorter."
        )


def _decode(image: Image.Image, name: str, longest_side: int | None, notes: list[str]) -> UploadedImage:
    _refuse_unhandled(image, name)
    bits = _bits_per_channel(image)
    white_is_zero = _tiff_tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO
    image.load()
    upright = _turn_upright(image, notes)
    if upright.mode.startswith("I"):
        upright = _to_eight_bits(upright, name, white_is_zero, notes)
    elif bits > 8:
        notes.append(f"Its {bits} bits per channel were reduced to 8 by keeping the upper ones.")
    rgb = _to_rgb(upright, notes)
    if bits > 8 and upright.mode != "L" and int(np.asarray(rgb).max()) < 16:
        raise ImageError(
            f"{name} has {bits} bits per channel and uses only the lowest ones, so nothing is left of it in 8 bits. "
            "Stretch its brightness and save it with 8 bits per channel."
        )
    return _as_uploaded(rgb, name, longest_side, notes)


def _finish(
    image: Image.Image, white_is_zero: bool, name: str, longest_side: int | None, notes: list[str]
) -> UploadedImage:
    """Bring a frame of DICOM into the form of every image."""
    if image.mode.startswith("I"):
        image = _to_eight_bits(image, name, white_is_zero, notes)
    return _as_uploaded(_to_rgb(image, notes), name, longest_side, notes)


def _as_uploaded(rgb: Image.Image, name: str, longest_side: int | None, notes: list[str]) -> UploadedImage:
    rgb = _reduce(rgb, longest_side, notes)
    pixels = np.array(rgb, dtype=np.uint8)
    pixels.flags.writeable = False
    return UploadedImage(name, pixels, tuple(notes))


def _note_frames(image: Image.Image) -> list[str]:
    num_frames = int(getattr(image, "n_frames", 1))
    if num_frames < 2:
        return []
    kind = {"TIFF": "pages", "GIF": "frames", "WEBP": "frames", "PNG": "frames"}.get(image.format or "", "pictures")
    return [f"It holds {num_frames} {kind}; the first was read."]


def _refuse_unhandled(image: Image.Image, name: str) -> None:
    """Refuse what Pillow opens and would turn into wrong colours."""
    bits = _bits_per_channel(image)
    if bits > 8 and _tiff_tag(image, _PLANAR_CONFIGURATION) == _SEPARATE_PLANES:
        raise ImageError(f"{name} keeps its {bits}-bit colours in separate planes, which are not read. Save it as PNG.")
    if image.mode in ("F", "LAB", "HSV"):
        kind = {"F": "numbers with a decimal point", "LAB": "Lab colours", "HSV": "HSV colours"}[image.mode]
        raise ImageError(f"{name} holds {kind}, for which no scale to RGB is certain. Save it as PNG.")


def _bits_per_channel(image: Image.Image) -> int:
    """Return the bits of one stored channel; Pillow itself keeps 8 of colour images."""
    stated = _tiff_tag(image, _BITS_PER_SAMPLE)
    if stated is not None:
        return max(stated) if isinstance(stated, tuple) else int(stated)
    tiles = getattr(image, "tile", None) or []
    return 16 if any("16" in str(tile.args) for tile in tiles) and image.format == "PNG" else 8


def _tiff_tag(image: Image.Image, tag: int) -> int | tuple[int, ...] | None:
    tags = getattr(image, "tag_v2", None)
    return None if tags is None else tags.get(tag)


def _turn_upright(image: Image.Image, notes: list[str]) -> Image.Image:
    try:
        turned = ImageOps.exif_transpose(image)
        is_turned = image.getexif().get(0x0112, 1) in range(2, 9)
    except Exception:  # damaged metadata are no reason to refuse sound pixels
        notes.append("Its EXIF data are damaged, so a turn that they may ask for was not applied.")
        return image
    if is_turned:
        notes.append("It was turned upright as its EXIF data say.")
    return turned


def _to_eight_bits(image: Image.Image, name: str, white_is_zero: bool, notes: list[str]) -> Image.Image:
    """Scale a grey image of 16-bit values, or of 32-bit integers in that range, to 8 bits."""
    values = np.asarray(image)
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 or highest > 65535:
        raise ImageError(
            f"{name} holds values from {lowest} to {highest}, for which no scale to 8 bits is certain. Save it as PNG."
        )
    # Cameras of 10 to 14 bits store their values unscaled: the full scale is the smallest that holds the brightest.
    full_scale = next(scale for scale in (255, 1023, 4095, 16383, 65535) if highest <= scale)
    table = np.round(np.arange(full_scale + 1) * (255 / full_scale)).astype(np.uint8)
    notes.append(
        f"Its 16-bit values were scaled to 8 bits with {full_scale} as white, the smallest usual full scale that holds "
        f"its brightest value, {highest}."
    )
    scaled = table[values]
    return Image.fromarray(255 - scaled if white_is_zero else scaled)


def _to_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    mode = image.mode
    if mode == "CMYK":
        notes.append("It was converted from CMYK without a colour profile, so its colours may be shifted.")
    if mode in ("1", "L", "LA", "La"):
        notes.append("It is grey, and the networks learned from stained colour images.")
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        straight = image.convert("LA") if mode == "La" else image
        return _on_white(straight.convert("RGBA"), notes)
    return image if mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image, notes: list[str]) -> Image.Image:
    alpha = image.getchannel("A")
    rgb = image.convert("RGB")
    if alpha.getextrema()[0] == 255:
        return rgb
    notes.append("Its transparent parts were laid on white.")
    ground = Image.new("RGB", image.size, "white")
    ground.paste(rgb, mask=alpha)
    return ground


def _reduce(image: Image.Image, longest_side: int | None, notes: list[str]) -> Image.Image:
    width, height = image.size
    if longest_side is None or max(width, height) <= longest_side:
        return image
    factor = min(math.ceil(max(width, height) / longest_side), min(width, height) // SHORTEST_REDUCED_SIDE)
    if factor < 2:
        return image
    notes.append(f"It is {width} x {height} pixels and was reduced {factor} times in each direction.")
    return image.reduce(factor)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__

"""DICOM files (PS3.10), read with the optional package pydicom: one frame as a picture, and nothing else of the file.

Names, dates and whatever else the file says of a person are not read beyond the part on the image.
"""

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from bloodcell.errors import ImageError

if TYPE_CHECKING:
    from pydicom import Dataset

_PREAMBLE, _MAGIC = 128, b"DICM"
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_GREY = ("MONOCHROME1", "MONOCHROME2")


def is_dicom(data: bytes) -> bool:
    """Return whether a file states that it is DICOM."""
    return data[_PREAMBLE : _PREAMBLE + len(_MAGIC)] == _MAGIC


def count_frames(data: bytes) -> int:
    """Return how many frames a DICOM file states.

    Raises:
        ImageError: pydicom is not installed.
    """
    return int(_read_header(data).get("NumberOfFrames") or 1)


def read_size(data: bytes, name: str) -> tuple[int, int]:
    """Return (width, height) in pixels as the header states them.

    Raises:
        ImageError: The file holds no image, or pydicom is not installed.
    """
    header = _read_header(data)
    if not header.get("Rows") or not header.get("Columns"):
        raise ImageError(f"{name} is a DICOM file without an image in it, such as a report.")
    return int(header.Columns), int(header.Rows)


def read_frame(data: bytes, name: str, frame: int) -> tuple[Image.Image, bool]:
    """Return one frame, from 0, and whether its smallest value is white.

    Returns:
        An image of mode RGB, of L where it has 8 bits of grey, of I;16 where it has more.

    Raises:
        ImageError: Its pixels are of a kind for which no scale to RGB is certain.
        Exception: Whatever the decoder raises on damaged or unknown compression.
    """
    import pydicom
    from pydicom.pixels import apply_color_lut, pixel_array

    described = pydicom.Dataset()
    pixels = pixel_array(io.BytesIO(data), ds_out=described, index=frame)
    kind = str(described.PhotometricInterpretation)
    bits = int(described.BitsStored)
    if int(described.get("PixelRepresentation", 0)) == 1:
        raise ImageError(f"{name} holds values below zero, for which no scale to RGB is certain. Save it as PNG.")
    if kind == "PALETTE COLOR":
        full = pydicom.dcmread(io.BytesIO(data), specific_tags=_palette_tags())
        pixels = apply_color_lut(pixels, full)
        bits, kind = 8 * pixels.dtype.itemsize, "RGB"
    if kind in _COLOUR:
        return Image.fromarray((pixels >> max(bits - 8, 0)).astype(np.uint8), "RGB"), False
    if kind not in _GREY:
        raise ImageError(f"{name} is a DICOM image of the kind {kind}, which is not read. Save it as PNG.")
    is_inverted = kind == "MONOCHROME1"
    if bits > 8:
        return Image.fromarray(pixels.astype(np.uint16)), is_inverted
    grey = pixels.astype(np.uint8)
    return Image.fromarray(255 - grey if is_inverted else grey), False


def _read_header(data: bytes) -> "Dataset":
    try:
        import pydicom
    except ImportError as error:
        raise ImageError(
            "DICOM files are read only where the package pydicom is installed (`pip install pydicom`). "
            "Save the image as PNG, or install it."
        ) from error
    tags: list[Any] = ["NumberOfFrames", "Rows", "Columns"]
    return pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, specific_tags=tags)


def _palette_tags() -> list[Any]:
    colours = ("Red", "Green", "Blue")
    return [f"{colour}PaletteColorLookupTable{part}" for colour in colours for part in ("Descriptor", "Data")]

"""DICOM files: colour, grey, palettes and frames as pictures; what is damaged or no image gets its sentence."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from bloodcell.errors import ImageError
from bloodcell.inference.images import list_pages, read_image

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")

ROWS, COLUMNS = np.mgrid[:48, :64]
COLOURED = np.stack([ROWS * 5, COLUMNS * 3, 255 - ROWS - COLUMNS], axis=-1).astype(np.uint8)


def write_dicom(pixels: np.ndarray, kind: str, **fields) -> bytes:
    """Return a DICOM file of these pixels: (rows, columns), with channels last, with frames first where stated."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    file.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.PatientName = "Nobody^Here"
    file.SamplesPerPixel = pixels.shape[-1] if kind in ("RGB", "YBR_FULL") else 1
    if file.SamplesPerPixel > 1:
        file.PlanarConfiguration = 0
    file.PhotometricInterpretation = kind
    rows_at = 1 if "NumberOfFrames" in fields else 0
    file.Rows, file.Columns = pixels.shape[rows_at : rows_at + 2]
    file.BitsAllocated = file.BitsStored = 8 * pixels.dtype.itemsize
    file.HighBit = file.BitsStored - 1
    file.PixelRepresentation = 0
    file.PixelData = pixels.tobytes()
    for name, value in fields.items():
        setattr(file, name, value)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


def test_colours_are_read_as_they_are():
    data = write_dicom(COLOURED, "RGB")
    image = read_image(data, "folder/cell.dcm")
    np.testing.assert_array_equal(image.pixels, COLOURED)
    assert (image.name, image.notes, list_pages(data)) == ("cell.dcm", (), (None,))


def test_luminance_and_colour_differences_become_rgb():
    ybr = np.array(Image.fromarray(COLOURED).convert("YCbCr"))
    image = read_image(write_dicom(ybr, "YBR_FULL"), "cell.dcm")
    assert np.abs(image.pixels.astype(int) - COLOURED).max() <= 3


def test_sixteen_bits_of_colour_keep_the_upper_ones():
    image = read_image(write_dicom(COLOURED.astype(np.uint16) * 257, "RGB"), "cell.dcm")
    np.testing.assert_array_equal(image.pixels, COLOURED)


@pytest.mark.parametrize(("kind", "is_inverted"), [("MONOCHROME2", False), ("MONOCHROME1", True)])
def test_grey_is_said_and_turned_right(kind, is_inverted):
    grey = COLOURED[..., 0]
    image = read_image(write_dicom(grey, kind), "cell.dcm")
    np.testing.assert_array_equal(image.pixels[..., 1], 255 - grey if is_inverted else grey)
    assert any("grey" in note for note in image.notes)
    deep = read_image(write_dicom((grey.astype(np.uint16) << 4) + 15, kind, BitsStored=12, HighBit=11), "cell.dcm")
    assert np.abs(deep.pixels[..., 1].astype(int) - image.pixels[..., 1]).max() <= 1
    assert any("4095 as white" in note for note in deep.notes)


def test_a_palette_is_looked_up():
    palette = np.random.default_rng(0).integers(0, 256, (256, 3))
    tables = {}
    for place, colour in enumerate(("Red", "Green", "Blue")):
        tables[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tables[f"{colour}PaletteColorLookupTableData"] = (palette[:, place] * 257).astype("<u2").tobytes()
    indices = (ROWS + COLUMNS).astype(np.uint8)
    image = read_image(write_dicom(indices, "PALETTE COLOR", **tables), "cell.dcm")
    np.testing.assert_array_equal(image.pixels, palette[indices])


def test_each_frame_is_an_image_of_its_own():
    frames = np.stack([COLOURED, 255 - COLOURED, COLOURED[::-1]])
    data = write_dicom(frames, "RGB", NumberOfFrames=3)
    assert list_pages(data) == (0, 1, 2)
    for page in range(3):
        image = read_image(data, "cell.dcm", page=page)
        np.testing.assert_array_equal(image.pixels, frames[page])
        assert image.name == f"cell.dcm, page {page + 1}"


def test_what_cannot_be_shown_is_refused_in_a_sentence():
    data = write_dicom(COLOURED, "RGB")
    with pytest.raises(ImageError, match=r"cell.dcm is damaged or incomplete"):
        read_image(data[: len(data) // 2], "cell.dcm")
    with pytest.raises(ImageError, match="below zero"):
        read_image(write_dicom(COLOURED[..., 0].astype(np.uint16), "MONOCHROME2", PixelRepresentation=1), "cell.dcm")
    with pytest.raises(ImageError, match="million pixels"):
        read_image(write_dicom(COLOURED, "RGB", Rows=60_000, Columns=60_000), "cell.dcm")
    report = write_dicom(COLOURED, "RGB", Rows=0)
    with pytest.raises(ImageError, match="without an image"):
        read_image(report, "report.dcm")


def test_without_pydicom_the_way_is_told(monkeypatch):
    data = write_dicom(COLOURED, "RGB")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    assert list_pages(data) == (None,)
    with pytest.raises(ImageError, match="pip install pydicom"):
        read_image(data, "cell.dcm")

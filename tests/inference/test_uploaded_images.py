"""Files that a reader may drop: read right, or refused in a sentence, within bounded memory."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from bloodcell.dataset import frame_image
from bloodcell.errors import ImageError
from bloodcell.inference.images import MAXIMUM_BYTES, list_images, list_pages, read_image, read_image_file, read_images


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def pattern() -> np.ndarray:
    """(64, 48, 3): a smooth picture whose corners all differ, so that turns and swaps show."""
    rows, columns = np.mgrid[:64, :48]
    return np.stack([rows * 3, columns * 5, 255 - rows - columns], axis=-1).astype(np.uint8)


def png_with_size(width: int, height: int) -> bytes:
    """A valid PNG header that states a size, and hardly any data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_lossless_formats_give_the_very_pixels(pattern, kind, options):
    image = read_image(encode(Image.fromarray(pattern), kind, **options), f"folder/cell.{kind.lower()}")
    np.testing.assert_array_equal(image.pixels, pattern)
    assert image.pixels.dtype == np.uint8
    assert image.notes == ()
    assert image.name == f"cell.{kind.lower()}"
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0, 0] = 1


def test_jpeg_is_read_close_to_its_pixels(pattern):
    image = read_image(encode(Image.fromarray(pattern), "JPEG", quality=95), "cell.jpg")
    assert np.abs(image.pixels.astype(int) - pattern).mean() < 4


@pytest.mark.parametrize("orientation", range(2, 9))
def test_camera_turns_are_applied(pattern, orientation):
    """The stored picture is turned the other way; what is read is upright."""
    stored = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90"}
    stored |= {7: "TRANSVERSE", 8: "ROTATE_270"}
    turned = Image.fromarray(pattern).transpose(Image.Transpose[stored[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read_image(encode(turned, "PNG", exif=exif.tobytes()), "cell.png")
    np.testing.assert_array_equal(image.pixels, pattern)
    assert "turned upright" in " ".join(image.notes)


def test_upright_orientation_is_not_remarked(pattern):
    exif = Image.Exif()
    exif[0x0112] = 1
    assert read_image(encode(Image.fromarray(pattern), "PNG", exif=exif.tobytes()), "a.png").notes == ()


def test_transparency_is_laid_on_white(pattern):
    alpha = np.full((64, 48, 1), 255, np.uint8)
    alpha[:10] = 0
    image = read_image(encode(Image.fromarray(np.concatenate([pattern, alpha], axis=-1)), "PNG"), "a.png")
    assert (image.pixels[:10] == 255).all()
    np.testing.assert_array_equal(image.pixels[10:], pattern[10:])
    assert "laid on white" in " ".join(image.notes)


def test_opaque_alpha_is_not_remarked(pattern):
    image = read_image(encode(Image.fromarray(pattern).convert("RGBA"), "PNG"), "a.png")
    np.testing.assert_array_equal(image.pixels, pattern)
    assert image.notes == ()


def test_palette_with_transparent_colour(pattern):
    indices = np.zeros((20, 20), np.uint8)
    indices[5:15] = 1
    image = Image.fromarray(indices, "P")
    image.putpalette([200, 0, 0, 10, 20, 30])
    plain = read_image(encode(image, "PNG"), "a.png")
    assert plain.pixels[0, 0].tolist() == [200, 0, 0]
    assert plain.pixels[10, 10].tolist() == [10, 20, 30]
    clear = read_image(encode(image, "PNG", transparency=0), "a.png")
    assert clear.pixels[0, 0].tolist() == [255, 255, 255]
    assert clear.pixels[10, 10].tolist() == [10, 20, 30]


def test_grey_with_alpha_and_black_and_white():
    grey = Image.merge("LA", [Image.new("L", (20, 20), 80), Image.new("L", (20, 20), 0)])
    image = read_image(encode(grey, "PNG"), "a.png")
    assert (image.pixels == 255).all()
    assert "grey" in " ".join(image.notes)
    assert (read_image(encode(Image.new("1", (20, 20), 1), "PNG"), "a.png").pixels == 255).all()


def test_cmyk_is_converted_and_said(pattern):
    image = read_image(encode(Image.fromarray(pattern).convert("CMYK"), "TIFF"), "a.tif")
    assert np.abs(image.pixels.astype(int) - pattern).max() <= 2
    assert "CMYK" in " ".join(image.notes)
    from_jpeg = read_image(encode(Image.fromarray(pattern).convert("CMYK"), "JPEG", quality=95), "a.jpg")
    assert np.abs(from_jpeg.pixels.astype(int) - pattern).mean() < 8


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("full_scale", "bits"), [(65535, 16), (4095, 12), (1023, 10)])
def test_sixteen_bit_grey_uses_the_whole_range(kind, full_scale, bits):
    values = np.linspace(0, full_scale, 64 * 64).astype(np.uint16).reshape(64, 64)
    image = read_image(encode(Image.fromarray(values), kind), "a")
    expected = np.round(values / full_scale * 255)
    assert np.abs(image.pixels[..., 0] - expected).max() <= 1
    assert (image.pixels[..., 0] == image.pixels[..., 2]).all()
    assert str(full_scale) in " ".join(image.notes)


def tiff(samples: bytes, width: int, height: int, bits: tuple[int, ...], photometric: int, planar: int = 1) -> bytes:
    """A minimal little-endian TIFF with one strip per plane, for kinds that Pillow does not write."""
    num = len(bits)
    bits_at, strips_at, counts_at = 200, 220, 240
    num_strips = num if planar == 2 else 1
    data_at, size = 300, len(samples) // num_strips
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, num, bits_at if num > 1 else bits[0]),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, num_strips, strips_at if num_strips > 1 else data_at),
        (277, 3, 1, num),
        (278, 4, 1, height),
        (279, 4, num_strips, counts_at if num_strips > 1 else size),
        (284, 3, 1, planar),
    ]
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(struct.pack("<HHII", *t) for t in tags) + bytes(4)
    buffer = bytearray(head.ljust(data_at, b"\0"))
    struct.pack_into(f"<{num}H", buffer, bits_at, *bits)
    struct.pack_into(f"<{num_strips}I", buffer, strips_at, *(data_at + i * size for i in range(num_strips)))
    struct.pack_into(f"<{num_strips}I", buffer, counts_at, *(size for _ in range(num_strips)))
    return bytes(buffer) + samples


def test_sixteen_bit_colour_tiff_keeps_the_upper_bits(pattern):
    wide = (pattern.astype("<u2") << 8) + 77
    image = read_image(tiff(wide.tobytes(), 48, 64, (16, 16, 16), photometric=2), "a.tif")
    np.testing.assert_array_equal(image.pixels, pattern)
    assert "16 bits" in " ".join(image.notes)


def test_sixteen_bit_colour_that_would_come_out_black_is_refused(pattern):
    twelve_bits = pattern.astype("<u2") << 4
    with pytest.raises(ImageError, match="lowest"):
        read_image(tiff(twelve_bits.tobytes(), 48, 64, (16, 16, 16), photometric=2), "a.tif")


def test_sixteen_bit_separate_planes_are_refused_rather_than_misread(pattern):
    planes = np.ascontiguousarray((pattern.astype("<u2") << 8).transpose(2, 0, 1))
    with pytest.raises(ImageError, match="separate planes"):
        read_image(tiff(planes.tobytes(), 48, 64, (16, 16, 16), photometric=2, planar=2), "a.tif")


def test_sixteen_bit_tiff_with_white_as_zero_is_not_inverted(pattern):
    dark = np.full((64, 48), 60000, "<u2")
    dark[0, 0] = 0
    image = read_image(tiff(dark.tobytes(), 48, 64, (16,), photometric=0), "a.tif")
    assert image.pixels[0, 0].tolist() == [255, 255, 255]
    assert image.pixels[5, 5, 0] == 255 - round(60000 / 65535 * 255)


def test_floating_point_tiff_is_refused():
    with pytest.raises(ImageError, match="decimal point"):
        read_image(encode(Image.fromarray(np.ones((20, 20), np.float32)), "TIFF"), "a.tif")


@pytest.mark.parametrize(
    ("kind", "word"), [("TIFF", "pages"), ("GIF", "frames"), ("WEBP", "frames"), ("PNG", "frames")]
)
def test_of_several_pictures_the_first_is_read_and_said(kind, word):
    colours = ["red", "lime", "blue"]
    first, *rest = [Image.new("RGB", (32, 32), colour) for colour in colours]
    options = {"lossless": True} if kind == "WEBP" else {}
    image = read_image(encode(first, kind, save_all=True, append_images=rest, **options), "a")
    assert image.pixels[3, 3].tolist() == [255, 0, 0]
    assert any(f"3 {word}" in note and "first" in note for note in image.notes)


def test_each_page_of_a_tiff_is_an_image_of_its_own():
    colours = {"red": [255, 0, 0], "lime": [0, 255, 0], "blue": [0, 0, 255]}
    first, *rest = [Image.new("RGB", (32, 20 + 8 * place), colour) for place, colour in enumerate(colours)]
    data = encode(first, "TIFF", save_all=True, append_images=rest)
    assert list_pages(data) == (0, 1, 2)
    for page, (place, colour) in enumerate(zip(range(3), colours.values(), strict=True)):
        image = read_image(data, "folder/smear.tif", page=page)
        assert image.pixels.shape == (20 + 8 * place, 32, 3) and image.pixels[3, 3].tolist() == colour
        assert (image.name, image.notes) == (f"smear.tif, page {page + 1}", ())
    with pytest.raises(ImageError, match=r"smear.tif, page 4 is damaged"):
        read_image(data, "smear.tif", page=3)


def test_what_has_one_picture_has_no_pages(pattern):
    plain = Image.fromarray(pattern)
    frames = encode(plain, "GIF", save_all=True, append_images=[Image.new("RGB", (48, 64), "red")])
    for data in (encode(plain, "TIFF"), encode(plain, "PNG"), frames, b"II*\x00 and no more", b""):
        assert list_pages(data) == (None,)


def test_smaller_copies_of_a_page_are_not_pages(pattern):
    buffer = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(buffer, new=True) as writer:
        for image, kind in ((Image.fromarray(pattern), 0), (Image.fromarray(pattern[::4, ::4]), 1)):
            image.save(writer, format="TIFF", tiffinfo={254: kind})
            writer.newFrame()
    assert Image.open(io.BytesIO(buffer.getvalue())).n_frames == 2
    assert list_pages(buffer.getvalue()) == (None,)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF"])
def test_truncated_files_are_refused(pattern, kind):
    noisy = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    data = encode(Image.fromarray(noisy), kind)
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(ImageError) as caught:
            read_image(data[: int(len(data) * share)], f"cut.{kind.lower()}")
        assert str(caught.value).startswith(f"cut.{kind.lower()}")
        assert str(caught.value).endswith(".")


def test_progressive_jpeg_cut_in_half_is_refused(pattern):
    data = encode(Image.fromarray(pattern).resize((200, 200)), "JPEG", progressive=True)
    with pytest.raises(ImageError, match="incomplete"):
        read_image(data[: len(data) // 2], "cut.jpg")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"these are my notes on the smear", "is not an image"),
        (b"%PDF-1.7\n1 0 obj", "is not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not an image"),
        (b"\x89PNG\r\n\x1a\n", "is not an image|damaged"),
        (png_with_size(30_000, 30_000), "pixels"),
        (png_with_size(10_000, 10_000), "pixels"),
        (png_with_size(7_000, 7_000), "7000 x 7000"),
        (png_with_size(100, 100), "damaged"),
        (png_with_size(0, 5), "is not an image|damaged|pixels"),
        (bytes(MAXIMUM_BYTES + 1), "64 MB"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(data, word):
    with pytest.raises(ImageError, match=word) as caught:
        read_image(data, "C:\\smears\\notes.png")
    assert str(caught.value).startswith("notes.png")
    assert "\n" not in str(caught.value)


def test_formats_off_the_list_are_refused():
    data = encode(Image.new("RGB", (64, 64)), "PPM")
    with pytest.raises(ImageError, match="is not an image"):
        read_image(data, "a.png")


@pytest.mark.parametrize("size", [(1, 1), (10, 900), (10, 4000), (4000, 10)])
def test_sizes_without_a_cell_are_refused_on_the_way_to_the_network(size):
    with pytest.raises(ImageError, match=f"{size[0]} x {size[1]}"):
        frame_image(read_image(encode(Image.new("RGB", size), "PNG"), "a.png").pixels)


def test_large_images_are_reduced_and_said():
    data = encode(Image.new("RGB", (5000, 3000), (10, 20, 30)), "PNG")
    image = read_image(data, "a.png")
    assert image.pixels.shape == (1000, 1667, 3)
    assert image.pixels[500, 500].tolist() == [10, 20, 30]
    assert "5000 x 3000" in " ".join(image.notes)
    assert read_image(data, "a.png", longest_side=None).pixels.shape == (3000, 5000, 3)
    assert read_image(encode(Image.new("RGB", (2048, 2048)), "PNG"), "a.png").notes == ()


def test_a_long_strip_is_not_reduced_out_of_sight():
    assert read_image(encode(Image.new("RGB", (70, 5000)), "PNG"), "a.png").pixels.shape == (5000, 70, 3)


def test_damaged_exif_does_not_refuse_sound_pixels(pattern):
    data = encode(Image.fromarray(pattern), "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 40)
    np.testing.assert_array_equal(read_image(data, "a.png").pixels, pattern)


def test_decoder_surprises_become_sentences(pattern, monkeypatch):
    def fail(*_):
        raise struct.error("unpack requires a buffer of 4 bytes\nand more")

    monkeypatch.setattr(Image.Image, "getchannel", fail)
    with pytest.raises(ImageError, match=r"a\.png is damaged .* buffer of 4 bytes\)"):
        read_image(encode(Image.fromarray(pattern).convert("RGBA"), "PNG"), "a.png")


def test_one_bad_file_leaves_the_others_alone(pattern, tmp_path):
    good, bad, missing = tmp_path / "good.png", tmp_path / "bad.png", tmp_path / "missing.png"
    good.write_bytes(encode(Image.fromarray(pattern), "PNG"))
    bad.write_text("words")
    found = list(read_images([bad, good, missing, tmp_path]))
    assert [path for path, _ in found] == [bad, good, missing, tmp_path]
    assert [type(result).__name__ for _, result in found] == ["ImageError", "UploadedImage", "ImageError", "ImageError"]
    assert "does not exist" in str(found[2][1])
    assert "folder" in str(found[3][1])


def test_folder_lists_its_images_sorted(pattern, tmp_path):
    for name in ("b.png", "a.JPG", "labels.csv", "c.tiff"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "inner.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.JPG", "b.png", "c.tiff"]
    with pytest.raises(ImageError, match="holds no image"):
        list_images(tmp_path / "inner.png")
    with pytest.raises(ImageError, match="cannot be read"):
        list_images(tmp_path / "nowhere")


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "large.tif"
    with open(path, "wb") as stream:
        stream.truncate(100 * 1024**2)
    with pytest.raises(ImageError, match="100 MB"):
        read_image_file(path)


def test_the_largest_images_stay_under_two_gigabytes(tmp_path):
    """The costliest kinds at the pixel limit, in a process of its own whose peak is read at the end."""
    script = """
import sys
from bloodcell.inference.images import read_image
from bloodcell.inference.memory import peak_memory_bytes
for path in sys.argv[1:]:
    image = read_image(open(path, "rb").read(), path, longest_side=None)
    assert image.pixels.size == 120_000_000, image.pixels.shape
print(peak_memory_bytes() / 1024**2)
"""
    files = []
    for mode in ("RGBA", "LA", "CMYK", "I;16"):
        path = tmp_path / f"{mode.replace(';', '')}.tif"
        Image.new(mode, (8000, 5000)).save(path, "TIFF", compression="tiff_deflate")
        files.append(str(path))
    done = subprocess.run([sys.executable, "-c", script, *files], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1500, "MB"

"""A labelled set, folder or zip, is read right or refused in a sentence that names the row."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from made_smears import draw_smear
from PIL import Image

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES, load_labelled_set, load_split
from bloodcell.dataset.images import frame_image
from bloodcell.errors import DatasetDamagedError, DatasetNotFoundError
from bloodcell.inference.classifier import read_cell
from bloodcell.inference.specimens import find_specimen


def png(pixels: np.ndarray, **options: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


def make_pixels(number: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)


def make_set(folder: Path, table: str, names: tuple[str, ...] = ("a.png", "b.png")) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "labels.csv").write_text(table, encoding="utf-8")
    for number, name in enumerate(names):
        (folder / name).write_bytes(png(make_pixels(number)))
    return folder


def make_one(folder: Path, data: bytes) -> Path:
    """Return a set of one image, said to be a monocyte."""
    make_set(folder, "file,class_name\na.png,monocyte\n", names=())
    (folder / "a.png").write_bytes(data)
    return folder


def zip_folder(folder: Path, prefix: str = "") -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, prefix + str(file.relative_to(folder)))
    return path


@pytest.mark.parametrize("form", ["folder", "zip", "zip of a folder"])
def test_images_and_labels_come_in_the_order_of_the_table(tmp_path, form):
    folder = make_set(tmp_path / "set", "file,class_name,other\nb.png,Monocyte,x\na.png,neutrophil,y\n")
    path = folder if form == "folder" else zip_folder(folder, "" if form == "zip" else "my cells/")
    images, labels = load_labelled_set(path, read_cell)
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(images, [make_pixels(1), make_pixels(0)])
    assert [CLASS_NAMES[label] for label in labels] == ["monocyte", "neutrophil"]


@pytest.mark.parametrize("label", range(8))
def test_classes_go_by_name_or_by_code(tmp_path, label):
    table = f"file,class_name,label\na.png,{CLASS_NAMES[label]},{label}\nb.png,{CLASS_CODES[label].lower()},\n"
    assert load_labelled_set(make_set(tmp_path / "set", table), read_cell)[1].tolist() == [label, label]


def test_an_image_of_another_size_is_framed_like_an_uploaded_one(tmp_path):
    """The frame lies around the cell, at the scale that its red cells tell, and not about the image's middle."""
    pixels = draw_smear(220, 200, white_cells=((80, 105),)).pixels
    images, _ = load_labelled_set(make_one(tmp_path / "set", png(pixels)), read_cell)
    np.testing.assert_array_equal(images, find_specimen(pixels, "crop").frames[0].pixels[None])
    assert np.abs(images[0].astype(int) - frame_image(pixels).pixels).mean() > 10
    others, _ = load_labelled_set(make_one(tmp_path / "set", png(pixels.repeat(2, 0).repeat(2, 1))), read_cell)
    assert np.abs(others[0].astype(int) - images[0]).mean() < 5, "the same cell at twice the size looks the same"


def test_an_image_without_a_cell_is_refused_by_row(tmp_path):
    """No model answers on such an upload either."""
    folder = make_one(tmp_path / "set", png(np.full((200, 300, 3), 77, np.uint8)))
    with pytest.raises(DatasetDamagedError, match=r"row 2: a\.png cannot .*\. No nucleated cell .* was found"):
        load_labelled_set(folder, read_cell)


def test_a_doubtful_frame_is_said_by_name(tmp_path, caplog):
    pixels = draw_smear(220, 200, white_cells=((8, 100),)).pixels
    load_labelled_set(make_one(tmp_path / "set", png(pixels)), read_cell)
    assert "a.png: " in caplog.text and "cut by the image's border" in caplog.text


def test_transparency_is_laid_on_white_and_a_camera_s_turn_applied(tmp_path):
    pixels = make_pixels(0)
    clear = np.dstack([pixels, np.full((64, 64), 255, np.uint8)])
    clear[:9, :, 3] = 0
    images, _ = load_labelled_set(make_one(tmp_path / "set", png(clear)), read_cell)
    assert (images[0, :9] == 255).all() and (images[0, 9:] == pixels[9:]).all()
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    images, _ = load_labelled_set(make_one(tmp_path / "set", png(pixels, exif=exif.tobytes())), read_cell)
    np.testing.assert_array_equal(images[0], pixels[::-1, ::-1])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,class_name\na.png,blast\n", r"row 2: expected one of basophil"),
        ("file,class_name\na.png,monocyte\nc.png,monocyte\n", r"row 3: there is no file 'c\.png'"),
        ("file,class_name,label\na.png,monocyte,6\n", r"row 2: the label '6' is not that of monocyte, 5"),
        ("file,class_name\n../outside.png,monocyte\n", "no file"),
        ("file,class_name\n/etc/passwd,monocyte\n", "no file"),
        ("file,class_name\n,monocyte\n", "no file"),
        ("name,class\na.png,monocyte\n", "needs the columns"),
        ("file,class_name\n", "at least one row"),
        ("", "needs the columns"),
    ],
)
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_wrong_table_is_refused_by_row(tmp_path, table, message, form):
    folder = make_set(tmp_path / "set", table)
    (tmp_path / "outside.png").write_bytes(png(make_pixels(5)))
    with pytest.raises(DatasetDamagedError, match=message):
        load_labelled_set(folder if form == "folder" else zip_folder(folder), read_cell)


@pytest.mark.parametrize(
    "data",
    [b"", b"text", png(make_pixels(0))[:200], png(np.zeros((8, 8, 3), np.uint8)), b"\x89PNG\r\n\x1a\n" + b"x" * 99],
)
def test_a_wrong_image_is_refused_by_name(tmp_path, data):
    folder = make_set(tmp_path / "set", "file,class_name\na.png,monocyte\n")
    (folder / "a.png").write_bytes(data)
    with pytest.raises(DatasetDamagedError, match=r"row 2: a\.png cannot be used"):
        load_labelled_set(folder, read_cell)


def flip_a_bit(data: bytes, start: int) -> bytes:
    return data[:start] + bytes([data[start] ^ 2]) + data[start + 1 :]


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_flipped_bit_in_a_zip_is_said_so(tmp_path, compression):
    """Wherever it is, it does no harm or is refused in a sentence, whether zipfile finds it or a decoder."""
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("labels.csv", "file,class_name\nä.png,monocyte\n")
        archive.writestr("ä.png", png(np.full((64, 64, 3), 9, np.uint8)))
    data, num_refused = path.read_bytes(), 0
    for start in range(len(data)):
        path.write_bytes(flip_a_bit(data, start))
        try:
            load_labelled_set(path, read_cell)
        except (DatasetDamagedError, DatasetNotFoundError) as error:
            assert str(path) in str(error) and "()" not in str(error)
            num_refused += 1
    assert num_refused > len(data) / 2


def test_an_encrypted_zip_is_said_so(tmp_path):
    data = bytearray(zip_folder(make_set(tmp_path / "set", "file,class_name\na.png,monocyte\n")).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # where each header tells what was done to it
        start = data.find(signature)
        while start >= 0:
            data[start + offset] |= 1
            start = data.find(signature, start + 1)
    path = tmp_path / "secret.zip"
    path.write_bytes(data)
    with pytest.raises(DatasetDamagedError, match=r"secret\.zip is neither a folder nor .* without a password"):
        load_labelled_set(path, read_cell)


def test_paths_that_the_system_refuses_are_said_so(tmp_path):
    long = "x" * 300 + ".png"
    with pytest.raises(DatasetNotFoundError, match="no labelled set"):
        load_labelled_set(tmp_path / long, read_cell)
    folder = make_set(tmp_path / "set", f"file,class_name\n{long},monocyte\n")
    with pytest.raises(DatasetDamagedError, match=r"cannot be read \(File name too long\)"):
        load_labelled_set(folder, read_cell)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    folder = make_set(tmp_path / "set", "file,class_name\nlink.png,monocyte\n")
    (tmp_path / "outside.png").write_bytes(png(make_pixels(5)))
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(DatasetDamagedError, match="no file"):
        load_labelled_set(folder, read_cell)


def test_what_is_no_set_is_said_so(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no zip")
    for path, error in (
        ("missing", DatasetNotFoundError),
        ("empty", DatasetNotFoundError),
        ("text.zip", DatasetDamagedError),
    ):
        with pytest.raises(error):
            load_labelled_set(tmp_path / path, read_cell)


def test_the_original_samples_are_such_a_set(real_samples, real_dataset):
    """Each original gives exactly the pixels and the label of its row of the test split."""
    import csv

    images, labels = load_labelled_set(real_samples, read_cell)
    with open(real_samples / "labels.csv", encoding="utf-8") as stream:
        rows = [int(row["test_index"]) for row in csv.DictReader(stream)]
    test = load_split("test")
    np.testing.assert_array_equal(images, test.images[rows])
    np.testing.assert_array_equal(labels, test.labels[rows])

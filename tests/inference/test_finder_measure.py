"""The measuring of the finder, on marked fields written here with known hits and misses."""

import json

import pytest
from PIL import Image

from bloodcell.__main__ import main
from bloodcell.dataset import Box
from bloodcell.errors import ImageError
from bloodcell.inference.finder_measure import intersection_over_union, list_fields, measure_finder
from tests.made_smears import draw_smear


def write_field(folder, number, smear, marks) -> None:
    """Write a field and its marks as BCCD does."""
    for name in ("images", "annotations"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    Image.fromarray(smear.pixels).save(folder / "images" / f"Made_{number:05d}.png")
    objects = "".join(
        f"<object><name>{what}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax>"
        "</bndbox></object>"
        for what, (x, y, w, h) in marks
    )
    (folder / "annotations" / f"Made_{number:05d}.xml").write_text(f"<annotation>{objects}</annotation>")


@pytest.fixture
def marked_fields(tmp_path):
    """Two fields: all found in the odd one; in the even one a mark where nothing is, and a cell without a mark."""
    first = draw_smear(white_cells=((80.0, 90.0), (230.0, 160.0)), platelets=((160.0, 40.0),))
    x, y, width, height = first.platelets[0]
    platelet = (x - 2, y - 2, width + 4, height + 4)  # marked with some room, as people do
    marks = [("WBC", box) for box in first.white_cells] + [("Platelets", platelet), ("RBC", (0, 0, 9, 9))]
    write_field(tmp_path, 1, first, marks)
    second = draw_smear(white_cells=((80.0, 90.0), (230.0, 160.0), (14.0, 200.0)))
    marks = [("WBC", second.white_cells[0]), ("WBC", (150, 20, 60, 60)), ("WBC", second.white_cells[2])]
    write_field(tmp_path, 2, second, marks)
    return tmp_path


def test_hits_misses_and_false_boxes_are_counted(marked_fields):
    """Each half is counted on its own, cells at the border apart, and every box once."""
    steps = []
    found = measure_finder(marked_fields, lambda *step: steps.append(step))
    assert [step[:2] for step in steps] == [(1, 2), (2, 2)]
    odd, even = found["halves"]["odd"], found["halves"]["even"]
    assert odd["white_cells_inside"] == odd["white_cells_inside_found"] == 2
    assert odd["share_of_white_cells_found"] == 1.0
    assert odd["boxes"] == 3 and odd["boxes_on_neither"] == 0 and odd["platelets_found"] == 1
    assert even["white_cells_inside"] == 2 and even["white_cells_inside_found"] == 1
    assert even["white_cells_at_border"] == even["white_cells_at_border_found"] == 1
    assert even["boxes"] == 3 and even["boxes_on_white_cells"] == 2
    assert even["boxes_on_neither"] == even["nucleated_boxes_on_neither"] == 1
    assert even["boxes_on_neither_per_image"] == 1.0
    json.dumps(found, allow_nan=False)


def test_one_half_and_few_images(marked_fields):
    """A half without images has no shares, and no half is counted that was not asked for."""
    (marked_fields / "annotations" / "Made_00002.xml").unlink()
    assert list(measure_finder(marked_fields, halves=("odd",))["halves"]) == ["odd"]
    even = measure_finder(marked_fields, halves=("even",), max_images=5)["halves"]["even"]
    assert even["images"] == 0 and even["share_of_white_cells_found"] is None


def test_marks_are_read_with_their_numbers(marked_fields):
    """Fields come by number, with every mark."""
    fields = list_fields(marked_fields)
    assert [field.number for field in fields] == [1, 2]
    assert fields[0].marks[-1] == ("RBC", Box(0, 0, 9, 9))


def test_folders_without_marked_fields_are_refused(tmp_path, marked_fields):
    """An empty folder and a damaged annotation are told in a sentence that names them."""
    with pytest.raises(ImageError, match="no marked smear field"):
        list_fields(tmp_path / "images")
    (marked_fields / "annotations" / "Made_00001.xml").write_text("<annotation><object>")
    with pytest.raises(ImageError, match="Made_00001"):
        list_fields(marked_fields)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Box(0, 0, 10, 10), Box(0, 0, 10, 10), 1.0),
        (Box(0, 0, 10, 10), Box(5, 0, 10, 10), 1 / 3),
        (Box(0, 0, 10, 10), Box(10, 0, 10, 10), 0.0),
        (Box(0, 0, 10, 10), Box(2, 2, 5, 4), 0.2),
    ],
)
def test_overlap_by_hand(one, other, expected):
    """Four pairs of boxes whose overlap is plain."""
    assert intersection_over_union(one, other) == pytest.approx(expected)
    assert intersection_over_union(other, one) == pytest.approx(expected)


def test_the_command_prints_json_alone(marked_fields, monkeypatch, capsys):
    """`measure finder --json` writes one JSON value on standard output, the framing left out without originals."""
    monkeypatch.setenv("BLOODCELL_FIELDS", str(marked_fields))
    assert main(["measure", "finder", "--json"]) == 0
    captured = capsys.readouterr()
    record = json.loads(captured.out)
    assert record["halves"]["odd"]["images"] == 1 and record["framing"] is None
    assert "framing is left out" in captured.err


def test_the_command_prints_a_table_of_fields_and_framing(marked_fields, monkeypatch, capsys, tmp_path):
    """Without --json a table per part."""
    originals = tmp_path / "originals"
    originals.mkdir()
    Image.fromarray(draw_smear(360, 363, white_cells=((180.0, 181.0),)).pixels).save(originals / "one.png")
    monkeypatch.setenv("BLOODCELL_FIELDS", str(marked_fields))
    monkeypatch.setenv("BLOODCELL_SAMPLES", str(originals))
    assert main(["measure", "finder"]) == 0
    printed = capsys.readouterr().out
    assert "not tuned on" in printed and "50.00 %" in printed and "crop of 240" in printed


def test_the_command_without_fields_says_what_to_set(capsys):
    """No folder, a sentence and exit code 1."""
    assert main(["measure", "finder"]) == 1
    assert "BLOODCELL_FIELDS" in capsys.readouterr().err

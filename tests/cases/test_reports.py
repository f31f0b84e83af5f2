"""What leaves the program: complete, honest about its origin, harmless to a spreadsheet, readable in every script."""

import csv
import io
import json
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader

from bloodcell.cases import DISCARDED, OTHER, Choice, decode_pixels
from bloodcell.cases import fonts as fonts_module
from bloodcell.cases.fonts import choose_fonts
from bloodcell.cases.pdf import write_pdf
from bloodcell.cases.reports import (
    RESEARCH_USE,
    write_cells_csv,
    write_differential_csv,
    write_json,
    write_labelled_set,
    write_safe_csv,
)
from bloodcell.dataset import CLASS_NAMES, load_labelled_set
from bloodcell.inference.classifier import read_cell
from tests.made_cases import FINGERPRINT, MODEL, make_answer, make_image

ODD = "Präparat № 7 / Жаба Ω 血液 — O'Neil"
FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\u00a0=1",
    "＝1",
    "＋1",
    "－1",
    "＠x",
    "=cmd|' /C calc'!A0",
]


@pytest.fixture(scope="module")
def typefaces(tmp_path_factory):
    """A cache that all tests here share, so that the typeface is cut out once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def shared_cache(monkeypatch, typefaces):
    monkeypatch.setenv("BLOODCELL_CACHE", str(typefaces))


@pytest.fixture
def database(tmp_path):
    """Reports do not depend on the kind of database; SQLite is enough."""
    from sqlalchemy.engine import make_url

    return make_url(f"sqlite:///{tmp_path / 'cases.sqlite'}")


@pytest.fixture
def reviewed(store):
    """A case with one cell of every kind: confirmed, reclassified, other, discarded, commented, unreviewed, refused."""
    case_id = store.create_case(ODD, "Ana", notes="=2+5 first line\nsecond line")
    labels = ["neutrophil", "lymphocyte", "monocyte", "eosinophil", "platelet", "erythroblast", None]
    answers = [[make_answer(label, status="ok" if label else "unfamiliar")] for label in labels]
    store.add_images(case_id, [make_image(n) for n in range(7)], answers, "Ana")
    cells = store.load_case(case_id).cells
    choices = [
        Choice(cells[0].id, "neutrophil"),
        Choice(cells[1].id, "monocyte"),
        Choice(cells[2].id, OTHER, '=HYPERLINK("x")'),
        Choice(cells[3].id, DISCARDED),
        Choice(cells[4].id, "platelet"),
    ]
    store.decide(case_id, choices, "Ana", 8)
    store.comment(case_id, [cells[0].id], "@nice", "Ben")
    store.set_white_count(case_id, 6.5, "Ana")
    return store.load_case(case_id)


def read_pdf(data: bytes) -> tuple[PdfReader, str]:
    reader = PdfReader(io.BytesIO(data))
    return reader, "\n".join(page.extract_text() for page in reader.pages)


def test_the_pdf_says_what_the_case_says(store, reviewed):
    reader, _ = read_pdf(write_pdf(reviewed, store.load_pictures(reviewed.id)))
    summary, *others = (page.extract_text() for page in reader.pages)
    gallery = "\n".join(others)
    assert "Gallery" not in summary and others[0].startswith("Gallery"), "one page of summary, then the gallery"
    for words in (RESEARCH_USE, "7 cells, 5 reviewed", "Open, not signed", MODEL, FINGERPRINT[:16], "coverage 0.99"):
        assert words in summary
    assert "Erythroblasts: 1, 33.3 per 100 white cells" in summary and "White count as entered: 6.5" in summary
    assert "Only 3 white cells" in summary and "Preliminary" in summary
    assert "33.3" in summary and "6.1 to 79.2" in summary, "one of three with its Wilson interval"
    assert "second line" in summary
    for number in range(1, 8):
        assert f"no. {number}" in gallery
    assert "model: lymphocyte 90.0 %" in gallery and "reclassified by Ana" in gallery
    assert "Remarks" in gallery and re.search(r"no\. 1 \(neutrophil\) +Ben, .*: @nice", gallery)
    assert re.search(r"no\. 3 \(other or abnormal\) +Ana, .*HYPERLINK", gallery) and "Decisions by Ana 5." in summary
    assert "HYPERLINK" in gallery and "unfamiliar" in gallery and "not reviewed" in gallery
    assert all(RESEARCH_USE in page.extract_text() for page in reader.pages)
    assert not reader.pages[0].images
    assert sum(len(page.images) for page in reader.pages) == 7


def test_the_pdf_names_all_who_decided(store):
    """With their addresses two names fill a line: none is cut off."""
    case_id = store.create_case("shared", "Ana")
    store.add_images(case_id, [make_image(n) for n in range(3)], [[make_answer("monocyte")]] * 3, "Ana")
    people = [
        f"Dr. {name} Longname <{name.lower()}.longname@haematology.example.org>" for name in ("Ana", "Ben", "Cem")
    ]
    for cell, who in zip(store.load_case(case_id).cells, people, strict=True):
        store.decide(case_id, [Choice(cell.id, "monocyte")], who, store.newest_record(case_id))
    text = read_pdf(write_pdf(store.load_case(case_id), {}))[0].pages[0].extract_text()
    assert all(f"{who} 1" in " ".join(text.split()) for who in people)


def test_the_pdf_shows_the_pixels_themselves(store, reviewed):
    """Every pixel of the cell as a square of four by four, nothing smoothed, nothing lossy."""
    pictures = store.load_pictures(reviewed.id)
    reader, _ = read_pdf(write_pdf(reviewed, pictures))
    drawn = [np.array(image.image.convert("RGB")) for page in reader.pages for image in page.images]
    wanted = [np.kron(decode_pixels(data), np.ones((4, 4, 1), np.uint8)) for data in pictures.values()]
    for pixels in wanted:
        assert any(np.array_equal(pixels, other) for other in drawn)


def test_a_signed_case_without_pictures_is_reported(store, reviewed):
    cells = store.load_case(reviewed.id).cells
    store.decide(reviewed.id, [Choice(c.id, "basophil") for c in cells], "Ana", store.newest_record(reviewed.id))
    store.sign_off(reviewed.id, "Dr. Ana Ruiz", keep_images=False, seen=store.newest_record(reviewed.id))
    case = store.load_case(reviewed.id)
    reader, text = read_pdf(write_pdf(case, store.load_pictures(case.id)))
    assert "Signed by Dr. Ana Ruiz, 20" in text and "dropped at sign-off" in text and "Preliminary" not in text
    assert not reader.pages[1].images
    assert json.loads(write_json(case))["case"]["signed_by"] == "Dr. Ana Ruiz"


def test_the_summary_is_one_page_whatever_is_in_it(store):
    """Long notes, long names, many models, every finer type, many kinds of other cells: nothing runs off the page."""
    case_id = store.create_case("W" * 120, "A" * 200, notes="very long words " * 600)
    images, answers = [], []
    finer = ["band neutrophil", "segmented neutrophil", "promyelocyte", "myelocyte", "metamyelocyte"]
    for number in range(40):
        label = "neutrophil" if number % 5 < 2 else "immature granulocyte"
        answer = make_answer(label, finer_label=finer[number % 5], versions={f"package{n}": "1.2.3" for n in range(30)})
        images.append(make_image(number))
        answers.append([type(answer)(f"model_{number % 6}", FINGERPRINT, "ok", label, 0.9, (label,), answer.details)])
    store.add_images(case_id, images, answers, "Ana")
    cells = store.load_case(case_id).cells
    others = [Choice(cell.id, OTHER, f"kind {n} " + "x" * 300) for n, cell in enumerate(cells[20:30])]
    store.decide(case_id, others, "Ana", store.newest_record(case_id))
    store.set_white_count(case_id, 6.5, "Ana")
    case = store.load_case(case_id)
    reader, _ = read_pdf(write_pdf(case, store.load_pictures(case_id)))
    lowest = []
    reader.pages[0].extract_text(visitor_text=lambda text, cm, tm, font, size: lowest.append((tm[5], text.strip())))
    points = [(height, text) for height, text in lowest if text]
    foot = [text for height, text in points if height < 40]
    assert all(height > 15 for height, _ in points)
    assert "Page 1 of" in " ".join(foot) and "Adult reference" not in " ".join(foot)
    assert sorted(height for height, _ in points if height >= 40)[0] > 42, "the last line keeps clear of the foot"
    assert "Gallery" in reader.pages[1].extract_text()


def test_a_summary_that_is_too_long_ends_on_a_page_of_its_own(store):
    """Many reopenings, models and remarks: what does not fit goes to the next page instead of into the foot."""
    case_id = store.create_case("busy", "Ana", notes="long words " * 600)
    finer = ["band neutrophil", "segmented neutrophil", "promyelocyte", "myelocyte", "metamyelocyte"]
    labels = ["neutrophil" if n % 5 < 2 else "immature granulocyte" for n in range(40)]
    versions = {f"package{n}": "1.2.3" for n in range(30)}
    answers = [
        [make_answer(label, finer_label=finer[n % 5], versions=versions, thresholds={"coverage": n % 6})]
        for n, label in enumerate(labels)
    ]
    store.add_images(case_id, [make_image(n) for n in range(40)], answers, "Ana")
    cells = store.load_case(case_id).cells
    others = [Choice(cell.id, OTHER, f"kind {n}") for n, cell in enumerate(cells[:7])]
    rest = [Choice(cell.id, "erythroblast" if n == 8 else str(cell.answer.label)) for n, cell in enumerate(cells[7:])]
    store.decide(case_id, [*others, *rest], "Ana", store.newest_record(case_id))
    store.set_white_count(case_id, 6.5, "Ana")
    for number in range(3):
        store.sign_off(case_id, "Dr. Ruiz", True, store.newest_record(case_id))
        store.reopen(case_id, "Ana", f"reason {number}")
    reader, _ = read_pdf(write_pdf(store.load_case(case_id), {}))
    first, second, third, *_ = (page.extract_text() for page in reader.pages)
    assert "Adult reference ranges" in second and "reason 2" in second and "Gallery" in third
    assert "Adult reference ranges" not in first and "Notes" in first
    for page in reader.pages[:2]:
        heights: list[float] = []
        page.extract_text(
            visitor_text=lambda text, cm, tm, font, size, into=heights: into.append(tm[5]) if text.strip() else None
        )
        assert min(height for height in heights if height >= 40) > 42, "nothing runs into the foot"


def test_every_cell_is_in_the_gallery_however_many_there_are(store):
    case_id = store.create_case("many", "Ana")
    labels = [CLASS_NAMES[n % 8] for n in range(97)]
    store.add_images(case_id, [make_image(n) for n in range(97)], [[make_answer(label)] for label in labels], "Ana")
    reader, text = read_pdf(write_pdf(store.load_case(case_id), store.load_pictures(case_id)))
    assert {int(n) for n in re.findall(r"no\. (\d+) ", text)} == set(range(1, 98))
    assert sum(len(page.images) for page in reader.pages) == 97


def test_what_no_font_draws_is_written_as_its_code(store, reviewed, monkeypatch):
    """Without any font of the machine's, letters of the dashboard's typeface stay and the rest is spelled out."""
    monkeypatch.setattr(fonts_module, "_system_fonts", lambda: ())
    _, text = read_pdf(write_pdf(reviewed, {}))
    assert "Präparat № 7 / Жаба Ω [U+8840][U+6DB2] — O'Neil" in text


def test_with_nothing_but_the_pdf_standards_font_a_report_is_still_made(store, reviewed, monkeypatch):
    monkeypatch.setattr(fonts_module, "_system_fonts", lambda: ())
    monkeypatch.setattr(fonts_module, "_source_sans", lambda: None)
    _, text = read_pdf(write_pdf(reviewed, store.load_pictures(reviewed.id)))
    assert "Präparat [U+2116] 7 / [U+0416]" in text and "[U+8840][U+6DB2] - O'Neil" in text
    assert RESEARCH_USE in text and "2.0-7.0" in text


def test_fonts_differ_for_different_identifiers():
    """Whatever can be drawn, no two identifiers look the same."""
    fonts = choose_fonts("abc")
    assert fonts.write("血") != fonts.write("液") and fonts.write("血") in ("血", "[U+8840]")
    assert fonts.write("a\nb") == "a\nb"
    assert fonts_module._main_typeface()[0].is_file()


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_is_a_formula(text):
    """By OWASP's list, full-width forms and blanks before them included; what is harmless stays as it is."""
    written = write_safe_csv(("a", "b"), [{"a": text, "b": "harmless - text = 1"}]).decode("utf-8-sig")
    row = list(csv.reader(io.StringIO(written, newline="")))[1]
    assert row == [f"'{text}", "harmless - text = 1"]


def test_numbers_stay_numbers_in_a_csv():
    written = write_safe_csv(("a", "b"), [{"a": -1.5, "b": 3}]).decode("utf-8-sig")
    assert written.splitlines()[1] == "-1.5,3"


def test_every_text_of_a_user_is_harmless_in_the_csv(store, reviewed):
    for data in (write_cells_csv(reviewed), write_differential_csv(reviewed)):
        assert data.startswith(b"\xef\xbb\xbf"), "spreadsheets know by this mark that it is UTF-8"
        for row in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")):
            assert not any(value.startswith(("=", "+", "@")) for value in row)


def test_the_csv_has_one_row_per_cell_with_everything_on_it(reviewed):
    table = pd.read_csv(io.BytesIO(write_cells_csv(reviewed)), keep_default_na=False)
    assert table["cell"].tolist() == list(range(1, 8))
    assert table["label"].tolist() == [
        "neutrophil", "monocyte", OTHER, DISCARDED, "platelet", "erythroblast", "",
    ]  # fmt: skip
    assert table["model_label"].tolist()[1] == "lymphocyte" and table["action"].tolist()[1] == "reclassified"
    assert set(table["case"]) == {ODD} and set(table["notice"]) == {RESEARCH_USE}
    assert set(table["model"]) == {MODEL} and set(table["model_fingerprint"]) == {FINGERPRINT}
    assert all(text == "coverage 0.99" for text in table["model_thresholds"])
    assert all("numpy" in text and "python" in text for text in table["versions"])
    assert table["image_hash"].tolist() == [cell.image_hash for cell in reviewed.cells]
    assert table["comments"].tolist()[0] == "Ben: @nice"


def test_the_differential_csv_adds_up(reviewed):
    table = pd.read_csv(io.BytesIO(write_differential_csv(reviewed)), keep_default_na=False)
    white = table[table["unit"] == "% of white cells"]
    assert white["value"].astype(float).sum() == pytest.approx(100, abs=1e-3)
    assert white["count"].sum() == 3
    assert set(table["notice"]) == {RESEARCH_USE}
    assert '\'=HYPERLINK("x")' in set(table["type"])
    assert set(table["models"]) == {f"{MODEL} {FINGERPRINT}, 7 cells"} and set(table["thresholds"]) == {"coverage 0.99"}
    assert all("numpy" in text for text in table["versions"])
    assert set(table["white_count_10e9_per_litre"].astype(float)) == {6.5} and set(table["signed_by"]) == {""}


def test_the_json_holds_the_whole_history(reviewed):
    report = json.loads(write_json(reviewed))
    assert report["notice"] == RESEARCH_USE
    assert report["case"]["identifier"] == ODD
    assert [record["number"] for record in report["records"]] == list(range(1, len(reviewed.records) + 1))
    assert report["models"] == [
        {
            "model": MODEL,
            "fingerprint": FINGERPRINT,
            "num_cells": 7,
            "thresholds": {"coverage": 0.99},
            "versions": {"numpy": "2"},
            "num_views": 1,
        }
    ]
    assert report["differential"]["num_white"] == 3
    assert report["cells"][1]["decision"]["label"] == "monocyte"
    assert report["cells"][1]["model_answer"]["label"] == "lymphocyte"
    assert {"python", "numpy", "sqlalchemy", "fpdf2"} <= set(report["versions"])


def test_each_setting_of_a_model_is_reported_with_its_own_cells(store):
    """What was asked at another coverage, with more views or newer packages does not pass for the rest."""
    case_id = store.create_case("S", "Ana")
    later = {"thresholds": {"coverage": 0.9}, "versions": {"numpy": "3"}, "num_views": 8}
    answers = [[make_answer("neutrophil", **(later if number > 1 else {}))] for number in range(5)]
    store.add_images(case_id, [make_image(number) for number in range(5)], answers, "Ana")
    case = store.load_case(case_id)
    models = json.loads(write_json(case))["models"]
    assert [(one["num_cells"], one["thresholds"], one["versions"], one["num_views"]) for one in models] == [
        (3, {"coverage": 0.9}, {"numpy": "3"}, 8),
        (2, {"coverage": 0.99}, {"numpy": "2"}, 1),
    ]
    table = pd.read_csv(io.BytesIO(write_cells_csv(case)))
    assert table["model_views"].tolist() == [1, 1, 8, 8, 8]
    differential = pd.read_csv(io.BytesIO(write_differential_csv(case)))
    assert differential["models"][0] == (
        f"{MODEL} {FINGERPRINT}, 3 cells, mean of 8 views; {MODEL} {FINGERPRINT}, 2 cells"
    )
    assert differential["thresholds"][0] == "coverage 0.9 | coverage 0.99"
    _, text = read_pdf(write_pdf(case, {}))
    assert "3 cells, mean of 8 views. Thresholds: coverage 0.9." in text
    assert "2 cells. Thresholds: coverage 0.99." in text


def test_corrections_come_back_as_a_labelled_set(store, reviewed, tmp_path):
    """What is exported is what `load_labelled_set` reads: the pixels that were judged, with the person's labels."""
    path = tmp_path / "set.zip"
    path.write_bytes(write_labelled_set([(reviewed, store.load_pictures(reviewed.id))]))
    images, labels = load_labelled_set(path, read_cell)
    assert [CLASS_NAMES[label] for label in labels] == ["neutrophil", "monocyte", "platelet"]
    for image, number in zip(images, (0, 1, 4), strict=True):
        np.testing.assert_array_equal(image, make_image(number).pixels)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "set")
        assert ODD not in " ".join(archive.namelist()), "a set that is shared does not tell whose cells they are"
    again = load_labelled_set(tmp_path / "set", read_cell)
    np.testing.assert_array_equal(again[0], images)
    np.testing.assert_array_equal(again[1], labels)
    path.write_bytes(write_labelled_set([(reviewed, store.load_pictures(reviewed.id))], corrections_only=True))
    assert [CLASS_NAMES[label] for label in load_labelled_set(path, read_cell)[1]] == ["monocyte"]

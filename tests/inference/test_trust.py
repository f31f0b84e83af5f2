"""The records behind the Trust page: every count can be redone by hand, and every record says where it comes from."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from bloodcell.artifact import add_file, load_artifact, load_shelf
from bloodcell.dataset import CLASS_NAMES, Split, hash_images, load_split, prepare_images
from bloodcell.dataset.images import Box
from bloodcell.evaluation import wilson_interval
from bloodcell.inference import load_engine, trust
from bloodcell.inference.corruptions import SEVERITIES, corrupt_images
from bloodcell.inference.guard import Guard, GuardParameters
from bloodcell.inference.guard_fit import fit_guard
from bloodcell.inference.robustness import choose_study_best, measure_robustness
from bloodcell.inference.unseen import leave_out, measure_left_out


@pytest.fixture(scope="module")
def guard(pooled_artifacts_folder, small_dataset_file, tmp_path_factory) -> Guard:
    """A fitted guard; the small val split is too small for 99 % coverage, so its scores are spread by hand."""
    folder = tmp_path_factory.mktemp("trusted") / "artifacts"
    shutil.copytree(pooled_artifacts_folder, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOODCELL_DATA", str(small_dataset_file))
        fitted = fit_guard(load_artifact("hemanet_nano", folder), load_split("train"), load_split("val"))
    values = vars(fitted.parameters) | {"true_scores": np.linspace(0.2, 1, 2000)}
    return Guard(GuardParameters(**values), fitted.artifact, fitted.engine)


@pytest.fixture
def test_split(small_dataset):
    return load_split("test")


@pytest.fixture
def fields(tmp_path, drawn_cells):
    """Four smear fields, 200 x 160 pixels, each with a marked white cell, a red cell and one red cell too close."""
    folder = tmp_path / "smears"
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for number in range(4):
        field = np.full((160, 200, 3), 210, np.uint8)
        field[40:104, 20:84] = drawn_cells[number] // 2 + 60
        field[60:90, 140:170] = (200, 160, 155)
        Image.fromarray(field).save(folder / "images" / f"smear_{number:05}.png")
        marks = (("WBC", 20, 40, 84, 104), ("RBC", 140, 60, 170, 90), ("RBC", 80, 90, 110, 120), ("WBC", 0, 0, 9, 9))
        objects = "".join(
            f"<object><name>{what}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax>"
            f"<ymax>{bottom}</ymax></bndbox></object>"
            for what, left, top, right, bottom in marks
        )
        (folder / "annotations" / f"smear_{number:05}.xml").write_text(f"<annotation>{objects}</annotation>")
    return folder


def test_shares_come_with_counts_and_wilsons_interval():
    assert trust.share(97, 100) == {"count": 97, "n": 100, "share": 0.97, "interval": wilson_interval(97, 100)}
    assert trust.share(0, 0) == {"count": 0, "n": 0, "share": None, "interval": None}


def test_cells_are_counted_as_the_guard_decides(guard, test_split):
    record = trust.measure_cells(guard, test_split)
    examined = guard.examine(test_split.images)
    answered = np.array([one.status == "ok" for one in examined])
    y_pred = guard.engine.compute_logits(prepare_images(test_split.images)).argmax(axis=1)
    assert record["n"] == 48
    assert 0 < record["answered"]["count"] == answered.sum()
    assert record["right"]["count"] == (answered & (y_pred == test_split.labels)).sum()
    assert record["errors"]["all"] == (y_pred != test_split.labels).sum()
    assert sum(record["statuses"].values()) == 48
    assert [one["name"] for one in record["per_class"]] == list(CLASS_NAMES)
    for key in ("answered", "right"):
        assert sum(one[key]["count"] for one in record["per_class"]) == record[key]["count"]
    for one in record["examples"]:
        row = one["row"]
        assert one["hash"] == f"{int(hash_images(test_split.images[row : row + 1])[0]):016x}"
        assert one["status"] == examined[row].status
        assert one["label"] == CLASS_NAMES[test_split.labels[row]]
        if one["status"] == "ok":
            assert y_pred[row] != test_split.labels[row]


def test_coverage_counts_sets_that_hold_the_label(guard, test_split):
    records = trust.measure_coverages(guard, test_split)
    assert [one["coverage"] for one in records] == list(trust.COVERAGES)
    for one in records:
        answered = [each.status == "ok" for each in guard.examine(test_split.images, one["coverage"])]
        assert one["answered"]["count"] == sum(answered), "what the page promises is what the guard does"
        assert sum(each["count"] for each in one["per_class"]) == one["covered"]["count"]
        assert one["mean_size"] >= 1
    examined = guard.examine(test_split.images)
    default = next(one for one in records if one["coverage"] == trust.COVERAGE)
    assert default["answered"]["count"] == sum(one.status == "ok" for one in examined)
    reached = [one.possible for one in examined]
    held_where_reached = sum(label in possible for label, possible in zip(test_split.labels, reached, strict=True))
    assert default["covered"]["count"] >= held_where_reached


def test_fields_are_cut_out_halved_and_counted(guard, fields):
    record = trust.measure_fields(guard, fields)
    assert record["source"] == "smears"
    assert [one["margin"] for one in record["framings"]["even"]] == list(trust.CROP_MARGINS)
    assert record["white_cells"] == record["framings"]["even"][0]
    for half in ("even", "odd"):
        for one in record["framings"][half]:
            assert one["refused"]["n"] == 2  # the mark of 9 pixels is too small to judge
            assert sum(one["statuses"].values()) == 2
    assert record["red_cells"]["refused"]["n"] == 2  # the red cell that touches a white cell's mark is left out
    assert [one["image"] for one in record["examples"]] == ["smear_00000.png", "smear_00002.png"]
    assert record["examples"][0]["box"] == [20, 40, 64, 64]


def test_a_crop_is_centred_and_stays_inside():
    pixels = np.zeros((100, 120, 3), np.uint8)
    pixels[40:60, 50:70] = 255
    inside = trust.cut_crop(pixels, Box(50, 40, 20, 20), 2.0)
    assert inside.shape == (64, 64, 3)
    assert inside[32, 32, 0] == 255
    assert inside[:8].max() == 0
    assert (inside[..., 0] > 127).mean() == pytest.approx(0.25, abs=0.03)
    corner = trust.cut_crop(pixels, Box(0, 0, 90, 99), 1.5)
    assert corner.shape == (64, 64, 3)


def test_pictures_without_a_cell_are_counted_by_kind(guard, test_split):
    record = trust.measure_noncells(guard, test_split, 3)
    surroundings = trust.mirror_corners(test_split)
    counts = {one["name"]: one["refused"]["n"] for one in record["kinds"]}
    assert counts.pop(trust.SURROUNDINGS) == len(surroundings)
    assert set(counts.values()) == {3}
    assert record["refused"]["n"] == sum(one["refused"]["n"] for one in record["kinds"])
    assert record["refused"]["count"] == sum(one["refused"]["count"] for one in record["kinds"])
    assert record["refused"]["share"] > 0.9


def test_surroundings_are_mirrored_corners_without_anything_dark(test_split):
    """Here the smallest discs stand for platelets, and one of them has something dark in its corner."""
    images = test_split.images[test_split.labels == 0].copy()
    images[2, 3, 5] = (90, 40, 120)
    platelets = Split("test", images, np.full(len(images), CLASS_NAMES.index("platelet")), test_split.identity)
    side = trust.CORNER_SIDE
    found = trust.mirror_corners(platelets)
    kept = [image[:side, :side] for index, image in enumerate(images) if index != 2]
    assert len(found) == len(kept) == 5
    np.testing.assert_array_equal(found[:, :side, :side], np.stack(kept))
    np.testing.assert_array_equal(found[0, :side, side : 2 * side], kept[0][:, ::-1])
    np.testing.assert_array_equal(found[0, side : 2 * side, :side], kept[0][::-1])
    assert found.shape[1:] == (64, 64, 3)


def test_the_whole_record_says_where_it_comes_from_and_is_json(guard, test_split, fields, tmp_path):
    record = trust.measure_trust(guard, test_split, fields, num_per_kind=2)
    path = trust.save_record(record, trust.TRUST_FILE, tmp_path)
    assert json.loads(path.read_text()) == json.loads(json.dumps(record))
    loaded = trust.load_record(trust.TRUST_FILE, tmp_path)
    assert loaded["model"]["fingerprint"] == guard.artifact.fingerprint
    assert loaded["dataset"]["md5"] == test_split.identity.md5
    assert trust.is_current(loaded, guard.artifact)
    assert loaded["noncells"]["kinds"][-1]["refused"] == loaded["fields"]["red_cells"]["refused"]
    without = trust.measure_trust(guard, test_split, None, num_per_kind=1)
    assert without["fields"] is None


def test_a_record_is_current_while_weights_and_guard_are(guard, test_split, tmp_path):
    origin = trust.describe_origin(guard.artifact, test_split.identity)
    shutil.copytree(guard.artifact.directory, tmp_path / "hemanet_nano")
    copy = load_artifact("hemanet_nano", tmp_path)
    assert trust.is_current(origin, copy)
    assert trust.is_current(origin, add_file(copy, "note.txt", b"nothing that decides"))
    assert not trust.is_current(origin, add_file(copy, "guard.npz", b"another guard"))
    assert not trust.is_current(origin, None)


def test_records_that_cannot_be_read_count_as_none(tmp_path, caplog):
    assert trust.load_record("trust.json", tmp_path) is None
    for text in ("{", "[]", '{"date": 1}'):
        (tmp_path / "trust.json").write_text(text)
        assert trust.load_record("trust.json", tmp_path) is None
    assert "measure again" in caplog.text


def test_spoiled_images_are_counted_for_every_model_under_one_guard(guard, test_split, small_artifacts):
    other = load_artifact("cnn_3")
    engine = load_engine(other)
    record = measure_robustness(guard, [(other, engine)], test_split, corruptions=("blur", "darker"))
    rows = {(row["model"], row["corruption"], row["severity"]): row for row in record["rows"]}
    assert len(rows) == 2 * (1 + 2 * len(SEVERITIES))
    assert [one["name"] for one in record["models"]] == ["hemanet_nano", "cnn_3"]
    for name, severity in ((None, 0), ("blur", 2), ("darker", 4)):
        images = test_split.images if name is None else corrupt_images(test_split.images, name, severity)
        answered = np.array([one.status == "ok" for one in guard.examine(images)])
        y_pred = engine.compute_logits(prepare_images(images)).argmax(axis=1)
        row = rows["cnn_3", name, severity]
        assert row["accuracy"]["count"] == (y_pred == test_split.labels).sum()
        assert row["refused"]["count"] == (~answered).sum()
        assert row["wrong_answers"]["count"] == (answered & (y_pred != test_split.labels)).sum()
        assert row["wrong_answers"]["n"] == answered.sum()
        assert rows["hemanet_nano", name, severity]["refused"] == row["refused"]
    assert rows["cnn_3", "darker", 5]["refused"]["share"] == 1
    json.dumps(record)


def test_the_studys_best_is_chosen_on_val(small_artifacts, pooled_artifacts_folder):
    shelf = load_shelf()
    best = choose_study_best(shelf)
    expected = max(shelf.artifacts.values(), key=lambda artifact: artifact.load_evaluation("val")["accuracy"])
    assert best.name == expected.name
    assert choose_study_best(load_shelf(pooled_artifacts_folder)) is None


def test_a_type_can_be_left_out(test_split):
    kept = leave_out(test_split, 3)
    assert kept.num_images == 42
    assert 3 not in kept.labels
    assert kept.identity.md5 != test_split.identity.md5
    assert "without immature granulocyte" in kept.identity.label


def test_a_left_out_type_is_measured_under_its_own_guard(pooled_artifacts, small_dataset):
    from bloodcell.artifact import load_model

    run = load_artifact("hemanet_nano")
    train, val, test = (load_split(name) for name in ("train", "val", "test"))
    kept_train, kept_val = leave_out(train, 5), leave_out(val, 5)
    record = measure_left_out(load_model(run), run, 5, kept_train, kept_val, test)
    assert record["name"] == "monocyte"
    assert record["refused"]["n"] == 6
    assert sum(record["statuses"].values()) == 6
    assert record["refused"]["count"] == 6 - record["statuses"]["ok"]
    assert sum(record["called"].values()) == record["statuses"]["ok"]
    assert record["known_answered"]["n"] == 42

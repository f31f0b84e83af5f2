"""Measures when the default model should be believed: with all its guards on, on cells, foreign cells and no cells.

Each record is plain JSON beside the artifacts, names the model by its fingerprint, the data and the day, and counts
images, so that every share and interval on a page can be redone by hand. Nothing measured here sets a limit.
"""

import datetime
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image

from bloodcell.artifact import Artifact
from bloodcell.artifact.store import WEIGHTS_FILE
from bloodcell.dataset import CLASS_NAMES, INPUT_SIZE, DatasetIdentity, Split, hash_images, prepare_images
from bloodcell.dataset.images import Box
from bloodcell.evaluation import softmax, wilson_interval
from bloodcell.files import artifacts_directory, write_atomically
from bloodcell.inference.guard import GUARD_FILE, Examination, Guard, Verdict, list_answered
from bloodcell.inference.guard_fit import FEATURE_TAIL, PIXEL_TAIL
from bloodcell.inference.images import read_image_file
from bloodcell.inference.noncells import draw_noncells
from bloodcell.inference.prediction_sets import COVERAGE, COVERAGES, threshold_of_scores
from bloodcell.inference.record_checks import check_record
from bloodcell.inference.views import compute_view_probabilities

logger = logging.getLogger(__name__)

TRUST_FILE = "trust.json"
ROBUSTNESS_FILE = "robustness.json"
UNSEEN_FILE = "unseen.json"
STATUSES: tuple[str, ...] = get_args(Verdict)
NUM_PER_KIND = 100
NONCELL_SEED = 2026
CROP_MARGINS = (1.5, 1.0, 1.25)
"""Sides of the square around a marked cell, as multiples of the mark's longer side; the first is the one reported,
which shows about as much around a cell as the training images do."""
MOST_RED_CELLS = 1000
SURROUNDINGS = "red cells and ground of the training stain"
CORNER_SIDE = 22
"""Side of the corner of an image that is mirrored, pixels; platelets lie in the middle."""
PALEST_DARK = 130
"""Green value below which a pixel may belong to a nucleus or a platelet; red cells are paler."""
NUM_EXAMPLES = 12
SMALLEST_MARK = 16

OnProgress = Callable[[int, int, str], None]


def measure_trust(
    guard: Guard,
    test: Split,
    fields: Path | None = None,
    *,
    num_per_kind: int = NUM_PER_KIND,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Return the record of artifacts/trust.json.

    Args:
        guard: The default model's.
        test: The test split, or some of it.
        fields: Folder of smear fields with marked cells (BCCD); None leaves the foreign stain out.
        num_per_kind: Pictures without a cell of each kind.
    """
    report = on_progress or (lambda done, total, message: None)
    report(0, 4, f"Asking {guard.artifact.name} about {test.num_images} test cells.")
    record = describe_origin(guard.artifact, test.identity)
    record["coverage"] = COVERAGE
    looked_at = guard.parameters.knows_features
    record["limits"] = {
        "pixels_refuse_share_of_val": PIXEL_TAIL,
        "features_refuse_share_of_val": FEATURE_TAIL if looked_at else None,
    }
    record["test"] = measure_cells(guard, test)
    report(1, 4, "Counting how often the sets of possible types hold the right one.")
    record["coverages"] = measure_coverages(guard, test)
    report(2, 4, "Asking about cells of a foreign stain.")
    record["fields"] = None if fields is None else measure_fields(guard, fields)
    report(3, 4, "Asking about pictures without a cell.")
    record["noncells"] = measure_noncells(guard, test, num_per_kind, record["fields"])
    report(4, 4, "Measured.")
    return record


def describe_origin(artifact: Artifact, identity: DatasetIdentity) -> dict[str, Any]:
    """Return what a record says of where it comes from: date, model, dataset."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "model": describe_model(artifact),
        "dataset": {"kind": identity.kind, "md5": identity.md5, "label": identity.label},
    }


def describe_model(artifact: Artifact) -> dict[str, Any]:
    """Return what tells one state of a model from another: name, fingerprint, and the files that decide answers."""
    files = artifact.manifest.files
    deciding = {name: files[name] for name in (WEIGHTS_FILE, GUARD_FILE) if name in files}
    return {"name": artifact.name, "fingerprint": artifact.fingerprint, "files": deciding}


def is_current(record: dict[str, Any], artifact: Artifact | None) -> bool:
    """Whether a record was measured on the weights and the guard that a model has now."""
    return artifact is not None and record["model"].get("files") == describe_model(artifact)["files"]


def share(count: int, total: int) -> dict[str, Any]:
    """Return a count as a share with its Wilson 95 % interval: {count, n, share, interval}; shares of 0 are None."""
    interval = wilson_interval(count, total) if total else None
    return {"count": count, "n": total, "share": count / total if total else None, "interval": interval}


def count_statuses(examined: Iterable[Examination]) -> dict[str, int]:
    """Return how many images got each status, in the order of `STATUSES`."""
    counts: Counter[str] = Counter(one.status for one in examined)
    return {status: counts[status] for status in STATUSES}


def measure_cells(guard: Guard, split: Split) -> dict[str, Any]:
    """Return how many cells of a split are answered, and how many of those rightly, in all and by class."""
    examined = guard.examine(split.images)
    y_pred = guard.engine.compute_logits(prepare_images(split.images)).argmax(axis=1)
    answered = np.array([one.status == "ok" for one in examined])
    right = y_pred == split.labels
    per_class = [
        {
            "name": name,
            "answered": share(int((answered & mine).sum()), int(mine.sum())),
            "right": share(int((answered & right & mine).sum()), int((answered & mine).sum())),
            "statuses": count_statuses(one for one, is_mine in zip(examined, mine, strict=True) if is_mine),
        }
        for name, mine in ((name, split.labels == index) for index, name in enumerate(CLASS_NAMES))
    ]
    return {
        "n": split.num_images,
        "statuses": count_statuses(examined),
        "answered": share(int(answered.sum()), split.num_images),
        "right": share(int((answered & right).sum()), int(answered.sum())),
        "right_without_guard": share(int(right.sum()), split.num_images),
        "errors": {"all": int((~right).sum()), "answered": int((answered & ~right).sum())},
        "per_class": per_class,
        "examples": _list_cell_examples(split, examined, y_pred),
    }


def measure_coverages(guard: Guard, split: Split) -> list[dict[str, Any]]:
    """Return for each coverage on offer what the sets of a split hold, in all and by class, and what is answered.

    Coverage is counted over all cells, before the other guards: it is what the sets promise.
    """
    inputs = prepare_images(split.images)
    temperature = guard.artifact.manifest.temperature
    y_score = compute_view_probabilities(guard.engine, inputs, temperature)
    y_pred = softmax(guard.engine.compute_logits(inputs), temperature).argmax(axis=1)
    let_by = np.array([one.status in ("ok", "uncertain") for one in guard.examine(split.images)])
    right = y_pred == split.labels
    records = []
    for coverage in COVERAGES:
        threshold = threshold_of_scores(guard.parameters.true_scores, coverage)
        sets = [list_answered(one, answer, threshold) for one, answer in zip(y_score, y_pred.tolist(), strict=True)]
        covered = np.array([label in possible for label, possible in zip(split.labels.tolist(), sets, strict=True)])
        sizes = np.array([len(possible) for possible in sets])
        answered = let_by & (sizes == 1)
        records.append(
            {
                "coverage": coverage,
                "covered": share(int(covered.sum()), split.num_images),
                "mean_size": float(sizes.mean()),
                "answered": share(int(answered.sum()), split.num_images),
                "right": share(int((answered & right).sum()), int(answered.sum())),
                "per_class": [
                    {
                        "name": name,
                        **share(int(covered[split.labels == index].sum()), int((split.labels == index).sum())),
                    }
                    for index, name in enumerate(CLASS_NAMES)
                ],
            }
        )
    return records


def measure_fields(guard: Guard, folder: Path) -> dict[str, Any]:
    """Return how many marked cells of smear fields are not answered; even-numbered fields, odd ones beside.

    No limit was set on any of them; odd ones are kept apart because the finder was tuned on them.

    Raises:
        ImageError: The folder holds no marked field, or one cannot be read.
    """
    from bloodcell.inference.finder_measure import HALVES, WHITE_CELL, list_fields

    cells: dict[str, list[np.ndarray]] = {half: [] for half in HALVES}
    places: list[dict[str, Any]] = []
    red_cells: list[np.ndarray] = []
    for field in list_fields(folder):
        pixels = read_image_file(field.path, longest_side=None).pixels
        half = next(name for name, remainder in HALVES.items() if field.number % 2 == remainder)
        for what, box in field.marks:
            if min(box.width, box.height) < SMALLEST_MARK:
                continue
            if what == WHITE_CELL:
                cells[half].append(np.stack([cut_crop(pixels, box, margin) for margin in CROP_MARGINS]))
                if half == "even":
                    places.append({"image": field.path.name, "box": list(box)})
            elif what == "RBC" and half == "even" and not _touches_another(box, field.marks):
                red_cells.append(cut_crop(pixels, box, CROP_MARGINS[0]))
    step = max(1, len(red_cells) // MOST_RED_CELLS)
    chosen = red_cells[::step][:MOST_RED_CELLS]
    framings = {
        half: [
            {"margin": margin, **_count_refused(guard, [crops[index] for crops in ones])}
            for index, margin in enumerate(CROP_MARGINS)
        ]
        for half, ones in cells.items()
    }
    return {
        "source": folder.name,
        "white_cells": framings["even"][0],
        "framings": framings,
        "red_cells": _count_refused(guard, chosen),
        "examples": _list_field_examples(guard, [crops[0] for crops in cells["even"]], places),
    }


def measure_noncells(
    guard: Guard, split: Split, num_per_kind: int, fields: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return how many pictures without a cell are not answered, by kind.

    Besides what is drawn: the surroundings of a split's platelets, and the red cells that `measure_fields` found.
    """
    drawn = draw_noncells(num_per_kind, NONCELL_SEED)
    drawn[SURROUNDINGS] = mirror_corners(split)[:MOST_RED_CELLS]
    kinds = [{"name": kind, **_count_refused(guard, list(images))} for kind, images in drawn.items()]
    if fields is not None:
        kinds.append({"name": "red cells of foreign smears", **fields["red_cells"]})
    counts = {key: sum(kind["refused"][key] for kind in kinds) for key in ("count", "n")}
    return {
        "seed": NONCELL_SEED,
        "num_per_kind": num_per_kind,
        "refused": share(counts["count"], counts["n"]),
        "kinds": kinds,
    }


def mirror_corners(split: Split) -> np.ndarray:
    """Return what surrounds a split's platelets, mirrored to whole images, (n, 64, 64, 3) uint8.

    Each is made of the upper left corner of one image, where nothing in it is as dark as a nucleus or a platelet: red
    cells and empty ground in the stain of the training images.
    """
    corners = split.images[split.labels == CLASS_NAMES.index("platelet"), :CORNER_SIDE, :CORNER_SIDE]
    pale = corners[..., 1].min(axis=(1, 2)) >= PALEST_DARK
    doubled = np.concatenate([corners[pale], corners[pale, ::-1]], axis=1)
    tiles = -(-INPUT_SIZE // (2 * CORNER_SIDE))
    whole = np.concatenate([doubled, doubled[:, :, ::-1]], axis=2)
    return np.ascontiguousarray(np.tile(whole, (1, tiles, tiles, 1))[:, :INPUT_SIZE, :INPUT_SIZE])


def cut_crop(pixels: np.ndarray, box: Box, margin: float) -> np.ndarray:
    """Return the square around a mark as a network sees it, (64, 64, 3) uint8, moved to lie within the image.

    Args:
        pixels: (h, w, 3) uint8.
        margin: Side of the square as a multiple of the mark's longer side.
    """
    height, width = pixels.shape[:2]
    side = min(round(margin * max(box.width, box.height)), height, width)
    left = int(np.clip(round(box.left + (box.width - side) / 2), 0, width - side))
    top = int(np.clip(round(box.top + (box.height - side) / 2), 0, height - side))
    square = Image.fromarray(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    return np.array(square.resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BILINEAR))


def load_record(name: str, directory: Path | None = None) -> dict[str, Any] | None:
    """Return a record that lies beside the artifacts, or None where there is none.

    A record that cannot be read, or in which a field is not what pages read, is said in the log and counts as none.
    """
    path = (directory or artifacts_directory()) / name
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        check_record(record, name)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        logger.warning("%s is no record of this program (%s). Delete it, or measure again.", path, error)
        return None
    return record


def save_record(record: dict[str, Any], name: str, directory: Path | None = None) -> Path:
    """Write a record beside the artifacts and return where.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    path = (directory or artifacts_directory()) / name
    write_atomically(path, (json.dumps(record, indent=1) + "\n").encode())
    return path


def _count_refused(guard: Guard, images: Sequence[np.ndarray]) -> dict[str, Any]:
    examined = guard.examine(np.stack(images)) if images else []
    statuses = count_statuses(examined)
    return {"refused": share(len(images) - statuses["ok"], len(images)), "statuses": statuses}


def _list_cell_examples(split: Split, examined: list[Examination], y_pred: np.ndarray) -> list[dict[str, Any]]:
    """Return test cells to show: first those answered wrongly, then those refused, a few of every status."""
    examples = []
    for status in STATUSES:
        rows = [index for index, one in enumerate(examined) if one.status == status]
        if status == "ok":
            rows = [index for index in rows if y_pred[index] != split.labels[index]]
        for row in rows[:NUM_EXAMPLES]:
            examples.append(
                {
                    "hash": f"{int(hash_images(split.images[row : row + 1])[0]):016x}",
                    "row": row,
                    "status": status,
                    "label": CLASS_NAMES[split.labels[row]],
                    "possible": [CLASS_NAMES[index] for index in examined[row].possible],
                    "reasons": list(examined[row].reasons),
                }
            )
    return examples


def _list_field_examples(guard: Guard, crops: list[np.ndarray], places: list[dict[str, Any]]) -> list[dict[str, Any]]:
    chosen = range(0, len(crops), max(1, len(crops) // NUM_EXAMPLES))[:NUM_EXAMPLES]
    if not chosen:
        return []
    examined = guard.examine(np.stack([crops[index] for index in chosen]))
    return [
        {**places[index], "status": one.status, "reasons": list(one.reasons)}
        for index, one in zip(chosen, examined, strict=True)
    ]


def _touches_another(box: Box, marks: Sequence[tuple[str, Box]]) -> bool:
    """Return whether the square around a red cell shows a part of what is marked as a white cell or a platelet."""
    side = CROP_MARGINS[0] * max(box.width, box.height)
    left, top = box.left + (box.width - side) / 2, box.top + (box.height - side) / 2
    return any(
        what != "RBC"
        and left < other.left + other.width
        and other.left < left + side
        and top < other.top + other.height
        and other.top < top + side
        for what, other in marks
    )

"""What a case leaves the program as: CSV, JSON, and its cells as a labelled set. The PDF is in `pdf`.

Each says that it is for research only, which models answered, with which thresholds and versions. Nothing that a user
typed can act as a formula in a spreadsheet.
"""

import csv
import io
import json
import platform
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bloodcell.cases.base import Case
from bloodcell.cases.differential import Differential, differential_of
from bloodcell.cases.records import DECISIONS, Cell, ModelAnswer, to_json
from bloodcell.dataset import CLASS_CODES, CLASS_NAMES

RESEARCH_USE = "For research and teaching only. Not a medical device: do not use it for diagnosis."
CELL_COLUMNS = (
    "case",
    "cell",
    "file",
    "left",
    "top",
    "width",
    "height",
    "image_hash",
    "label",
    "status",
    "action",
    "text",
    "counts_as_white_cell",
    "reviewer",
    "time_utc",
    "comments",
    "model",
    "model_fingerprint",
    "model_status",
    "model_label",
    "model_probability",
    "model_prediction_set",
    "model_thresholds",
    "model_views",
    "versions",
    "notice",
)
DIFFERENTIAL_COLUMNS = (
    "case",
    "state",
    "type",
    "count",
    "unit",
    "value",
    "low_95",
    "high_95",
    "absolute_10e9_per_litre",
    "absolute_low_95",
    "absolute_high_95",
    "reference",
    "absolute_reference",
    "finer_opinion",
    "white_count_10e9_per_litre",
    "signed_by",
    "signed_at_utc",
    "restored_by",
    "restored_at_utc",
    "models",
    "thresholds",
    "versions",
    "notice",
)
LABELLED_COLUMNS = (
    "file",
    "label",
    "class_name",
    "model_label",
    "model_probability",
    "is_corrected",
    "reviewer",
    "time_utc",
    "model",
    "model_fingerprint",
    "image_hash",
)
_PACKAGES = ("numpy", "pillow", "ai-edge-litert", "sqlalchemy", "fpdf2", "streamlit")
# What a spreadsheet may take for a formula or a command at the start of a cell, in its ordinary and full-width forms.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@cache
def describe_versions() -> dict[str, str]:
    """Return the versions that a report was made with, by package name."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def describe_count(number: int, noun: str) -> str:
    """Return "1 cell", "12 cells"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def models_of(case: Case) -> list[dict[str, Any]]:
    """Return what answered in a case, most frequent first, each with a count of its cells.

    A model that was asked with other thresholds, another number of views or other versions is one more entry.
    """
    asked = [to_json(_describe_model(cell.answer)) for cell in case.cells if cell.answer is not None]
    return [json.loads(text) | {"num_cells": count} for text, count in Counter(asked).most_common()]


def write_json(case: Case) -> bytes:
    """Return a case as JSON: differential, cells with decisions, and the whole history."""
    report = {
        "notice": RESEARCH_USE,
        "case": {
            "id": case.id,
            "identifier": case.identifier,
            "notes": case.notes,
            "state": case.state,
            "white_count_10e9_per_litre": case.white_count,
            "created": case.created,
            "changed": case.changed,
            "signed_by": case.signed_by,
            "signed_at": case.signed_at,
            "has_pictures": case.has_pixels,
        },
        "differential": differential_of(case).to_dict(),
        "models": models_of(case),
        "versions": describe_versions(),
        "cells": [_describe_cell(cell) for cell in case.cells],
        "records": [record.to_dict() for record in case.records],
    }
    return json.dumps(report, ensure_ascii=False, indent=2, allow_nan=False).encode()


def write_cells_csv(case: Case) -> bytes:
    """Return one row per cell, as UTF-8 that spreadsheets recognise."""
    rows = []
    for cell in case.cells:
        decision, answer = cell.decision, cell.answer
        rows.append(
            {
                "case": case.identifier,
                "cell": cell.position,
                "file": cell.file,
                **cell.box._asdict(),
                "image_hash": cell.image_hash,
                "label": cell.label or "",
                "status": cell.status,
                "action": decision.action if decision else "",
                "text": decision.text if decision else "",
                "counts_as_white_cell": "" if decision is None or decision.is_white is None else decision.is_white,
                "reviewer": decision.reviewer if decision else "",
                "time_utc": decision.time if decision else "",
                "comments": "; ".join(f"{comment.reviewer}: {comment.text}" for comment in cell.comments),
                **_answer_columns(answer),
                "versions": _pairs(describe_versions()),
                "notice": RESEARCH_USE,
            }
        )
    return write_safe_csv(CELL_COLUMNS, rows)


def write_differential_csv(case: Case) -> bytes:
    """Return one row per type, with what is counted beside the white cells after them."""
    found = differential_of(case)
    models = models_of(case)
    shared: dict[str, Any] = {
        "case": case.identifier,
        "state": case.state,
        "white_count_10e9_per_litre": _number(case.white_count),
        "signed_by": case.signed_by or "",
        "signed_at_utc": case.signed_at or "",
        "restored_by": case.restored.reviewer if case.restored else "",
        "restored_at_utc": case.restored.time if case.restored else "",
        "models": "; ".join(
            f"{one['model']} {one['fingerprint']}, {describe_count(one['num_cells'], 'cell')}"
            f"{describe_views(one['num_views'])}"
            for one in models
        ),
        "thresholds": " | ".join(_pairs(one["thresholds"]) for one in models),
        "versions": _pairs(describe_versions()),
        "notice": RESEARCH_USE,
    }
    rows: list[dict[str, Any]] = [
        shared
        | {
            "type": share.name,
            "count": share.count,
            "unit": "% of white cells",
            "value": _number(share.percent),
            "low_95": _number(share.low),
            "high_95": _number(share.high),
            "absolute_10e9_per_litre": _number(share.absolute),
            "absolute_low_95": _number(share.absolute_low),
            "absolute_high_95": _number(share.absolute_high),
            "reference": share.reference_percent or "",
            "absolute_reference": share.reference_absolute or "",
            "finer_opinion": share.is_finer_opinion,
        }
        for share in found.shares
    ]
    return write_safe_csv(DIFFERENTIAL_COLUMNS, [*rows, *(shared | row for row in _beside_rows(found))])


def write_safe_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return rows as CSV in UTF-8 with a mark that spreadsheets know; no text in it can act as a formula."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(columns)
    writer.writerows([harmless(row.get(column, "")) for column in columns] for row in rows)
    return buffer.getvalue().encode("utf-8-sig")


def labelled_cells(case: Case, corrections_only: bool = False) -> list[Cell]:
    """Return the cells that a person gave one of the eight classes and whose picture is kept.

    Args:
        corrections_only: Whether to leave out those where the person said what the model had said.
    """
    return [
        cell
        for cell in case.cells
        if cell.has_pixels
        and cell.decision is not None
        and cell.decision.label in CLASS_NAMES
        and (cell.is_corrected or not corrections_only)
    ]


def write_labelled_set(cases: Sequence[tuple[Case, Mapping[str, bytes]]], corrections_only: bool = False) -> bytes:
    """Return reviewed cells as a zip file that `dataset.load_labelled_set` reads.

    Args:
        cases: Each case with its pictures by cell id, as `CaseStore.load_pictures` gives them.
        corrections_only: Whether only cells that the person called something else than the model go in.
    """
    rows, buffer = [], io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for case, pictures in cases:
            for cell in labelled_cells(case, corrections_only):
                decision = cell.decision
                assert decision is not None and decision.label is not None
                label = CLASS_NAMES.index(decision.label)
                # No identifier in the name: a set that is shared should not tell whose cells they are.
                file = f"{CLASS_CODES[label]}/{case.id[:12]}_{cell.position}.png"
                archive.writestr(_dated(file), pictures[cell.id])
                rows.append(
                    {
                        "file": file,
                        "label": label,
                        "class_name": decision.label,
                        "model_label": decision.model_label or "",
                        "model_probability": _number(decision.model_probability),
                        "is_corrected": cell.is_corrected,
                        "reviewer": decision.reviewer,
                        "time_utc": decision.time,
                        "model": decision.model or "",
                        "model_fingerprint": decision.fingerprint or "",
                        "image_hash": cell.image_hash,
                    }
                )
        archive.writestr(_dated("labels.csv"), write_safe_csv(LABELLED_COLUMNS, rows))
        about = f"{len(rows)} reviewed cells, 64 x 64 pixels, labels by a person.\n{RESEARCH_USE}\n"
        archive.writestr(_dated("about.txt"), about)
    return buffer.getvalue()


def describe_views(num_views: int) -> str:
    """Return, to stand after a model, that its probabilities are a mean over views; nothing for one view."""
    return "" if num_views == 1 else f", mean of {num_views} views"


def agreement_of(case: Case) -> tuple[int, int]:
    """Return (confirmed, judged): cells of which a model named a type and a person judged, and those they agree on."""
    judged = [cell for cell in case.cells if cell.decision and cell.answer and cell.answer.label]
    return sum(cell.decision is not None and cell.decision.action == "confirmed" for cell in judged), len(judged)


def count_decisions(case: Case) -> Counter[str]:
    """Return how many decisions each reviewer made in a case, taken-back ones included."""
    return Counter(record.reviewer for record in case.records if record.action in DECISIONS)


def _describe_cell(cell: Cell) -> dict[str, Any]:
    decision, answer = cell.decision, cell.answer
    return {
        "cell": cell.position,
        "file": cell.file,
        "box": cell.box._asdict(),
        "image_hash": cell.image_hash,
        "label": cell.label,
        "status": cell.status,
        "decision": decision.to_dict() if decision else None,
        "comments": [comment.to_dict() for comment in cell.comments],
        "model_answer": None
        if answer is None
        else {
            "model": answer.model,
            "fingerprint": answer.fingerprint,
            "status": answer.status,
            "label": answer.label,
            "probability": answer.probability,
            "prediction_set": list(answer.prediction_set),
            "details": dict(answer.details),
        },
    }


def _answer_columns(answer: ModelAnswer | None) -> dict[str, Any]:
    if answer is None:
        return {}
    return {
        "model": answer.model,
        "model_fingerprint": answer.fingerprint,
        "model_status": answer.status,
        "model_label": answer.label or "",
        "model_probability": _number(answer.probability),
        "model_prediction_set": "; ".join(answer.prediction_set),
        "model_thresholds": _pairs(answer.details.get("thresholds", {})),
        "model_views": answer.num_views,
    }


def _beside_rows(found: Differential) -> list[dict[str, Any]]:
    """Return what is counted beside or instead of the white cells."""
    rows: list[dict[str, Any]] = [
        {
            "type": "erythroblast",
            "count": found.num_erythroblasts,
            "unit": "per 100 white cells",
            "value": _number(found.erythroblasts_per_100),
        },
        {"type": "platelet", "count": found.num_platelets, "unit": "counted apart"},
    ]
    for text, count, is_white in found.others:
        unit = "other white cell, in the % above" if is_white else "other, not a white cell"
        rows.append({"type": text, "count": count, "unit": unit})
    rows.append({"type": "discarded", "count": found.num_discarded, "unit": "left out by a person"})
    rows.append({"type": "not reviewed", "count": found.num_unreviewed, "unit": "cells"})
    rows.append({"type": "undecided", "count": found.num_undecided, "unit": "cells"})
    return rows


def _describe_model(answer: ModelAnswer) -> dict[str, Any]:
    return {
        "model": answer.model,
        "fingerprint": answer.fingerprint,
        "thresholds": dict(answer.details.get("thresholds", {})),
        "versions": dict(answer.details.get("versions", {})),
        "num_views": answer.num_views,
    }


def harmless(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe first."""
    if isinstance(value, str) and (value.startswith(_FORMULA_STARTS) or value.lstrip().startswith(_FORMULA_STARTS)):
        return f"'{value}"
    return value


def _number(value: float | None) -> str | float:
    return "" if value is None else round(value, 6)


def _pairs(values: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {value}" for name, value in values.items())


def _dated(name: str) -> zipfile.ZipInfo:
    """Return an entry that is the same whenever it is written."""
    info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info

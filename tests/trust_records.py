"""Records as `measure` stores them, with counts made up: what the Trust page shows without a dataset or a guard."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bloodcell.artifact import Artifact
from bloodcell.dataset import CLASS_NAMES
from bloodcell.inference import trust
from bloodcell.inference.corruptions import CORRUPTIONS, SEVERITIES
from bloodcell.inference.noncells import KINDS
from bloodcell.inference.prediction_sets import COVERAGE

NUM_PER_CLASS = 100


def make_statuses(ok: int, uncertain: int = 0, unfamiliar: int = 0, not_a_cell: int = 0) -> dict[str, int]:
    return {"ok": ok, "uncertain": uncertain, "unfamiliar": unfamiliar, "not_a_cell": not_a_cell}


def make_trust_record(artifact: Artifact, with_fields: bool = True, examples: Sequence[Any] = ()) -> dict[str, Any]:
    """Return a record in which class number i has i uncertain cells and one wrong answer, but for the first."""
    per_class = [
        {
            "name": name,
            "answered": trust.share(NUM_PER_CLASS - index, NUM_PER_CLASS),
            "right": trust.share(NUM_PER_CLASS - index - bool(index), NUM_PER_CLASS - index),
            "statuses": make_statuses(NUM_PER_CLASS - index, index),
        }
        for index, name in enumerate(CLASS_NAMES)
    ]
    answered, total = sum(one["answered"]["count"] for one in per_class), 8 * NUM_PER_CLASS
    test = {
        "n": total,
        "statuses": make_statuses(answered, total - answered),
        "answered": trust.share(answered, total),
        "right": trust.share(answered - 7, answered),
        "right_without_guard": trust.share(total - 20, total),
        "errors": {"all": 20, "answered": 7},
        "per_class": per_class,
        "examples": list(examples),
    }
    coverages = [
        {
            "coverage": coverage,
            "covered": trust.share(round(coverage * total), total),
            "mean_size": 1 + coverage / 10,
            "answered": trust.share(answered, total),
            "right": trust.share(answered - 7, answered),
            "per_class": [
                {"name": name, **trust.share(90 + index, NUM_PER_CLASS)} for index, name in enumerate(CLASS_NAMES)
            ],
        }
        for coverage in trust.COVERAGES
    ]
    kinds = [{"name": kind, "refused": trust.share(99, 100), "statuses": make_statuses(1, 0, 9, 90)} for kind in KINDS]
    return {
        "date": "2026-01-02T03:04:05+00:00",
        "model": trust.describe_model(artifact),
        "dataset": {"kind": "unknown", "md5": "0" * 32, "label": "synthetic cells"},
        "coverage": trust.COVERAGE,
        "limits": {"pixels_refuse_share_of_val": 0.001, "features_refuse_share_of_val": 0.002},
        "test": test,
        "coverages": coverages,
        "fields": make_fields_record() if with_fields else None,
        "noncells": {
            "seed": trust.NONCELL_SEED,
            "num_per_kind": 100,
            "refused": trust.share(99 * len(kinds), 100 * len(kinds)),
            "kinds": kinds,
        },
    }


def make_fields_record() -> dict[str, Any]:
    framing = {"refused": trust.share(180, 186), "statuses": make_statuses(6, 0, 170, 10)}
    framings = {half: [{"margin": margin, **framing} for margin in trust.CROP_MARGINS] for half in ("even", "odd")}
    red_cells = {"refused": trust.share(1000, 1000), "statuses": make_statuses(0, 0, 0, 1000)}
    example = {
        "image": "smear_00000.png",
        "box": [20, 40, 64, 64],
        "status": "unfamiliar",
        "reasons": ["Another stain."],
    }
    return {
        "source": "smears",
        "white_cells": framings["even"][0],
        "framings": framings,
        "red_cells": red_cells,
        "examples": [example],
    }


def make_robustness_record(artifact: Artifact, other: Artifact) -> dict[str, Any]:
    """Return a record in which refusals grow with severity, up to all; blur lets most errors through."""
    rows = []
    for place, model in enumerate((artifact, other)):
        for corruption, severity in [(None, 0), *((key, severity) for key in CORRUPTIONS for severity in SEVERITIES)]:
            refused = 200 * severity
            wrong = (30 if corruption == "blur" and severity == 2 else severity) if refused < 1000 else 0
            rows.append(
                {
                    "model": model.name,
                    "corruption": corruption,
                    "severity": severity,
                    "accuracy": trust.share(980 - 100 * severity - 10 * place, 1000),
                    "refused": trust.share(refused, 1000),
                    "wrong_answers": trust.share(wrong, 1000 - refused),
                    "statuses": make_statuses(1000 - refused, 0, refused),
                }
            )
    return {
        "date": "2026-01-02T03:04:05+00:00",
        "model": trust.describe_model(artifact),
        "models": [trust.describe_model(artifact), trust.describe_model(other)],
        "dataset": {"kind": "unknown", "md5": "0" * 32, "label": "synthetic cells"},
        "n": 1000,
        "corruptions": [
            {"key": key, "name": one.name, "unit": one.unit, "strengths": list(one.strengths)}
            for key, one in CORRUPTIONS.items()
        ],
        "rows": rows,
    }


def make_unseen_record() -> dict[str, Any]:
    types = [
        {
            "name": name,
            "run": f"hemanet_nano.without-{index}",
            "fingerprint": "0" * 64,
            "refused": trust.share(40 + index, NUM_PER_CLASS),
            "statuses": make_statuses(60 - index, 20, 20 + index),
            "called": {CLASS_NAMES[(index + 1) % 8]: 60 - index},
            "known_answered": trust.share(690, 700),
            "known_right": trust.share(680, 690),
        }
        for index, name in enumerate(CLASS_NAMES)
    ]
    return {
        "date": "2026-01-02T03:04:05+00:00",
        "model": {"name": "hemanet_nano", "num_epochs": 20},
        "coverage": COVERAGE,
        "dataset": {"kind": "unknown", "md5": "0" * 32, "label": "synthetic cells"},
        "refused": trust.share(sum(one["refused"]["count"] for one in types), 8 * NUM_PER_CLASS),
        "types": types,
    }


def write_records(folder: Path, artifact: Artifact, other: Artifact) -> None:
    """Write all three records beside the artifacts."""
    trust.save_record(make_trust_record(artifact), trust.TRUST_FILE, folder)
    trust.save_record(make_robustness_record(artifact, other), trust.ROBUSTNESS_FILE, folder)
    trust.save_record(make_unseen_record(), trust.UNSEEN_FILE, folder)

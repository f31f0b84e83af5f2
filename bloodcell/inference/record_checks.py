"""What the records beside the artifacts must hold so that every page can read them, as checks that name the field.

A check is a function of a value and of where it lies, such as `rows[3].date`; it raises a `ValueError` with both.
"""

import reprlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from bloodcell.dataset import CLASS_NAMES

Check = Callable[[Any, str], None]
STATUSES = ("ok", "uncertain", "unfamiliar", "not_a_cell")
"""Those of `guard.Verdict`, whose import would bring in SciPy where only times are read."""


def check_benchmark(record: Any) -> None:
    """Raise a ValueError that names the field where a record of times is not as the program writes it."""
    _check_benchmark(record, "")


def check_record(record: Any, file_name: str) -> None:
    """Raise a ValueError that names the field where a record of `measure` is not as the program writes it.

    Args:
        file_name: Of the record, such as trust.json.
    """
    _CHECKS.get(file_name, _fields(_ORIGIN))(record, "")


def _expect(is_right: bool, expected: str, value: Any, place: str) -> None:
    if not is_right:
        raise ValueError(f"{place or 'the record'}: expected {expected}. Received: {reprlib.repr(value)}")


def _any(value: Any, place: str) -> None:
    """Accept whatever is there: no page reads it."""


def _text(value: Any, place: str) -> None:
    _expect(isinstance(value, str), "text", value, place)


def _number(value: Any, place: str) -> None:
    _expect(_is_number(value), "a finite number", value, place)


def _positive(value: Any, place: str) -> None:
    _expect(_is_number(value) and value > 0, "a finite number above 0", value, place)


def _whole(value: Any, place: str) -> None:
    is_whole = isinstance(value, int) and _is_number(value) and value >= 0
    _expect(is_whole, "a whole number, 0 or more", value, place)


def _is_number(value: Any) -> bool:
    """Return whether a value is a number that fits a float; NaN is none, and neither is true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _one_of(names: Collection[str]) -> Check:
    def check(value: Any, place: str) -> None:
        _expect(isinstance(value, str) and value in names, f"one of {', '.join(names)}", value, place)

    return check


def _optional(check_one: Check) -> Check:
    """Return a check that also accepts null."""

    def check(value: Any, place: str) -> None:
        if value is not None:
            check_one(value, place)

    return check


def _each(check_one: Check, least: int = 0, most: int | None = None) -> Check:
    """Return a check of a list and of all that is in it."""

    def check(value: Any, place: str) -> None:
        is_list = isinstance(value, list) and len(value) >= least and (most is None or len(value) <= most)
        _expect(is_list, f"a list of {least}{' or more' if most is None else ''}", value, place)
        for index, one in enumerate(value):
            check_one(one, f"{place}[{index}]")

    return check


def _fields(checks: Mapping[str, Check], may_lack: Mapping[str, Check] | None = None) -> Check:
    """Return a check of named fields; those of `may_lack` may be absent, and others are not looked at."""

    def check(value: Any, place: str) -> None:
        _expect(isinstance(value, dict), "named fields", value, place)
        for name, check_one in {**checks, **(may_lack or {})}.items():
            inner = f"{place}.{name}" if place else name
            if name in value:
                check_one(value[name], inner)
            elif name in checks:
                raise ValueError(f"{inner} is missing")

    return check


def _counts(names: Collection[str]) -> Check:
    """Return a check of whole numbers by name."""

    def check(value: Any, place: str) -> None:
        _expect(isinstance(value, dict), "named fields", value, place)
        for name, count in value.items():
            _one_of(names)(name, place)
            _whole(count, f"{place}.{name}")

    return check


_check_benchmark = _fields(
    {
        "date": _text,
        "machine": _fields({"processor": _text, "num_cores": _optional(_whole)}),
        "threads": _whole,
        "note": _text,
        "rows": _each(
            _fields(
                {
                    "name": _text,
                    "engine": _text,
                    "precision": _text,
                    "latency_ms_median": _positive,
                    "step_time_ms": _positive,
                },
                may_lack={
                    "latency_ms_p95": _optional(_positive),
                    "throughput_images_per_s": _optional(_positive),
                },
            ),
            least=1,
        ),
    }
)

_PAIR = _each(_number, 2, 2)
_SHARE: dict[str, Check] = {"count": _whole, "n": _whole, "share": _optional(_number), "interval": _optional(_PAIR)}
"""Fields of `trust.share`; without an image there is neither a share nor an interval."""
_SHARE_OF_SOME: dict[str, Check] = {"count": _whole, "n": _positive, "share": _number, "interval": _PAIR}
"""The same where there always are images."""
_MODEL_NAME = _fields({"name": _text})
_ROW_MODEL = _fields({"name": _text, "files": _fields({})})
_ORIGIN: dict[str, Check] = {"date": _text, "model": _any, "dataset": _fields({"label": _text})}


def _cell_example(value: Any, place: str) -> None:
    """Check an example; a cell that was answered has a name, and one that was refused has a reason."""
    _fields(
        {
            "hash": _text,
            "row": _whole,
            "status": _one_of(STATUSES),
            "label": _one_of(CLASS_NAMES),
            "possible": _each(_text),
            "reasons": _each(_text),
        }
    )(value, place)
    told = {"ok": "possible", "uncertain": None}.get(value["status"], "reasons")
    if told is not None:
        _each(_text, least=1)(value[told], f"{place}.{told}")


_REFUSED: dict[str, Check] = {"refused": _fields(_SHARE), "statuses": _counts(STATUSES)}
_FRAMINGS = _each(_fields({"margin": _number, **_REFUSED}), least=1)
_check_trust = _fields(
    {
        **_ORIGIN,
        "model": _MODEL_NAME,
        "coverage": _number,
        "limits": _fields({"pixels_refuse_share_of_val": _number, "features_refuse_share_of_val": _optional(_number)}),
        "test": _fields(
            {
                "n": _whole,
                "statuses": _counts(STATUSES),
                "answered": _fields(_SHARE),
                "right": _fields(_SHARE),
                "errors": _fields({"all": _whole, "answered": _whole}),
                "per_class": _each(
                    _fields(
                        {
                            "name": _text,
                            "answered": _fields(_SHARE),
                            "right": _fields(_SHARE),
                            "statuses": _counts(STATUSES),
                        }
                    )
                ),
                "examples": _each(_cell_example),
            }
        ),
        "coverages": _each(
            _fields(
                {
                    "coverage": _number,
                    "covered": _fields(_SHARE),
                    "mean_size": _number,
                    "answered": _fields(_SHARE),
                    "right": _fields(_SHARE),
                    "per_class": _each(_fields({"name": _text, **_SHARE})),
                }
            ),
            least=1,
        ),
        "fields": _optional(
            _fields(
                {
                    "white_cells": _fields(_REFUSED),
                    "framings": _fields({"even": _FRAMINGS, "odd": _FRAMINGS}),
                    "examples": _each(
                        _fields(
                            {
                                "image": _text,
                                "box": _each(_whole, 4, 4),
                                "status": _one_of(STATUSES),
                                "reasons": _each(_text),
                            }
                        )
                    ),
                }
            )
        ),
        "noncells": _fields(
            {"refused": _fields(_SHARE), "kinds": _each(_fields({"name": _text, **_REFUSED}), least=1)}
        ),
    }
)


def _check_robustness(value: Any, place: str) -> None:
    """Check spoiled images; the model with the guard has rows, and every row's corruption is described."""
    _fields(
        {
            **_ORIGIN,
            "model": _MODEL_NAME,
            "models": _each(_MODEL_NAME),
            "n": _whole,
            "corruptions": _each(_fields({"key": _text, "name": _text}), least=1),
        }
    )(value, place)
    row = _fields(
        {
            "model": _text,
            "corruption": _optional(_one_of([one["key"] for one in value["corruptions"]])),
            "severity": _whole,
            "accuracy": _fields(_SHARE_OF_SOME),
            "refused": _fields(_SHARE_OF_SOME),
            "wrong_answers": _fields(_SHARE),
        }
    )
    _fields({"rows": _each(row)})(value, place)
    if not any(one["model"] == value["model"]["name"] and one["corruption"] for one in value["rows"]):
        raise ValueError(f"rows: none is of {value['model']['name']} and spoiled images")


_check_unseen = _fields(
    {
        **_ORIGIN,
        "model": _fields({"name": _text, "num_epochs": _whole}),
        "refused": _fields(_SHARE),
        "types": _each(_fields({"name": _text, "refused": _fields(_SHARE), "called": _counts(CLASS_NAMES)}), least=1),
    },
    may_lack={"coverage": _optional(_number)},
)

_LOOK = _fields({split: _fields({**_SHARE_OF_SOME, "ece": _number}) for split in ("val", "test")})


def _seeds(value: Any, place: str) -> None:
    """Check several seeds; each has its own numbers."""
    members = _each(_fields({"name": _text, "seed": _number, "fingerprint": _text}))
    _fields({"members": members, "ensemble": _LOOK})(value, place)
    count = len(value["members"])
    _fields({"single": _each(_LOOK, count, count)})(value, place)


_check_combined = _fields(
    {
        **_ORIGIN,
        "rows": _each(_fields({"model": _ROW_MODEL, "single": _LOOK, "views": _LOOK, "seeds": _optional(_seeds)})),
    }
)


def _form(value: Any, place: str) -> None:
    """Check a form; one that could not be built or run has a sentence under "error" and no numbers."""
    _fields({"model": _ROW_MODEL, "precision": _text}, may_lack={"error": _text})(value, place)
    if "error" not in value:
        measured = _fields({**_SHARE_OF_SOME, "changed": _whole})
        _fields({"litert_bytes": _positive, "val": measured, "test": measured})(value, place)


_CHECKS: dict[str, Check] = {
    "trust.json": _check_trust,
    "robustness.json": _check_robustness,
    "unseen.json": _check_unseen,
    "combined.json": _check_combined,
    "forms.json": _fields({**_ORIGIN, "rows": _each(_form)}),
}

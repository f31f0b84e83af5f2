"""How a number is written: percent with one decimal, sizes in MB, times in ms; a dash where there is none."""

import math
from collections.abc import Sequence

MISSING = "–"


def percent(value: float | None, digits: int = 1) -> str:
    """Write a fraction in [0, 1] as percent, such as `98.2 %`."""
    number = _number(value)
    return MISSING if math.isnan(number) else f"{100 * number:.{digits}f} %"


def probability_text(value: float) -> str:
    """Return a probability as per cent with one decimal; what rounds to 0 or 100 without being it says so."""
    if value >= 0.9995:
        return "> 99.9 %"
    if 0 < value < 0.0005:
        return "< 0.1 %"
    return f"{100 * value:.1f} %"


def points(value: float | None, digits: int = 1) -> str:
    """Write a difference of two fractions in percentage points with its sign, such as `+1.4 points`."""
    number = _number(value)
    return MISSING if math.isnan(number) else f"{100 * number:+.{digits}f} points".replace("-", "−")


def half_width(low: float | None, high: float | None) -> float:
    """Return half the width of an interval, the number that stands behind ±; NaN where a bound is missing."""
    return (_number(high) - _number(low)) / 2


def percent_interval(value: float | None, low: float | None, high: float | None, digits: int = 1) -> str:
    """Write an accuracy with its interval, such as `98.2 % ± 0.4`; half the width of the interval stands behind ±."""
    margin = half_width(low, high)
    return percent(value, digits) if math.isnan(margin) else f"{percent(value, digits)} ± {100 * margin:.{digits}f}"


def megabytes(value: float | None) -> str:
    """Write a size with three figures, such as `0.512 MB` or `22.1 MB`."""
    number = _number(value)
    return MISSING if math.isnan(number) else f"{three_figures(number)} MB"


def milliseconds(value: float | None) -> str:
    """Write a time with up to three figures, such as `0.07 ms` or `12.5 ms`."""
    number = _number(value)
    return MISSING if math.isnan(number) else f"{three_figures(number)} ms"


def three_figures(value: float) -> str:
    """Write a positive number with three significant figures and at most three decimals."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def enumerate_words(words: Sequence[str]) -> str:
    """Return words as a sentence lists them: "a", "a and b", "a, b and c"; nothing for none."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))

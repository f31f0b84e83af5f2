"""How numbers are written."""

import math

import pytest

from bloodcell.views import quantities as q


@pytest.mark.parametrize(
    ("write", "value", "expected"),
    [
        (q.percent, 0.98234, "98.2 %"),
        (q.percent, None, "–"),
        (q.percent, math.nan, "–"),
        (q.points, 0.0136, "+1.4 points"),
        (q.points, -0.0136, "−1.4 points"),
        (q.points, math.nan, "–"),
        (q.megabytes, 0.5123, "0.512 MB"),
        (q.megabytes, 22.08, "22.1 MB"),
        (q.megabytes, 1234.5, "1,234 MB"),
        (q.milliseconds, 0.0712, "0.071 ms"),
        (q.milliseconds, 2.049, "2.05 ms"),
        (q.milliseconds, None, "–"),
    ],
)
def test_quantity(write, value, expected):
    assert write(value) == expected


def test_interval_is_half_its_width():
    assert q.percent_interval(0.982, 0.977, 0.986) == "98.2 % ± 0.5"
    assert q.percent_interval(0.982, math.nan, 0.986) == "98.2 %"
    assert math.isnan(q.half_width(None, 0.9))


@pytest.mark.parametrize(
    "words, text", [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_words_are_listed_as_in_a_sentence(words, text):
    assert q.enumerate_words(words) == text

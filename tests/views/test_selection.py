"""Which models are on, and whether the URL or the reader decides."""

import pandas as pd
import pytest

from bloodcell.published import load_summary
from bloodcell.views.selection import (
    STALE_ADDRESS_S,
    Address,
    brings_news,
    default_selection,
    family_order,
    known_names,
    quick_selections,
    read_number,
    study_best,
    study_lightest_good,
)

TABLE = pd.DataFrame(
    [
        ("vgg16_dropout", "vgg", "study", 0.968, 22.1),
        ("cnn_se", "cnn", "study", 0.955, 1.1),
        ("cnn_bn_dropout40", "cnn", "study", 0.961, 2.4),
        ("cnn_4", "cnn", "study", 0.93, 0.5),
        ("hemanet_nano", "hemanet", "ours", 0.985, 0.13),
        ("hemanet_tiny", "hemanet", "ours", 0.988, 0.48),
    ],
    columns=["name", "family", "origin", "val_accuracy", "weights_mb"],
)


def test_ours_come_first_then_the_catalog_order_lightest_first():
    assert family_order(TABLE) == [
        "hemanet_nano",
        "hemanet_tiny",
        "cnn_4",
        "cnn_se",
        "cnn_bn_dropout40",
        "vgg16_dropout",
    ]


def test_default_is_the_default_classifier_with_the_studys_best_and_lightest_good():
    assert study_best(TABLE) == "vgg16_dropout"
    assert study_lightest_good(TABLE) == "cnn_se"
    assert default_selection(TABLE, "hemanet_nano") == ["hemanet_nano", "cnn_se", "vgg16_dropout"]


def test_default_without_a_good_network_of_the_study():
    weak = TABLE[TABLE["name"].isin(["cnn_4", "hemanet_tiny"])]
    assert study_lightest_good(weak) is None
    assert default_selection(weak, "hemanet_tiny") == ["hemanet_tiny", "cnn_4"]
    assert default_selection(TABLE.iloc[:0], None) == []


def test_quick_choices():
    quick = {label: names for label, (names, _) in quick_selections(TABLE, load_summary()).items()}
    assert quick["best"] == ["hemanet_tiny"]
    assert quick["study's eight"] == ["cnn_4", "cnn_se", "cnn_bn_dropout40", "vgg16_dropout"]
    assert quick["small ones"] == ["hemanet_nano", "hemanet_tiny", "cnn_4"]
    assert quick["all"] == family_order(TABLE)
    assert quick["none"] == []


def test_the_studys_eight_are_its_comparison_table():
    meaning = quick_selections(TABLE, load_summary())["study's eight"][1]
    assert meaning.startswith("The 8 networks") and "4 of them are trained here" in meaning


@pytest.mark.parametrize(
    ("in_url", "last", "now", "expected"),
    [
        (None, None, 0.0, False),
        (("a",), None, 0.0, True),  # a link
        (("a",), Address(("a",), None, 0.0, "Overview"), 9.0, False),  # what this session wrote
        (("b",), Address(("a",), ("c",), 0.0, "Overview"), 0.1, True),  # back, further than one step
        (("c",), Address(("a",), ("c",), 0.0, "Overview"), 0.1, False),  # the browser has not heard of "a" yet
        (("c",), Address(("a",), ("c",), 0.0, "Overview"), STALE_ADDRESS_S + 0.1, True),  # back, one step
        (None, Address(("a",), ("c",), 0.0, "Overview"), 9.0, False),  # a page switch drops parameters
    ],
)
def test_who_wins(in_url, last, now, expected):
    assert brings_news(in_url, last, now) is expected


def test_names_of_a_link():
    assert known_names(("b", "zzz"), ["a", "b"]) == ["b"]
    assert known_names(("zzz",), ["a", "b"]) is None
    assert known_names(("",), ["a", "b"]) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("123", 123),
        ("999999999", 999999999),
        ("9" * 5000, None),
        ("-1", None),
        ("", None),
        ("²", None),
        ("٣", None),
    ],
)
def test_a_number_of_an_address_is_plain_and_short(text, number):
    assert read_number(text) == number

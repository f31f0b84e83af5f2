"""Shares of the white cells, their intervals, what is counted beside them, and what is said about doubt."""

import json
from dataclasses import replace

import pytest
from scipy.stats import binomtest

from bloodcell.cases import DISCARDED, OTHER, Cell, Record
from bloodcell.cases.differential import (
    FINER_TYPES,
    REFERENCE_ABSOLUTE,
    REFERENCE_PERCENT,
    WHITE_CELLS,
    compare_differentials,
    compute_differential,
)
from bloodcell.dataset import CLASS_NAMES, Box
from tests.made_cases import make_answer


def make_cells(decided: dict[str, int] | None = None, said: dict[str, int] | None = None, **options) -> list[Cell]:
    """Return cells that a person called `decided`, and others of which only a model has said `said`."""
    cells = []
    for labels, is_decided in ((decided or {}, True), (said or {}, False)):
        for label, count in labels.items():
            for _ in range(count):
                number = len(cells) + 1
                record = Record(number, "", "Ana", "other" if label == OTHER else "confirmed", label=label, **options)
                answer = make_answer(None if label in (OTHER, DISCARDED) else label)
                cell = Cell(str(number), number, "image", "file", Box(0, 0, 64, 64), "", True, answer)
                cells.append(replace(cell, decision=record) if is_decided else cell)
    return cells


def share_of(differential, name):
    return next(share for share in differential.shares if share.name == name)


def test_one_differential_by_hand():
    """120 neutrophils, 60 lymphocytes, 15 monocytes, 4 eosinophils, 1 basophil; 10 erythroblasts, 30 platelets."""
    counts = {"neutrophil": 120, "lymphocyte": 60, "monocyte": 15, "eosinophil": 4, "basophil": 1}
    found = compute_differential(make_cells(counts | {"erythroblast": 10, "platelet": 30, DISCARDED: 7}), 8.0)
    assert found.num_white == 200
    percent = {share.name: share.percent for share in found.shares}
    assert percent == pytest.approx(
        {
            "neutrophil": 60,
            "lymphocyte": 30,
            "monocyte": 7.5,
            "eosinophil": 2,
            "basophil": 0.5,
            "immature granulocyte": 0,
        }
    )
    assert sum(percent.values()) == pytest.approx(100)
    assert (found.num_erythroblasts, found.erythroblasts_per_100) == (10, pytest.approx(5.0))
    assert (found.num_platelets, found.num_discarded) == (30, 7)
    assert share_of(found, "neutrophil").absolute == pytest.approx(4.8)
    assert not found.is_preliminary
    assert not any("Only" in note or "Preliminary" in note for note in found.notes)


@pytest.mark.parametrize("count", [0, 1, 50, 99, 100])
def test_intervals_are_wilsons_as_scipy_computes_them(count):
    found = compute_differential(make_cells({"neutrophil": count, "lymphocyte": 100 - count}), 5.0)
    share = share_of(found, "neutrophil")
    expected = binomtest(count, 100).proportion_ci(0.95, method="wilson")
    assert (share.low, share.high) == pytest.approx((100 * expected.low, 100 * expected.high))
    assert (share.absolute_low, share.absolute_high) == pytest.approx((5 * expected.low, 5 * expected.high))


def test_each_class_is_counted_in_exactly_one_place():
    for name in CLASS_NAMES:
        found = compute_differential(make_cells({name: 1}))
        places = [found.num_white, found.num_erythroblasts, found.num_platelets]
        assert sum(places) == 1
        assert (name in WHITE_CELLS) == (found.num_white == 1)
        assert found.num_white == 0 or share_of(found, name).count == 1


def test_below_a_hundred_white_cells_there_is_a_note():
    enough = compute_differential(make_cells({"neutrophil": 100, "erythroblast": 5}))
    short = compute_differential(make_cells({"neutrophil": 99, "erythroblast": 5, "platelet": 50}))
    assert not any("below 100" in note for note in enough.notes)
    assert any("Only 99 white cells: below 100" in note for note in short.notes)


def test_a_person_counts_before_the_model_and_the_model_only_where_it_answered():
    cells = make_cells({"neutrophil": 2}, {"lymphocyte": 3})
    refused = replace(cells[-1], answer=make_answer("monocyte", status="uncertain"))
    found = compute_differential([*cells[:-1], refused])
    assert found.num_white == 4 and share_of(found, "monocyte").count == 0
    assert (found.num_unreviewed, found.num_unanswered) == (3, 1)
    assert found.is_preliminary and "Preliminary: 3 cells have" in found.notes[0]
    assert any("1 cell counts as nothing yet" in note for note in found.notes)
    overruled = replace(cells[2], decision=Record(9, "", "Ana", "reclassified", label="basophil"))
    assert share_of(compute_differential([overruled]), "basophil").count == 1


def test_other_cells_are_white_where_the_person_says_so():
    blasts = make_cells({OTHER: 3}, text="Blast", is_white=True)
    blasts[1] = replace(blasts[1], decision=replace(blasts[1].decision, text=" blast "))
    smudges = make_cells({OTHER: 2}, text="smudge", is_white=False)
    found = compute_differential([*make_cells({"neutrophil": 7}), *blasts, *smudges])
    assert found.num_white == 10
    assert share_of(found, OTHER).percent == pytest.approx(30)
    assert found.others == (("Blast", 3, True), ("smudge", 2, False))
    undescribed = compute_differential(make_cells({OTHER: 1}, is_white=True))
    assert undescribed.num_undecided == 1 and undescribed.is_preliminary


def test_no_white_cell_is_no_division_by_zero():
    for cells in ([], make_cells({"platelet": 3, "erythroblast": 1})):
        found = compute_differential(cells, 5.0)
        assert found.erythroblasts_per_100 is None
        assert all(share.percent is None and share.absolute is None for share in found.shares)
    json.dumps(found.to_dict(), allow_nan=False)


def test_finer_opinions_stand_below_their_type_and_are_marked():
    """Only where the network offers them, only on cells that still count as that type."""
    cells = make_cells({"neutrophil": 4, "eosinophil": 1, "immature granulocyte": 1})
    for index, kind in enumerate(("band neutrophil", "band neutrophil", "segmented neutrophil")):
        cells[index] = replace(cells[index], answer=make_answer("neutrophil", finer_label=kind))
    cells[4] = replace(cells[4], answer=make_answer("neutrophil", finer_label="band neutrophil"))
    found = compute_differential(cells)
    names = [share.name for share in found.shares]
    assert names[:3] == ["neutrophil", "band neutrophil", "segmented neutrophil"]
    assert share_of(found, "band neutrophil").count == 2
    assert [share.is_finer_opinion for share in found.shares[:4]] == [False, True, True, False]
    assert not set(FINER_TYPES["immature granulocyte"]) & set(names)
    assert any("network's opinion" in note for note in found.notes)
    assert not any(share.is_finer_opinion for share in compute_differential(make_cells({"neutrophil": 3})).shares)


@pytest.mark.parametrize(
    ("neutrophils", "of", "position"),
    [(60, 100, "within"), (95, 100, "above"), (10, 100, "below"), (82, 100, None), (1, 2, "within"), (0, 2, None)],
)
def test_out_of_range_is_said_only_where_the_whole_interval_is(neutrophils, of, position):
    found = compute_differential(make_cells({"neutrophil": neutrophils, "lymphocyte": of - neutrophils}))
    assert share_of(found, "neutrophil").position == position


def test_reference_ranges_are_consistent():
    """Each range is what its text says, and the absolute one is about the relative one of the source's white counts."""
    for ranges in (REFERENCE_PERCENT, REFERENCE_ABSOLUTE):
        assert set(ranges) == set(WHITE_CELLS) - {"immature granulocyte"}
        for name, reference in ranges.items():
            assert 0 <= reference.low < reference.high
            if name != "basophil":
                assert tuple(map(float, reference.text.split("–"))) == (reference.low, reference.high)


def test_two_cases_are_compared_by_newcombes_method():
    """Newcombe 1998, Statistics in Medicine 17:873, table II, method 10, example (a): 56/70 less 48/80."""
    first = compute_differential(make_cells({"neutrophil": 48, "lymphocyte": 32}))
    second = compute_differential(make_cells({"neutrophil": 56, "lymphocyte": 14}))
    difference = next(d for d in compare_differentials(first, second) if d.name == "neutrophil")
    assert difference.difference == pytest.approx(20.0)
    assert (difference.low, difference.high) == pytest.approx((5.24, 33.39), abs=0.01)
    assert difference.is_clear
    same = {d.name: d for d in compare_differentials(first, first)}["neutrophil"]
    assert same.difference == 0 and not same.is_clear
    empty = compare_differentials(first, compute_differential([]))
    assert all(d.difference is None and not d.is_clear for d in empty)


def test_what_stands_out_in_one_type_alone_is_not_clear_among_six():
    first = compute_differential(make_cells({"neutrophil": 60, "lymphocyte": 40}))
    second = compute_differential(make_cells({"neutrophil": 74, "lymphocyte": 26}))
    difference = next(d for d in compare_differentials(first, second) if d.name == "neutrophil")
    assert difference.low > 0 and not difference.is_clear

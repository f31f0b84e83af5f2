"""The differential count: how the white cells of a case divide into types, and how sure that is.

Counted are the person's labels, and where there is none yet the model's, if it answered. Percentages are of white
cells: erythroblasts are counted beside them, per 100, and platelets apart.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any, Literal

from bloodcell.cases.base import Case
from bloodcell.cases.records import DISCARDED, OTHER, Cell
from bloodcell.evaluation import wilson_interval
from bloodcell.evaluation.evidence import SIGNIFICANCE
from bloodcell.evaluation.metrics import WILSON_Z

WHITE_CELLS: tuple[str, ...] = (
    "neutrophil",
    "lymphocyte",
    "monocyte",
    "eosinophil",
    "basophil",
    "immature granulocyte",
)
"""In the order in which laboratories list them."""

FINER_TYPES: dict[str, tuple[str, ...]] = {
    "neutrophil": ("band neutrophil", "segmented neutrophil"),
    "immature granulocyte": ("promyelocyte", "myelocyte", "metamyelocyte"),
}
"""What a network may say more precisely. Nobody confirms it: it is shown as the network's opinion."""

FEWEST_WHITE_CELLS = 100
"""Below it a differential is noted as uncertain: laboratories count 100 white cells at least."""


@dataclass(frozen=True)
class ReferenceRange:
    """An adult reference range.

    Attributes:
        low, high: Limits.
        text: The range as its source prints it.
    """

    low: float
    high: float
    text: str


REFERENCE_SOURCE = (
    "University Hospitals Dorset NHS Foundation Trust, Haematology: test repertoire and reference ranges, adult full "
    "blood count (www.uhd.nhs.uk/services/pathology/haematology/test-repertoire-and-reference-ranges). Ranges differ "
    "between laboratories, methods and populations: use your own laboratory's where they are known."
)
REFERENCE_PERCENT: dict[str, ReferenceRange] = {
    "neutrophil": ReferenceRange(40, 80, "40–80"),
    "lymphocyte": ReferenceRange(20, 40, "20–40"),
    "monocyte": ReferenceRange(2, 10, "2–10"),
    "eosinophil": ReferenceRange(1, 6, "1–6"),
    "basophil": ReferenceRange(0, 2, "<1–2"),
}
"""In % of white cells. The source gives none for immature granulocytes."""
REFERENCE_ABSOLUTE: dict[str, ReferenceRange] = {
    "neutrophil": ReferenceRange(2.0, 7.0, "2.0–7.0"),
    "lymphocyte": ReferenceRange(1.0, 3.0, "1.0–3.0"),
    "monocyte": ReferenceRange(0.2, 1.0, "0.2–1.0"),
    "eosinophil": ReferenceRange(0.02, 0.5, "0.02–0.5"),
    "basophil": ReferenceRange(0.02, 0.1, "0.02–0.1"),
}
"""In 10^9 per litre."""
REFERENCE_WHITE_COUNT = ReferenceRange(4.0, 10.0, "4.0–10.0")
"""In 10^9 per litre."""

Position = Literal["below", "within", "above"]


@dataclass(frozen=True)
class Share:
    """One type's part of the white cells.

    Attributes:
        name: The type.
        count: Cells of it.
        percent: In % of white cells; None while there are none.
        low, high: Wilson 95 % interval of `percent`.
        absolute: In 10^9 per litre, None where no white count was entered.
        absolute_low, absolute_high: The interval of `absolute` that follows from that of `percent`.
        reference_percent, reference_absolute: Adult ranges as text, None where the source has none.
        position: "below" or "above" where the whole interval lies outside the reference range of the percentage,
            "within" where the percentage is inside it, None where neither can be said.
        is_finer_opinion: Whether this is a network's finer opinion, which no person confirmed; a part of the row above.
    """

    name: str
    count: int
    percent: float | None
    low: float | None
    high: float | None
    absolute: float | None = None
    absolute_low: float | None = None
    absolute_high: float | None = None
    reference_percent: str | None = None
    reference_absolute: str | None = None
    position: Position | None = None
    is_finer_opinion: bool = False


@dataclass(frozen=True)
class Differential:
    """What the cells of a case amount to.

    Attributes:
        shares: Each type's part of the white cells, with finer opinions after their type, then other white cells.
        num_white: White cells counted, the denominator of every percentage.
        num_erythroblasts: Counted beside the white cells.
        erythroblasts_per_100: Erythroblasts per 100 white cells, None while there are no white cells.
        num_platelets: Counted apart.
        others: What "other or abnormal" cells were called, with the number of each and whether they are white cells.
        num_discarded: Left out because a person said so.
        num_unreviewed, num_undecided: Cells that await a person.
        num_unanswered: Of the unreviewed, those that count as nothing because the model did not answer.
        white_count: As entered, 10^9 per litre.
        notes: What to know before relying on this, as sentences.
    """

    shares: tuple[Share, ...]
    num_white: int
    num_erythroblasts: int
    erythroblasts_per_100: float | None
    num_platelets: int
    others: tuple[tuple[str, int, bool], ...]
    num_discarded: int
    num_unreviewed: int
    num_undecided: int
    num_unanswered: int
    white_count: float | None
    notes: tuple[str, ...]

    @property
    def is_preliminary(self) -> bool:
        """Whether cells still await a person."""
        return self.num_unreviewed + self.num_undecided > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the differential ready for JSON, with the source of its reference ranges."""
        return asdict(self) | {
            "others": [{"text": text, "count": count, "is_white": white} for text, count, white in self.others],
            "is_preliminary": self.is_preliminary,
            "reference_source": REFERENCE_SOURCE,
        }


@dataclass(frozen=True)
class ShareDifference:
    """How one type's percentage differs between two cases, second less first.

    Attributes:
        name: The type.
        first, second: In % of white cells, None where a case has none.
        difference: In percentage points.
        low, high: Its 95 % interval by Newcombe's hybrid score method.
        is_clear: Whether zero lies outside the interval that is as much wider as this many types at once ask for
            (Bonferroni), so that two looks at one smear differ "clearly" somewhere once in twenty times at most.
    """

    name: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    is_clear: bool = False


def compute_differential(cells: Iterable[Cell], white_count: float | None = None) -> Differential:
    """Return the differential of a case's cells as they stand now.

    Args:
        cells: Reviewed or not.
        white_count: White cells in 10^9 per litre, already corrected for erythroblasts; None where it is not known.
    """
    cells = list(cells)
    counts = Counter(cell.label for cell in cells)
    others = _count_others(cells)
    num_other_white = sum(count for _, count, is_white in others if is_white)
    num_white = sum(counts[name] for name in WHITE_CELLS) + num_other_white
    shares: list[Share] = []
    for name in WHITE_CELLS:
        shares.append(_share(name, counts[name], num_white, white_count))
        finer = Counter(cell.answer.finer_label for cell in cells if cell.label == name and cell.answer is not None)
        shares += [
            _share(kind, finer[kind], num_white, white_count, is_finer_opinion=True)
            for kind in FINER_TYPES.get(name, ())
            if any(finer[k] for k in FINER_TYPES[name])
        ]
    if num_other_white:
        shares.append(_share(OTHER, num_other_white, num_white, white_count))
    num_erythroblasts = counts["erythroblast"]
    differential = Differential(
        shares=tuple(shares),
        num_white=num_white,
        num_erythroblasts=num_erythroblasts,
        erythroblasts_per_100=100 * num_erythroblasts / num_white if num_white else None,
        num_platelets=counts["platelet"],
        others=others,
        num_discarded=counts[DISCARDED],
        num_unreviewed=sum(cell.status == "unreviewed" for cell in cells),
        num_undecided=sum(cell.status == "undecided" for cell in cells),
        num_unanswered=counts[None],
        white_count=white_count,
        notes=(),
    )
    return replace(differential, notes=_describe_limits(differential))


def differential_of(case: Case) -> Differential:
    """Return the differential of a case as it stands now."""
    return compute_differential(case.cells, case.white_count)


def compare_differentials(first: Differential, second: Differential) -> tuple[ShareDifference, ...]:
    """Return how the percentages of white cells differ between two cases, for every type that either lists."""
    counts = [
        {share.name: share.count for share in one.shares if not share.is_finer_opinion} for one in (first, second)
    ]
    names = list(dict.fromkeys([*counts[0], *counts[1]]))
    clear_z = NormalDist().inv_cdf(1 - SIGNIFICANCE / 2 / max(len(names), 1))
    numbers = (first.num_white, second.num_white)
    return tuple(
        _difference(name, counts[0].get(name, 0), counts[1].get(name, 0), *numbers, clear_z=clear_z) for name in names
    )


def _count_others(cells: Sequence[Cell]) -> tuple[tuple[str, int, bool], ...]:
    """Return what "other or abnormal" cells were called, most frequent first; the same words in any case are one."""
    counts: Counter[tuple[str, bool]] = Counter()
    spelled: dict[str, str] = {}
    for cell in cells:
        if cell.decision is not None and cell.decision.label == OTHER:
            words = " ".join(cell.decision.text.split()) or "not described"
            counts[spelled.setdefault(words.casefold(), words), bool(cell.decision.is_white)] += 1
    return tuple((words, count, is_white) for (words, is_white), count in counts.most_common())


def _share(name: str, count: int, num_white: int, white_count: float | None, is_finer_opinion: bool = False) -> Share:
    percent_range, absolute_range = REFERENCE_PERCENT.get(name), REFERENCE_ABSOLUTE.get(name)
    share = Share(
        name,
        count,
        None,
        None,
        None,
        reference_percent=percent_range.text if percent_range else None,
        reference_absolute=absolute_range.text if absolute_range else None,
        is_finer_opinion=is_finer_opinion,
    )
    if num_white == 0:
        return share
    low, high = (100 * limit for limit in wilson_interval(count, num_white))
    percent = 100 * count / num_white
    share = replace(share, percent=percent, low=low, high=high, position=_position(percent, low, high, percent_range))
    if white_count is None:
        return share
    scale = white_count / 100
    return replace(share, absolute=percent * scale, absolute_low=low * scale, absolute_high=high * scale)


def _position(percent: float, low: float, high: float, reference: ReferenceRange | None) -> Position | None:
    if reference is None:
        return None
    if high < reference.low:
        return "below"
    if low > reference.high:
        return "above"
    return "within" if reference.low <= percent <= reference.high else None


def _difference(
    name: str, count_first: int, count_second: int, num_first: int, num_second: int, clear_z: float
) -> ShareDifference:
    p1 = count_first / num_first if num_first else None
    p2 = count_second / num_second if num_second else None
    if p1 is None or p2 is None:
        return ShareDifference(name, _in_percent(p1), _in_percent(p2), None, None, None)
    counts = (count_first, count_second, num_first, num_second)
    low, high = _newcombe_interval(*counts)
    widest_low, widest_high = _newcombe_interval(*counts, clear_z)
    is_clear = widest_low > 0 or widest_high < 0
    return ShareDifference(name, 100 * p1, 100 * p2, 100 * (p2 - p1), 100 * low, 100 * high, is_clear)


def _newcombe_interval(
    count_first: int, count_second: int, num_first: int, num_second: int, z: float = WILSON_Z
) -> tuple[float, float]:
    p1, p2 = count_first / num_first, count_second / num_second
    (l1, u1), (l2, u2) = wilson_interval(count_first, num_first, z), wilson_interval(count_second, num_second, z)
    return p2 - p1 - math.hypot(p2 - l2, u1 - p1), p2 - p1 + math.hypot(u2 - p2, p1 - l1)


def _in_percent(proportion: float | None) -> float | None:
    return None if proportion is None else 100 * proportion


def _describe_limits(found: Differential) -> tuple[str, ...]:
    notes = []
    if found.num_unreviewed:
        cells = "1 cell has" if found.num_unreviewed == 1 else f"{found.num_unreviewed} cells have"
        notes.append(f"Preliminary: {cells} not been decided by a person; the model's answer counts where it gave one.")
    if found.num_undecided:
        cells = "1 cell is" if found.num_undecided == 1 else f"{found.num_undecided} cells are"
        notes.append(f"Preliminary: {cells} called other or abnormal and not described yet; so they count.")
    if found.num_unanswered:
        cells = "1 cell counts" if found.num_unanswered == 1 else f"{found.num_unanswered} cells count"
        notes.append(f"{cells} as nothing yet: neither the model nor a person has named a type.")
    if not found.num_white:
        notes.append("No white cell has a type yet, so there is nothing to divide.")
    elif found.num_white < FEWEST_WHITE_CELLS:
        cells = "1 white cell" if found.num_white == 1 else f"{found.num_white} white cells"
        notes.append(f"Only {cells}: below {FEWEST_WHITE_CELLS} a differential is uncertain, as its intervals show.")
    if found.white_count is not None and found.num_erythroblasts:
        notes.append("Absolute numbers take the white count as it was entered; it must not include erythroblasts.")
    if any(share.is_finer_opinion for share in found.shares):
        notes.append("Finer types are the network's opinion; no person has confirmed them.")
    return tuple(notes)

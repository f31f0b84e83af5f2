"""Cases as tables and sentences."""

from datetime import datetime

import pandas as pd

from bloodcell.cases import Case, CaseSummary
from bloodcell.cases.differential import Differential, Share, ShareDifference
from bloodcell.cases.reports import describe_count


def differential_table(found: Differential) -> pd.DataFrame:
    """Return one row per type of white cell: count, percentage, interval, adult range, absolute numbers if known."""
    rows = [
        {
            "type": f"{share.name} (network's opinion)" if share.is_finer_opinion else share.name,
            "n": share.count,
            "%": share.percent,
            "95 % interval": _interval(share.low, share.high, 1),
            "adults %": share.reference_percent or "–",
            "outside": {"above": "▲ above", "below": "▼ below"}.get(share.position or "", ""),
            "10⁹/L": share.absolute,
            "95 % interval of 10⁹/L": _interval(share.absolute_low, share.absolute_high, 2),
            "adults 10⁹/L": share.reference_absolute or "–",
        }
        for share in found.shares
    ]
    table = pd.DataFrame(rows)
    return table if found.white_count is not None else table.drop(columns=[c for c in table.columns if "10⁹/L" in c])


def comparison_table(differences: tuple[ShareDifference, ...], names: tuple[str, str]) -> pd.DataFrame:
    """Return one row per type: both percentages and their difference with its interval."""
    first, second = (f"{name} %" for name in names) if names[0] != names[1] else ("first %", "second %")
    return pd.DataFrame(
        [
            {
                "type": one.name,
                first: one.first,
                second: one.second,
                "difference, points": one.difference,
                "95 % interval": _interval(one.low, one.high, 1),
                "clear": "✓" if one.is_clear else "",
            }
            for one in differences
        ]
    )


def history_table(case: Case) -> pd.DataFrame:
    """Return a case's records, newest first, as a reader reads them."""
    positions = {cell.id: cell.position for cell in case.cells}
    return pd.DataFrame(
        [
            {
                "no.": record.number,
                "time (UTC)": describe_time(record.time, seconds=True),
                "who": record.reviewer,
                "what": record.action,
                "cell": positions.get(record.cell_id or ""),
                "said": record.label or "",
                "words": record.text,
                "model": record.model or "",
                "model said": record.model_label or "",
                "probability": record.model_probability,
                "undoes no.": record.undoes,
            }
            for record in reversed(case.records)
        ]
    ).astype({"cell": "Int64", "undoes no.": "Int64"})


def describe_progress(case: CaseSummary) -> str:
    """Return how far a case is, in words."""
    if case.state == "signed" and case.signed_at is not None:
        return f"signed by {case.signed_by}, {describe_time(case.signed_at)} UTC"
    if case.num_cells == 0:
        return "open, no cells yet"
    if case.num_reviewed == case.num_cells:
        return "open, its one cell reviewed" if case.num_cells == 1 else f"open, all {case.num_cells} cells reviewed"
    return f"open, {case.num_reviewed} of {describe_count(case.num_cells, 'cell')} reviewed"


def describe_beside(found: Differential) -> list[str]:
    """Return what is counted beside the white cells, as short sentences."""
    lines = []
    if found.num_erythroblasts:
        per_100 = found.erythroblasts_per_100
        rate = "no white cells to relate them to" if per_100 is None else f"{per_100:.1f} per 100 white cells"
        lines.append(f"{describe_count(found.num_erythroblasts, 'erythroblast')}: {rate}")
    else:
        lines.append("No erythroblasts")
    lines.append(f"{describe_count(found.num_platelets, 'platelet')}, counted apart")
    for text, count, is_white in found.others:
        lines.append(f"{count} × {text} ({'a white cell' if is_white else 'not a white cell'})")
    if found.num_discarded:
        lines.append(f"{found.num_discarded} discarded")
    return lines


def describe_time(time: str, seconds: bool = False) -> str:
    """Return a record's time without the fraction of a second."""
    return datetime.fromisoformat(time).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def describe_share(share: Share) -> str:
    """Return a type's part in words, such as "12 neutrophil, 60.0 % (38.7 to 78.1)"."""
    if share.percent is None:
        return f"{share.count} {share.name}"
    return f"{share.count} {share.name}, {share.percent:.1f} % ({_interval(share.low, share.high, 1)})"


def _interval(low: float | None, high: float | None, digits: int) -> str:
    return "–" if low is None or high is None else f"{low:.{digits}f} to {high:.{digits}f}"

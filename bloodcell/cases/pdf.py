"""A case on paper: one page of summary, then the gallery."""

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import cast

import numpy as np
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from PIL import Image

from bloodcell.cases.base import Case
from bloodcell.cases.differential import REFERENCE_SOURCE, REFERENCE_WHITE_COUNT, Differential, Share, differential_of
from bloodcell.cases.fonts import Fonts, choose_fonts
from bloodcell.cases.pictures import decode_pixels
from bloodcell.cases.records import DISCARDED, OTHER, Cell
from bloodcell.cases.reports import (
    RESEARCH_USE,
    agreement_of,
    count_decisions,
    describe_count,
    describe_versions,
    describe_views,
    models_of,
)

MARGIN = 15.0
WIDTH = 210 - 2 * MARGIN
VIOLET, ROSE, TEXT, MUTED, GRID, PANEL = (
    (75, 46, 131),
    (181, 85, 122),
    (34, 26, 46),
    (107, 100, 117),
    (221, 214, 206),
    (241, 236, 230),
)
TILES_PER_ROW = 5
TILE = 32.0
TILE_GAP = (WIDTH - TILES_PER_ROW * TILE) / (TILES_PER_ROW - 1)
CAPTION_HEIGHT = 10.5
LINE_HEIGHT = 0.49  # of a paragraph, mm per point of its letters
ORIGIN_LINE = 4.6
BOTTOM = 297 - 15.0  # nothing but the foot stands below
ORIGIN_NOTES = (
    f"Adult reference ranges: {REFERENCE_SOURCE}",
    "Percentages are of white cells, with Wilson 95 % intervals (the line on the bar). An arrow marks a percentage "
    "whose whole interval lies outside the range. [U+…] stands for a character that no font at hand can draw; the "
    "CSV and the JSON hold it.",
)
LONGEST_TEXT = 4000  # no page shows more of one text, and every character is measured
ENLARGEMENT = 4  # a viewer that smooths pictures then smooths between squares, not between pixels
GALLERY_ORDER = (
    "neutrophil",
    "lymphocyte",
    "monocyte",
    "eosinophil",
    "basophil",
    "immature granulocyte",
    OTHER,
    "erythroblast",
    "platelet",
    DISCARDED,
    None,
)
# Left edge and width of the table's columns, mm.
COLUMNS = {
    "type": (0, 44),
    "count": (44, 9),
    "percent": (53, 15),
    "interval": (68, 24),
    "bar": (95, 34),
    "reference": (130, 15),
    "absolute": (145, 16),
    "absolute_reference": (161, 19),
}


def write_pdf(case: Case, pictures: Mapping[str, bytes]) -> bytes:
    """Return a case as a PDF in A4.

    Args:
        case: The case.
        pictures: Cell id -> PNG, as `CaseStore.load_pictures` gives them; cells without one get a frame.
    """
    fonts = choose_fonts(_all_text(case))
    pdf = _Report(case, fonts)
    pdf.add_page()
    _draw_summary(pdf, case, differential_of(case))
    _draw_gallery(pdf, case, pictures)
    _draw_remarks(pdf, case)
    return bytes(pdf.output())


class _Report(FPDF):
    """A4 with the project's look; every page carries the case, the notice and its number."""

    def __init__(self, case: Case, fonts: Fonts) -> None:
        super().__init__("portrait", "mm", "A4")
        self.case, self.fonts_chosen = case, fonts
        self.family = "Helvetica"
        if fonts.regular is not None:
            self.family = "Main"
            self.add_font("Main", "", fonts.regular)
            self.add_font("Main", "B", fonts.bold)
            for index, path in enumerate(fonts.fallbacks):
                self.add_font(f"Fallback{index}", "", path)
            self.set_fallback_fonts([f"Fallback{index}" for index in range(len(fonts.fallbacks))], exact_match=False)
        self.set_margins(MARGIN, MARGIN, MARGIN)
        self.set_auto_page_break(False)
        self.c_margin = 0
        self.set_title(fonts.write(f"{case.identifier} - differential count"))
        self.set_creator("Blood Cell Lab")
        self.set_lang("en")
        self.alias_nb_pages()

    def footer(self) -> None:
        """Draw what stands at the foot of every page."""
        self.set_y(-12)
        self.write_line(f"{self.case.identifier[:60]}  ·  {RESEARCH_USE}", 7.5, MUTED, width=WIDTH - 25)
        self.set_xy(MARGIN, -12)
        self.write_line(f"Page {self.page_no()} of {{nb}}", 7.5, MUTED, align="R")

    def write_line(
        self,
        text: str,
        size: float = 9,
        color: Sequence[int] = TEXT,
        style: str = "",
        width: float = WIDTH,
        height: float = 4.6,
        align: str = "L",
        left: float | None = None,
    ) -> None:
        """Write one line, shortened with an ellipsis to its width, and go below it."""
        self.set_font(self.family, style, size)
        self.set_text_color(*color)
        if left is not None:
            self.set_x(left)
        shown = self.shorten(self.fonts_chosen.write(" ".join(text[:LONGEST_TEXT].split())), width)
        self.cell(width, height, shown, align=align, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def write_block(
        self, text: str, size: float = 9, color: Sequence[int] = TEXT, style: str = "", max_lines: int = 4
    ) -> None:
        """Write a paragraph over the whole width, at most so many lines; the last one then ends in an ellipsis."""
        lines = self.break_lines(text, size, style, max_lines)
        self.set_text_color(*color)
        for line in lines:
            self.cell(WIDTH, size * LINE_HEIGHT, line.rstrip("\n"), new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def break_lines(self, text: str, size: float, style: str = "", max_lines: int = 4) -> list[str]:
        """Return the lines of a paragraph over the whole width, at most so many."""
        self.set_font(self.family, style, size)
        shown = self.fonts_chosen.write(text[:LONGEST_TEXT])
        lines = cast(
            list[str], self.multi_cell(WIDTH, size * LINE_HEIGHT, shown, align="L", dry_run=True, output="LINES")
        )
        if len(lines) > max_lines:
            lines = [*lines[: max_lines - 1], self.shorten(lines[max_lines - 1] + " …", WIDTH - 4)]
        return lines

    def shorten(self, text: str, width: float) -> str:
        """Return a text that fits into a width, mm, with an ellipsis where it was cut."""
        if self.get_string_width(text) <= width - 2 * self.c_margin:
            return text
        ellipsis = self.fonts_chosen.write("…")
        while text and self.get_string_width(text + ellipsis) > width - 2 * self.c_margin:
            text = text[:-1]
        return text.rstrip() + ellipsis


def _draw_summary(pdf: _Report, case: Case, found: Differential) -> None:
    pdf.write_line("Differential count", 10, MUTED)
    pdf.write_line(case.identifier, 20, VIOLET, "B", height=9)
    pdf.write_line(_describe_state(case), 10, TEXT, "B" if case.state == "signed" else "")
    pdf.ln(1.5)
    pdf.set_fill_color(*PANEL)
    pdf.set_draw_color(*ROSE)
    pdf.rect(MARGIN, pdf.get_y(), WIDTH, 7, style="F")
    pdf.line(MARGIN, pdf.get_y(), MARGIN, pdf.get_y() + 7)
    pdf.set_y(pdf.get_y() + 1.2)
    pdf.write_line(RESEARCH_USE, 9, ROSE, "B", left=MARGIN + 2)
    pdf.ln(3)
    for line in _describe_counts(case, found):
        pdf.write_line(line, 9.5)
    pdf.ln(2)
    _draw_table(pdf, found)
    for text, count, is_white in found.others[:5]:
        kind = "white cell" if is_white else "not counted as a white cell"
        pdf.write_line(f"Other or abnormal: {text}, {count} ({kind})", 9)
    if len(found.others) > 5:
        pdf.write_line(f"and {len(found.others) - 5} other descriptions, in the gallery and in the CSV", 9, MUTED)
    pdf.ln(1.5)
    for note in found.notes:
        pdf.write_block(note, 8.5, ROSE, max_lines=2)
    if case.notes:
        pdf.ln(1.5)
        pdf.write_line("Notes", 10, VIOLET, "B", height=5.5)
        pdf.write_block(case.notes, 9, max_lines=6)
    _draw_origin(pdf, case)


def _draw_table(pdf: _Report, found: Differential) -> None:
    heads = {
        "type": "White cells",
        "count": "n",
        "percent": "%",
        "interval": "95 % interval",
        "bar": "0 to 100 %",
        "reference": "Adults %",
        "absolute": "10⁹/L",
        "absolute_reference": "Adults 10⁹/L",
    }
    _draw_row(pdf, heads, 8, MUTED)
    for share in found.shares:
        _draw_rule(pdf)
        _draw_share(pdf, share)
    _draw_rule(pdf)
    per_100 = "-" if found.erythroblasts_per_100 is None else f"{found.erythroblasts_per_100:.1f} per 100 white cells"
    pdf.write_line(
        f"Erythroblasts: {found.num_erythroblasts}, {per_100}.   Platelets: {found.num_platelets}, apart.", 9.5
    )
    if found.white_count is not None:
        pdf.write_line(
            f"White count as entered: {found.white_count:g} × 10⁹/L (adults {REFERENCE_WHITE_COUNT.text}).", 9.5
        )


def _draw_share(pdf: _Report, share: Share) -> None:
    mark = {"above": " ↑", "below": " ↓"}.get(share.position or "", "")
    texts = {
        "type": f"   {share.name} (opinion)" if share.is_finer_opinion else share.name,
        "count": str(share.count),
        "percent": "-" if share.percent is None else f"{share.percent:.1f}{mark}",
        "interval": "-" if share.low is None else f"{share.low:.1f} to {share.high:.1f}",
        "reference": share.reference_percent or "-",
        "absolute": "-" if share.absolute is None else f"{share.absolute:.2f}",
        "absolute_reference": share.reference_absolute or "-",
    }
    top = pdf.get_y()
    _draw_row(pdf, texts, 8.5 if share.is_finer_opinion else 9.5, MUTED if share.is_finer_opinion else TEXT)
    if share.percent is not None and share.low is not None and share.high is not None:
        left, width = MARGIN + COLUMNS["bar"][0], COLUMNS["bar"][1]
        pdf.set_fill_color(*GRID)
        pdf.rect(left, top + 1.6, width, 2.4, style="F")
        pdf.set_fill_color(*(MUTED if share.is_finer_opinion else VIOLET))
        if share.percent:
            pdf.rect(left, top + 1.6, width * share.percent / 100, 2.4, style="F")
        pdf.set_draw_color(*ROSE)
        pdf.set_line_width(0.6)
        pdf.line(left + width * share.low / 100, top + 2.8, left + width * share.high / 100, top + 2.8)
        pdf.set_line_width(0.2)


def _draw_row(pdf: _Report, texts: Mapping[str, str], size: float, color: Sequence[int]) -> None:
    top = pdf.get_y()
    for name, text in texts.items():
        left, width = COLUMNS[name]
        pdf.set_y(top)
        align = "L" if name in ("type", "bar") else "R"
        shown = f"   {text.strip()}" if text.startswith("   ") else text
        pdf.set_font(pdf.family, "", size)
        pdf.set_text_color(*color)
        pdf.set_x(MARGIN + left)
        pdf.cell(width, 5.6, pdf.shorten(pdf.fonts_chosen.write(shown), width), align=align)
    pdf.set_xy(MARGIN, top + 5.6)


def _draw_rule(pdf: _Report) -> None:
    pdf.set_draw_color(*GRID)
    pdf.line(MARGIN, pdf.get_y(), MARGIN + WIDTH, pdf.get_y())


def _draw_origin(pdf: _Report, case: Case) -> None:
    """Write which models answered, with what, and what became of it: at the foot of the summary, where it fits there.

    Otherwise it has a page of its own.
    """
    judged = [line for text in _judged_line(case) for line in pdf.break_lines(text, 9)]
    parts = (  # space before, lines, size, color
        (1, judged, 9, TEXT),
        (0, _model_lines(case), 8.5, MUTED),
        (1, _event_lines(case), 8.5, MUTED),
    )
    height = 3 + sum(len(lines) for _, lines, _, _ in parts) * ORIGIN_LINE
    height += sum(len(pdf.break_lines(text, 7.5, max_lines=3)) for text in ORIGIN_NOTES) * 7.5 * LINE_HEIGHT
    top = max(pdf.get_y() + 3, min(297 - 76, BOTTOM - height))
    if top + height > BOTTOM:
        pdf.add_page()
        top = MARGIN
    pdf.set_y(top)
    _draw_rule(pdf)
    for space, lines, size, color in parts:
        pdf.ln(space)
        for line in lines:
            pdf.write_line(line, size, color, height=ORIGIN_LINE)
    pdf.ln(1)
    for text in ORIGIN_NOTES:
        pdf.write_block(text, 7.5, MUTED, max_lines=3)


def _judged_line(case: Case) -> list[str]:
    """Return how far model and people agree and who decided, nothing where nobody judged what a model named."""
    confirmed, judged = agreement_of(case)
    if not judged:
        return []
    return [
        f"Of {describe_count(judged, 'cell')} that a model named and a person judged, confirmed: {confirmed}, not "
        f"confirmed: {judged - confirmed}. Decisions by {_pairs(count_decisions(case))}."
    ]


def _model_lines(case: Case) -> list[str]:
    """Return which models answered how many cells, with which thresholds and versions; at most three of them."""
    models, lines = models_of(case), []
    for model in models[:3]:
        limits = ", ".join(f"{name} {value}" for name, value in model["thresholds"].items()) or "none recorded"
        lines.append(
            f"Model {model['model']}, artifact {model['fingerprint'][:16]}: "
            f"{describe_count(model['num_cells'], 'cell')}{describe_views(model['num_views'])}. Thresholds: {limits}."
        )
        if model["versions"]:
            lines.append("Answered with " + _pairs(model["versions"]) + ".")
    if len(models) > 3:
        lines.append(f"and {len(models) - 3} more models or settings of them, in the CSV and the JSON.")
    return [*lines, f"Reported with {_pairs(describe_versions())}."]


def _event_lines(case: Case) -> list[str]:
    """Return when and by whom the case was made, signed, reopened and restored; the last five of these.

    That it was restored is among them however long ago it was.
    """
    wanted = ("created", "signed", "reopened", "images dropped", "restored")
    events = [record for record in case.records if record.action in wanted]
    if case.restored is not None and case.restored not in events[-5:]:
        events = [case.restored, *events[-4:]]
    return [
        f"{_describe_time(event.time)}  {event.action} by {event.reviewer or '-'}"
        + (f": {event.text}" if event.action in ("reopened", "restored") else "")
        for event in events[-5:]
    ]


def _draw_gallery(pdf: _Report, case: Case, pictures: Mapping[str, bytes]) -> None:
    bottom = 297 - 16
    pdf.add_page()
    pdf.write_line("Gallery", 14, VIOLET, "B", height=8)
    if case.cells and not pictures:
        pdf.write_line("The pictures were dropped at sign-off; their hashes are in the CSV and the JSON.", 9, MUTED)
    for label in GALLERY_ORDER:
        cells = [cell for cell in case.cells if cell.label == label]
        if not cells:
            continue
        if pdf.get_y() + 7 + TILE + CAPTION_HEIGHT > bottom:
            pdf.add_page()
        title = "no answer and no decision yet" if label is None else label
        pdf.ln(1)
        pdf.write_line(f"{title.capitalize()}  ({len(cells)})", 10.5, VIOLET, "B", height=6)
        for start in range(0, len(cells), TILES_PER_ROW):
            if pdf.get_y() + TILE + CAPTION_HEIGHT > bottom:
                pdf.add_page()
            top = pdf.get_y()
            for column, cell in enumerate(cells[start : start + TILES_PER_ROW]):
                _draw_tile(pdf, cell, pictures.get(cell.id), MARGIN + column * (TILE + TILE_GAP), top)
            pdf.set_y(top + TILE + CAPTION_HEIGHT)


def _draw_remarks(pdf: _Report, case: Case) -> None:
    """Write people's words about cells in full: a tile has one short line for them."""
    remarks = []
    for cell in case.cells:
        if cell.decision is not None and cell.decision.text:
            remarks.append((cell, cell.decision))
        remarks += [(cell, comment) for comment in cell.comments]
    if not remarks:
        return
    if pdf.get_y() + 24 > 297 - 16:
        pdf.add_page()
    pdf.ln(2)
    pdf.write_line("Remarks", 14, VIOLET, "B", height=8)
    for cell, record in remarks:
        if pdf.get_y() + 14 > 297 - 16:
            pdf.add_page()
        said = f"{record.reviewer or '-'}, {_describe_time(record.time)}: {record.text}"
        pdf.write_block(f"no. {cell.position} ({cell.label or 'no label'})  {said}", 8.5, TEXT, max_lines=3)


def _draw_tile(pdf: _Report, cell: Cell, picture: bytes | None, left: float, top: float) -> None:
    if picture is None:
        pdf.set_fill_color(*PANEL)
        pdf.rect(left, top, TILE, TILE, style="F")
    else:
        alt = f"Cell {cell.position}: {cell.label or 'no label'}"
        pdf.image(_enlarge(picture), left, top, TILE, TILE, alt_text=pdf.fonts_chosen.write(alt))
    pdf.set_xy(left, top + TILE + 0.4)
    for text, color in zip(_describe_cell(cell), (TEXT, MUTED, MUTED), strict=True):
        pdf.write_line(text, 7, color, width=TILE, height=3.1, left=left)


def _enlarge(picture: bytes) -> io.BytesIO:
    pixels = decode_pixels(picture)
    large = np.repeat(np.repeat(pixels, ENLARGEMENT, axis=0), ENLARGEMENT, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(large).save(buffer, "PNG")
    buffer.seek(0)
    return buffer


def _describe_cell(cell: Cell) -> tuple[str, str, str]:
    """Return three short lines: number and file, what the model said, what the person said."""
    model = "no model asked"
    if cell.answer is not None:
        sure = "" if cell.answer.probability is None else f" {_describe_probability(cell.answer.probability)}"
        refused = "" if cell.answer.status == "ok" else f" ({cell.answer.status.replace('_', ' ')})"
        named = (cell.answer.label or "no type").replace("immature granulocyte", "immature gran.")
        model = f"model: {named}{sure}{refused}"
    if cell.decision is None:
        person = "not reviewed"
    else:
        words = f": {cell.decision.text}" if cell.decision.text else ""
        person = f"{cell.decision.action} by {cell.decision.reviewer or '-'}{words}"
    return f"no. {cell.position}  {cell.file}", model, person


def _describe_probability(probability: float) -> str:
    return "> 99.9 %" if probability >= 0.9995 else f"{100 * probability:.1f} %"  # no network is sure to 100 %


def _describe_state(case: Case) -> str:
    if case.state == "signed" and case.signed_at is not None:
        return f"Signed by {case.signed_by}, {_describe_time(case.signed_at)}"
    return f"Open, not signed. {case.num_reviewed} of {case.num_cells} cells reviewed."


def _describe_counts(case: Case, found: Differential) -> list[str]:
    num_others = sum(count for _, count, is_white in found.others if not is_white)
    parts = [
        f"{describe_count(found.num_white, 'white cell')} counted",
        describe_count(found.num_erythroblasts, "erythroblast"),
        describe_count(found.num_platelets, "platelet"),
        f"{describe_count(num_others, 'other')} that {'is' if num_others == 1 else 'are'} not white",
        f"{found.num_discarded} discarded",
    ]
    if found.num_unanswered:
        parts.append(f"{found.num_unanswered} without a type yet")
    return [f"{describe_count(case.num_cells, 'cell')}, {case.num_reviewed} reviewed by a person: {', '.join(parts)}."]


def _describe_time(time: str) -> str:
    return datetime.fromisoformat(time).strftime("%Y-%m-%d %H:%M UTC")


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _all_text(case: Case) -> str:
    """Return every text of a user that the report may hold, and the characters that the report itself uses."""
    texts: Iterable[str] = (
        case.identifier,
        case.notes,
        case.signed_by or "",
        *(cell.file for cell in case.cells),
        *(record.text + record.reviewer + (record.model or "") for record in case.records),
        "ABCabc123 ·×⁹…↑↓–",
    )
    return "".join(texts)

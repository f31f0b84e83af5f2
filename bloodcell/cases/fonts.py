"""Typefaces for reports: the dashboard's own, the machine's for scripts that it lacks, and a way to write the rest.

Streamlit brings Source Sans as a variable web font; what a PDF needs is cut out of it once, into the user's cache.
Identifiers may be in any script, and no font holds all: a character that no font here can draw is written as its code
in brackets, such as [U+8840], so that no two identifiers look the same.
"""

import hashlib
import io
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from bloodcell.errors import StorageError
from bloodcell.files import cache_directory, write_atomically

REGULAR, BOLD = 400, 650
# Preferred first; each line is a font, or a set of fonts, that many systems have. None of them comes with this project.
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "NotoSansArabic-Regular.ttf",
    "NotoSansHebrew-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "FreeSans.ttf",
    "unifont.ttf",
    "Arial Unicode.ttf",
    "ARIALUNI.TTF",
    "arial.ttf",
    "msyh.ttc",
    "PingFang.ttc",
    "LiberationSans-Regular.ttf",
)
_UNWANTED_TABLES = ("GSUB", "GPOS", "GDEF", "BASE", "STAT")
_PLAIN = {"–": "-", "—": "-", "−": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "…": "...", "⁹": "^9", "≥": ">="}


@dataclass(frozen=True)
class Fonts:
    """What a report is set in.

    Attributes:
        regular, bold: Files of the main typeface; None for the PDF standard's own Helvetica, which is Western only.
        fallbacks: Files that are looked into, in this order, for characters that the main one lacks.
        drawable: Code points that one of them holds.
    """

    regular: Path | None
    bold: Path | None
    fallbacks: tuple[Path, ...]
    drawable: frozenset[int]

    def write(self, text: str) -> str:
        """Return a text with every character that cannot be drawn as its code, such as [U+8840]."""
        return "".join(c if ord(c) in self.drawable or c == "\n" else self._spell(c) for c in text)

    def _spell(self, character: str) -> str:
        plain = _PLAIN.get(character)
        if plain is not None and all(ord(c) in self.drawable for c in plain):
            return plain
        return " " if character.isspace() else f"[U+{ord(character):04X}]"


def choose_fonts(text: str) -> Fonts:
    """Return the fonts for a text: the main typeface, and those of this machine's that draw more of it.

    Args:
        text: All that will be written.
    """
    regular, bold = _main_typeface()
    drawable = set(_characters(regular)) if regular else {c for c in range(32, 256) if not 127 <= c < 160}
    missing = {ord(c) for c in text if not c.isspace()} - drawable
    fallbacks: list[Path] = []
    for path in _system_fonts() if missing and regular else ():
        helps = missing & _characters(path)
        if helps:
            fallbacks.append(path)
            drawable |= helps
            missing -= helps
        if not missing:
            break
    return Fonts(regular, bold, tuple(fallbacks), frozenset(drawable))


def _main_typeface() -> tuple[Path | None, Path | None]:
    """Return files of the regular and the bold main typeface: Source Sans, else one of the system's, else none."""
    source = _source_sans()
    if source is not None:
        try:
            return _cut_out(source, REGULAR), _cut_out(source, BOLD)
        except (ImportError, StorageError, OSError, KeyError, ValueError):
            pass  # without brotli, or with a full disk, the report is set in something else rather than not made
    for path in _system_fonts():
        return path, path
    return None, None


def _source_sans() -> Path | None:
    spec = find_spec("streamlit")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        found = sorted((Path(folder) / "static" / "static" / "media").glob("SourceSansVF-Upright*.woff2"))
        if found:
            return found[0]
    return None


def _cut_out(source: Path, weight: int) -> Path:
    """Return one weight of a variable web font as a TrueType file in the cache, made now if it is not there."""
    data = source.read_bytes()
    target = cache_directory() / "fonts" / f"{hashlib.sha256(data).hexdigest()[:16]}-{weight}.ttf"
    if not target.is_file():
        write_atomically(target, _instantiate(data, weight))
    return target


def _instantiate(data: bytes, weight: int) -> bytes:
    from fontTools import subset
    from fontTools.ttLib import TTFont
    from fontTools.varLib import instancer

    logging.getLogger("fontTools").setLevel(logging.ERROR)
    font = TTFont(io.BytesIO(data))
    # Ligatures and kerning go first: they are most of the work, and fpdf2 sets neither without a shaping library.
    options = subset.Options(layout_features=[], notdef_outline=True, drop_tables=list(_UNWANTED_TABLES))
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=font.getBestCmap())
    subsetter.subset(font)
    font = instancer.instantiateVariableFont(font, {"wght": weight}, inplace=True)
    font.flavor = None
    buffer = io.BytesIO()
    font.save(buffer)
    return buffer.getvalue()


@cache
def _characters(path: Path) -> frozenset[int]:
    """Return the code points that a font file holds; none where it cannot be read."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(path, fontNumber=0, lazy=True) as font:
            return frozenset(font.getBestCmap() or ())
    except (OSError, TTLibError, KeyError, ValueError):
        return frozenset()


@cache
def _system_fonts() -> tuple[Path, ...]:
    """Return the known fonts that this machine has, preferred first."""
    wanted: dict[str, Path | None] = dict.fromkeys(_SYSTEM_FONTS)
    for folder in _font_folders():
        for path in _walk(folder):
            if path.name in wanted and wanted[path.name] is None:
                wanted[path.name] = path
    return tuple(path for path in wanted.values() if path is not None)


def _font_folders() -> Iterable[Path]:
    home = Path.home()
    if sys.platform == "darwin":
        return Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts"
    if sys.platform == "win32":
        return (Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts",)
    return Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".local/share/fonts", home / ".fonts"


def _walk(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        yield from (Path(root) / name for name in sorted(names))

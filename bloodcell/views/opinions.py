"""What each of several models says of one cell, as small multiples: eight bars per model, light enough for a glance."""

import html
from collections.abc import Mapping

import numpy as np

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES
from bloodcell.views import theme
from bloodcell.views.quantities import probability_text

OPINIONS_STYLE = """<style>
.opinions {display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 0.75rem 1.25rem;}
.opinions strong {display: block; font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap}
.opinions .bars {display: grid; grid-template-columns: repeat(8, 1fr); gap: 3px; height: 56px; align-items: end}
.opinions .bars i {display: block; min-height: 2px}
.opinions .names {display: grid; grid-template-columns: repeat(8, 1fr); gap: 3px; font-size: 0.62rem;
  text-align: center}
.opinions .said {font-size: 0.85rem; font-variant-numeric: tabular-nums}
</style>"""


def opinions_html(opinions: Mapping[str, np.ndarray], mode: theme.Mode) -> str:
    """Return a list of models, each with its answer in words and eight bars; those that differ from the first say so.

    Args:
        opinions: (8,) probabilities by model name; all are compared with the first.
        mode: The ground it will stand on.
    """
    colors = theme.palette(mode)
    first = None
    items = []
    for name, values in opinions.items():
        label = int(np.argmax(values))
        first = label if first is None else first
        differs = f'<span style="color:{colors.bad}">≠ </span>' if label != first else ""
        glyph = f'<span style="color:{theme.class_color(label)}">{theme.CLASS_GLYPHS[label]}</span>'
        said = f"{differs}{glyph} {CLASS_NAMES[label]}, {probability_text(float(values[label]))}"
        bars = "".join(
            f'<i style="height:{max(2.0, 100 * float(value)):.1f}%;background:{theme.class_color(index)}" '
            f'title="{CLASS_NAMES[index]}: {probability_text(float(value))}"></i>'
            for index, value in enumerate(values)
        )
        spoken = ", ".join(
            f"{CLASS_NAMES[index]} {probability_text(float(value))}" for index, value in enumerate(values)
        )
        names = "".join(f"<span>{code}</span>" for code in CLASS_CODES)
        items.append(
            f'<div role="listitem"><strong>{html.escape(name)}</strong><span class="said">{said}</span>'
            f'<div class="bars" role="img" aria-label="{spoken}" style="border-bottom:1px solid {colors.grid}">{bars}'
            f'</div><div class="names" aria-hidden="true" style="color:{colors.muted}">{names}</div></div>'
        )
    return f'<div class="opinions" role="list">{"".join(items)}</div>'

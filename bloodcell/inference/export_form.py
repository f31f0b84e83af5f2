"""Brings a LiteRT form into the shape in which other programs expect it: logits first, and no feature map.

The form that `Engine` runs gives its last feature map too, wherever a network pools one, and LiteRT lists that first.
Whoever reads the first output of an exported file expects the logits. Only the lists of outputs are written anew, where
they stand: everything else of a form that is known to run stays as it is.
"""

import struct
from collections.abc import Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from bloodcell.dataset import SUBTYPE_NAMES

_ELEMENT = struct.Struct("<I")
_GRAPH_OUTPUTS, _SIGNATURE_OUTPUTS = 8, 6
"""Places of the fields in the tables `SubGraph` and `SignatureDef` of LiteRT's schema."""


def drop_feature_map(form: bytes) -> bytes:
    """Return a form that gives the same logits (n, classes) first, then those of subtypes (n, 5) if it has any.

    Args:
        form: A sound LiteRT form, as `convert` makes it; one without a map and in this order comes back as it is.
    """
    changed = bytearray(form)
    model = schema.Model.GetRootAs(changed, 0)
    graph = model.Subgraphs(0)
    outputs = graph.OutputsAsNumpy().tolist()
    kept = [place for place, index in enumerate(outputs) if graph.Tensors(index).ShapeLength() == 2]
    if len(kept) > 1:
        kept.sort(key=lambda place: graph.Tensors(outputs[place]).Shape(1) == len(SUBTYPE_NAMES))
    rows = [outputs[place] for place in kept]
    if rows == outputs:
        return form
    _keep(changed, graph._tab, _GRAPH_OUTPUTS, kept, holds_tables=False)
    for number in range(model.SignatureDefsLength()):
        signature = model.SignatureDefs(number)
        named = [signature.Outputs(place).TensorIndex() for place in range(signature.OutputsLength())]
        left = [place for place, index in enumerate(named) if index in rows]
        _keep(changed, signature._tab, _SIGNATURE_OUTPUTS, left, holds_tables=True)
    return bytes(changed)


def _keep(form: bytearray, table: Any, field: int, kept: Sequence[int], *, holds_tables: bool) -> None:
    """Leave some elements, in the order given, of a list in a form; a table is listed by how far off it lies."""
    start = table.Vector(table.Offset(field))
    values = [_ELEMENT.unpack_from(form, start + 4 * place)[0] for place in kept]
    for place, (before, value) in enumerate(zip(kept, values, strict=True)):
        moved = 4 * (before - place) if holds_tables else 0
        _ELEMENT.pack_into(form, start + 4 * place, value + moved)
    _ELEMENT.pack_into(form, start - _ELEMENT.size, len(kept))

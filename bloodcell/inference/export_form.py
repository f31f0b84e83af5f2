"""Brings a LiteRT form into the shape in which other programs expect it: logits first, and no feature map.

The form that `Engine` runs gives its last feature map too, wherever a network pools one, and LiteRT lists that first.
Whoever reads the first output of an exported file expects the logits.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from bloodcell.dataset import SUBTYPE_NAMES


def drop_feature_map(form: bytes) -> bytes:
    """Return a form that gives the same logits (n, classes) first, then those of subtypes (n, 5) if it has any.

    Args:
        form: A sound LiteRT form, as `convert` makes it; one without a map and in this order comes back as it is.
    """
    model = schema.ModelT.InitFromPackedBuf(form, 0)
    (graph,) = model.subgraphs
    rows = [int(index) for index in graph.outputs if len(graph.tensors[index].shape) == 2]
    if len(rows) > 1:
        rows.sort(key=lambda index: graph.tensors[index].shape[1] == len(SUBTYPE_NAMES))
    if rows == list(graph.outputs):
        return form
    graph.outputs = np.array(rows, np.int32)
    for signature in model.signatureDefs or []:
        signature.outputs = [one for one in signature.outputs if one.tensorIndex in rows]
    _drop_unread_operators(graph)
    builder = flatbuffers.Builder(len(form))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _drop_unread_operators(graph: schema.SubGraphT) -> None:
    """Remove operations whose result nothing reads any more, such as the one that gave the map as float32."""
    read, kept = set(graph.outputs.tolist()), []
    for operator in reversed(graph.operators):
        if read.intersection(operator.outputs.tolist()):
            read.update(operator.inputs.tolist())
            kept.append(operator)
    graph.operators = kept[::-1]

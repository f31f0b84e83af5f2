"""Halves a float32 LiteRT form without changing an answer: what float16 holds exactly is stored as float16.

TensorFlow's own float16 conversion rounds every constant, biases too, after it has folded batch normalization into the
kernels; with batch normalization that moved probabilities by hundredths. An artifact keeps its
kernels as float16 and its vectors as float32, and here the form does the same: a kernel whose values float16 can hold
becomes float16, with an operation before it that widens it when the form is loaded; everything else stays float32.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

SMALLEST_PACKED = 128
"""Values of the smallest kernel that is packed; below it the operation that widens it outweighs what is saved."""
ROUNDING = 1e-6
"""Largest relative difference that still counts as the same value: folding a normalization by 1 rounds in float32."""

_DEQUANTIZE_VERSION = 3  # the first that reads float16


def pack_float16(form: bytes) -> bytes:
    """Return a form that gives the same answers, its exactly representable kernels (ndim ≥ 2) stored as float16.

    Args:
        form: A float32 LiteRT form with one subgraph.
    """
    model = schema.ModelT.InitFromPackedBuf(form, 0)
    (graph,) = model.subgraphs
    outputs = {int(index) for index in graph.outputs}
    code = len(model.operatorCodes)
    widening = []
    for index in range(len(graph.tensors)):
        values = _constant_values(model, graph.tensors[index])
        if values is None or index in outputs or not _is_exact(values):
            continue
        graph.tensors.append(_half_tensor(graph.tensors[index], len(model.buffers)))
        model.buffers.append(_buffer(values.astype(np.float16)))
        graph.tensors[index].buffer = 0  # the empty one: from now on the operation fills it
        widening.append(_widen(len(graph.tensors) - 1, index, code))
    if not widening:
        return form
    model.operatorCodes.append(_dequantize_code())
    graph.operators[:0] = widening
    _drop_unused_data(model)
    builder = flatbuffers.Builder(len(form))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _constant_values(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray | None:
    """Return the values of a float32 constant with two axes or more, flat; None for any other tensor."""
    data = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT32 or data is None or tensor.shape is None or len(tensor.shape) < 2:
        return None
    return np.frombuffer(np.asarray(data, np.uint8).tobytes(), "<f4")


def _is_exact(values: np.ndarray) -> bool:
    if len(values) < SMALLEST_PACKED:
        return False
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16).astype(np.float32)
    return bool(np.all(np.abs(rounded - values) <= ROUNDING * np.abs(values)))


def _half_tensor(tensor: schema.TensorT, buffer: int) -> schema.TensorT:
    half = schema.TensorT()
    half.shape = tensor.shape
    half.type = schema.TensorType.FLOAT16
    half.buffer = buffer
    half.name = bytes(tensor.name) + b"_half"
    half.hasRank = tensor.hasRank
    return half


def _buffer(values: np.ndarray) -> schema.BufferT:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.astype("<f2").tobytes(), np.uint8)
    return buffer


def _widen(source: int, target: int, code: int) -> schema.OperatorT:
    operator = schema.OperatorT()
    operator.opcodeIndex = code
    operator.inputs = np.array([source], np.int32)
    operator.outputs = np.array([target], np.int32)
    operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
    operator.builtinOptions = schema.DequantizeOptionsT()
    return operator


def _dequantize_code() -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.DEQUANTIZE
    code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = _DEQUANTIZE_VERSION
    return code


def _drop_unused_data(model: schema.ModelT) -> None:
    """Empty the buffers that no tensor and no metadata name any more; their places stay, so that numbers still fit."""
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or []}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None

"""Answers from LiteRT: the form of a network that runs without TensorFlow, tens of times faster than `predict`."""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bloodcell.artifact import Artifact
from bloodcell.dataset import SUBTYPE_NAMES
from bloodcell.errors import EngineError
from bloodcell.inference.child import OnProgress
from bloodcell.inference.forms import Precision, ensure_litert, is_cached_form

NUM_THREADS = 2
LARGEST_BATCH = 64
"""Images per pass; more of them gain nothing and only enlarge the working memory."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network says of images in one pass.

    Attributes:
        logits: (n, classes) float32, before temperature and softmax.
        feature_maps: (n, h, w, channels) float32, the last map, whose mean over h and w the logits are a linear
            function of; None where the network has no such map or its form was built without.
        subtype_logits: (n, 5) float32, of the finer types within classes, for `evaluation.finer_probabilities`; None
            where the network does not tell them apart.
    """

    logits: np.ndarray
    feature_maps: np.ndarray | None
    subtype_logits: np.ndarray | None = None

    @property
    def features(self) -> np.ndarray | None:
        """Pooled features, (n, channels) float32: the mean of each channel of the last map."""
        return None if self.feature_maps is None else self.feature_maps.mean(axis=(1, 2))


class Engine:
    """One network, loaded and ready; may be shared between threads, which take turns.

    LiteRT applies its XNNPACK kernels by itself; `uses_xnnpack` tells whether it did.
    """

    def __init__(self, path: Path, num_threads: int = NUM_THREADS, largest_batch: int = LARGEST_BATCH) -> None:
        """Load a LiteRT form.

        Args:
            path: The form: one input (n, 64, 64, 3) float32 in [0, 1]; outputs (n, classes) float32 logits and, if it
                has them, the last feature map (n, h, w, channels) and the subtypes' logits (n, 5), float32.
            num_threads: Processor threads of one pass.
            largest_batch: Images per pass; longer inputs are cut.

        Raises:
            EngineError: The file is no LiteRT form or not of this shape.
        """
        from ai_edge_litert.interpreter import Interpreter  # 0.4 s that pages without answers need not wait for

        self.path = path
        self.num_threads = num_threads
        self.largest_batch = largest_batch
        self._lock = threading.Lock()
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=num_threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise EngineError(
                f"{path} cannot be run by LiteRT ({_first_line(error)}). Delete it and try again."
            ) from error
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        signatures = [tuple(int(n) for n in details["shape_signature"]) for details in (*inputs, *outputs)]
        maps = [details["index"] for details in outputs if len(details["shape_signature"]) == 4]
        # LiteRT may name and order outputs as it likes; the subtypes' logits are known by being five.
        rows = [details for details in outputs if len(details["shape_signature"]) == 2]
        subtypes = [d["index"] for d in rows if len(rows) == 2 and d["shape_signature"][1] == len(SUBTYPE_NAMES)]
        logits = [details["index"] for details in rows if details["index"] not in subtypes]
        is_known = len(logits) == 1 and len(maps) <= 1 and len(outputs) == len(logits + maps + subtypes)
        if len(inputs) != 1 or len(signatures[0]) != 4 or signatures[0][0] != -1 or not is_known:
            raise EngineError(
                f"{path} maps {signatures}; expected batches of any size, (n, height, width, 3), to logits "
                "(n, classes), with or without a feature map and logits of subtypes. Delete it and try again."
            )
        self.input_shape = signatures[0][1:]
        self._input, self._logits = inputs[0]["index"], logits[0]
        self._maps, self._subtypes = next(iter(maps), None), next(iter(subtypes), None)
        self._output_shapes = {details["index"]: tuple(int(n) for n in details["shape"][1:]) for details in outputs}
        self._batch = 1

    @property
    def uses_xnnpack(self) -> bool:
        """Whether LiteRT handed the network to XNNPACK, its fast kernels for processors."""
        return any(op["op_name"] == "DELEGATE" for op in self._interpreter._get_ops_details())

    @property
    def gives_features(self) -> bool:
        """Whether this form gives the last feature map besides the logits."""
        return self._maps is not None

    @property
    def gives_subtypes(self) -> bool:
        """Whether this form tells finer types apart."""
        return self._subtypes is not None

    def compute_logits(self, inputs: np.ndarray) -> np.ndarray:
        """Return logits, (n, classes) float32, before temperature and softmax.

        Args:
            inputs: (n, 64, 64, 3) float32 in [0, 1], as `dataset.prepare_images` gives them; n of 0 or more.

        Raises:
            EngineError: LiteRT could not run the network, for want of memory for instance.
        """
        return self._run_all(inputs, (self._logits,))[0]

    def compute_outputs(self, inputs: np.ndarray) -> Outputs:
        """Return logits and whatever else the form gives, from one pass; see `compute_logits`."""
        places = [place for place in (self._logits, self._maps, self._subtypes) if place is not None]
        found = dict(zip(places, self._run_all(inputs, tuple(places)), strict=True))
        maps = None if self._maps is None else found[self._maps]
        return Outputs(found[self._logits], maps, None if self._subtypes is None else found[self._subtypes])

    def _run_all(self, inputs: np.ndarray, wanted: tuple[int, ...]) -> list[np.ndarray]:
        if inputs.shape[1:] != self.input_shape or inputs.dtype != np.float32:
            expected = f"(n, {', '.join(map(str, self.input_shape))}) float32"
            raise ValueError(f"Expected {expected} inputs. Received: {inputs.shape} {inputs.dtype}")
        starts = range(0, max(len(inputs), 1), self.largest_batch)
        with self._lock:
            try:
                if len(inputs) == 0:
                    return [np.zeros((0, *self._output_shapes[index]), np.float32) for index in wanted]
                parts = [self._run(inputs[start : start + self.largest_batch], wanted) for start in starts]
                return [np.concatenate(each) for each in zip(*parts, strict=True)]
            except (ValueError, RuntimeError) as error:
                raise EngineError(f"LiteRT could not run {self.path}: {_first_line(error)}.") from error

    def _run(self, inputs: np.ndarray, wanted: tuple[int, ...]) -> list[np.ndarray]:
        if len(inputs) != self._batch:
            self._batch = 0  # unknown until both calls are through
            self._interpreter.resize_tensor_input(self._input, inputs.shape)
            self._interpreter.allocate_tensors()
            self._batch = len(inputs)
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(inputs))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in wanted]


def load_engine(
    artifact: Artifact,
    num_threads: int = NUM_THREADS,
    *,
    precision: Precision = "float16",
    largest_batch: int = LARGEST_BATCH,
    on_progress: OnProgress | None = None,
) -> Engine:
    """Return the engine of a trained model, building its LiteRT form in a child process where there is none yet.

    Raises:
        EngineError: The form cannot be built or run.
    """
    path = ensure_litert(artifact, on_progress, precision=precision)
    try:
        return Engine(path, num_threads, largest_batch)
    except EngineError:
        if not is_cached_form(path):
            raise
        path.unlink(missing_ok=True)  # a damaged file in the cache is rebuilt, once
        return Engine(ensure_litert(artifact, on_progress, precision=precision), num_threads, largest_batch)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__

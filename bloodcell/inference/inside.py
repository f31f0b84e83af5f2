"""What every layer of a network computes: a LiteRT form that gives all of it, a few milliseconds per image.

Keras builds that form once per model, in a process of its own, into the reader's cache; from then on neither a page nor
a command needs Keras to look inside. Beside the form lies the network's graph as data, for networks that the catalog
does not list too.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bloodcell.artifact import Artifact
from bloodcell.errors import ArtifactDamagedError, EngineError
from bloodcell.files import cache_directory
from bloodcell.inference.child import KERAS_ENVIRONMENT, OnProgress, run_child
from bloodcell.inference.forms import CONVERSION, lock_of
from bloodcell.models.map_grids import MapGrid

RESTING = ("InputLayer", "Dropout")
"""Kinds of layers that pass on what they get when a network answers; the form has no output for them."""

NUM_THREADS = 2
VERSION = 2
"""Counts changes of these forms; forms in the cache made by another are not used."""

_WEIGHTS_FILE = "weights.safetensors"
_TIMEOUT_S = 1800.0


@dataclass(frozen=True, eq=False)
class InsideGraph:
    """A network's layers as data.

    Attributes:
        layers: As `models.graphs.describe_model` gives them, in graph order.
        sources: Names of the layers that each layer reads.
        grids: Where the places of each layer's map lie on the image, by the layer's name.
    """

    layers: list[dict[str, Any]]
    sources: dict[str, list[str]]
    grids: dict[str, MapGrid]

    def find_computing(self, name: str) -> str:
        """Return the layer whose output `name` passes on: itself, unless it rests when the network answers."""
        kinds = {layer["name"]: layer["type"] for layer in self.layers}
        while kinds[name] == "Dropout":
            name = self.sources[name][0]
        return name


class InsideEngine:
    """One network whose every layer can be read; may be shared between threads, which take turns."""

    def __init__(self, path: Path, num_threads: int = NUM_THREADS) -> None:
        """Load a form that `ensure_inside` made.

        Raises:
            EngineError: The file is none, or its graph is missing.
        """
        from ai_edge_litert.interpreter import Interpreter

        self.path = path
        self._lock = threading.Lock()
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=num_threads)
            self._run = self._interpreter.get_signature_runner()
            self.graph = _read_graph(path)
        except (ValueError, RuntimeError, OSError, KeyError) as error:
            raise EngineError(f"{path} cannot be used to look inside ({error}). Delete it and try again.") from error

    def compute_layers(self, inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return what every layer gives for a batch, by its name: (n, h, w, channels) or (n, channels) float32.

        Layers that rest when the network answers are there too: they give what they get.

        Args:
            inputs: (n, 64, 64, 3) float32 in [0, 1], n of 1 or more; all is held in memory at once.

        Raises:
            EngineError: LiteRT could not run the network.
        """
        with self._lock:
            try:
                found = self._run(image=np.ascontiguousarray(inputs))
            except (ValueError, RuntimeError) as error:
                raise EngineError(f"LiteRT could not run {self.path}: {error}.") from error
        values = {"image": inputs, **found}
        return {layer["name"]: values[self.graph.find_computing(layer["name"])] for layer in self.graph.layers}


def find_inside(artifact: Artifact) -> Path | None:
    """Return the form that shows a model's layers where it was built already, else None."""
    path = _cached_path(artifact)
    return path if path.is_file() else None


def ensure_inside(artifact: Artifact, on_progress: OnProgress | None = None) -> Path:
    """Return the path of the form that shows a model's layers, building it into the reader's cache where needed.

    A build takes ten to twenty seconds in a process of its own; of two readers who ask at once one builds and the
    other waits for the result.

    Raises:
        EngineError: The artifact is a run without weights, or its form cannot be built.
        StorageError: The cache cannot be written.
    """
    if artifact.kind != "artifact":
        raise EngineError(f"{artifact.name!r} is a run, which keeps no weights, so there is nothing to look into.")
    path = _cached_path(artifact)
    if path.is_file():
        return path
    with lock_of(path, on_progress):
        if not path.is_file():  # the one who waited finds it built
            folder = artifact.directory.resolve()
            run_child(
                "bloodcell.inference.inside_build",
                [folder.name, "--directory", str(folder.parent), "--output", str(path.resolve())],
                purpose=f"Opening {artifact.name}",
                on_progress=on_progress,
                environment=KERAS_ENVIRONMENT,
                timeout_s=_TIMEOUT_S,
            )
    return path


def inside_directory() -> Path:
    """Return the folder of the reader's cache that holds what was computed of networks' insides."""
    return cache_directory() / "inside"


def weights_key(artifact: Artifact) -> str:
    """Return what tells a model's weights from any other's, for names of files in the cache."""
    weights = artifact.manifest.files.get(_WEIGHTS_FILE, artifact.fingerprint)
    return f"{artifact.model_name}-{weights[:24]}"


def read_kernel(artifact: Artifact, layer: str) -> np.ndarray | None:
    """Return the kernel of one layer as float32, read without Keras; None if the layer has none.

    Of a convolution it is (height, width, channels in, channels out).

    Raises:
        ArtifactDamagedError: The weights cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    path = artifact.directory / _WEIGHTS_FILE
    try:
        with safe_open(path, framework="numpy") as stored:
            name = f"{layer}/kernel"
            return stored.get_tensor(name).astype(np.float32) if name in stored.keys() else None  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ArtifactDamagedError(f"{path} cannot be read ({error}). Restore it or train again.") from error


def read_kernel_shapes(artifact: Artifact) -> dict[str, tuple[int, ...]]:
    """Return the kernel shape of every layer that has one, by layer; reads names only.

    Raises:
        ArtifactDamagedError: The weights cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    path = artifact.directory / _WEIGHTS_FILE
    try:
        with safe_open(path, framework="numpy") as stored:
            names = [name for name in stored.keys() if name.endswith("kernel")]  # noqa: SIM118
            shapes = [(name.partition("/")[0], tuple(stored.get_slice(name).get_shape())) for name in sorted(names)]
    except (OSError, SafetensorError) as error:
        raise ArtifactDamagedError(f"{path} cannot be read ({error}). Restore it or train again.") from error
    found: dict[str, tuple[int, ...]] = {}
    for layer, shape in shapes:
        found.setdefault(layer, shape)  # of a separable convolution the depthwise kernel, which has the window
    return found


def write_graph(
    layers: Sequence[Mapping[str, Any]], sources: Mapping[str, Sequence[str]], grids: Mapping[str, MapGrid]
) -> bytes:
    """Return the file that lies beside a form."""
    return json.dumps({"layers": list(layers), "sources": dict(sources), "grids": dict(grids)}).encode()


def graph_path(form: Path) -> Path:
    """Return where the graph of a form lies."""
    return form.with_suffix(".json")


def _read_graph(form: Path) -> InsideGraph:
    content = json.loads(graph_path(form).read_text(encoding="utf-8"))
    grids = {name: MapGrid(*values) for name, values in content["grids"].items()}
    return InsideGraph(content["layers"], content["sources"], grids)


def _cached_path(artifact: Artifact) -> Path:
    return inside_directory() / f"{weights_key(artifact)}-{CONVERSION}.{VERSION}.tflite"

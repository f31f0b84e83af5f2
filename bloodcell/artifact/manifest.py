"""What an artifact says about itself, and how a changed word in it is noticed."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bloodcell.errors import ArtifactDamagedError

MANIFEST_FILE = "manifest.json"
SCHEMA_VERSION = 1

INTENDED_USE = (
    "Research and teaching. Knows eight types of normal peripheral blood cells from one laboratory's analyser; "
    "has never seen a blast. Not a medical device."
)


@dataclass(frozen=True)
class Manifest:
    """The whole record of one training.

    Attributes:
        name: Name of the artifact; a tag after a dot is another training of the same graph.
        kind: `"artifact"` (with weights) or `"run"` (everything but weights).
        model: Catalog row that the graph is built from.
        recipe_name, recipe: How it was trained, every field of the recipe.
        seed: Seed of initialisation, shuffling, dropout and augmentation.
        dataset: kind, md5 and label of the dataset file, and num_images per split.
        input_shape: (height, width, channels) of one image, pixels.
        input_range: Lowest and highest value of a prepared pixel.
        parameters, trainable_parameters: Counts as Keras gives them.
        weights_bytes_float32, weights_bytes_stored: Bytes of all weights at four bytes each, and of the stored file.
        temperature: Divisor of the logits, fitted on val, before softmax gives probabilities.
        best_epoch, num_epochs: The epoch (from 1) whose weights were kept, and the epochs run.
        duration_s: Seconds of training, over all resumed parts.
        device, backend, versions: Where and on what it was trained.
        created: UTC time in ISO 8601.
        command: The one command that reproduces it.
        notes: What a reader of the card should know.
        files: SHA-256 of every other file of the artifact, by name.
    """

    name: str
    kind: str
    model: str
    recipe_name: str
    recipe: dict[str, Any]
    seed: int
    dataset: dict[str, Any]
    input_shape: tuple[int, int, int]
    input_range: tuple[float, float]
    class_names: tuple[str, ...]
    parameters: int
    trainable_parameters: int
    weights_bytes_float32: int
    weights_bytes_stored: int
    temperature: float
    best_epoch: int
    num_epochs: int
    duration_s: float
    device: str
    backend: str
    versions: dict[str, str]
    created: str
    command: str
    intended_use: str = INTENDED_USE
    notes: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """Return the manifest as indented JSON that ends with a hash over everything before it."""
        content = dataclasses.asdict(self)
        return json.dumps({**content, "manifest_sha256": _digest(content)}, indent=2) + "\n"

    @cached_property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that change with any word of the manifest or byte of a listed file."""
        return _digest(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str, where: str) -> "Manifest":
        """Read a manifest back.

        Raises:
            ArtifactDamagedError: It is not JSON, a field is missing or unknown, or its hash does not fit its words.
        """
        try:
            content = json.loads(text)
            stated = content.pop("manifest_sha256")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ArtifactDamagedError(
                f"{where} is not a complete manifest ({error}). Restore it or train again."
            ) from error
        if content.get("schema_version") != SCHEMA_VERSION:
            raise ArtifactDamagedError(
                f"{where} has schema version {content.get('schema_version')!r}; this program reads {SCHEMA_VERSION}."
            )
        if stated != _digest(content):
            raise ArtifactDamagedError(
                f"{where} was changed after it was written: its hash does not fit its content. "
                "Restore it or train again."
            )
        try:
            manifest = cls(**content)
        except TypeError as error:
            raise ArtifactDamagedError(f"{where} has other fields than expected ({error}).") from error
        for name in ("input_shape", "input_range", "class_names", "notes"):
            object.__setattr__(manifest, name, tuple(getattr(manifest, name)))
        return manifest


def _digest(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()

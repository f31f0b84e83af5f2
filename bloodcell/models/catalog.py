"""Every network that this project compares, as data; no Keras is needed to read it.

Neighbouring rows differ by one idea where the study allows it. A row's options are the arguments of its family's
`build`; what a row leaves out is in `DEFAULTS`, so that two rows can be compared option by option.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from bloodcell.errors import ModelNotFoundError
from bloodcell.models.combinations import Combination, parse_combination

FAMILIES: dict[str, str] = {
    "cnn": "CNN",
    "resnet": "ResNet",
    "inception": "Inception",
    "vgg": "VGG",
    "hemanet": "HemaNet",
}

# What each family's `build` assumes when a row says nothing; a test holds both equal.
DEFAULTS: dict[str, dict[str, Any]] = {
    "cnn": {
        "padding": "same",
        "dense_units": 256,
        "batch_norm": False,
        "dropout": 0.0,
        "l2": 0.0,
        "residual": False,
        "attention": "none",
        "attention_ratio": 16,
        "attention_l2": 0.0,
    },
    "resnet": {"filters": (64, 128, 256, 512), "blocks": (2, 2, 2, 2)},
    "inception": {"modules": (3, 5, 1)},
    "vgg": {
        "filters": (32, 64, 128, 256, 256),
        "convs": (2, 2, 3, 3, 3),
        "dense_units": (1024, 1024),
        "dropout": 0.0,
        "attention": "none",
        "attention_blocks": (),
        "attention_ratio": 16,
    },
    "hemanet": {"attention_ratio": 8, "dropout": 0.2, "subtypes": 0},
}

NUM_SUBTYPES = 5
"""Finer types inside classes of BloodMNIST: three of immature granulocytes, two of neutrophils."""

HEADS: dict[str, int] = {"eight": 0, "eleven": NUM_SUBTYPES}
"""The option "subtypes" by tag: `hemanet_tiny.eleven` is the graph of hemanet_tiny that tells eleven types apart,
`hemanet_tiny.eight` the one that does not, whichever of them the row itself is."""

OPTION_LABELS: dict[str, str] = {
    "family": "Family",
    "filters": "Channels, block by block",
    "padding": "Padding of the convolutions",
    "dense_units": "Units of the hidden dense layers",
    "batch_norm": "Batch normalization",
    "dropout": "Dropout rate",
    "l2": "L2 penalty on the convolution kernels",
    "residual": "Residual connections",
    "attention": "Attention",
    "attention_blocks": "Blocks with attention",
    "attention_ratio": "Channels per unit of the attention's bottleneck",
    "attention_l2": "L2 penalty inside the attention",
    "blocks": "Residual blocks, stage by stage",
    "modules": "Inception modules of kind A, B and C",
    "convs": "Convolutions, block by block",
    "subtypes": "Finer types told apart inside classes",
}

ABSENT = "not an option of this family"


@dataclass(frozen=True)
class ModelSpec:
    """One network: a family's builder and the options that make it this network.

    Attributes:
        name: Key in the catalog, the artifact folder and the command line.
        family: Key of `FAMILIES`; the module of that name holds the builder.
        description: One sentence for a reader of the dashboard.
        options: Arguments of the family's `build` that differ from `DEFAULTS`.
        origin: "study" for a network of the study, "ours" for one of this project's own family, "ladder" for a
            combination of the study's ideas that the study did not train.
        fidelity: How the layers are known. "reconstructed": from the study's prose and parameter counts;
            "fitted": one of several designs that give those counts; "own design".
    """

    name: str
    family: str
    description: str
    options: dict[str, Any] = field(default_factory=dict)
    origin: Literal["study", "ours", "ladder"] = "study"
    fidelity: Literal["reconstructed", "fitted", "own design"] = "reconstructed"

    @property
    def all_options(self) -> dict[str, Any]:
        """Return the options with the family's defaults filled in."""
        return DEFAULTS[self.family] | self.options

    def to_dict(self) -> dict[str, Any]:
        """Return the row ready for JSON, with every option written out and sequences as lists."""
        options = {key: list(value) if isinstance(value, tuple) else value for key, value in self.all_options.items()}
        return {
            "name": self.name,
            "family": self.family,
            "description": self.description,
            "options": options,
            "origin": self.origin,
            "fidelity": self.fidelity,
        }


_THREE = (16, 32, 64)
_FOUR = (16, 32, 64, 128)

_STUDY = (
    ModelSpec(
        "cnn_2",
        "cnn",
        "A plain network of two convolutions, the study's baseline.",
        {"filters": (16, 32), "padding": "valid", "dense_units": 64},
    ),
    ModelSpec(
        "cnn_3",
        "cnn",
        "A plain network of three convolutions.",
        {"filters": _THREE, "padding": "valid", "dense_units": 64},
    ),
    ModelSpec(
        "cnn_4",
        "cnn",
        "A plain network of four convolutions.",
        {"filters": _FOUR, "padding": "valid", "dense_units": 64},
    ),
    ModelSpec(
        "cnn_dropout40",
        "cnn",
        "Three padded convolutions, a wider dense layer, and dropout 0.4 after it.",
        {"filters": _THREE, "dense_units": 128, "dropout": 0.4},
    ),
    ModelSpec(
        "cnn_dropout50",
        "cnn",
        "The network of cnn_dropout40 with dropout 0.5.",
        {"filters": _THREE, "dense_units": 128, "dropout": 0.5},
    ),
    ModelSpec(
        "cnn_bn",
        "cnn",
        "Four convolutions with batch normalization after every layer.",
        {"filters": _FOUR, "batch_norm": True},
    ),
    ModelSpec(
        "cnn_bn_dropout40",
        "cnn",
        "The network of cnn_bn with dropout 0.4 after the dense layer.",
        {"filters": _FOUR, "batch_norm": True, "dropout": 0.4},
    ),
    ModelSpec(
        "cnn_bn_l2_1e-2",
        "cnn",
        "The network of cnn_bn with an L2 penalty of 0.01 on its convolutions.",
        {"filters": _FOUR, "batch_norm": True, "l2": 1e-2},
    ),
    ModelSpec(
        "cnn_bn_l2_1e-3",
        "cnn",
        "The network of cnn_bn with an L2 penalty of 0.001 on its convolutions.",
        {"filters": _FOUR, "batch_norm": True, "l2": 1e-3},
    ),
    ModelSpec(
        "cnn_bn_l2_1e-4",
        "cnn",
        "The network of cnn_bn with an L2 penalty of 0.0001 on its convolutions.",
        {"filters": _FOUR, "batch_norm": True, "l2": 1e-4},
    ),
    ModelSpec(
        "cnn_se",
        "cnn",
        "Three convolutions with batch normalization, each followed by squeeze-and-excitation attention.",
        {"filters": _THREE, "dense_units": 64, "batch_norm": True, "attention": "se", "attention_l2": 1e-4},
    ),
    ModelSpec(
        "cnn_residual",
        "cnn",
        "The network of cnn_bn_dropout40 with a residual block of two convolutions in place of each convolution.",
        {"filters": _FOUR, "batch_norm": True, "dropout": 0.4, "residual": True},
    ),
    ModelSpec("resnet18", "resnet", "ResNet-18: eight residual blocks in four stages, with biased convolutions."),
    ModelSpec(
        "inception_v3",
        "inception",
        "A reduced Inception-v3: nine modules that look at several filter sizes at once.",
        fidelity="fitted",
    ),
    ModelSpec("vgg16", "vgg", "VGG-16 at half its usual width: thirteen convolutions and three dense layers."),
    ModelSpec(
        "vgg16_dropout",
        "vgg",
        "The network of vgg16 with dropout 0.5 after both hidden dense layers.",
        {"dropout": 0.5},
    ),
    ModelSpec(
        "vgg16_reduced",
        "vgg",
        "The network of vgg16 with one convolution fewer in blocks 4 and 5.",
        {"convs": (2, 2, 3, 2, 2)},
    ),
    ModelSpec(
        "vgg16_se",
        "vgg",
        "The network of vgg16 with squeeze-and-excitation attention after every block.",
        {"attention": "se", "attention_blocks": (1, 2, 3, 4, 5)},
    ),
    ModelSpec(
        "vgg16_cbam",
        "vgg",
        "The network of vgg16 with attention over channels and places (CBAM) in blocks 2 and 4.",
        {"attention": "cbam", "attention_blocks": (2, 4)},
        fidelity="fitted",
    ),
)

# Small has one block in stage 1, where the maps are largest: a second costs a fifth of the time for 11 k parameters.
_OURS = tuple(
    ModelSpec(name, "hemanet", description, options, origin="ours", fidelity="own design")
    for name, description, options in (
        (
            "hemanet_pico",
            "Our fastest network: the design of hemanet_nano with one block a stage.",
            {"filters": (8, 16, 24), "blocks": (1, 1, 1)},
        ),
        (
            "hemanet_nano",
            "Few channels in residual blocks with attention.",
            {"filters": (8, 16, 24), "blocks": (1, 2, 2)},
        ),
        (
            "hemanet_tiny",
            "The design of hemanet_nano with two times the channels.",
            {"filters": (16, 32, 48), "blocks": (1, 2, 2)},
        ),
        (
            "hemanet_small",
            "The design of hemanet_nano with three to four times the channels.",
            {"filters": (24, 48, 104), "blocks": (1, 2, 2)},
        ),
        (
            "hemanet_base",
            "The design of hemanet_nano with four to seven times the channels and one block more.",
            {"filters": (32, 64, 176), "blocks": (1, 2, 3)},
        ),
    )
)

CATALOG: dict[str, ModelSpec] = {spec.name: spec for spec in (*_STUDY, *_OURS)}


def get_spec(name: str) -> ModelSpec:
    """Return the catalog's row of that name, or the row that a combination's name (`combinations`) or a tag of `HEADS`
    stands for.

    Raises:
        ModelNotFoundError: The catalog holds no such name, and no combination has it.
    """
    if name not in CATALOG:
        base, _, tag = name.partition(".")
        if tag in HEADS and base in CATALOG and "subtypes" in CATALOG[base].all_options:
            row = CATALOG[base]
            description = row.description + (" It also tells eleven finer types apart." if HEADS[tag] else "")
            return replace(row, name=name, description=description, options=row.options | {"subtypes": HEADS[tag]})
        combination = parse_combination(name)
        if combination is not None:
            return ModelSpec(
                name, "cnn", combination.describe(), combination.options, origin="ladder", fidelity="own design"
            )
        raise ModelNotFoundError(
            f"The catalog holds no network named {name!r}. Run `python -m bloodcell models` for descriptions. "
            f"Available: {', '.join(CATALOG)}."
        )
    return CATALOG[name]


def graph_of(name: str) -> str:
    """Return the name under which `get_spec` knows the graph of an artifact: tags of other trainings are left out.

    A tag of `HEADS` stays where it makes another graph than the row's own: `hemanet_tiny.eleven.s1` has the graph
    `hemanet_tiny.eleven`, or `hemanet_tiny` where that is one already.
    """
    base, *tags = name.split(".")
    if tags and tags[0] in HEADS and base in CATALOG and "subtypes" in CATALOG[base].all_options:
        return base if CATALOG[base].all_options["subtypes"] == HEADS[tags[0]] else f"{base}.{tags[0]}"
    return base


def graph_names() -> list[str]:
    """Return every graph that is listed layer by layer: the catalog's, and those with the head that a row lacks."""
    others = (graph_of(f"{name}.{tag}") for name in CATALOG for tag in HEADS)
    return list(dict.fromkeys((*CATALOG, *others)))


def name_of(combination: Combination) -> str:
    """Return the name under which a combination is trained: the catalog's where a row is that graph, else its own."""
    options = DEFAULTS["cnn"] | combination.options
    return next((row.name for row in _STUDY if row.family == "cnn" and row.all_options == options), combination.name)


class Difference(NamedTuple):
    """One option in which two catalog rows differ, with both values as text."""

    option: str
    value_a: str
    value_b: str


def differences(a: str, b: str) -> list[Difference]:
    """Return everything that differs between two catalog rows: family, then options with defaults filled in.

    Values are text, so that the list makes a table as it is; `OPTION_LABELS` has a reader's words for each option.
    Between families, an option that only one of them has is listed with `ABSENT` on the other side.

    Raises:
        ModelNotFoundError: The catalog holds no such name.
    """
    first, second = get_spec(a), get_spec(b)
    values_a = {"family": FAMILIES[first.family]} | first.all_options
    values_b = {"family": FAMILIES[second.family]} | second.all_options
    return [
        Difference(option, _write_value(values_a, option), _write_value(values_b, option))
        for option in dict.fromkeys((*values_a, *values_b))
        if values_a.get(option, ABSENT) != values_b.get(option, ABSENT)
    ]


def _write_value(values: dict[str, Any], option: str) -> str:
    """Return one option's value as a reader would write it."""
    value = values.get(option, ABSENT)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "-".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}" if value else "none"
    return str(value)

"""The design space of the CNN family: every combination of the study's six ideas, each under a name of its own.

A name such as `net4_bn_dropout40_se` says everything: four blocks, batch normalization, dropout 0.4, and
squeeze-and-excitation. `get_spec` knows these names beside the catalog's, so that any combination can be built, trained
and kept like a catalog row; the catalog lists only the study's and our own. The controlled ladder of the Findings page
is a walk through this space from one base, one idea at a time.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

WIDTHS = (16, 32, 64, 128)
DEPTHS = (2, 3, 4)
DROPOUTS = (0.0, 0.4, 0.5)
PENALTIES = (0.0, 1e-4, 1e-3, 1e-2)
ATTENTIONS = ("none", "se", "cbam")
_NAME = re.compile(
    r"net(?P<depth>[234])(?P<bn>_bn)?(?:_dropout(?P<dropout>40|50))?(?:_l2_1e-(?P<l2>[234]))?"
    r"(?:_(?P<attention>se|cbam))?(?P<residual>_residual)?"
)


@dataclass(frozen=True)
class Combination:
    """One point of the design space.

    Attributes:
        depth: Blocks, each of which halves the image; 2 to 4.
        batch_norm: Normalize after every convolution and after the hidden dense layer.
        dropout: Share of the hidden units that training silences; one of `DROPOUTS`.
        l2: Strength of the penalty on the kernels of the convolutions; one of `PENALTIES`.
        attention: "none", "se" or "cbam", after every block.
        residual: Make each block a residual block of two convolutions.
    """

    depth: int = 4
    batch_norm: bool = False
    dropout: float = 0.0
    l2: float = 0.0
    attention: Literal["none", "se", "cbam"] = "none"
    residual: bool = False

    def __post_init__(self) -> None:
        """Refuse what is not in the space."""
        for name, allowed in (
            ("depth", DEPTHS),
            ("dropout", DROPOUTS),
            ("l2", PENALTIES),
            ("attention", ATTENTIONS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, received {getattr(self, name)!r}.")

    @property
    def name(self) -> str:
        """The combination's own name: depth, then what was added to it."""
        parts = [f"net{self.depth}"]
        if self.batch_norm:
            parts.append("bn")
        if self.dropout:
            parts.append(f"dropout{round(100 * self.dropout)}")
        if self.l2:
            parts.append(f"l2_{self.l2:.0e}".replace("e-0", "e-"))
        if self.attention != "none":
            parts.append(self.attention)
        if self.residual:
            parts.append("residual")
        return "_".join(parts)

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of the CNN family's `build`; what is at its default is left out."""
        chosen = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "depth"}
        return {"filters": WIDTHS[: self.depth]} | {
            name: value for name, value in chosen.items() if value not in (False, 0.0, "none")
        }

    def describe(self) -> str:
        """Return the network in a sentence."""
        ideas = [
            text
            for is_on, text in (
                (self.batch_norm, "batch normalization"),
                (bool(self.dropout), f"dropout {self.dropout:g}"),
                (bool(self.l2), f"an L2 penalty of {self.l2:g}"),
                (self.attention == "se", "squeeze-and-excitation attention"),
                (self.attention == "cbam", "attention over channels and places (CBAM)"),
                (self.residual, "residual connections"),
            )
            if is_on
        ]
        blocks = {2: "two", 3: "three", 4: "four"}[self.depth]
        with_ideas = f" with {', '.join(ideas[:-1])}{' and ' if len(ideas) > 1 else ''}{ideas[-1]}" if ideas else ""
        return f"A CNN of {blocks} blocks{with_ideas}."


def parse_combination(name: str) -> Combination | None:
    """Return the combination of that name, or None if it is none's."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return Combination(
        depth=int(match["depth"]),
        batch_norm=bool(match["bn"]),
        dropout=int(match["dropout"]) / 100 if match["dropout"] else 0.0,
        l2=float(f"1e-{match['l2']}") if match["l2"] else 0.0,
        attention=match["attention"] or "none",  # type: ignore[arg-type]
        residual=bool(match["residual"]),
    )


def all_combinations() -> Iterator[Combination]:
    """Yield the whole design space, simplest first."""
    for depth, batch_norm, dropout, l2, attention, residual in itertools.product(
        DEPTHS, (False, True), DROPOUTS, PENALTIES, ATTENTIONS, (False, True)
    ):
        yield Combination(depth, batch_norm, dropout, l2, attention, residual)  # type: ignore[arg-type]


@dataclass(frozen=True)
class LadderStep:
    """One change of the ladder's base.

    Attributes:
        idea: What is changed, as a field of `Combination`.
        label: The step in a few words.
        combination: The network after the change.
    """

    idea: str
    label: str
    combination: Combination

    @property
    def name(self) -> str:
        """Name of the step's network."""
        return self.combination.name


BASE = Combination(depth=4, batch_norm=True, dropout=0.4)
"""The graph of `cnn_bn_dropout40`, from which each step of the ladder changes one thing."""
LADDER_SEEDS = (0, 1, 2)


def _step(idea: str, label: str, value: Any) -> LadderStep:
    changed = {f.name: getattr(BASE, f.name) for f in fields(BASE)} | {idea: value}
    return LadderStep(idea, label, Combination(**changed))


LADDER: tuple[LadderStep, ...] = (
    _step("depth", "two blocks", 2),
    _step("depth", "three blocks", 3),
    _step("dropout", "no dropout", 0.0),
    _step("dropout", "dropout 0.5", 0.5),
    _step("batch_norm", "no batch normalization", False),
    _step("l2", "L2 penalty 1e-4", 1e-4),
    _step("l2", "L2 penalty 1e-3", 1e-3),
    _step("l2", "L2 penalty 1e-2", 1e-2),
    _step("attention", "SE attention", "se"),
    _step("attention", "CBAM attention", "cbam"),
    _step("residual", "residual connections", True),
)

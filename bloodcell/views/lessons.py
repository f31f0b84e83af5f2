"""What a lesson is: steps that each set the dashboard's state through a link, and texts whose numbers are looked up.

A text names a number by a placeholder such as `{accuracy:cnn_4}`; `fill_text` puts in what the artifacts say now, so
that no lesson can disagree with the pages that it leads to.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bloodcell.views.navigation import PAGES_DIRECTORY

UNKNOWN = "(not known here)"
_PLACEHOLDER = re.compile(r"\{(?P<kind>[a-z_]+):(?P<name>[^{}]+)\}")
FACTS: dict[str, str] = {
    "accuracy": "accuracy on test of a model",
    "train": "accuracy in training at a model's last epoch",
    "val": "accuracy on val at a model's last epoch",
    "gap": "the former minus the latter, in points",
    "first": "accuracy on val after a model's first epoch",
    "ece": "calibration error of a model on test",
    "weakest": "a model's class of the lowest F1",
    "pair": "the mistake that a model makes most often",
    "errors": "number of wrong answers of a model on test",
    "size": "MB of a model's float32 weights",
    "parameters": "parameters of a network of the design space",
    "extra": "parameters that the first of two networks, parted by a comma, has more than the second",
    "trust": "a share of the Trust page: answered, right, foreign, noncells",
}
"""Kinds of placeholders and what they stand for."""


@dataclass(frozen=True)
class Step:
    """One step of a lesson.

    Attributes:
        title: The step in a few words.
        task: What to do and to look for, Markdown.
        file: The page's file in `pages/`.
        link: What the link says.
        parameters: Query parameters that set the page's state.
        answer: What there is to see, Markdown; shown on demand.
        minutes: Roughly how long it takes.
        models: Models that should be trained here for it.
        needs_dataset: Whether it needs the images.
        second: Another state of the same page to go to, as what its link says and its parameters.
    """

    title: str
    task: str
    file: str
    link: str
    answer: str
    parameters: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    minutes: int = 2
    models: tuple[str, ...] = ()
    needs_dataset: bool = False
    second: tuple[str, Mapping[str, str | tuple[str, ...]]] | None = None

    @property
    def links(self) -> tuple[tuple[str, Mapping[str, str | tuple[str, ...]]], ...]:
        """What each link says, and the query parameters that it sets."""
        return ((self.link, self.parameters), *([self.second] if self.second else []))

    @property
    def path(self) -> Path:
        """The page's script."""
        return PAGES_DIRECTORY / self.file


@dataclass(frozen=True)
class Lesson:
    """One lesson of about ten minutes.

    Attributes:
        key: As it stands in the URL.
        short: Its name in a word or two.
        title: Its question.
        aim: What someone knows afterwards, in a sentence.
        steps: In order.
        closing: What to take home, Markdown.
    """

    key: str
    short: str
    title: str
    aim: str
    steps: tuple[Step, ...]
    closing: str

    @property
    def minutes(self) -> int:
        """Roughly how long it takes."""
        return sum(step.minutes for step in self.steps)


def fill_text(text: str, find_fact: Callable[[str, str], str | None]) -> str:
    """Return the text with each placeholder replaced by what is known; `UNKNOWN` where it is not.

    Args:
        text: Markdown with placeholders.
        find_fact: From kind and name to the fact as text, None where it is not known.
    """
    return _PLACEHOLDER.sub(lambda match: find_fact(match["kind"], match["name"]) or UNKNOWN, text)


def list_placeholders(text: str) -> list[tuple[str, str]]:
    """Return (kind, name) of each placeholder of a text."""
    return [(match["kind"], match["name"]) for match in _PLACEHOLDER.finditer(text)]


def texts_of(lesson: Lesson) -> list[str]:
    """Return every text of a lesson that a reader sees."""
    steps = [text for step in lesson.steps for text in (step.title, step.task, step.link, step.answer)]
    return [lesson.short, lesson.title, lesson.aim, *steps, lesson.closing]

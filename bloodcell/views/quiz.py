"""The quiz: which cells are asked, what was answered, and how players and networks did. Nothing here imports Streamlit.

A round is drawn from the test split by its address alone, so that everyone who opens the same address, on servers with
the same dataset and (for the hard cells) the same project models, is asked about the same cells in the same order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bloodcell.dataset import CLASS_NAMES

LENGTHS = (10, 20, 40)
LEVELS: dict[str, str] = {"all": "Any cell", "balanced": "Each type alike", "missed": "Hard for networks"}
"""As in the address -> as a reader meets it; the first is the default."""
HARDEST = 300
"""The hard round draws from the cells that at least one network misses, at most so many: those missed most often."""
HIGHEST_SEED = 99_999


@dataclass(frozen=True)
class Round:
    """What an address asks for.

    Attributes:
        level: Key of `LEVELS`.
        length: Number of questions.
        seed: Chooses the cells, 0 to 99,999.
    """

    level: str
    length: int
    seed: int

    @property
    def code(self) -> str:
        """What tells this round from any other, such as `missed-10-42`."""
        return f"{self.level}-{self.length}-{self.seed}"


@dataclass
class Game:
    """One player's answers in one round.

    Attributes:
        rows: Rows of the test split, one per question.
        labels: The right class of each.
        answers: The player's answers so far, class indices.
        seconds: How long each took.
    """

    rows: tuple[int, ...]
    labels: tuple[int, ...]
    answers: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def num_right(self) -> int:
        """Answers that were right."""
        return sum(answer == label for answer, label in zip(self.answers, self.labels, strict=False))

    @property
    def is_over(self) -> bool:
        """Whether every question is answered."""
        return len(self.answers) >= len(self.rows)

    @property
    def streak(self) -> int:
        """Right answers in a row up to now."""
        count = 0
        for answer, label in zip(reversed(self.answers), reversed(self.labels[: len(self.answers)]), strict=True):
            if answer != label:
                break
            count += 1
        return count

    @property
    def longest_streak(self) -> int:
        """Most right answers in a row."""
        longest = current = 0
        for answer, label in zip(self.answers, self.labels, strict=False):
            current = current + 1 if answer == label else 0
            longest = max(longest, current)
        return longest

    def answer(self, question: int, label: int, seconds: float) -> bool:
        """Take the answer to a question; a second answer to it, or one out of order, is not taken.

        Args:
            question: Its number from 0.
            label: Class index.
            seconds: Since the cell was shown.

        Returns:
            Whether it was taken.
        """
        if question != len(self.answers) or self.is_over:
            return False
        self.answers.append(int(label))
        self.seconds.append(float(seconds))
        return True


@dataclass(frozen=True, eq=False)
class StoredAnswers:
    """What one model answered for the rows of the test split when it was evaluated.

    Attributes:
        y_pred: (n,) int64 class indices, -1 where it has no stored answer.
        confidence: (n,) float64 its probability of that answer, NaN where there is none.
    """

    y_pred: np.ndarray
    confidence: np.ndarray


def collect_stored(probabilities: np.ndarray, indices: np.ndarray, num_images: int) -> StoredAnswers:
    """Return stored probabilities (m, 8) as answers by row of a split.

    Args:
        indices: (m,) the row of each, -1 where its image is not there.
        num_images: Rows of the split.
    """
    y_pred = np.full(num_images, -1, np.int64)
    confidence = np.full(num_images, np.nan)
    here = indices >= 0
    y_pred[indices[here]] = probabilities[here].argmax(axis=1)
    confidence[indices[here]] = probabilities[here].max(axis=1)
    return StoredAnswers(y_pred, confidence)


def count_misses(stored: Mapping[str, StoredAnswers], labels: np.ndarray) -> np.ndarray:
    """Return how many models answered each row wrong, (n,) int64; a missing answer is no mistake."""
    misses = np.zeros(len(labels), np.int64)
    for answers in stored.values():
        misses += (answers.y_pred >= 0) & (answers.y_pred != labels)
    return misses


def draw_rows(wanted: Round, labels: np.ndarray, misses: np.ndarray) -> np.ndarray:
    """Return the rows of a round, (k,) int64 in the order they are asked; k is smaller only where there are no more.

    Args:
        labels: (n,) class indices of the split.
        misses: (n,) how many models miss each row.
    """
    if wanted.level not in LEVELS:
        raise ValueError(f"Expected one of {', '.join(LEVELS)}. Received: {wanted.level!r}")
    generator = np.random.default_rng([wanted.seed, list(LEVELS).index(wanted.level), wanted.length])
    if wanted.level == "balanced":
        return _draw_balanced(labels, wanted.length, generator)
    rows = np.arange(len(labels))
    if wanted.level == "missed":
        order = np.argsort(-misses, kind="stable")
        rows = np.sort(order[misses[order] > 0][:HARDEST])
    return generator.choice(rows, min(wanted.length, len(rows)), replace=False)


def _draw_balanced(labels: np.ndarray, length: int, generator: np.random.Generator) -> np.ndarray:
    """Return rows with every class as often as any other, within one."""
    present = generator.permutation(np.unique(labels))
    shuffled = {label: generator.permutation(np.flatnonzero(labels == label)).tolist() for label in present.tolist()}
    rows: list[int] = []
    while len(rows) < length and any(shuffled.values()):
        for label in present.tolist():
            if shuffled[label] and len(rows) < length:
                rows.append(shuffled[label].pop())
    return generator.permutation(np.array(rows, np.int64))


def standings(game: Game, stored: Mapping[str, StoredAnswers], player: str) -> pd.DataFrame:
    """Return who got how many of the answered questions right, best first; the player before a model that did as well.

    Returns:
        Columns who, right, of, share. A model is judged on the cells for which it has a stored answer.
    """
    done = np.array(game.rows[: len(game.answers)], np.int64)
    labels = np.array(game.labels[: len(game.answers)], np.int64)
    rows = [{"who": player, "right": game.num_right, "of": len(done)}]
    for name, answers in stored.items():
        y_pred = answers.y_pred[done]
        rows.append({"who": name, "right": int((y_pred == labels).sum()), "of": int((y_pred >= 0).sum())})
    table = pd.DataFrame(rows)
    table["share"] = table["right"] / table["of"].where(table["of"] > 0)
    return table.sort_values("share", ascending=False, kind="stable", ignore_index=True, na_position="last")


def count_matrix(labels: Sequence[int], answers: Sequence[int]) -> np.ndarray:
    """Return the confusion matrix, (8, 8) int64, rows right class, columns answer; answers of -1 are left out."""
    matrix = np.zeros((len(CLASS_NAMES), len(CLASS_NAMES)), np.int64)
    for label, answer in zip(labels, answers, strict=True):
        if answer >= 0:
            matrix[label, answer] += 1
    return matrix


def find_hard(
    game: Game, stored: Mapping[str, StoredAnswers], others: Sequence[Sequence[int]] = ()
) -> list[tuple[int, float, int]]:
    """Return the questions that people and networks both missed, those missed by most models first.

    Args:
        others: Answers of further players of the same round, as far as they got.

    Returns:
        (question from 0, share of the players that missed it, number of models that did).
    """
    players = [game.answers, *others]
    found = []
    for question, (row, label) in enumerate(zip(game.rows, game.labels, strict=True)):
        given = [answers[question] for answers in players if len(answers) > question]
        missed = sum(answer != label for answer in given)
        models = sum(answers.y_pred[row] >= 0 and answers.y_pred[row] != label for answers in stored.values())
        if missed and models:
            found.append((question, missed / len(given), int(models)))
    return sorted(found, key=lambda one: (-one[2], -one[1], one[0]))


def results_table(game: Game, stored: Mapping[str, StoredAnswers], hashes: np.ndarray) -> pd.DataFrame:
    """Return one row per answered question, for a spreadsheet.

    Args:
        hashes: (n,) uint64 pixel hashes of the split.
    """
    names = [*CLASS_NAMES, "no stored answer"]
    rows: list[dict[str, object]] = []
    for question, answer in enumerate(game.answers):
        row, label = game.rows[question], game.labels[question]
        line: dict[str, object] = {
            "question": question + 1,
            "test row": row,
            "pixel hash": f"{int(hashes[row]):016x}",
            "right class": names[label],
            "player": names[answer],
            "player right": answer == label,
            "seconds": round(game.seconds[question], 1),
        }
        for name, answers in stored.items():
            line[name] = names[int(answers.y_pred[row])]
            line[f"{name} probability"] = round(float(answers.confidence[row]), 4)
        rows.append(line)
    return pd.DataFrame(rows)

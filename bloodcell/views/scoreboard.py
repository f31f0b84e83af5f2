"""Who plays the same round on this server, kept in memory while the server runs, behind one lock."""

import threading
import time
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass

LONGEST_NAME = 24
MOST_ROUNDS = 200
"""Rounds that are remembered; the one that nobody touched for longest goes first."""
MOST_PLAYERS = 300
"""Players of one round; further ones play without a place on the board."""


@dataclass(frozen=True)
class Entry:
    """How far one player is.

    Attributes:
        player: What tells sessions apart; never shown.
        name: As the player gave it, cleaned; "anonymous" where none was given.
        answers: Class indices so far, in the order of the round.
        num_right: How many of them are right.
        seconds: Time that they took together.
        time: Seconds of the clock at the last answer.
    """

    player: str
    name: str
    answers: tuple[int, ...]
    num_right: int
    seconds: float
    time: float


_ROUNDS: "OrderedDict[str, dict[str, Entry]]" = OrderedDict()
_LOCK = threading.Lock()


def clean_name(text: str) -> str:
    """Return a player's name without line breaks and control characters, at most 24 characters; may not be empty."""
    printable = "".join(
        " " if character.isspace() else character
        for character in text
        if character.isspace() or not unicodedata.category(character).startswith("C")
    )
    return " ".join(printable.split())[:LONGEST_NAME].strip() or "anonymous"


def record(code: str, player: str, name: str, answers: tuple[int, ...], num_right: int, seconds: float) -> None:
    """Put a player's answers onto the board of a round.

    Only answers that continue those on the board take their place: who has seen the right ones and begins again is not
    entered a second time.
    """
    entry = Entry(player, clean_name(name), answers, num_right, seconds, time.time())
    with _LOCK:
        players = _ROUNDS.setdefault(code, {})
        _ROUNDS.move_to_end(code)
        earlier = players.get(player)
        if earlier is None:
            is_entered = len(players) < MOST_PLAYERS
        else:
            is_entered = len(answers) > len(earlier.answers) and answers[: len(earlier.answers)] == earlier.answers
        if is_entered:
            players[player] = entry
        while len(_ROUNDS) > MOST_ROUNDS:
            _ROUNDS.popitem(last=False)


def list_entries(code: str) -> list[Entry]:
    """Return the players of a round: most right answers first, then fewer seconds, then who answered first."""
    with _LOCK:
        entries = list(_ROUNDS.get(code, {}).values())
    return sorted(entries, key=lambda entry: (-entry.num_right, entry.seconds, entry.time))

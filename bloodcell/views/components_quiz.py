"""The Quiz on the screen: which round, one question, the answer beside the networks', the results, the class."""

import hashlib
import secrets
import time
from collections.abc import Mapping

import numpy as np
import pandas as pd
import streamlit as st

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES, CLASS_NOTES, Split
from bloodcell.views import cache_quiz, scoreboard
from bloodcell.views import figures_images as pictures
from bloodcell.views.components import (
    chart_with_table,
    choose,
    download_csv,
    read_choices,
    remembered_segments,
    theme_mode,
    write_choices,
)
from bloodcell.views.quantities import percent, probability_text
from bloodcell.views.quiz import (
    HARDEST,
    HIGHEST_SEED,
    LENGTHS,
    LEVELS,
    Game,
    Round,
    StoredAnswers,
    count_matrix,
    draw_rows,
    find_hard,
    results_table,
    standings,
)
from bloodcell.views.selection import read_number
from bloodcell.views.tables_classify import name_class
from bloodcell.views.tables_confusion import matrix_table
from bloodcell.views.theme import CLASS_GLYPHS, class_color

SEED, NAME = "quiz_seed", "quiz_name"
GAMES, SHOWN, REVEALED, PLAYER = "quiz_games", "quiz_shown", "quiz_revealed", "quiz_player"
YOU = "you"
MOST_GAMES = 40
MOST_LISTED = 8
"""Models whose answers stand one to a line; more flow in one paragraph."""
NO_BREAK = "\N{NO-BREAK SPACE}"

Stored = Mapping[str, StoredAnswers]


def choose_round() -> Round:
    """Draw the row that chooses the cells, and return the round; all of it stands in the URL."""
    brought = read_choices(SEED)
    number = None if brought is None else read_number(brought[0])
    if number is not None and number <= HIGHEST_SEED:
        st.session_state[SEED] = number
    elif SEED not in st.session_state:
        st.session_state[SEED] = _random_seed()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        length = remembered_segments("Questions", {str(number): str(number) for number in LENGTHS}, "quiz_questions")
        level = remembered_segments(
            "Cells",
            LEVELS,
            "quiz_cells",
            help="Drawn from the test split, which no network learned from. The hard ones are cells that at least one "
            f"network of the project answers wrong, at most the {HARDEST} missed most often.",
        )
        st.number_input(
            "Code", 0, HIGHEST_SEED, key=SEED, step=1, on_change=choose, args=(SEED,), width=130,
            persist_state="session", help="Everyone with this page's address gets the same cells in the same order.",
        )  # fmt: skip
        st.button("New cells", icon=":material/casino:", key="quiz_new", on_click=new_cells)
        st.text_input(
            "Your name", key=NAME, max_chars=scoreboard.LONGEST_NAME, width=150, persist_state="session",
            placeholder="anonymous", help="If you like. It stands on this server's board until the server restarts.",
        )  # fmt: skip
    write_choices(SEED, [str(st.session_state[SEED])])
    return Round(level, int(length), int(st.session_state[SEED]))


def _random_seed() -> int:
    return secrets.randbelow(9_000) + 1_000


def new_cells() -> None:
    """Draw another code."""
    choose(SEED)
    st.session_state[SEED] = _random_seed()
    st.session_state[REVEALED] = None


def find_game(wanted: Round, images: Split) -> Game:
    """Return this session's game of a round, as far as it got; begun where it is new."""
    games: dict[str, Game] = st.session_state.setdefault(GAMES, {})
    key = f"{cache_quiz.dataset_key(images)}-{wanted.code}"
    if key not in games:
        rows = draw_rows(wanted, images.labels, cache_quiz.load_misses())
        games[key] = Game(tuple(rows.tolist()), tuple(images.labels[rows].tolist()))
        while len(games) > MOST_GAMES:
            games.pop(next(iter(games)))
    return games[key]


def board_code(game: Game, wanted: Round, images: Split) -> str:
    """Return what the players of one board share: dataset, cells and round. One address may have drawn other cells."""
    cells = hashlib.sha256(repr(game.rows).encode()).hexdigest()[:8]
    return f"{cache_quiz.dataset_key(images)}-{cells}-{wanted.code}"


def _player() -> str:
    return st.session_state.setdefault(PLAYER, secrets.token_hex(8))


def give_answer(game: Game, code: str, question: int, label: int) -> None:
    """Take the player's answer, note it on the class's board, and uncover the right one."""
    begun = st.session_state.get(SHOWN, ("", 0, time.monotonic()))[2]
    if not game.answer(question, label, time.monotonic() - begun):
        return
    st.session_state[REVEALED] = code
    name = str(st.session_state.get(NAME) or "")
    scoreboard.record(code, _player(), name, tuple(game.answers), game.num_right, sum(game.seconds))


def next_question() -> None:
    """Cover the answer and go on."""
    st.session_state[REVEALED] = None


def play_again(game: Game) -> None:
    """Begin the same cells anew; the board keeps the first time through."""
    game.answers.clear()
    game.seconds.clear()
    st.session_state[REVEALED] = None


@st.fragment
def play(game: Game, wanted: Round, images: Split, stored: Stored) -> None:
    """The open question, or its answer, or the results; only this part of the page is drawn anew after a click."""
    code = board_code(game, wanted, images)
    revealed = st.session_state.get(REVEALED) == code and bool(game.answers)
    if game.is_over and not revealed:
        show_results(game, wanted, images, stored)
        return
    question = len(game.answers) - 1 if revealed else len(game.answers)
    if not revealed and st.session_state.get(SHOWN, ("", -1))[:2] != (code, question):
        st.session_state[SHOWN] = (code, question, time.monotonic())
    picture, side = st.columns([2, 3], gap="medium")
    row = game.rows[question]
    with picture:
        alt = f"The cell of question {question + 1}, each of its 64 × 64 pixels shown as a square"
        st.image(pictures.enlarge(images.images[row], 7), width="stretch", alt=alt)
        st.caption(f"Test row {row}." if revealed else "Press 1 to 8, or click. What is it?")
    with side:
        st.markdown(
            f"**Question {question + 1} of {len(game.rows)}** · {game.num_right} of {len(game.answers)} right · "
            f"streak {game.streak}, longest {game.longest_streak}"
        )
        st.progress((question + int(revealed)) / len(game.rows))
        _draw_buttons(game, code, question, revealed)
        if revealed:
            _reveal(game, question, stored)
        else:
            with st.expander("How to tell them apart", icon=":material/menu_book:"):
                notes = zip(CLASS_NAMES, CLASS_GLYPHS, strict=True)
                st.markdown("\n".join(f"- {glyph} **{name}**: {CLASS_NOTES[name].text}" for name, glyph in notes))


def _draw_buttons(game: Game, code: str, question: int, revealed: bool) -> None:
    """Eight buttons with the keys 1 to 8; once answered, the right one stands out and none can be pressed."""
    with st.grid(2, min_column_width=160, gap="xsmall"):
        for label, name in enumerate(CLASS_NAMES):
            is_right = revealed and label == game.labels[question]
            st.button(
                f"{CLASS_GLYPHS[label]} {name}",
                key=f"quiz_answer_{label}",
                shortcut=str(label + 1),
                type="primary" if is_right else "secondary",
                disabled=revealed and not is_right,
                width="stretch",
                on_click=give_answer,
                args=(game, code, question, label),
            )


def _reveal(game: Game, question: int, stored: Stored) -> None:
    """Right or wrong, what each network said, and the way on."""
    label, answer = game.labels[question], game.answers[question]
    if answer == label:
        st.success(f"Right: it is labelled {name_class(label)}.", icon=":material/check:")
    else:
        st.error(f"It is labelled {name_class(label)}; you said {name_class(answer)}.", icon=":material/close:")
    last = game.is_over
    st.button(
        "See the results" if last else "Next cell", key="quiz_go_on", type="primary", shortcut="Enter",
        icon=":material/flag:" if last else ":material/arrow_forward:", on_click=next_question,
    )  # fmt: skip
    if not stored:
        st.caption("No model is on. Switch some on in the sidebar to play against them.")
        return
    told = [_describe_model(name, answers, game.rows[question], label) for name, answers in stored.items()]
    st.markdown(("  \n" if len(told) <= MOST_LISTED else f" {NO_BREAK} ").join(told))
    table = standings(game, stored, YOU)
    so_far = [f"{row.who} {row.right}/{row.of}" for row in table.itertuples()]
    st.caption(f"So far: {' · '.join(so_far[:MOST_LISTED])}")


def _describe_model(name: str, answers: StoredAnswers, row: int, label: int) -> str:
    y_pred = int(answers.y_pred[row])
    if y_pred < 0:
        return f":gray[– {name} has no stored answer]"
    probability = probability_text(float(answers.confidence[row])).replace(" ", NO_BREAK)
    if y_pred == label:
        return f":green[:material/check:] **{name}** {CLASS_CODES[y_pred]} {probability}"
    return f":red[:material/close:] **{name}** {CLASS_CODES[y_pred]} {probability}"


def show_results(game: Game, wanted: Round, images: Split, stored: Stored) -> None:
    """Who won, the class, the matrices, the cells that people and networks both missed, and the CSV."""
    code = board_code(game, wanted, images)
    table = standings(game, stored, YOU)
    beaten = int((table[table["who"] != YOU]["share"] < game.num_right / len(game.rows)).sum())
    networks = "network" if len(stored) == 1 else "networks"
    best = f" You did better than {beaten} of {len(stored)} {networks}." if stored else ""
    if stored and wanted.level == "missed":
        best += " These cells were chosen because networks of the project miss them: on others they do better."
    st.header(f"{game.num_right} of {len(game.rows)} right, {percent(game.num_right / len(game.rows))}", anchor=False)
    st.markdown(f"Longest streak {game.longest_streak}, {np.mean(game.seconds):.1f} s per cell.{best}")
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("New cells", key="quiz_new_after", icon=":material/casino:", type="primary", on_click=new_cells):
            st.rerun()
        st.button(
            "The same cells again", key="quiz_again", icon=":material/replay:", on_click=play_again, args=(game,),
            help="For practice: the board keeps your first result.",
        )  # fmt: skip
        download_csv(results_table(game, stored, images.image_hashes), f"quiz-{code[-24:]}", key="quiz_csv")
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("You and the networks", anchor=False)
        st.dataframe(
            table,
            hide_index=True,
            column_config={
                "share": st.column_config.ProgressColumn("right, %", format="percent", min_value=0, max_value=1)
            },
            alt="How many of the cells you and each selected model got right",
        )
    with right:
        st.subheader("The class on this server", anchor=False)
        st.fragment(_show_board, run_every=5.0)(code, len(game.rows))
    _show_matrices(game, stored)
    _show_hard(game, code, images, stored)


def _show_board(code: str, length: int) -> None:
    """Everyone who plays the same cells here, the player's own line marked."""
    entries = scoreboard.list_entries(code)
    me = st.session_state.get(PLAYER)
    table = pd.DataFrame(
        {
            "place": range(1, len(entries) + 1),
            "player": [f"{entry.name} (you)" if entry.player == me else entry.name for entry in entries],
            "right": [entry.num_right for entry in entries],
            "answered": [f"{len(entry.answers)} of {length}" for entry in entries],
            "seconds": [round(entry.seconds, 1) for entry in entries],
        }
    )
    st.dataframe(table, hide_index=True, alt="Players of the same cells on this server, most right answers first")
    st.caption(
        "Everyone who plays these cells, the first time through: repeats are not entered. "
        "It is forgotten when the server restarts."
    )


def _show_matrices(game: Game, stored: Stored) -> None:
    """The player's confusion matrix beside a model's on the same cells."""
    from bloodcell.views.figures_evaluation import confusion_matrix_figure

    matrices = {YOU: count_matrix(game.labels, game.answers)}
    if stored:
        name = st.selectbox("Beside you", list(stored), key="quiz_beside", width=260)
        matrices[name] = count_matrix(game.labels, stored[name].y_pred[list(game.rows)].tolist())
    for column, (who, matrix) in zip(st.columns(2, gap="medium"), matrices.items(), strict=False):
        with column:
            st.subheader("You" if who == YOU else who, anchor=False)
            right = int(np.trace(matrix))
            chart_with_table(
                confusion_matrix_figure(
                    matrix, CLASS_NAMES, CLASS_CODES, normalize="count", mode=theme_mode(), small=True, height=380
                ),
                matrix_table(matrix, CLASS_NAMES).reset_index(),
                key="quiz_matrix_you" if who == YOU else "quiz_matrix_model",
                alt=f"Confusion matrix of {who} on these cells: {right} of {int(matrix.sum())} right",
            )


def _show_hard(game: Game, code: str, images: Split, stored: Stored) -> None:
    """The cells that people and networks both missed, as pictures."""
    me = st.session_state.get(PLAYER)
    others = [entry.answers for entry in scoreboard.list_entries(code) if entry.player != me]
    found = find_hard(game, stored, others)
    st.subheader("Missed by people and by networks", anchor=False)
    if not found:
        st.caption("None of these cells was missed by a player and by a selected network.")
        return
    with st.grid("auto", min_column_width=130, gap="small"):
        for question, share, models in found:
            row, label, answer = game.rows[question], game.labels[question], game.answers[question]
            with st.container(gap=None):
                tile = pictures.tile_png(images.images[row], class_color(label))
                st.image(tile, width="stretch", alt=f"{CLASS_NAMES[label]}, test row {row}")
                said = "you were right" if answer == label else f"you said {CLASS_CODES[answer]}"
                people = f", {percent(share)} of the players missed it" if others else ""
                networks = f"{models} of {len(stored)} networks missed it"
                st.caption(f"**{name_class(label)}**: {said}{people}; {networks} (row {row}).")

"""What did I decide?"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import streamlit as st

from bloodcell.cases import Case, CaseStore, CaseSummary, Record, open_store
from bloodcell.cases.backup import restore_backup, write_backup
from bloodcell.cases.base import State
from bloodcell.cases.differential import compare_differentials, differential_of
from bloodcell.errors import BloodCellError, StorageError
from bloodcell.views import tables_cases as tables
from bloodcell.views.components import (
    chart_with_table,
    how_computed,
    open_page,
    research_use_notice,
    theme_mode,
)
from bloodcell.views.components_cases import (
    add_images,
    close_case,
    delete_button,
    new_case,
    open_case,
    report_buttons,
    show_message,
    sign_or_reopen,
    tell,
)
from bloodcell.views.components_review import (
    ask_for_login,
    current_reviewer,
    reviewer_name,
    see_own_record,
    show_differential,
    show_review,
)
from bloodcell.views.figures_cases import comparison_figure
from bloodcell.views.figures_images import escape_markdown

CASES_PER_PAGE = 12
REVIEW_KEY = "cases"
NOT_KEPT = "not kept"  # stands for a white count that was entered and refused, so that the field is filled anew
HOW = """
A **case** holds images without their metadata but with their file names, what a model said of each cell, and what
people decided. Every decision is a record that is only ever added to: time (UTC), who, hash of the cell's pixels, model
and its fingerprint, what it said and how sure, what the person said; undoing adds another record. A case that is
restored from a backup is as the file holds it, and a record more says who restored it and when. The cases lie in a
database on the computer that runs this dashboard (or on the laboratory's server, where `BLOODCELL_DATABASE_URL` names
one).

The **differential** counts the person's label, and where there is none yet the model's if it answered. Percentages are
of white cells, with Wilson 95 % intervals; erythroblasts are given per 100 white cells, platelets apart. An
*other or abnormal* cell counts as a white cell if the person said so. Differences between two cases carry Newcombe's
95 % interval; marked as clear is what leaves out zero in an interval widened for the number of types that are compared
at once (Bonferroni).
"""


class SeenNotes(NamedTuple):
    """Notes as they were when their box was drawn first: the key of the box, and the text that it began with."""

    key: str
    text: str


def main() -> None:
    """Show the list, one case, or two side by side, as the address says."""
    open_page(
        "Cases", "What did I decide? Cells that a model named and a person judged, their differential and report."
    )
    if ask_for_login("cases_login"):
        research_use_notice()
        return
    show_message()
    try:
        store = open_store()
        shown = list(dict.fromkeys(case_id for case_id in st.query_params.get_all("case") if case_id))
        if len(shown) == 2:
            show_comparison(store.load_case(shown[0]), store.load_case(shown[1]))
        elif shown:
            show_case(store, store.load_case(shown[0]))
        else:
            show_list(store)
    except BloodCellError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        if "case" in st.query_params:
            st.button("To the list of cases", icon=":material/arrow_back:", on_click=close_case, key="cases_back_error")
    how_computed(HOW)
    research_use_notice()


def show_list(store: CaseStore) -> None:
    """All cases: search and state, and for each what can be done with it."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        search = st.text_input(
            "Search",
            key="cases_search",
            icon=":material/search:",
            placeholder="identifier, notes or signature",
            persist_state="session",
        )
        state = st.segmented_control(
            "State", ["all", "open", "signed"], default="all", required=True, key="cases_state", persist_state="session"
        )
        new_case(store, key="cases_new")
    found = store.list_cases(search, cast(State, state) if state in ("open", "signed") else None)
    if not found:
        is_filtered = bool(search.strip()) or state not in (None, "all")
        st.info(
            "No case matches. Search for less, or choose another state."
            if is_filtered
            else "No case yet. Start one with **New case**, or keep what you dropped on the page Classify as one.",
            icon=":material/folder_open:",
        )
    num_pages = max(1, -(-len(found) // CASES_PER_PAGE))
    page = 1
    if num_pages > 1:
        page = min(st.pagination(num_pages, key="cases_page"), num_pages)
    shown = found[(page - 1) * CASES_PER_PAGE : page * CASES_PER_PAGE]
    for case in shown:
        show_row(store, case)
    chosen = [case for case in found if st.session_state.get(tick_key(case))]  # also those on other pages of the list
    if len(found) > 1:
        so_far = f" ({len(chosen)} {'is' if len(chosen) == 1 else 'are'} ticked)" if chosen else ""
        st.button(
            "Compare the two that are ticked" if len(chosen) == 2 else f"Tick two cases to compare them{so_far}",
            icon=":material/compare_arrows:",
            key="cases_compare",
            disabled=len(chosen) != 2,
            on_click=open_case,
            args=[case.id for case in chosen],
        )
    show_backup(store)


def tick_key(case: CaseSummary) -> str:
    """Key of the box that ticks a case of the list."""
    return f"cases_tick_{case.id}"


def show_row(store: CaseStore, case: CaseSummary) -> None:
    """One case of the list."""
    with st.container(border=True, key=f"case_row_{case.id}"):
        tick, words, actions = st.columns([0.6, 6, 5], vertical_alignment="center")
        with tick:
            st.checkbox(
                f"Tick {case.identifier}", key=tick_key(case), label_visibility="collapsed", persist_state="session"
            )
        with words:
            icon = "lock" if case.state == "signed" else "edit_note"
            notes = f"  \n:small[{escape_markdown(case.notes.splitlines()[0][:100])}]" if case.notes else ""
            st.markdown(
                f":material/{icon}: **{escape_markdown(case.identifier)}**  \n"
                f":small[{escape_markdown(tables.describe_progress(case))} · changed "
                f"{tables.describe_time(case.changed)} UTC]{notes}"
            )
        with actions, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
            resume = case.state == "open" and 0 < case.num_reviewed < case.num_cells
            st.button(
                "Resume" if resume else "Open",
                icon=":material/play_arrow:" if resume else ":material/folder_open:",
                key=f"cases_open_{case.id}",
                type="primary" if resume else "secondary",
                on_click=open_case,
                args=(case.id,),
            )
            report_buttons(store, case, key=f"cases_list_{case.id}", only_pdf=True)
            delete_button(store, case, key=f"cases_delete_{case.id}")


def show_case(store: CaseStore, case: Case) -> None:
    """One case: review, sign-off, reports, and what else belongs to it."""
    show_header(store, case)
    with st.container():  # always there: a message that comes or goes must not move the gallery, which would begin anew
        if case.state == "signed" and case.signed_at is not None:
            st.success(
                f"Signed by **{escape_markdown(case.signed_by or '')}**, {tables.describe_time(case.signed_at)} UTC. "
                "The case is locked."
                + ("" if case.has_pixels else " Its pictures were dropped at sign-off.")
                + describe_restored(case),
                icon=":material/lock:",
            )
    if case.num_cells:
        show_review(case.id, key=REVIEW_KEY)
    else:
        st.info("This case holds no cells yet. Add images to it.", icon=":material/add_photo_alternate:")
    if case.state == "open":
        add_images(store, case, key="cases_add", is_open=not case.num_cells)
    sign_or_reopen(store, case, key="cases_sign", review_key=REVIEW_KEY, has_draft=has_draft)
    st.subheader("Report", anchor=False)
    report_buttons(store, case, key="cases_report")
    show_notes(store, case)
    show_history(case)
    delete_button(store, case, key="cases_delete")


def describe_restored(case: Case) -> str:
    """Return, in Markdown and after other sentences, who brought a case back from a backup; empty where nobody did."""
    if case.restored is None:
        return ""
    return (
        f" It was restored {escape_markdown(case.restored.text)} by **{escape_markdown(case.restored.reviewer)}**, "
        f"{tables.describe_time(case.restored.time)} UTC."
    )


def show_header(store: CaseStore, case: Case) -> None:
    """Which case this is, who reviews it, and its white count."""
    title, name, count = st.columns([5, 4, 2.4], vertical_alignment="bottom", gap="medium")
    with title, st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button("All cases", icon=":material/arrow_back:", key="cases_back", on_click=close_case)
        badge = ":green-badge[:material/lock: signed]" if case.state == "signed" else ":violet-badge[open]"
        st.header(f"{escape_markdown(case.identifier)} {badge}", anchor=False, width="stretch")
    with name:
        reviewer_name()
    with count:
        show_white_count(store, case)


def show_white_count(store: CaseStore, case: Case) -> None:
    """The white count, to read or to change; what another reviewer enters takes the place of what stood here."""
    key = f"cases_white_{case.id}"
    if key not in st.session_state or st.session_state.get(f"{key}_shown") != case.white_count:
        st.session_state[key] = st.session_state[f"{key}_shown"] = case.white_count
    st.number_input(
        "White count, 10⁹/L",
        min_value=0.01,
        max_value=9999.0,
        value=None,
        step=0.1,
        format="%.2f",
        placeholder="not known",
        key=key,
        on_change=save_white_count,
        args=(store, case.id),
        disabled=case.state == "signed",
        help="White cells corrected for erythroblasts; from it the absolute numbers are computed",
    )


def save_white_count(store: CaseStore, case_id: str) -> None:
    """Keep the white count that was entered; where that cannot be, the field goes back to the one that is kept."""
    key = f"cases_white_{case_id}"
    entered = st.session_state[key]
    value = None if entered is None else round(entered, 2)

    def keep() -> None:
        see_own_record(REVIEW_KEY, case_id, store.set_white_count(case_id, value, current_reviewer()))

    st.session_state[f"{key}_shown"] = value if tell(keep) else NOT_KEPT


def show_notes(store: CaseStore, case: Case) -> None:
    """The notes, to read or to change.

    What is typed stays in its box until its writer saves or drops it, whatever others do and whatever the writer looks
    at meanwhile; the box of notes that were saved, or taken from somebody else, is a new one.
    """
    with st.expander("Notes", icon=":material/notes:", expanded=bool(case.notes) or has_draft(case.id)):
        if case.state == "signed":
            st.markdown(escape_markdown(case.notes) or "No notes.")
            return
        seen: SeenNotes | None = st.session_state.get(seen_key(case.id))
        if seen is None or seen.key not in st.session_state:
            seen = st.session_state[seen_key(case.id)] = see_notes(case)
        st.text_area(
            "Notes",
            value=seen.text,
            key=seen.key,
            label_visibility="collapsed",
            max_chars=20_000,
            persist_state="session",
        )
        if case.notes == seen.text:
            st.button(
                "Save the notes",
                icon=":material/save:",
                key=f"cases_notes_{case.id}_save",
                on_click=save_notes,
                args=(store, case.id, case.notes),
            )
        else:
            show_other_notes(store, case)


def show_other_notes(store: CaseStore, case: Case) -> None:
    """What somebody else wrote since the box was drawn, and the choice between their notes and those in the box."""
    newest = newest_notes(case)
    who = newest.reviewer if newest is not None else "Somebody else"
    st.warning(
        f"{escape_markdown(who)} changed the notes meanwhile. Yours are still in the box above and are not saved. "
        "The case now has these:",
        icon=":material/sync_problem:",
    )
    st.text(case.notes or "No notes.")
    with st.container(horizontal=True):
        st.button(
            "Save mine in their place",
            icon=":material/save:",
            key=f"cases_notes_{case.id}_replace",
            on_click=save_notes,
            args=(store, case.id, case.notes),
            help="What is in the box above; their notes stay in the history",
        )
        st.button(
            "Drop mine, edit these",
            icon=":material/edit_note:",
            key=f"cases_notes_{case.id}_take",
            on_click=st.session_state.pop,
            args=(seen_key(case.id), None),
        )


def newest_notes(case: Case) -> Record | None:
    """Return the record of the newest change of the notes, None where they are those that the case was made with."""
    return next((record for record in reversed(case.records) if record.action == "notes changed"), None)


def seen_key(case_id: str) -> str:
    """Return the key under which the session keeps what its reader saw of a case's notes."""
    return f"cases_notes_seen_{case_id}"


def has_draft(case_id: str) -> bool:
    """Return whether the box of a case's notes holds changes that are not saved."""
    seen: SeenNotes | None = st.session_state.get(seen_key(case_id))
    return seen is not None and str(st.session_state.get(seen.key, seen.text)).strip() != seen.text.strip()


def see_notes(case: Case) -> SeenNotes:
    """Return the notes as they are now, with the key of the box that begins with them."""
    newest = newest_notes(case)
    return SeenNotes(f"cases_notes_{case.id}_{newest.number if newest else 0}", case.notes)


def save_notes(store: CaseStore, case_id: str, before: str) -> None:
    """Keep what is in the box, unless somebody changed the notes since the reader saw them as they were `before`."""
    text = str(st.session_state[st.session_state[seen_key(case_id)].key])

    def keep() -> None:
        see_own_record(REVIEW_KEY, case_id, store.change_notes(case_id, text, current_reviewer(), before))

    if text.strip() == before or tell(keep, "The notes are saved."):
        st.session_state.pop(seen_key(case_id))


def show_history(case: Case) -> None:
    """Every record of the case, newest first."""
    records = "1 record" if case.num_records == 1 else f"{case.num_records} records"
    with st.expander(f"History: {records}, only ever added to", icon=":material/history:"):
        st.dataframe(
            tables.history_table(case),
            hide_index=True,
            column_config={"probability": st.column_config.NumberColumn(format="percent")},
            alt="Every record of this case, newest first",
        )


def show_comparison(first: Case, second: Case) -> None:
    """Two cases side by side, and how their percentages differ."""
    st.button("All cases", icon=":material/arrow_back:", key="cases_back", on_click=close_case)
    names = (first.identifier, second.identifier)
    found = differential_of(first), differential_of(second)
    differences = compare_differentials(*found)
    clear = [one for one in differences if one.is_clear]
    st.header(f"{escape_markdown(names[1])} compared with {escape_markdown(names[0])}", anchor=False)
    if not all(one.num_white for one in found):
        neither = not any(one.num_white for one in found)
        which = "Neither of the two holds white cells" if neither else "One of the two holds no white cells"
        st.info(f"{which}, so there is nothing to compare.", icon=":material/info:")
    elif clear:
        sentences = ", ".join(f"{one.name} {one.difference:+.1f} points".replace("-", "−") for one in clear)
        st.markdown(f"**Clearly different**: {sentences}.")
    else:
        st.markdown("**No clear difference** between the two.")
    chart_with_table(
        comparison_figure(differences, names, theme_mode()),
        tables.comparison_table(differences, names),
        key="cases_comparison",
        alt=f"Difference of the percentages of white cells, {names[1]} less {names[0]}, with 95 % intervals",
        column_config={
            column: st.column_config.NumberColumn(format="%.1f")
            for column in (f"{names[0]} %", f"{names[1]} %", "first %", "second %", "difference, points")
        },
    )
    st.caption(
        f"Intervals are 95 % for each type by itself. Clear is what stands out with {len(differences)} types compared "
        "at once (Bonferroni): of two counts of the same blood, one pair in twenty at most would show it."
    )
    for column, case, one in zip(st.columns(2, gap="medium"), (first, second), found, strict=True):
        with column:
            st.subheader(escape_markdown(case.identifier), anchor=False)
            st.caption(escape_markdown(tables.describe_progress(case)))
            show_differential(one, f"cases_compared_{case.id}")
            st.button("Open", key=f"cases_open_{case.id}", on_click=open_case, args=(case.id,))


def show_backup(store: CaseStore) -> None:
    """All cases into one file, and back."""
    with st.expander("Back up and restore", icon=":material/backup:"):
        st.download_button(
            "Back up all cases",
            make_backup(store),
            file_name="cases.bloodcell-backup",
            mime="application/octet-stream",
            icon=":material/download:",
            key="cases_backup",
            on_click="ignore",
            help="One file with every case, its pictures and its whole history",
        )
        file = st.file_uploader("A backup to restore from", key="cases_restore_file", type=None)
        st.caption(
            f"The browser sends up to {st.get_option('server.maxUploadSize')} MB. A larger backup is restored on the "
            "machine that the dashboard runs on: `./dev python -m bloodcell cases restore FILE`"
        )
        reviewer_name()
        st.button(
            "Restore what is not here",
            icon=":material/restore:",
            key="cases_restore",
            disabled=file is None,
            on_click=restore,
            args=(store, file),
            help="Cases that are here already stay as they are; those that come back record who restored them",
        )


def make_backup(store: CaseStore) -> Callable[[], bytes]:
    """Return a function that makes the backup when it is asked for."""

    def make() -> bytes:
        with tempfile.TemporaryDirectory(prefix="bloodcell-backup-") as folder:
            path = Path(folder) / "cases"
            write_backup(store, path)
            return path.read_bytes()

    return make


def restore(store: CaseStore, file: Any) -> None:
    """Bring back the cases of an uploaded backup that are not here."""

    def run() -> str:
        with tempfile.TemporaryDirectory(prefix="bloodcell-restore-") as folder:
            path = Path(folder) / "backup"
            try:
                path.write_bytes(file.getvalue())
            except OSError as error:
                raise StorageError(f"The backup could not be unpacked: {error.strerror}. Free some space.") from error
            return restore_backup(store, path, current_reviewer(), file.name).describe()

    tell(run)


main()

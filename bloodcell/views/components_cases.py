"""Widgets around a case: starting one, adding images, signing, reports, deleting, and what became of all that."""

import re
from collections.abc import Callable, Iterable, Sequence

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from bloodcell.cases import Case, CaseStore, CaseSummary, open_store
from bloodcell.cases.database import database_url, is_file
from bloodcell.cases.reports import (
    describe_count,
    labelled_cells,
    write_cells_csv,
    write_differential_csv,
    write_json,
    write_labelled_set,
)
from bloodcell.cases.store import LONGEST_IDENTIFIER
from bloodcell.errors import BloodCellError
from bloodcell.inference import find_litert
from bloodcell.inference.images import name_page
from bloodcell.inference.prediction_sets import COVERAGE
from bloodcell.views import cache, tables_cases
from bloodcell.views.components_review import (
    REVIEWER_KEY,
    ask_for_login,
    current_reviewer,
    login_name,
    seen_record,
)
from bloodcell.views.figures_images import escape_markdown
from bloodcell.views.intake import GivenFile, Intake, give_pages, keep_files
from bloodcell.views.navigation import PAGES_DIRECTORY
from bloodcell.views.uploads import (
    IMAGE_TYPES,
    MAXIMUM_FILES,
    MAXIMUM_UPLOAD_MB,
    choose_left_out,
    describe_left_out,
)

CASES_PAGE = PAGES_DIRECTORY / "cases.py"
NAMES_SHOWN = 8
"""File names that are listed before a case takes the files; the others are counted."""
AFTER_LOGIN_DROPPED = (
    "Afterwards you are on the Overview, and what you dropped here is forgotten: open this page again and drop your "
    "images again."
)
_MESSAGE = "cases_message"


def open_case(*case_ids: str) -> None:
    """Put a case into the address, or two to compare them."""
    st.query_params["case"] = list(case_ids)


def close_case() -> None:
    """Take the case out of the address."""
    st.query_params.pop("case", None)


def tell(action: Callable[[], object], success: str = "") -> bool:
    """Do something and keep for the next run what became of it; return whether it was done.

    Args:
        action: What to do; a text that it returns is shown, or one with its kind, such as ("warning", text).
        success: What to show otherwise.
    """
    try:
        result = action()
    except BloodCellError as error:
        st.session_state[_MESSAGE] = ("error", str(error))
        return False
    kind, text = result if isinstance(result, tuple) else ("success", result)
    text = text if isinstance(text, str) and text else success
    if text:
        st.session_state[_MESSAGE] = (kind, text)
    return True


def show_message() -> None:
    """Show once what became of what the reader did."""
    kind, text = st.session_state.pop(_MESSAGE, (None, ""))
    if kind == "error":
        st.error(escape_markdown(text), icon=":material/error:")
    elif kind == "warning":
        st.warning(escape_markdown(text), icon=":material/warning:")
    elif kind == "success":
        st.success(escape_markdown(text), icon=":material/check:")


def new_case(store: CaseStore, key: str) -> None:
    """Offer to start an empty case."""
    with (
        st.popover("New case", icon=":material/create_new_folder:", key=f"{key}_popover"),
        st.form(f"{key}_form", border=False),
    ):
        st.text_input(
            "Identifier, your own",
            key=f"{key}_identifier",
            max_chars=LONGEST_IDENTIFIER,
            placeholder="such as Smear 2026-17",
            help="No patient's name: a code that only you can resolve is safer",
        )
        st.text_area("Notes", key=f"{key}_notes", height=80)
        st.form_submit_button("Start the case", type="primary", on_click=_start_case, args=(store, key))


def add_images(store: CaseStore, case: Case, key: str, is_open: bool) -> None:
    """Offer to add image files to a case; the default classifier answers on each.

    Args:
        is_open: Whether the drop zone is shown without a click.
    """
    with st.expander("Add images", icon=":material/add_photo_alternate:", expanded=is_open):
        round_key = f"{key}_round"
        files = st.file_uploader(
            "Images of single cells or of whole fields",
            type=IMAGE_TYPES,
            accept_multiple_files=True,
            key=f"{key}_files_{case.id}_{st.session_state.get(round_key, 0)}",
            max_upload_size=MAXIMUM_UPLOAD_MB,
        )
        st.caption(describe_keeping())
        if not files:
            return
        all_ids = [file.file_id for file in files]
        left_out = choose_left_out({file.file_id: file.size for file in files}, {})
        if left_out:
            st.warning(describe_left_out(len(left_out), "Add the rest afterwards"), icon=":material/memory:")
            files = [file for file in files if file.file_id not in left_out]
        if not files:
            return
        if len(files) > MAXIMUM_FILES:
            st.warning(
                f"{len(files)} files were given; the first {MAXIMUM_FILES} are added. Add the others afterwards."
            )
        if st.button(f"Add {min(len(files), MAXIMUM_FILES)} to this case", type="primary", key=f"{key}_go"):
            with st.spinner("Reading and answering …"):
                given = [page for file in files[:MAXIMUM_FILES] for page in give_pages(file.name, file.getvalue())]
                tell(lambda: _report_intake(fill_case(store, case.id, given)))
            forget_uploads(all_ids)
            st.session_state[round_key] = st.session_state.get(round_key, 0) + 1
            st.rerun()


def forget_uploads(file_ids: Iterable[str]) -> None:
    """Free what the server holds of uploaded files: without this, they stay until the browser's tab is closed.

    Args:
        file_ids: As a file uploader gave them; those of other things are passed over.
    """
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        for file_id in file_ids:
            context.uploaded_file_mgr.remove_file(context.session_id, file_id)


def offer_case(
    files: Sequence[GivenFile],
    num_cells: int,
    key: str,
    coverage: float = COVERAGE,
    views: bool = False,
    on_kept: Callable[[], None] | None = None,
) -> None:
    """Offer to keep files as a case and to review them on the page Cases; of a field all cells, with their boxes.

    Args:
        files: With what the reader said of each.
        num_cells: Cells in them.
        key: Unique, beginning with the page's name.
        coverage, views: Those of the answers, as the page was set to: what is kept is what the reader saw.
        on_kept: Called once they are in the case, before the page Cases opens.
    """
    with st.popover("Review as a case", icon=":material/fact_check:", key=f"{key}_popover"):
        if ask_for_login(f"{key}_login", AFTER_LOGIN_DROPPED):
            return
        st.markdown(escape_markdown(_describe_files(files, num_cells)))
        identifier = st.text_input(
            "Identifier, your own",
            key=f"{key}_identifier",
            max_chars=LONGEST_IDENTIFIER,
            placeholder="a new one, or that of an open case",
        )
        existing, is_ready = None, False
        try:
            st.caption(describe_keeping())
            if identifier.strip():
                existing = open_store().find_case(identifier)
                is_ready = existing is None or _ask_to_add(existing, key)
            clicked = st.button("Keep and review", type="primary", key=f"{key}_go", disabled=not is_ready)
            if not clicked or not is_ready:  # a click that came with another identifier has not seen the question
                return
            store = open_store()
            case_id = store.create_case(identifier, current_reviewer()) if existing is None else existing.id
            with st.spinner("Reading and answering …"):
                intake = fill_case(store, case_id, files[:MAXIMUM_FILES], coverage, views)
            st.session_state[_MESSAGE] = _report_intake(intake)
        except BloodCellError as error:
            st.error(escape_markdown(str(error)), icon=":material/error:")
            return
        if on_kept is not None:
            on_kept()
        st.switch_page(CASES_PAGE, query_params={"case": case_id})


def describe_keeping() -> str:
    """Return what is kept of the images of a case, and where.

    Raises:
        CaseDatabaseError: `BLOODCELL_DATABASE_URL` cannot be read.
    """
    where = "are stored, without metadata, on the computer that runs this dashboard"
    if not is_file(database_url()):
        where = (
            "go to the computer that runs this dashboard and are stored, without metadata, in the laboratory's database"
        )
    return f"The images {where}. Their file names are kept and stand in reports: use names without patients' data."


def _describe_files(files: Sequence[GivenFile], num_cells: int) -> str:
    """Return how many cells go into a case, and out of which files."""
    names = [name_page(file.name, file.page) for file in files[:NAMES_SHOWN]]
    more = f" and {len(files) - NAMES_SHOWN} more" if len(files) > NAMES_SHOWN else ""
    return f"{describe_count(num_cells, 'cell')} of {describe_count(len(files), 'file')}: {', '.join(names)}{more}"


def _ask_to_add(existing: CaseSummary, key: str) -> bool:
    """Say that a case of this identifier is there, and return whether the reader wants the cells added to it."""
    name = escape_markdown(existing.identifier)
    progress = escape_markdown(tables_cases.describe_progress(existing))
    if existing.state == "signed":
        st.error(
            f"The case **{name}** is there already ({progress}) and is locked. Choose another identifier, or reopen "
            "it on the page Cases.",
            icon=":material/lock:",
        )
        return False
    st.warning(
        f"The case **{name}** is there already ({progress}). Add these cells only if they are of the same smear.",
        icon=":material/folder_open:",
    )
    return st.checkbox(f"Add them to the case {name}", key=f"{key}_add_{existing.id}")


def fill_case(
    store: CaseStore, case_id: str, files: Sequence[GivenFile], coverage: float = COVERAGE, views: bool = False
) -> Intake:
    """Add files to a case with the answers of the default classifier, without answers where it is not ready.

    `coverage` and `views` are those of `keep_files`.
    """
    from bloodcell.inference.guard import load_guard

    name = cache.default_model()
    artifact = cache.load_artifact(name) if name is not None else None
    if artifact is None or find_litert(artifact) is None or (engine := cache.load_engine(artifact.name)) is None:
        return keep_files(store, case_id, files, current_reviewer())
    guard = load_guard(artifact, engine)
    return keep_files(
        store, case_id, files, current_reviewer(), artifact, engine, guard, coverage=coverage, views=views
    )


def sign_or_reopen(store: CaseStore, case: Case, key: str, review_key: str, has_draft: Callable[[str], bool]) -> None:
    """Offer to sign an open case, or to reopen a signed one.

    Args:
        review_key: Key of the review of this page; what is signed is what it showed.
        has_draft: Told the case's id, says whether its notes were changed here and not saved: they would be left out.
    """
    if case.state == "signed":
        with st.popover("Reopen", icon=":material/lock_open:", key=f"{key}_popover"):
            st.text_input("Why it is reopened; this is recorded", key=f"{key}_reason", max_chars=300)
            st.button("Reopen the case", key=f"{key}_reopen", on_click=_reopen, args=(store, case.id, key))
        return
    if not case.num_cells:
        return
    st.subheader("Sign-off", anchor=False)
    with st.form(f"{key}_form"):
        left, right = st.columns(2, gap="medium", vertical_alignment="bottom")
        name_key, offered_key = f"{key}_name_{case.id}", f"{key}_offered_{case.id}"
        logged_in = login_name()
        offered = logged_in or str(st.session_state.get(REVIEWER_KEY, "")).strip()
        held = st.session_state.get(name_key)
        is_untouched = held in ("", st.session_state.get(offered_key)) and held != offered
        if logged_in is not None or held is None or is_untouched:  # not at every run: it would undo what is being typed
            st.session_state[name_key] = st.session_state[offered_key] = offered
        with left:
            st.text_input(
                "Reviewer's name",
                key=name_key,
                max_chars=80 if logged_in is None else None,
                icon=":material/signature:",
                disabled=logged_in is not None,
            )
        with right:
            st.radio(
                "The pictures",
                ["keep", "drop"],
                format_func={
                    "keep": "keep them with the case",
                    "drop": "drop them; decisions, frames and hashes stay",
                }.__getitem__,
                key=f"{key}_pictures_{case.id}",
            )
        st.form_submit_button(
            "Sign and lock the case",
            type="primary",
            icon=":material/lock:",
            on_click=_sign,
            args=(store, case.id, key, review_key, has_draft),
        )


def report_buttons(store: CaseStore, case: CaseSummary, key: str, only_pdf: bool = False) -> None:
    """Offer a case as PDF, CSV, JSON and labelled set; each is made from the case as it is when it is asked for."""
    stem = re.sub(r"[^\w.-]+", "-", case.identifier).strip("-.") or "case"

    def button(label: str, make: Callable[[], bytes], name: str, mime: str, help_text: str) -> None:
        st.download_button(
            label,
            make,
            file_name=f"{stem}{name}",
            mime=mime,
            icon=":material/picture_as_pdf:" if name.endswith("pdf") else ":material/download:",
            key=f"{key}_{name}",
            on_click="ignore",
            help=help_text,
        )

    def make_pdf() -> bytes:
        from bloodcell.cases.pdf import write_pdf

        return write_pdf(store.load_case(case.id), store.load_pictures(case.id))

    def make_set(corrections_only: bool) -> Callable[[], bytes]:
        return lambda: write_labelled_set([(store.load_case(case.id), store.load_pictures(case.id))], corrections_only)

    if only_pdf:
        button("PDF", make_pdf, ".pdf", "application/pdf", "One page of summary, then the gallery")
        return
    with st.container(horizontal=True, gap="small"):
        button("PDF", make_pdf, ".pdf", "application/pdf", "One page of summary, then the gallery")
        button(
            "Cells, CSV",
            lambda: write_cells_csv(store.load_case(case.id)),
            "-cells.csv",
            "text/csv",
            "One row per cell: what the model said, what the person said",
        )
        button(
            "Differential, CSV",
            lambda: write_differential_csv(store.load_case(case.id)),
            "-differential.csv",
            "text/csv",
            "One row per type, with intervals and reference ranges",
        )
        button(
            "JSON",
            lambda: write_json(store.load_case(case.id)),
            ".json",
            "application/json",
            "Everything but the pictures, with the whole history",
        )
        if isinstance(case, Case) and labelled_cells(case):
            button(
                "Labelled set",
                make_set(False),
                "-labelled.zip",
                "application/zip",
                "Every reviewed cell of the eight classes with the person's label, for training and evaluation",
            )
        if isinstance(case, Case) and labelled_cells(case, True):
            button(
                "Corrections only",
                make_set(True),
                "-corrections.zip",
                "application/zip",
                "Only the cells that the person called something else than the model, or that it did not name",
            )


def delete_button(store: CaseStore, case: CaseSummary, key: str) -> None:
    """Offer to delete a case, after a second question."""
    if st.button("Delete", icon=":material/delete:", key=key):
        _confirm_deletion(store, case)


@st.dialog("Delete this case?")
def _confirm_deletion(store: CaseStore, case: CaseSummary) -> None:
    """Ask once more; deleting a case deletes it."""
    st.markdown(
        f"**{escape_markdown(case.identifier)}** with {describe_count(case.num_cells, 'cell')}, "
        "its pictures, decisions and history will be gone. Only a backup could bring it back."
    )
    with st.container(horizontal=True):
        if st.button(
            "Delete for good",
            type="primary",
            icon=":material/delete_forever:",
            key="cases_delete_really",
            on_click=_delete,
            args=(store, case),
        ):
            st.rerun()
        if st.button("Keep it", key="cases_delete_not"):
            st.rerun()


def _delete(store: CaseStore, case: CaseSummary) -> None:
    if tell(lambda: store.delete_case(case.id), f"{case.identifier} was deleted."):
        close_case()


def _start_case(store: CaseStore, key: str) -> None:
    identifier = str(st.session_state[f"{key}_identifier"])
    if not identifier.strip():
        st.session_state[_MESSAGE] = ("error", "A case needs an identifier: any name or code of your own.")
        return

    def start() -> None:
        open_case(store.create_case(identifier, current_reviewer(), str(st.session_state[f"{key}_notes"])))

    tell(start)


def _sign(store: CaseStore, case_id: str, key: str, review_key: str, has_draft: Callable[[str], bool]) -> None:
    if has_draft(case_id):
        st.session_state[_MESSAGE] = (
            "error",
            "Your notes are not saved yet, so the case was not signed. Save them under Notes, or change them back, "
            "then sign.",
        )
        return
    name = login_name() or str(st.session_state[f"{key}_name_{case_id}"]).strip()
    if not name:
        st.session_state[_MESSAGE] = ("error", "The case was not signed: sign-off needs the reviewer's name.")
        return
    keep = st.session_state[f"{key}_pictures_{case_id}"] == "keep"
    seen = seen_record(review_key, case_id)
    tell(lambda: store.sign_off(case_id, name, keep, seen), f"Signed by {name}. The case is locked.")


def _reopen(store: CaseStore, case_id: str, key: str) -> None:
    reason = str(st.session_state[f"{key}_reason"]).strip()
    if not reason:
        st.session_state[_MESSAGE] = ("error", "The case stays locked: reopening needs a reason.")
        return
    tell(lambda: store.reopen(case_id, current_reviewer(), reason), "The case is open again.")


def _report_intake(intake: Intake) -> tuple[str, str]:
    """Return how serious it is, and what became of the files in words."""
    is_whole = intake.num_added + intake.num_returned > 0 and not intake.failed
    return "success" if is_whole else "warning", " ".join([intake.describe(), *intake.failed])

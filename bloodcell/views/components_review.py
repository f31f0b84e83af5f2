"""Widgets for reviewing cells: the gallery with the differential beside it, and the reviewer's name.

The gallery is a component of its own (`review_gallery.js`): keys and clicks are drawn at once in the browser and come
here as numbered events. Each is committed to the database before it is acknowledged, so none is lost on the way.
"""

import secrets
from functools import cache as keep
from pathlib import Path
from typing import Any, cast

import streamlit as st

from bloodcell.cases import Case, CaseStore, describe_record, open_store
from bloodcell.cases.differential import REFERENCE_SOURCE, Differential, differential_of
from bloodcell.errors import BloodCellError
from bloodcell.views import review, tables_cases
from bloodcell.views.components import chart_with_table, theme_mode
from bloodcell.views.figures_cases import differential_figure
from bloodcell.views.figures_images import escape_markdown

REVIEWER_KEY = "reviewer"
MARK_KEY = "reviewer_mark"  # what stands in the records for a session without a name
WATCH_SECONDS = 4.0
LOGIN_CLAIMS = ("name", "email", "sub")
NAMELESS = (
    "You are logged in, but the provider sent none of the claims "
    f"{', '.join(f'`{claim}`' for claim in LOGIN_CLAIMS)}, so nothing says whose decisions yours would be. Ask whoever "
    "runs this server to have the provider send them, then log out and in again."
)
AFTER_LOGIN = "Afterwards you are on the Overview: open this address again."
KEYS = """
| key | what it does |
| --- | --- |
| **1** to **8** | the eight classes, in their order |
| **9** | other or abnormal, with a text |
| **0** or Delete | discard |
| **Enter** | confirm what the model said |
| **arrows**, Home, End | move |
| **Shift + arrows**, **Space**, Ctrl + A | select several; a decision is then on all of them |
| **Esc** | select none |
| **N** | comment |
| **U** or Ctrl + Z | undo your last move |

A click goes to a cell; Ctrl-click and Shift-click select more. Keys act while no text field has the focus; a switch or
button outside the gallery that was used last keeps Enter, Space, arrows and Esc for itself.
"""
# The differential stays in view while the gallery scrolls, where there is a side for it.
SIDE_STYLE = """<style>
@media (min-width: 641px) {
  [data-testid="stLayoutWrapper"]:has(> .KEY) {position: sticky; top: 3.5rem}
  .KEY {max-height: calc(100vh - 4rem); overflow-y: auto}
}
</style>"""
_HERE = Path(__file__).parent


def reviewer_name() -> str:
    """Return who decides: name and account of the login where one is configured, else what the reader writes here.

    Without a name decisions are recorded under a mark of this session, so that nobody undoes another's.
    """
    logged_in = login_name()
    if logged_in is not None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f":material/badge: Reviewing as **{escape_markdown(logged_in)}**", width="content")
            st.button("Log out", icon=":material/logout:", key="reviewer_logout", on_click=st.logout)
        return logged_in
    name = st.text_input(
        "Your name",
        key=REVIEWER_KEY,
        persist_state="session",
        max_chars=80,
        placeholder="stands beside each of your decisions",
        icon=":material/badge:",
    )
    return name.strip() or current_reviewer()


def current_reviewer() -> str:
    """Return the name under which decisions are recorded now; see `reviewer_name`."""
    name = login_name() or str(st.session_state.get(REVIEWER_KEY, "")).strip()
    if name:
        return name
    if MARK_KEY not in st.session_state:
        st.session_state[MARK_KEY] = f"unnamed reviewer {secrets.token_hex(2)}"
    return str(st.session_state[MARK_KEY])


def login_name() -> str | None:
    """Return who is logged in as "Name <e-mail>", None where nobody is, nameless, or no login is configured.

    Two people may share a name, so what tells accounts apart stands beside it: the e-mail address, else the subject.
    """
    if not getattr(st.user, "is_logged_in", False):
        return None
    name, email, subject = (" ".join(str(st.user.get(claim) or "").split()) for claim in LOGIN_CLAIMS)
    account = email or subject
    if not name or not account or name == account:
        return name or account or None
    return f"{name} <{account}>"


def ask_for_login(key: str, afterwards: str = AFTER_LOGIN) -> bool:
    """Offer to log in where a login is configured and nobody is; return whether cases must wait for it.

    Args:
        key: Unique, beginning with the page's name.
        afterwards: Where the login leaves the reader, who comes back in a new session.
    """
    if not st.secrets.load_if_toml_exists():
        unreadable = [path for path in st.get_option("secrets.files") if Path(path).is_file()]
        if unreadable:  # whom it lets in is not known, so nobody is
            st.error(
                f"Cases stay closed: {', '.join(unreadable)} cannot be read. It must be TOML.", icon=":material/lock:"
            )
        return bool(unreadable)
    if "auth" not in st.secrets or login_name() is not None:
        return False
    if getattr(st.user, "is_logged_in", False):
        st.error(NAMELESS, icon=":material/lock:")
        st.button("Log out", icon=":material/logout:", key=key, on_click=st.logout)
        return True
    st.info(f"This server asks who you are before it shows cases. {afterwards}", icon=":material/lock:")
    st.button("Log in", icon=":material/login:", type="primary", key=key, on_click=st.login)
    return True


def show_review(case_id: str, key: str) -> None:
    """Show a case's gallery with the differential beside it, and keep both up to date with other reviewers.

    Args:
        case_id: The case.
        key: Unique, beginning with the page's name.
    """
    store = open_store()
    _pictures()(key=f"{key}_pictures", data=_picture_addresses(store, store.load_case(case_id)))
    st.fragment(_review)(case_id, key)
    st.fragment(_watch, run_every=WATCH_SECONDS)(case_id, key)


def seen_record(key: str, case_id: str) -> int:
    """Return the number of the newest record that a page's review has shown, 0 where it has shown none."""
    return int(st.session_state.get(f"{key}_seen", {}).get(case_id, 0))


def see_own_record(key: str, case_id: str, number: int | None) -> None:
    """Count a record that the reader just made as seen, unless somebody else's lies between it and what they saw.

    Args:
        key: As in `show_review`.
        number: Its number, None where none was made.
    """
    if number == seen_record(key, case_id) + 1:
        st.session_state[f"{key}_seen"] = {case_id: number}


def show_differential(found: Differential, key: str) -> None:
    """Show a differential: the chart with its table, what is counted beside it, and what to know about it."""
    st.markdown(
        f"**{found.num_white} white {'cell' if found.num_white == 1 else 'cells'}**"
        + (" · preliminary" if found.is_preliminary else "")
    )
    chart_with_table(
        differential_figure(found, theme_mode()),
        tables_cases.differential_table(found),
        key=key,
        alt="Share of each type of white cell: " + "; ".join(map(tables_cases.describe_share, found.shares)),
        column_config={
            name: st.column_config.NumberColumn(format=form) for name, form in (("%", "%.1f"), ("10⁹/L", "%.2f"))
        },
    )
    st.markdown("  \n".join(escape_markdown(line) for line in tables_cases.describe_beside(found)))
    for note in found.notes:
        st.caption(f":material/info: {note}")
    st.caption(f"Lines: Wilson 95 % intervals. Grey: adult ranges of {REFERENCE_SOURCE}")


def _review(case_id: str, key: str) -> None:
    """The part of the page that a decision draws again."""
    store = open_store()
    case = store.load_case(case_id)
    outcome = _outcome(key, case_id)
    reviewer = current_reviewer()
    _tell_news(case, key, outcome)
    # Also when empty: a sentence that moved the gallery down the page would make it anew, with cursor and words lost.
    with st.container():
        for message in outcome.messages:
            st.warning(escape_markdown(message), icon=":material/sync_problem:")
    left, right = st.columns([7, 3], gap="medium")
    with left:
        by, only_open, advance = _show_options(case, key)
        groups = review.group_cells(case.cells, by, only_open)
        token = st.session_state.get(f"{key}_focus_token", 0)
        _gallery()(
            key=f"{key}_gallery",
            data=review.gallery_data(case, groups, reviewer, outcome, advance, token),
            on_events_change=lambda: _receive(case_id, key),
        )
    with right, st.container(key=f"{key}_side"):
        st.html(SIDE_STYLE.replace("KEY", f"st-key-{key}_side"))
        if case.num_cells:
            st.progress(
                case.num_reviewed / case.num_cells, text=f"{case.num_reviewed} of {case.num_cells} cells reviewed"
            )
        show_differential(differential_of(case), f"{key}_differential")


def _show_options(case: Case, key: str) -> tuple[review.Grouping, bool, bool]:
    """Let the reader choose how the gallery is arranged; return grouping, only what is open, moving on."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.segmented_control(
            "Group by",
            ["model", "decision"],
            format_func={"model": "predicted class", "decision": "what counts now"}.__getitem__,
            default="model",
            required=True,
            key=f"{key}_grouping",
            persist_state="session",
        )
        only_open = st.toggle(
            f"Only to review ({case.num_cells - case.num_reviewed})", key=f"{key}_only_open", persist_state="session"
        )
        advance = st.toggle(
            "Move on",
            value=True,
            key=f"{key}_advance",
            persist_state="session",
            help="After a decision the cursor goes to the next cell that is not reviewed yet",
        )
        with st.popover("Keys", icon=":material/keyboard:", key=f"{key}_keys"):
            st.markdown(KEYS)
    return cast(review.Grouping, chosen or "model"), only_open, advance


def _receive(case_id: str, key: str) -> None:
    """Handle what the gallery sent; runs before the page is drawn again."""
    events = st.session_state.get(f"{key}_gallery", {}).get("events")
    before = _outcome(key, case_id)
    marks = [st.session_state[MARK_KEY]] if MARK_KEY in st.session_state else []
    after = review.apply_events(open_store(), case_id, events, current_reviewer(), before.handled, marks)
    if after.focus is not None:
        st.session_state[f"{key}_focus_token"] = st.session_state.get(f"{key}_focus_token", 0) + 1
    st.session_state[f"{key}_outcome"] = (case_id, after)


def _outcome(key: str, case_id: str) -> review.Outcome:
    """Return what became of the events so far; what was refused in one case is not said over another."""
    last_case_id, last = st.session_state.get(f"{key}_outcome", (case_id, review.Outcome({})))
    return last if last_case_id == case_id else review.Outcome(last.handled)


def _tell_news(case: Case, key: str, outcome: review.Outcome) -> None:
    """Say what other reviewers did since this page was last drawn."""
    last = st.session_state.get(f"{key}_seen", {}).get(case.id)
    st.session_state[f"{key}_seen"] = {case.id: case.num_records}
    if last is None:
        return
    own = tuple(f"{client}:" for client in outcome.handled)
    news = [record for record in case.records[last:] if record.batch and not record.batch.startswith(own)]
    for record in news[-3:]:
        st.toast(escape_markdown(describe_record(case, record)), icon=":material/group:")
    if len(news) > 3:
        st.toast(f"and {len(news) - 3} more changes by others", icon=":material/group:")


def _watch(case_id: str, key: str) -> None:
    """Draw the page again when somebody else has changed the case."""
    try:
        newest = open_store().newest_record(case_id)
    except BloodCellError:
        st.rerun()
    if newest != st.session_state.get(f"{key}_seen", {}).get(case_id, newest):
        st.rerun()


def _picture_addresses(store: CaseStore, case: Case) -> dict[str, str]:
    """Return the pictures of a case, made once per session and set of pictures: they do not change."""
    state = (case.id, tuple((cell.id, cell.has_pixels) for cell in case.cells))
    known: tuple[Any, dict[str, str]] | None = st.session_state.get("review_pictures")
    if known is None or known[0] != state:
        known = (state, review.picture_addresses(case, store.load_pictures(case.id), store.load_images(case.id)))
        st.session_state["review_pictures"] = known
    return known[1]


@keep
def _gallery() -> Any:
    return st.components.v2.component(
        "bloodcell_review_gallery",
        html=(_HERE / "review_gallery.html").read_text(encoding="utf-8"),
        css=(_HERE / "review_gallery.css").read_text(encoding="utf-8"),
        js=(_HERE / "review_gallery.js").read_text(encoding="utf-8"),
    )


@keep
def _pictures() -> Any:
    return st.components.v2.component(
        "bloodcell_review_pictures", js=(_HERE / "review_pictures.js").read_text(encoding="utf-8")
    )

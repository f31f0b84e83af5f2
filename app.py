"""Which network reads blood cells best, and at what cost? This file only routes."""

from pathlib import Path

import streamlit as st

# Group -> (page, title, icon, what it is). A page whose file is not there is not listed.
PAGES: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "Compare": (
        (
            "overview",
            "Overview",
            ":material/leaderboard:",
            "Which network, and at what cost? The answer and the leaderboard.",
        ),
        (
            "reports",
            "Reports",
            ":material/description:",
            "How good is this one? Report, learning curves, layers, card.",
        ),
        (
            "confusion",
            "Confusion",
            ":material/grid_on:",
            "What does it mix up? The matrix, and the images behind each cell.",
        ),
        ("compare", "Compare", ":material/scatter_plot:", "What do I pay for accuracy? Memory and time, side by side."),
    ),
    "Data": (("dataset", "Dataset", ":material/database:", "What are these cells? Classes, balance, gallery."),),
    "Use": (
        ("classify", "Classify", ":material/hematology:", "What is this cell? Drop an image and read the answers."),
    ),
}
PAGES_DIRECTORY = Path(__file__).parent / "pages"


def list_pages() -> dict[str, list[st.Page]]:
    """Return the pages that exist, by group; Overview is home."""
    groups = {}
    for group, rows in PAGES.items():
        pages = [
            st.Page(PAGES_DIRECTORY / f"{name}.py", title=title, icon=icon, help=text, default=name == "overview")
            for name, title, icon, text in rows
            if (PAGES_DIRECTORY / f"{name}.py").is_file()
        ]
        if pages:
            groups[group] = pages
    return groups


st.navigation(list_pages()).run()

"""The pages and their groups, in the order of the navigation. Plain data: nothing here imports Streamlit."""

from pathlib import Path
from typing import NamedTuple

from bloodcell.files import PROJECT_DIRECTORY

PAGES_DIRECTORY = PROJECT_DIRECTORY / "pages"


class PageEntry(NamedTuple):
    """One page: the file below `pages/`, its title and icon, and the sentence that says what it is."""

    file: str
    title: str
    icon: str
    text: str

    @property
    def path(self) -> Path:
        """The page's script."""
        return PAGES_DIRECTORY / self.file


HOME = "overview.py"
GROUPS: dict[str, tuple[PageEntry, ...]] = {
    "Compare": (
        PageEntry(
            "overview.py",
            "Overview",
            ":material/leaderboard:",
            "Which network, and at what cost? The answer and the leaderboard.",
        ),
        PageEntry(
            "reports.py",
            "Reports",
            ":material/description:",
            "How good is this one? Report, learning curves, layers, card.",
        ),
        PageEntry(
            "confusion.py",
            "Confusion",
            ":material/grid_on:",
            "What does it mix up? The matrix, and the images behind each cell.",
        ),
        PageEntry(
            "compare.py",
            "Compare",
            ":material/scatter_plot:",
            "What do I pay for accuracy? Memory and time, side by side.",
        ),
        PageEntry(
            "findings.py",
            "Findings",
            ":material/science:",
            "What did we learn? The study's questions, answered with evidence.",
        ),
    ),
    "Data": (
        PageEntry("dataset.py", "Dataset", ":material/database:", "What are these cells? Classes, balance, gallery."),
    ),
    "Use": (
        PageEntry(
            "classify.py",
            "Classify",
            ":material/hematology:",
            "What is this cell? Drop an image and read the answers.",
        ),
        PageEntry(
            "cases.py",
            "Cases",
            ":material/fact_check:",
            "What did I decide? Review cells, count them, sign, report.",
        ),
        PageEntry(
            "trust.py",
            "Trust",
            ":material/verified_user:",
            "When should I believe it? What is answered, refused, right and wrong.",
        ),
    ),
    "Learn": (
        PageEntry(
            "lessons.py",
            "Lessons",
            ":material/menu_book:",
            "Five lessons of ten minutes; each step opens the page that shows it.",
        ),
        PageEntry(
            "classroom.py",
            "Classroom",
            ":material/school:",
            "One cell, all models: switch them on and off, and change the image.",
        ),
        PageEntry(
            "build.py",
            "Build",
            ":material/construction:",
            "Make your CNN: what each idea costs, and what it brought.",
        ),
        PageEntry("train.py", "Train", ":material/model_training:", "Train a network live, and watch it learn."),
        PageEntry(
            "inside.py",
            "Inside",
            ":material/layers:",
            "What does each layer see? The graph, the maps, the filters.",
        ),
        PageEntry("map.py", "Map", ":material/map:", "All test cells as a network arranges them."),
        PageEntry("quiz.py", "Quiz", ":material/quiz:", "Beat the network: name the cell before it does."),
    ),
}

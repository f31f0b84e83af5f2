"""Lessons in the dashboard: the page itself, and every link sets the state that it names."""

from pathlib import Path

import pytest
from shelf import write_shelf
from streamlit.testing.v1 import AppTest

from bloodcell.inference.perturbations import CONTROLS, read_amounts
from bloodcell.views.lessons import UNKNOWN
from bloodcell.views.lessons_texts import LESSONS

PROJECT = Path(__file__).parents[2]
APP = PROJECT / "app.py"
LINKS = {
    f"{step.file}?{'&'.join(f'{key}={value}' for key, value in parameters.items())}": (step, parameters)
    for lesson in LESSONS
    for step in lesson.steps
    for _, parameters in step.links
    if parameters
}
# Widgets that stand only where a record of `measure trust` or several seeds are at hand; looked up in the source.
NEED_RECORDS = {"trust_measure", "trust_examples", "trust_coverage", "build_against"}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    from shelf import write_artifact

    folder = tmp_path_factory.mktemp("shelf") / "artifacts"
    write_shelf(folder)
    for name in ("cnn_bn", "cnn_dropout40", "hemanet_nano", "hemanet_small", "hemanet_tiny"):
        write_artifact(folder, name)
    return folder


@pytest.fixture(autouse=True)
def use_shelf(shelf, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(shelf))


def open_page(file: str, parameters=()) -> AppTest:
    page = AppTest.from_file(str(APP), default_timeout=120).run()
    page.switch_page(f"pages/{file}")
    for key, value in dict(parameters).items():
        page.query_params[key] = value if isinstance(value, str) else list(value)
    page.run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    return "\n".join(element.value for kind in (page.header, page.markdown, page.caption) for element in kind)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
def test_lesson_shows_its_steps_with_their_numbers(lesson):
    page = open_page("lessons.py", {"lessons_lesson": lesson.key})
    assert page.header[0].value == lesson.title
    links = [link.proto for link in page.get("page_link")]
    expected = [one for step in lesson.steps for one in step.links]
    assert [link.label for link in links] == [label for label, _ in expected]
    for link, (_, parameters) in zip(links, expected, strict=True):
        assert all(f"{key}=" in link.query_string for key in parameters)
    if lesson.key != "silence":  # its numbers come from a record that is not on this shelf
        assert UNKNOWN not in said(page)
    assert "is not trained here: `./dev" not in said(page)


def test_without_models_each_step_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(tmp_path / "empty"))
    page = open_page("lessons.py")
    assert "**cnn_4** is not trained here: `./dev python -m bloodcell train cnn_4`" in said(page)
    assert UNKNOWN in said(page)


@pytest.mark.parametrize("address", LINKS)
def test_each_link_sets_what_it_names(address, small_dataset):
    """After following the link, every parameter stands in the state under its own key."""
    step, parameters = LINKS[address]
    page = open_page(step.file, parameters)
    state = page.session_state
    for key, value in parameters.items():
        if key in NEED_RECORDS:
            sources = [step.path, *(PROJECT / "bloodcell" / "views").glob("components*.py")]
            assert any(f'"{key}"' in source.read_text(encoding="utf-8") for source in sources), key
        elif key == "classroom_change":  # one text in the address, one slider each on the page
            amounts = read_amounts(value)
            for name, control in CONTROLS.items():
                assert state[f"classroom_set_{name}"] == amounts.get(name, control.neutral), name
        elif isinstance(value, str):
            assert str(state[key]).lower() == value.lower(), key
        else:
            assert set(state[key]) == set(value), key


def test_the_lessons_visit_every_page_where_something_is_learned():
    visited = {step.file for lesson in LESSONS for step in lesson.steps}
    assert visited >= {
        "build.py",
        "train.py",
        "classroom.py",
        "inside.py",
        "map.py",
        "quiz.py",
        "trust.py",
        "findings.py",
    }

"""The readable list, the project file and the exact pins agree, and the rooms keep their walls."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
ROOMS = ("dataset", "models", "training", "artifact", "evaluation", "inference", "cases", "views")


def read_requirements(text: str) -> list[Requirement]:
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    return [Requirement(line) for line in lines if line]


@pytest.fixture(scope="module")
def pins() -> list[Requirement]:
    return read_requirements((PROJECT / ".pins.txt").read_text())


def test_every_requirement_is_pinned_within_its_bounds(pins):
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    wanted = read_requirements((PROJECT / "requirements.txt").read_text())
    wanted += [Requirement(line) for line in project["dependency-groups"]["dev"]]
    versions = {}
    for pin in pins:
        if pin.marker is None or pin.marker.evaluate():
            versions[canonicalize_name(pin.name)] = next(iter(pin.specifier)).version
    for requirement in wanted:
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not pinned: run ./dev pins"
        assert requirement.specifier.contains(version), f"{requirement} does not admit {version}: run ./dev pins"


def test_the_project_file_takes_its_dependencies_from_the_readable_list():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["dependencies"]
    assert project["tool"]["setuptools"]["dynamic"]["dependencies"]["file"] == ["requirements.txt"]


def test_nothing_is_offered_as_an_extra_and_the_readme_names_the_range_of_pydicom():
    """Pip cannot install a project of several top-level packages, and so none of its extras."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert "optional-dependencies" not in project["project"]
    (pydicom,) = project["dependency-groups"]["dicom"]
    assert pydicom in project["dependency-groups"]["dev"]
    assert f"pip install '{pydicom}'" in (PROJECT / "README.md").read_text(encoding="utf-8")


def test_the_first_start_on_a_desktop_asks_for_no_address():
    """Streamlit's own check, as on a machine with a screen and without Streamlit's file of addresses."""
    code = (
        "from streamlit import config\n"
        "from streamlit.runtime import credentials\n"
        "config.get_config_options(options_from_flags={'server.headless': False})\n"
        "credentials._check_credential_file_exists = lambda: False\n"
        "credentials.Credentials._check_activated = lambda self: exit('asks for an address')\n"
        "credentials.check_credentials()\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


def test_only_this_machine_reaches_the_dashboard_unless_somebody_opens_it():
    """Streamlit alone would listen on every interface; the classroom's page says how to open it."""
    code = "from streamlit import config\nprint(config.get_option('server.address'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "127.0.0.1"
    assert "./dev run --server.address 0.0.0.0 " in (PROJECT / "docs" / "classroom.md").read_text(encoding="utf-8")


def test_the_users_packages_are_required():
    names = {canonicalize_name(r.name) for r in read_requirements((PROJECT / "requirements.txt").read_text())}
    assert {"streamlit", "tensorflow", "medmnist", "plotly", "pandas", "scikit-learn", "altair"} <= names


def test_pins_are_exact_without_addresses_and_without_torch(pins):
    text = (PROJECT / ".pins.txt").read_text()
    assert "://" not in text and "--" not in text
    assert all([s.operator for s in pin.specifier] == ["=="] for pin in pins)
    assert not {"torch", "torchvision"} & {canonicalize_name(pin.name) for pin in pins}


def test_what_the_pins_say_is_what_is_installed(pins):
    from importlib.metadata import version

    for pin in pins:
        if pin.marker is None or pin.marker.evaluate():
            assert pin.specifier.contains(version(pin.name)), f"{pin} is not what is installed: run ./dev test again"


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms of `bloodcell` that a file imports, at the top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "bloodcell" and len(parts) > 1 and parts[1] in ROOMS:
                found.add(parts[1])
    return found


@pytest.mark.parametrize("room", [room for room in ROOMS if (PROJECT / "bloodcell" / room).is_dir()])
def test_a_room_imports_only_rooms_to_its_left(room):
    allowed = set(ROOMS[: ROOMS.index(room) + 1]) - ({"dataset"} if room == "models" else set())
    for path in (PROJECT / "bloodcell" / room).rglob("*.py"):
        assert imported_rooms(path) <= allowed, f"{path} reaches to the right: {imported_rooms(path) - allowed}"


def test_streamlit_stays_where_it_belongs():
    allowed = {"cache.py", "components.py"}
    for path in (PROJECT / "bloodcell").rglob("*.py"):
        imports_streamlit = re.search(r"^\s*(import|from) streamlit", path.read_text(encoding="utf-8"), re.MULTILINE)
        if imports_streamlit:
            inside = path.parent.name == "views" and (
                path.name in allowed or path.name.startswith(("cache_", "components_"))
            )
            assert inside, f"{path} imports Streamlit"


def test_views_and_catalog_open_without_a_deep_learning_framework():
    modules = [
        ".".join(path.relative_to(PROJECT).with_suffix("").parts)
        for path in (PROJECT / "bloodcell" / "views").glob("*.py")
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {sorted(modules)!r} + ['bloodcell.models', 'bloodcell.artifact', 'bloodcell.inference']:\n"
        "    importlib.import_module(name)\n"
        "loaded = {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


def test_no_remark_in_a_page_is_shown_to_its_readers():
    """Streamlit shows a string that stands alone; one about a constant stood on top of the page Cases."""
    settings = tomllib.loads((PROJECT / ".streamlit" / "config.toml").read_text())
    assert settings["runner"]["magicEnabled"] is False
    for path in (PROJECT / "app.py", *sorted((PROJECT / "pages").glob("*.py"))):
        alone = [one for one in ast.parse(path.read_text()).body[1:] if isinstance(one, ast.Expr)]
        assert all(isinstance(one.value, ast.Call) for one in alone), path

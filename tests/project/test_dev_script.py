"""`./dev` on machines that are not as they were, or not as ours: beside it lie stand-ins for uv and the environment."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
TOOLS = ("bash", "cat", "cksum", "cp", "dirname", "mkdir", "rm", "sed")

# Says what it was called with; as `pip config get`, gives a setting that a test may have written beside it.
PYTHON = """#!/bin/bash
if [ "$3" = config ]; then cat "${0%/*}/index-url"; exit; fi
echo "python $*"
"""
# Writes down its words and what `dev` tells it by the environment; makes an environment only where there is none.
UV = """#!/bin/bash
here="${0%/*}"
echo "$* | index ${UV_DEFAULT_INDEX:-none} | certificates $UV_SYSTEM_CERTS" >>"$here/calls"
for last; do :; done
if [ "$1" = venv ]; then
    if [ -e "$last" ]; then echo "there is something already" >&2; exit 2; fi
    mkdir -p "$last/bin"; cp "$here/python" "$last/bin/python"
elif [ -e "$here/fails" ]; then
    exit 1
fi
"""


def write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def project(tmp_path):
    """A copy of `dev` with uv at hand and no environment yet."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(PROJECT / "dev", folder)
    (folder / ".pins.txt").write_text("six==1.17.0\n")
    write_script(folder / ".tools/uv/bin/uv", UV)
    write_script(folder / ".tools/uv/bin/python", PYTHON)
    return folder


@pytest.fixture
def dev(project, tmp_path):
    """Return a function that runs `dev`, where only a few commands and this Python are there."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name))

    def run(*words, folder=project, **variables):
        environment = {"PATH": str(tools), "PYTHON": sys.executable, **variables}
        command = [shutil.which("bash"), folder / "dev", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)

    return run


def read_calls(project: Path) -> str:
    return (project / ".tools/uv/bin/calls").read_text()


def test_a_renamed_folder_still_starts(dev, project):
    """The scripts of an environment begin with the path where they were made."""
    dev("python")
    for name in ("streamlit", "ruff", "mypy", "pytest"):
        write_script(project / ".venv/bin" / name, f"#!{project}/.venv/bin/python\n")
    moved = project.rename(project.with_name("renamed"))
    done = dev("run", "--server.port", "1", folder=moved)
    assert done.stdout == "python -m streamlit run app.py --server.port 1\n", done.stderr
    done = dev("test", folder=moved)
    called = ["-m ruff check .", "-m ruff format --check .", "-m mypy", "-m pytest"]
    assert done.stdout.splitlines() == [f"python {words}" for words in called], done.stderr


def test_an_environment_of_a_removed_python_is_made_again(dev, project):
    dev("python")
    (project / ".venv/bin/python").unlink()
    (project / ".venv/bin/python").symlink_to("/nowhere/python3.11")
    done = dev("python", "x")
    assert (done.returncode, done.stdout) == (0, "python x\n"), done.stderr


def test_variables_of_another_python_do_no_harm(dev, project):
    done = dev("python", PYTHONHOME="/nowhere", PYTHONPATH="/nowhere")
    assert done.returncode == 0, done.stderr
    write_script(project / ".venv/bin/python", '#!/bin/bash\necho "${PYTHONHOME:-none} $PYTHONPATH"\n')
    assert dev("python", PYTHONHOME="/nowhere", PYTHONPATH="/nowhere").stdout == f"none {project}\n"


@pytest.mark.parametrize("has_uv", [True, False])
def test_without_a_python_there_is_one_sentence(dev, project, has_uv):
    if not has_uv:
        shutil.rmtree(project / ".tools")
    done = dev("python", PYTHON="/nowhere/python3")
    assert done.returncode == 1
    assert "no Python 3.11 to 3.13 found" in done.stderr
    assert "command not found" not in done.stderr and "venv module" not in done.stderr


@pytest.mark.parametrize(
    ("variables", "setting", "expected"),
    [
        ({}, None, "index none | certificates 1"),
        ({}, "https://mirror.example/simple", "index https://mirror.example/simple | certificates 1"),
        ({"PIP_INDEX_URL": "https://a.example"}, "https://mirror.example", "index https://a.example |"),
        ({"UV_DEFAULT_INDEX": "https://b.example"}, "https://mirror.example", "index https://b.example |"),
        ({"UV_INDEX_URL": "https://c.example"}, "https://mirror.example", "index none |"),
        ({"UV_SYSTEM_CERTS": "0"}, None, "certificates 0"),
    ],
)
def test_uv_asks_the_index_that_pip_would_ask(dev, project, variables, setting, expected):
    if setting:
        (project / ".tools/uv/bin/index-url").write_text(setting + "\n")
    assert dev("python", **variables).returncode == 0
    assert expected in read_calls(project).splitlines()[-1]


def test_packages_that_cannot_be_fetched_name_what_can_be_set(dev, project):
    (project / ".tools/uv/bin/fails").touch()
    done = dev("python")
    assert done.returncode == 1
    for name in ("UV_DEFAULT_INDEX", "UV_SYSTEM_CERTS", "SSL_CERT_FILE"):
        assert name in done.stderr


def test_jax_comes_when_a_command_asks_for_it_and_only_once(dev, project):
    dev("python")
    before = read_calls(project)
    python = project / ".venv/bin/python"
    write_script(python, '#!/bin/bash\n[ "$1" = -c ] && exit 1\necho "python $*"\n')
    assert dev("python", "x").stdout == "python x\n" and read_calls(project) == before
    done = dev("python", "x", KERAS_BACKEND="jax")
    assert done.stdout == "python x\n" and "adding JAX" in done.stderr
    added = read_calls(project).removeprefix(before)
    assert added.startswith("pip install ") and " jax | " in added
    write_script(python, '#!/bin/bash\n[ "$1" = -c ] && exit 0\necho "python $*"\n')
    assert "adding JAX" not in dev("python", "x", KERAS_BACKEND="jax").stderr
    assert read_calls(project) == before + added

"""The pages: their code runs as it stands, and what they name is there."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import manyways

ROOT = Path(__file__).parents[1]
SOURCE = Path(manyways.__file__).parent
PAGE = ROOT / "docs" / "a-method-of-your-own.md"
CODE_PAGES = (PAGE, ROOT / "docs" / "architecture.md")
"""Those that say where things lie in the code."""
OUTSIDE = {"", "py", "pyi", "toml", "md", "pyproject"}
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
FILE = re.compile(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = dict(FILE.findall(PAGE.read_text(encoding="utf-8")))
REGISTRY = re.compile(r"(?:Registry|Classes)\(\s*\"(\w+)\"")
POINTS = re.compile(r"points_of\(\"(\w+)\"\)")

Run = Callable[..., subprocess.CompletedProcess[str]]
Install = Callable[[Path, str, dict[str, dict[str, str]]], None]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, install: Install) -> Run:
    """Run Python in a folder that holds the package of the page, where it is installed."""
    folder = tmp_path_factory.mktemp("package")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    groups = {name.removeprefix("manyways."): points for name, points in project["entry-points"].items()}
    install(folder / "site", project["name"], groups)

    def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(folder), str(folder / "site"), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            [sys.executable, *arguments], cwd=folder, env={**os.environ, "PYTHONPATH": path}, text=True,
            capture_output=True, timeout=280, check=False,
        )  # fmt: skip

    return run_python


@pytest.mark.parametrize("file", [name for name in FILES if Path(name).name.startswith("test_")])
def test_the_tests_of_the_page_pass(file: str, run: Run) -> None:
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", file)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.parametrize("comparing", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_commands_of_the_page_run(comparing: bool, run: Run) -> None:
    (block,) = COMMANDS.findall(PAGE.read_text(encoding="utf-8"))
    commands = [shlex.split(line) for line in block.splitlines()]
    assert {(prompt, program) for prompt, program, *_ in commands} == {("$", "manyways")}
    for _, _, *arguments in commands:
        if (arguments[0] == "compare") == comparing:
            done = run("-m", "manyways", *arguments)
            assert done.returncode == 0, f"{arguments}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


@pytest.mark.quick
def test_no_code_of_the_page_is_left_out() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("```") == 2 * (len(FILE.findall(text)) + len(COMMANDS.findall(text)))
    assert {"pyproject.toml", "more_ways/__init__.py"} < FILES.keys()


@pytest.mark.quick
@pytest.mark.parametrize(("page", "heading", "column"), [(PAGE, "| group |", 1), (CODE_PAGES[1], "| groups |", 2)])
def test_a_page_names_every_group_of_entry_points(page: Path, heading: str, column: int) -> None:
    code = "\n".join(file.read_text(encoding="utf-8") for file in SOURCE.rglob("*.py"))
    table = page.read_text(encoding="utf-8").partition(heading)[2].partition("\n\n")[0]
    named = [word for row in table.splitlines()[2:] for word in re.findall(r"`(\w+)`", row.split("|")[column])]
    assert sorted(named) == sorted({*REGISTRY.findall(code), *POINTS.findall(code)})


@pytest.mark.quick
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_and_links_of_a_page_are_there(page: Path) -> None:
    text = prose(page)
    files = {f"/{file.relative_to(SOURCE).as_posix()}" for file in SOURCE.rglob("*")} | {f"/{name}" for name in FILES}
    folders = {file.name for place in (ROOT, SOURCE) for file in place.iterdir() if file.is_dir()}
    lost = []
    for path in re.findall(r"`([\w.-]+(?:/[\w.-]*)*)`", text):
        # Of what has a slash, a page for users names much that is elsewhere: folders of a store, names on the Hub.
        surely = page in CODE_PAGES and "/" in path
        if path.endswith(".py") or surely or path.partition("/")[0] in folders:
            within = any(f"{file}/".endswith(f"/{path.rstrip('/')}/") for file in files)
            lost += [] if within or (ROOT / path).exists() else [path]
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    lost += [link for link in links if link and not (page.parent / link).exists()]
    assert not lost


@pytest.mark.quick
@pytest.mark.parametrize("page", CODE_PAGES, ids=lambda page: page.name)
def test_names_of_a_page_are_in_the_code(page: Path) -> None:
    code = "\n".join([*(file.read_text(encoding="utf-8") for file in SOURCE.rglob("*.py")), *FILES.values()])
    words = set(re.findall(r"\w+", code))
    named = [word for name in re.findall(r"`([A-Za-z_][\w.]*)(?:\(.*?\))?`", prose(page)) for word in name.split(".")]
    assert not sorted({*named} - words - OUTSIDE)


def prose(page: Path) -> str:
    """The text of a page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def test_the_table_of_labels_says_what_methods_learn_from() -> None:
    """docs/labels.md: a row of the second table for each thing that methods may ask of a kind of label."""
    from manyways.data.targets import TARGETS

    asks = {"self-training": "confidence", "mean-teacher": "consistency", "fixmatch": "pseudo-labels"}
    asks["distill"] = "distillation"
    lines = (ROOT / "docs" / "labels.md").read_text(encoding="utf-8").splitlines()
    heading = next(line for line in lines if line.startswith("| | text |"))
    kinds = [names.split(", ") for names in cells_of(heading)[1:]]
    assert sorted(name for names in kinds for name in names) == sorted(
        name for name, kind in TARGETS.all().items() if kind.structured
    )
    for method, ask in asks.items():
        marks = cells_of(next(line for line in lines if line.startswith(f"| `{method}`")))[1:]
        for names, mark in zip(kinds, marks, strict=True):
            for name in names:
                assert (ask in TARGETS.find(name).supports) == (mark == "✓"), f"{method} on {name}"


def cells_of(line: str) -> list[str]:
    """The cells of a line of a table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]

"""Tests that are marked quick train nothing, and neither do their fixtures."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TRAINS = """
import pytest
import manyways as mw


@pytest.fixture(scope="module")
def model():
    return mw.Supervised().fit(mw.read("wine"), budget="1 step")


@pytest.mark.quick
def test_by_itself():
    mw.Supervised().fit(mw.read("wine"), budget="1 step")


@pytest.mark.quick
def test_by_a_fixture(model):
    pass


@pytest.mark.quick
def test_not_at_all():
    mw.Supervised().check(mw.read("wine"))


def test_without_the_mark():
    mw.Supervised().fit(mw.read("wine"), budget="1 step")
"""


def test_one_that_trains_fails(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TRAINS)
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-c", str(HERE.parent / "pyproject.toml"), "-rA",
         "-p", "no:cacheprovider", str(tmp_path / "test_it.py")],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    ended = {line.split("::")[1].split(" ")[0]: line.split(" ")[0] for line in done.stdout.splitlines() if "::" in line}
    assert ended == {
        "test_by_itself": "FAILED", "test_by_a_fixture": "ERROR", "test_not_at_all": "PASSED",
        "test_without_the_mark": "PASSED",
    }, done.stdout[-2000:]  # fmt: skip
    assert "A test that trains is not quick" in done.stdout

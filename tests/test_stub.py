"""The types of the public names: the stub is what its script writes, and mypy finds slips of the fingers by it."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import manyways

ROOT = Path(__file__).parents[1]
CALLS = """import manyways as mw

mw.FixMatch(threshold=0.9)
mw.FixMatch(treshold=0.9)
mw.FixMatch(threshold="high")
mw.FixMatch(16)
mw.FixMach()
mw.load("model").evaluate(mw.read("digits"))
mw.load(3)
"""


@pytest.mark.quick
def test_the_stub_is_what_its_script_writes() -> None:
    script = runpy.run_path(str(ROOT / "tools" / "write_stub.py"))
    written = script["STUB"].read_text(encoding="utf-8")
    assert written == script["stub"](), f"other public names or methods than in {script['STUB']}: {script['COMMAND']}"
    assert (Path(manyways.__file__).parent / "py.typed").is_file()


@pytest.mark.quick
def test_every_name_of_the_stub_can_be_had() -> None:
    stub = Path(manyways.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    names = re.findall(r" as (\w+)$|^(\w+) = ", stub, re.MULTILINE)
    assert len(names) > 50
    assert {first or second for first, second in names} <= set(dir(manyways))
    for module, member, public in re.findall(r"^from (\S+) import (\w+) as (\w+)$", stub, re.MULTILINE):
        assert getattr(manyways, public) is getattr(sys.modules[module], member)


@pytest.mark.slow
@pytest.mark.timeout(900)  # the first run reads all of torch's types
def test_mypy_checks_the_fields_of_methods(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    (tmp_path / "calls.py").write_text(CALLS, encoding="utf-8")
    cache = pytestconfig.cache
    folder = cache.mkdir("mypy") if cache else tmp_path / "cache"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir",
         str(folder), "calls.py"],
        cwd=tmp_path, env={"MYPYPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    errors = dict(re.findall(r"^calls.py:(\d+): error: (.*)$", done.stdout, re.MULTILINE))
    assert errors.keys() == {"4", "5", "6", "7", "9"}, done.stdout + done.stderr
    assert "treshold" in errors["4"]
    assert '"threshold" to "FixMatch" has incompatible type "str"' in errors["5"]
    assert "positional" in errors["6"]
    assert "FixMach" in errors["7"]

"""A few damaged files for each reader, by the script that reads thousands: benchmarks/quality/fuzz.py."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "quality" / "fuzz.py"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the script measures by /proc")


def fuzz(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False)


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    done = fuzz("--only", "files", "--count", "90", "--seed", "7", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    counts = [int(number) for number in done.stdout.splitlines()[-2].split()[1:]]
    assert sum(counts) >= 90
    assert counts[0] > 15, "some are read in spite of what was done to them"
    assert counts[1] > 15, "others are refused"


def test_what_must_not_happen_is_counted(tmp_path: Path) -> None:
    """A reader that raises, hangs, eats memory, dies, or does not name the file is found out."""
    script = """
import sys, os, signal
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import fuzzing.judging as judging
from manyways.errors import DataError
judging.SECONDS = 2
def refuse(path): raise DataError(path.name + ' is wrong')
def hide(path): raise DataError('something is wrong')
def eat(path): return len(b'x' * (1300 << 20))
def hang(path):
    while True: pass
def claim(path): return bytearray(1 << 40)
ways = (str, refuse, hide, lambda path: 1 / 0, eat, claim, hang,
        lambda path: os.kill(os.getpid(), signal.SIGSEGV))
print(*(judging.judged(way, Path('x'), ('x',)).kind for way in ways))
"""
    done = subprocess.run(
        [sys.executable, "-c", script.replace("('x',)", "('x is',)"), str(SCRIPT.parent)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [
        "read", "refused", "unnamed", "traceback", "memory", "traceback", "time", "traceback",
    ]  # fmt: skip

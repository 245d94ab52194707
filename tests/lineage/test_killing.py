"""Commands that are killed leave a store that is whole, and come to the same end when they are typed again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kills.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


def killed(folder: Path, kills: int, seed: int) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, folder, str(kills), str(seed)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # a process with threads cannot be forked
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["kills"] >= kills
    assert last["failed"] == 0


def test_a_few_kills(tmp_path: Path) -> None:
    killed(tmp_path, 6, seed=3)


@pytest.mark.slow
def test_three_hundred_kills(tmp_path: Path) -> None:
    killed(tmp_path, 300, seed=4)

"""A forgetting that is killed leaves a store that is whole, and comes to the same end when it is called again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_forget.py")

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
    killed(tmp_path, 5, seed=3)


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path) -> None:
    killed(tmp_path, 50, seed=4)

"""What the benchmarks share: interleaved timing, and one way to print and keep what was measured."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PEERS = Path(__file__).parents[1] / ".venv-peers"
Row = dict[str, Any]
PRELUDE = """
import sys, types
# Where torch was built without CUDA, torchvision's compiled operators do not load, and describing them would fail.
sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
"""
"""What every script of a peer begins with: transformers imports torchvision, too, where it is installed."""


def data_folder(name: str) -> Path:
    """A real data set's folder, in $MANYWAYS_DATA or in `shared/data` beside the repository."""
    places = [Path(place) for place in [os.environ.get("MANYWAYS_DATA")] if place]
    places.append(Path(__file__).parents[2] / "shared" / "data")
    for place in places:
        if (place / name).exists():
            return place / name
    raise SystemExit(f"{name} is in none of {', '.join(map(str, places))}; set MANYWAYS_DATA to its parent folder.")


def peer_python() -> str:
    """The Python of the environment that holds other libraries to compare with."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        raise SystemExit(
            "The peers are not installed. Type `make peers`, or python3 -m venv .venv-peers && "
            ".venv-peers/bin/pip install -r benchmarks/peers.txt."
        )
    return str(python)


def peer_command(script: str, *arguments: str) -> list[str]:
    """What runs `script`, Python in text, in the environment of the peers."""
    return [peer_python(), "-c", PRELUDE + script, *arguments]


def ask_peer(script: str, *arguments: str, **environment: str) -> str:
    """What `script`, Python in text, prints in the environment of the peers; `environment` is added to this one's."""
    done = subprocess.run(
        peer_command(script, *arguments), capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    if done.returncode:
        raise SystemExit(f"The peer failed:\n{done.stderr[-3000:]}")
    return done.stdout


def facts_of_peer(script: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """The JSON in the last line that `script` prints."""
    return dict(json.loads(ask_peer(script, *arguments, **environment).splitlines()[-1]))


def versions(*more: str) -> dict[str, str]:
    """The versions that decide the figures."""
    return {"python": platform.python_version(), **{name: version(name) for name in ("torch", "numpy", *more)}}


def interleaved(
    sides: Mapping[str, Callable[[], object]],
    rounds: int,
    warm: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each side by `clock`, in turns, so that a machine whose speed drifts slows both."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + warm):
        for name, work in sides.items():
            began = clock()
            work()
            if turn >= warm:
                seconds[name].append(clock() - began)
    return seconds


def median_ratio(seconds: Mapping[str, list[float]]) -> float:
    """The median over rounds of the peer's time divided by ours."""
    return statistics.median(peer / ours for ours, peer in zip(seconds["ours"], seconds["peer"], strict=True))


def report(name: str, rows: list[Row]) -> None:
    """Print `rows`, and keep them as JSON in `results`."""
    for row in rows:
        print(
            f"{row['name']}: ours {row['ours']:,} {row['unit']}, peer {row['peer']:,} {row['unit']}, "
            f"ratio {row['ratio']} (target {row['target']}); {row['versions']}",
            flush=True,
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")

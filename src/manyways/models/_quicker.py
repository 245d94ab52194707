"""The quicker of two ways to run many networks on this machine: timed once, and then remembered."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch

from manyways.data.storage import cache_folder
from manyways.errors import DataError
from manyways.permissions import tighten
from manyways.whole import write_whole

How = Literal["auto", "vectorised", "one by one"]
VECTORISED, ONE_BY_ONE, UNDECIDED = 1, 0, -1
CHOICES: Mapping[How, int] = {"auto": UNDECIDED, "vectorised": VECTORISED, "one by one": ONE_BY_ONE}

FEWEST_TURNS, MOST_TURNS, ENOUGH_SECONDS = 3, 20, 0.4

_CHOSEN: dict[str, int] = {}


def chosen(facts: Any, ways: Mapping[int, Callable[[], object]]) -> int:
    """The key of the quicker one of `ways`, also in other processes on this machine.

    facts: what it depends on, which must be told apart by its repr; device and threads are added. Timed anew in every
    process, a close call would fall now this way and now the other, and one seed would not give one model.
    """
    everything = (facts, torch.get_num_threads(), torch.__version__)
    key = hashlib.sha256(repr(everything).encode()).hexdigest()
    if key not in _CHOSEN:
        _CHOSEN[key] = _remembered(key, ways)
    return _CHOSEN[key]


def quicker(ways: Mapping[int, Callable[[], object]], clock: Callable[[], float] = time.perf_counter) -> int:
    """The key of the one whose best time is the shorter: in turns, as other work on the machine only ever adds time."""
    for way in ways.values():
        way()  # the first pass picks kernels
    best = dict.fromkeys(ways, float("inf"))
    began = clock()
    for turn in range(MOST_TURNS):
        if turn >= FEWEST_TURNS and clock() - began > ENOUGH_SECONDS:
            break
        for name, way in ways.items():
            start = clock()
            way()
            best[name] = min(best[name], clock() - start)
    return min(best, key=lambda name: best[name])


def _remembered(key: str, ways: Mapping[int, Callable[[], object]]) -> int:
    with contextlib.suppress(OSError, DataError):  # where nothing can be kept, a process keeps to its own choice
        path = cache_folder() / f"population-{key[:32]}"
        if not path.exists():
            tighten(write_whole(path, str(quicker(ways))))
        if (text := path.read_text(encoding="ascii")) in map(str, ways):
            return int(text)
    return quicker(ways)

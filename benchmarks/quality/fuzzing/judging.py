"""An input read in a forked child: refused in our words or read, within memory and time, or not."""

import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manyways.errors import ManywaysError

SECONDS, WAITING = 20, 60
"""Seconds of work, and until it ends, that an input may take: a busy machine works at others meanwhile."""
MEMORY = 1 << 30
TIMED = (signal.SIGALRM, signal.SIGXCPU)
ADDRESSES = 4 << 30
"""Bytes of address space that a child may take beside those of its parent: more than it may use."""


@dataclass(frozen=True)
class Judgement:
    """What came of an input: `kind` is read, refused, unnamed, traceback, memory or time."""

    kind: str
    what: str
    seconds: float
    memory: int

    @property
    def failed(self) -> bool:
        """Whether it is none of those that may be."""
        return self.kind not in ("read", "refused")


def judged(read: Callable[[Path], Any], path: Path, names: tuple[str, ...]) -> Judgement:
    """Read `path` in a child of this process; a refusal must name one of `names`."""
    began = time.monotonic()
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        _in_child(read, path, names, into)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - began
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return Judgement("time" if number in TIMED else "traceback", signal.Signals(number).name, seconds, 0)
    kind, what, memory = json.loads(said or b'["traceback", "it ended without a word", 0]')
    if kind in ("read", "refused") and memory > MEMORY:
        return Judgement("memory", f"{memory >> 20} MiB; {what}", seconds, memory)
    return Judgement(kind, what, seconds, memory)


def made(make: Callable[[Path], Path], folder: Path) -> Path:
    """What `make` puts into `folder`, by a child: what starts threads here would leave later children without them."""
    child = os.fork()
    if child == 0:
        try:
            folder.mkdir(parents=True)
            (folder / ".path").write_text(str(make(folder)))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit(f"The valid input in {folder} could not be made.")
    note = folder / ".path"
    path = Path(note.read_text())
    note.unlink()
    return path


def _in_child(read: Callable[[Path], Any], path: Path, names: tuple[str, ...], into: int) -> None:
    try:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + ADDRESSES,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        for number in (*TIMED, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, WAITING)
        before = _resident()
        kind, what = _outcome(read, path, names)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        os.write(into, json.dumps([kind, what, max(0, peak - before)]).encode())
    finally:
        os._exit(0)


def _outcome(read: Callable[[Path], Any], path: Path, names: tuple[str, ...]) -> tuple[str, str]:
    try:
        return "read", repr(read(path))[:500]
    except ManywaysError as error:
        said = str(error)
        named = any(name in said for name in names)
        plain = "Traceback" not in said and not any(ord(letter) < 32 and letter != "\n" for letter in said)
        kind = "refused" if named and plain else "unnamed"
        return kind, f"{type(error).__name__}: {said[:600]!r}"
    except BaseException as error:
        return "traceback", f"{type(error).__name__} at {_place(error)}: {str(error)[:300]!r}"


def _place(error: BaseException) -> str:
    ours = [each for each in traceback.extract_tb(error.__traceback__) if "manyways" in each.filename]
    return f"{ours[-1].filename.rpartition('manyways/')[2]}:{ours[-1].lineno}" if ours else "an unknown place"


def _resident() -> int:
    if not sys.platform.startswith("linux"):
        raise SystemExit("The memory of a child is measured by /proc, which Linux alone has.")
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

"""Processes that are forked from one that has loaded everything, and killed with all that they started."""

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from manyways.comparison import worker


class Forked:
    """A worker of a comparison, forked in advance: what `subprocess.Popen` would have been."""

    ready: ClassVar[list["Forked"]] = []

    def __init__(self) -> None:
        (read, write), (hear, say) = os.pipe(), os.pipe()
        (begin, self._begin) = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            for other in [*(each for one in Forked.ready for each in one.ends), write, hear, self._begin]:
                os.close(other)
            _die_or(lambda: self._work(begin, read, say))
        for other in (read, say, begin):
            os.close(other)
        self.ends = (write, hear, self._begin)
        self.stdin, self.stdout = os.fdopen(write, "w", encoding="utf-8"), os.fdopen(hear, encoding="utf-8")

    @staticmethod
    def _work(begin: int, read: int, say: int) -> None:
        sys.argv = ["worker", *json.loads(os.fdopen(begin).readline())]
        os.dup2(say, 1)
        sys.stdin = os.fdopen(read, encoding="utf-8")
        worker.main()

    @classmethod
    def started(cls, command: Sequence[str], **_: Any) -> "Forked":
        """The next of those that are ready, with the arguments of `command`."""
        made = cls.ready.pop()
        os.write(made._begin, (json.dumps(list(command[3:])) + "\n").encode())
        return made

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        with contextlib.suppress(ChildProcessError):
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return 0


def _die_or(work: Callable[[], object]) -> NoReturn:
    code = 1
    try:
        code = int(bool(work()))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def apart(work: Callable[[], object], log: Path, seconds: float | None = None) -> int | None:
    """Do `work` in processes of its own, which are all killed after `seconds`; its exit code, None where it was."""
    child = os.fork()
    if child == 0:
        os.setsid()
        with log.open("a") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        _die_or(work)
    deadline = time.monotonic() + (seconds if seconds is not None else 120)
    done, status = 0, 0
    while not done and time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.0005)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not done:
        os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if done else None

"""Worker processes: jobs in, outcomes out; one that dies takes only its own job with it."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from manyways.checked_json import described, parse
from manyways.comparison.job import Job, Outcome, outcome_from_json, run_job
from manyways.comparison.limits import Limits
from manyways.data.data import Data
from manyways.errors import DataError, TrainingError
from manyways.methods.method import Method

PACKAGES = Path(__file__).parents[2]
"""The folder that Manyways was loaded from here, which need not be among the libraries."""
WORKER = f"import sys; sys.path.append({str(PACKAGES)!r}); from manyways.comparison.worker import main; main()"
"""The code that a process runs."""
LOOK_SECONDS = 1.0
"""Between looks at how long trainings take, where nothing is heard of them."""
MOST_STILLBORN = 3
"""Processes for each worker that may end before they have said a word."""


@dataclass(frozen=True)
class Report:
    """Something heard of a job: progress in [0, 1], or its outcome."""

    job: Job
    progress: float | None = None
    outcome: Outcome | None = None


class Workers:
    """`count` processes with `threads` threads each over the table in `table`. Use as a context manager.

    environment: that of the data, as JSON values. It is told to the processes, as jobs are, and lies in no file.
    limits: those beyond which a training is ended, and its process with it.
    """

    def __init__(
        self, count: int, threads: int, table: Path, folder_of: Callable[[Job], Path],
        environment: Mapping[str, Any] | None = None, limits: Limits = Limits(),  # noqa: B008
    ) -> None:  # fmt: skip
        self._count, self._threads, self._table, self._folder_of = count, threads, table, folder_of
        self._environment, self._limits = environment, limits
        self._overdue: dict[int, str] = {}
        self._heard: queue.Queue[tuple[int, Outcome | float | None]] = queue.Queue()
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._started = 0
        self._stillborn: set[int] = set()
        self._astray: set[int] = set()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            _close(process)

    def run(self, jobs: Sequence[Job]) -> Iterator[Report]:
        """Carry out `jobs`, in order as workers become free; reports come as they are heard.

        Raises TrainingError where the processes end before they begin.
        """
        waiting = list(jobs)
        doing: dict[int, Job] = {}
        times: dict[int, tuple[float, float]] = {}  # when each process was given its job, and last heard of
        for _ in range(min(self._count, len(waiting))):
            self._start()
        while waiting or doing:
            try:
                number, message = self._heard.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                self._end_overdue({number: times[number] for number in doing})
                continue
            if message is None:
                if number in doing:
                    yield Report(doing.pop(number), outcome=Outcome(error=self._death(number)))
                _close(self._processes.pop(number))
                if waiting and len(self._stillborn) > MOST_STILLBORN * self._count:
                    raise TrainingError(
                        "Worker processes keep ending before they begin; see the messages above, or compare in this "
                        "process: workers=0."
                    )
                if waiting and len(self._processes) < self._count:
                    self._start()
                continue
            self._stillborn.discard(number)
            if isinstance(message, Outcome):
                if number in doing:
                    yield Report(doing.pop(number), outcome=message)
            elif message and number in doing:
                yield Report(doing[number], progress=message)
            self._end_overdue({number: times[number] for number in doing})
            if number in doing:
                times[number] = (times[number][0], time.monotonic())
            elif waiting:
                doing[number] = waiting.pop(0)
                times[number] = (time.monotonic(), time.monotonic())
                self._give(number, doing[number])

    def _end_overdue(self, times: Mapping[int, tuple[float, float]]) -> None:
        for number, (began, heard) in times.items():
            if reason := self._limits.exceeded(began, heard, time.monotonic()):
                self._overdue[number] = reason
                self._processes[number].kill()

    def _start(self) -> None:
        self._started += 1
        number = self._started
        # -P: the current folder is no place that modules are imported from.
        told = [str(self._table), str(self._threads), json.dumps(self._environment)]
        command = [sys.executable, "-Pc", WORKER, *told]
        environment = {**os.environ, "OMP_NUM_THREADS": str(self._threads), "PYTHONWARNINGS": "ignore"}
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self._processes[number] = process
        self._stillborn.add(number)
        assert process.stdout is not None
        threading.Thread(target=self._listen, args=(number, process.stdout), daemon=True).start()

    def _listen(self, number: int, stream: IO[str]) -> None:
        try:
            for line in stream:
                self._heard.put((number, _message(line)))
        except (DataError, ValueError):  # a line cut off by the death of its writer, or another's
            if (process := self._processes.get(number)) is not None:
                self._astray.add(number)
                process.kill()  # one that lives and says what is no message is never heard again
        self._heard.put((number, None))

    def _give(self, number: int, job: Job) -> None:
        stdin = self._processes[number].stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps({"job": asdict(job), "folder": str(self._folder_of(job))}) + "\n")
            stdin.flush()
        except BrokenPipeError:
            pass  # its end of output says that it died

    def _death(self, number: int) -> str:
        code = self._processes[number].wait()
        if number in self._overdue:
            return self._overdue[number]
        if number in self._astray:
            return "its process said what is no message of a worker, and was ended."
        if code == -9:
            return "its process was killed, most likely because memory ran out; lower batch_size or size."
        return f"its process ended with exit code {code}."


def _message(line: str) -> Outcome | float:
    """The message of a worker in a line: an outcome, or progress in [0, 1], which is 0 where it is ready for a job."""
    message = described(parse(line, "what a worker says", DataError), "what a worker says", DataError)
    if "outcome" in message.members:
        return outcome_from_json(message.get("outcome", dict))
    return message.get("progress", float, 0.0)


def _close(process: subprocess.Popen[str]) -> None:
    """Wait for the end of `process`, and close its pipes."""
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            with contextlib.suppress(BrokenPipeError):  # a job that it did not live to read
                stream.close()


def run_here(
    jobs: Sequence[Job], methods: dict[str, Method], data: Data, folder_of: Callable[[Job], Path]
) -> Iterator[Report]:
    """Carry out `jobs` in this process, one by one: for methods that only this process knows, and for debugging."""
    for job in jobs:
        yield Report(job, outcome=run_job(job, data, folder_of(job), lambda _: None, methods.get(job.method)))

"""A worker process of a comparison, which is told TABLE, THREADS and ENVIRONMENT.

Jobs come as lines of JSON on standard input, from the process that began this one and from nowhere else; progress and
outcomes leave as lines on standard output.
"""

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

QUIET_SECONDS = 30.0
"""A long training says so often that it goes on, however little further it is."""
ORPHANED = 3
"""The exit code where nobody is left to work for."""


def main() -> None:
    """Do jobs until standard input ends."""
    for signal_ in (signal.SIGINT, signal.SIGTERM):  # they reach the whole group; the parent decides what ends
        signal.signal(signal_, signal.SIG_IGN)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    table, threads, environment = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not end up among the messages

    import torch

    from manyways.comparison.job import Job, outcome_to_json, run_job
    from manyways.data.transport import load_table

    torch.set_num_threads(threads)
    data = load_table(table, environment)
    _send(channel, ready=True)
    for line in _lines():
        message = json.loads(line)
        job, folder = Job.from_json(message["job"]), Path(message["folder"])
        outcome = run_job(job, data, folder, _reporter(channel))
        _send(channel, outcome=outcome_to_json(outcome))


def _lines() -> Iterator[str]:
    """The lines of standard input; where it ends, so does the process at once, as its parent is gone."""
    lines: queue.Queue[str] = queue.Queue()

    def listen() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(ORPHANED)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        yield lines.get()


def _reporter(channel: TextIO) -> Any:
    last, sent = -1.0, time.monotonic()

    def report(fraction: float) -> None:
        nonlocal last, sent
        if abs(fraction - last) >= 0.02 or time.monotonic() - sent >= QUIET_SECONDS:
            last, sent = fraction, time.monotonic()
            _send(channel, progress=fraction)

    return report


def _send(channel: TextIO, **message: Any) -> None:
    channel.write(json.dumps(message) + "\n")
    channel.flush()

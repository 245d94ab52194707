"""A worker process of a comparison, which is told TABLE, THREADS and ENVIRONMENT.

Jobs come as lines of JSON on standard input, from the process that began this one and from nowhere else; progress and
outcomes leave as lines on standard output.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, TextIO


def main() -> None:
    """Do jobs until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what ends
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
    for line in sys.stdin:
        message = json.loads(line)
        job, folder = Job(**message["job"]), Path(message["folder"])
        outcome = run_job(job, data, folder, _reporter(channel))
        _send(channel, outcome=outcome_to_json(outcome))


def _reporter(channel: TextIO) -> Any:
    last = -1.0

    def report(fraction: float) -> None:
        nonlocal last
        if abs(fraction - last) >= 0.02:
            last = fraction
            _send(channel, progress=fraction)

    return report


def _send(channel: TextIO, **message: Any) -> None:
    channel.write(json.dumps(message) + "\n")
    channel.flush()

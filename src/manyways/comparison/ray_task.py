"""A task of a Ray cluster: one job of a comparison, carried out on a node."""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from manyways.data.data import Data
from manyways.data.transport import load_table, save_table
from manyways.errors import TrainingError

MARK, PROGRESS = "mark.txt", "run/progress.txt"
"""Files of a comparison and of a job: by the first a node knows the folder; in the second it notes its progress."""


@dataclass(frozen=True)
class Conditions:
    """The conditions of all tasks of a comparison.

    Attributes:
        version: Version of Manyways, which a node must have, too.
        threads: Threads of a task.
        mark: Content of the file `MARK`, by which a node knows that it sees the same folder.
        table: Folder of the table.
        home: Manyways' home, where what can be shared among jobs is cached.
        environment: Environment of the data, as JSON values.
    """

    version: str
    threads: int
    mark: str
    table: str
    home: str
    environment: Mapping[str, Any] | None


@dataclass(frozen=True)
class Sent:
    """The files that a node is sent which sees no folder of the comparison: the table, and the model to start from."""

    table: Mapping[str, bytes]
    start: Mapping[str, bytes]

    @staticmethod
    def of(data: Data, folder: Path, start: str | None) -> "Sent":
        """`data` and the model in the folder `start`, read into memory by way of `folder`."""
        return Sent(packed(save_table(data, folder, whole=True)), packed(Path(start)) if start else {})


def carry_out(
    job: Mapping[str, Any], folder: str, conditions: Conditions, sent: Sent | None
) -> tuple[dict[str, Any], dict[str, bytes]] | None:
    """Carry out `job`, the fields of a `Job`; its outcome as JSON values, and the files of its folder where it is here.

    None where this node does not see `folder` and was `sent` nothing. Raises TrainingError on another version.
    """
    import torch

    from manyways.comparison.job import Job, outcome_to_json, run_job
    from manyways.version import __version__

    if __version__ != conditions.version:
        raise TrainingError(
            f"A node of the Ray cluster has Manyways {__version__}, and the comparison {conditions.version}; install "
            "the same on both."
        )
    torch.set_num_threads(conditions.threads)
    given = Job.from_json(job)
    if sent is None:
        if not _sees(Path(folder).parent, conditions.mark):
            return None
        os.environ["MANYWAYS_HOME"] = conditions.home
        data = _table(conditions.table, conditions.mark, conditions.environment)
        return outcome_to_json(run_job(given, data, Path(folder), _noting(Path(folder) / PROGRESS))), {}
    with tempfile.TemporaryDirectory() as here:
        data = load_table(unpacked(sent.table, Path(here, "table")), conditions.environment)
        if given.start:
            given = replace(given, start=str(unpacked(sent.start, Path(here, "start"))))
        outcome = run_job(given, data, Path(here, "job"), lambda _: None)
        files = packed(Path(here, "job"))
    return outcome_to_json(outcome), {name: each for name, each in files.items() if not name.startswith("run/")}


def packed(folder: Path) -> dict[str, bytes]:
    """The files in `folder`, by their names relative to it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def unpacked(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write `files` into `folder`, which is returned."""
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


def _sees(folder: Path, mark: str) -> bool:
    try:
        return (folder / MARK).read_text(encoding="utf-8") == mark
    except OSError:
        return False


def _noting(place: Path) -> Callable[[float], None]:
    last = -1.0

    def note(share: float) -> None:
        nonlocal last
        if abs(share - last) >= 0.02:
            last = share
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{share:.4f}", encoding="ascii")

    return note


_tables: dict[tuple[str, str], Data] = {}


def _table(folder: str, mark: str, environment: Mapping[str, Any] | None) -> Data:
    """The table in `folder`, read once in a process for one comparison."""
    if (folder, mark) not in _tables:
        _tables.clear()
        _tables[folder, mark] = load_table(Path(folder), environment)
    return _tables[folder, mark]

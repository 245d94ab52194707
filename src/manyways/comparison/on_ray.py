"""Jobs of a comparison as tasks of an existing Ray cluster; results go through the store.

A node that sees the comparison's folder works in it, so that a job that was killed goes on from its checkpoint. One
that does not is sent the table, and sends back what it made.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import current_thread, main_thread
from types import ModuleType, TracebackType
from typing import Any, Self

from manyways.comparison.given import CLUSTER
from manyways.comparison.job import Job, Outcome, outcome_from_json
from manyways.comparison.ray_task import MARK, PROGRESS, Conditions, Sent, carry_out
from manyways.comparison.workers import Report
from manyways.data.data import Data
from manyways.data.storage import home_folder
from manyways.data.transport import save_table
from manyways.errors import ManywaysError, ParameterError, TrainingError
from manyways.permissions import tighten
from manyways.version import __version__
from manyways.whole import write_whole

POLL_SECONDS = 0.5


class RayTasks:
    """Tasks of the Ray cluster `on`, one for each job, with `threads` threads each. Use as a context manager.

    Args:
        on: `ray`, the cluster that this machine is part of, or `ray://HOST:PORT`.
        count: Tasks at once; None: as many as the cluster has processors for.
        threads: Threads, and processors, of a task.
        data: Data of all jobs.
        folder: Folder of the comparison.
        folder_of: The folder of a job.

    Raises:
        ParameterError: Ray is not installed.
        TrainingError: There is no such cluster.
    """

    def __init__(
        self, on: str, count: int | None, threads: int, data: Data, folder: Path, folder_of: Callable[[Job], Path]
    ) -> None:
        self._on, self._count, self._threads = on, count, threads
        self._data, self._folder, self._folder_of = data, folder, folder_of
        self._ray, self._own = _library(), False
        self._doing: dict[Any, Job] = {}
        self._sent: Any = None

    def __enter__(self) -> Self:
        if not self._ray.is_initialized():
            _connect(self._ray, self._on)
            self._own = True
        self._conditions = Conditions(
            version=__version__,
            threads=self._threads,
            mark=os.urandom(16).hex(),
            table=str(save_table(self._data, self._folder / "table")),
            home=str(home_folder()),
            environment=self._data.environment.to_json() if self._data.environment else None,
        )
        tighten(write_whole(self._folder / MARK, self._conditions.mark))
        variables = {"OMP_NUM_THREADS": str(self._threads), "TOKENIZERS_PARALLELISM": "false"}
        self._task = self._ray.remote(
            num_cpus=self._threads, max_retries=0, runtime_env={"env_vars": {**variables, "PYTHONWARNINGS": "ignore"}}
        )(carry_out)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._doing:
            with contextlib.suppress(Exception):  # one that has just ended, or a cluster that is gone
                self._ray.cancel(task, force=True)
        if self._own:
            self._ray.shutdown()

    def run(self, jobs: Sequence[Job]) -> Iterator[Report]:
        """Carry out `jobs`, in order as processors become free; reports come as they are heard.

        Raises TrainingError where the connection to the cluster is lost, or its nodes lack Manyways.
        """
        waiting = list(jobs)
        progress: dict[Job, float] = {}
        while waiting or self._doing:
            with self._connected():
                while waiting and len(self._doing) < self._places():
                    self._submit(waiting.pop(0))
                ended, _ = self._ray.wait(list(self._doing), num_returns=1, timeout=POLL_SECONDS)
            for task in ended:
                job = self._doing.pop(task)
                outcome = self._outcome(job, task)
                if outcome is None:
                    waiting.insert(0, job)
                else:
                    yield Report(job, outcome=outcome)
            for job in self._doing.values():
                share = _progress(self._folder_of(job))
                if share > progress.get(job, 0.0):
                    progress[job] = share
                    yield Report(job, progress=share)

    def _places(self) -> int:
        if self._count:
            return self._count
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)) // self._threads)

    def _submit(self, job: Job) -> None:
        (self._folder_of(job) / PROGRESS).unlink(missing_ok=True)
        self._doing[self._task.remote(asdict(job), str(self._folder_of(job)), self._conditions, self._sent)] = job

    def _outcome(self, job: Job, task: Any) -> Outcome | None:
        """The outcome of `job`; None where its node does not see this folder, and is to be sent the table."""
        errors = self._ray.exceptions
        try:
            with self._connected():
                result = self._ray.get(task)
        except errors.OutOfMemoryError:
            return Outcome(error="memory ran out on its node of the Ray cluster; lower batch_size or size.")
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.ObjectLostError):
            return Outcome(error="its worker of the Ray cluster died.")
        except errors.RayTaskError as error:
            if isinstance(error.cause, ManywaysError):
                return Outcome(error=str(error.cause))
            return Outcome(error=f"{error.cause} (a fault in Manyways or on a node of the Ray cluster)")
        if result is None:
            if self._sent is None:
                self._sent = self._ray.put(Sent.of(self._data, self._folder / "sent", job.start))
            return None
        outcome, files = result
        for name, content in files.items():
            tighten(write_whole(self._folder_of(job) / name, content))
        return outcome_from_json(outcome)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        errors = self._ray.exceptions
        try:
            yield
        except errors.RaySystemError as error:
            raise TrainingError(
                f"The nodes of the Ray cluster cannot run Manyways {__version__}: {_reason(error)}. Install it on "
                f"every node: pip install 'manyways[ray]=={__version__}'."
            ) from error
        except (errors.GetTimeoutError, ConnectionError) as error:
            raise TrainingError(
                f"The connection to the Ray cluster {self._on} was lost: {_reason(error)}. Finished trainings are "
                "kept; the same command goes on."
            ) from error


def _library() -> ModuleType:
    try:
        import ray
    except ImportError as error:
        raise ParameterError("on='ray' needs the library Ray; type pip install 'manyways[ray]'.") from error
    library: ModuleType = ray
    return library


def _connect(ray: ModuleType, on: str) -> None:
    address = "auto" if on == CLUSTER else on
    options = {"log_to_driver": False, "logging_level": "ERROR"}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, **options)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        begin = "Start one with `ray start --head`, or name another" if on == CLUSTER else "Name another"
        raise TrainingError(
            f"No Ray cluster answers at {on!r}: {_reason(error)}. {begin}: --on ray://HOST:10001."
        ) from error
    finally:
        # Ray takes SIGTERM for itself and keeps it; during a comparison it means what Ctrl-C does.
        if handler is not None and current_thread() is main_thread():
            signal.signal(signal.SIGTERM, handler)


def _reason(error: BaseException) -> str:
    """The last line of an error, without full stop: of errors from a server that is the one with the reason."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].rstrip(".")


def _progress(folder: Path) -> float:
    """The progress that a task has written in the folder of its job; 0 where there is none yet."""
    try:
        return float((folder / PROGRESS).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0.0

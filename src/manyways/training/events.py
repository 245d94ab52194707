"""Events of training, and the listeners that are told them."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from manyways.errors import ManywaysError

if TYPE_CHECKING:
    from manyways.models.model import Model


@dataclass(frozen=True)
class Event:
    """One thing that happened in a run.

    `seconds` is training time so far, without evaluations; `values` are losses, rates and scores by name.
    `model` gives the model as it stands, for listeners that evaluate; the time they take is not training time.
    `note` says what it is in words: what has ended at a milestone of the method's own, how training diverged, or what a
    notice is of, such as work that takes longer than the budget allows.
    """

    kind: Literal["start", "step", "evaluate", "milestone", "checkpoint", "resume", "diverge", "notice", "stop", "end"]
    stage: str
    step: int
    steps: int
    seconds: float
    values: Mapping[str, float] = field(default_factory=dict)
    model: "Callable[[], Model] | None" = field(default=None, repr=False, compare=False)
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """The event as plain JSON values; a note only where there is one."""
        fields = {key: value for key, value in asdict(self).items() if key not in ("model", "note")}
        return {**fields, "values": dict(self.values), **({"note": self.note} if self.note else {})}

    def named_values(self) -> dict[str, float]:
        """The values by `<stage>/<name>`; by name alone in a run without stages."""
        return {f"{self.stage}/{name}" if self.stage else name: value for name, value in self.values.items()}


class Listener(Protocol):
    """Anything that follows a run."""

    def __call__(self, event: Event, /) -> None: ...


class JsonLines:
    """Appends every event as a line of JSON to a file."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def __call__(self, event: Event) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": time.time(), **event.to_json()}) + "\n")


class TensorBoard:
    """Writes every value as a scalar for TensorBoard; needs the extra `tensorboard`."""

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ManywaysError("TensorBoard is not installed: pip install 'manyways[tensorboard]'") from error
        self._writer = SummaryWriter(str(folder))

    def __call__(self, event: Event) -> None:
        for name, value in event.named_values().items():
            self._writer.add_scalar(name, value, event.step)
        if event.kind in ("end", "stop", "checkpoint"):
            self._writer.flush()


class MLflow:
    """Logs every value as a metric of the active MLflow run, or of one that it opens and ends; needs the extra.

    Where MLFLOW_TRACKING_URI names no server or database, runs lie in `mlflow.db`, where the process was started; to
    look at them takes the whole of MLflow (`mlflow server`). Raises ManywaysError where it cannot log there.
    """

    def __init__(self, experiment: str | None = None) -> None:
        try:
            import mlflow
        except ImportError as error:
            raise ManywaysError("MLflow is not installed: pip install 'manyways[mlflow]'") from error
        self._mlflow = mlflow
        try:
            mlflow.MlflowClient()
            self._experiment = mlflow.set_experiment(experiment).experiment_id if experiment else None
        except (mlflow.MlflowException, ImportError) as error:
            why = str(error).strip().partition(". ")[0]
            raise ManywaysError(
                f"MLflow cannot log to {mlflow.get_tracking_uri()}: {why}. Set MLFLOW_TRACKING_URI to a server "
                "(https://…) or to a database (sqlite:///mlflow.db), which takes pip install 'manyways[mlflow]'."
            ) from error
        self._opened: str | None = None

    def __call__(self, event: Event) -> None:
        if metrics := event.named_values():
            if self._mlflow.active_run() is None:
                # A later stage of a chain goes on in the run that the first one opened.
                place = {"run_id": self._opened} if self._opened else {"experiment_id": self._experiment}
                self._opened = self._mlflow.start_run(**place).info.run_id
            self._mlflow.log_metrics(metrics, step=event.step)
        if event.kind in ("end", "stop", "diverge"):
            active = self._mlflow.active_run()
            if active is not None and active.info.run_id == self._opened:
                self._mlflow.end_run()

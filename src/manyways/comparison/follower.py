"""Follower: scores a model as it grows, and keeps what was found where a training that is killed finds it again."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manyways.checked_json import read
from manyways.comparison.exhibits import Exhibit
from manyways.damaged import damaged
from manyways.data.data import Data
from manyways.errors import DataError
from manyways.permissions import private_folder, tighten
from manyways.training.budget import Budget
from manyways.training.events import Event
from manyways.whole import write_whole

if TYPE_CHECKING:
    from manyways.comparison.tasks import Task
    from manyways.models.model import Model

LEAST_SECONDS = 1.0
"""Steps that took less together say nothing of how busy a machine is."""
ROWS = 2000
"""Learning curves are scored on at most so many test rows; the final score is on all."""
ANEW = "Train anew: --fresh, or compare(…, fresh=True)."
Point = tuple[int, float, float]


class Follower:
    """A listener that scores the model over all stages of a chain, and passes on how far it is.

    What it finds goes into the file `notes`, and is found there when the same training goes on after a kill.
    """

    def __init__(self, task: "Task", data: Data, metric: str, notes: Path, report: Callable[[float], None]) -> None:
        self._task, self._metric, self._notes, self._report = task, metric, notes, report
        self._data = data
        self._watch = task.watch(data)
        self._points: dict[str, Point | None] = {}
        self._ended: dict[str, tuple[int, float]] = {}
        self.seconds = 0.0
        """Seconds that it took for itself, which are none of the training's."""
        if notes.exists():
            with damaged(
                f"{notes} cannot be gone on from", DataError, "Train anew: --fresh, or compare(…, fresh=True)."
            ):
                self._read(read(notes, str(notes), DataError).members)

    def __call__(self, event: Event) -> None:
        """Take in `event`."""
        began = time.monotonic()
        self._take(event)
        self.seconds += time.monotonic() - began

    def _take(self, event: Event) -> None:
        where = f"{event.stage}:{event.step}"
        if event.kind == "evaluate" and event.model is not None and where not in self._points:
            self._points[where] = self._score(event, event.model())
            self._write()
        elif event.kind == "milestone" and self._watch is not None:
            self._watch(event)
            self._write()
        elif event.kind in ("end", "stop"):
            self._ended[event.stage] = (event.step, event.seconds)
            self._write()
        self._report(event.step / max(1, event.steps))

    @property
    def curve(self) -> list[Point]:
        """Steps and seconds of all stages so far, and the score."""
        return sorted(point for point in self._points.values() if point is not None)

    def finish(self, model: "Model") -> dict[str, float]:
        """The scores that follow from what was noted on the way to `model`."""
        if self._watch is None:
            return {}
        self._watch.finish(model)
        return self._watch.scores()

    def slowdown(self, model: "Model", budget: Budget) -> float:
        """The seconds of a step to `model` over those of the steps by which its budget in seconds became steps.

        1 where it was no such budget, or took no steps to speak of.
        """
        steps, seconds = sum(each for each, _ in self._ended.values()), sum(each for _, each in self._ended.values())
        planned = sum(own for own, _ in model.lineage.plan.values())
        if budget.unit != "seconds" or not planned or not steps or seconds < LEAST_SECONDS:
            return 1.0
        return float(max(1.0, seconds / steps * planned / budget.amount))

    def exhibits(self) -> tuple[Exhibit, ...]:
        """Notes taken on the way, to be looked at."""
        return self._watch.exhibits() if self._watch else ()

    def _score(self, event: Event, model: "Model") -> Point | None:
        # A stage of a chain may make a model of another kind, which the comparison does not score.
        if not model.gives & (self._task.gives | self._task.scored):
            return None
        scores = self._task.score(model, self._data, None if self._task.by_all else ROWS)
        if self._metric not in scores:
            return None
        before = [spent for stage, spent in self._ended.items() if stage != event.stage]
        steps, seconds = sum(each[0] for each in before), sum(each[1] for each in before)
        return steps + event.step, seconds + event.seconds, scores[self._metric]

    def _write(self) -> None:
        noted = {"points": self._points, "ended": self._ended, "watch": self._watch.to_json() if self._watch else None}
        private_folder(self._notes.parent)
        tighten(write_whole(self._notes, json.dumps(noted)))

    def _read(self, noted: Mapping[str, Any]) -> None:
        self._points = {where: point and _point(*point) for where, point in noted["points"].items()}
        self._ended = {stage: (int(spent[0]), float(spent[1])) for stage, spent in noted["ended"].items()}
        if self._watch is not None and noted["watch"] is not None:
            self._watch.restore(noted["watch"])


def _point(step: int, seconds: float, score: float) -> Point:
    return int(step), float(seconds), float(score)

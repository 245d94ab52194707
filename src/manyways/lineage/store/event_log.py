"""Log of a training for the store: its events, thinned so that any run takes little room."""

from typing import TYPE_CHECKING, Any

from manyways.training.events import Event

if TYPE_CHECKING:
    from manyways.training.run import Run

MOST = 200
"""Events that are kept of a run."""


class EventLog:
    """A listener that keeps up to 200 events, evenly spread over the run."""

    def __init__(self) -> None:
        self._kept: list[dict[str, Any]] = []
        self._stride, self._heard = 1, 0

    def __call__(self, event: Event) -> None:
        """Note `event`; where there are too many every other one goes."""
        if event.kind in ("evaluate", "checkpoint"):
            return
        if self._heard % self._stride == 0 or event.kind != "step":
            self._kept.append(event.to_json())
        self._heard += event.kind == "step"
        if len(self._kept) > MOST:
            steps = [each for each in self._kept if each["kind"] == "step"]
            gone = {id(each) for each in steps[1::2]}
            self._kept = [each for each in self._kept if id(each) not in gone]
            self._stride *= 2

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events as JSON values."""
        return list(self._kept)


def events_of(run: "Run | None") -> list[dict[str, Any]]:
    """The events of the innermost log among the listeners of `run`."""
    logs = [each for each in (run.listeners if run is not None else ()) if isinstance(each, EventLog)]
    return logs[-1].events if logs else []

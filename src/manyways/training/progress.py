"""Progress of training, as a bar on a terminal, or as a line now and then elsewhere."""

import re
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from manyways.terminal import Terminal
from manyways.training.events import Event

REFRESH_SECONDS = 0.2
LINE_SECONDS = 15.0
MOST_VALUES = 3
BAR_WIDTH = 20


class ProgressBar:
    """A listener that shows the stage, a bar, steps per second, the newest values and the time that remains.

        with ProgressBar() as bar:
            method.fit(data, run=Run(listeners=[bar]))

    Written to stderr unless another console is given. Where that is no terminal, a line is printed when a
    stage ends and every `line_seconds` between.
    """

    def __init__(self, console: Console | None = None, line_seconds: float = LINE_SECONDS) -> None:
        self._console = console or Terminal(stderr=True)
        self._live = self._console.is_terminal
        self._line_seconds = line_seconds
        # Refreshed by hand: a thread that redraws would take the interpreter from the training thread.
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=BAR_WIDTH),
            TextColumn("{task.fields[facts]}", markup=False),
            console=self._console,
            auto_refresh=False,
            disable=not self._live,
        )
        self._task: TaskID | None = None
        self._stage: str | None = None
        self._values: Mapping[str, float] = {}
        self._first = (0, 0.0)
        self._last_drawn = time.monotonic()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Take in `event` and show it if it is time to."""
        if event.kind == "notice":
            self._console.print(f"{title(event.stage)}: {event.note}", markup=False, highlight=False, soft_wrap=True)
            return
        if event.kind in ("start", "resume") or event.stage != self._stage:
            self._begin(event)
        if event.values:
            self._values = event.values
        over = event.kind in ("end", "stop")
        if event.kind == "diverge":
            self._console.print(event.note, markup=False, highlight=False, soft_wrap=True)
        elif self._live:
            self._draw(event, over)
        elif over or event.kind == "resume" or self._is_due(event):
            self._last_drawn = time.monotonic()
            self._console.print(self._line(event), markup=False, highlight=False, soft_wrap=True)

    def _is_due(self, event: Event) -> bool:
        # The last step is followed by the end, which says the same.
        return event.step < event.steps and time.monotonic() - self._last_drawn >= self._line_seconds

    def _begin(self, event: Event) -> None:
        self._stage, self._values, self._first = event.stage, {}, (event.step, event.seconds)
        self._last_drawn = time.monotonic()
        if self._live:
            self._task = self._bars.add_task(title(event.stage), total=event.steps, facts="")

    def _draw(self, event: Event, over: bool) -> None:
        if self._task is None:
            return
        # An early end is still an end: the bar is full, and the facts say at which step.
        done = event.steps if over else event.step
        self._bars.update(self._task, completed=done, facts=self._facts(event, over))
        if over or time.monotonic() - self._last_drawn >= REFRESH_SECONDS:
            self._last_drawn = time.monotonic()
            self._bars.refresh()

    def _line(self, event: Event) -> str:
        return f"{title(event.stage)}: {self._facts(event, event.kind in ('end', 'stop'))}"

    def _facts(self, event: Event, over: bool) -> str:
        step, seconds = event.step - self._first[0], event.seconds - self._first[1]
        rate = step / seconds if seconds > 0 else 0.0
        facts = [f"step {event.step:,} of {event.steps:,}"]
        if event.kind == "stop":
            facts[0] += " (ended early)"
        if rate:
            facts.append(f"{rate:,.0f} steps/s" if rate >= 10 else f"{rate:.2g} steps/s")
        if over:
            facts.append(duration(event.seconds))
        elif event.kind == "resume":
            facts.append("resumed")
        elif rate:
            facts.append(f"{duration((event.steps - event.step) / rate)} left")
        for name, value in list(self._values.items())[:MOST_VALUES]:
            facts.append(f"{name} {value:.3g}")
            if self._live and len("  ".join(facts)) > self._room(event.stage):
                return "  ".join(facts[:-1])
        return "  ".join(facts)

    def _room(self, stage: str) -> int:
        """The number of characters left beside the title and the bar."""
        return self._console.width - len(title(stage)) - BAR_WIDTH - 2


def title(stage: str) -> str:
    """The stage of an event as people read it: `2-fixmatch/round-1` is `fixmatch, round 1`."""
    if not stage:
        return "training"
    parts = [re.sub(r"^\d+-", "", part) for part in stage.split("/")]
    return ", ".join(re.sub(r"-(\d+)$", r" \1", part) for part in parts)


def duration(seconds: float) -> str:
    """`4.2 s`, `37 s`, `12 min`, `3 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"

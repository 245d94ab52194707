"""Progress of a comparison: an overall bar and a line for each running training, or plain lines."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from manyways.terminal import Terminal
from manyways.training.progress import duration

if TYPE_CHECKING:
    from manyways.comparison.progress import CompareProgress


class CompareView:
    """A listener of `compare`. On stderr; where that is no terminal, a line for each training that ends."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Terminal(stderr=True)
        self._live = self._console.is_terminal
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[facts]}", markup=False),
            console=self._console,
            auto_refresh=False,
            disable=not self._live,
            transient=True,
        )
        self._all: TaskID | None = None
        self._running: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, progress: "CompareProgress") -> None:
        """Show `progress`."""
        seconds = progress.remaining_seconds
        left = f"about {duration(seconds)} left" if seconds and progress.done < progress.total else ""
        if progress.finished:
            count = f"[{progress.done}/{progress.total}]"
            more = f"  ({left})" if left and not self._live else ""
            self._console.print(f"{count} {progress.finished}{more}", markup=False, highlight=False, soft_wrap=True)
        if self._live:
            self._draw(progress, left)

    def _draw(self, progress: "CompareProgress", left: str) -> None:
        if self._all is None:
            self._all = self._bars.add_task("all trainings", facts="")
        facts = "  ".join(filter(None, [f"{progress.done} of {progress.total}", left]))
        # Shares of running trainings count, so that the bar moves before the first of them ends.
        done = progress.done + sum(share for _, share in progress.running)
        self._bars.update(self._all, total=progress.total, completed=done, facts=facts)
        running = dict(progress.running)
        for name in set(self._running) - set(running):
            self._bars.remove_task(self._running.pop(name))
        for name, share in running.items():
            if name not in self._running:
                self._running[name] = self._bars.add_task(f"  {name}", total=1.0, facts="")
            self._bars.update(self._running[name], completed=share, facts=f"{share:.0%}")
        self._bars.refresh()

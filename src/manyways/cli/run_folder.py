"""The folder of the checkpoints of a `manyways fit` until it is done."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from manyways.cli.output import DESCRIPTION
from manyways.errors import ModelError
from manyways.permissions import private_folder
from manyways.training.events import Event
from manyways.training.progress import title
from manyways.whole import discard


@dataclass
class RunFolder:
    """A folder in OUT.run that is there while a run is not done; a listener that notes what is kept in it.

    Named by a hash of method, data, start, budget and seed: only the same run goes on from it.
    """

    path: Path
    saved: Event | None = None
    awaited: bool = False

    @staticmethod
    def beside(out: Path, identity: str) -> "RunFolder":
        """The folder of the run `identity` that saves its model to `out`."""
        return RunFolder(out.with_name(f"{out.name}.run") / identity[:16])

    def __enter__(self) -> Self:
        try:
            private_folder(private_folder(self.path.parent) / self.path.name)
        except OSError as error:
            raise ModelError(f"{self.path} cannot be made: {error.strerror}. Give another --out.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave what can be gone on from, and nothing else."""
        if self.saved is None and not self.awaited and not self.stages():
            self.done()

    def keep(self) -> None:
        """Leave the folder as it is, as the run goes on when answers are there."""
        self.awaited = True

    def __call__(self, event: Event) -> None:
        """Note a checkpoint."""
        if event.kind in ("checkpoint", "resume"):
            self.saved = event
        elif event.kind in ("start", "end", "stop"):
            self.saved = None

    def stages(self) -> list[str]:
        """The stages whose models are finished."""
        found = sorted(self.path.rglob(f"model/{DESCRIPTION}"))
        return [str(path.parents[1].relative_to(self.path)) for path in found]

    def done(self) -> None:
        """Remove the checkpoints: nothing goes on from them."""
        discard(self.path)
        with contextlib.suppress(OSError):  # another run lies beside, or the folder is gone
            self.path.parent.rmdir()

    def kept(self) -> str:
        """Files that an interrupted run leaves behind."""
        parts = [f"{title(stage)} is done" for stage in self.stages()]
        if self.saved is not None:
            parts.append(f"{title(self.saved.stage)} is kept at step {self.saved.step:,} of {self.saved.steps:,}")
        if not parts:
            return "no checkpoint was due yet; the same command begins anew."
        return f"{', '.join(parts)}, in {self.path.parent}. Type the same command again to go on."

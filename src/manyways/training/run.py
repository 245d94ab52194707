"""A run: where its checkpoints lie, who follows it, and what of it is done already."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from manyways.errors import ModelError, TrainingError
from manyways.training.events import Event, Listener

if TYPE_CHECKING:
    from manyways.models.model import Model


@dataclass(frozen=True)
class Run:
    """How one `fit` is carried out; nothing in it changes what is learned.

    folder: where checkpoints go; with one, a `fit` that was killed and is called again with the same
        arguments goes on where it stopped and ends with bitwise the same weights.
    listeners: called with every event.
    checkpoint_seconds: time between checkpoints, in seconds.
    evaluations: how many times, evenly spread, listeners are offered the model for evaluation.
    device: "auto" takes a GPU where there is one.
    """

    folder: Path | None = None
    listeners: Sequence[Listener] = ()
    checkpoint_seconds: float = 30.0
    evaluations: int = 0
    device: str = "auto"
    stage: str = ""

    def tell(self, event: Event) -> None:
        """Pass `event` on to every listener."""
        for listener in self.listeners:
            listener(event)

    def claim(self, identity: str) -> None:
        """Mark the folder as that of the run `identity`.

        Raises ModelError where it is another run's, and TrainingError where it cannot be written.
        """
        if self.folder is None:
            return
        path = self.folder / "identity"
        try:
            if not path.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                part = path.with_name(".identity.part")
                part.write_text(identity, encoding="utf-8")
                part.replace(path)
            owner = path.read_text(encoding="utf-8")
        except OSError as error:
            raise TrainingError(f"{path} cannot be written: {error.strerror}. Give another folder.") from error
        if owner != identity:
            raise ModelError(
                f"{self.folder} is the folder of another run: the method, the data, the seed, the budget or the model "
                "to start from differ. Give another folder, or delete this one to begin again."
            )

    def child(self, name: str) -> "Run":
        """The run of a part of this one, with a folder of its own."""
        return replace(
            self,
            folder=self.folder / name if self.folder else None,
            stage=f"{self.stage}/{name}" if self.stage else name,
        )

    def once(self, name: str, learn: "Callable[[Run], Model]") -> "Model":
        """The model of the part `name`: learned now, or as it was saved when an earlier call finished it."""
        from manyways.models.saving import load_model, save_model

        child = self.child(name)
        if child.folder is None:
            return learn(child)
        done = child.folder / "model"
        if done.exists():
            return load_model(done)
        model = learn(child)
        save_model(model, done)
        return model

    def pick_device(self) -> str:
        """The device to train on."""
        if self.device != "auto":
            return self.device
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

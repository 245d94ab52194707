"""A run: where its checkpoints lie, who follows it, and what of it is done already."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from manyways.checked_json import read
from manyways.errors import DataError, ModelError, TrainingError
from manyways.permissions import OTHERS, private_folder, tighten
from manyways.training.budget import Planned
from manyways.training.events import Event, Listener
from manyways.whole import whole

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.label_notes import LabelNotes
    from manyways.models.model import Model

T = TypeVar("T")

IDENTITY, CHECKPOINT, LABELS, ROWS = "identity", "checkpoint.safetensors", "labels.json", "rows.json"
"""Files in a run's folder; the last is the ending of several."""
OWN = (IDENTITY, CHECKPOINT, LABELS)
MOST_NOTES = 1 << 30
"""Bytes of the notes on labels: there may be one for each row."""


class ModelStore(Protocol):
    """Keeps models with their lineage: `manyways.Store`."""

    def following(self, run: "Run", /) -> "Run":
        """Return `run`, which also notes for the store how it went.

        Raises:
            StoreError: Nothing can be kept.
        """

    def keep(self, model: "Model", data: "Data", /, *, start: "Model | None", method: Any, run: "Run") -> str:
        """Keep the model that a `fit` of `method` made, and return its id.

        Raises:
            StoreError: It cannot be kept.
        """


@dataclass(frozen=True)
class Run:
    """The way in which one `fit` is carried out; nothing in it changes what is learned.

    Args:
        folder: Folder of the checkpoints; with one, a `fit` that was killed and is called again with the same arguments
            goes on where it stopped and ends with bitwise the same weights.
        listeners: Functions that are called with every event.
        checkpoint_seconds: Time between checkpoints, in seconds.
        evaluations: Number of times, evenly spread, that listeners are offered the model for evaluation.
        device: Device to train on; "auto" takes a GPU where there is one.
        stage: Name of the stage in events; empty for the whole.
        store: Store that keeps the model with its lineage when it is done, and each stage of a chain, too.
        plans: Steps by the name of a part ("" for a method without parts), whatever the budget says.
        done: Models of parts that are known already, by name.
        parts: Models of the parts by name, as `once` gave them; every fit begins with none.
        within: Name of the part of the fit that this is the run of; empty for the whole.
        left: What the latest fit of this run learned about labels.
        rows: Rows that parts have chosen, by the part's name, as `once_rows` gave them.
    """

    folder: Path | None = None
    listeners: Sequence[Listener] = ()
    checkpoint_seconds: float = 30.0
    evaluations: int = 0
    device: str = "auto"
    stage: str = ""
    store: ModelStore | None = None
    plans: Mapping[str, Planned] = field(default_factory=dict)
    done: "Mapping[str, Model]" = field(default_factory=dict)
    parts: "dict[str, Model]" = field(default_factory=dict, repr=False)
    within: str = ""
    left: "list[LabelNotes]" = field(default_factory=list, repr=False)
    rows: dict[str, list[int]] = field(default_factory=dict, repr=False)

    def tell(self, event: Event) -> None:
        """Pass `event` on to every listener."""
        for listener in self.listeners:
            listener(event)

    def notice(self, note: str) -> None:
        """Tell every listener what whoever follows the run should know."""
        self.tell(Event("notice", self.stage, 0, 0, 0.0, note=note))

    def claim(self, identity: str) -> None:
        """Mark the folder as that of the run `identity`.

        Raises:
            ModelError: It is another run's.
            TrainingError: It cannot be written.
        """
        if self.folder is None:
            return
        path = self.folder / IDENTITY
        try:
            if not path.exists():
                if not self.folder.is_dir() or not any(self.folder.iterdir()):  # else others may have use for it
                    private_folder(self.folder)
                with whole(path, TrainingError, f"{path} cannot be written", "Give another folder.") as part:
                    part.write_text(identity, encoding="utf-8")
                    tighten(part)
            elif self.folder.stat().st_mode & OTHERS:
                private_folder(self.folder)
                for own in self.folder.iterdir():
                    if (
                        own.name in (IDENTITY, CHECKPOINT, LABELS)
                        or own.name.endswith(ROWS)
                        or (own / IDENTITY).exists()
                    ):
                        tighten(own)
            owner = path.read_text(encoding="utf-8", errors="replace")  # what is damaged is no run's of ours
        except OSError as error:
            raise TrainingError(f"{path} cannot be written: {error.strerror}. Give another folder.") from error
        if owner != identity:
            raise ModelError(
                f"{self.folder} is the folder of another run: the method, the data, the seed, the budget or the model "
                "to start from differ. Give another folder, or delete this one to begin again."
            )

    def begun(self) -> "Run":
        """This run for one `fit`, which notes its parts here."""
        return replace(self, parts={}, within="", rows={})

    def child(self, name: str, *, stored: bool = False) -> "Run":
        """The run of a part of this one, with a folder of its own; in the store only where it is `stored`."""
        return replace(
            self,
            folder=self.folder / name if self.folder else None,
            stage=_joined(self.stage, name),
            store=self.store if stored else None,
            within=_joined(self.within, name),
            plans=_under(name, self.plans),
            done=_under(name, self.done),
            left=[],
        )

    def once(self, name: str, learn: "Callable[[Run], Model]", *, stored: bool = False) -> "Model":
        """The model of the part `name`: learned now, or as it was saved when an earlier call finished it.

        Args:
            name: Name of the part.
            learn: Function that learns it, given its run.
            stored: True if it is a model in its own right, which the store keeps beside the whole.
        """
        return self._part(name, learn, stored)[0]

    def once_with_labels(
        self, name: str, learn: "Callable[[Run], Model]", data: "Data", *, stored: bool = False, guesses: bool = False
    ) -> "tuple[Model, Data]":
        """The model of the part `name`, as `once` gives it, and `data` with what the part learned of its labels.

        So a label that one part has revealed, or an oracle has given, is there for the next, and not paid for again.

        Args:
            name: Name of the part.
            learn: Function that learns it, given its run.
            data: Data that it learns from, or of which its data were made without another order of the table.
            stored: True if it is a model in its own right, which the store keeps beside the whole.
            guesses: True to take over labels that the part guessed, and hands on, too.
        """
        model, child = self._part(name, learn, stored)
        notes = child.label_notes()
        return model, data if notes is None else notes.on(data, guesses=guesses)

    def once_rows(self, name: str, choose: Callable[[], Sequence[int]]) -> list[int]:
        """The rows that the part `name` chooses: chosen now, or those that an earlier call chose.

        Raises:
            TrainingError: They cannot be written down.
        """
        own = _joined(self.within, name)
        if own not in self.rows:
            path = self.folder / f"{name}.{ROWS}" if self.folder else None
            if path is not None and path.exists():
                self.rows[own] = read(path, str(path), DataError, MOST_NOTES).all("rows", int)
            else:
                self.rows[own] = list(map(int, choose()))
                if path is not None:
                    self._write(path, {"rows": self.rows[own]})
        return self.rows[own]

    def rows_of(self, beginning: str) -> list[list[int]]:
        """The rows that `once_rows` gave of each part whose name begins so."""
        whole = _joined(self.within, beginning)
        return [rows for name, rows in self.rows.items() if name.startswith(whole)]

    def leave(self, notes: "LabelNotes") -> None:
        """Note for whoever goes on from here what this fit learned of labels.

        Raises:
            TrainingError: It cannot be written.
        """
        self.left[:] = [notes]
        if self.folder is not None:
            self._write(self.folder / LABELS, notes.to_json())

    def _write(self, path: Path, values: Mapping[str, Any]) -> None:
        if not path.parent.is_dir():
            private_folder(path.parent)
        with whole(path, TrainingError, f"{path} cannot be written", "Give another folder.") as part:
            part.write_text(json.dumps(values), encoding="utf-8")
            tighten(part)

    def label_notes(self) -> "LabelNotes | None":
        """The notes of the fit that this was the run of, in an earlier process too; None where it left none."""
        from manyways.data.label_notes import LabelNotes

        if self.left:
            return self.left[-1]
        if self.folder is None or not (path := self.folder / LABELS).exists():
            return None
        return LabelNotes.from_json(read(path, str(path), DataError, MOST_NOTES).members, str(path))

    def _part(self, name: str, learn: "Callable[[Run], Model]", stored: bool) -> "tuple[Model, Run]":
        child = self.child(name, stored=stored)
        model = self.done.get(name) or self._learned(child, learn)
        self.parts[_joined(self.within, name)] = model
        return model, child

    def _learned(self, child: "Run", learn: "Callable[[Run], Model]") -> "Model":
        from manyways.models.saving import load_model, save_model

        if child.folder is None:
            return learn(child)
        done = child.folder / "model"
        if done.exists():
            return load_model(done)
        model = learn(child)
        tighten(save_model(model, done))
        return model

    @property
    def planned(self) -> Planned | None:
        """The steps to take, where they are known already."""
        return self.plans.get("")

    def all_plans(self, own: Planned | None) -> dict[str, list[int]]:
        """The steps as a lineage keeps them: those of a method itself, `own`, and of its parts by name."""
        plans = {"": [own.steps, own.last]} if own else {}
        for name, model in self.parts.items():
            plans |= {_joined(name, part): list(steps) for part, steps in model.lineage.plan.items()}
        return plans

    def pick_device(self) -> str:
        """The device to train on."""
        if self.device != "auto":
            return self.device
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"


def _joined(whole: str, part: str) -> str:
    """The name of the part `part` of the part `whole`; an empty one is the whole itself."""
    return f"{whole}/{part}" if whole and part else whole or part


def _under(name: str, given: Mapping[str, T]) -> dict[str, T]:
    """The members of `given` for the part `name` and for its own parts."""
    return {key[len(name) + 1 :]: value for key, value in given.items() if key == name or key.startswith(f"{name}/")}

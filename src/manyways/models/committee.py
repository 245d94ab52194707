"""Committee: several models that vote, each of which may have learned from rows of its own."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import nn

from manyways.checked_json import DAMAGED, described
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.targets import NumberTarget, Target
from manyways.errors import DataWarning, ModelError
from manyways.models.evaluation import Evaluation, of_all_rows
from manyways.models.lineage import NO_LINEAGE, Lineage
from manyways.models.model import Model
from manyways.models.reading import inputs_of, labelled, warn_of_unseen

if TYPE_CHECKING:
    from manyways.data.read import Source

Vote = Literal["mean", "majority"]
LEAST = 1e-9
"""Added to every class's share of the votes where its logarithm is taken."""


@dataclass(frozen=True, eq=False)
class Seat:
    """A member of a committee: its number, and its models after each piece of its rows, the last of which votes.

    A piece that was too small to learn from has no model. Without any model the seat is empty.
    """

    number: int
    models: tuple[Model | None, ...]

    @property
    def voter(self) -> Model | None:
        """The model that votes."""
        return self.models[-1]


@dataclass(frozen=True, eq=False, kw_only=True)
class Committee(Model):
    """Models that vote on classes or numbers; their lineages say which rows reached which of them.

    Attributes:
        vote: The mean of their probabilities, or the share of them that is for a class.
        start: The model that all of them started from, where there is one.
    """

    kind: ClassVar[str] = "committee"
    network: nn.Module = field(repr=False)
    target: Target
    seats: tuple[Seat, ...] = field(repr=False)
    vote: Vote = "mean"
    start: Model | None = field(default=None, repr=False)

    @classmethod
    def of(cls, seats: Sequence[Seat], vote: Vote, start: Model | None) -> "Committee":
        """A committee with these seats, one of which at least is taken."""
        voters = _voters(seats)
        target = voters[0].target
        assert target is not None
        network = nn.ModuleList([voter.network for voter in voters])
        own = target if target.classification else NumberTarget(target.name)  # each member has its own unit
        return cls(network=network, target=own, seats=tuple(seats), vote=vote, start=start)

    @property
    def members(self) -> list[Model]:
        """The models that vote."""
        return _voters(self.seats)

    def encoding(self) -> InputEncoding:
        """Encoding of the inputs of the first member: all read the same columns."""
        return self.members[0].encoding()

    def has(self, number: int, piece: int) -> bool:
        """True if the seat `number` has a model after its piece, the first of which is 1."""
        return any(seat.number == number and seat.models[piece - 1] is not None for seat in self.seats)

    @property
    def metric(self) -> str | None:
        return self.target.metrics[0]

    def able(self, words: frozenset[str]) -> frozenset[str]:
        return words & {self.target.gives}

    def predict(self, source: "Source") -> NDArray[Any]:
        data = self._known_rows(source)
        if self.target.classification:
            return self.target.decode(self._shares(data).argmax(1))
        with _silent():
            return np.asarray(np.mean([member.predict(data) for member in self.members], axis=0))

    def probabilities(self, source: "Source") -> NDArray[np.float32]:
        if not self.target.classification:
            raise ModelError(
                f"The model predicts the number {self.target.name!r}, which has no probabilities; use predict."
            )
        return self._shares(self._known_rows(source))

    def _shares(self, data: Data) -> NDArray[np.float32]:
        total = np.zeros((len(data), self.target.width))
        with _silent():
            for member in self.members:
                said = member.probabilities(data)
                total += said if self.vote == "mean" else np.eye(self.target.width)[said.argmax(1)]
        return np.asarray(total / len(self.members), np.float32)

    def _known_rows(self, source: "Source") -> Data:
        """The rows of `source`, with a warning where they hold categories that no member ever saw."""
        data = inputs_of(source, self.encoding())
        warn_of_unseen(data, *(member.encoding() for member in self.members))
        return data

    def outputs(self, source: "Source") -> NDArray[np.float32]:
        """The logarithm of the members' share for each class, or the mean of their numbers in the label's own unit."""
        if self.target.classification:
            return np.asarray(np.log(self.probabilities(source) + np.float32(LEAST)))
        return np.asarray(self.predict(source)[:, None], np.float32)

    def evaluate(self, source: "Source") -> dict[str, float]:
        return dict(self.evaluate_rows(source, "").scores)

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        data = labelled(source, self.encoding(), [self.target])
        known = data.select(data.known)
        outputs, truth = self.outputs(known), self.target.encode(known, hidden=True)
        scores = self.target.scores(outputs, truth)
        return Evaluation(scores, of_all_rows(self.target.pseudo_values(metric, outputs, truth), data.known))

    def write(self, folder: Path) -> dict[str, Any]:
        stages = self.lineage.stages()

        def part(model: Model | None, name: str) -> dict[str, Any] | None:
            if model is None:
                return None
            place = folder / name
            place.mkdir(parents=True)
            stage = next((at for at, each in enumerate(stages) if each is model.lineage), None)
            gives = sorted(model.gives)
            return {"folder": name, "kind": model.kind, "gives": gives, "stage": stage, "own": model.write(place)}

        seats = [
            {
                "number": seat.number,
                "models": [part(model, f"seat-{seat.number}/{at}") for at, model in enumerate(seat.models)],
            }
            for seat in self.seats
        ]
        return {"vote": self.vote, "target": self.target.to_json(), "seats": seats, "start": part(self.start, "start")}

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "Committee":
        stages = lineage.stages()

        def part(stored: Mapping[str, Any] | None) -> Model | None:
            if stored is None:
                return None
            from manyways.models.saving import read_kind

            own = NO_LINEAGE if stored["stage"] is None else stages[stored["stage"]]
            inner = str(stored["folder"])
            if Path(inner).is_absolute() or ".." in Path(inner).parts:
                raise ModelError(f"{folder} names the folder {inner!r} of one of its models, which lies outside of it.")
            return read_kind(str(stored["kind"]), folder / inner, stored["own"], frozenset(stored["gives"]), own)

        description = described(saved, "the committee", ModelError)
        seats = tuple(
            Seat(seat.get("number", int), tuple(map(part, seat.get("models", list))))
            for seat in description.objects("seats")
        )
        vote = description.get("vote", str)
        if any(not seat.models for seat in seats) or not _voters(seats) or vote not in get_args(Vote):
            raise ModelError(f"The committee in {folder} has no seats that vote in a way that there is; {DAMAGED}.")
        return cls(
            network=nn.ModuleList([voter.network for voter in _voters(seats)]).eval(),
            target=Target.from_json(saved["target"]),
            seats=seats,
            vote=saved["vote"],
            start=part(saved["start"]),
            gives=gives,
            lineage=lineage,
        )


def _voters(seats: Sequence[Seat]) -> list[Model]:
    return [seat.voter for seat in seats if seat.voter is not None]


@contextmanager
def _silent() -> Iterator[None]:
    """No warning of what one member alone never saw."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        yield

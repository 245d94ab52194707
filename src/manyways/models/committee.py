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
from manyways.data.targets import NumberTarget, Prediction, StructuredTarget, Target
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
        # Each member has its own unit of a number.
        own = target if target.probabilistic or target.structured else NumberTarget(target.name)
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
        return self.target.metric

    def able(self, words: frozenset[str]) -> frozenset[str]:
        return words & {self.target.gives}

    def predict(self, source: "Source") -> NDArray[Any]:
        data = self._known_rows(source)
        if isinstance(self.target, StructuredTarget):
            codes = [each.code for each in self.predictions(data)]
            return self.target.decode_rows(codes, data)
        if self.target.probabilistic:
            return self.target.decode(self.target.most_probable(self._shares(data)))
        with _silent():
            return np.asarray(np.mean([member.predict(data) for member in self.members], axis=0))

    def predictions(self, source: "Source") -> list[Prediction]:
        """The encoded prediction for each row, and how sure the committee is of it, of a label with a structure."""
        target, data = self.target, self._known_rows(source)
        if not isinstance(target, StructuredTarget):
            raise ModelError(f"The model predicts the {target.kind} {target.name!r}; use predict.")
        with _silent():
            of_members = [self._in_own_codes(target, member, data) for member in self.members]
        return [target.vote(votes) for votes in zip(*of_members, strict=True)]

    def confidences(self, source: "Source") -> NDArray[np.float64]:
        """The confidence of the prediction for each row, in (0, 1), float64 [rows]."""
        return np.array([each.confidence for each in self.predictions(source)])

    def _in_own_codes(self, target: StructuredTarget, member: Model, data: Data) -> list[Prediction]:
        """The predictions of `member`, encoded as the committee does: each may have learned other codes."""
        predicted: list[Prediction] = member.predictions(data)
        if member.target == target:
            return predicted
        if not isinstance(member.target, StructuredTarget):
            raise ModelError(f"A member of the committee does not predict {target.name!r}; it is damaged.")
        own = target.recoded([each.code for each in predicted], member.target, data)
        return [Prediction(code, each.confidence) for code, each in zip(own, predicted, strict=True)]

    def probabilities(self, source: "Source") -> NDArray[np.float32]:
        self.target.require_probabilities()
        return self._shares(self._known_rows(source))

    def _shares(self, data: Data) -> NDArray[np.float32]:
        total = np.zeros((len(data), self.target.width))
        with _silent():
            for member in self.members:
                said = member.probabilities(data)
                total += said if self.vote == "mean" else self._votes(said)
        return np.asarray(total / len(self.members), np.float32)

    def _votes(self, probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        """One vote for each answer that is the most probable, [rows, width]."""
        if self.target.classification:
            return np.asarray(np.eye(self.target.width)[probabilities.argmax(1)])
        return np.asarray(probabilities > 0.5, np.float64)

    def _known_rows(self, source: "Source") -> Data:
        """The rows of `source`, with a warning where they hold categories that no member ever saw."""
        data = inputs_of(source, self.encoding())
        warn_of_unseen(data, *(member.encoding() for member in self.members))
        return data

    def outputs(self, source: "Source") -> NDArray[np.float32]:
        """The logarithm of the members' share for each class, or the mean of their numbers in the label's own unit.

        Of a set of classes the log odds of each.
        """
        if self.target.probabilistic:
            shares = self.probabilities(source)
            odds = shares if self.target.classification else shares / (1 - shares + np.float32(LEAST))
            return np.asarray(np.log(odds + np.float32(LEAST)))
        return np.asarray(self.predict(source)[:, None], np.float32)

    def evaluate(self, source: "Source") -> dict[str, float]:
        return dict(self.evaluate_rows(source, "").scores)

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        data = labelled(source, self.encoding(), [self.target])
        known = data.select(data.known)
        if isinstance(self.target, StructuredTarget):
            predicted, codes = [each.code for each in self.predictions(known)], self.target.encode(known, hidden=True)
            scores, by_row = self.target.scores_of_rows(predicted, codes, known, metric)
            return Evaluation(scores, of_all_rows(by_row, data.known))
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

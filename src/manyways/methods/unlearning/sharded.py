"""Sharded training: a committee of which a row has reached one member only."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import places_of
from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.data.targets import predictions
from manyways.errors import NeedsError
from manyways.methods.fields import Count
from manyways.methods.forgetting import forgetting, remade
from manyways.methods.method import Learned, Method
from manyways.methods.needs import AnyLabel, Input
from manyways.methods.starts import last, learns_from_labels, stages
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.unlearning._shards import Division, claimed
from manyways.models.committee import Committee, Seat, Vote
from manyways.models.lineage import Lineage
from manyways.models.model import Model, of_kind
from manyways.training.budget import Budget, Planned
from manyways.training.run import Run


@dataclass(frozen=True, kw_only=True)
class Sharded(Method):
    """Train one model on each of several shards of the rows, and let them vote: forgetting a row trains one shard anew.

    Which shard and slice a row is in follows from its id and the seed alone. A shard is trained slice after slice, each
    time on all rows so far and on from the model before, which is kept: a row that is forgotten takes its shard back to
    before its slice only. What is left is bitwise what training without the row gives, on the same machine, versions
    and number of threads. The budget is divided among the shards.

    Several processes may be given the same folder for the run: each takes a shard that no other is at.
    """

    method: Method = field(default_factory=Supervised)
    """Method that trains each shard; any that learns from labels to predict them."""
    shards: Count = 20
    """Models in all; the more, the cheaper forgetting is, and the fewer rows each model sees."""
    slices: Count = 1
    """Pieces of a shard, trained one after the other; above 1 the method must be able to go on from its own model."""
    vote: Vote = "mean"
    """Vote of the models: their probabilities are averaged, or each has one vote. Of labels with a structure (tags,
    boxes, …) see `StructuredTarget.vote`."""

    needs: ClassVar = (Input, AnyLabel)
    gives: ClassVar = predictions()
    takes: ClassVar = frozenset({"embed"})
    suggests: ClassVar = ()
    forgets: ClassVar = "bitwise"
    paper: ClassVar = "Bourtoule et al., Machine unlearning, IEEE S&P 2021"

    def __post_init__(self) -> None:
        super().__post_init__()
        learns = learns_from_labels(self.method)
        if not (learns and last(self.method).gives & predictions()):
            raise NeedsError(
                "Sharded.method must be one that learns from labels to predict them, for its models vote on them, such "
                f"as supervised, ridge or 'simclr >> fine-tune'; got {self.method}."
            )
        if self.slices > 1 and not stages(self.method)[0].takes & last(self.method).gives:
            raise NeedsError(
                f"Sharded.slices must be 1 for {self.method}, which cannot go on from its own model; got {self.slices}."
            )

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(shards=3, slices=2)

    def roles_used(self) -> tuple[str, ...]:
        return last(self.method).roles_used()

    def fewest_steps(self) -> int:
        return self.shards * self.slices * self.method.fewest_steps()

    def needs_start(self) -> bool:
        return self.method.needs_start()

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if model is not None and not stages(self.method)[0].takes:
            return (
                f"{self.method} starts from nothing, so what {model.lineage.title} learned would be lost. Leave it out."
            )
        return super().lacks(data, model) or self.method.lacks(data, model)

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        division = Division(data, self.shards, self.slices, seed)
        return self._learned(division, model, budget, run, former={})

    def forget(
        self, model: Model, data: Data, rows: NDArray[np.bool_], *, budget: Budget | str | int | None = None,
        seed: int | None = None, run: Run | None = None,
    ) -> Model:  # fmt: skip
        start = model.start.lineage if isinstance(model, Committee) and model.start else None
        own, before = _own_rows(model.lineage, start), [start] if start else []
        shaping = _shaping(data, own)
        task = forgetting(self, model, data, rows, shaping, own=own, before=before, budget=budget, seed=seed)
        committee = of_kind(Committee, model)
        self.check(task.rest, committee.start)
        # A budget in seconds would buy other steps now.
        run = replace(
            (run or Run()).begun(), plans={part: Planned(*steps) for part, steps in committee.lineage.plan.items()}
        )
        run.claim(f"forget {self.identity(task.rest, committee.start, task.budget, task.seed)}")
        division = Division(task.rest, self.shards, self.slices, task.seed)
        held = {seat.number: seat.models for seat in committee.seats}
        learned = self._learned(division, committee.start, task.budget, run, held)
        successor = of_kind(Committee, remade(self, learned, task, model, run))
        plan = {
            part: steps
            for part, steps in successor.lineage.plan.items()
            if successor.has(*map(_number, part.split("/")[:2]))
        }
        return replace(successor, lineage=replace(successor.lineage, plan=plan))

    def _learned(
        self, division: Division, start: Model | None, budget: Budget, run: Run,
        former: dict[int, tuple[Model | None, ...]],
    ) -> Learned:  # fmt: skip
        """The committee of `division`; of the models that are `former` those stay whose rows are the same."""
        seats: dict[int, Seat] = {}
        left = list(range(self.shards))
        for wait in (False, True):  # first those that no other process is at, then what the others have made
            for number in left:
                with claimed(run.child(f"shard-{number}").folder, wait=wait) as mine:
                    if mine:
                        models = self._train(division, number, start, budget, run, former.get(number, ()))
                        seats[number] = Seat(number, models)
            left = [number for number in left if number not in seats]
        table = [seats[number] for number in range(self.shards)]
        voters = [seat.voter for seat in table if seat.voter is not None]
        if not voters:
            raise NeedsError(
                f"None of the {self.shards} shards of {division.data.name} has rows enough for {self.method}. Take "
                "fewer: shards=."
            )
        trained = [model for seat in table for model in seat.models if model is not None]
        steps, seconds = (sum(getattr(model.lineage, name) for model in trained) for name in ("steps", "seconds"))
        return Learned(
            Committee.of(table, self.vote, start),
            np.zeros(len(division.data), bool),  # those of its members, its parents
            tuple(voters),
            int(steps),
            seconds,
            {"shards": self.shards, "members": len(voters)},
        )

    def _train(
        self, division: Division, number: int, start: Model | None, budget: Budget, run: Run,
        former: Sequence[Model | None],
    ) -> tuple[Model | None, ...]:  # fmt: skip
        """The models of a shard after each of its slices."""
        models: list[Model | None] = []
        current, same, seed = start, bool(former), division.seed_of(number)
        for at, rows in enumerate(division.rows(number)):
            before = former[at] if former else None
            method = self.method if current is start else self.method.going_on()
            lacks = method.lacks(rows, current) is not None
            same = same and (lacks if before is None else before.lineage.fingerprint == rows.fingerprint)
            if same:
                current = before or start
            elif not lacks:
                # All slices together cost what training on all rows at once does (section IV-C of the paper).
                share = budget.share(2 * (at + 1) / (self.slices * (self.slices + 1)) / self.shards)

                def learn(part: Run, rows: Data = rows, begun: Model | None = current, share: Budget = share) -> Model:
                    return method.fit(rows, begun, budget=share, seed=seed, run=part)  # noqa: B023  called at once

                current = run.once(f"shard-{number}/slice-{at + 1}", learn)
            else:
                current = start
            models.append(None if current is start else current)
        return tuple(models)


def _number(part: str) -> int:
    """The number in the name of a shard or a slice."""
    return int(part.rpartition("-")[2])


def _own_rows(lineage: Lineage, start: Lineage | None) -> NDArray[np.uint64]:
    """The ids of the rows that the shards were trained on; of equal rows as many as one stage of a training saw."""
    rows = [np.empty((0, 2), np.uint64)]
    for voter in lineage.parents:
        stages_of_shard = [stage for stage in _stages_after(start, voter) if len(stage.rows)]
        if len(stages_of_shard) == 1:
            rows.append(stages_of_shard[0].rows)
            continue
        seen: dict[bytes, int] = {}
        for stage in stages_of_shard:
            ids, counts = np.unique(stage.rows, axis=0, return_counts=True)
            for row, count in zip(ids, counts.tolist(), strict=True):
                seen[row.tobytes()] = max(count, seen.get(row.tobytes(), 0))
        whole = b"".join(row * count for row, count in seen.items())
        rows.append(np.frombuffer(whole, np.uint64).reshape(-1, 2))
    return np.concatenate(rows)


def _stages_after(start: Lineage | None, stage: Lineage) -> list[Lineage]:
    """`stage` and those before it, up to the model that all shards started from."""
    if start is not None and (stage is start or stage.to_json() == start.to_json()):
        return []
    return [stage, *(each for parent in stage.parents for each in _stages_after(start, parent))]


def _shaping(data: Data, own: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """The rows of `data` to learn from: the labelled ones, and the others where the method has learned from any."""
    training = data.part[data.rows] == TRAINING
    others = places_of(data.ids[training & ~data.labelled], own) >= 0
    used: NDArray[np.bool_] = training if others.any() else training & data.labelled
    return used

"""Chain: several methods, one after the other."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from manyways.data.data import Data
from manyways.data.targets import TARGETS, predictions
from manyways.errors import NeedsError, ParameterError
from manyways.methods.method import Learned, Method
from manyways.methods.starts import giver
from manyways.models.abilities import any_of
from manyways.models.model import Model
from manyways.training.budget import Budget
from manyways.training.run import Run


@dataclass(frozen=True, kw_only=True)
class Chain(Method):
    """Methods one after the other: each starts from the model of the one before.

    The budget is divided over the stages by `shares`, evenly by default. A label that one stage asks for is there for
    the next ones, and so are the guesses of a stage that hands them on.
    """

    stages: tuple[Method, ...]
    shares: tuple[float, ...] | None = None

    gives: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        if len(self.stages) < 2:
            raise ParameterError(f"Chain.stages must hold two methods or more; got {len(self.stages)}.")
        if self.shares is not None and (len(self.shares) != len(self.stages) or min(self.shares) <= 0):
            raise ParameterError(f"Chain.shares must be one number above 0 per stage; got {self.shares}.")
        for before, after in zip(self.stages, self.stages[1:], strict=False):
            _check_link(before, after)

    def yardstick(self) -> "Chain | None":
        lines = [stage.yardstick() for stage in self.stages]
        if not any(lines):
            return None
        return replace(self, stages=tuple(line or stage for line, stage in zip(lines, self.stages, strict=True)))

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        shares = budget.divided(
            self.shares or (1.0,) * len(self.stages), [stage.fewest_steps() for stage in self.stages]
        )
        trained: list[Model] = []
        current, known = model, data
        # Where one stage decides which labels the next learns from, they can only be learned again together.
        stored = not any(stage.hands_on() for stage in self.stages[:-1])
        for number, (stage, share) in enumerate(zip(self.stages, shares, strict=True), 1):

            def learn(
                part: Run, stage: Method = stage, rows: Data = known, share: Budget = share,
                start: Model | None = current,
            ) -> Model:  # fmt: skip
                return stage.fit(rows, start, budget=share, seed=seed, run=part)

            name = f"{number}-{stage.method_name()}"
            current, known = run.once_with_labels(name, learn, known, stored=stored, guesses=True)
            trained.append(current)
        last = trained[-1]
        return Learned(
            model=last,
            rows=np.zeros(len(data), bool),  # the last stage, its parent, holds them
            parents=(last,),
            steps=sum(stage.lineage.steps for stage in trained),
            seconds=sum(stage.lineage.seconds for stage in trained),
            data=known,
        )

    def as_model(self, learned: Learned, data: Data, budget: Budget, seed: int) -> Model:
        return replace(super().as_model(learned, data, budget, seed), gives=learned.model.gives)

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        first, *others = self.stages
        if reason := first.lacks(data, model):
            return f"{first}: {reason}"
        joined = {kind.column_kind for kind in TARGETS.all().values() if kind.joins_inputs}
        if others and {label.kind for label in data.labels} & joined and not first.gives & predictions():
            return (
                f"{first}: it reads each input by itself, and the label {data.labels[0].name!r} is predicted from "
                f"inputs that are read together. Begin with {others[-1].method_name()}."
            )
        for stage in others:
            if reason := stage.lacks_of(data):
                return f"{stage}: {reason}"
        return None

    def lacks_of(self, data: Data) -> str | None:
        return next((f"{stage}: {why}" for stage in self.stages if (why := stage.lacks_of(data))), None)

    def fewest_steps(self) -> int:
        return sum(stage.fewest_steps() for stage in self.stages)

    def needs_start(self) -> bool:
        return self.stages[0].needs_start()

    def with_backbone(self, checkpoint: str) -> "Chain":
        return replace(self, stages=(self.stages[0].with_backbone(checkpoint), *self.stages[1:]))

    def from_scratch(self) -> bool:
        return self.stages[0].from_scratch()

    def going_on(self) -> "Chain":
        return replace(self, stages=(self.stages[0].going_on(), *self.stages[1:]))

    def hands_on(self) -> bool:
        return any(stage.hands_on() for stage in self.stages)

    def asks(self, labels: int) -> int:
        left = labels
        for stage in self.stages:
            left -= stage.asks(left)
        return labels - left

    def to_json(self) -> dict[str, Any]:
        return {
            "name": "chain",
            "stages": [stage.to_json() for stage in self.stages],
            "shares": list(self.shares) if self.shares else None,
        }

    def __str__(self) -> str:
        return " >> ".join(map(str, self.stages))


def parts(method: Method) -> tuple[Method, ...]:
    """The stages of `method` in a longer chain: its own, where their shares are even, or itself."""
    return method.stages if isinstance(method, Chain) and method.shares is None else (method,)


def _check_link(before: Method, after: Method) -> None:
    given = before.stages[-1].gives if isinstance(before, Chain) else before.gives
    wanted = after.stages[0].takes if isinstance(after, Chain) else after.takes
    if not wanted:
        raise NeedsError(
            f"{before} >> {after}: {after.method_name()} starts from nothing, so what {before} learned would be lost. "
            f"Write {after} >> {before}, or {after} alone."
        )
    if not wanted & given:
        alone = "Put" if after.needs_start() else f"Write {after} alone, or put"
        raise NeedsError(
            f"{before} >> {after}: {after.method_name()} starts from a model that gives {any_of(wanted)}; "
            f"{before.method_name()} gives {', '.join(sorted(given))}. {alone} a method that gives "
            f"{any_of(wanted)} before it, such as {giver(wanted)} >> {after}."
        )

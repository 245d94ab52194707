"""Tune: the fields of another method, chosen by validation rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import isnan, nan, prod
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.groups import groups_of
from manyways.data.parts import TEST, TRAINING, moved
from manyways.data.splits import stratified
from manyways.data.targets import predictions
from manyways.errors import NeedsError, ParameterError, TrainingError
from manyways.methods.fields import Count, Interval
from manyways.methods.method import Ablations, Learned, Method
from manyways.methods.needs import AnyLabel, Input
from manyways.methods.ranges import range_of
from manyways.methods.search._space import (
    MOST,
    Choice,
    Ranges,
    Values,
    combinations,
    drawn,
    listed,
    ranged,
    with_fields,
)
from manyways.methods.starts import last, learns_from_labels
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.written import default, plain, written
from manyways.metrics import higher_is_better
from manyways.models.model import Model
from manyways.training.budget import Budget
from manyways.training.run import Run

DRAWN = 8
"""Trials of a space where none are said."""
Between = Annotated[float, Interval("(0, 1)")]


@dataclass(frozen=True, kw_only=True)
class Tune(Method):
    """Choose fields of another method: try values on part of the labels, score them on the rest, train anew on all.

    All is paid from one budget: the trials have a `share` of it, evenly, and the training with the chosen values the
    rest. The labels to score by are among those that may be seen. In text the fields stand beside the method:
    `tune(fixmatch, learning_rate=[0.001, 0.003])`, `tune(supervised, learning_rate=log(1e-4, 1e-2), trials=6)`.
    """

    method: Method = field(default_factory=Supervised)
    """The method to tune; any that learns from labels to predict them."""
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Values to try by the name of the field, each with every other. `base.threshold` is a field of the method in the
    field base; in a chain the last stage that has such a field is meant."""
    space: Mapping[str, str] = field(default_factory=dict)
    """Ranges to draw values from by the name of the field: log(1e-4, 1e-2), uniform(0, 1) or integers(1, 8)."""
    trials: Count | None = None
    """Number of trials. None: every combination of the grid, or 8 with a space."""
    validation: Between = 0.2
    """Share of the labelled rows that trials are scored on, and not trained on."""
    share: Between = 0.5
    """Share of the budget that all trials have together."""
    metric: str | None = None
    """Score to choose by. None: the usual one of the label."""

    needs: ClassVar = (Input, AnyLabel)
    gives: ClassVar = predictions() | {"embed"}
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True
    suggests: ClassVar = ()
    written: ClassVar = "tune(supervised, learning_rate=[0.001, 0.003])"
    in_text: ClassVar = "method"
    paper: ClassVar = "Bergstra & Bengio, Random search for hyper-parameter optimization, JMLR 2012"
    field_trials: ClassVar = {
        "grid": {"grid": {"learning_rate": [1e-9, 0.01]}},
        "space": {"trials": 2, "space": {"weight_decay": "uniform(0.5, 0.9)"}},
        "trials": {"grid": {"learning_rate": [1e-9, 0.005, 0.02]}, "trials": 1},
        "validation": "Scores on other rows may well choose the same values, and what is learned then is the same.",
        "metric": "Two scores of a few steps on a few rows may well choose the same values.",
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", listed(self.grid, "Tune.grid"))
        object.__setattr__(self, "space", ranged(self.space, "Tune.space"))
        super().__post_init__()
        if not (learns_from_labels(self.method) and last(self.method).gives & predictions()):
            raise NeedsError(f"Tune.method must be one that learns from labels to predict them; got {self.method}.")
        if self.method.asks(MOST):
            raise NeedsError(
                f"{self.method} asks for labels, and in each trial would for others. Tune what is inside of it: "
                "active-learning(base=tune(…))."
            )
        if not (self._values or self._ranges):
            return  # nothing to choose: what is lacking is said before anything is learned
        if twice := {name for name, _ in self._values} & {name for name, _ in self._ranges}:
            raise ParameterError(f"{min(twice)} stands in Tune.grid and in Tune.space; leave it out of one.")
        if (count := prod(len(values) for _, values in self._values)) > MOST:
            raise ParameterError(f"Tune.grid has {count:,} combinations, and {MOST:,} are the most.")
        for choice in combinations(self._values):  # a wrong value is refused now, not after the first trials
            for end in (0, 1):
                with_fields(self.method, choice | {name: range_of(text, name).ends[end] for name, text in self._ranges})

    @property
    def _values(self) -> Values:
        return listed(self.grid, "Tune.grid")

    @property
    def _ranges(self) -> Ranges:
        return ranged(self.space, "Tune.space")

    @classmethod
    def from_text(cls, values: Sequence[Any], options: Mapping[str, Any]) -> Self:
        own = {spec.name for spec in fields(cls)}
        given = {name: value for name, value in options.items() if name in own}
        others = {name: value for name, value in options.items() if name not in own}
        grid = {name: value for name, value in others.items() if isinstance(value, list | tuple)}
        space = {name: value for name, value in others.items() if name not in grid}
        named = {"method": values[0]} if values else {}
        for name, more in (("grid", grid), ("space", space)):
            if more and isinstance(stated := given.get(name, {}), Mapping):
                given[name] = {**stated, **more}
        return cls(**named, **given)

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        """With a learning rate that learns nothing, and one that does."""
        return cls(grid={"learning_rate": [1e-9, 0.02]}, validation=0.4)

    def ablations(self, data: Data) -> Ablations:
        first = {name: values[:1] for name, values in self._values}
        return {**super().ablations(data), "its choice": (replace(self, grid=first), data)}

    def __str__(self) -> str:
        own = {spec.name: default(spec) for spec in fields(self)}
        tried = {name: f"[{', '.join(map(written, values))}]" for name, values in self._values}
        beside = {name: text for name, text in tried.items() if name.isidentifier() and name not in own}
        beside |= {name: text for name, text in self._ranges if name.isidentifier() and name not in own}
        # Those of methods within, and those that are called as one of its own, stand in the field itself.
        inside = {
            "grid": [f"{name!r}: {text}" for name, text in tried.items() if name not in beside],
            "space": [f"{name!r}: {text!r}" for name, text in self._ranges if name not in beside],
        }
        changed = {
            name: written(getattr(self, name))
            for name in ("trials", "validation", "share", "metric")
            if getattr(self, name) != own[name]
        }
        options = beside | {name: f"{{{', '.join(items)}}}" for name, items in inside.items() if items} | changed
        return f"tune({', '.join([str(self.method), *(f'{name}={text}' for name, text in options.items())])})"

    def choices(self, seed: int) -> list[Choice]:
        """The values of each trial."""
        if self._ranges or self.trials is not None:
            return drawn(self._values, self._ranges, self.trials or DRAWN, seed)
        return combinations(self._values)

    def fewest_steps(self) -> int:
        return (len(self.choices(0)) + 1) * self.method.fewest_steps()

    def roles_used(self) -> tuple[str, ...]:
        return last(self.method).roles_used()

    def needs_start(self) -> bool:
        return self.method.needs_start()

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if not (self._values or self._ranges):
            return (
                "it is given nothing to choose. Name fields of the method and their values: "
                f"tune({self.method}, {_example(self.method)})."
            )
        if reason := super().lacks(data, model) or self.method.lacks(data, model):
            return reason
        if not len(self._set_aside(data, 0)):
            return (
                f"of {int(data.training.labelled.sum())} labels none can be set aside to score trials by: each class "
                "must keep one row, and each group stays together. Show more labels."
            )
        return None

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        choices, least = self.choices(seed), self.method.fewest_steps()
        weights = [self.share / len(choices)] * len(choices) + [1 - self.share]
        *parts, rest = budget.divided(weights, [least] * len(weights))
        inner = self._inner(data, seed)
        trained: list[Model] = []
        scores: list[float] = []
        losses: list[float] = []
        metric = self.metric or ""
        for number, (choice, part) in enumerate(zip(choices, parts, strict=True), 1):
            tried = with_fields(self.method, choice)

            def learn(child: Run, tried: Method = tried, part: Budget = part) -> Model:
                return tried.fit(inner, model, budget=part, seed=seed, run=child)

            try:
                trained.append(run.once(f"trial-{number}", learn))
            except TrainingError as error:  # values with which training diverges are not chosen
                run.notice(f"{tried}: {error}")
                scores.append(nan)
                losses.append(nan)
                continue
            metric = metric or trained[-1].metric_on(inner.test) or ""
            every_score = trained[-1].evaluate(inner.test)
            if metric not in every_score:
                raise ParameterError(f"Tune.metric must be one of {', '.join(every_score)}; got {metric!r}.")
            scores.append(every_score[metric])
            losses.append(every_score.get("log_loss", 0.0))
        best = self._best(scores, losses, metric)

        def final(child: Run) -> Model:
            return with_fields(self.method, choices[best]).fit(data, model, budget=rest, seed=seed, run=child)

        chosen = run.once("chosen", final)
        every = [*trained, chosen]
        facts = {
            "chosen": plain_choice(choices[best]),
            "trials": [
                {"fields": plain_choice(choice), "score": None if isnan(score) else score}
                for choice, score in zip(choices, scores, strict=True)
            ],
            "metric": metric,
        }
        return Learned(
            model=chosen,
            rows=np.zeros(len(data), bool),  # those of the trials and of the chosen one, its parents
            parents=(chosen, *trained),
            steps=int(sum(each.lineage.steps for each in every)),
            seconds=sum(each.lineage.seconds for each in every),
            facts=facts,
        )

    def as_model(self, learned: Learned, data: Data, budget: Budget, seed: int) -> Model:
        return replace(super().as_model(learned, data, budget, seed), gives=learned.model.gives)

    def _best(self, scores: Sequence[float], losses: Sequence[float], metric: str) -> int:
        """The place of the best score; of equal ones that of the lowest loss, then the first."""
        sound = [at for at, score in enumerate(scores) if not isnan(score)]
        if not sound:
            raise TrainingError(
                f"Each of the {len(scores)} trials of {self} diverged. Try smaller learning rates, or other values."
            )
        sign = 1 if higher_is_better(metric) else -1
        return max(sound, key=lambda at: (sign * scores[at], -losses[at], -at))

    def _inner(self, data: Data, seed: int) -> Data:
        """The rows of the trials, of which those to score by are the test part; the test rows are not among them.

        Rows without a label that belong together with such a row are left out.
        """
        chosen, groups = self._set_aside(data, seed), groups_of(data)
        kept = data.part[data.rows] != TEST
        if groups is not None:
            kept &= ~np.isin(groups, groups[chosen])
        kept[chosen] = True
        return moved(data, chosen, TEST).select(kept)

    def _set_aside(self, data: Data, seed: int) -> NDArray[np.int64]:
        """The positions of the rows to score trials by, drawn from those with a label that may be seen.

        Each class keeps a row to learn from, and rows of one group stay together.
        """
        labelled = np.flatnonzero((data.part[data.rows] == TRAINING) & data.labelled)
        count = min(max(1, round(self.validation * len(labelled))), len(labelled) - 1)
        if count < 1:
            return labelled[:0]
        by_class = data.classification
        codes = np.unique(data.label.take(data.rows[labelled]).astype(str), return_inverse=True)[1]
        codes = codes if by_class else np.zeros(len(labelled), np.int64)
        groups, left = groups_of(data), np.bincount(codes)
        units = np.arange(len(labelled)) if groups is None else groups[labelled]
        aside = np.zeros(len(labelled), bool)
        for at in stratified(codes, count, seed, ids=data.ids[labelled], what="a trial", fewest=0):
            together = (units == units[at]) & ~aside
            after = left - np.bincount(codes[together], minlength=len(left))
            if (after > 0).all() and aside.sum() < count:
                aside, left = aside | together, after
        return labelled[aside]


def plain_choice(choice: Choice) -> dict[str, Any]:
    """The values of a choice as JSON."""
    return {name: plain(value) for name, value in choice.items()}


def _example(method: Method) -> str:
    """A field of `method` and values for it, for messages."""
    names = [spec.name for spec in fields(last(method))]
    return "learning_rate=[0.001, 0.003]" if "learning_rate" in names else f"{next(iter(names), 'field')}=[…, …]"

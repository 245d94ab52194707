"""Method: one way of learning."""

import hashlib
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.label_notes import LabelNotes
from manyways.data.parts import TEST
from manyways.data.targets import predictions
from manyways.data.visibility import metered
from manyways.errors import NeedsError, ParameterError
from manyways.methods.fields import check_fields, check_names
from manyways.methods.needs import Input, Need, lacking, lacking_inputs, lacking_values, unused
from manyways.methods.recommendations import ANY, Profile, Recommendation
from manyways.methods.written import as_tuple, default, plain, written
from manyways.models.abilities import any_of
from manyways.models.lineage import Lineage, machine, no_rows, versions
from manyways.models.model import Model
from manyways.training.budget import Budget, Planned
from manyways.training.run import Run

if TYPE_CHECKING:
    from manyways.data.read import Source
    from manyways.methods.chain import Chain

DEFAULT_BUDGET = Budget(1000, "steps")
MOST_QUESTIONS = 1_000_000
MANY = 1000
"""Labels of which a method that asks for any does."""
Ablations: TypeAlias = Mapping[str, tuple["Method", Data]]


@dataclass(frozen=True, eq=False)
class Learned:
    """The result of `learn`; `fit` adds to the model what it gives and its lineage.

    Attributes:
        rows: Mask of the rows of the data that shaped the model.
        parents: The models it was learned from, or their lineages.
        facts: Facts that the method states of it, for its lineage.
        planned: The steps that the budget was turned into.
        data: The data as they are afterwards, with labels that were revealed or given on the way, and guesses that are
            to be handed on; None: as they were.
    """

    model: Model
    rows: NDArray[np.bool_]
    parents: tuple[Model | Lineage, ...] = ()
    steps: int = 0
    seconds: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)
    planned: Planned | None = None
    data: Data | None = None


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """One way of learning: its fields are its hyper-parameters, checked when it is made.

    A method is a frozen dataclass in a file of its own; the file's name is the method's. `fit` never changes its
    arguments. With `>>` methods make a chain.
    """

    needs: ClassVar[tuple[Need, ...]] = (Input,)
    """Requirements on the data (`manyways.methods.needs`); empty: it needs no data."""
    uses: ClassVar[tuple[str, ...]] = ()
    """Roles that it uses where the data has them, besides those that it needs: "weight"."""
    gives: ClassVar[frozenset[str]]
    """The abilities of the model: classify, regress, labels (several), embed, cluster, retrieve, generate, …"""
    takes: ClassVar[frozenset[str]] = frozenset()
    """The abilities of a model before it in a chain, any one of these; empty: it starts from nothing."""
    requires_model: ClassVar[bool] = False
    """True if it can only start from a model."""
    single_pass: ClassVar[bool] = False
    """True if it sees each row once, in order: a budget may end it early, and a seed need not change it."""
    missing_inputs: ClassVar[bool] = False
    """True if it learns from rows that lack one of several inputs, too."""
    missing_values: ClassVar[bool] = False
    """True if it learns from rows some of whose numbers or categories are missing."""
    new_classes: ClassVar[bool] = False
    """True if its models are scored on classes that need not be among those of the training rows."""
    forgets: ClassVar[str | None] = None
    """Distance of what `forget` gives from the model that never saw the rows: "bitwise" or "1e-8" (relative); None: it
    cannot forget faster than by training anew."""
    approximate: ClassVar[bool] = False
    """True if it makes a model resemble one that never saw some rows, and proves nothing: its `forget` is no proof."""
    paper: ClassVar[str] = ""
    """Authors, title, place and year of the paper."""
    suggests: ClassVar[tuple[str, ...] | None] = None
    """The methods that a comparison tries of it where nothing is named; None: the method alone, if its models predict
    the label, adapt to classes, or act."""
    recommends: ClassVar[Mapping[str, Recommendation]] = {}
    """Its place on the shortlist of a comparison, by the kind of the inputs: table, image, audio, text, "several" of
    them, "any". By default it comes after those that state one, with its docstring for the reason."""
    in_text: ClassVar[str | None] = None
    """The field that text may give without its name: tune(fixmatch, …)."""
    written: ClassVar[str | None] = None
    """An example of the method in text, where its name alone is not enough."""
    example: ClassVar[str] = "digits"
    """The built-in data set on which the conformance suite tries it."""
    field_trials: ClassVar[Mapping[str, Mapping[str, Any] | str]] = {}
    """Fields that the conformance suite cannot try by themselves: with which values it does (those of other fields are
    set beside), or why no other value changes what is learned. A class adds to those that it inherits."""

    def __new__(cls, *values: Any, **options: Any) -> Self:
        # Here rather than in __post_init__: the __init__ that a dataclass writes refuses with a TypeError before that.
        check_names(cls, options)
        if values:
            raise ParameterError(
                f"{cls.__name__} takes its fields by name, as in {cls.__name__}(field=value); got {values[0]!r}."
            )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        check_fields(self)

    @final
    def fit(
        self,
        data: "Source" = None,
        model: Model | None = None,
        *,
        budget: Budget | str | int | None = None,
        seed: int = 0,
        run: Run | None = None,
    ) -> Model:
        """Learn from `data`, starting from `model` where the method takes one. Neither is changed.

        Args:
            data: A `Data`, or anything that `manyways.read` reads; None for a method that needs none.
            model: Model to start from.
            budget: Budget: `"20s"`, `"500 steps"`, `"1e6 examples"`, `"2 tflops"`; by default `default_budget`, which
                is 1,000 steps for most.
            seed: Seed; the same seed, data and budget in steps give the same weights on the same machine.
            run: Checkpoints, listeners, device and store; see `Run`.

        Returns:
            A new model with its lineage.

        Raises:
            NeedsError: The data or the model lack what the method needs.
            DataError: The data are unusable.
            ParameterError: The budget has fewer steps than there are trainings, or an argument is out of its range.
            TrainingError: Training cannot go on.
            ModelError: The run's folder is another's.
            StoreError: The run's store cannot be written.
        """
        from manyways.data.read import as_data

        table, allowed, run = (
            Data.nothing() if data is None else as_data(data),
            None if budget is None else Budget.of(budget),
            run or Run(),
        )
        allowed = allowed or self.default_budget(table)
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
            raise ParameterError(f"seed must be a whole number in [0, 2**32); got {seed!r}.")
        stated = {"allowance": table.allowance} if table.allowance is not None and table.meter is None else {}
        if wanted := self.allowance(table):
            table = metered(table, wanted)
        self.check(table, model)
        if not run.plans:
            self._check_steps(allowed)
        run.claim(self.identity(table, model, allowed, seed))
        caller, run = run, (run.store.following(run) if run.store else run).begun()
        learned = self.learn(table, model, allowed, seed, run)
        if learned.data is not None:
            caller.leave(LabelNotes.between(table, learned.data))
        fitted = self.as_model(learned, table, allowed, seed)
        plan, where = run.all_plans(learned.planned), machine(run.pick_device())
        facts = {**fitted.lineage.facts, **stated}
        fitted = replace(fitted, lineage=replace(fitted.lineage, plan=plan, machine=where, facts=facts))
        if run.store:
            run.store.keep(fitted, table, start=model, method=self, run=run)
        return fitted

    @abstractmethod
    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        """Do what `fit` promises; `data` and `model` have been checked."""

    def forget(
        self,
        model: Model,
        data: Data,
        rows: NDArray[np.bool_],
        *,
        budget: Budget | str | int | None = None,
        seed: int | None = None,
        run: Run | None = None,
    ) -> Model:
        """The model as it would be without `rows`, made faster than by training anew; `forgets` says how near to it.

        Its lineage is that of a model that was trained without the rows.

        Args:
            model: Model that this method made of `data`, with the same fields; it is not changed.
            data: Data that it was made of, which still holds the rows.
            rows: Mask of the rows of `data` to forget.
            budget: Budget that the model was made with, as its lineage says by default; others are refused.
            seed: Seed that the model was made with, as its lineage says by default; others are refused.
            run: Checkpoints, listeners and device; see `Run`.

        Raises:
            NeedsError: The method, this model or this data do not allow it, or none of the rows shaped the model.
        """
        raise NeedsError(
            f"{self} cannot take rows out of a model faster than by training anew. Train without them: "
            "fit(data.select(~rows))."
        )

    @final
    def check(self, data: Data, model: Model | None = None) -> None:
        """Check that `fit(data, model)` can work, before anything is trained.

        Raises:
            NeedsError: The data or the model lack what the method needs, with what to type instead.
        """
        from manyways.methods import starts

        if isinstance(model, str | os.PathLike):
            raise ParameterError(
                f"{self} starts from a model; got the path {str(model)!r}. Load it: mw.load({str(model)!r})."
            )
        if reason := self.lacks(data, model):
            source = f" from {data.name}" if starts.needs_data(self) else ""
            raise NeedsError(f"{self} cannot learn{source}: {reason}")

    def fewest_steps(self) -> int:
        """The number of steps that `fit` takes at least: one in each training by gradients."""
        return 0

    def _check_steps(self, budget: Budget) -> None:
        if budget.unit == "steps" and budget.amount < (fewest := self.fewest_steps()):
            raise ParameterError(
                f"{self} takes {fewest} step{'s' * (fewest > 1)} at least, one in each training; got a budget of "
                f"{budget}. Allow more steps{', or ask for fewer trainings' * (fewest > 1)}."
            )

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        """The reason why `data` or `model` is not enough, with what to type instead; None if they are."""
        from manyways.methods import starts

        if reason := self.lacks_of(data):
            return reason
        if model is None:
            return None if not self.needs_start() else f"it starts from a model; {starts.start_hint(self, data)}."
        if self.takes and not self.takes & model.gives:
            return (
                f"it starts from a model that gives {any_of(self.takes)}; {model.lineage.title} gives "
                f"{', '.join(sorted(model.gives))}. Start from one that does; {starts.start_hint(self, data)}."
            )
        return None

    def roles_used(self) -> tuple[str, ...]:
        """The roles that change how it learns, where the data has them; of a method of methods, those that they use."""
        return (*self.uses, *map(str, self.needs))

    def _unused(self, data: Data) -> str | None:
        """The role of `data` that is of labels, which this method learns from, and that it does not use."""
        # Weights are of labels: where there are some, they are nothing to a method that learns without them.
        learns = any(need.labelled or need.reads_labels for need in self.needs)
        return unused(self.roles_used(), data) if learns or not data.has("label") else None

    def lacks_of(self, data: Data) -> str | None:
        """The reason why `data` is not enough for this method, whatever model it starts from."""
        if reason := lacking(self.needs, data) or self._unused(data):
            return reason
        if Input not in self.needs:
            return None
        reason = None if self.missing_values else lacking_values(data)
        return reason or lacking_inputs(data, some_may_lack=self.missing_inputs)

    def at_a_checkpoint(self) -> "Method | None":
        """This method with a checkpoint's name to be filled in, where it can start from one; None where it cannot."""
        return None

    def needs_start(self) -> bool:
        """True if this method, with these fields, can only start from a model."""
        return self.requires_model

    def with_backbone(self, checkpoint: str) -> "Method":
        """This method as it starts from a pretrained `checkpoint`, its folder or Hub name.

        That is its field `backbone`, where it has one that is not set, and that of the methods in its fields; a method
        without any is as it was.
        """
        changed: dict[str, Any] = {}
        for spec in fields(self):
            value = getattr(self, spec.name)
            if isinstance(value, Method):
                changed[spec.name] = value.with_backbone(checkpoint)
            elif spec.name == "backbone" and value == "auto":
                changed[spec.name] = checkpoint
        return replace(self, **changed) if changed else self

    def checkpoint_folders(self) -> list[Path]:
        """The folders of the pretrained checkpoints that it starts from, those of the methods in its fields too."""
        values = [value for spec in fields(self) for value in as_tuple(getattr(self, spec.name))]
        named = re.split("[=,]", str(getattr(self, "backbone", "")))
        own = [Path(name.strip()) for name in named if name.strip() and Path(name.strip()).is_dir()]
        return [*own, *(place for each in values if isinstance(each, Method) for place in each.checkpoint_folders())]

    def from_scratch(self) -> bool:
        """True if it trains a network of random weights, or a method in its fields does."""
        held = [value for spec in fields(self) for value in as_tuple(getattr(self, spec.name))]
        return any(value.from_scratch() for value in held if isinstance(value, Method))

    def going_on(self) -> "Method":
        """This method as it goes on from a model of its own: without the fields that only shape a new one."""
        return self

    def asks(self, labels: int) -> int:
        """The number of `labels`, all that it may see, that it wants to choose itself; the others it is shown at first.

        A method that asks reveals them with `data.reveal`, and returns what it knows then as `Learned.data`. One that
        is made of methods asks for what they ask for.
        """
        return 0

    def yardstick(self) -> "Method | None":
        """The method whose line stands in every comparison beside this one's, for what is no achievement; None: none.

        Of a choice it is the choice at random.
        """
        return None

    def hands_on(self) -> bool:
        """True if its data have other labels afterwards, which the next stage of a chain learns from."""
        return self.asks(MANY) > 0

    @final
    def allowance(self, data: Data) -> int | None:
        """The number of labels that `fit` may reveal in `data`: what these allow, else what it asks for; None: any."""
        if data.allowance is not None or not data.has("label"):
            return data.allowance
        shown = labels = int(data.training.truly_labelled.sum())
        while labels - self.asks(labels) <= shown and labels < shown + MOST_QUESTIONS:
            labels += 1
        return labels - 1 - shown if labels > shown + 1 else None

    def as_model(self, learned: Learned, data: Data, budget: Budget, seed: int) -> Model:
        """The model that was learned, with its lineage."""
        rows = data.ids if learned.rows.all() else data.ids[learned.rows]
        lineage = replace(
            self.lineage(data, budget, seed),
            rows=rows,
            labels=_labels_shown(learned.data or data, learned.rows, rows),
            parents=tuple(parent if isinstance(parent, Lineage) else parent.lineage for parent in learned.parents),
            steps=learned.steps,
            seconds=learned.seconds,
            facts={**learned.model.facts, **learned.facts},
        )
        gives = learned.model.able(self.gives)
        return replace(learned.model, network=learned.model.network.eval(), gives=gives, lineage=lineage)

    @final
    def lineage(self, data: Data, budget: Budget, seed: int) -> Lineage:
        """The lineage as far as it is known before anything is learned; rows and parents come later."""
        return Lineage(
            method=self.to_json(),
            title=str(self),
            seed=seed,
            budget=str(budget),
            data=data.name,
            fingerprint=data.fingerprint,
            versions=versions(),
        )

    @final
    def identity(self, data: Data, model: Model | None, budget: Budget, seed: int) -> str:
        """A hash of all that decides what `fit` gives; a folder of another identity is refused."""
        stages = model.lineage.stages() if model else []
        start = [(stage.method, stage.fingerprint, stage.budget, stage.seed, stage.steps) for stage in stages]
        facts = [self.to_json(), data.fingerprint, start, budget.amount, budget.unit, seed]
        facts += [] if data.allowance is None else [data.allowance]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    @classmethod
    def from_text(cls, values: Sequence[Any], options: Mapping[str, Any]) -> Self:
        """The method that text writes.

        Args:
            values: The value of `in_text`, where it stands without its name; else nothing.
            options: The fields that are named.
        """
        return cls(**(dict(zip([cls.in_text or ""], values, strict=False)) | dict(options)))

    @classmethod
    def example_data(cls) -> Data:
        """The rows out of which the conformance suite takes those it tries the method on: those of its `example`."""
        from manyways.data.read import read

        return read(cls.example)

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        """The method as the conformance suite tries it: by default with no field set.

        One whose fields name models, files or an environment makes them here, out of a few rows of its `example` and in
        an empty `folder`.
        """
        return cls()

    def ablations(self, data: Data) -> "Ablations":
        """Return this method and `data` without what defines it, by what is missing: what is learned must be another.

        By default the data lose the signal of each need that has one: labels are exchanged among rows, preferences
        turned round. A method with a signal of its own takes that away: a weight of 0, one round in place of several.
        """
        from manyways.methods.ablations import without_signal

        return {what: (self, without) for what, without in without_signal(self.needs, data).items()}

    def unrepeatable(self) -> str | None:
        """The reason why the same seed, data and budget do not give the same weights; None where they do."""
        held = [value for spec in fields(self) for value in as_tuple(getattr(self, spec.name))]
        reasons = [each.unrepeatable() for each in held if isinstance(each, Method)]
        return next((reason for reason in reasons if reason), None)

    def default_budget(self, data: Data) -> Budget:
        """The budget of `fit` on `data` where none is given."""
        return DEFAULT_BUDGET

    @classmethod
    def suggestions(cls, data: Data | None = None) -> tuple[str, ...]:
        """The methods that a comparison tries of this one where nothing is named; of `data`, where it is known."""
        if cls.suggests is not None:
            return cls.suggests
        return (cls.method_name(),) if cls.gives & (predictions() | {"adapt", "act"}) else ()

    @classmethod
    def recommendation(cls, profile: Profile, method: "Method") -> Recommendation:
        """The rank and the reason of `method`, one of the `suggestions`, on the shortlist of a comparison.

        Args:
            profile: Profile of the data.
            method: The method as the comparison would try it: a chain, where it needs a start.
        """
        if method.from_scratch() and (reason := profile.too_few_for_a_network()):
            return Recommendation(reason, None)
        usual = Recommendation((cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip("."))
        return cls.recommends.get(profile.kind) or cls.recommends.get(ANY) or usual

    @final
    @classmethod
    def method_name(cls) -> str:
        """The name in commands and tables: that of the file, with dashes."""
        return cls.__module__.rpartition(".")[2].replace("_", "-")

    def to_json(self) -> dict[str, Any]:
        """The method's name and all its fields as JSON values."""
        return {"name": self.method_name(), **{f.name: plain(getattr(self, f.name)) for f in fields(self)}}

    def __str__(self) -> str:
        changed = [
            f"{f.name}={written(getattr(self, f.name))}" for f in fields(self) if getattr(self, f.name) != default(f)
        ]
        return f"{self.method_name()}({', '.join(changed)})" if changed else self.method_name()

    def __rshift__(self, other: "Method") -> "Chain":
        from manyways.methods.chain import Chain, parts

        if not isinstance(other, Method):
            return NotImplemented
        return Chain(stages=(*parts(self), *parts(other)))


def _labels_shown(data: Data, learned: NDArray[np.bool_], rows: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The ids of the rows of `data` whose true label was shown, where there is an allowance; `rows` where those."""
    if data.allowance is None:
        return no_rows()
    shown = data.truly_labelled & (data.part[data.rows] != TEST)
    return rows if np.array_equal(shown, learned) else data.ids[shown]

"""A method on trial: the small data it learns from, the model it starts from, and what it made of both."""

import shutil
import tempfile
import weakref
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn
from unittest import SkipTest

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.categories import as_objects
from manyways.data.columns import places_of
from manyways.data.data import Data
from manyways.data.parts import TEST
from manyways.data.storage import RowNumbers
from manyways.data.targets import StructuredTarget, predictions
from manyways.methods.ablations import exchanged, with_values
from manyways.methods.chain import Chain
from manyways.methods.method import Method
from manyways.methods.needs import Prompts, lacking
from manyways.methods.starts import needs_data, stages, starts
from manyways.models.abilities import any_of
from manyways.models.labels_predictor import LabelsPredictor
from manyways.models.model import Model
from manyways.testing.label_rows import LABEL_KINDS
from manyways.testing.rows import dressed, rows_of_kind, with_validation
from manyways.training.budget import Budget
from manyways.training.run import Run

ROWS, LABELS, STEPS, START_STEPS, KIND_STEPS, LABEL_STEPS = 240, 40, 12, 4, 6, 6
PREDICTS = predictions() | {"labels", "cluster"}
"""Abilities with one answer for each row, made of the outputs of the head."""
SEED, OTHER_SEED = 3, 4
READ = frozenset({"input", "text", "prompt", "completion", "chosen", "rejected"})
"""Roles whose columns go through an encoder or a tokenizer."""


class BrokenPromise(AssertionError):
    """A method does not do what every method must; the message says which promise, and how it is broken."""


def require(kept: bool, how: str) -> None:
    """Raise BrokenPromise with `how` unless `kept`."""
    if not kept:
        raise BrokenPromise(how)


def skip(reason: str) -> NoReturn:
    """Raise SkipTest: the promise does not apply, and why. pytest counts it as skipped."""
    raise SkipTest(reason)


class Trial:
    """One method with a few rows of its example data, of which some are labelled, and its first model.

    What is expensive is made when it is first asked for and kept.
    """

    def __init__(self, method: type[Method] | Method) -> None:
        self.kind = method if isinstance(method, type) else type(method)
        self._given = None if isinstance(method, type) else method
        self._of_kinds: dict[str, Trial | str] = {}
        self.steps = STEPS

    def on(self, data: Data) -> "Trial":
        """The same method on trial with other data."""
        other = Trial(self._given or self.kind)
        vars(other)["data"] = data
        return other

    def on_kind(self, kind: str) -> "Trial":
        """The same method on trial with a few rows of a `kind`. Raises SkipTest where it does not learn from those."""
        if kind not in self._of_kinds:
            self._of_kinds[kind] = self._on_kind(kind)
        found = self._of_kinds[kind]
        if isinstance(found, str):
            skip(found)
        return found

    def _on_kind(self, kind: str) -> "Trial | str":
        """The trial, or why there is none."""
        if not needs_data(self.method):
            return "it learns from no rows"
        reasons = []
        for data in dressed(rows_of_kind(kind)):
            other = self.on(data)
            other.steps = LABEL_STEPS if kind in LABEL_KINDS else KIND_STEPS
            needs_start = other.method.needs_start()
            reason = other.method.lacks_of(data) if needs_start else other.method.lacks(data)
            if reason is None and needs_start and not starts(takes(other.method), data):
                reason = f"no method makes a start of the kind {kind}."
            elif reason is None and needs_start and kind in LABEL_KINDS:
                reason = other.method.lacks(data, other.start)
            if reason is None:
                return other
            reasons.append(reason)
        return f"of the kind {kind}: {reasons[0]}"

    @cached_property
    def validated(self) -> "Trial":
        """The same method and start on trial with its data, of which some rows are for validation.

        Models that are scored by episodes learn without them: each look at validation rows takes a thousand.
        """
        if self.method.new_classes:
            return self
        other = self.on(with_validation(self.data))
        vars(other)["start"] = self.start
        return other

    @cached_property
    def method(self) -> Method:
        """The method that was given, or of a class the one that it names for a trial."""
        return self._given or self.kind.for_trial(self.data, self._folder)

    @cached_property
    def data(self) -> Data:
        """240 rows in no order, a fifth of them for testing, with 40 labels; or an environment."""
        whole = (stages(self._given)[0] if self._given else self.kind).example_data()
        if whole.environment is not None:
            return whole
        some = whole.select(np.random.default_rng(0).permutation(len(whole))[:ROWS]).with_test(0.2)
        return some.with_labels(LABELS, draw="stratified") if some.has("label") else some

    @property
    def learned_from(self) -> Data:
        """The data that `fit` is given: the rows, or nothing where the method needs none."""
        return self.data if needs_data(self.method) else Data.nothing()

    @cached_property
    def _folder(self) -> Path:
        """For what the method wants to name in its fields; removed with the trial."""
        folder = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    @cached_property
    def start(self) -> Model | None:
        """A model that the method can start from; None where it needs none."""
        return self.start_model() if self.method.needs_start() else None

    @cached_property
    def reference(self) -> Model:
        """The model that the method learns in `steps` steps."""
        return self.fit()

    @property
    def has_gradient(self) -> bool:
        """True if the method takes steps."""
        return self.reference.lineage.steps > 0

    def start_model(self) -> Model:
        """A model, trained for a few steps, that gives what the method takes: by the plainest methods that can."""
        found = starts(takes(self.method), self.data)
        require(bool(found), f"no method makes a model that gives {any_of(takes(self.method))}.")
        model: Model | None = None
        for stage in stages(found[0]):
            model = type(stage).for_trial(self.data, self._folder).fit(self.data, model, budget=START_STEPS, seed=SEED)
        assert model is not None
        return model

    def fit(
        self,
        data: Data | None = None,
        *,
        budget: Budget | int | None = None,
        seed: int = SEED,
        run: Run | None = None,
    ) -> Model:
        """The method's model of `data`, by default of its example, or of nothing where it needs none."""
        rows = self.learned_from if data is None else data
        return self.method.fit(rows, self.start, budget=budget or self.steps, seed=seed, run=run)


def takes(method: Method) -> frozenset[str]:
    """The abilities that a model that `method` starts from must have."""
    return method.stages[0].takes if isinstance(method, Chain) else method.takes


def weights(model: Model) -> dict[str, Tensor]:
    """A copy of all that a model's network holds."""
    return {name: tensor.detach().clone() for name, tensor in model.network.state_dict().items()}


def difference(first: Model, second: Model) -> str | None:
    """Where the weights of two models differ bitwise; None if they do not."""
    ours, theirs = first.network.state_dict(), second.network.state_dict()
    if ours.keys() != theirs.keys():
        return f"their weights have different names: {sorted(ours.keys() ^ theirs.keys())[:4]}"
    wrong = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    if not wrong:
        return None
    name = wrong[0]
    if ours[name].shape != theirs[name].shape:
        return f"{name} has the shape {tuple(ours[name].shape)} and {tuple(theirs[name].shape)}"
    most = (ours[name].double() - theirs[name].double()).abs().max().item()
    return f"{len(wrong)} of {len(ours)} tensors differ, the first is {name} by up to {most:.3g}"


def answers(model: Model, data: Data) -> dict[str, NDArray[Any]]:
    """All that a model says of `data` by what it gives: features, outputs, and texts, which are objects."""
    given: dict[str, NDArray[Any]] = {}
    if "embed" in model.gives:
        given["features"] = model.embed(data)
    if "layout" in model.gives:
        given["places"] = model.layout(data)
    if isinstance(model.target, StructuredTarget):
        given["labels"] = exactly(model.predict(data))
    elif isinstance(model, LabelsPredictor) and any(each.structured for each in model.targets.members):
        predicted = model.predict(data)
        for target in model.targets.members:
            own = predicted[target.name]
            given[target.name] = exactly(own) if target.structured else own
    elif model.gives & PREDICTS:
        given["outputs"] = model.outputs(data)
    if answers_prompts(model, data):
        given["texts"] = model.predict(data)
    return given


def exactly(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels with a structure as what can be compared: bytes or text."""
    return as_objects([label.tobytes() if isinstance(label, np.ndarray) else repr(label) for label in labels.tolist()])


def answers_prompts(model: Model, data: Data) -> bool:
    """True if `model` can say something to each row of `data`."""
    return "generate" in model.gives and lacking((Prompts,), data) is None


def rows_of(data: Data, part: int) -> RowNumbers:
    """The table's row numbers of `data` that are in `part`."""
    rows: RowNumbers = data.rows[data.part[data.rows] == part]
    return rows


def other_test_rows(data: Data) -> Data:
    """`data` whose test rows hold what no training row holds: other scales, categories, words, pictures and sounds.

    Their labels, clients and tasks are those of other test rows.
    """
    rows = rows_of(data, TEST)
    for role, names in data.roles.items():
        for name in names:
            if role in READ:
                data = with_values(data, name, rows, _strange(data.columns[name].take(rows)))
            else:
                data = exchanged(data, name, rows)
    return data


def _strange(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "u":
        return np.iinfo(values.dtype).max - values
    if values.dtype.kind in "if":
        return values * 7 + 100
    return np.array([f"{value} zzz {value}" for value in values], object)


def other_hidden_labels(data: Data, model: Model) -> Data:
    """`data` with one label in place of all that may not be seen, of training and validation rows.

    Those that `model` was given when its method asked for them stay.
    """
    asked = places_of(data.ids, model.lineage.all_rows()) >= 0 if model.lineage.facts.get("asked") else False
    hidden = data.rows[(data.part[data.rows] != TEST) & ~data.labelled & ~np.asarray(asked)]
    for label in data.labels:
        data = with_values(data, label.name, hidden, label.take(data.rows[data.visible[data.rows]])[:1])
    return data

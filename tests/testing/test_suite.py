"""The conformance suite itself: methods that are wrong in one way break the promise about it, sound ones keep it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from unittest import SkipTest

import numpy as np
import pytest
import torch
from torch import Tensor

from manyways.data.data import Data
from manyways.data.parts import TRAINING, VALIDATION
from manyways.data.targets import Target
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import PredictingMethod
from manyways.methods.fields import NotNegative
from manyways.methods.merging.merge import Merge
from manyways.methods.method import Method
from manyways.methods.needs import AnyLabel, Input, Need
from manyways.models.model import Model
from manyways.testing import BrokenPromise, check_method, checks_for
from manyways.training.learner import LabelledLearner


@dataclass(frozen=True, kw_only=True)
class Sound(PredictingMethod[LabelledLearner]):
    """Learn from labelled rows, as one should."""

    needs: ClassVar[tuple[Need, ...]] = (Input, AnyLabel)
    gives: ClassVar = frozenset({"classify", "regress", "embed"})
    paper: ClassVar = "Nobody, Nowhere (2000)"

    @classmethod
    def for_trial(cls, data: Data, folder: Any) -> "Sound":
        return cls(batch_size=8, size=0.25, backbone="auto")

    def draw(self, learner: LabelledLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.labelled, self.batch_size, step)
        return {"inputs": learner.take(rows), "labels": learner.labels_at(rows)}

    def loss(self, learner: LabelledLearner, batch: Batch) -> Loss:
        return torch.nn.functional.cross_entropy(learner.network(batch["inputs"]), batch["labels"]), {}


@dataclass(frozen=True, kw_only=True)
class LearnsNothing(Sound):
    """Learn nothing: the loss has no slope."""

    def loss(self, learner: LabelledLearner, batch: Batch) -> Loss:
        return learner.network.features(batch["inputs"]).sum() * 0, {}


@dataclass(frozen=True, kw_only=True)
class DeadField(Sound):
    """Have a hyper-parameter that nothing reads."""

    strength: NotNegative = 1.0
    """Read by nobody."""


@dataclass(frozen=True, kw_only=True)
class EncodesEverything(Sound):
    """Fit the encoders on all rows."""

    def start_backbones(self, data: Data, model: Model | None, target: Target | None = None) -> Any:
        return super().start_backbones(replace(data, part=np.full_like(data.part, TRAINING)), model, target)


@dataclass(frozen=True, kw_only=True)
class CountsHiddenLabels(Sound):
    """Weigh classes by how often they stand among all labels, hidden ones, too."""

    def begin(self, data: Data, model: Model | None, seed: int) -> LabelledLearner:
        learner = super().begin(data, model, seed)
        assert learner.target is not None
        codes = torch.from_numpy(learner.target.encode(data.training, hidden=True))
        learner.register_buffer("shares", torch.bincount(codes, minlength=learner.target.width) / len(codes))
        return learner

    def loss(self, learner: LabelledLearner, batch: Batch) -> Loss:
        shares: Tensor = learner.get_buffer("shares")
        return torch.nn.functional.cross_entropy(learner.network(batch["inputs"]), batch["labels"], shares), {}


@dataclass(frozen=True, kw_only=True)
class LearnsFromValidation(Sound):
    """Learn from the labels of validation rows as if they were for training."""

    def begin(self, data: Data, model: Model | None, seed: int) -> LabelledLearner:
        part = np.where(data.part == VALIDATION, TRAINING, data.part).astype(data.part.dtype)
        return super().begin(replace(data, part=part), model, seed)


@dataclass(frozen=True, kw_only=True)
class NamesNoAblation(Sound):
    """Do not say what defines the method."""

    def ablations(self, data: Data) -> Mapping[str, tuple[Method, Data]]:
        return {}


SEEN = "only_training_rows_and_visible_labels_are_seen"
BROKEN: Mapping[type[Method], tuple[str, str]] = {
    LearnsNothing: ("signal_changes_what_is_learned", "without its labels the weights are bitwise the same"),
    NamesNoAblation: ("signal_changes_what_is_learned", "it names none; write ablations()"),
    DeadField: ("no_field_is_dead", "But strength could be left out"),
    EncodesEverything: (f"{SEEN} on table", "with other test rows"),
    CountsHiddenLabels: ("hidden_labels_are_not_seen", "with all hidden labels of one class"),
    LearnsFromValidation: ("validation_labels_are_not_learned_from", "with the labels of validation rows exchanged"),
}


@pytest.mark.parametrize("method", BROKEN, ids=lambda method: method.__name__)
def test_a_method_that_is_wrong_in_one_way_breaks_a_promise(method: type[Method]) -> None:
    promise, words = BROKEN[method]
    with pytest.raises(BrokenPromise, match=re.escape(words)):
        dict(checks_for(method))[promise]()


def test_encoders_of_texts_are_tried_too() -> None:
    with pytest.raises(BrokenPromise, match="with other test rows"):
        dict(checks_for(EncodesEverything))[f"{SEEN} on text"]()


@pytest.mark.parametrize("promise", sorted({promise for promise, _ in BROKEN.values()}))
def test_a_sound_method_keeps_those(promise: str) -> None:
    dict(checks_for(Sound))[promise]()


def test_what_does_not_apply_is_skipped_with_the_reason() -> None:
    checks = dict(checks_for(Merge))
    with pytest.raises(SkipTest, match="it learns from no rows"):
        checks[f"{SEEN} on text"]()


def test_check_method_names_all_that_is_broken() -> None:
    """A method with no slope breaks more than one promise; what does not apply is none of them."""
    with pytest.raises(BrokenPromise) as caught:
        check_method(LearnsNothing)
    said = str(caught.value)
    assert "without its labels the weights are bitwise the same" in said
    assert "no_field_is_dead" in said
    assert "SkipTest" not in said

"""MAML: weights from which a step or a few lead to tasks that were never seen."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from manyways.data.data import Data
from manyways.data.read import read
from manyways.errors import ModelError, NeedsError
from manyways.methods.meta.maml import MAML
from manyways.models.few_shot_model import FewShotModel
from manyways.randomness import generator


@pytest.fixture(scope="module")
def halves() -> tuple[Data, Data]:
    """Digits from 0 to 4, and those from 5 to 9, each a table of its own."""
    data = read("digits")
    fresh = data.take("label") >= 5
    return data.select(np.flatnonzero(~fresh)), data.select(np.flatnonzero(fresh))


SMALL = MAML(ways=5, batch_size=4, backbone="convnet", size=0.5)


@pytest.mark.parametrize("method", [SMALL, replace(SMALL, first_order=True), replace(SMALL, head="linear")], ids=str)
def test_meta_training_helps_with_tasks_never_seen(method: MAML, halves: tuple[Data, Data]) -> None:
    models = [method.fit(halves[0], budget=steps) for steps in (100, 1)]
    trained, untrained = (model.evaluate(halves[1], queries=5, episodes=100)["accuracy"] for model in models)
    assert trained > untrained + 0.1


@pytest.mark.parametrize("head", ["normalised", "linear"])
def test_fewer_classes_have_the_first_outputs(head: Literal["normalised", "linear"], halves: tuple[Data, Data]) -> None:
    model = replace(SMALL, head=head).fit(halves[0], budget=20)
    assert isinstance(model, FewShotModel)
    some = halves[1].select(np.flatnonzero(halves[1].take("label") < 8))
    adapted = model.adapt(some.with_labels(9, draw="stratified"))
    assert adapted.probabilities(some).shape == (len(some), 3)
    assert adapted.evaluate(some)["accuracy"] > 0.4
    assert model.evaluate(halves[1], ways=3, episodes=50)["accuracy"] > 0.4


@pytest.mark.quick
def test_first_order_leaves_second_derivatives_out(halves: tuple[Data, Data]) -> None:
    """At first, with a large inner rate, they even turn the gradient around."""
    learner = SMALL.begin(halves[0], None, 0)
    batch = SMALL.draw(learner, 0, generator(0))
    weights = list(learner.network.parameters())
    found = []
    for first in (False, True):
        loss, _ = replace(SMALL, first_order=first).loss(learner, batch)
        found.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)]))
    assert float(cosine_similarity(*found, dim=0)) < 0.9


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (MAML(ways=6), r"episodes of 6 classes are asked for, and digits has 5\. Ask for fewer: ways=5"),
        (MAML(shots=100, queries=100), r"takes 100 \+ 100 labelled rows of a class \(shots and queries\)"),
    ],
)
def test_more_than_there_is_is_refused(method: MAML, message: str, halves: tuple[Data, Data]) -> None:
    with pytest.raises(NeedsError, match=message):
        method.fit(halves[0], budget=1)


def test_more_classes_than_it_has_outputs_for_are_refused(halves: tuple[Data, Data]) -> None:
    model = MAML(ways=3, backbone="convnet").fit(halves[0], budget=1)
    assert isinstance(model, FewShotModel)
    with pytest.raises(ModelError, match=r"tells 3 classes apart, and 5 are asked for\..*for more: ways=5\."):
        model.adapt(halves[1])
    with pytest.raises(ModelError, match=r"tells 3 classes apart, and 4 are asked for"):
        model.evaluate(halves[1], ways=4)
    with pytest.raises(ModelError, match=r"no classes of its own to predict.*model\.adapt\(support\)"):
        model.predict(halves[1])

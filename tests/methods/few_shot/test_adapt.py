"""Adapt: a few-shot model becomes a classifier of new classes from a few rows of each."""

from dataclasses import replace

import numpy as np

from manyways.data.parts import TEST, TRAINING
from manyways.data.read import read
from manyways.methods.few_shot.adapt import Adapt
from manyways.methods.few_shot.proto_net import ProtoNet


def test_a_few_rows_of_new_classes_are_enough() -> None:
    data = read("digits")
    old, new = (data.select(np.flatnonzero((data.take("label") >= 5) == fresh)) for fresh in (False, True))
    few_shot = ProtoNet(ways=5, test_ways=5, backbone="convnet").fit(old, budget=60)
    rng = np.random.default_rng(0)
    part = np.full(len(new.part), TEST, np.uint8)
    labels = new.take("label")
    shown = np.concatenate([rng.permutation(np.flatnonzero(labels == each))[:5] for each in range(5, 10)])
    part[new.rows[shown]] = TRAINING
    task = replace(new, part=part)
    model = Adapt().fit(task, few_shot)
    assert set(np.unique(model.predict(task.test))) <= {5, 6, 7, 8, 9}
    assert model.evaluate(task.test)["accuracy"] > 0.75
    assert len(model.lineage.rows) == 25

"""MAML: weights from which a step or a few lead to tasks that were never seen."""

from dataclasses import replace

import numpy as np

from manyways.data.data import TEST, TRAINING, Data
from manyways.data.read import read
from manyways.methods.meta.maml import MAML


def new_classes() -> Data:
    """Digits from 0 to 4 to learn from; 5 to 9 to be told apart afterwards."""
    data = read("digits")
    return replace(data, part=np.where(data.take("label") >= 5, TEST, TRAINING).astype(np.uint8))


def test_meta_training_helps_with_tasks_never_seen() -> None:
    data = new_classes()
    method = MAML(ways=5, shots=1, backbone="convnet")
    trained, untrained = (method.fit(data, budget=steps).evaluate(data.test)["accuracy"] for steps in (60, 1))
    assert trained > untrained + 0.1

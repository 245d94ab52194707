"""ProtoNet: prototypes by hand, and classes it never saw told apart from one picture each."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from manyways.data.data import Data
from manyways.data.parts import TEST, TRAINING
from manyways.data.read import read
from manyways.methods.few_shot.proto_net import ProtoNet
from manyways.models.few_shot.prototypes import nearness, prototypes


def new_classes() -> Data:
    """Digits from 0 to 4 to learn from; 5 to 9 to be told apart afterwards."""
    data = read("digits")
    return replace(data, part=np.where(data.take("label") >= 5, TEST, TRAINING).astype(np.uint8))


def test_digits_never_seen_are_told_apart() -> None:
    data = new_classes()
    method = ProtoNet(ways=5, test_ways=5, shots=1, queries=5, backbone="convnet")
    trained, untrained = (method.fit(data, budget=steps).evaluate(data.test)["accuracy"] for steps in (300, 1))
    assert untrained > 0.25
    assert trained > untrained + 0.02


@pytest.mark.quick
def test_prototypes_and_nearness_by_hand() -> None:
    """Two classes of two rows each; a query's logits are minus its squared distances to the classes' means."""
    support = torch.tensor([[[[0.0, 0.0], [2.0, 0.0]], [[0.0, 4.0], [0.0, 6.0]]]])
    centres = prototypes(support)
    torch.testing.assert_close(centres, torch.tensor([[[1.0, 0.0], [0.0, 5.0]]]))
    logits = nearness(torch.tensor([[[1.0, 1.0]]]), centres)
    torch.testing.assert_close(logits, torch.tensor([[[-1.0, -17.0]]]))

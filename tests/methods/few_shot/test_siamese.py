"""Siamese: pairs by hand, classes it never saw, and models that are saved."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ModelError, NeedsError
from manyways.methods.few_shot.siamese import Siamese, balanced_loss
from manyways.models.few_shot.pairs import PairHead, Pairs
from manyways.models.few_shot_model import FewShotModel
from manyways.randomness import generator

from .test_matching_net import read

SMALL = Siamese(learning_rate=5e-3, units=64)


@pytest.fixture(scope="module")
def places() -> tuple[Data, Data]:
    """Classes to learn from, and new ones."""
    return read(0, 40), read(40, 10)


@pytest.mark.quick
def test_log_odds_are_weighed_differences_of_sigmoid_units() -> None:
    torch.manual_seed(0)
    head, one, other = PairHead(3, 4), torch.randn(3), torch.randn(3)
    h1, h2 = ((head.embedding.weight @ x + head.embedding.bias).sigmoid() for x in (one, other))
    expected = (head.weighing.weight[0] * (h1 - h2).abs()).sum() + head.weighing.bias[0]
    network = SMALL.begin(read(0, 20), None, 0).network
    network.head = head
    odds = Pairs().log_odds(network, other.view(1, 1, 1, 3), one.view(1, 1, 3))
    torch.testing.assert_close(odds.flatten()[0], expected)


@pytest.mark.quick
def test_pairs_of_one_class_weigh_as_much_as_those_of_two() -> None:
    odds = torch.randn(2, 6, 3, 2, generator=generator(0))  # two episodes, three classes, two shots and queries of each
    labels = torch.arange(3).repeat_interleave(2).expand(2, -1)
    one, two = [], []
    for episode in range(2):
        for query in range(6):
            for way in range(3):
                (one if labels[episode, query] == way else two).extend(odds[episode, query, way].tolist())
    assert (len(one), len(two)) == (24, 48)
    expected = [
        binary_cross_entropy_with_logits(torch.tensor(side), torch.full((len(side),), wanted))
        for side, wanted in ((one, 1.0), (two, 0.0))
    ]
    torch.testing.assert_close(balanced_loss(odds, labels), (expected[0] + expected[1]) / 2)


def test_classes_never_seen_are_told_apart(places: tuple[Data, Data], tmp_path: Path) -> None:
    trained, untrained = (SMALL.fit(places[0], budget=steps) for steps in (150, 1))
    score = trained.evaluate(places[1], episodes=200)["accuracy"]
    assert score > untrained.evaluate(places[1], episodes=200)["accuracy"] + 0.1
    again = mw.load(trained.save(tmp_path / "model"))
    assert again.evaluate(places[1], episodes=200)["accuracy"] == score
    assert isinstance(again, FewShotModel)
    adapted, same = (model.adapt(places[1].with_labels(10, draw="stratified")) for model in (trained, again))
    np.testing.assert_array_equal(adapted.predict(places[1]), same.predict(places[1]))
    third = mw.load(adapted.save(tmp_path / "adapted"))
    np.testing.assert_array_equal(third.predict(places[1]), adapted.predict(places[1]))
    assert third.evaluate(places[1])["accuracy"] > 0.4, "of ten classes"


def test_rows_of_pairs_are_seen_through_the_view(places: tuple[Data, Data]) -> None:
    learner = SMALL.begin(places[0], None, 0)
    plain, seen = (Siamese(augment=each).draw(learner, 0, generator(0)) for each in (False, True))
    for side in ("support", "queries"):
        assert plain[side]["inputs"].keys() == seen[side]["inputs"].keys()
        assert not all(torch.equal(part, seen[side]["inputs"][name]) for name, part in plain[side]["inputs"].items())
        assert torch.equal(plain[side]["labels"], seen[side]["labels"])


def test_fewer_classes_than_ways_are_refused(places: tuple[Data, Data]) -> None:
    with pytest.raises(NeedsError, match=r"episodes of 41 classes are asked for, and data has 40\. .*ways=40"):
        Siamese(ways=41).fit(places[0], budget=1)


def test_a_network_that_compares_no_pairs_is_refused(places: tuple[Data, Data]) -> None:
    network = mw.ProtoNet().begin(places[0], None, 0).network
    with pytest.raises(ModelError, match=r"has a PairHead; got NoneType\."):
        Pairs().logits(network, torch.zeros(2, 1, 3), torch.zeros(1, 3))

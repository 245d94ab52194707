"""SimCSE: a text through dropout twice, every distinct text once, and a collapse that is seen."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, NeedsError
from manyways.methods.metric_learning.sentence_pairs import SentencePairs
from manyways.methods.self_supervised.simcse import SimCSE, dropping
from manyways.models.sentence_encoder import SentenceEncoder
from manyways.randomness import generator, seed_global

SMALL = SimCSE(batch_size=16, size=0.5)


@pytest.fixture(scope="module")
def pairs() -> Data:
    return SentencePairs.example_data().with_test(0.2)


@pytest.mark.quick
def test_each_distinct_text_is_one_in_whichever_column_it_stands(pairs: Data) -> None:
    learner = SMALL.begin(pairs, None, 0)
    texts = [learner.training_data.take(name) for name in "ab"]
    assert len(learner.pool) == len(set(np.concatenate(texts).tolist()))
    numbers = np.array([3, len(learner.pool) - 1, 0])
    encoded = learner.encoded(numbers)
    for (row, column), tokens in zip(learner.texts[numbers], encoded, strict=True):
        assert torch.equal(tokens, learner.take(np.array([row]))["ab"[column]][0])


@pytest.mark.quick
def test_the_two_views_are_one_text_through_two_dropouts(pairs: Data) -> None:
    learner = SMALL.begin(pairs, None, 0).train()
    batch = SMALL.draw(learner, 0, generator(0, 0))
    first, second = batch["texts"].chunk(2)
    assert torch.equal(first, second)
    assert len(first.unique(dim=0)) == len(first) == 16
    with torch.random.fork_rng():
        seed_global(0, learner.device)
        views = SMALL.embed(learner, batch["texts"]).chunk(2)
        same = replace(SMALL, dropout=0.0).embed(learner, batch["texts"]).chunk(2)
    assert (views[0] - views[1]).abs().max() > 1e-3
    torch.testing.assert_close(same[0], same[1])


@pytest.mark.quick
def test_dropout_is_as_it_was_afterwards() -> None:
    network = nn.Sequential(nn.Dropout(0.3), nn.Dropout(0.0))
    with dropping(network, 0.1):
        assert [part.p for part in network] == [0.1, 0.1]
    assert [part.p for part in network] == [0.3, 0.0]


@pytest.mark.quick
def test_the_loss_is_that_of_the_paper(pairs: Data) -> None:
    """Equation 1 of Gao et al. (2021), term by term."""
    z = torch.nn.functional.normalize(torch.randn(10, 6, generator=generator(0)).double(), dim=1)
    first, second = z[:5], z[5:]
    terms = [
        -torch.log(torch.exp(first[i] @ second[i] / 0.05) / sum(torch.exp(first[i] @ s / 0.05) for s in second))
        for i in range(5)
    ]
    assert float(SMALL.contrast(z, {})) == pytest.approx(float(sum(terms)) / 5)


def test_texts_are_spread_and_known_again_and_a_collapse_is_said(pairs: Data) -> None:
    model = SMALL.fit(pairs, budget="60 steps")
    assert isinstance(model, SentenceEncoder)
    scores = model.lineage.facts["pretext"]
    assert scores["accuracy"] > 0.5 > 20 * scores["chance"]
    before = replace(SMALL, learning_rate=1e-12, weight_decay=0.0).fit(pairs, budget=1).lineage.facts["pretext"]
    assert scores["spread"] > before["spread"]
    assert "caution" not in model.lineage.facts
    assert "collapsed" in SMALL.cautions({"spread": 0.001}, 100)[0]


@pytest.mark.quick
def test_what_is_no_text_or_one_text_is_refused(pairs: Data, digits: Data) -> None:
    with pytest.raises(NeedsError, match="texts and no other inputs"):
        SMALL.fit(digits, budget=1)
    count = len(pairs.part)
    same = Data.from_columns([Column("a", "text", np.full(count, "one text", object))], {"input": ["a"]}, name="same")
    with pytest.raises(DataError, match="the same text"):
        SMALL.begin(same, None, 0)

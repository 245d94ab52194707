"""Contributions of rows outside plain prediction: nats, pairs of answers, retrieval, rows that are not scored."""

import math

import numpy as np
import pytest
import torch

from manyways.models.evaluation import of_all_rows
from manyways.models.language.nats import Nats
from manyways.models.language.scoring import pseudo_values_of_pairs, scores_of_pairs
from manyways.models.retrieval import hits_of_rows, retrieval_metrics

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("metric", ["nats_per_token", "nats_per_character", "perplexity"])
def test_nats_of_rows_have_the_score_as_their_mean(metric: str) -> None:
    tokens = RNG.integers(1, 30, 50).astype(float)
    nats = Nats(tokens * RNG.gamma(4.0, 0.5, 50), tokens, 4 * tokens + RNG.integers(0, 9, 50))
    found = nats.evaluation(metric)
    assert found.rows is not None
    assert found.rows.mean() == pytest.approx(found.scores[metric])
    assert found.scores["perplexity"] == pytest.approx(math.exp(nats.nats.sum() / tokens.sum()))
    assert nats.evaluation("accuracy").rows is None


@pytest.mark.parametrize("metric", ["preference_accuracy", "margin"])
def test_pairs_have_the_score_as_their_mean(metric: str) -> None:
    values = torch.randn(60, generator=torch.Generator().manual_seed(0))
    rows = pseudo_values_of_pairs(metric, values)
    assert rows is not None
    assert len(rows) == 30
    assert rows.mean() == pytest.approx(scores_of_pairs(values)[metric], abs=1e-6)
    assert pseudo_values_of_pairs("accuracy", values) is None


@pytest.mark.parametrize("metric", ["recall_at_1", "recall_at_5", "recall_at_10"])
def test_a_query_of_several_pairs_counts_once(metric: str) -> None:
    ids = np.array([3, 1, 1, 2, 0, 0, 0, 4])
    where = np.array([1.0, 7.0, 2.0, 30.0, 11.0])
    rows = hits_of_rows(metric, where, ids)
    assert rows is not None
    assert len(rows) == len(ids)
    assert rows.mean() == pytest.approx(retrieval_metrics(where, np.full(5, 0.2), 5)[metric])
    assert hits_of_rows("median_rank", where, ids) is None


def test_rows_that_are_not_scored_are_nan() -> None:
    rows = of_all_rows(np.array([1.0, 0.0]), np.array([True, False, True]))
    assert rows is not None
    assert np.array_equal(rows, [1.0, np.nan, 0.0], equal_nan=True)
    assert of_all_rows(None, np.array([True])) is None

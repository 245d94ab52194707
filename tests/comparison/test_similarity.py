"""Pairs of texts with scores: compared by the rank correlation of cosines, or of predictions."""

import re

import numpy as np
import pytest
from scipy.stats import spearmanr

import manyways as mw
from manyways.comparison.tasks import task_of
from manyways.comparison.tasks.similarity import Similarity
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.methods.metric_learning.sentence_pairs import SentencePairs


@pytest.fixture(scope="module")
def scored() -> Data:
    """Texts, some with another's partner, and the number of things that both name."""
    pairs = SentencePairs.example_data()
    a, b = (pairs.columns[name].take(np.arange(len(pairs.part))) for name in "ab")
    b = np.where(np.arange(len(b)) % 2, b, np.roll(b, 1))
    things = [[set(re.findall(r"[0-9]+", text)) for text in side] for side in (a, b)]
    label = Column("alike", "number", np.array([len(x & y) for x, y in zip(*things, strict=True)], float))
    columns = [Column("a", "text", a), Column("b", "text", b), label]
    return Data.from_columns(columns, {"input": ["a", "b"], "label": ["alike"]}, name="scored").with_test(0.3)


@pytest.mark.quick
def test_two_texts_and_a_number_ask_for_it(scored: Data) -> None:
    assert task_of(scored).name == "similarity"
    assert task_of(scored).usual(shared=False) == "spearman"
    assert task_of(scored, "r2").name == "regression"
    assert task_of(scored.with_inputs(["a"])).name == "regression"


def test_cosines_and_predictions_stand_in_one_comparison(scored: Data) -> None:
    methods = [SentencePairs(batch_size=16, learning_rate=2e-3), mw.Ridge(), mw.Supervised(size=0.5)]
    result = mw.compare(scored, methods=methods, budget="25 steps", seeds=1)
    assert result.metric == "spearman"
    entries = {entry.name.partition("(")[0]: entry for entry in result.entries}
    assert {"sentence-pairs", "ridge", "supervised"} <= set(entries)
    assert all(entry.scored for entry in entries.values())


def test_rows_contribute_to_the_correlation_of_either(scored: Data) -> None:
    encoder = SentencePairs(batch_size=16, size=0.5).fit(scored, budget=2)
    for model in (encoder, mw.Ridge().fit(scored)):
        evaluation = Similarity().evaluate(model, scored, "spearman")
        guess = encoder.similarity(scored.test) if model is encoder else model.predict(scored.test)
        score = spearmanr(guess, scored.test.take("alike")).statistic
        assert evaluation.scores["spearman"] == pytest.approx(score)
        assert evaluation.rows is not None
        assert evaluation.rows.mean() == pytest.approx(score)

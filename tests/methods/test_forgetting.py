"""Forgetting: which rows are taken out, and why a model cannot forget."""

import numpy as np
import pytest

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import NeedsError, ParameterError
from manyways.methods.supervised.naive_bayes import NaiveBayes
from manyways.methods.supervised.nearest_neighbours import NearestNeighbours
from manyways.methods.supervised.supervised import Supervised
from manyways.testing.trial import difference


def _first(data: Data, count: int) -> np.ndarray:  # type: ignore[type-arg]
    """The first training rows with a label (a mask)."""
    mask = np.zeros(len(data), bool)
    mask[np.flatnonzero((data.part[data.rows] == 0) & data.labelled)[:count]] = True
    return mask


def test_a_method_that_cannot_says_what_to_do(digits: Data) -> None:
    model = Supervised().fit(digits, budget=1)
    with pytest.raises(NeedsError, match=r"supervised cannot take rows out .* Train without them: fit\(data\.select"):
        Supervised().forget(model, digits, _first(digits, 1))


@pytest.mark.parametrize("rows", [np.array([1, 2]), np.zeros(3, bool), [True], None])
def test_rows_must_be_a_mask(wine: Data, rows: object) -> None:
    with pytest.raises(ParameterError, match="rows must be a mask over the 178 rows of wine"):
        NaiveBayes().forget(NaiveBayes().fit(wine), wine, rows)  # type: ignore[arg-type]


def test_another_methods_model_is_refused(wine: Data) -> None:
    with pytest.raises(NeedsError, match=r"this one was made by naive-bayes\. Ask that method to forget"):
        NaiveBayes(smoothing=2.0).forget(NaiveBayes().fit(wine), wine, _first(wine, 1))


def test_rows_that_never_shaped_the_model_are_passed_over(wine: Data) -> None:
    """A person's rows may lie in the test part, too."""
    rows = _first(wine, 2) | (wine.part[wine.rows] == 2)
    forgot = NaiveBayes().forget(NaiveBayes().fit(wine), wine, rows)
    assert difference(NaiveBayes().fit(wine.select(~rows)), forgot) is None


def test_data_of_another_model_is_refused(wine: Data) -> None:
    half = wine.select(np.arange(len(wine)) % 2 == 0)
    with pytest.raises(NeedsError, match="that are to stay never shaped the model"):
        NaiveBayes().forget(NaiveBayes().fit(half), wine, _first(wine, 2))
    with pytest.raises(NeedsError, match=r"wine lacks \d+ of the \d+ rows that shaped the model"):
        NaiveBayes().forget(NaiveBayes().fit(wine), half, _first(half, 1))


def test_no_row_left_is_refused(wine: Data) -> None:
    with pytest.raises(NeedsError, match="No row would be left"):
        NaiveBayes().forget(NaiveBayes().fit(wine), wine, wine.part[wine.rows] == 0)


@pytest.mark.parametrize("kind", [NaiveBayes, NearestNeighbours])
def test_of_equal_rows_only_those_named_are_forgotten(wine: Data, kind: type[NaiveBayes]) -> None:
    """Equal rows have one id; a copy that stays still counts."""
    picked = np.concatenate([np.arange(60), np.arange(0, 60, 7), np.arange(0, 60, 7)])
    columns = [Column(c.name, c.kind, c.take(wine.rows[picked])) for c in wine.columns.values()]
    data = Data.from_columns(columns, wine.roles)
    assert len(np.unique(data.ids, axis=0)) == 60
    gone = np.zeros(len(data), bool)
    gone[[0, 62, 75]] = True
    model = kind().fit(data)
    once = kind().forget(model, data, gone)
    assert difference(kind().fit(data.select(~gone)), once) is None
    also = np.zeros(len(data), bool)
    also[[60, 61]] = True
    twice = kind().forget(once, data, gone | also)
    assert difference(kind().fit(data.select(~(gone | also))), twice) is None


def test_rows_in_another_order_are_found(wine: Data) -> None:
    mixed = wine.select(np.random.default_rng(0).permutation(len(wine)))
    for method in (NaiveBayes(), NearestNeighbours()):
        model, rows = method.fit(wine), _first(mixed, 3)
        assert difference(method.fit(mixed.select(~rows)), method.forget(model, mixed, rows)) is None


def test_budget_and_seed_are_the_models_own(wine: Data) -> None:
    model = NaiveBayes().fit(wine, budget="3 steps", seed=5)
    for named in ({}, {"budget": 3, "seed": 5}):
        made = NaiveBayes().forget(model, wine, _first(wine, 1), **named)  # type: ignore[arg-type]
        assert (made.lineage.seed, made.lineage.budget) == (5, "3 steps")
    for other in ({"budget": 4}, {"seed": 0}):
        with pytest.raises(ParameterError, match="those that the model was made with, 3 steps and 5; got"):
            NaiveBayes().forget(model, wine, _first(wine, 1), **other)  # type: ignore[arg-type]

"""Adaptive random forests: warnings and drifts, seeds, and bounds of the forest."""

from manyways.methods.online.adaptive_random_forest import AdaptiveRandomForest
from manyways.methods.online.hoeffding_tree import HoeffdingTree

from .conftest import Table, fit, same
from .test_hoeffding_tree import coloured, drifting


def test_a_background_tree_takes_the_place(table: Table) -> None:
    """A warning comes before the drift, and the tree that it began has learned some rows by then."""
    data = drifting(table)
    warned = fit(AdaptiveRandomForest(), data)
    blind = fit(AdaptiveRandomForest(warning_delta=0), data)
    still = fit(AdaptiveRandomForest(drift_delta=0), data)
    assert warned.lineage.facts["warnings"] >= 10
    assert blind.lineage.facts["warnings"] == len(still.drifts) == 0
    assert still.prequential["accuracy"] < blind.prequential["accuracy"]


def test_a_seed_is_a_forest_and_no_other(table: Table) -> None:
    inputs, colours, labels = coloured(400)
    data = table(inputs, labels, colour=colours)
    method = AdaptiveRandomForest(trees=3)
    assert same(fit(method, data, seed=1), fit(method, data, seed=1))
    assert not same(fit(method, data, seed=1), fit(method, data, seed=2))
    assert same(fit(HoeffdingTree(), data, seed=1), fit(HoeffdingTree(), data, seed=2))


def test_leaves_are_as_many_as_allowed_and_pools_grow(table: Table) -> None:
    inputs, colours, labels = coloured(3000)
    data = table(inputs, labels, colour=colours)
    free = fit(AdaptiveRandomForest(trees=4, grace_period=10, delta=0.5, tau=1.0), data)
    assert free.lineage.facts["leaves"] > 60
    bound = fit(AdaptiveRandomForest(trees=4, grace_period=10, delta=0.5, tau=1.0, max_leaves=30), data)
    assert 20 < bound.lineage.facts["leaves"] <= 30

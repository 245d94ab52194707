"""Running majority: the most frequent class so far, and the mean of numbers."""

import numpy as np
import pytest

from manyways.methods.online.running_majority import RunningMajority

from .conftest import Arrays, Table, fit


def test_the_most_frequent_class_so_far_is_predicted(elec: Arrays, table: Table) -> None:
    inputs, labels = elec[0][:3000], elec[1][:3000]
    model = fit(RunningMajority(), table(inputs, labels))
    ones = np.cumsum(labels)
    before = (ones[:-1] > np.arange(1, 3000) - ones[:-1]).astype(int)
    assert model.prequential["accuracy"] == (before == labels[1:]).sum() / 3000
    assert (model.predict(table(inputs, labels)) == np.bincount(labels).argmax()).all()
    np.testing.assert_allclose(model.probabilities(table(inputs, labels))[0], np.bincount(labels) / 3000, atol=1e-6)


def test_the_mean_of_numbers_so_far_is_predicted(elec: Arrays, table: Table) -> None:
    numbers = elec[0][:500, 1]
    model = fit(RunningMajority(), table(elec[0][:500, 2:], numbers))
    means = np.concatenate([[0.0], np.cumsum(numbers)[:-1] / np.arange(1, 500)])
    assert model.prequential["mean_absolute_error"] == pytest.approx(np.abs(means - numbers).mean())
    assert model.predict(table(elec[0][:9, 2:], numbers[:9])) == pytest.approx(np.full(9, numbers.mean()), rel=1e-5)

"""No change: the last label, and its scores."""

import numpy as np
import pytest

from manyways.methods.online.no_change import NoChange

from .conftest import Arrays, Table, fit


def test_the_last_label_is_what_no_change_says(elec: Arrays, table: Table) -> None:
    labels = elec[1][:500]
    model = fit(NoChange(), table(elec[0][:500], labels))
    assert model.prequential["accuracy"] == ((labels[1:] == labels[:-1]).sum()) / 500
    assert (model.predict(table(elec[0][:9], labels[:9])) == labels[-1]).all()
    numbers = elec[0][:500, 1]
    errors = fit(NoChange(), table(elec[0][:500, 2:], numbers)).prequential
    assert errors["mean_absolute_error"] == pytest.approx(np.abs(np.diff(numbers, prepend=0.0)).mean())
    assert errors["r2"] == pytest.approx(
        1 - (np.diff(numbers, prepend=0.0) ** 2).sum() / ((numbers - numbers.mean()) ** 2).sum()
    )

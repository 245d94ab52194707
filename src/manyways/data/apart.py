"""Rows kept apart: neither learned from nor tested on, until one model has been chosen."""

from typing import TYPE_CHECKING

import numpy as np

from manyways.data.options import is_number
from manyways.data.parts import TEST, TRAINING, moved
from manyways.data.splitting import Rule, Split
from manyways.errors import DataError, ParameterError

if TYPE_CHECKING:
    from manyways.data.data import Data


def kept_apart(data: "Data", share: float, rule: Rule) -> tuple["Data", "Data"]:
    """`data` without the rows that are kept apart, and those rows, as test rows.

    They are drawn as test rows are, by the `rule`: the last where rows go by time, whole groups, other classes where
    classes are set aside. Where the data has test rows of its own, a share of these is kept apart. Rows that are equal
    to one of them are in neither.

    Args:
        data: Rows, which are not split yet.
        share: Share of the rows, or of the test rows.
        rule: Rule by which test rows are set aside.

    Raises:
        ParameterError: `share` is not in (0, 1).
        DataError: There are too few rows, or none, as of an environment.
    """
    if not (is_number(share) and 0 < share < 1):
        raise ParameterError(f"confirm must be a number in (0, 1); got {share!r}.")
    if data.environment is not None:
        raise DataError(f"{data.name} is an environment and has no rows to keep apart; leave confirm out.")
    if rule == "own":
        tests = moved(data.test, np.arange(len(data.test)), TRAINING)
        split = Split("time" if data.has("time") else "random", share).of(tests)
    else:
        tests, split = data, Split(rule, share).of(data)
    apart = data.select(np.isin(data.rows, split.test.rows))
    # A split leaves rows out whose label is known only after the test rows begin.
    data = data.select(~np.isin(data.rows, np.setdiff1d(tests.rows, split.rows)))
    return data.without(apart.ids), moved(apart, np.arange(len(apart)), TEST)

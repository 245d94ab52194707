"""Promises about rows that lack one of several inputs."""

from dataclasses import replace

import numpy as np

from manyways.data.columns import Column, modalities
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.chain import Chain
from manyways.methods.method import Method
from manyways.methods.needs import Input
from manyways.testing.trial import STEPS, Trial, answers, require, skip

EVERY = 5
"""One row of so many lacks the input."""


def rows_without_an_input_are_used_or_named(trial: Trial) -> None:
    """Rows that lack one of several inputs are learned from, or refused: which input, how many rows, and which."""
    if not _reads_inputs(trial.method) or not trial.data.inputs:
        skip("it reads no inputs")
    data, name = _with_gaps(trial.data)
    reason = trial.method.lacks(data, trial.start)
    if reason is not None:
        rows = data.select(np.flatnonzero(data.part[data.rows] != 2))
        lacking = int(rows.columns[name].missing(rows.rows).sum())
        said = repr(name) in reason and f"{lacking} of {len(rows)} rows (" in reason and "bad_rows=" in reason
        require(said, f"of {lacking} rows without {name!r} it only says: {reason}")
        try:
            trial.method.fit(data, trial.start, budget=1)
        except NeedsError as error:
            require(reason in str(error), f"fit gives another reason than lacks(): {error}")
            return
        require(False, f"it learns, although lacks() says: {reason}")
    model = trial.method.fit(data, trial.start, budget=STEPS)
    for what, said_of_rows in answers(model, data.test).items():
        finite = said_of_rows.dtype == object or bool(np.isfinite(said_of_rows).all())
        require(finite, f"the {what} of rows without {name!r} are not finite.")


def _reads_inputs(method: Method) -> bool:
    stages = method.stages if isinstance(method, Chain) else (method,)
    return any(Input in stage.needs for stage in stages)


def _with_gaps(data: Data) -> tuple[Data, str]:
    """`data` where every fifth row lacks the last of its inputs; where there is but one, numbers are a second."""
    count = len(data.part)
    gone = np.arange(count) % EVERY == 0
    if len(modalities(data.inputs)) > 1:
        column = data.inputs[-1]
        if column.kind in ("image", "audio"):
            column = replace(column, absent=gone)
        else:
            values = np.array(column.values[np.arange(count)], copy=True)
            values[gone] = np.nan if column.kind == "number" else None
            column = replace(column, values=values)
    else:
        numbers = np.random.default_rng(0).normal(size=count)
        numbers[gone] = np.nan
        column = Column("further", "number", numbers)
    names = tuple(dict.fromkeys([*data.roles["input"], column.name]))
    columns = {**data.columns, column.name: column}
    return replace(data, columns=columns, roles={**data.roles, "input": names}), column.name

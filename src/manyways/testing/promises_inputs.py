"""Promises about rows that lack one of several inputs."""

from dataclasses import replace

import numpy as np

from manyways.data.columns import Column, modalities
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.ablations import with_column
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
    whole = _with_two_inputs(trial)
    if whole is None:
        skip("it learns from one input alone")
    data, name = _with_gaps(whole)
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


def _with_two_inputs(trial: Trial) -> Data | None:
    """The rows with a second input where there is but one: numbers, or the same again where numbers are refused.

    Returns:
        None where the method learns from one input alone.
    """
    data = trial.data
    groups = modalities(data.inputs)
    if len(groups) > 1:
        return data
    numbers = Column("further", "number", np.random.default_rng(0).normal(size=len(data.part)))
    ((name, columns),) = groups.items()
    again = [] if name == "table" else [replace(columns[0], name="further")]
    candidates = [_with_input(data, column) for column in (numbers, *again)]
    return next((each for each in candidates if trial.method.lacks(each, trial.start) is None), None)


def _with_input(data: Data, column: Column) -> Data:
    names = (*data.roles["input"], column.name)
    return replace(data, columns={**data.columns, column.name: column}, roles={**data.roles, "input": names})


def _with_gaps(data: Data) -> tuple[Data, str]:
    """`data` where every fifth row lacks the last of its inputs, and the name of that."""
    gone = np.arange(len(data.part)) % EVERY == 0
    column = data.inputs[-1]
    if column.kind in ("image", "audio"):
        column = replace(column, absent=gone)
    else:
        values = np.array(column.values[np.arange(len(gone))], copy=True)
        values[gone] = np.nan if column.kind == "number" else None
        column = replace(column, values=values)
    return with_column(data, column), column.name

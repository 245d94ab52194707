"""Search spaces: values of fields, listed or drawn from a range, and how they are put into a method."""

from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import product
from typing import Any

import numpy as np

from manyways.errors import ParameterError
from manyways.methods.chain import Chain
from manyways.methods.fields import check_names
from manyways.methods.method import Method
from manyways.methods.ranges import range_of

Values = tuple[tuple[str, tuple[Any, ...]], ...]
"""Values by the name of the field."""
Ranges = tuple[tuple[str, str], ...]
"""Ranges, as text, by the name of the field."""
Choice = dict[str, Any]
"""A value for each field."""
MOST = 10_000
"""Combinations of a grid."""


def listed(given: object, where: str) -> Values:
    """The values of a grid, given as a mapping from fields to lists, or as they are saved.

    Raises:
        ParameterError: It is neither.
    """
    pairs = _pairs(given)
    if pairs is None or not all(isinstance(values, list | tuple) and values for _, values in pairs):
        raise ParameterError(
            f"{where} must have a list of values for each field, such as {{'learning_rate': [1e-3, 3e-3]}}; "
            f"got {given!r}."
        )
    return tuple((name, tuple(values)) for name, values in pairs)


def ranged(given: object, where: str) -> Ranges:
    """The ranges of a space, given as a mapping from fields to their text, or as they are saved.

    Raises:
        ParameterError: It is neither.
    """
    pairs = _pairs(given)
    if pairs is None:
        raise ParameterError(
            f"{where} must have a range for each field, such as {{'learning_rate': 'log(1e-4, 1e-2)'}}; got {given!r}."
        )
    for name, text in pairs:
        range_of(text, f"{where}[{name!r}]")
    return tuple((name, str(text)) for name, text in pairs)


def _pairs(given: object) -> list[tuple[str, Any]] | None:
    if not isinstance(given, Mapping | tuple):
        return None
    pairs: list[Any] = list(given.items()) if isinstance(given, Mapping) else list(given)
    sound = all(isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs)
    return pairs if sound else None


def with_fields(method: Method, choice: Choice) -> Method:
    """`method` with other values of fields: its own, or by a dotted name those of a method within: `base.threshold`.

    Of a chain they are those of the last stage that has such a field.

    Raises:
        ParameterError: There is no such field, or it does not take the value.
    """
    for path in sorted(choice, key=lambda path: path.count(".")):  # a method within before its own fields
        method = _with_field(method, path, choice[path])
    return method


def _with_field(method: Method, path: str, value: Any) -> Method:
    name, _, rest = path.partition(".")
    if isinstance(method, Chain):
        having = [at for at, stage in enumerate(method.stages) if name in {spec.name for spec in fields(stage)}]
        if not having:
            check_names(type(method.stages[-1]), [name])
        stages = list(method.stages)
        stages[having[-1]] = _with_field(stages[having[-1]], path, value)
        return replace(method, stages=tuple(stages))
    check_names(type(method), [name])
    within = getattr(method, name)
    if rest and isinstance(within, Method):
        value = _with_field(within, rest, value)
    elif rest:
        raise ParameterError(f"{type(method).__name__}.{name} is no method, so it has no field {rest!r}.")
    return replace(method, **{name: value})


def combinations(grid: Values) -> list[Choice]:
    """Every combination of the values, the last field's changing first."""
    names = [name for name, _ in grid]
    return [dict(zip(names, values, strict=True)) for values in product(*(values for _, values in grid))]


def drawn(grid: Values, space: Ranges, trials: int, seed: int) -> list[Choice]:
    """`trials` choices at random: of the values of the grid, and from the ranges (Bergstra & Bengio, 2012)."""
    rng = np.random.default_rng([seed, 811])
    ranges = [(name, range_of(text, name)) for name, text in space]
    if not ranges:
        every = combinations(grid)
        return [every[at] for at in sorted(rng.permutation(len(every))[:trials].tolist())]
    return [
        {name: values[int(rng.integers(len(values)))] for name, values in grid}
        | {name: values.draw(rng) for name, values in ranges}
        for _ in range(trials)
    ]

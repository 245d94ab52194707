"""Options of reading, and what each may be."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np

from manyways.data.kinds import KINDS
from manyways.data.notation import DECIMALS
from manyways.errors import ParameterError, did_you_mean

BadRows = Literal["refuse", "skip", "fill", "keep"]

OPTIONS = (
    "kinds",
    "test",
    "validation",
    "part",
    "bad_rows",
    "image_size",
    "image_white",
    "sample_rate",
    "seconds",
    "label_pattern",
    "header",
    "decimal",
    "environment",
    "horizon",
    "history",
    "season",
)

LENGTHS = ("horizon", "history", "season")
"""Options in steps of time, that of the values ahead first."""


def check_options(given: Mapping[str, Any]) -> None:
    """Raise ParameterError for the first of the options `given` by name that is of a wrong type or out of its range."""
    _check_kinds(given["kinds"])
    if isinstance(given["bad_rows"], Mapping):
        _check_fills(given["bad_rows"])
    else:
        _one_of("bad_rows", given["bad_rows"], get_args(BadRows))
    _check_size(given["image_size"])
    for name in ("image_white", "sample_rate", "seconds"):
        if (value := given[name]) is not None:
            check_number(**{name: value})
            if not 0 < value < float("inf"):
                raise ParameterError(f"{name} must be above 0{' and finite' if value > 0 else ''}; got {value!r}.")
    if (rate := given["sample_rate"]) is not None and rate != int(rate):
        raise ParameterError(f"sample_rate must be a whole number of samples per second; got {rate!r}.")
    for name, what in (("part", "the name of a column"), ("label_pattern", "a regular expression")):
        if given[name] is not None and not isinstance(given[name], str):
            raise ParameterError(f"{name} must be {what}; got {given[name]!r}.")
    if given["header"] is not None and not isinstance(given["header"], bool):
        raise ParameterError(
            f"header must be True, False or None, which lets the first row tell; got {given['header']!r}."
        )
    if given["decimal"] is not None:
        _one_of("decimal", given["decimal"], DECIMALS)
    _check_lengths({name: given[name] for name in LENGTHS})


def is_number(value: Any) -> bool:
    """True for a number that is no truth value."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """True for a whole number that is no truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_whole(**given: Any) -> None:
    """Raise ParameterError for the first of the values `given` by name that is no whole number."""
    for name, value in given.items():
        if not is_whole(value):
            raise ParameterError(f"{name} must be a whole number; got {value!r}.")


def check_number(**given: Any) -> None:
    """Raise ParameterError for the first of the values `given` by name that is no number."""
    for name, value in given.items():
        if not is_number(value):
            raise ParameterError(f"{name} must be a number; got {value!r}.")


def _check_lengths(given: Mapping[str, Any]) -> None:
    for name, steps in given.items():
        if steps is not None and not (is_whole(steps) and steps >= 1):
            raise ParameterError(f"{name} must be a whole number of time steps, 1 or more; got {steps!r}.")
        if steps is not None and given["horizon"] is None:
            raise ParameterError(f"{name} is of forecasts: say how many values ahead they are, horizon=24.")


def _check_kinds(kinds: Any) -> None:
    if kinds is None:
        return
    if not isinstance(kinds, Mapping):
        raise ParameterError(
            f"kinds must map names of columns to kinds, as in kinds={{'zip': 'category'}}; got {kinds!r}."
        )
    for name, kind in kinds.items():
        _one_of(f"kinds[{name!r}]", kind, tuple(KINDS))


def _check_fills(fills: Mapping[Any, Any]) -> None:
    for name, fill in fills.items():
        numbers = fill if isinstance(fill, tuple | list | np.ndarray) else (fill,)
        if not all(map(is_number, numbers)):
            raise ParameterError(
                f"bad_rows[{name!r}] must be a number, or one for each of the column's; got {fill!r}. Categories are "
                "filled with (missing) whatever is given."
            )


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        shown = ", ".join(allowed) if name != "decimal" else " or ".join(map(repr, allowed))
        raise ParameterError(f"{name} must be one of {shown}; got {value!r}.{did_you_mean(str(value), allowed)}")


def _check_size(size: Any) -> None:
    sides = size if isinstance(size, tuple | list) else (size,)
    if size is not None and not (0 < len(sides) <= 2 and all(is_whole(side) and side > 0 for side in sides)):
        raise ParameterError(f"image_size must be a positive whole number or (height, width) in pixels; got {size!r}.")

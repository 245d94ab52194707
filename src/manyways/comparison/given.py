"""Checks of the arguments of a comparison."""

from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from manyways.errors import ParameterError


def check_given(arguments: dict[str, Any]) -> None:
    """Raise ParameterError for an argument of `compare` that is of another type than it may be, or out of its range."""
    from manyways.methods.method import Method
    from manyways.models.model import Model

    methods, seeds = arguments["methods"], arguments["seeds"]
    if isinstance(methods, str) and methods != "all":
        raise ParameterError(f"methods must be a list, or 'all'; got the text {methods!r}. Type methods=[{methods!r}].")
    if methods not in (None, "all") and not (
        _several(methods) and all(isinstance(each, Method | str) for each in methods)
    ):
        raise ParameterError(
            f"methods must be a list of methods or their text, such as ['supervised', mw.Ridge()]; got {methods!r}."
        )
    if not (_whole(seeds) or (_several(seeds) and all(map(_whole, seeds)))):
        raise ParameterError(f"seeds must be how many, such as 3, or which, such as [0, 1, 2]; got {seeds!r}.")
    if any(seed < 0 for seed in ([seeds] if _whole(seeds) else seeds)):
        raise ParameterError(f"seeds must be whole numbers of at least 0; got {seeds!r}.")
    for name, least in (("labels", 1), ("workers", 0)):
        value = arguments[name]
        if value is not None and not (_whole(value) and value >= least):
            raise ParameterError(f"{name} must be a whole number in [{least}, inf), or None; got {value!r}.")
    limit = arguments["limit"]
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, Real) or not float(limit) > 0):
        raise ParameterError(f"limit must be seconds above 0, or None; got {limit!r}.")
    if not isinstance(arguments["metric"], str | None):
        raise ParameterError(
            f"metric must be the name of a score, such as 'accuracy', or None; got {arguments['metric']!r}."
        )
    if not isinstance(arguments["start"], Model | str | Path | None):
        raise ParameterError(f"start must be a model or its folder; got {arguments['start']!r}.")
    if not isinstance(arguments["backbone"], str | None):
        raise ParameterError(
            f"backbone must be a checkpoint's folder or its name on the Hub, as text; got {arguments['backbone']!r}."
        )
    check_on(arguments["on"])
    if arguments["on"] is not None and arguments["workers"] == 0:
        raise ParameterError(
            f"workers=0 runs in this process, and on={arguments['on']!r} on a cluster; leave one of the two out."
        )
    if arguments["on_progress"] is not None and not callable(arguments["on_progress"]):
        raise ParameterError(
            f"on_progress must be a function of one CompareProgress; got {arguments['on_progress']!r}."
        )


CLUSTER, CLIENT = "ray", "ray://"


def check_on(on: object) -> None:
    """Raise ParameterError unless `on` names a place where trainings may run; None is this machine."""
    if on is None or on == CLUSTER or (isinstance(on, str) and on.startswith(CLIENT) and len(on) > len(CLIENT)):
        return
    raise ParameterError(
        "on must be None for this machine, 'ray' for the Ray cluster that this machine is part of, or "
        f"'ray://HOST:PORT' for another; got {on!r}."
    )


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _several(value: Any) -> bool:
    return isinstance(value, Sequence | range) and not isinstance(value, str | bytes)

"""advise: which ways of learning the data allows, and what the others lack."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manyways.methods.discovery import all_methods
from manyways.methods.method import Method
from manyways.methods.needs import lacking

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.read import Source

FIRST_CHOICES = ("simclr", "supervised")
"""Where several methods can make the model that another starts from, the one that is best known is shown."""


@dataclass(frozen=True)
class Advice:
    """Whether one method can learn from the data.

    title: what it does, in a line. reason: what is missing and what to type instead, or what must come first;
    empty where nothing is. write: the method or chain to type, empty where the data does not allow it.
    """

    name: str
    title: str
    possible: bool
    reason: str
    write: str
    needs: tuple[str, ...]
    gives: tuple[str, ...]


def advise(data: "Source") -> list[Advice]:
    """What every method there is could do with `data`, the possible ones first, by name.

    data: a `Data`, or anything that `manyways.read` reads. Raises DataError where it cannot be read.
    """
    from manyways.data.read import as_data

    table = as_data(data)
    methods = [kind() for kind in all_methods().values()]
    starts = [each for each in methods if not each.needs_start() and each.lacks(table) is None]
    found = [_advice(method, table, starts) for method in methods]
    return sorted(found, key=lambda advice: (not advice.possible, advice.name))


def one_line(kind: type[Method]) -> str:
    """What the method does, in the first line of its docstring."""
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0]


def _advice(method: Method, data: "Data", starts: Sequence[Method]) -> Advice:
    if method.needs_start():
        write, reason = _after_a_start(method, data, starts)
    else:
        reason = method.lacks(data) or ""
        write = "" if reason else str(method)
    return Advice(
        name=method.method_name(),
        title=one_line(type(method)),
        possible=bool(write),
        reason=reason,
        write=write,
        needs=tuple(method.needs),
        gives=tuple(sorted(_given(method, data) if write else method.gives)),
    )


def _given(method: Method, data: "Data") -> frozenset[str]:
    """What a model that `method` learns from `data` can do: without labels it cannot predict them."""
    predicts = set()
    if data.has("label") and data.training.labelled.any():
        predicts = {"classify"} if data.classification else {"regress"}
    return frozenset(word for word in method.gives if word not in ("classify", "regress") or word in predicts)


def _after_a_start(method: Method, data: "Data", starts: Sequence[Method]) -> tuple[str, str]:
    """The chain with a model for `method` to start from, and why it takes one; or nothing and what lacks."""
    if reason := lacking(method.needs, data):
        return "", reason
    wanted = f"it starts from a model that gives {' or '.join(sorted(method.takes))}"
    fitting = [start for start in starts if _given(start, data) & method.takes]
    fitting.sort(key=lambda start: (start.method_name() not in FIRST_CHOICES, start.method_name()))
    missing = ""
    for start in fitting:
        chain = start >> method
        if (missing := chain.lacks(data) or "") == "":
            return str(chain), f"{wanted}."
    return "", missing or f"{wanted}, and no method can make one of this data."

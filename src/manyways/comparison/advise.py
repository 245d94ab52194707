"""advise: which ways of learning the data allows, and what the others lack."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from manyways.comparison.shortlist import Shortlist, shortlist
from manyways.comparison.tasks import task_of
from manyways.errors import DataError
from manyways.methods.discovery import all_methods
from manyways.methods.expressions import parse_method
from manyways.methods.method import Method
from manyways.methods.starts import completed, given, last
from manyways.models.abilities import any_of

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.read import Source


@dataclass(frozen=True)
class Advice:
    """One method: if it can learn from the data, and the reason if not.

    Attributes:
        name: Name of the method.
        title: Its docstring's first line.
        possible: True if it can learn from the data.
        reason: What is missing and what to type instead, or what must come first; empty where nothing is.
        write: The method or chain to type; empty where the data does not allow it.
        needs: Needs of the method.
        gives: Abilities of its models.
        from_labels: True if it learns from labels.
        recommended: Reason why it is on the shortlist, which a comparison tries by default; empty where it is not.
        left_out: Reason why it is not, where there is one.
    """

    name: str
    title: str
    possible: bool
    reason: str
    write: str
    needs: tuple[str, ...]
    gives: tuple[str, ...]
    from_labels: bool = False
    recommended: str = ""
    left_out: str = ""


def advise(data: "Source") -> list[Advice]:
    """Advice on every method there is for `data`: first those on the shortlist, then the possible ones, by name.

    Args:
        data: A `Data`, or anything that `manyways.read` reads.

    Raises:
        DataError: The data cannot be read.
    """
    from manyways.data.read import as_data

    table = as_data(data)
    listed = shortlist_of(table)
    found = [_with_place(_advice(kind(), table), listed) for kind in all_methods().values()]
    places = {name: place for place, name in reversed(list(enumerate(listed.makers.values())))}
    return sorted(found, key=lambda advice: (not advice.possible, places.get(advice.name, len(places)), advice.name))


def shortlist_of(data: "Data") -> Shortlist:
    """The shortlist of a comparison of `data` by its usual metric; an empty one where none can be made of it."""
    try:
        return shortlist(data, task_of(data))
    except DataError:
        return Shortlist()


def _with_place(advice: Advice, listed: Shortlist) -> Advice:
    """`advice` with the reason why the method is on the shortlist, or not."""
    mine = [text for text, maker in listed.makers.items() if advice.name == maker or text == advice.write]
    reasons = [listed.reasons[text] for text in mine]
    left_out = [reason for reason, names in listed.left_out.items() if advice.write in names]
    if not advice.possible:
        return advice
    return replace(advice, recommended=next(iter(reasons), ""), left_out=next(iter(left_out), ""))


def one_line(kind: type[Method]) -> str:
    """The first line of the method's docstring."""
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0]


def _advice(method: Method, data: "Data") -> Advice:
    if method.needs_start():
        write, reason = _after_a_start(method, data)
    else:
        reason = method.lacks(data) or ""
        write = "" if reason else str(method)
    return Advice(
        name=method.method_name(),
        title=one_line(type(method)),
        possible=bool(write),
        reason=reason,
        write=write,
        needs=tuple(map(str, method.needs)),
        from_labels=any(need.labelled for need in method.needs),
        gives=tuple(sorted(given(method, data) if write else method.gives)),
    )


def _after_a_start(method: Method, data: "Data") -> tuple[str, str]:
    """The chain with a model for `method` to start from, and why it takes one; or nothing and what lacks.

    A chain that the method itself suggests comes first.
    """
    if reason := method.lacks_of(data):
        return "", reason
    wanted = f"it starts from a model that gives {any_of(method.takes)}"
    own = [chain for chain in map(parse_method, method.suggestions(data)) if type(last(chain)) is type(method)]
    for each in (*own, method):
        if chain := completed(each, data):
            return str(chain), f"{wanted}."
    if checkpoint := method.at_a_checkpoint():
        return str(checkpoint), f"{wanted}, and none can be made of this data."
    return "", f"{wanted}, and no method can make one of this data."

"""Starts: which methods, or chains of them, make the model that another method starts from."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from manyways.data.targets import kind_of, predictions
from manyways.methods.discovery import all_methods
from manyways.methods.recommendations import OTHER

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.methods.method import Method
    from manyways.methods.needs import Need

PLAIN = "supervised"
"""Of methods that give and need the same, the one that others are measured against."""
LONGEST = 3
"""Methods in a chain that is found."""


def starts(wanted: frozenset[str], data: "Data | None" = None, longest: int = LONGEST) -> "list[Method]":
    """Methods and chains that start from nothing and give any of `wanted`, the plainest first.

    A shorter chain is plainer; then one that gives all of `wanted`, that a comparison would try, that gives little
    besides, needs little, and stands first on shortlists. With `data` only those that can learn from it, and give what
    they give there.
    """
    return sorted(_candidates(wanted, data, longest), key=lambda method: _order(method, wanted, data))


def completed(method: "Method", data: "Data") -> "Method | None":
    """`method` with a start before it that `data` allows, if it needs one; None where there is none."""
    if not method.needs_start():
        return method if method.lacks(data) is None else None
    chains = (start >> method for start in starts(stages(method)[0].takes, data))
    return next((chain for chain in chains if chain.lacks(data) is None), None)


def given(method: "Method", data: "Data | None" = None) -> frozenset[str]:
    """The abilities of a model that `method` makes; of `data` without labels none can learn to predict them."""
    words = last(method).gives
    if data is None:
        return words
    predicts: set[str] = set()
    if data.has("label") and data.training.labelled.any():
        predicts = {kind_of(data).gives} if len(data.labels) == 1 else set()
    return (words - predictions()) | (words & predicts)


def needs_any(method: "Method", *needs: "Need") -> bool:
    """True if the method, or a stage of the chain, has one of `needs` among its own."""
    return any(need in stage.needs for stage in stages(method) for need in needs)


def learns_from_labels(method: "Method") -> bool:
    """True if the method, or a stage of the chain, can only learn from rows with labels."""
    return any(need.labelled for stage in stages(method) for need in stage.needs)


def giver(wanted: frozenset[str], data: "Data | None" = None) -> str:
    """A method whose model gives one of `wanted`, for messages that say what to type; one for `data` where there is."""
    found = (starts(wanted, data) if data is not None else []) or starts(wanted)
    return str(found[0]) if found else "a_method"


def start_hint(method: "Method", data: "Data") -> str:
    """The text to type for a model that `method` can start from; one that `data` allows, where it allows any."""
    chain = f"chain it: {giver(method.takes, data)} >> {method}"
    return f'name one, checkpoint="FOLDER", or {chain}' if method.at_a_checkpoint() else chain


def needs_data(method: "Method") -> bool:
    """True if there must be data to learn from."""
    return any(stage.needs for stage in stages(method))


def set_aside(method: "Method", data: "Data", share: float) -> "Data":
    """`data` with a `share` of its rows to score on; of its classes, where models are scored on new ones."""
    return data.with_test_classes(share) if last(method).new_classes else data.with_some_as_test(share)


def last(method: "Method") -> "Method":
    """The stage of a chain that makes its model, or the method itself."""
    return stages(method)[-1]


def stages(method: "Method") -> "tuple[Method, ...]":
    """The stages of a chain, of those in it too, or the method itself."""
    from manyways.methods.chain import Chain

    if not isinstance(method, Chain):
        return (method,)
    return tuple(part for stage in method.stages for part in stages(stage))


def _candidates(wanted: frozenset[str], data: "Data | None", longest: int) -> "Iterator[Method]":
    for kind in all_methods().values():
        method = kind()
        if not (needs_data(method) and given(method, data) & wanted):
            continue
        if not method.needs_start():
            if data is None or method.lacks(data) is None:
                yield method
        elif longest > 1 and not method.takes & wanted:  # what it makes of a model, that model could be itself
            before = starts(method.takes, data, longest - 1)
            chains = (start >> method for start in before)
            if chain := next((chain for chain in chains if data is None or chain.lacks(data) is None), None):
                yield chain


def _order(method: "Method", wanted: frozenset[str], data: "Data | None") -> tuple[object, ...]:
    gives, parts = last(method).gives, stages(method)
    besides = gives - wanted - predictions() - {"embed"}  # to predict or embed more makes no method less plain
    tried = bool(parts[-1].suggestions(data))
    needs = sum(len(part.needs) for part in parts)
    name = parts[-1].method_name()
    ranks = [OTHER if each.rank is None else each.rank for each in parts[-1].recommends.values()]
    rank = min(ranks, default=OTHER)
    return len(parts), -len(gives & wanted), not tried, len(besides), needs, name != PLAIN, rank, str(method)

"""Sources that a receipt names: data, checkpoints and folders that it would have this machine read; and functions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from manyways.data.data import Data
from manyways.errors import ManywaysError, ParameterError, StoreError
from manyways.lineage.forgetting.receipt_data import restored_data
from manyways.lineage.terms import NO_PROOF
from manyways.methods.saved import Functions, functions_in

READ = frozenset({"checkpoint", "backbone", "models", "base", "reward"})
"""Fields of methods whose text is a folder, a file or a name of the Hub. Of other fields a text is one where it has a
slash, so that a method that this version does not know is asked about, too."""


def retrained_lineages(receipt: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    """The lineages that are to be learned again, with the place of their model."""
    return [
        (at, model["after"]["lineage"])
        for at, model in enumerate(receipt["models"])
        if model["after"] is not None and model["guarantee"] != NO_PROOF
    ]


def named_sources(receipt: Mapping[str, Any], given: Mapping[str, Data]) -> list[str]:
    """The paths and names of the Hub that checking `receipt` reads, each once, as it writes them.

    given: the data that need not be read, by their key in the receipt.
    """
    names: list[str] = []
    for key, saved in receipt["data"].items():
        if key not in given and saved["origin"]:
            options = saved["origin"]["options"]
            names += [
                saved["origin"]["source"],
                *(options[name] for name in ("test", "validation") if options.get(name)),
            ]
    for at, lineage in retrained_lineages(receipt):
        handed = {role.removeprefix("field:") for role in receipt["models"][at]["made_from"]}
        functions = {place for place, _ in functions_in(lineage["method"])}
        names += [text for place, text in _texts(lineage["method"], "") if place not in handed | functions]
    return list(dict.fromkeys(names))


def _texts(saved: Any, place: str) -> Iterator[tuple[str, str]]:
    """The texts in the JSON of a method that name something to be read, with their places."""
    if isinstance(saved, str):
        field = place.rpartition(".")[2].partition("[")[0]
        if ("/" in saved or "\\" in saved or field in READ) and not (field == "backbone" and _is_built_in(saved)):
            yield place, saved
    elif isinstance(saved, Mapping):
        if "function" in saved or "model" in saved:
            return
        for name, value in saved.items():
            if name != "name":
                values = _by_field(value) if name == "grid" else value
                yield from _texts(values, f"{place}.{name}" if place else str(name))
    elif isinstance(saved, list):
        for at, value in enumerate(saved):
            yield from _texts(value, f"{place}[{at}]")


def _by_field(grid: Any) -> Any:
    """The values of a `grid`, which is saved as pairs, under the names of the fields that they are for."""
    pairs = isinstance(grid, list) and all(isinstance(each, list) and len(each) == 2 for each in grid)
    return {str(name): values for name, values in grid} if pairs else grid


def _is_built_in(backbone: str) -> bool:
    from manyways.models.backbones import BACKBONES

    return backbone == "auto" or backbone in BACKBONES


def refuse_unless_allowed(sources: Sequence[str], allowed: Sequence[str]) -> None:
    """Raise StoreError where one of `sources` was not agreed to."""
    if strange := [source for source in sources if source not in allowed]:
        raise StoreError(
            f"The receipt makes this machine read {', '.join(map(repr, strange))}, which nobody has agreed to. Nothing "
            "was read. Agree to it: allow=[…]."
        )


def refuse_unless_given(receipt: Mapping[str, Any], functions: Functions) -> None:
    """Raise ParameterError where a method in `receipt` names a function that is not among `functions`."""
    for at, lineage in retrained_lineages(receipt):
        handed = {role.removeprefix("field:") for role in receipt["models"][at]["made_from"]}
        for place, name in functions_in(lineage["method"]):
            if name not in functions and place not in handed:
                raise ParameterError(
                    f"The receipt names the function {name!r}, {place} of {receipt['models'][at]['title']}. It is not "
                    "imported on the word of a file. Say which function of yours it is: "
                    f'functions={{"{name}": …}}.'
                )


def supplied_data(receipt: Mapping[str, Any], given: Sequence[Data], gone: Any) -> dict[str, tuple[Data, Data]]:
    """The data in `receipt` that can be laid out of those `given`: by key the one given, and what came of it."""
    supplied: dict[str, tuple[Data, Data]] = {}
    for key, saved in receipt["data"].items():
        for source in given:
            try:
                supplied[key] = source, restored_data(saved, source, gone)
                break
            except ManywaysError:
                continue
    return supplied

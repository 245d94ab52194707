"""Retraining of a model as its record says, on the rows that are left."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pyroaring import BitMap

from manyways.data.columns import places_of
from manyways.data.data import Data
from manyways.data.origin_reader import read_origin
from manyways.errors import ManywaysError, StoreError
from manyways.lineage.store.manifest import Manifest, MissingRows
from manyways.lineage.store.model_record import ModelRecord
from manyways.lineage.store.row_registry import Ids, numbers_in
from manyways.methods.chain import Chain
from manyways.methods.expressions import is_method_name
from manyways.methods.saved import Functions, functions_in, method_from_json, places
from manyways.models.lineage import processor
from manyways.models.model import Model
from manyways.training.budget import Budget, Planned
from manyways.training.run import Run


@dataclass(frozen=True, eq=False)
class RestoredData:
    """The data of a model: without the rows that go, and with them where the source still has them all.

    Attributes:
        rest: The data without those rows; None where nothing is left.
        whole: The data with them; None where the source has lost them.
        gone: Mask of the rows of `whole` that go.
        used: Mask of the rows of the source, without those that go, that are among the data; None where all are.
    """

    rest: Data | None
    whole: Data | None
    gone: NDArray[np.bool_]
    used: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class SuppliedInputs:
    """Inputs of a caller in place of what records only name: data, and functions by their names in records."""

    data: Sequence[Data] = ()
    functions: Functions = field(default_factory=dict)


class DataSources:
    """The data that manifests speak of, read from where they came from or given by hand; each is read once.

    Args:
        known: Ids of all rows by their number in the store.
        given: Data and functions of the caller.
    """

    def __init__(self, known: Ids, given: SuppliedInputs | None = None) -> None:
        given = given or SuppliedInputs()
        self._known, self._given, self.functions = known, list(given.data), given.functions
        self._read: dict[str, Data] = {}

    def find(self, manifest: Manifest, gone: BitMap) -> RestoredData:
        """Return the data of `manifest` without `gone`; `rest` is None where nothing is left to learn from.

        Raises StoreError where the source is not known, is gone, or no longer holds the other rows.
        """
        source = self._source(manifest)
        numbers = self._numbers(source)
        leaving = np.isin(manifest.numbers, numbers_in(gone))
        left = manifest.without(gone)
        if not left.given():
            return RestoredData(None, None, np.zeros(0, bool))
        stays = ~np.isin(numbers, numbers_in(gone))
        among = np.isin(numbers[stays], left.numbers)
        used = None if among.all() else among
        try:
            whole = manifest.laid_out(source, numbers)
        except MissingRows:
            if not leaving.any():
                raise
            # The rows may have left the source already: then the others are enough.
            return RestoredData(left.laid_out(source, numbers), None, np.zeros(0, bool), used)
        ids = self._known[numbers_in(gone)]
        return RestoredData(whole.without(ids), whole, leaving[whole.rows], used)

    def _source(self, manifest: Manifest) -> Data:
        shared = [int(np.isin(manifest.numbers, self._numbers(data)).sum()) for data in self._given]
        if any(shared):
            return self._given[int(np.argmax(shared))]
        if manifest.origin is None:
            raise StoreError(
                f"{manifest.name} was in memory, or has been given labels by hand, so it cannot be read again. Give it "
                "as it was: data=…."
            )
        key = json.dumps(manifest.origin.to_json())
        if key not in self._read:
            try:
                self._read[key] = read_origin(manifest.origin)
            except ManywaysError as error:
                raise StoreError(f"{manifest.origin.source} cannot be read again: {error}") from error
        return self._read[key]

    def _numbers(self, source: Data) -> NDArray[np.int64]:
        return places_of(source.all_ids, self._known)


@dataclass(frozen=True, eq=False)
class SourceModels:
    """The models that another is made from."""

    start: Model | None = None
    done: Mapping[str, Model] | None = None
    """The stages that it is put together of, by name."""
    fields: Mapping[str, Any] | None = None
    """The values of fields that held a model or named its folder, by place."""


def retrain(
    lineage: Mapping[str, Any], data: Data | None, parts: SourceModels, run: Run, functions: Functions | None = None
) -> Model:
    """The model that is learned as `lineage`, the JSON of one, says, from `data` and `parts`, for as many steps.

    functions: those that the method names; see `method_from_json`.
    Raises ManywaysError where it cannot be, as `Method.fit` does.
    """
    method = method_from_json(lineage["method"], parts.fields, functions)
    if data is not None and (allowance := lineage["facts"].get("allowance")) is not None:
        data = data.with_allowance(allowance)
    run = replace(
        run,
        plans={part: Planned(*steps) for part, steps in lineage["plan"].items()},
        done=parts.done or {},
        device=lineage["machine"].get("device", "auto"),
    )
    with same_threads(lineage["machine"]):
        model = method.fit(data, parts.start, budget=Budget.of(lineage["budget"]), seed=lineage["seed"], run=run)
    handed = [*(parts.fields or ()), *(place for place, _ in functions_in(lineage["method"]))]
    if not handed:
        return model
    # Folders and functions that were named may be elsewhere now: the model is called what it was called.
    said = {**model.lineage.method, **{name: lineage["method"][name] for name in _top(handed)}}
    return replace(model, lineage=replace(model.lineage, method=said, title=lineage["title"]))


def _top(handed: Sequence[str]) -> set[str]:
    """The fields of the method itself that the places `handed` lie in."""
    return {place.split(".")[0].split("[")[0] for place in handed}


@contextmanager
def same_threads(machine: Mapping[str, str]) -> Iterator[None]:
    """Context with as many threads as `machine`, that of a lineage, had: sums depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(int(machine.get("threads", before)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def retraining_obstacle(record: ModelRecord, functions: Functions, *, other_versions: bool = False) -> str | None:
    """The reason why the model of `record` cannot be retrained, whatever the data; None if there is none.

    functions: those that were given by the names that records have for them.
    """
    lineage = record.lineage
    method = lineage["method"]
    if reason := _method_obstacle(record, method, functions):
        return reason
    if record.manifest is None and lineage["rows"]:
        return "the store does not know what it was learned from: it was kept without its data"
    if not record.by_fit and not record.parents and (others := list(_others(lineage, list(_within(method))))):
        return f"it was made from {others[0]['title']}, which is not in the store"
    if not other_versions and (strange := environment_difference(lineage["versions"], lineage["machine"])):
        return f"it was learned under {strange}"
    return None


def _within(method: Any) -> Iterator[Mapping[str, Any]]:
    """The methods within the JSON of a method: stages of a chain, what each round is trained by."""
    for value in method.values() if isinstance(method, Mapping) else method if isinstance(method, list) else ():
        if isinstance(value, Mapping) and "name" in value:
            yield value
        yield from _within(value)


def _others(lineage: Mapping[str, Any], own: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The lineages that one was made from, without those of its `own` parts, which are made again with it."""
    for parent in lineage["parents"]:
        if parent["method"] in own:
            yield from _others(parent, own)
        else:
            yield parent


def _method_obstacle(record: ModelRecord, method: Mapping[str, Any], functions: Functions) -> str | None:
    if not method or not (method["name"] == Chain.method_name() or is_method_name(str(method["name"]))):
        return f"no method called {method.get('name', 'nothing')!r} is installed that could make it again"
    for place, name in places(method, "model"):
        if f"field:{place}" not in record.parents:
            return f"its field {place} was the model {name}, which is not in the store"
    try:
        method_from_json(method, dict.fromkeys(place for place, _ in places(method, "model")), functions)
    except ManywaysError as error:
        return str(error).removesuffix(".")
    return None


def environment_difference(versions: Mapping[str, str], machine: Mapping[str, str]) -> str | None:
    """The first difference of `versions` and `machine`, those of a lineage, from here, in words; None without one."""
    for name, stated in versions.items():
        here = _version(name)
        if here != stated:
            return f"{name} {stated}, and here is {here or 'none'}"
    device, kind = machine.get("device", "cpu"), machine.get("processor")
    if device.startswith("cuda") and not torch.cuda.is_available():
        return f"a GPU ({kind}), and here is none"
    if kind and processor(device) != kind:
        return f"{kind}, and this machine has {processor(device)}"
    return None


def _version(name: str) -> str | None:
    import platform

    if name == "python":
        return platform.python_version()
    try:
        return version(name)
    except PackageNotFoundError:
        return None

"""Verifying a receipt: its models are learned again without the rows, and their weights compared."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from manyways.data.columns import ids_from_text
from manyways.data.data import Data
from manyways.data.origin import Origin
from manyways.errors import ManywaysError, StoreError
from manyways.lineage.plan import DELETE, NEARLY, NO_PROOF
from manyways.lineage.receipt import manifest_in, read_receipt, used_rows
from manyways.lineage.replay import Parts, differing, repeat
from manyways.lineage.store import Store
from manyways.lineage.weights import weights_hash
from manyways.models.model import Model
from manyways.models.saving import save_model
from manyways.training.run import Run

SAME, DIFFERS, GONE, UNPROVEN, UNABLE = "same", "differs", "gone", "not proof", "cannot"
CLOSE = float(NEARLY)
"""The relative difference that closed forms keep to."""


@dataclass(frozen=True)
class Verdict:
    """What was found of one model in a receipt.

    verdict: `same`, the weights are those that learning again gives; `differs`; `gone`, it was deleted and the store
    has it no more; `not proof`, it was made by an approximate method; `cannot`, it could not be learned again. note:
    why, or by how much.
    """

    title: str
    how: str
    verdict: str
    note: str = ""

    @property
    def failed(self) -> bool:
        """Whether the receipt does not hold."""
        return self.verdict == DIFFERS


def verify(
    receipt: str | Path | Mapping[str, Any],
    *,
    data: Data | Sequence[Data] | None = None,
    store: Store | None = None,
    functions: bool = False,
    follow: Callable[[str], None] | None = None,
) -> list[Verdict]:
    """Learn again every model in `receipt`, without the rows that were forgotten, and compare the weights.

    data: what they were learned from, where the receipt does not say where that is. store: where models are that were
    left as they are and others were made from. functions: whether functions that methods name may be imported, on the
    receipt's word. follow: is told each model's title before it is learned.
    Raises StoreError where the receipt cannot be read or was edited.
    """
    said = dict(receipt) if isinstance(receipt, Mapping) else read_receipt(receipt)
    given = [data] if isinstance(data, Data) else list(data or ())
    with tempfile.TemporaryDirectory() as scratch:
        work = _Verifier(said, given, store or Store(), functions, Path(scratch))
        verdicts = []
        for at, model in enumerate(said["models"]):
            if follow is not None:
                follow(model["title"])
            verdicts.append(work.verdict(at, model))
        return verdicts


class _Verifier:
    def __init__(
        self, receipt: Mapping[str, Any], given: Sequence[Data], store: Store, functions: bool, scratch: Path
    ) -> None:
        self._receipt, self._given, self._store = receipt, given, store
        self._functions, self._scratch = functions, scratch
        self._gone = ids_from_text(receipt["rows"])
        self._made: dict[int, Model] = {}
        self._data: dict[str, Data] = {}

    def verdict(self, at: int, model: Mapping[str, Any]) -> Verdict:
        found = Verdict(model["title"], model["how"], UNABLE)
        if model["how"] == DELETE:
            there = any(record.id == model["before"]["id"] for record in self._store.models())
            return replace(found, verdict=DIFFERS if there else GONE, note="the store still has it" if there else "")
        if model["guarantee"] == NO_PROOF:
            return replace(found, verdict=UNPROVEN, note="an approximate method made it, or what it was made from")
        lineage = model["after"]["lineage"]
        if strange := differing(lineage["versions"], lineage["machine"]):
            return replace(found, note=f"it was learned under {strange}")
        try:
            made = self._learn(at, model)
        except ManywaysError as error:
            return replace(found, note=str(error))
        self._made[at] = made
        if weights_hash(made, self._scratch) == model["after"]["weights"]:
            return replace(found, verdict=SAME, note="bitwise")
        return self._close(found, model, made)

    def _close(self, found: Verdict, model: Mapping[str, Any], made: Model) -> Verdict:
        """Whether the weights in the store are those of `made` as nearly as was promised."""
        try:
            kept = self._store.load(model["after"]["id"])
        except StoreError:
            return replace(found, verdict=DIFFERS, note="the hash of its weights is another")
        furthest = relative_difference(made, kept)
        note = f"its numbers differ by up to {furthest:.2g}, relative"
        promised = model["guarantee"] == NEARLY
        return replace(found, verdict=SAME if promised and furthest <= CLOSE else DIFFERS, note=note)

    def _learn(self, at: int, model: Mapping[str, Any]) -> Model:
        start, done = None, {}
        fields: dict[str, Any] = {}
        for role, source in model["made_from"].items():
            kind, _, place = role.partition(":")
            if kind == "parent":
                continue
            held = self._held(source)
            if kind == "start":
                start = held
            elif kind == "part":
                done[place] = held
            else:
                folder = self._scratch / f"{at}-{len(fields)}"
                fields[place] = str(save_model(held, folder)) if place in model["folders"] else held
        lineage = {**model["after"]["lineage"], "parents": []}
        key = model["after"]["data"]
        data = self._rows(str(key)) if key is not None else None
        return repeat(lineage, data, Parts(start, done, fields), Run(), functions=self._functions)

    def _held(self, source: Mapping[str, Any]) -> Model:
        if "id" in source:
            return self._store.load(source["id"])
        if source["model"] in self._made:
            return self._made[source["model"]]
        raise StoreError("what it is made from could not be learned again")

    def _rows(self, key: str) -> Data:
        """The data under `key` in the receipt, without the rows."""
        if key not in self._data:
            saved = self._receipt["data"][key]
            self._data[key] = self._laid_out(saved)
        return self._data[key]

    def _laid_out(self, saved: Mapping[str, Any]) -> Data:
        candidates = list(self._given)
        if saved["origin"]:
            candidates.append(Origin.from_json(saved["origin"]).read())
        if not candidates:
            raise StoreError(f"{saved['name']} was in memory. Give it as it was: --data.")
        problem = StoreError("")
        for source in candidates:
            try:
                rest = used_rows(saved, source.without(self._gone))
                manifest = manifest_in(saved, rest)
                return manifest.laid_out(rest, manifest.numbers)
            except StoreError as error:
                problem = error
        raise problem


def relative_difference(first: Model, second: Model) -> float:
    """The largest difference between numbers of two models, relative to the largest of their tensor; inf where tensors
    are not alike.
    """
    ours, theirs = first.network.state_dict(), second.network.state_dict()
    if ours.keys() != theirs.keys() or any(ours[name].shape != theirs[name].shape for name in ours):
        return float("inf")
    furthest = 0.0
    for name, tensor in ours.items():
        one, two = tensor.to(torch.float64), theirs[name].to(torch.float64)
        largest = max(float(one.abs().max()), float(two.abs().max())) if one.numel() else 0.0
        if largest > 0:
            furthest = max(furthest, float((one - two).abs().max()) / largest)
    return furthest

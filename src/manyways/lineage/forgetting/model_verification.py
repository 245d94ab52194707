"""Learning a model of a receipt again, and comparing what comes of it with what the receipt says."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from manyways.checked_json import brief
from manyways.data.columns import ids_from_text, places_of
from manyways.data.data import Data
from manyways.errors import ManywaysError, StoreError
from manyways.lineage.forgetting.receipt_data import read_source, restored_data
from manyways.lineage.forgetting.receipt_rows import RowCounter, row_count_difference
from manyways.lineage.forgetting.retraining import SourceModels, environment_difference, retrain
from manyways.lineage.store.lineage_hash import lineage_hash
from manyways.lineage.store.model_record import FORGOTTEN
from manyways.lineage.store.store import Store
from manyways.lineage.store.weight_store import weights_hash
from manyways.lineage.terms import DELETE, NEARLY, NO_PROOF
from manyways.methods.saved import Functions
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.saving import save_model
from manyways.training.run import Run

if TYPE_CHECKING:
    from manyways.lineage.forgetting.deployed_model import DeployedModel

SAME, DIFFERS, GONE, UNPROVEN, UNABLE, UNCHECKED = "same", "differs", "gone", "not proof", "cannot", "not checked"
CLOSE = float(NEARLY)
"""The relative difference that closed forms keep to."""
COMPARED = (
    "method", "title", "seed", "budget", "data", "fingerprint", "rows", "steps", "plan", "machine", "facts",
)  # fmt: skip
"""Members of a lineage that the receipt must state as a retrained model's has them; its seconds may differ."""


@dataclass(frozen=True)
class Verdict:
    """Verdict on one model in a receipt.

    Attributes:
        title: Title of the model.
        how: Way in which it was made to forget.
        verdict: `same`, the weights are those that retraining gives; `differs`; `gone`, it was deleted and the store
            has it no more; `not checked`, it was deleted, which the store alone could show; `not proof`, it was made by
            an approximate method; `cannot`, it could not be retrained.
        note: Reason, or distance.
    """

    title: str
    how: str
    verdict: str
    note: str = ""

    @property
    def failed(self) -> bool:
        """True if it is not as the receipt says."""
        return self.verdict == DIFFERS

    @property
    def passed(self) -> bool:
        """True if it was checked, and is as the receipt says."""
        return self.verdict in (SAME, GONE)


class ModelVerifier:
    """Checks the models of a receipt one after the other, in their order.

    held: of its data those that were given, by key, and what was laid out of them. count: is shown all data.
    """

    def __init__(
        self, receipt: Mapping[str, Any], supplied: Mapping[str, tuple[Data, Data]], store: Store, functions: Functions,
        scratch: Path, deployed: "DeployedModel | None", count: RowCounter,
    ) -> None:  # fmt: skip
        self._receipt, self._store, self._functions = receipt, store, functions
        self._scratch, self._deployed, self._count = scratch, deployed, count
        self._gone = ids_from_text(receipt["rows"])
        self._retrained: dict[int, Model] = {}
        self._data: dict[str, Data] = {}
        for key, (source, learned) in supplied.items():
            count.look(source, learned)
            self._data[key] = learned

    def verdict(self, place: int, model: Mapping[str, Any]) -> Verdict:
        """Return the verdict on the model at place `place`. Does not raise for what the receipt makes go wrong."""
        unable = Verdict(model["title"], model["how"], UNABLE)
        if model["how"] == DELETE:
            note = "the receipt says that it was deleted, which the store alone can show: --store"
            return replace(unable, verdict=UNCHECKED, note=note)
        if model["guarantee"] == NO_PROOF:
            return replace(unable, verdict=UNPROVEN, note="an approximate method made it, or what it was made from")
        try:
            retrained = self._learn(place, model)
            wrong = self._contradiction(model, retrained)
        except ManywaysError as error:
            return replace(unable, note=str(error))
        except Exception as error:  # a recipe that a stranger wrote may fail in any way; it takes nothing down with it
            return replace(unable, note=f"learning it again fails: {type(error).__name__}: {brief(str(error), 200)}")
        self._retrained[place] = retrained
        if wrong:
            return replace(unable, verdict=DIFFERS, note=wrong)
        return self._compared(unable, model, retrained)

    def _compared(self, undecided: Verdict, model: Mapping[str, Any], retrained: Model) -> Verdict:
        """Compare the weights that are kept with those of `retrained`, bitwise or as nearly as was promised."""
        strange = model_id(retrained.lineage, model["after"]["weights"]) != model["after"]["id"]
        if weights_hash(retrained, self._scratch) == model["after"]["weights"]:
            if strange:
                return replace(undecided, verdict=DIFFERS, note="its id is not that of its lineage and weights")
            return replace(undecided, verdict=SAME, note="bitwise")
        if model["guarantee"] != NEARLY:
            return replace(undecided, verdict=DIFFERS, note="the hash of its weights is another")
        kept = self._kept(model)
        if kept is None:
            note = (
                f"its hash is another, as {NEARLY} allows, and the weights themselves are not at hand to be compared. "
                "Give the model: --model DIR"
            )
            return replace(undecided, note=note)
        furthest = relative_difference(retrained, kept)
        note = f"its numbers differ by up to {furthest:.2g}, relative"
        return replace(undecided, verdict=SAME if furthest <= CLOSE and not strange else DIFFERS, note=note)

    def _contradiction(self, model: Mapping[str, Any], retrained: Model) -> str | None:
        """The first difference between a model and what the receipt says of it or of its rows; None without one."""
        stated, here = model["after"]["lineage"], retrained.lineage.to_json()
        for name in COMPARED:
            if stated[name] != here[name]:
                return f"its {name} is {brief(here[name])}, and the receipt says {brief(stated[name])}"
        if model["title"] != stated["title"]:
            return f"it is called {brief(stated['title'])} in its lineage, and {brief(model['title'])} beside it"
        if shaped := int((places_of(self._gone, retrained.lineage.all_rows()) >= 0).sum()):
            return f"it is made from a model that {shaped:,} of the forgotten rows shaped"
        key = model["after"]["data"]
        return None if key is None else row_count_difference(model, self._rows(str(key)))

    def _kept(self, model: Mapping[str, Any]) -> Model | None:
        """The very weights that the receipt tells of: those of the model that was given, or in the store."""
        key = model["after"]["weights"]
        if self._deployed is not None and self._deployed.weights == key:
            return self._deployed.model
        try:
            record = self._store.find(model["after"]["id"])
            return self._store.load(record.id) if record.weights == key else None
        except StoreError:
            return None

    def _learn(self, number: int, model: Mapping[str, Any]) -> Model:
        stated = model["after"]["lineage"]
        if strange := environment_difference(stated["versions"], stated["machine"]):
            raise StoreError(f"it was learned under {strange}")
        start, done = None, {}
        fields: dict[str, Any] = {}
        for role, source in model["made_from"].items():
            kind, _, place = role.partition(":")
            if kind == "parent":
                continue
            source_model = self._source_model(source)
            if kind == "start":
                start = source_model
            elif kind == "part":
                done[place] = source_model
            else:
                folder = self._scratch / f"{number}-{len(fields)}"
                fields[place] = str(save_model(source_model, folder)) if place in model["folders"] else source_model
        lineage = {**stated, "parents": []}
        key = model["after"]["data"]
        data = self._rows(str(key)) if key is not None else None
        made = retrain(lineage, data, SourceModels(start, done, fields), Run(), self._functions)
        facts = {**made.lineage.facts, FORGOTTEN: stated["facts"][FORGOTTEN]}
        # All stated versions are those of here; which others are, depends on what else this process has imported.
        return replace(made, lineage=replace(made.lineage, facts=facts, versions=stated["versions"]))

    def _source_model(self, source: Mapping[str, Any]) -> Model:
        if "id" in source:
            return self._store.load(source["id"])
        if source["model"] in self._retrained:
            return self._retrained[source["model"]]
        raise StoreError("what it is made from could not be learned again")

    def _rows(self, key: str) -> Data:
        """The data under `key` in the receipt, without the rows."""
        if key not in self._data:
            saved = self._receipt["data"][key]
            if not saved["origin"]:
                raise StoreError(f"{saved['name']} was in memory. Give it as it was: --data.")
            source = read_source(saved)
            learned = restored_data(saved, source, self._gone)
            self._count.look(source, learned)
            self._data[key] = learned
        return self._data[key]


def model_id(lineage: Lineage, weights: str) -> str:
    """The id that a store has for a model with this lineage and these weights."""
    return hashlib.sha256(f"{lineage_hash(lineage)} {weights}".encode()).hexdigest()


def relative_difference(first: Model, second: Model) -> float:
    """The largest difference between parameters of two models, relative to the largest of their tensor.

    It is inf where the tensors are not alike.
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

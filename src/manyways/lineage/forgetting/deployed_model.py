"""Checks of what is deployed against a receipt: a model in a folder, and the models of a store."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manyways.data.columns import ids_from_text
from manyways.lineage.forgetting.receipt_rows import ReceiptCheck
from manyways.lineage.store import row_registry
from manyways.lineage.store.store import Store, reached_by
from manyways.lineage.store.weight_store import weights_hash
from manyways.models.model import Model
from manyways.models.saving import load_model


@dataclass(frozen=True, eq=False)
class DeployedModel:
    """The model in a folder, with the hash that a store has for its weights."""

    folder: Path
    model: Model
    weights: str

    @staticmethod
    def load(folder: Path, scratch: Path) -> "DeployedModel":
        """The model in `folder`. Raises ModelError where there is none."""
        model = load_model(folder)
        return DeployedModel(folder, model, weights_hash(model, scratch))

    def check(self, receipt: Mapping[str, Any]) -> ReceiptCheck:
        """Check that it is one of the models of `receipt`, as they are since the rows were forgotten."""
        after = [
            model["title"]
            for model in receipt["models"]
            if model["after"] and model["after"]["weights"] == self.weights
        ]
        if after:
            return ReceiptCheck("model", True, f"{self.folder} is {after[-1]} as the receipt says")
        before = [model["title"] for model in receipt["models"] if model["before"]["weights"] == self.weights]
        if before:
            return ReceiptCheck(
                "model", False, f"{self.folder} is {before[-1]} as it was before the rows were forgotten"
            )
        return ReceiptCheck(
            "model", False, f"{self.folder} holds {self.model.lineage.title}, which is no model of the receipt"
        )


def check_store(receipt: Mapping[str, Any], store: Store) -> ReceiptCheck:
    """Check that `store` has the models of `receipt` as it says, and none that the rows or their subject reached."""
    wrong = _wrong_models(receipt, store) or _wrong_rows(receipt, store)
    if wrong:
        return ReceiptCheck("store", False, f"in the store at {store.folder} {wrong}")
    return ReceiptCheck(
        "store", True, f"the store at {store.folder} has the models as the receipt says, and nothing of the rows"
    )


def _wrong_models(receipt: Mapping[str, Any], store: Store) -> str | None:
    known = {record.id: record for record in store.models()}
    for model in receipt["models"]:
        if model["before"]["id"] in known:
            return f"there still is {model['title']} as it was ({model['before']['id'][:10]})"
        if model["after"] is None:
            continue
        record = known.get(model["after"]["id"])
        if record is None:
            return f"there is no {model['title']} ({model['after']['id'][:10]})"
        if record.weights != model["after"]["weights"]:
            return f"{model['title']} ({record.short}) has other weights"
        if problem := store.weights.problem(record.weights):
            return f"{model['title']} ({record.short}) is not whole: {problem.removesuffix('.')}"
    return None


def _wrong_rows(receipt: Mapping[str, Any], store: Store) -> str | None:
    if not store.database.exists:
        return None
    subject = receipt["request"]["subject"]
    with store.database.reading() as db:
        numbers = row_registry.numbers_of(db, ids_from_text(receipt["rows"]))
        rows = row_registry.bitmap(numbers[numbers >= 0])
        if reached := reached_by(db, rows):
            return f"{reached[0].title} ({reached[0].short}) was given rows that were forgotten"
        if subject is not None and (theirs := row_registry.subject_rows(db, subject)):
            return f"there are {len(theirs):,} rows of {subject!r}"
    return None

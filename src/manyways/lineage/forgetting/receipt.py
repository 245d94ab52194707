"""Receipts: what was forgotten, how, and what came of it, so that somebody else can check it."""

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways import checked_json
from manyways.data.columns import id_text
from manyways.errors import StoreError
from manyways.lineage.forgetting.receipt_schema import SCHEMA, check_schema
from manyways.lineage.store.field_models import names_folder
from manyways.lineage.store.forgetting_plan import ForgettingPlan, ForgettingStep
from manyways.lineage.store.manifest import Manifest
from manyways.lineage.store.model_record import ModelRecord
from manyways.lineage.store.row_registry import Ids
from manyways.version import __version__


def make_receipt(
    plan: ForgettingPlan,
    ids: Ids,
    before: Mapping[str, ModelRecord],
    after: Mapping[str, ModelRecord],
    manifests: Mapping[int, Manifest],
) -> dict[str, Any]:
    """The receipt of a forgetting as JSON values; `docs/receipt.md` says what each means.

    before: the records of the models as they were, by id; after: those that took their places, by id. manifests: those
    of the new models, by key.
    """
    places = {step.model: number for number, step in enumerate(plan.steps)}
    used = {after[step.new].manifest: step.used for step in plan.steps if step.new}
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "manyways": __version__,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "request": {
            "subject": plan.subject,
            "rows": plan.rows,
            "counted": plan.counted or plan.rows,
            "how": plan.how,
        },
        "rows": [id_text(each) for each in ids],
        "models": [
            _model(step, before[step.model], after[step.new] if step.new else None, places, before)
            for step in plan.steps
        ],
        "data": {str(key): _data(manifests[key], bits) for key, bits in used.items() if key is not None},
        "audit": [{"model": number, **step.audit} for number, step in enumerate(plan.steps) if step.audit] or None,
        "copies": list(plan.copies),
    }
    return {**content, "hash": receipt_hash(content)}


def _model(
    step: ForgettingStep,
    before: ModelRecord,
    after: ModelRecord | None,
    places: Mapping[str, int],
    records: Mapping[str, ModelRecord],
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "title": step.title,
        "how": step.how,
        "guarantee": step.guarantee,
        "note": step.note,
        "rows": {"forgotten": step.rows, "given": step.given},
        "before": {"id": before.id, "weights": before.weights},
        "after": None,
    }
    if after is None:
        return entry
    lineage = {name: value for name, value in after.lineage.items() if name != "parents"}
    entry["after"] = {"id": after.id, "weights": after.weights, "lineage": lineage, "data": after.manifest}
    entry["made_from"] = {
        role: {"model": places[parent]} if parent in places else {"id": parent}
        for role, parent in before.parents.items()
    }
    fields = [role.removeprefix("field:") for role in before.parents if role.startswith("field:")]
    entry["folders"] = [place for place in fields if names_folder(before.lineage["method"], place)]
    return entry


def _data(manifest: Manifest, used: str | None) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "origin": manifest.origin.to_json() if manifest.origin else None,
        "roles": {role: list(names) for role, names in manifest.roles.items()},
        "fingerprint": manifest.fingerprint,
        "table": len(manifest.part),
        "used": used,
        "part": _text(manifest.part),
        "visible": _text(np.packbits(manifest.visible)),
        "chosen": None if manifest.chosen is None else _text(np.diff(manifest.chosen, prepend=0).astype("<i4")),
    }


def signed_bytes(content: Mapping[str, Any]) -> bytes:
    """The bytes of a receipt that its hash and its signature are of: its JSON without these two, members sorted."""
    rest = {name: value for name, value in content.items() if name not in ("hash", "signature")}
    return json.dumps(rest, sort_keys=True).encode()


def receipt_hash(content: Mapping[str, Any]) -> str:
    """A SHA-256 of a receipt without its own hash and signature."""
    return hashlib.sha256(signed_bytes(content)).hexdigest()


def receipt_json(receipt: Mapping[str, Any]) -> str:
    """A receipt as it stands in its file."""
    return json.dumps(receipt, indent=1) + "\n"


def read_receipt(path: str | Path, *, exact: bool = False) -> dict[str, Any]:
    """The receipt in a file. Raises StoreError where it is none, is damaged, contradicts itself, or was edited.

    exact: whether the file must be byte for byte as it was written, rather than say the same.
    """
    path = Path(path)
    receipt = dict(checked_json.read(path, f"the receipt {path}", StoreError).members)
    checked_receipt(receipt, f"the receipt {path}")
    if exact and path.read_bytes().replace(b"\r\n", b"\n") != receipt_json(receipt).encode():
        raise StoreError(f"{path} has been edited since it was written (it is laid out in another way).")
    return receipt


def checked_receipt(receipt: Any, where: str = "the receipt") -> None:
    """Raise StoreError where `receipt` is no receipt, contradicts itself, or was edited."""
    if (
        isinstance(receipt, Mapping)
        and receipt.get("schema") == SCHEMA
        and receipt_hash(receipt) != receipt.get("hash")
    ):
        raise StoreError(f"{where} has been edited since it was written (its hash differs).")
    check_schema(receipt, where)


def packed_mask(mask: NDArray[np.bool_]) -> str:
    """A mask as text: its length, and the bits."""
    return f"{len(mask)}:{_text(np.packbits(mask))}"


def _text(values: NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 9)).decode()

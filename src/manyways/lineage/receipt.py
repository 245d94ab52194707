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

from manyways.data.columns import id_text
from manyways.data.data import Data
from manyways.data.origin import Origin
from manyways.errors import StoreError
from manyways.lineage.fields import named_folder
from manyways.lineage.manifest import Manifest
from manyways.lineage.plan import Plan, Step
from manyways.lineage.record import Record
from manyways.lineage.registry import Ids

SCHEMA = "manyways.receipt/1"


def make_receipt(
    plan: Plan,
    ids: Ids,
    before: Mapping[str, Record],
    after: Mapping[str, Record],
    manifests: Mapping[int, Manifest],
) -> dict[str, Any]:
    """The receipt of a forgetting as JSON values; `docs/receipt.md` says what each means.

    before: the records of the models as they were, by id; after: those that took their places, by id. manifests: those
    of the new models, by key.
    """
    import manyways

    places = {step.model: at for at, step in enumerate(plan.steps)}
    used = {after[step.new].manifest: step.used for step in plan.steps if step.new}
    said: dict[str, Any] = {
        "schema": SCHEMA,
        "manyways": manyways.__version__,
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
        "audit": [{"model": at, **step.audit} for at, step in enumerate(plan.steps) if step.audit] or None,
        "copies": list(plan.copies),
    }
    return {**said, "hash": hash_of(said)}


def _model(
    step: Step, before: Record, after: Record | None, places: Mapping[str, int], records: Mapping[str, Record]
) -> dict[str, Any]:
    said: dict[str, Any] = {
        "title": step.title,
        "how": step.how,
        "guarantee": step.guarantee,
        "note": step.note,
        "rows": {"forgotten": step.rows, "given": step.given},
        "before": {"id": before.id, "weights": before.weights},
        "after": None,
    }
    if after is None:
        return said
    lineage = {name: value for name, value in after.lineage.items() if name != "parents"}
    said["after"] = {"id": after.id, "weights": after.weights, "lineage": lineage, "data": after.manifest}
    said["made_from"] = {
        role: {"model": places[parent]} if parent in places else {"id": parent}
        for role, parent in before.parents.items()
    }
    fields = [role.removeprefix("field:") for role in before.parents if role.startswith("field:")]
    said["folders"] = [place for place in fields if named_folder(before.lineage["method"], place)]
    return said


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


def manifest_in(saved: Mapping[str, Any], source: Data) -> Manifest:
    """The manifest in a receipt, of the rows of `source` in their order; they must be as many.

    Raises StoreError where they are not.
    """
    if len(source.part) != saved["table"]:
        raise StoreError(
            f"{source.source} has {len(source.part):,} rows without those that were forgotten, and the model was "
            f"learned from {saved['table']:,}. Give the data as it was: --data."
        )
    part = np.frombuffer(_bytes(saved["part"]), np.uint8)
    packed = np.frombuffer(_bytes(saved["visible"]), np.uint8)
    steps = None if saved["chosen"] is None else np.frombuffer(_bytes(saved["chosen"]), "<i4")
    return Manifest(
        name=saved["name"],
        origin=Origin.from_json(saved["origin"]) if saved["origin"] else None,
        roles=saved["roles"],
        fingerprint=saved["fingerprint"],
        numbers=np.arange(len(part)),
        part=part,
        visible=np.unpackbits(packed, count=len(part)).astype(bool),
        chosen=None if steps is None else np.cumsum(steps, dtype=np.int64),
    )


def hash_of(said: Mapping[str, Any]) -> str:
    """A SHA-256 of a receipt without its own hash."""
    rest = {name: value for name, value in said.items() if name != "hash"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def as_text(receipt: Mapping[str, Any]) -> str:
    """A receipt as it stands in its file."""
    return json.dumps(receipt, indent=1) + "\n"


def read_receipt(path: str | Path) -> dict[str, Any]:
    """The receipt in a file. Raises StoreError where it is none, or was edited."""
    path = Path(path)
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"The receipt {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise StoreError(f"{path} is no receipt: {error}.") from error
    if not isinstance(said, dict) or not str(said.get("schema", "")).startswith("manyways.receipt/"):
        raise StoreError(f"{path} is no receipt of Manyways: its schema is {said.get('schema') if said else None!r}.")
    if said["schema"] != SCHEMA:
        raise StoreError(f"{path} has the schema {said['schema']}; this version reads {SCHEMA}.")
    if hash_of(said) != said.get("hash"):
        raise StoreError(f"{path} has been edited since it was written (its hash differs).")
    return said


def packed_bits(mask: NDArray[np.bool_]) -> str:
    """A mask as text: its length, and the bits."""
    return f"{len(mask)}:{_text(np.packbits(mask))}"


def used_rows(saved: Mapping[str, Any], source: Data) -> Data:
    """Those rows of `source` that a receipt's data are, where the source has the rows that it had then."""
    if saved["used"] is None:
        return source
    count, _, bits = saved["used"].partition(":")
    if int(count) != len(source.part):
        return source  # rows that had been forgotten before may have left it since
    mask = np.unpackbits(np.frombuffer(_bytes(bits), np.uint8), count=int(count)).astype(bool)
    return source.without(source.all_ids[~mask])


def _text(values: NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 9)).decode()


def _bytes(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))

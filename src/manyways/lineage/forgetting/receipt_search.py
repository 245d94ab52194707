"""Search for the receipt of a request, among those of others."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from manyways.data.columns import ids_from_text, places_of
from manyways.errors import StoreError
from manyways.lineage.forgetting.receipt import read_receipt
from manyways.lineage.store.row_counts import row_count_text
from manyways.lineage.store.row_registry import Ids


def answers_request(receipt: Mapping[str, Any], ids: Ids | None, subject: str | None, how: str) -> bool:
    """True if `receipt` is of forgetting `subject`, or rows that are all among `ids`, in this way."""
    asked = receipt.get("request", {})
    if asked.get("subject") != subject or asked.get("how") != how:
        return False
    if ids is None:
        return True
    gone = ids_from_text(receipt["rows"])
    return bool(len(gone)) and bool((places_of(gone, ids) >= 0).all())


def earlier_receipt(path: Path, ids: Ids | None, subject: str | None, how: str) -> tuple[Path, dict[str, Any]] | None:
    """The newest receipt of this request that is at `path`, or beside it under its name and a number.

    A store keeps nothing of those that it has forgotten, not even who they were: what was done the receipt alone says.
    """
    found = [(each, said) for each, said in _receipts(path) if answers_request(said, ids, subject, how)]
    return max(found, key=lambda pair: str(pair[1]["time"])) if found else None


def receipt_rows_text(receipt: Mapping[str, Any]) -> str:
    """The number of rows that a receipt is of, in words; the distinct ones where it does not say their count."""
    distinct = len(receipt.get("rows", ()))
    return row_count_text(receipt.get("request", {}).get("counted", distinct), distinct)


def _receipts(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    stem, dash, number = path.stem.rpartition("-")
    stem = stem if dash and number.isdigit() else path.stem
    for file in sorted(path.parent.iterdir()) if path.parent.is_dir() else []:
        name, _, further = file.stem.rpartition("-")
        if file == path or (file.suffix == path.suffix and (file.stem == stem or (name == stem and further.isdigit()))):
            try:
                yield file, read_receipt(file)
            except StoreError:
                continue

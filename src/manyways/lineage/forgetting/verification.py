"""Verification of a receipt: its models are retrained without the rows, and their weights compared with it."""

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import ids_from_text
from manyways.data.data import Data
from manyways.errors import StoreError
from manyways.lineage.forgetting.deployed_model import DeployedModel, check_store
from manyways.lineage.forgetting.model_verification import (
    DIFFERS,
    GONE,
    SAME,
    UNABLE,
    UNCHECKED,
    UNPROVEN,
    ModelVerifier,
    Verdict,
    relative_difference,
)  # fmt: skip
from manyways.lineage.forgetting.receipt import checked_receipt, read_receipt
from manyways.lineage.forgetting.receipt_rows import ReceiptCheck, RowCounter
from manyways.lineage.forgetting.receipt_sources import (
    named_sources,
    refuse_unless_allowed,
    refuse_unless_given,
    supplied_data,
)
from manyways.lineage.forgetting.signature import check_signature
from manyways.lineage.store.store import Store
from manyways.lineage.terms import AGAIN, EXACT
from manyways.methods.saved import Functions

__all__ = [
    "DIFFERS", "GONE", "SAME", "UNABLE", "UNCHECKED", "UNPROVEN", "ReceiptCheck", "Verdict", "Verification",
    "receipt_sources", "relative_difference", "verify",
]  # fmt: skip


@dataclass(frozen=True)
class Verification:
    """Result of verifying a receipt: a verdict for each of its models, and checks of it as a whole."""

    models: tuple[Verdict, ...]
    checks: tuple[ReceiptCheck, ...]

    @property
    def holds(self) -> bool:
        """True if all that the receipt says of models and rows was checked, and is so."""
        found = [*(each.passed for each in self.models), *(check.passed for check in self.checks)]
        return bool(self.models) and all(found)

    @property
    def conclusion(self) -> str:
        """The conclusion in words."""
        checked = [each for each in self.models if each.verdict in (SAME, DIFFERS, GONE)]
        wrong = [each for each in self.models if each.failed]
        if wrong:
            return f"The receipt does not hold: {len(wrong)} of {len(self.models)} models are not as it says."
        if failed := [check for check in self.checks if not check.passed]:
            return f"The receipt does not hold: {failed[0].note}."
        if not checked:
            return "Nothing was checked, so nothing is shown: " + (
                "no model of the receipt could be compared." if self.models else "the receipt tells of no model."
            )
        if len(checked) < len(self.models):
            open_ = len(self.models) - len(checked)
            return (
                f"The receipt is shown for {len(checked)} of {len(self.models)} models; {open_} could not be checked."
            )
        return "The receipt holds."


def verify(
    receipt: str | Path | Mapping[str, Any],
    *,
    data: Data | Sequence[Data] | None = None,
    store: Store | None = None,
    functions: Functions | None = None,
    allow: Collection[str] = (),
    model: str | Path | None = None,
    in_store: bool = False,
    rows: NDArray[np.uint64] | None = None,
    key: str | None = None,
    follow: Callable[[str], None] | None = None,
) -> Verification:
    """Learn again every model in `receipt`, without the rows that were forgotten, and compare the weights.

    A receipt may be a stranger's: it is read within bounds, nothing that it names is imported, and nothing is read
    that is not in `allow`.

    Args:
        receipt: File of the receipt, or its JSON values.
        data: Data that models were learned from, instead of those at the places that the receipt names.
        store: Store with the models that were left as they are and others were made from.
        functions: Functions that methods name (rewards, oracles), by the names that the receipt has for them.
        allow: Paths and names of the Hub that may be read; `receipt_sources` lists those that the receipt names.
        model: Folder of a model that must be one of the receipt.
        in_store: True to check, too, that what stands in `store` is as the receipt says.
        rows: Ids [n, 2] of the rows that were to be forgotten, as somebody else knows them: the receipt must name all.
        key: Public key, 64 hexadecimal digits, that the receipt must be signed with.
        follow: Function that is told each model's title before it is retrained.

    Raises:
        StoreError: Where the receipt cannot be read, is damaged, contradicts itself, was edited, is not signed with
            `key`, or would have this machine read what is not allowed.
        ParameterError: For a function that is not given.
    """
    content, given = _read(receipt, key is not None), _as_list(data)
    if key is not None:
        check_signature(content, key)
    refuse_unless_given(content, functions or {})
    gone = ids_from_text(content["rows"])
    supplied = supplied_data(content, given, gone)
    refuse_unless_allowed(
        named_sources(content, {name: source for name, (source, _) in supplied.items()}), tuple(allow)
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        deployed = DeployedModel.load(Path(model), folder) if model is not None else None
        count = RowCounter(gone, content["request"]["subject"])
        kept = store or Store()
        work = ModelVerifier(content, supplied, kept, functions or {}, folder, deployed, count)
        verdicts = []
        for at, model_entry in enumerate(content["models"]):
            if follow is not None:
                follow(model_entry["title"])
            verdicts.append(work.verdict(at, model_entry))
    checks = [*_request_checks(content), *(count.checks(rows, in_store) if verdicts else [])]
    if deployed is not None:
        checks.append(deployed.check(content))
    if in_store:
        found = check_store(content, kept)
        checks.append(found)
        if found.passed:
            verdicts = [replace(each, verdict=GONE, note="") if each.verdict == UNCHECKED else each
                        for each in verdicts]  # fmt: skip
    return Verification(tuple(verdicts), tuple(checks))


def receipt_sources(
    receipt: str | Path | Mapping[str, Any], data: Data | Sequence[Data] | None = None
) -> tuple[list[str], int]:
    """The paths and names of the Hub that verifying `receipt` reads, and the steps that it takes in all.

    Args:
        receipt: File of the receipt, or its JSON values.
        data: As for `verify`; what is given is not read.

    Raises:
        StoreError: As `verify` does.
    """
    said, given = _read(receipt, False), _as_list(data)
    held = supplied_data(said, given, ids_from_text(said["rows"]))
    steps = sum(model["after"]["lineage"]["steps"] for model in said["models"] if model["after"])
    return named_sources(said, {name: source for name, (source, _) in held.items()}), steps


def _request_checks(receipt: Mapping[str, Any]) -> list[ReceiptCheck]:
    """Check of the request itself, where it asked for an approximation."""
    if receipt["request"]["how"] in (EXACT, AGAIN):
        return []
    note = f"it was asked for by {receipt['request']['how']}, which is neither {EXACT} nor {AGAIN} and proves nothing"
    return [ReceiptCheck("request", False, note)]


def _read(receipt: str | Path | Mapping[str, Any], exact: bool) -> dict[str, Any]:
    if not isinstance(receipt, Mapping):
        return read_receipt(receipt, exact=exact)
    said = dict(receipt)
    checked_receipt(said)
    return said


def _as_list(data: Data | Sequence[Data] | None) -> list[Data]:
    return [data] if isinstance(data, Data) else list(data or ())


def expected_rows(path: Path) -> NDArray[np.uint64]:
    """The row ids in a file, one on each line. Raises StoreError where there are none."""
    try:
        rows = ids_from_text(path.read_text(encoding="utf-8").split())
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} must hold a row id, 32 hexadecimal digits, on each line: {error}.") from error
    if not len(rows):
        raise StoreError(f"{path} is empty; it must hold a row id on each line.")
    return rows

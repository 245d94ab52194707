"""Domains: where rows come from, which of these places have labels, and which are learned for without any."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects
from manyways.data.notation import is_missing
from manyways.data.parts import TEST
from manyways.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from manyways.data.data import Data


@dataclass(frozen=True, eq=False)
class Domains:
    """The domains of some rows.

    Attributes:
        column: The column with the role domain.
        names: The domains as words, sorted.
        codes: The domain of each row, a place in `names`, int64 [rows].
        targets: The places of those none of whose rows has a label that may be seen: what is learned for.
    """

    column: str
    names: tuple[str, ...]
    codes: NDArray[np.int64]
    targets: tuple[int, ...]

    @staticmethod
    def of(data: "Data") -> "Domains":
        """The domains of the rows of `data`.

        Raises:
            DataError: A row has none.
        """
        (column,) = data.roles["domain"]
        values = data.take(column)
        if lost := int(is_missing(values).sum()):
            raise DataError(
                f"{lost:,} of {len(values):,} rows of {data.name} have no domain in the column {column!r}; name "
                "theirs, or leave those rows out."
            )
        names, codes = np.unique(values.astype(str), return_inverse=True)
        labelled = (
            np.bincount(codes[data.labelled], minlength=len(names)) if data.has("label") else np.zeros(len(names))
        )
        targets = tuple(np.flatnonzero(labelled == 0).tolist())
        return Domains(column, tuple(names.tolist()), codes.reshape(-1).astype(np.int64), targets)


def with_target_domain(data: "Data", name: Any, share: float = 0.5, seed: int = 0) -> "Data":
    """The same rows for learning a domain without labels: those of the domain `name` lose theirs, but for test rows.

    Its own test rows stay; where it has none, a `share` of its rows is drawn. Test rows of other domains are left out,
    for it is the target that is scored.

    Args:
        data: The rows, with a column of the role domain.
        name: The domain that is learned for.
        share: The share of its rows that are tested on, where none are yet.
        seed: Seed of the draw.

    Raises:
        DataError: There is no such domain, no other, or no column of domains; or labels have a structure.
    """
    if not data.has("domain"):
        raise DataError(
            f'{data.name} has no column that says where a row comes from. Name it: domain="…", one of '
            f"{', '.join([*data.columns, *data.ignored])}."
        )
    domains, label = Domains.of(data), data.label
    if str(name) not in domains.names:
        raise DataError(
            f"There is no domain {name!r} in the column {domains.column!r}; domains are {', '.join(domains.names)}."
            f"{did_you_mean(str(name), domains.names)}"
        )
    if len(domains.names) == 1:
        raise DataError(f"All rows of {data.name} are of the domain {name!r}; there is none to learn from.")
    if label.kind not in ("category", "number"):
        raise DataError(f"Labels of the kind {label.kind} cannot be taken from a domain; leave them out of the file.")
    own = domains.codes == domains.names.index(str(name))
    if not (own & (data.part[data.rows] == TEST)).any():
        data = replace(data, part=data.select(np.flatnonzero(own)).with_test(share, seed).part)
    tested = data.part[data.rows] == TEST
    hidden = data.rows[own & ~tested]
    visible = data.visible.copy()
    visible[hidden] = False
    columns = {**data.columns, label.name: replace(label, values=_without(label.take(np.arange(len(label))), hidden))}
    return replace(data, columns=columns, visible=visible, rows=data.rows[own | ~tested])


def scored_on_targets(data: "Data") -> "Data":
    """`data` whose test rows are those of its target domains, where it has some; else as it is.

    Raises:
        DataError: No test row of a target domain has a label.
    """
    if not data.has("domain") or not data.has("label"):
        return data
    known = data.training.select(data.training.known)
    labelled = set(Domains.of(known).names)
    domains = Domains.of(data)
    targets = [place for place, name in enumerate(domains.names) if name not in labelled]
    if not targets:
        return data
    of_targets, tested = np.isin(domains.codes, targets), data.part[data.rows] == TEST
    if not (of_targets & tested & data.known).any():
        raise DataError(
            f"No test row of the target {_listed(domains.names[place] for place in targets)} in {domains.column!r} has "
            "a label to score by. Give labelled test rows of it: test=…, or let its labels be hidden and some of its "
            'rows be tested on: data.with_target_domain("…"), --target-domain.'
        )
    return replace(data, rows=data.rows[of_targets | ~tested])


def _listed(names: Any) -> str:
    named = [repr(name) for name in names]
    return f"domain{'s' if len(named) > 1 else ''} {', '.join(named)}"


def _without(values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """A copy of the labels `values` with nothing at `rows`."""
    if values.dtype.kind == "f":
        numbers = values.copy()
        numbers[rows] = np.nan
        return numbers
    words: Sequence[Any] = values.tolist()
    cleared = as_objects(words)
    cleared[rows] = None
    return cleared

"""Rows that cannot be learned from: counted, named, and refused, skipped or filled as asked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects
from manyways.data.columns import Column, modalities
from manyways.data.notation import is_missing
from manyways.data.options import BadRows
from manyways.data.parts import TRAINING
from manyways.data.phrases import count_of, listed_names
from manyways.data.presence import absent_by_modality
from manyways.data.sources.rows import select
from manyways.data.storage import RowNumbers, chunks_of, loaded, row_bytes
from manyways.errors import DataError

SHOWN = 5
MAY_LACK = ("label", "subject", "group")
"""Roles whose values may be missing."""


def handle(
    columns: Mapping[str, Column],
    roles: Mapping[str, Sequence[str]],
    *,
    part: NDArray[np.uint8],
    undecoded: Mapping[int, str],
    bad_rows: BadRows,
    where: str,
    fills: Mapping[str, Any] | None = None,
    unread: str = "",
) -> tuple[dict[str, Column], RowNumbers, str]:
    """The columns without bad rows, the numbers of the rows kept, and which rows were left out and why, if any.

    Bad is a row whose image or sound cannot be decoded, or with a number that is NaN or infinite, an empty text, no
    image or sound, or a missing category in a column of any role but label, subject and group. "refuse" raises
    DataError naming them, "skip" leaves them out, "fill" puts the training rows' median, or the number that `fills`
    has for the column, and the category `(missing)` in place, "keep" leaves missing numbers and categories of inputs
    as they are; what can be neither filled nor kept is refused. A row that lacks one input whole, its text or all its
    numbers, and has another one whole, is no bad row, and only left out by "skip":
    methods learn from what is there, or refuse it. unread: what is to be said of files that are no rows at all.
    """
    bad = {
        name: rows
        for role, names in roles.items()
        for name in names
        if role not in MAY_LACK and len(rows := _bad_in(columns[name]))
    }
    out = dict(columns)
    count = len(part)
    if bad_rows == "fill":
        for name in [name for name in bad if columns[name].of.fillable]:
            out[name] = _filled(columns[name], bad.pop(name), part, where, (fills or {}).get(name))
    if bad_rows == "keep":
        bad = _without_missing(bad, out, roles.get("input", ()))
    if bad_rows != "skip":
        bad = _without_gaps(bad, out, roles.get("input", ()))
    if not bad and not undecoded:
        return out, np.arange(count), ""
    gone = np.unique(np.concatenate([np.fromiter(undecoded, np.int64), *bad.values()]))
    if bad_rows != "skip":
        message = f"{where}: {len(gone):,} of {count_of(count, 'row')} cannot be used."
        raise DataError(f"{message} {_report(columns, bad, undecoded, bad_rows)}{unread}")
    kept = np.setdiff1d(np.arange(count), gone)
    if not len(kept):
        raise DataError(f"{where}: all {count_of(count, 'row')} are bad. {_reasons(columns, bad, undecoded)}")
    message = f"{len(gone):,} of {count_of(count, 'row')} left out. {_reasons(columns, bad, undecoded)}"
    for name in roles.get("label", ()):
        lost = sorted(_words(columns[name], np.arange(count)) - _words(columns[name], kept))
        message += f" No row is left with the {name} {listed_names(lost)}." if lost else ""
    return {name: column.select(kept, select(column.values, kept)) for name, column in out.items()}, kept, message


def _without_missing(
    bad: Mapping[str, RowNumbers], columns: Mapping[str, Column], inputs: Sequence[str]
) -> dict[str, RowNumbers]:
    """`bad` without the missing numbers and categories of `inputs`; infinite ones stay."""
    out = dict(bad)
    for name in inputs:
        if name in out and columns[name].of.fillable:
            column = columns[name]
            infinite = column.kind == "number" and column.values.dtype.kind == "f"
            rows = out.pop(name)
            values = column.take(rows) if infinite else np.empty((len(rows), 0))
            out[name] = rows[np.isinf(values).reshape(len(rows), -1).any(axis=1)]
    return {name: rows for name, rows in out.items() if len(rows)}


def _words(label: Column, rows: RowNumbers) -> set[str]:
    """The classes of `rows`; none of a label that is a number."""
    if label.kind != "category":
        return set()
    values = label.take(rows)
    return set(map(str, values[~is_missing(values)].tolist()))


def _without_gaps(
    bad: Mapping[str, RowNumbers], columns: Mapping[str, Column], inputs: Sequence[str]
) -> dict[str, RowNumbers]:
    """`found` without the rows that lack one of the `inputs` and have another."""
    groups = modalities(columns[name] for name in inputs)
    absent = absent_by_modality(groups) if len(groups) > 1 else {}
    count = len(next(iter(columns.values()), ()))
    whole_in = {}
    for name, group in groups.items():
        whole_in[name] = np.ones(count, bool)
        for column in group:
            whole_in[name][bad.get(column.name, [])] = False
    out = dict(bad)
    for name, gone in absent.items():
        others = np.any([whole for other, whole in whole_in.items() if other != name], axis=0)
        for column in groups[name]:
            if column.name in out:
                out[column.name] = out[column.name][~(gone & others)[out[column.name]]]
    return {name: rows for name, rows in out.items() if len(rows)}


def _bad_in(column: Column) -> RowNumbers:
    if column.of.decoded:
        return np.empty(0, np.int64) if column.absent is None else np.flatnonzero(column.absent)
    bad = [
        rows[_is_bad(column.take(rows))] for rows in chunks_of(len(column), 1 << 16, row_bytes=row_bytes(column.values))
    ]
    return np.concatenate(bad) if bad else np.empty(0, np.int64)


def _is_bad(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        wrong = ~np.isfinite(values)
        return np.asarray(wrong.any(axis=1) if wrong.ndim == 2 else wrong)
    if values.dtype.kind != "O":
        return np.zeros(len(values), bool)
    return np.fromiter((v is None or (isinstance(v, str) and not v.strip()) for v in values), bool, len(values))


def _filled(column: Column, bad: RowNumbers, part: NDArray[np.uint8], where: str, fill: Any) -> Column:
    values = np.array(loaded(column.values), copy=True)
    if column.kind == "category":
        values = as_objects(
            [None if gone else str(v) for v, gone in zip(values.tolist(), is_missing(values), strict=True)]
        )
        values[bad] = "(missing)"
        return replace(column, values=values)
    values = values.astype(np.float64)
    fill = _median(values[part == TRAINING], column.name, where) if fill is None else np.asarray(fill, np.float64)
    return replace(column, values=np.where(np.isfinite(values), values, fill))


def _median(training: NDArray[np.float64], name: str, where: str) -> NDArray[np.float64]:
    finite = np.where(np.isfinite(training), training, np.nan)
    if len(finite) == 0 or np.isnan(finite).all(axis=0).any():
        raise DataError(f"{where}: no training row has a number in {name!r}; there is no median to fill in.")
    return np.asarray(np.nanmedian(finite, axis=0))


def _report(
    columns: Mapping[str, Column],
    bad: Mapping[str, RowNumbers],
    undecoded: Mapping[int, str],
    treatment: BadRows,
) -> str:
    fills = treatment == "refuse" and not undecoded and all(columns[n].of.fillable for n in bad)
    advice = 'Correct them, or pass bad_rows="skip" to leave those rows out'
    if fills:
        advice += (
            ', or bad_rows="fill" to put medians and the category (missing) in place, or bad_rows="keep" for methods '
            "that learn from missing values (gradient-boosting, random-forest, linear)"
        )
    if treatment == "fill":
        advice = f'bad_rows="fill" cannot fill these: {advice}'
    return f"{_reasons(columns, bad, undecoded)} {advice}."


def _reasons(columns: Mapping[str, Column], bad: Mapping[str, RowNumbers], undecoded: Mapping[int, str]) -> str:
    reasons = [
        f"{name!r} is {columns[name].of.gap} in {count_of(len(rows), 'row')} "
        f"({', '.join(map(str, rows[:SHOWN]))}{', …' if len(rows) > SHOWN else ''}; rows count from 0)."
        for name, rows in list(bad.items())[:SHOWN]
    ]
    if len(bad) > SHOWN:
        reasons.append(f"{len(bad) - SHOWN} more columns have such rows.")
    if undecoded:
        shown = "; ".join(f"row {row}: {undecoded[row]}" for row in sorted(undecoded)[:SHOWN])
        more = f"; {len(undecoded) - SHOWN:,} more" if len(undecoded) > SHOWN else ""
        reasons.append(f"{count_of(len(undecoded), 'file')} cannot be decoded ({shown}{more}).")
    return " ".join(reasons)

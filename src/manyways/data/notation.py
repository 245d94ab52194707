"""Notation: how text writes numbers, with a decimal point or comma, marks between thousands, and per cent signs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import TRUTH

if TYPE_CHECKING:
    import polars as pl

Decimal = Literal[".", ","]
"""The mark before the fraction of a number."""
DECIMALS: tuple[Decimal, ...] = get_args(Decimal)
MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none", "?", "-")
"""Words that mean `no value` in a column of numbers or of file names, whatever their case."""

LEADING_ZERO = r"^\s*[+-]?0[0-9]"
SPACES = "[\u00a0\u2007\u2009\u202f]"
GROUPS = {".": r"(?:,[0-9]{2,3})*,[0-9]{3}", ",": r"(?:\.[0-9]{3})+"}
"""The digits after the first ones where thousands are marked; in India in hundreds beyond the first thousand."""


def _pattern(mark: Decimal) -> str:
    whole = rf"(?:[0-9]+|[1-9][0-9]{{0,2}}(?:{GROUPS[mark]}|(?:[ '][0-9]{{3}})+))"
    number = rf"(?:{whole}(?:[{mark}][0-9]*)?|[{mark}][0-9]+)(?:[eE][+-]?[0-9]+)? ?%?"
    return rf"^[+-]?(?:{number}|(?i:inf(?:inity)?))$"


PATTERNS = {mark: _pattern(mark) for mark in DECIMALS}


@dataclass(frozen=True)
class Written:
    """The cells of a column as text, trimmed, with plain minus signs and spaces; null where they are missing.

    Attributes:
        fits: True for the cells that are numbers with that decimal mark.
    """

    texts: "pl.Series"
    fits: "Mapping[Decimal, pl.Series]"

    @staticmethod
    def of(texts: "pl.Series") -> "Written":
        """The cells of `texts`, strings or null."""
        bare = texts.str.replace_all("\u2212", "-", literal=True).str.replace_all("\u2019", "'", literal=True)
        bare = bare.str.replace_all(SPACES, " ").str.strip_chars()
        bare = bare.set(bare.str.to_lowercase().is_in(list(MISSING_WORDS)), None)
        fits = {mark: bare.str.contains(PATTERNS[mark]).fill_null(False) for mark in DECIMALS}
        percent = bare.str.ends_with("%").fill_null(False)
        if percent.any():  # a sign in some cells alone leaves open what the others mean
            most = int(percent.sum()) * 2 > len(bare) - bare.null_count()
            fits = {mark: each & (percent if most else ~percent) for mark, each in fits.items()}
        return Written(bare, fits)

    def odd(self, decimal: Decimal) -> NDArray[np.int64]:
        """The cells, by number, that are there and are no numbers with that decimal mark."""
        return (self.texts.is_not_null() & ~self.fits[decimal]).arg_true().to_numpy().astype(np.int64)

    @property
    def decimals(self) -> tuple[Decimal, ...]:
        """The decimal marks with which all cells are numbers."""
        return tuple(mark for mark in DECIMALS if not len(self.odd(mark)))

    @property
    def decimal(self) -> Decimal:
        """The decimal mark with which the most cells are numbers; the point where both have as many."""
        return max(DECIMALS, key=lambda mark: (int(self.fits[mark].sum()), mark == "."))

    @property
    def marked(self) -> bool:
        """True if a point or a comma stands in a cell."""
        return bool(self.texts.str.contains("[.,]").any())

    def example(self, decimal: Decimal) -> tuple[str, str] | None:
        """A cell that Python would write otherwise, and how; None where there is none."""
        other = ((self._plain(decimal) != self.texts) | self.texts.str.ends_with("%")).fill_null(False).arg_true()
        if not len(other):
            return None
        cell = other[0]
        return str(self.texts[cell]), f"{self.numbers(decimal)[cell]:.15g}"

    def numbers(self, decimal: Decimal) -> "pl.Series":
        """The cells as Int64 where all are whole, else as Float64; null where they are missing or no numbers.

        A per cent sign makes hundredths.
        """
        import polars as pl

        plain = self._plain(decimal)
        percent = plain.str.ends_with("%").fill_null(False)
        if percent.any():
            return plain.str.strip_suffix("%").str.strip_chars().cast(pl.Float64, strict=False) / 100
        whole = plain.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == plain.null_count() else plain.cast(pl.Float64, strict=False)

    def _plain(self, decimal: Decimal) -> "pl.Series":
        kept = self.texts.set(~self.fits[decimal], None)
        return kept.str.replace_all("[, ']" if decimal == "." else "[. ']", "").str.replace(",", ".", literal=True)


def number_of(text: str) -> float | None:
    """Return the finite number that `text` writes, trimmed, with either decimal mark; None where it writes none."""
    plain = text.replace("\u2212", "-").replace("\u2019", "'")
    mark = next((mark for mark in DECIMALS if re.match(PATTERNS[mark], plain)), None)
    if mark is None:
        return None
    number = float(re.sub("[, '%]" if mark == "." else "[. '%]", "", plain).replace(",", "."))
    return (number / 100 if plain.endswith("%") else number) if isfinite(number) else None


def as_numbers(
    values: Sequence[Any] | NDArray[Any], decimal: Decimal | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return `values` [n] as float64, NaN where they are missing or no numbers, and the positions of the latter.

    Truth values are 1 and 0, also in words. Other text is a number as `Written` reads it, with `decimal` or the mark
    that fits the most.
    """
    import polars as pl

    array = np.asarray(values)
    if array.dtype.kind in "iufb":
        return array.astype(np.float64), np.empty(0, np.int64)
    texts = [None if gone else str(value) for value, gone in zip(array.tolist(), is_missing(array), strict=True)]
    texts = [TRUTH.get(text.strip().lower(), text) if text else None for text in texts]
    written = Written.of(pl.Series(texts, dtype=pl.String))
    mark = decimal or written.decimal
    return written.numbers(mark).cast(pl.Float64).to_numpy(), written.odd(mark)


def is_missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """True for each entry that is NaN, None or an empty string."""
    if values.dtype.kind == "f":
        nan = np.isnan(values)
        return np.asarray(nan.any(axis=1) if nan.ndim == 2 else nan)
    if values.dtype.kind in "iub":
        return np.zeros(len(values), bool)
    return np.fromiter((v is None or v == "" or (isinstance(v, float) and isnan(v)) for v in values), bool, len(values))

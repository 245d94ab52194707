"""Columns of a text file, whose numbers are strings: which columns hold numbers, and how these are written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from manyways.data.categories import as_objects
from manyways.data.inference.objects import exact_of, mixed
from manyways.data.inference.table import TypedColumn
from manyways.data.kinds import Kind
from manyways.data.notation import LEADING_ZERO, MISSING_WORDS, Decimal, Written
from manyways.data.sources.base import Cells, Options

if TYPE_CHECKING:
    import polars as pl

FEW_WORDS = 0.1
"""Up to this share of words, or five, in a column of numbers is a mistake; beyond it, it is one of words."""


def columns_of_cells(columns: Sequence[Cells], options: Options, where: str) -> list[TypedColumn]:
    """The `columns` of a file, numbers where all cells are numbers or missing, words where one has a leading zero.

    A number is read as it is written, with a decimal point or comma. Where a column's cells leave open which ("24,708")
    the other columns decide, then `options.decimal`, then the separator of cells: a file with semicolons has decimal
    commas. The notes say how cells were read that Python would write otherwise.
    """
    cells = [_Column(each.series, each.separator, options.kinds.get(each.series.name), where) for each in columns]
    decimal = options.decimal or _evidence(cells)
    return [each.column(decimal) for each in cells]


def _evidence(cells: "Sequence[_Column]") -> Decimal | None:
    """The decimal mark that some columns can only have, where no other can only have the other one."""
    if not any(each.asks for each in cells):
        return None
    only = {each.only for each in cells} - {None}
    return only.pop() if len(only) == 1 else None


@dataclass(frozen=True, eq=False)
class _Column:
    """A column of strings, with the kind that was asked for."""

    series: "pl.Series"
    separator: str
    kind: Kind | None
    where: str

    @cached_property
    def plain(self) -> "pl.Series | None":
        """The trimmed cells where all are missing, or numbers as Python writes them; None where one is not."""
        import polars as pl

        def numbers(cells: "pl.Series") -> bool:
            return cells.cast(pl.Float64, strict=False).null_count() == cells.null_count()

        if numbers(self.series):
            return self.series
        # Spaces and words for `missing` are rare: only what failed as it stands is looked at again.
        bare = self.series.str.strip_chars()
        bare = bare.set(bare.str.to_lowercase().is_in(list(MISSING_WORDS)), None)
        return bare if numbers(bare) else None

    @cached_property
    def written(self) -> Written:
        """The cells by how they write numbers."""
        return Written.of(self.series)

    @property
    def words(self) -> bool:
        """True if the cells are words because somebody says so."""
        return self.kind in ("category", "text")

    @property
    def asks(self) -> bool:
        """True if the decimal mark of other columns may tell how these cells are read."""
        return not self.words and self.plain is None and bool(self.written.decimals)

    @property
    def only(self) -> Decimal | None:
        """The one decimal mark with which all cells are numbers; None where both do, or none."""
        if self.words or (self.plain is not None and not self.plain.str.contains(".", literal=True).any()):
            return None
        decimals = self.written.decimals
        return decimals[0] if len(decimals) == 1 else None

    @property
    def grouped(self) -> bool:
        """True if each point in numbers as Python writes them may stand between thousands: 12.345."""
        pointed = self.plain is not None and bool(self.plain.str.contains(".", literal=True).any())
        return pointed and "," in self.written.decimals

    def column(self, decimal: Decimal | None) -> TypedColumn:
        """The column, with `decimal` as the mark where its cells leave that open."""
        series, plain, name = self.series, self.plain, self.series.name
        if self.kind == "text":
            return TypedColumn(name, series.to_numpy())
        numeric = plain is not None or bool(self.written.decimals)
        if self.kind == "category":
            return TypedColumn(name, (self.written.texts if numeric else series).to_numpy())
        zeros = series.filter(series.str.contains(LEADING_ZERO).fill_null(False)) if self.kind is None else series[:0]
        if len(zeros):
            return TypedColumn(name, (self.written.texts if numeric else series).to_numpy(), note=_zero(zeros[0], name))
        if plain is not None and not (decimal == "," and self.grouped):
            open_ = decimal is None and self.separator == ";" and self.grouped
            return _numbers(plain, _open(plain) if open_ else None)
        if not numeric:
            return self._words()
        return self._foreign(decimal)

    def _words(self) -> TypedColumn:
        written, mark = self.written, self.written.decimal
        odd, real = written.odd(mark), int(written.fits[mark].sum())
        problem = None
        if real > len(odd) and len(odd) <= max(5, FEW_WORDS * (real + len(odd))):
            problem = mixed(self.series.name, self.where, real, dict(zip(odd, self.series.gather(odd), strict=True)))
        return TypedColumn(self.series.name, self.series.to_numpy(), problem=problem)

    def _foreign(self, decimal: Decimal | None) -> TypedColumn:
        """Numbers that Python would write otherwise."""
        written, decimals = self.written, self.written.decimals
        usual: Decimal = "," if self.separator == ";" else "."
        mark = decimals[0] if len(decimals) == 1 else decimal or usual
        note = None
        if example := written.example(mark):
            note = f"{example[0]!r} is read as {example[1]}"
            if len(decimals) > 1 and decimal is None and written.marked:
                other = "," if mark == "." else "."
                note += f'; if the other mark stands before the fraction, type decimal="{other}"'
        column = _numbers(written.numbers(mark).rename(self.series.name), note)
        return replace(column, decimal=mark) if len(decimals) > 1 and written.marked else column


def _numbers(cells: "pl.Series", note: str | None = None) -> TypedColumn:
    """Cells that are numbers, or text that Python reads as numbers, as a column."""
    import polars as pl

    if cells.null_count() == len(cells):
        return TypedColumn(cells.name, as_objects([None] * len(cells)))
    whole = cells.cast(pl.Int64, strict=False) if cells.dtype == pl.String else cells
    if whole.dtype == pl.Int64 and not whole.null_count():
        return TypedColumn(cells.name, whole.to_numpy(), note=note)
    values = cells.cast(pl.Float64, strict=False).to_numpy()
    return TypedColumn(cells.name, values, exact=exact_of(cells, values), note=note)


def _open(plain: "pl.Series") -> str:
    cell = plain.filter(plain.str.contains(".", literal=True).fill_null(False))[0]
    return f'{cell!r} is read as {float(cell):g}; if its point stands between thousands, type decimal=","'


def _zero(cell: str, name: str) -> str:
    return (
        f"it holds words, as {cell!r} begins with a zero that a number would lose; if they are numbers: "
        f'kinds={{{name!r}: "number"}}'
    )

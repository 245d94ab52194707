"""Rows that a model is asked about: read as it learned them, and the values among them that it never saw."""

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from manyways.data.categories import places_in
from manyways.data.data import Data
from manyways.data.encoders.categories import CategoryCode
from manyways.data.encoders.images import ImageEncoder
from manyways.data.encoders.pair import PairSpec
from manyways.data.encoders.series import SeriesEncoder
from manyways.data.encoders.table import TableEncoder
from manyways.data.encoding import InputEncoding
from manyways.data.kinds import Kind
from manyways.data.notation import is_missing
from manyways.data.phrases import count_of
from manyways.data.specs import AudioSpec, TextSpec
from manyways.data.targets import Target
from manyways.errors import DataWarning

if TYPE_CHECKING:
    from manyways.data.read import Source

SHOWN = 3


def inputs_of(source: "Source", encoding: InputEncoding, **options: Any) -> Data:
    """Return the rows of `source` with the columns that `encoding` knows, and no label; a Data is as it is.

    Each column is of the kind, and of the size of images and sounds, that it had when the model learned; a few new rows
    might look otherwise. options: those of `read`, and roles besides the inputs. Where `bad_rows` is "fill", the means
    of the rows that the model learned from fill the gaps: medians of the new ones would make a prediction depend on the
    other rows.

    Raises:
        DataError: A column is missing or holds something else.
    """
    from manyways.data.read import Known, read_as

    if isinstance(source, Data):
        return source
    if series := _series(encoding):
        return read_as(source, Known(kinds_of(encoding), open=True), **series, **options)
    names = [name for encoder in encoding.encoders.values() for name in encoder.columns]
    if options.get("bad_rows") == "fill":
        options["bad_rows"] = _means(encoding)
    return read_as(source, Known(kinds_of(encoding)), input=names, label=(), **_sizes(encoding), **options)


def labelled(source: "Source", encoding: InputEncoding, targets: Sequence[Target] = (), **roles: str) -> Data:
    """Return the rows of `source` as `inputs_of` does, with the columns of `targets` as labels where they are there.

    Where none of them is, the label is the one that `read` finds.
    """
    from manyways.data.read import Known, read_as

    if isinstance(source, Data):
        return source
    if series := _series(encoding):
        return read_as(source, Known(kinds_of(encoding)), **series, **roles)
    own: dict[str, Kind] = {target.name: target.column_kind for target in targets}
    known = Known({**kinds_of(encoding), **own}, tuple(own))
    names = [name for encoder in encoding.encoders.values() for name in encoder.columns]
    return read_as(source, known, input=names, **_sizes(encoding), **roles)


def _series(encoding: InputEncoding) -> dict[str, Any] | None:
    """Return the options with which a table is read as forecast origins; None where it is not."""
    for encoder in encoding.encoders.values():
        if isinstance(encoder, SeriesEncoder):
            categories = [name for name, kind in kinds_of(encoding).items() if kind == "category"]
            return {**encoder.reading.options, "input": [*encoder.reading.channels, *categories]}
    return None


def kinds_of(encoding: InputEncoding) -> dict[str, Kind]:
    """Return the kind of each column of numbers, categories or text that `encoding` knows."""
    kinds: dict[str, Kind] = {}
    for encoder in encoding.encoders.values():
        if isinstance(encoder, TableEncoder):
            kinds |= {code.column: "category" if isinstance(code, CategoryCode) else "number" for code in encoder.codes}
        elif isinstance(encoder, SeriesEncoder):
            kinds |= dict.fromkeys(encoder.reading.channels, "number")
        elif isinstance(encoder.spec, TextSpec | PairSpec):
            kinds |= dict.fromkeys(encoder.columns, "text")
    return kinds


def _sizes(encoding: InputEncoding) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for encoder in encoding.encoders.values():
        spec = encoder.spec
        if isinstance(encoder, ImageEncoder):
            options |= {"image_size": (encoder.image.height, encoder.image.width), "image_white": encoder.white}
        elif isinstance(spec, AudioSpec):
            options |= {"sample_rate": spec.rate, "seconds": spec.samples / spec.rate}
    return options


def _means(encoding: InputEncoding) -> dict[str, tuple[float, ...]]:
    """The mean of each column of numbers that the model has standardised."""
    tables = [encoder for encoder in encoding.encoders.values() if isinstance(encoder, TableEncoder)]
    numbers = [code for table in tables for code in table.codes if not isinstance(code, CategoryCode)]
    return {code.column: code.mean for code in numbers if code.furthest is not None}


def warn_of_unseen(data: Data, *encodings: InputEncoding) -> None:
    """Warn of values of categories in the rows of `data` that no row had which a model learned from (DataWarning).

    They tell the model nothing: it goes by the other inputs. encodings: that of the model, or of all its members.
    """
    codes: dict[str, list[CategoryCode]] = {}
    for encoder in (encoder for encoding in encodings for encoder in encoding.encoders.values()):
        for code in encoder.codes if isinstance(encoder, TableEncoder) else ():
            if isinstance(code, CategoryCode) and code.column in data.columns:
                codes.setdefault(code.column, []).append(code)
    for column, each in codes.items():
        known = tuple(dict.fromkeys(value for code in each for value in code.known))
        if said := _unseen(column, known, data):
            warnings.warn(said, DataWarning, stacklevel=3)


def _unseen(column: str, known: tuple[Any, ...], data: Data) -> str | None:
    values = data.take(column)
    there = ~is_missing(values)
    unseen = Counter(values[there & (places_in(values, known) < 0)].tolist())
    if not unseen:
        return None
    count, of = sum(unseen.values()), int(np.count_nonzero(there))
    listed = ", ".join(f"{value!r} {count_of(rows, 'time')}" for value, rows in unseen.most_common(SHOWN))
    more = f", {len(unseen) - SHOWN:,} more" if len(unseen) > SHOWN else ""
    examples = ", ".join(map(repr, known[:SHOWN])) + (", …" if len(known) > SHOWN else "")
    return (
        f"{count:,} of {of:,} values of {column!r} in {data.name} were never seen in training, and tell the model "
        f"nothing: {listed}{more}. It knows {len(known):,}: {examples}."
    )

"""Hugging Face data sets: objects of the package `datasets`, and names of the Hub."""

import re
import sys
from typing import Any

from manyways.data.sources.base import PART_WORDS, Media, Options, Raw, RawColumn, RawTable, Typed, alone
from manyways.data.sources.media import item_of
from manyways.errors import DataError
from manyways.hub import one_try

ORDER = 5
HUB = "hub:"
"""The prefix of the name of a data set on the Hub, so that a mistyped path is none."""
NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(:[\w.-]+)?")


def accepts(source: Any) -> bool:
    """A Dataset or DatasetDict; a string hub:owner/name or hub:owner/name:configuration."""
    if isinstance(source, str):
        return source.startswith(HUB)
    datasets = sys.modules.get("datasets")
    return datasets is not None and isinstance(source, datasets.Dataset | datasets.DatasetDict)


def load(source: Any, options: Options) -> Raw:
    """The rows of a data set, its splits as parts; class labels by name, images and sounds decoded here.

    Code that a data set brings along never runs. Raises DataError where a name is no data set, the Hub cannot
    be reached, or a split's name says no part.
    """
    name = source if isinstance(source, str) else "data set"
    rows = _download(source) if isinstance(source, str) else source
    if not isinstance(rows, dict):
        return alone(_table(rows, name))
    splits: list[tuple[int, Any]] = []
    for split in rows:
        part = PART_WORDS.get(str(split).lower())
        if part is None:
            raise DataError(
                f"{name} has the splits {', '.join(map(str, rows))}; {str(split)!r} names no part (train, validation, "
                "test). Choose: read(splits['a'], test=splits['b'])."
            )
        splits.append((part, split))
    splits.sort(key=lambda each: each[0])
    tables = ((part, _table(rows[split], f"{name}[{split}]")) for part, split in splits)
    return Raw(tables, name.rsplit("/", 1)[-1], name)


def _download(name: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"{name} is on the Hugging Face Hub, and to read it from there the package datasets is needed. Install it: "
            "pip install 'manyways[hub]'"
        ) from error
    if not NAME.fullmatch(name.removeprefix(HUB)):
        raise DataError(f"{name!r} is no name on the Hugging Face Hub. Write {HUB}owner/name.")
    repository, _, configuration = name.removeprefix(HUB).partition(":")
    try:
        with one_try():
            return datasets.load_dataset(repository, configuration or None)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{name} cannot be loaded from the Hugging Face Hub: {reason}. Check the name (hub:owner/name, "
            "hub:owner/name:configuration), or the network; what was downloaded before needs none."
        ) from error


def _table(rows: Any, source: str) -> RawTable:
    import datasets
    import polars as pl

    features = dict(rows.features or {})
    coded = [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    encoded = {name: each for name, each in features.items() if isinstance(each, datasets.Image | datasets.Audio)}
    columns: dict[str, RawColumn] = {}
    plain = rows.remove_columns(list(encoded))
    if plain.column_names:
        frame = pl.from_arrow(plain.with_format("arrow")[:])
        if not isinstance(frame, pl.DataFrame):
            raise DataError(f"{source} holds no table.")
        columns = {name: RawColumn(name, Typed(frame[name])) for name in frame.columns}
    for name in coded:
        columns[name] = RawColumn(name, _named(frame[name].to_list(), features[name].names))
    for name, feature in encoded.items():
        # Hugging Face's own decoding of sound needs torchcodec; the encoded bytes need nothing.
        raw = rows.cast_column(name, type(feature)(decode=False)).with_format(None)
        columns[name] = RawColumn(name, Media([item_of(value) for value in raw[name]]))
    label = coded[0] if len(coded) == 1 else None
    ordered = [columns[name] for name in features]
    return RawTable(ordered, source.rsplit("/", 1)[-1], source, label=label)


def _named(codes: list[int | None], names: list[str]) -> list[str | None]:
    """Class codes as class names; -1 and null are unlabelled, as Hugging Face has it."""
    return [None if code is None or code < 0 else names[code] for code in codes]

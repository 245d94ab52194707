"""Columns of a table in time, before it becomes forecast origins."""

from collections.abc import Mapping
from dataclasses import replace

from manyways.data.inference.table import Table
from manyways.data.kinds import Kind
from manyways.data.sources.base import Options


def as_series(table: Table, given: Mapping[str, tuple[str, ...]], options: Options) -> Options:
    """`options` with which labels are numbers, however few different ones they are, and what tells series apart not."""
    own: dict[str, Kind] = dict.fromkeys(given.get("label", ()), "number")
    own |= dict.fromkeys(given.get("group", ()), "category")
    return replace(
        options, kinds={**{name: kind for name, kind in own.items() if name in table.columns}, **options.kinds}
    )

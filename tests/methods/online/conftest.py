"""Streams with drift, as published, and tables of them."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.methods.online._method import StreamMethod
from manyways.models.model import Model
from manyways.models.saving import load_model
from manyways.models.stream import StreamPredictor
from manyways.testing.trial import difference

Arrays = tuple[NDArray[Any], NDArray[Any]]
Table = Callable[..., Data]


def fit(method: StreamMethod, data: Data, model: Model | None = None, **options: Any) -> StreamPredictor:
    """What `method` makes of a stream."""
    made = method.fit(data, model, **options)
    assert isinstance(made, StreamPredictor)
    return made


def rows(data: Data, start: int, stop: int) -> Data:
    """The rows from `start` up to `stop`."""
    return data.select(np.arange(start, min(stop, len(data))))


def same(first: Model, second: Model) -> bool:
    """Whether all that two models hold is bitwise the same."""
    return difference(first, second) is None


def saved(model: Model, place: Path) -> Model:
    """`model`, written and read."""
    return load_model(model.save(place / "model"))


@pytest.fixture(scope="session")
def elec(real_data: Callable[[str], Path]) -> Arrays:
    """45,312 half hours of electricity prices in New South Wales: do they rise?"""
    return _table(real_data("drift-streams") / "elec.csv.gz")


@pytest.fixture(scope="session")
def sea(real_data: Callable[[str], Path]) -> Arrays:
    """40,000 rows of three numbers; whether two of them exceed a threshold that changes every 10,000 rows."""
    return _table(real_data("drift-streams") / "sea_stream.csv.gz")


@pytest.fixture(scope="session")
def blobs(real_data: Callable[[str], Path]) -> Arrays:
    """199,999 points of 15 clouds in a plane, which change places every 3,000 rows."""
    folder = real_data("drift-streams")
    with gzip.open(folder / "interchangingRBF.data.gz", "rt") as file:
        points = np.loadtxt(file)
    with gzip.open(folder / "interchangingRBF.labels.gz", "rt") as file:
        return points, np.loadtxt(file).astype(np.int64)


def _table(path: Path) -> Arrays:
    with gzip.open(path, "rt") as file:
        cells = np.loadtxt(file, delimiter=",", skiprows=1)
    return cells[:, :-1], cells[:, -1].astype(np.int64)


@pytest.fixture(scope="session")
def table() -> Callable[..., Data]:
    """Makes a table of inputs and labels."""

    def made(inputs: NDArray[Any], labels: NDArray[Any], **more: NDArray[Any]) -> Data:
        """Columns x0, x1, … and `label`; those of `more` are inputs, too, but `when`, which is the time."""
        columns = [Column(f"x{at}", "number", inputs[:, at]) for at in range(inputs.shape[1])]
        columns.append(Column("label", "category" if labels.dtype.kind in "iuO" else "number", labels))
        columns += [Column(name, "category" if v.dtype == object else "number", v) for name, v in more.items()]
        names = [column.name for column in columns if column.name not in ("label", "when")]
        roles = {"input": names, "label": ["label"], "time": ["when"] if "when" in more else []}
        return Data.from_columns(columns, roles, name="stream")

    return made

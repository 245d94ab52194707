"""TSNE: openTSNE's layout, new rows placed as openTSNE places them, and both without it where a model is loaded."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ModelError, NeedsError
from manyways.methods.unsupervised.tsne import TSNE
from manyways.models.layout import NeighbourLayoutHead
from manyways.models.model import Model

openTSNE = pytest.importorskip("openTSNE", reason="layouts need pip install 'manyways[layout]'")


@pytest.fixture(scope="module")
def some() -> Data:
    """400 digits, a quarter of them for testing."""
    return mw.read("digits").select(np.arange(400)).with_test(0.25)


@pytest.fixture(scope="module")
def model(some: Data) -> Model:
    return TSNE(iterations=150, early_iterations=100).fit(some, seed=2)


def _head(model: Model) -> NeighbourLayoutHead:
    head = model.network.head
    assert isinstance(head, NeighbourLayoutHead)
    return head


def test_places_are_those_of_opentsne(some: Data, model: Model) -> None:
    head = _head(model)
    layout = openTSNE.TSNE(n_iter=150, early_exaggeration_iter=100, random_state=2).fit(head.rows.numpy())
    assert np.array_equal(model.layout(some.training), np.asarray(layout, np.float32))
    pixels = some.test.take("image").reshape(len(some.test), -1) / np.float32(255)
    new = head.components(torch.from_numpy(pixels)).numpy()
    middle = (layout.max(0) + layout.min(0)) / 2
    assert model.layout(some.test) == pytest.approx(layout.transform(new) + middle, abs=1e-3)


def test_neighbours_stay_neighbours(some: Data, model: Model) -> None:
    """New rows lie among their own kind, far more often than on the first two principal components."""

    def right(lays_out: Model) -> float:
        neighbours = KNeighborsClassifier(5).fit(lays_out.layout(some.training), some.training.take("label"))
        return neighbours.score(lays_out.layout(some.test), some.test.take("label"))

    plain = mw.PCA(width=2).fit(some)
    assert right(model) > 0.85
    assert right(model) > right(plain) + 0.15
    rows = _head(model).rows.numpy()
    assert trustworthiness(rows, model.layout(some.training)) > 0.95


def test_a_row_is_placed_by_itself(some: Data, model: Model) -> None:
    together = model.layout(some.test)
    alone = np.concatenate([model.layout(some.test.select([at])) for at in range(8)])
    assert alone == pytest.approx(together[:8], abs=1e-3)
    assert model.layout(some.test.select([])).shape == (0, 2)


def test_it_is_arrays_and_is_loaded_as_it_was_saved(some: Data, model: Model, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model")
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}
    assert np.array_equal(mw.load(folder).layout(some.test), model.layout(some.test))


def test_it_lays_out_the_features_of_a_model(some: Data) -> None:
    start = mw.PCA(width=6).fit(some)
    model = TSNE(iterations=20, early_iterations=20).fit(some, start)
    assert _head(model).rows.shape == (len(some.training), 6)
    assert model.gives == {"layout"}
    with pytest.raises(ModelError, match="gives layout, no predictions"):
        model.predict(some.test)


def test_too_few_and_equal_rows_are_refused(some: Data) -> None:
    with pytest.raises(NeedsError, match="at least 4 training rows to lay out; .* has 3"):
        TSNE().fit(some.training.select([0, 1, 2]))
    with pytest.raises(NeedsError, match="rows that differ"):
        TSNE().fit(some.training.select([0] * 8))
    assert TSNE(iterations=5).fit(some.training.select(np.arange(4))).layout(some.test.select([0])).shape == (1, 2)


@pytest.fixture
def without_opentsne() -> Iterator[None]:
    find = importlib.util.find_spec
    with patch("manyways.models.layout.find_spec", lambda name: None if name == "openTSNE" else find(name)):
        yield


@pytest.mark.usefixtures("without_opentsne")
def test_without_opentsne_it_is_said_what_to_install(some: Data, model: Model) -> None:
    with pytest.raises(NeedsError, match=r"pip install 'manyways\[layout\]'"):
        TSNE().fit(some)
    with pytest.raises(ModelError, match=r"pip install 'manyways\[layout\]'"):
        model.layout(some.test)


def test_the_command_line_lays_rows_out(tmp_path: Path) -> None:
    from manyways.cli import main

    (tmp_path / "rows.csv").write_text("x,y\n" + "\n".join(f"{at},{at * at % 17}" for at in range(40)))
    fit = [
        "fit",
        "tsne(iterations=5, early_iterations=5)",
        str(tmp_path / "rows.csv"),
        "--out",
        str(tmp_path / "model"),
    ]
    assert main(fit) == 0
    out = tmp_path / "places.csv"
    assert main(["embed", str(tmp_path / "model"), str(tmp_path / "rows.csv"), "--out", str(out)]) == 0
    assert len(np.loadtxt(out, delimiter=",", skiprows=1)) == 40

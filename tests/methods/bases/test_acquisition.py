"""Acquisition strategies of other packages: a name in a field, found by its entry point."""

from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.bases import acquisition
from manyways.methods.bases.acquisition import Acquisition
from manyways.methods.transfer.linear_probe import LinearProbe
from manyways.registry import Classes

BROUGHT = '''
import numpy as np
from manyways.methods.bases.acquisition import Acquisition, Ranking


class Darkest(Ranking):
    """Rows with the least ink."""

    name = "darkest"

    def scores(self, pool, rng):
        return -pool.data.take("image").mean((1, 2, 3)).astype(float)


class KCentre(Acquisition):
    """Rows that lie far from one another (Sener & Savarese, ICLR 2018)."""

    name = "k-centre"

    def choose(self, pool, count, rng):
        features, chosen = pool.features, [0]
        while len(chosen) < count:
            apart = np.linalg.norm(features[:, None] - features[chosen][None], axis=2).min(1)
            chosen.append(int(apart.argmax()))
        return np.array(chosen)
'''


@pytest.fixture
def brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Classes[Acquisition]:
    """The registry, beside a package that brings two strategies."""
    (tmp_path / "others.py").write_text(BROUGHT)
    facts = tmp_path / "others-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[manyways.acquisitions]\nothers = others\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(acquisition.ACQUISITIONS, "_unread", None)
    monkeypatch.setattr(acquisition.ACQUISITIONS, "_entries", {})
    return acquisition.ACQUISITIONS


@pytest.fixture(scope="module")
def digits() -> Data:
    return mw.read("digits").select(np.arange(300)).with_test(0.3).with_labels(30, draw="stratified")


def asked(data: Data, strategy: str) -> set[bytes]:
    """The ids of the rows that were asked about in one round."""
    model = mw.ActiveLearning(base=LinearProbe(), strategy=strategy, questions=10, rounds=1).fit(data, budget=4)
    before = {row.tobytes() for row in data.training.ids[data.training.labelled]}
    return {row.tobytes() for row in model.lineage.rows} - before


def test_a_strategy_of_another_package_is_found_by_its_name(digits: Data, brought: Classes[Acquisition]) -> None:
    assert {"margin", "badge", "core-set", "random", "darkest", "k-centre"} <= set(brought)
    hidden = digits.training.select(~digits.training.labelled)
    ink = hidden.take("image").mean((1, 2, 3))
    assert asked(digits, "darkest") == {row.tobytes() for row in hidden.ids[np.argsort(ink, kind="stable")[:10]]}


def test_a_strategy_may_choose_a_batch(digits: Data, brought: Classes[Acquisition]) -> None:
    assert len(asked(digits, "k-centre")) == 10
    assert asked(digits, "k-centre") != asked(digits, "margin")


@pytest.mark.quick
def test_a_method_with_it_is_saved_by_its_name(digits: Data, brought: Classes[Acquisition]) -> None:
    method = mw.ActiveLearning(strategy="darkest")
    assert method.to_json()["strategy"] == "darkest"
    assert str(method) == "active-learning(strategy='darkest')"


@pytest.mark.quick
def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"ActiveLearning\.strategy must be one of .*'margin'.*; got 'marign'"):
        mw.ActiveLearning(strategy="marign")

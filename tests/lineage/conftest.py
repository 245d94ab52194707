"""Data with people in it, as files, so that it can be read again."""

from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.data import Data

PEOPLE = 12


@pytest.fixture
def store() -> mw.Store:
    """The store in this test's home, empty."""
    return mw.Store()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of forty rows of five people."""
    rng = np.random.default_rng(0)
    lines = [f"{rng.normal():.4f},p{at % 5},{'ab'[at % 2]}" for at in range(40)]
    path = tmp_path / "people.csv"
    path.write_text("x,who,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An npz file of 240 small images in three classes, twenty of each of twelve people."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 3
    images = rng.integers(0, 120, (240, 8, 8))
    images[:, :4] += 60 * labels[:, None, None]
    people = [f"person-{at % PEOPLE}" for at in range(240)]
    path = tmp_path_factory.mktemp("faces") / "faces.npz"
    np.savez(path, images=images.astype(np.uint8), labels=labels, person=people)
    return path


@pytest.fixture
def people(faces: Path) -> Data:
    """The faces: person-8 and later to test on and to stop by, the others to learn from, a third with labels."""
    data = mw.read(faces, subject="person").with_test(0.2, seed=9).with_validation(0.1, seed=9)
    return data.with_labels(60, draw="stratified")

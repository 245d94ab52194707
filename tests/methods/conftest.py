"""Small data of every kind."""

import numpy as np
import pytest

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.read import read

WORDS = {
    "sport": ["match", "goal", "team", "player", "season", "coach", "score", "win", "league", "ball"],
    "food": ["recipe", "bake", "salt", "oven", "butter", "dinner", "taste", "sauce", "bread", "spice"],
    "space": ["orbit", "rocket", "star", "planet", "launch", "moon", "telescope", "comet", "mission", "gravity"],
}
FILLER = ["the", "a", "of", "and", "it", "was", "very", "on", "in", "with", "this", "that", "for", "some", "today"]


@pytest.fixture(scope="session")
def digits() -> Data:
    """1,797 images of ten digits, a quarter of them for testing."""
    return read("digits").with_test(0.25)


@pytest.fixture(scope="session")
def cancer() -> Data:
    """569 rows of 30 numbers and two classes, a quarter of them for testing."""
    return read("breast-cancer").with_test(0.25)


@pytest.fixture(scope="session")
def wine() -> Data:
    """178 rows of 13 numbers and three classes, a quarter of them for testing."""
    return read("wine").with_test(0.25)


@pytest.fixture(scope="session")
def diabetes() -> Data:
    """442 rows of 10 numbers and a number to predict, a quarter of them for testing."""
    return read("diabetes").with_test(0.25)


@pytest.fixture(scope="session")
def sentences() -> Data:
    """300 sentences on three topics, told apart by words that each topic has of its own."""
    rng = np.random.default_rng(0)
    topics = rng.choice(sorted(WORDS), 300).astype(object)
    texts = [" ".join(rng.permutation([*rng.choice(WORDS[topic], 3), *rng.choice(FILLER, 6)])) for topic in topics]
    columns = [Column("text", "text", np.array(texts, object)), Column("label", "category", topics)]
    return _data(columns, "text", "sentences")


@pytest.fixture(scope="session")
def tones() -> Data:
    """240 tones of three pitches, a quarter of a second each, in noise."""
    rng = np.random.default_rng(0)
    pitches = np.array([300, 800, 2000])[rng.integers(0, 3, 240)]
    time = np.arange(2000) / 8000
    sound = np.sin(2 * np.pi * (pitches[:, None] * time + rng.random((240, 1)))) + rng.normal(0, 0.3, (240, 2000))
    values = (sound * 8000).clip(-32768, 32767).astype(np.int16)
    names = np.array([f"{pitch} Hz" for pitch in pitches], object)
    return _data([Column("sound", "audio", values, 8000), Column("label", "category", names)], "sound", "tones")


def _data(columns: list[Column], inputs: str, name: str) -> Data:
    return Data.from_columns(columns, {"input": [inputs], "label": ["label"]}, name=name).with_test(0.25)


def accuracy_of(answers: np.ndarray, data: Data) -> float:  # type: ignore[type-arg]
    """The share of `answers` that are the labels of `data`, hidden or not."""
    return float((answers == data.take("label")).mean())

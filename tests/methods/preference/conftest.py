"""Pairs of answers, made and real, and models to start from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from manyways.data.data import Data
from manyways.data.read import read
from manyways.methods.language.pretrain import Pretrain
from manyways.models.language_model import LanguageModel, from_checkpoint


@pytest.fixture(scope="session")
def sums() -> Data:
    """Prompts such as 12+34= with a right and a wrong answer."""
    return read("arithmetic").select(np.arange(240)).with_test(0.2)


@pytest.fixture(scope="session")
def reader_of_sums(sums: Data) -> LanguageModel:
    """A small model of 32 tokens' context that has read sums for a moment."""
    model = Pretrain(tokenizer="characters", context=32, size=0.2, batch_size=8).fit(sums, budget=30)
    assert isinstance(model, LanguageModel)
    return model


@pytest.fixture(scope="session")
def truths(real_data: Callable[[str], Path]) -> Data:
    """790 questions, each with the best true and the best false answer; a quarter to test on."""
    table = real_data("truthfulqa") / "TruthfulQA.csv"
    return read(table, prompt="Question", chosen="Best Answer", rejected="Best Incorrect Answer").with_test(0.25)


@pytest.fixture(scope="session")
def falsehoods(real_data: Callable[[str], Path]) -> Data:
    """The same with the false answer preferred, split as `truths`."""
    table = real_data("truthfulqa") / "TruthfulQA.csv"
    return read(table, prompt="Question", chosen="Best Incorrect Answer", rejected="Best Answer").with_test(0.25)


@pytest.fixture(scope="session")
def storyteller(real_data: Callable[[str], Path]) -> LanguageModel:
    """A trained model of 656,000 parameters that tells simple stories."""
    return from_checkpoint(str(real_data("tinystories-656K")))

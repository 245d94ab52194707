"""SentenceEncoder: vectors, pairs, neighbours and classes by their names, whatever the columns are called."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.data import Data
from manyways.errors import DataError, NeedsError, ParameterError
from manyways.methods.metric_learning.sentence_pairs import SentencePairs
from manyways.methods.multi_modal.zero_shot import ZeroShot
from manyways.models.sentence_encoder import GIVES, SentenceEncoder

pytestmark = pytest.mark.quick
PAIRS = SentencePairs.example_data()
TEXTS = PAIRS.columns["a"].take(np.arange(12)).tolist()


@pytest.fixture(scope="module")
def model() -> SentenceEncoder:
    """One that nobody has trained: it tells texts apart by their words."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        method = SentencePairs(batch_size=16, size=0.5)
        made = method.make_model(method.begin(PAIRS, None, 0))
    assert isinstance(made, SentenceEncoder)
    return replace(made, network=made.network.eval(), gives=GIVES)


def test_texts_are_embedded_whatever_they_come_in(model: SentenceEncoder, tmp_path: Path) -> None:
    vectors = model.embed(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    (tmp_path / "rows.csv").write_text("\n".join(["other", *TEXTS]))
    for source in (
        mw.read({"other": TEXTS}),
        tmp_path / "rows.csv",
        str(tmp_path / "rows.csv"),
        mw.read({"text": TEXTS}),
    ):
        np.testing.assert_allclose(model.embed(source), vectors, atol=1e-6)
    np.testing.assert_allclose(model.embed(TEXTS[3]), vectors[3:4], atol=1e-6)
    assert model.embed("a text longer than any name of a file " * 200).shape == (1, vectors.shape[1])
    first = model.embed(TEXTS, size=5)
    np.testing.assert_allclose(first, vectors[:, :5] / np.linalg.norm(vectors[:, :5], axis=1, keepdims=True), atol=1e-5)
    with pytest.raises(ParameterError, match="size must be in"):
        model.embed(TEXTS, size=100_000)
    with pytest.raises(DataError, match="no column of texts"):
        model.embed(mw.read({"x": [1.5, 2.5]}))


def test_two_columns_stand_side_by_side_and_their_cosine_is_the_similarity(model: SentenceEncoder) -> None:
    some = PAIRS.select(np.arange(12))
    both, width = model.embed(some), model.network.width
    assert both.shape == (12, 2 * width)
    np.testing.assert_allclose(model.similarity(some), (both[:, :width] * both[:, width:]).sum(1), atol=1e-6)
    other_names = mw.read({"x": TEXTS, "y": TEXTS[::-1]})
    assert model.similarity(other_names).shape == (12,)
    with pytest.raises(DataError, match="Two texts of each row are compared"):
        model.similarity(TEXTS)
    with pytest.raises(DataError, match="two are the least"):
        model.evaluate(some.select(np.arange(1)))


def test_a_text_finds_itself_among_others(model: SentenceEncoder) -> None:
    nearest = model.retrieve(TEXTS[:3], TEXTS, k=2)
    assert nearest.rows[:, 0].tolist() == [0, 1, 2]
    np.testing.assert_allclose(nearest.similarity[:, 0], 1, rtol=1e-5)
    some = PAIRS.select(np.arange(12))
    by_pair = model.retrieve(some, some, k=3, by="a")
    assert by_pair.rows.shape == (12, 3)
    with pytest.raises(ParameterError, match="say which asks: by='a'"):
        model.retrieve(some, some)
    with pytest.raises(ParameterError, match="k must be"):
        model.retrieve(TEXTS, TEXTS, k=0)
    with pytest.raises(ParameterError, match="by must be a column"):
        model.retrieve(some, some, by="c")


def test_classes_are_told_by_their_names(model: SentenceEncoder) -> None:
    names = (TEXTS[0], TEXTS[1], TEXTS[2])
    told = model.classifier(names)
    rows = mw.read({"a": TEXTS[:3]}, input="a", kinds={"a": "text"})
    assert told.predict(rows).tolist() == list(names)
    chained = ZeroShot(classes=names, template="{}").fit(None, model)
    np.testing.assert_array_equal(chained.probabilities(rows), told.probabilities(rows))
    with pytest.raises(ParameterError, match="must hold {}"):
        model.classifier(names, template="a text")


def test_its_network_is_the_start_of_other_methods(model: SentenceEncoder, digits_of: Data) -> None:
    predictor = model.as_predictor(digits_of)
    assert predictor.network.names == ("says",)
    features = predictor.embed(digits_of)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, model.embed(digits_of), atol=1e-5)
    with pytest.raises(NeedsError, match="starts from a model"):
        mw.FineTune().fit(digits_of)


@pytest.fixture
def digits_of() -> Data:
    return mw.read({"says": TEXTS, "label": ["one", "two"] * 6}, input="says", label="label")

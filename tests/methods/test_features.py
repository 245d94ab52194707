"""Features of frozen networks: raw ones of which nothing is learned, and numbers that follow from the row alone."""

import numpy as np
import pytest

from manyways.data.data import Data
from manyways.methods.features import TOGETHER, Features, plain_features
from manyways.methods.supervised.supervised import Supervised
from manyways.models.predictor import Predictor


@pytest.mark.parametrize("kind", ["digits", "cancer", "sentences", "tones"])
def test_features_of_a_network_are_bitwise_those_of_the_row_alone(kind: str, request: pytest.FixtureRequest) -> None:
    data: Data = request.getfixturevalue(kind)
    model = Supervised().fit(data, budget=2)
    assert isinstance(model, Predictor)
    network = model.copy_of_network()
    network.head = None
    frozen = Features(network, model.inputs, uses_all_rows=False)
    rows = data.select(np.arange(min(len(data), 2 * TOGETHER + 9)))
    together, order = frozen.alone(rows), np.random.default_rng(0).permutation(len(rows))
    assert np.array_equal(frozen.alone(rows.select(order)), together[order])
    for few in (1, 2, 50):
        assert np.array_equal(frozen.alone(rows.select(np.arange(few))), together[:few])
    np.testing.assert_allclose(together, frozen.of(rows), atol=1e-4)
    assert frozen.alone(rows.select(np.arange(0))).shape == (0, network.width)


@pytest.mark.quick
@pytest.mark.parametrize("kind", ["digits", "cancer", "sentences", "tones"])
def test_plain_features_do_not_depend_on_the_rows_they_are_fitted_on(kind: str, request: pytest.FixtureRequest) -> None:
    data: Data = request.getfixturevalue(kind)
    some = data.select(np.arange(len(data)) % 3 == 0)
    for counts in (False, True):
        whole, part = plain_features(data, None, counts=counts), plain_features(some, None, counts=counts)
        assert whole.encoding.to_json() == part.encoding.to_json()
        assert np.array_equal(whole.alone(data.test), part.alone(data.test))


@pytest.mark.quick
def test_plain_numbers_are_as_they_are(cancer: Data) -> None:
    table = np.stack([column.take(cancer.rows) for column in cancer.inputs], 1)
    assert np.array_equal(plain_features(cancer, None).alone(cancer), table.astype(np.float32))


@pytest.mark.quick
def test_hashed_words_are_counted_or_of_length_one(sentences: Data) -> None:
    counts = plain_features(sentences, None, counts=True).alone(sentences)
    words = [len(str(text).split()) for text in sentences.take("text")]
    assert np.array_equal(counts.sum(1), words)
    folded = plain_features(sentences, None).alone(sentences)
    np.testing.assert_allclose(np.linalg.norm(folded, axis=1), 1, rtol=1e-5)

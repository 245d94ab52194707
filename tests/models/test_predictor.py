"""Predictor: what it says of rows, and what it refuses to say."""

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, ModelError
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.unsupervised.kmeans import KMeans
from manyways.metrics import class_metrics, number_metrics
from manyways.models.model import Model
from manyways.models.predictor import Predictor


@pytest.fixture(scope="module")
def wine() -> Data:
    """178 rows of 13 numbers and three classes, a quarter of them for testing."""
    return mw.read("wine").with_test(0.25)


@pytest.fixture(scope="module")
def diabetes() -> Data:
    """442 rows of 10 numbers and a number to predict, a quarter of them for testing."""
    return mw.read("diabetes").with_test(0.25)


@pytest.fixture(scope="module")
def classifier(wine: Data) -> Model:
    return Supervised().fit(wine, budget=60)


@pytest.fixture(scope="module")
def regressor(diabetes: Data) -> Model:
    return Supervised().fit(diabetes, budget=60)


@pytest.fixture(scope="module")
def embedder(wine: Data) -> Model:
    return SimCLR(batch_size=16).fit(wine, budget=3)


# --- classes -------------------------------------------------------------------------------------


def test_the_most_likely_class_is_predicted(classifier: Model, wine: Data) -> None:
    assert classifier.target is not None
    outputs, probabilities = classifier.outputs(wine.test), classifier.probabilities(wine.test)
    assert outputs.shape == probabilities.shape == (len(wine.test), 3)
    assert outputs.dtype == probabilities.dtype == np.float32
    exponents = np.exp(outputs.astype(np.float64))
    np.testing.assert_allclose(probabilities, exponents / exponents.sum(1, keepdims=True), rtol=1e-5)
    classes = np.array(classifier.target.classes, object)
    assert classifier.predict(wine.test).tolist() == classes[probabilities.argmax(1)].tolist()


def test_what_is_said_of_a_row_does_not_depend_on_the_others(classifier: Model, wine: Data) -> None:
    """Nor on their order: nothing random, no statistics of a batch."""
    whole = classifier.outputs(wine)
    order = np.random.default_rng(0).permutation(len(wine))
    np.testing.assert_allclose(classifier.outputs(wine.select(order)), whole[order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(classifier.outputs(wine.select(np.array([7]))), whole[[7]], rtol=1e-5, atol=1e-6)


def test_scores_are_those_of_the_predictions(classifier: Model, wine: Data) -> None:
    assert classifier.target is not None
    truth = classifier.target.encode(wine.test, hidden=True)
    found = classifier.evaluate(wine.test)
    assert found == pytest.approx(class_metrics(classifier.probabilities(wine.test), truth))
    assert found["accuracy"] == (classifier.predict(wine.test) == wine.test.take("label")).mean() > 0.9
    assert classifier.metric == "accuracy"


def test_hidden_labels_are_scored_and_missing_ones_are_not(classifier: Model, wine: Data) -> None:
    hidden = wine.hide(np.arange(len(wine)))
    assert classifier.evaluate(hidden.test) == classifier.evaluate(wine.test)
    label, some = wine.label, np.flatnonzero(wine.part == 2)[:20]
    values = label.values.copy()
    values[some] = None
    gaps = Data.from_columns(
        [
            *(column for name, column in wine.columns.items() if name != label.name),
            Column(label.name, "category", values),
        ],
        wine.roles,
        part=wine.part,
    )
    assert classifier.evaluate(gaps.test) == pytest.approx(classifier.evaluate(wine.test.select(np.arange(20, 44))))


# --- numbers -------------------------------------------------------------------------------------


def test_numbers_are_predicted_in_their_own_unit(regressor: Model, diabetes: Data) -> None:
    assert regressor.target is not None
    outputs = regressor.outputs(diabetes.test)
    assert outputs.shape == (len(diabetes.test), 1)
    predicted = regressor.predict(diabetes.test)
    np.testing.assert_allclose(predicted, outputs[:, 0] * regressor.target.scale + regressor.target.mean, rtol=1e-6)
    assert abs(predicted.mean() - 152) < 30, "the mean of the label"


def test_scores_of_numbers_are_in_that_unit(regressor: Model, diabetes: Data) -> None:
    truth = np.asarray(diabetes.test.take("label"), float)
    found = regressor.evaluate(diabetes.test)
    assert found == pytest.approx(number_metrics(regressor.predict(diabetes.test), truth), rel=1e-5)
    assert regressor.metric == "r2"


def test_numbers_have_no_probabilities(regressor: Model, diabetes: Data) -> None:
    with pytest.raises(ModelError, match=r"predicts the number '\w+', which has no probabilities; use predict"):
        regressor.probabilities(diabetes.test)


# --- features ------------------------------------------------------------------------------------


def test_the_head_reads_the_features(classifier: Model, wine: Data) -> None:
    assert isinstance(classifier, Predictor)
    features = classifier.embed(wine.test)
    assert features.shape == (len(wine.test), classifier.network.width)
    assert features.dtype == np.float32
    assert classifier.network.head is not None
    with torch.no_grad():
        outputs = classifier.network.head(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(outputs, classifier.outputs(wine.test), rtol=1e-4, atol=1e-5)


def test_a_model_without_a_head_only_embeds(embedder: Model, wine: Data) -> None:
    assert embedder.embed(wine.test).shape[0] == len(wine.test)
    assert embedder.gives == {"embed"}
    assert embedder.metric is None
    for verb in (embedder.predict, embedder.probabilities, embedder.outputs, embedder.evaluate):
        with pytest.raises(
            ModelError, match=r"gives embed, no predictions; chain .*simclr\(batch_size=16\) >> fine_tune"
        ):
            verb(wine.test)


def test_a_number_of_a_cluster_is_predicted(wine: Data) -> None:
    model = KMeans(clusters=4).fit(wine.hide(np.arange(len(wine))))
    assert model.gives == {"cluster"}
    assert set(model.predict(wine.test)) <= {0, 1, 2, 3}


# --- rows it cannot read, and no rows ------------------------------------------------------------


def test_any_source_is_read(classifier: Model, wine: Data) -> None:
    table = {column.name: column.take(wine.test.rows) for column in wine.inputs}
    assert classifier.predict(table).tolist() == classifier.predict(wine.test).tolist()


def test_a_source_without_the_inputs_is_refused(classifier: Model, diabetes: Data) -> None:
    with pytest.raises(DataError, match="lacks the input columns 'alcohol', .*that the model was trained on"):
        classifier.predict(diabetes)


def test_of_no_rows_nothing_is_said_and_no_score_is_made(classifier: Model, regressor: Model, wine: Data) -> None:
    nothing = wine.select(np.empty(0, int))
    assert classifier.predict(nothing).shape == (0,)
    assert classifier.probabilities(nothing).shape == classifier.outputs(nothing).shape == (0, 3)
    assert classifier.embed(nothing).shape == (0, classifier.embed(wine.test).shape[1])
    with pytest.raises(DataError, match="no row with a known label to compute a score on"):
        classifier.evaluate(nothing)


def test_of_no_numbers_nothing_is_said(regressor: Model, diabetes: Data) -> None:
    nothing = diabetes.select(np.empty(0, int))
    assert regressor.predict(nothing).shape == (0,)
    assert regressor.outputs(nothing).shape == (0, 1)


# --- never changed -------------------------------------------------------------------------------


def test_a_copy_of_the_network_is_ones_own(classifier: Model, wine: Data) -> None:
    assert isinstance(classifier, Predictor)
    before = classifier.outputs(wine.test)
    copied = classifier.copy_of_network()
    for name, tensor in classifier.network.state_dict().items():
        assert torch.equal(tensor, copied.state_dict()[name]), name
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.add_(1)
    assert np.array_equal(classifier.outputs(wine.test), before)


def test_looking_leaves_no_trace(classifier: Model, wine: Data) -> None:
    """No gradient is kept, the network stays as it was, and so does the caller's random stream."""
    weights = {name: tensor.clone() for name, tensor in classifier.network.state_dict().items()}
    stream = torch.get_rng_state()
    classifier.evaluate(wine.test)
    classifier.embed(wine.test)
    assert not classifier.network.training
    assert all(parameter.grad is None for parameter in classifier.network.parameters())
    assert torch.equal(torch.get_rng_state(), stream)
    for name, tensor in classifier.network.state_dict().items():
        assert torch.equal(tensor, weights[name]), name

"""OnlineSGD: River's scores, NumPy's weights, budgets, listeners and comparisons."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import manyways as mw
from manyways.data.data import Data
from manyways.data.splitting import Splitting
from manyways.methods.online._method import StreamMethod
from manyways.methods.online.online_sgd import OnlineSGD
from manyways.models.stream import StreamPredictor
from manyways.training.budget import Budget
from manyways.training.events import Event
from manyways.training.run import Run

from .conftest import Arrays, Table, fit, rows, same

# River 0.26.1, StandardScaler | …Regression with SGD(0.01), as printed by `python benchmarks/stream.py figures`.


@pytest.mark.parametrize(
    ("method", "river"),
    [
        (OnlineSGD(), 0.8164724576271186),
        (OnlineSGD(learning_rate=0.05, l2=0.001, intercept_learning_rate=0.02), 0.8448313912429378),
        (OnlineSGD(multinomial=True, intercept_learning_rate=0), 0.8091013418079096),
        (OnlineSGD(multinomial=True, intercept_learning_rate=0, l2=0.01), 0.8096310028248588),
    ],
)
def test_accuracy_on_elec_is_that_of_river(elec: Arrays, method: OnlineSGD, river: float, table: Table) -> None:
    assert fit(method, table(*elec)).prequential["accuracy"] == pytest.approx(river, abs=1e-9)


@pytest.mark.parametrize(
    ("method", "river"),
    [
        (OnlineSGD(), 0.885075),
        (OnlineSGD(learning_rate=0.05, l2=0.001, intercept_learning_rate=0.02), 0.871175),
    ],
)
def test_accuracy_on_sea_is_that_of_river(sea: Arrays, method: OnlineSGD, river: float, table: Table) -> None:
    """But for the first rows: River guesses class 0 before it knows any, and class 1 before any row had it."""
    right = fit(method, table(*sea)).prequential["accuracy"] * 40_000
    assert right == pytest.approx(river * 40_000, abs=1.001)


@pytest.mark.parametrize(("l2", "river"), [(0.0, 0.9204229271007234), (0.01, 0.9209794101279911)])
def test_softmax_on_digits_is_that_of_river(l2: float, river: float, table: Table) -> None:
    inputs, labels = load_digits(return_X_y=True)
    model = fit(OnlineSGD(intercept_learning_rate=0, multinomial=True, l2=l2), table(inputs, labels))
    assert model.prequential["accuracy"] == pytest.approx(river, abs=1e-9)


@pytest.mark.parametrize(
    ("l2", "mae", "rmse"), [(0.0, 59.443422726340806, 76.26552207996691), (0.01, 59.43878085430386, 76.25922618687181)]
)
def test_linear_regression_on_diabetes_is_that_of_river(l2: float, mae: float, rmse: float) -> None:
    scores = fit(OnlineSGD(learning_rate=0.005, l2=l2), mw.read("diabetes")).prequential
    assert scores["mean_absolute_error"] == pytest.approx(mae, rel=1e-6)
    assert scores["root_mean_squared_error"] == pytest.approx(rmse, rel=1e-6)


def test_linear_regression_on_sea_is_that_of_river(sea: Arrays, table: Table) -> None:
    scores = fit(OnlineSGD(learning_rate=0.005), table(sea[0][:, 1:], sea[0][:, 0])).prequential
    assert scores["mean_absolute_error"] == pytest.approx(2.5174032289109953, rel=1e-6)
    assert scores["root_mean_squared_error"] == pytest.approx(2.9133220930473103, rel=1e-6)


def plain_loop(
    inputs: NDArray[Any], labels: NDArray[Any], classes: int, *, rate: float, l2: float = 0.0, pairs: bool = True
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Weights [outputs, width], intercepts and summed error of a loop that is written as the formulas are.

    classes: 0 for a number. pairs: whether two classes that were seen are logistic regression.
    """
    width, outputs = inputs.shape[1], max(classes, 1)
    weight, bias, seen, error = np.zeros((outputs, width)), np.zeros(outputs), [], 0.0
    for at, (row, label) in enumerate(zip(inputs, labels, strict=True)):
        before = inputs[:at]
        spread = before.std(0) if at else np.zeros(width)
        known = spread > 1e-12
        now = np.where(known, (row - (before.mean(0) if at else 0)) / np.where(known, spread, 1), 0)
        logits = weight @ now + bias
        if not classes:
            error += abs(logits[0] - label)
        else:
            error += label != (max(sorted(seen), key=lambda code: logits[code]) if seen else -1)
        after = inputs[: at + 1]
        spread = after.std(0)
        known = spread > 1e-12
        now = np.where(known, (row - after.mean(0)) / np.where(known, spread, 1), 0)
        logits = weight @ now + bias
        if not classes:
            slopes, speed = np.array([2 * (logits[0] - label)]), 1 / max(1, 2 * rate * (now @ now + 1))
        else:
            chances = np.zeros(classes)
            logistic = pairs and len({*seen, label}) <= 2
            if logistic:
                others = [code for code in seen if code != label]
                other = others[0] if others else None
                half = logits[label] if label in seen else (-logits[other] if other is not None else 0.0)
                chances[label] = 1 / (1 + np.exp(-2 * half))
                if other is not None:
                    chances[other] = 1 - chances[label]
            elif seen:
                powers = np.exp(logits[seen] - logits[seen].max())
                chances[seen] = powers / powers.sum()
            speed = 0.5 if logistic else 1.0
            if label not in seen:
                seen.append(int(label))
                if logistic and len(seen) == 2:
                    weight[label], bias[label] = -weight[seen[0]], -bias[seen[0]]
            slopes = chances - (np.arange(classes) == label)
        for code in seen if classes else [0]:
            weight[code] -= rate * (speed * slopes[code] * now + l2 * weight[code])
            bias[code] -= rate * speed * slopes[code]
    return weight, bias, error


@pytest.mark.parametrize(
    ("name", "multinomial", "l2"),
    [("elec", False, 0.0), ("elec", True, 0.01), ("blobs", False, 0.01), ("blobs", True, 0)],
)
def test_weights_of_classes_are_those_of_a_plain_loop(
    request: pytest.FixtureRequest, name: str, multinomial: bool, l2: float, table: Table
) -> None:
    """Two classes, and fifteen of which the third comes up after a few rows."""
    inputs, labels = request.getfixturevalue(name)
    inputs, labels = inputs[:700].astype(np.float32), labels[:700]
    labels = np.unique(labels, return_inverse=True)[1]
    model = fit(OnlineSGD(l2=l2, learning_rate=0.03, multinomial=multinomial), table(inputs, labels))
    first = inputs[0].astype(np.float64)
    moved = (inputs.astype(np.float64) - first).astype(np.float32).astype(np.float64)
    weight, bias, error = plain_loop(moved, labels, int(labels.max()) + 1, rate=0.03, l2=l2, pairs=not multinomial)
    np.testing.assert_allclose(model.head.weight.numpy(), weight, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(model.head.bias.numpy(), bias, rtol=1e-6, atol=1e-8)
    assert model.prequential["accuracy"] == pytest.approx(1 - error / len(labels), abs=1e-12)


def test_weights_of_a_number_are_those_of_a_plain_loop() -> None:
    data = mw.read("diabetes")
    inputs = np.stack([column.take(data.rows) for column in data.inputs], axis=1)
    model = fit(OnlineSGD(learning_rate=0.02), data)
    weight, bias, error = plain_loop(inputs - inputs[0], data.take("label").astype(float), 0, rate=0.02)
    np.testing.assert_allclose(model.head.weight.numpy(), weight, rtol=1e-4)
    np.testing.assert_allclose(model.head.bias.numpy(), bias, rtol=1e-4)
    assert model.prequential["mean_absolute_error"] == pytest.approx(error / len(data), rel=1e-5)


def test_answers_are_those_of_the_last_weights(elec: Arrays, table: Table) -> None:
    inputs, labels = elec[0][:3000], elec[1][:3000]
    data = table(inputs, labels)
    model = fit(OnlineSGD(), data)
    now = (inputs - inputs.mean(0)) / np.where(inputs.std(0) > 0, inputs.std(0), 1)
    logits = now @ np.diff(model.head.weight.numpy(), axis=0)[0] + np.diff(model.head.bias.numpy())[0]
    np.testing.assert_allclose(model.probabilities(data)[:, 1], 1 / (1 + np.exp(-logits)), atol=1e-5)
    assert np.array_equal(model.predict(data), (logits > 0).astype(int))
    assert model.evaluate(data)["accuracy"] > 0.65


def test_a_column_that_begins_to_vary_late_does_not_blow_up_a_linear_model(elec: Arrays, table: Table) -> None:
    """Two columns of elec stand still for 17,000 rows; River's error is 4e10 there."""
    model = fit(OnlineSGD(), table(np.delete(elec[0], 1, axis=1), elec[0][:, 1]))
    assert model.prequential["root_mean_squared_error"] < 0.05


def test_without_a_budget_all_rows_are_read(elec: Arrays, table: Table) -> None:
    assert fit(OnlineSGD(), table(elec[0][:3000], elec[1][:3000])).rows == 3000


@pytest.mark.parametrize(
    ("budget", "count"),
    [("700 steps", 700), ("701 examples", 701), ("1e6 steps", 3000), (Budget(29 * 6 * 500.5, "flops"), 500)],
)
def test_a_budget_is_rows(elec: Arrays, budget: Budget | str, count: int, table: Table) -> None:
    data = table(elec[0][:3000], elec[1][:3000])
    model = fit(OnlineSGD(), data, budget=budget)
    assert model.rows == model.lineage.steps == len(model.lineage.rows) == count
    if count < 3000:
        assert same(fit(OnlineSGD(), data), fit(OnlineSGD(), rows(data, count, 3000), model))


def test_seconds_end_the_stream_where_they_are_spent(elec: Arrays, table: Table) -> None:
    data = table(*elec)
    events: list[Event] = []
    model = fit(OnlineSGD(), data, budget=Budget(1e-4, "seconds"), run=Run(None, [events.append]))
    assert 0 < model.rows < len(data)
    assert events[-1].kind == "stop"
    assert same(fit(OnlineSGD(), data), fit(OnlineSGD(), rows(data, model.rows, len(data)), model))


def test_listeners_hear_the_prequential_score(elec: Arrays, table: Table) -> None:
    events: list[Event] = []
    scores: list[float] = []

    def follow(event: Event) -> None:
        events.append(event)
        if event.model is not None:
            made = event.model()
            assert isinstance(made, StreamPredictor)
            assert made.rows == event.step
            scores.append(made.prequential["accuracy"])

    model = fit(OnlineSGD(), table(elec[0][:3000], elec[1][:3000]), run=Run(None, [follow], evaluations=3))
    told = [event.values["prequential_accuracy"] for event in events if event.kind == "step"]
    assert len(told) >= 20
    assert told[-1] == scores[-1] == model.prequential["accuracy"]
    assert len(scores) == 3


@pytest.mark.quick
def test_a_comparison_tries_it_where_rows_have_a_time(elec: Arrays, table: Table) -> None:
    from manyways.comparison.comparison_plan import make_plan

    def tried(data: Data) -> list[str]:
        plan = make_plan(data, None, None, Budget(1, "seconds"), 1, None, Splitting(), 0)
        return [name for name in plan.methods if name.startswith("online-sgd")]

    inputs, labels = elec[0][:300], elec[1][:300]
    assert tried(table(inputs, labels, when=np.arange(300))) == ["online-sgd", "online-sgd(drift='adwin')"]
    assert tried(table(inputs, labels)) == []


@pytest.mark.quick
def test_others_start_from_a_plain_model_as_before(digits: Data) -> None:
    """That it is the shortest way to a model that classifies does not make it what others are told to start from."""
    from manyways.methods.starts import starts

    first = starts(frozenset({"classify", "regress"}), digits)[0]
    assert not isinstance(first, StreamMethod)

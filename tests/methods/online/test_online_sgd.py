"""OnlineSGD: River's scores, NumPy's weights, streams that are cut anywhere, and rows as they should not come."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, ModelError, NeedsError, TrainingError
from manyways.methods.online.online_sgd import OnlineSGD
from manyways.methods.supervised.supervised import Supervised
from manyways.models.model import Model
from manyways.models.saving import load_model
from manyways.models.stream import StreamPredictor
from manyways.training.budget import Budget
from manyways.training.events import Event
from manyways.training.run import Run

Arrays = tuple[NDArray[Any], NDArray[Any]]


def table(inputs: NDArray[Any], labels: NDArray[Any], **more: NDArray[Any]) -> Data:
    """Columns x0, x1, … and `label`; those of `more` are inputs, too, but `when`, which is the time."""
    columns = [Column(f"x{at}", "number", inputs[:, at]) for at in range(inputs.shape[1])]
    columns.append(Column("label", "category" if labels.dtype.kind in "iuO" else "number", labels))
    columns += [Column(name, "category" if v.dtype == object else "number", v) for name, v in more.items()]
    names = [column.name for column in columns if column.name not in ("label", "when")]
    roles = {"input": names, "label": ["label"], "time": ["when"] if "when" in more else []}
    return Data.from_columns(columns, roles, name="stream")


def fit(method: OnlineSGD, data: Data, model: Model | None = None, **options: Any) -> StreamPredictor:
    made = method.fit(data, model, **options)
    assert isinstance(made, StreamPredictor)
    return made


def rows(data: Data, start: int, stop: int) -> Data:
    return data.select(np.arange(start, min(stop, len(data))))


def same(first: Model, second: Model) -> bool:
    ours, theirs = first.network.state_dict(), second.network.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def saved(model: Model, place: Path) -> Model:
    return load_model(model.save(place / "model"))


# --- River's scores ------------------------------------------------------------------------------------
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
def test_accuracy_on_elec_is_that_of_river(elec: Arrays, method: OnlineSGD, river: float) -> None:
    assert fit(method, table(*elec)).prequential["accuracy"] == pytest.approx(river, abs=1e-9)


@pytest.mark.parametrize(
    ("method", "river"),
    [
        (OnlineSGD(), 0.885075),
        (OnlineSGD(learning_rate=0.05, l2=0.001, intercept_learning_rate=0.02), 0.871175),
    ],
)
def test_accuracy_on_sea_is_that_of_river(sea: Arrays, method: OnlineSGD, river: float) -> None:
    """But for the first rows: River guesses class 0 before it knows any, and class 1 before any row had it."""
    right = fit(method, table(*sea)).prequential["accuracy"] * 40_000
    assert right == pytest.approx(river * 40_000, abs=1.001)


@pytest.mark.parametrize(("l2", "river"), [(0.0, 0.9204229271007234), (0.01, 0.9209794101279911)])
def test_softmax_on_digits_is_that_of_river(l2: float, river: float) -> None:
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


def test_linear_regression_on_sea_is_that_of_river(sea: Arrays) -> None:
    scores = fit(OnlineSGD(learning_rate=0.005), table(sea[0][:, 1:], sea[0][:, 0])).prequential
    assert scores["mean_absolute_error"] == pytest.approx(2.5174032289109953, rel=1e-6)
    assert scores["root_mean_squared_error"] == pytest.approx(2.9133220930473103, rel=1e-6)


# --- NumPy's weights -----------------------------------------------------------------------------------


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
    request: pytest.FixtureRequest, name: str, multinomial: bool, l2: float
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


def test_answers_are_those_of_the_last_weights(elec: Arrays) -> None:
    inputs, labels = elec[0][:3000], elec[1][:3000]
    data = table(inputs, labels)
    model = fit(OnlineSGD(), data)
    now = (inputs - inputs.mean(0)) / np.where(inputs.std(0) > 0, inputs.std(0), 1)
    logits = now @ np.diff(model.head.weight.numpy(), axis=0)[0] + np.diff(model.head.bias.numpy())[0]
    np.testing.assert_allclose(model.probabilities(data)[:, 1], 1 / (1 + np.exp(-logits)), atol=1e-5)
    assert np.array_equal(model.predict(data), (logits > 0).astype(int))
    assert model.evaluate(data)["accuracy"] > 0.65


def test_a_column_that_begins_to_vary_late_does_not_blow_up_a_linear_model(elec: Arrays) -> None:
    """Two columns of elec stand still for 17,000 rows; River's error is 4e10 there."""
    model = fit(OnlineSGD(), table(np.delete(elec[0], 1, axis=1), elec[0][:, 1]))
    assert model.prequential["root_mean_squared_error"] < 0.05


# --- cut anywhere --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 7, 2500, 4999])
@pytest.mark.parametrize(
    "method",
    [
        OnlineSGD(),
        OnlineSGD(drift="adwin", window=300),
        OnlineSGD(drift="page_hinkley", page_hinkley_threshold=10, on_drift="reset"),
        OnlineSGD(multinomial=True, l2=1e-3),
        OnlineSGD(standardise=False),
    ],
    ids=str,
)
def test_saved_loaded_and_gone_on_is_one_pass(elec: Arrays, tmp_path: Path, method: OnlineSGD, cut: int) -> None:
    data = table(elec[0][:5000], elec[1][:5000])
    whole = fit(method, data)
    half = saved(fit(method, rows(data, 0, cut)), tmp_path)
    gone_on = fit(method, rows(data, cut, 5000), half)
    assert same(whole, gone_on)
    assert gone_on.prequential == whole.prequential
    assert np.array_equal(gone_on.prequential_curve, whole.prequential_curve)
    assert np.array_equal(gone_on.drifts, whole.drifts)


def test_a_number_saved_and_gone_on_is_one_pass(sea: Arrays, tmp_path: Path) -> None:
    data = table(sea[0][:5000, 1:], sea[0][:5000, 0])
    method = OnlineSGD(drift="adwin")
    half = saved(fit(method, rows(data, 0, 1234)), tmp_path)
    assert same(fit(method, data), fit(method, rows(data, 1234, 5000), half))


def growing(count: int = 600) -> Data:
    """A class and a category more every hundred rows."""
    rng = np.random.default_rng(0)
    stage = np.arange(count) // 100
    names = np.array([f"{'zmaqbc'[rng.integers(0, at + 1)]}" for at in stage], object)
    labels = np.array([f"{'kcxaeb'[rng.integers(0, at + 1)]}" for at in stage], object)
    inputs = rng.normal(size=(count, 2)) + (labels == "k")[:, None] - (names == "z")[:, None]
    return table(inputs, labels, colour=names, more=rng.normal(size=count))


@pytest.mark.parametrize("multinomial", [False, True])
def test_new_classes_and_categories_grow_the_model_exactly(tmp_path: Path, multinomial: bool) -> None:
    """Learned in six pieces, each of which brings a class and a category, the weights are those of one pass."""
    data, method = growing(), OnlineSGD(multinomial=multinomial, drift="adwin")
    model: Model | None = None
    for start in range(0, len(data), 100):
        piece = rows(data, start, start + 100)
        taken = {name: replace(column, values=column.take(piece.rows)) for name, column in piece.columns.items()}
        known = Data.from_columns(taken.values(), piece.roles)
        model = saved(fit(method, known, model), tmp_path)
        assert len(model.target.classes) == start // 100 + 1  # type: ignore[union-attr]
    whole = fit(method, data)
    assert isinstance(model, StreamPredictor)
    assert same(whole, model)
    assert whole.target == model.target
    assert np.array_equal(whole.outputs(data), model.outputs(data))


def test_a_third_class_changes_no_probability_before_it_is_learned(elec: Arrays) -> None:
    data = table(elec[0][:1000], elec[1][:1000])
    before = fit(OnlineSGD(), data)
    more = table(elec[0][:1], np.array([2]))
    frozen = replace(OnlineSGD(), learning_rate=1e-300)
    after = fit(frozen, more, before)
    assert after.target is not None
    assert after.target.classes == (0, 1, 2)
    ours, theirs = after.outputs(data)[:, :2], before.outputs(data)
    np.testing.assert_allclose(ours[:, 1] - ours[:, 0], theirs[:, 1] - theirs[:, 0], rtol=0.02, atol=0.01)


def test_a_stream_in_many_pieces_is_one_stage_of_the_lineage(elec: Arrays) -> None:
    data = table(elec[0][:400], elec[1][:400])
    model: StreamPredictor | None = None
    for start in range(0, 400, 100):
        model = fit(OnlineSGD(), rows(data, start, start + 100), model)
    assert model is not None
    assert len(model.lineage.stages()) == 1
    assert model.lineage.steps == model.rows == 400
    assert len(model.lineage.all_rows()) == len(np.unique(data.ids, axis=0))
    faster = fit(OnlineSGD(learning_rate=0.1), rows(data, 0, 100), model)
    assert [stage.title for stage in faster.lineage.stages()] == ["online-sgd(learning_rate=0.1)", "online-sgd"]


def test_nothing_is_taken_from_later_rows(elec: Arrays) -> None:
    """With wild rows and other categories after the 2,000th the first windows of the curve are the same."""
    rng = np.random.default_rng(0)
    names = np.array(list("abc"), object)[rng.integers(0, 3, 4000)]
    inputs, labels = elec[0][:4000].copy(), elec[1][:4000].copy()
    method = OnlineSGD(window=500)
    model = fit(method, table(inputs, labels, colour=names))
    inputs[2000:] = rng.normal(50, 1000, (2000, 6))
    labels[2000:], names[2000:] = 1 - labels[2000:], "z"
    other = fit(method, table(inputs, labels, colour=names))
    assert np.array_equal(model.prequential_curve[:4], other.prequential_curve[:4])
    assert not np.array_equal(model.prequential_curve[4:], other.prequential_curve[4:])


def test_the_curve_adds_up_to_the_score(elec: Arrays) -> None:
    model = fit(OnlineSGD(window=700), table(elec[0][:5000], elec[1][:5000]))
    ends, scores = model.prequential_curve.T
    assert ends[:3].tolist() == [700, 1400, 2100]
    assert ends[-1] == 5000
    assert np.average(scores, weights=np.diff(ends, prepend=0)) == pytest.approx(model.prequential["accuracy"])


def test_large_numbers_are_learned_as_if_they_were_small(elec: Arrays) -> None:
    """A billion more in a column, as dates have in seconds, is taken away before anything is rounded."""
    inputs, labels = elec[0][:3000], elec[1][:3000]
    far = inputs + np.array([0, 1e9, 0, 0, -1e9, 0])
    near, moved = (fit(OnlineSGD(), table(each, labels)).prequential["accuracy"] for each in (inputs, far))
    assert moved == pytest.approx(near, abs=0.002)


# --- order ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dates", [False, True])
def test_rows_are_learned_in_the_order_of_their_time(elec: Arrays, dates: bool) -> None:
    inputs, labels = elec[0][:500], elec[1][:500]
    when: NDArray[Any] = np.arange(500)
    if dates:
        when = (np.datetime64("2024-02-01T00:30") + 30 * np.arange(500)).astype(str).astype(object)
    mixed = np.random.default_rng(0).permutation(500)
    in_order = fit(OnlineSGD(), table(inputs, labels))
    sorted_again = fit(OnlineSGD(), table(inputs[mixed], labels[mixed], when=when[mixed]))
    assert np.array_equal(in_order.head.weight.numpy(), sorted_again.head.weight.numpy())
    assert not np.array_equal(
        in_order.head.weight.numpy(), fit(OnlineSGD(), table(inputs[mixed], labels[mixed])).head.weight.numpy()
    )


def test_rows_from_before_the_last_are_refused(elec: Arrays, tmp_path: Path) -> None:
    inputs, labels, when = elec[0][:300], elec[1][:300], np.arange(300)
    data = table(inputs, labels, when=when)
    model = saved(fit(OnlineSGD(), rows(data, 0, 200)), tmp_path)
    with pytest.raises(DataError, match=r"50 of 150 rows .* 'when' begins at 149 and must not be below 199"):
        OnlineSGD().fit(table(inputs[149:299], labels[149:299], when=when[149:299]), model)
    assert fit(OnlineSGD(), rows(data, 200, 300), model).rows == 300
    with pytest.raises(DataError, match=r'in the order of \'when\'.*time="when"'):
        OnlineSGD().fit(table(inputs[200:], labels[200:]), model)
    days = np.array(["2024-01-01"] * 100, object)
    with pytest.raises(DataError, match="are numbers, and 'when' of stream holds dates"):
        OnlineSGD().fit(table(inputs[200:], labels[200:], when=days), model)


def test_a_time_that_cannot_be_read_is_named(elec: Arrays) -> None:
    days = np.array(["2024-01-01", "2024-01-02", "3/1/2024"], object)
    with pytest.raises(DataError, match=r"ISO 8601 .* row 2 holds '3/1/2024'"):
        OnlineSGD().fit(table(elec[0][:3], elec[1][:3], when=days))
    with pytest.raises(DataError, match="'when' is missing in 1 labelled rows, the first is row 1"):
        OnlineSGD().fit(table(elec[0][:3], elec[1][:3], when=np.array([1, np.nan, 2])))


# --- as it should not come -----------------------------------------------------------------------------


def test_other_columns_are_refused_by_name(elec: Arrays) -> None:
    model = OnlineSGD().fit(table(elec[0][:100, :3], elec[1][:100]))
    with pytest.raises(DataError, match=r"lacks the input 'x2' that the model learned from; its inputs are x0, x1\."):
        OnlineSGD().fit(table(elec[0][100:200, :2], elec[1][100:200]), model)
    with pytest.raises(DataError, match=r"has the input 'x3' .*input=\[\"x0\", \"x1\", \"x2\"\]"):
        OnlineSGD().fit(table(elec[0][100:200, :4], elec[1][100:200]), model)
    data = table(elec[0][100:200, :2], elec[1][100:200], x2=np.array(["a", "b"] * 50, object))
    with pytest.raises(DataError, match=r'x2\' was a number .* it is a category\..*kinds=\{"x2": "number"\}'):
        OnlineSGD().fit(data, model)


def test_another_label_is_refused(elec: Arrays) -> None:
    inputs, labels = elec[0][:100], elec[1][:100]
    model = OnlineSGD().fit(table(inputs, labels))
    other = table(inputs, labels)
    renamed = Data.from_columns(
        [*other.inputs, replace(other.label, name="class")], {"input": other.roles["input"], "label": ["class"]}
    )
    with pytest.raises(DataError, match="predicts 'label', and the label of data is 'class'"):
        OnlineSGD().fit(renamed, model)
    with pytest.raises(DataError, match=r'was a category so far.*kinds=\{"label": "category"\}'):
        OnlineSGD().fit(table(inputs, labels.astype(float)), model)
    words = np.array([f"{label}" for label in labels], object)
    with pytest.raises(DataError, match="of the type int so far.*they are str"):
        OnlineSGD().fit(table(inputs, words), model)


def test_a_number_that_is_none_is_named_with_its_row(elec: Arrays) -> None:
    inputs = elec[0][:3000].copy()
    inputs[2345, 4] = np.nan
    with pytest.raises(DataError, match=r"'x4' is NaN or infinite in row 2345 .*bad_rows=\"skip\""):
        OnlineSGD().fit(table(inputs, elec[1][:3000]))
    labels = elec[0][:3000, 0].copy()
    labels[77] = np.inf
    with pytest.raises(DataError, match="'label' is infinite in row 77"):
        OnlineSGD().fit(table(elec[0][:3000], labels))


def test_a_label_that_is_out_of_all_proportion_ends_the_training(elec: Arrays) -> None:
    labels = elec[0][:100, 0].copy()
    labels[40] = 1e200
    with pytest.raises(TrainingError, match="row 40 .* too far from its label .*1e"):
        OnlineSGD().fit(table(elec[0][:100], labels))


def test_a_stream_may_begin_with_one_class(elec: Arrays) -> None:
    labels = np.concatenate([np.zeros(50, np.int64), elec[1][50:400]])
    data = table(elec[0][:400], labels)
    first = fit(OnlineSGD(), table(elec[0][:50], labels[:50]))
    assert (first.predict(data) == 0).all()
    whole, gone_on = fit(OnlineSGD(), data), fit(OnlineSGD(), table(elec[0][50:400], labels[50:]), first)
    assert same(whole, gone_on)


def test_standardising_is_not_changed_on_the_way(elec: Arrays) -> None:
    data = table(elec[0][:100], elec[1][:100])
    with pytest.raises(ModelError, match=r"OnlineSGD\.standardise must be True"):
        OnlineSGD(standardise=False).fit(data, OnlineSGD().fit(data))


def test_text_is_refused_without_a_model_that_embeds_it(sentences: Data, digits: Data) -> None:
    with pytest.raises(NeedsError, match=r"the text 'text' .*simclr >> online-sgd"):
        OnlineSGD().fit(sentences)
    assert (
        fit(OnlineSGD(), sentences, Supervised().fit(sentences, budget=15)).evaluate(sentences.test)["accuracy"] > 0.6
    )


def test_features_of_a_model_are_a_stream_too(digits: Data, tmp_path: Path) -> None:
    start = Supervised().fit(digits.with_labels(200), budget=20)
    training = rows(digits.training, 0, 900)
    whole = fit(OnlineSGD(), training, start)
    half = saved(fit(OnlineSGD(), rows(training, 0, 500), start), tmp_path)
    assert same(whole, fit(OnlineSGD(), rows(training, 500, 900), half))
    assert whole.evaluate(digits.test)["accuracy"] > 0.85
    assert [stage.title for stage in whole.lineage.stages()] == ["online-sgd", "supervised"]


def test_without_numba_it_says_what_to_install(digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manyways.methods.online.online_sgd.find_spec", lambda name: None)
    with pytest.raises(NeedsError, match=r"pip install 'manyways\[online\]'"):
        OnlineSGD().fit(digits)


# --- budgets, listeners, comparisons -------------------------------------------------------------------


def test_without_a_budget_all_rows_are_read(elec: Arrays) -> None:
    assert fit(OnlineSGD(), table(elec[0][:3000], elec[1][:3000])).rows == 3000


@pytest.mark.parametrize(
    ("budget", "count"),
    [("700 steps", 700), ("701 examples", 701), ("1e6 steps", 3000), (Budget(29 * 6 * 500.5, "flops"), 500)],
)
def test_a_budget_is_rows(elec: Arrays, budget: Budget | str, count: int) -> None:
    data = table(elec[0][:3000], elec[1][:3000])
    model = fit(OnlineSGD(), data, budget=budget)
    assert model.rows == model.lineage.steps == len(model.lineage.rows) == count
    if count < 3000:
        assert same(fit(OnlineSGD(), data), fit(OnlineSGD(), rows(data, count, 3000), model))


def test_seconds_end_the_stream_where_they_are_spent(elec: Arrays) -> None:
    data = table(*elec)
    events: list[Event] = []
    model = fit(OnlineSGD(), data, budget=Budget(1e-4, "seconds"), run=Run(None, [events.append]))
    assert 0 < model.rows < len(data)
    assert events[-1].kind == "stop"
    assert same(fit(OnlineSGD(), data), fit(OnlineSGD(), rows(data, model.rows, len(data)), model))


def test_listeners_hear_the_prequential_score(elec: Arrays) -> None:
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


def test_a_comparison_tries_it_where_rows_have_a_time(elec: Arrays) -> None:
    from manyways.comparison.plan import make_plan

    def tried(data: Data) -> list[str]:
        plan = make_plan(data, None, None, Budget(1, "seconds"), 1, None, 0.2, 0)
        return [name for name in plan.methods if name.startswith("online-sgd")]

    inputs, labels = elec[0][:300], elec[1][:300]
    assert tried(table(inputs, labels, when=np.arange(300))) == ["online-sgd", "online-sgd(drift='adwin')"]
    assert tried(table(inputs, labels)) == []


def test_others_start_from_a_plain_model_as_before(digits: Data) -> None:
    """That it is the shortest way to a model that classifies does not make it what others are told to start from."""
    from manyways.methods.starts import starts

    assert str(starts(frozenset({"classify", "regress"}), digits)[0]) == "supervised"


def test_compiled_code_is_kept_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core.dispatcher import Dispatcher

    from manyways.methods.online._compiling import kept

    def nowhere(self: Dispatcher) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(Dispatcher, "enable_caching", nowhere)
    double: Callable[[float], float] = kept(lambda number: 2 * number)
    assert double(3.0) == 6.0
    assert double.targetoptions["nogil"]  # type: ignore[attr-defined]


def test_compiled_code_is_kept_under_the_hash_of_all_that_it_is_made_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """numba looks at the file of a function alone, and would keep the machine code of what that no longer calls."""
    from manyways.methods.online import _compiling

    for source in Path(_compiling.__file__).parent.glob("*.py"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
        if re.search("^@(compiled|kept)$", source.read_text(), re.MULTILINE):
            assert source.name in _compiling.SOURCES
    before = _compiling.hash_of_sources()
    monkeypatch.setattr(_compiling, "__file__", str(tmp_path / "_compiling.py"))
    assert _compiling.hash_of_sources.__wrapped__() == before
    (tmp_path / "_row.py").write_text("changed")
    assert _compiling.hash_of_sources.__wrapped__() != before

"""Streams that are cut anywhere and gone on with, and the order of their rows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.errors import DataError
from manyways.methods.online.online_sgd import OnlineSGD
from manyways.models.model import Model
from manyways.models.stream import StreamPredictor

from .conftest import Arrays, Table, fit, rows, same, saved


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
def test_saved_loaded_and_gone_on_is_one_pass(
    elec: Arrays, tmp_path: Path, method: OnlineSGD, cut: int, table: Table
) -> None:
    data = table(elec[0][:5000], elec[1][:5000])
    whole = fit(method, data)
    half = saved(fit(method, rows(data, 0, cut)), tmp_path)
    gone_on = fit(method, rows(data, cut, 5000), half)
    assert same(whole, gone_on)
    assert gone_on.prequential == whole.prequential
    assert np.array_equal(gone_on.prequential_curve, whole.prequential_curve)
    assert np.array_equal(gone_on.drifts, whole.drifts)


def test_a_number_saved_and_gone_on_is_one_pass(sea: Arrays, tmp_path: Path, table: Table) -> None:
    data = table(sea[0][:5000, 1:], sea[0][:5000, 0])
    method = OnlineSGD(drift="adwin")
    half = saved(fit(method, rows(data, 0, 1234)), tmp_path)
    assert same(fit(method, data), fit(method, rows(data, 1234, 5000), half))


def growing(table: Table, count: int = 600) -> Data:
    """A class and a category more every hundred rows."""
    rng = np.random.default_rng(0)
    stage = np.arange(count) // 100
    names = np.array([f"{'zmaqbc'[rng.integers(0, at + 1)]}" for at in stage], object)
    labels = np.array([f"{'kcxaeb'[rng.integers(0, at + 1)]}" for at in stage], object)
    inputs = rng.normal(size=(count, 2)) + (labels == "k")[:, None] - (names == "z")[:, None]
    return table(inputs, labels, colour=names, more=rng.normal(size=count))


@pytest.mark.parametrize("multinomial", [False, True])
def test_new_classes_and_categories_grow_the_model_exactly(tmp_path: Path, multinomial: bool, table: Table) -> None:
    """Learned in six pieces, each of which brings a class and a category, the weights are those of one pass."""
    data, method = growing(table), OnlineSGD(multinomial=multinomial, drift="adwin")
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


def test_a_third_class_changes_no_probability_before_it_is_learned(elec: Arrays, table: Table) -> None:
    data = table(elec[0][:1000], elec[1][:1000])
    before = fit(OnlineSGD(), data)
    more = table(elec[0][:1], np.array([2]))
    frozen = replace(OnlineSGD(), learning_rate=1e-300)
    after = fit(frozen, more, before)
    assert after.target is not None
    assert after.target.classes == (0, 1, 2)
    ours, theirs = after.outputs(data)[:, :2], before.outputs(data)
    np.testing.assert_allclose(ours[:, 1] - ours[:, 0], theirs[:, 1] - theirs[:, 0], rtol=0.02, atol=0.01)


def test_a_stream_in_many_pieces_is_one_stage_of_the_lineage(elec: Arrays, table: Table) -> None:
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


def test_nothing_is_taken_from_later_rows(elec: Arrays, table: Table) -> None:
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


def test_the_curve_adds_up_to_the_score(elec: Arrays, table: Table) -> None:
    model = fit(OnlineSGD(window=700), table(elec[0][:5000], elec[1][:5000]))
    ends, scores = model.prequential_curve.T
    assert ends[:3].tolist() == [700, 1400, 2100]
    assert ends[-1] == 5000
    assert np.average(scores, weights=np.diff(ends, prepend=0)) == pytest.approx(model.prequential["accuracy"])


def test_large_numbers_are_learned_as_if_they_were_small(elec: Arrays, table: Table) -> None:
    """A billion more in a column, as dates have in seconds, is taken away before anything is rounded."""
    inputs, labels = elec[0][:3000], elec[1][:3000]
    far = inputs + np.array([0, 1e9, 0, 0, -1e9, 0])
    near, moved = (fit(OnlineSGD(), table(each, labels)).prequential["accuracy"] for each in (inputs, far))
    assert moved == pytest.approx(near, abs=0.002)


@pytest.mark.parametrize("dates", [False, True])
def test_rows_are_learned_in_the_order_of_their_time(elec: Arrays, dates: bool, table: Table) -> None:
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


def test_rows_from_before_the_last_are_refused(elec: Arrays, tmp_path: Path, table: Table) -> None:
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


def test_a_time_that_cannot_be_read_is_named(elec: Arrays, table: Table) -> None:
    days = np.array(["2024-01-01", "2024-01-02", "3/1/2024"], object)
    with pytest.raises(DataError, match=r"ISO 8601 .* row 2 holds '3/1/2024'"):
        OnlineSGD().fit(table(elec[0][:3], elec[1][:3], when=days))
    with pytest.raises(DataError, match="'when' is missing in 1 labelled rows, the first is row 1"):
        OnlineSGD().fit(table(elec[0][:3], elec[1][:3], when=np.array([1, np.nan, 2])))

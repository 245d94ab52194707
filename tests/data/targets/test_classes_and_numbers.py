"""Targets: labels become numbers, hidden ones stay hidden, and what does not fit is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.data import Data, with_label_kind
from manyways.data.parts import TEST
from manyways.data.targets import NumberTarget, Target, Targets, check_labels, record
from manyways.errors import DataError


def objects(*values: Any) -> NDArray[Any]:
    out = np.empty(len(values), object)
    out[:] = values
    return out


def labelled(labels: NDArray[Any], part: list[int] | None = None) -> Data:
    columns = [Column("x", "number", np.zeros(len(labels))), with_label_kind(Column("y", "category", labels))]
    parts = None if part is None else np.array(part, np.uint8)
    return Data.from_columns(columns, {"input": ["x"], "label": ["y"]}, part=parts, name="toy")


def test_classes_are_codes_in_their_order_and_back() -> None:
    data = labelled(objects("b", "a", None, "c", "a"))
    target = Target.fit(data)
    assert (target.name, target.classes, target.width, target.classification) == ("y", ("a", "b", "c"), 3, True)
    codes = target.encode(data)
    assert codes.dtype == np.int64
    assert codes.tolist() == [1, 0, -1, 2, 0]
    assert target.decode(np.array([2, 0])).tolist() == ["c", "a"]


def test_hidden_labels_are_codes_only_for_scores() -> None:
    data = labelled(objects("b", "a", None, "b")).hide(np.array([0]))
    target = Target.fit(data)
    assert target.encode(data).tolist() == [-1, 0, -1, 1]
    assert target.encode(data, hidden=True).tolist() == [1, 0, -1, 1]


def test_whole_numbers_stay_whole_numbers() -> None:
    target = Target.fit(labelled(np.array([3, 7, 3])))
    assert target.decode(np.array([1])).tolist() == [7]
    assert target.decode(np.array([1])).dtype.kind == "i"


def test_numbers_are_standardised_by_visible_training_labels_alone() -> None:
    labels = np.array([1.5, 3.0, 100.25, np.nan, 55.5, 1000.0])
    data = labelled(labels, [0, 0, 0, 0, 1, TEST]).hide(np.array([2]))
    target = Target.fit(data)
    assert (target.mean, target.scale) == (2.25, 0.75)
    assert (target.width, target.classification) == (1, False)
    codes = target.encode(data)
    assert codes.dtype == np.float32
    np.testing.assert_allclose(codes, [-1, 1, np.nan, np.nan, 71, 1330.3334], rtol=1e-6)
    assert target.encode(data, hidden=True)[2] == pytest.approx((100.25 - 2.25) / 0.75)
    np.testing.assert_allclose(target.decode(target.encode(data))[[0, 1, 5]], [1.5, 3.0, 1000.0], rtol=1e-6)


def test_a_constant_number_is_not_divided_by_zero() -> None:
    data = labelled(np.full(5, 2.5))
    assert Target.fit(data).encode(data).tolist() == [0] * 5


def test_the_target_travels_as_json() -> None:
    for data in (labelled(objects("b", "a")), labelled(np.array([3, 7])), labelled(np.array([0.5, 1.5]))):
        target = Target.fit(data)
        assert Target.from_json(target.to_json()) == target


def test_no_label_one_class_and_infinity_are_refused() -> None:
    with pytest.raises(DataError, match=r"No training row of toy has a label in the column 'y'; .* SimCLR or KMeans"):
        Target.fit(labelled(objects("a", "b")).hide(np.arange(2)))
    with pytest.raises(DataError, match="All labels in the column 'y' of toy are 'a'; two classes are the least"):
        Target.fit(labelled(objects("a", "a", None)))
    with pytest.raises(DataError, match="The label 'y' is infinite in 1 training row"):
        Target.fit(labelled(np.array([0.5, np.inf, 1.25])))


def test_a_class_that_training_never_saw_is_named() -> None:
    data = labelled(objects("a", "b", "z", "z", "a"), [0, 0, TEST, TEST, TEST])
    target = Target.fit(data)
    assert target.classes == ("a", "b")
    with pytest.raises(DataError, match=r"toy has 2 rows of 'z' in 'y', a class that no training row has; .* 'a', 'b'"):
        target.encode(data.test, hidden=True)


def test_rows_without_the_column_have_no_label_unless_scores_are_asked() -> None:
    target = Target.fit(labelled(objects("a", "b")))
    new = Data.from_columns([Column("x", "number", np.zeros(2))], {"input": ["x"]}, name="new")
    assert target.encode(new).tolist() == [-1, -1]
    with pytest.raises(
        DataError, match=r"The model predicts 'y', and new has no column of that name; .* columns are x"
    ):
        target.encode(new, hidden=True)
    numbers = NumberTarget("y", 1.0, 2.0)
    assert np.isnan(numbers.encode(new)).all()


# --- several labels ------------------------------------------------------------------------------


def several() -> Data:
    columns = [
        Column("x", "number", np.arange(6.0)),
        Column("kind", "category", np.array(["a", "b", None, "a", "b", "a"], object)),
        Column("size", "number", np.array([1.0, np.nan, 3.0, 5.0, 1.0, 5.0])),
    ]
    return Data.from_columns(columns, {"input": ["x"], "label": ["kind", "size"]}, name="both")


def test_several_labels_are_codes_and_standardised_numbers() -> None:
    data = several().hide(np.array([5]))
    targets = Targets.fit(data)
    assert targets.names == ("kind", "size")
    assert targets.width == 3
    encoded = targets.encode(data)
    assert encoded["kind"].tolist() == [0, 1, -1, 0, 1, -1]
    assert np.isnan(encoded["size"][[1, 5]]).all()
    seen = np.array([1.0, 3.0, 5.0, 1.0])
    assert encoded["size"][[0, 2, 3, 4]] == pytest.approx((seen - seen.mean()) / seen.std())
    assert Targets.from_json(targets.to_json()) == targets


def test_several_predictions_are_a_field_each() -> None:
    kind, size = Targets.fit(several()).members
    outputs = np.array([[0.1, 0.9], [2.0, 1.0]], np.float32), np.array([[0.0], [1.0]], np.float32)
    rows = record({"kind": kind.predict(outputs[0]), "size": size.predict(outputs[1])})
    assert rows["kind"].tolist() == ["b", "a"]
    assert rows["size"] == pytest.approx([size.mean, size.mean + size.scale])
    assert rows[0].tolist()[0] == "b"
    assert len(record({"kind": kind.predict(outputs[0][:0])})) == 0


def test_each_of_several_labels_is_checked() -> None:
    data = several()
    column = Column("kind", "category", np.array(["a", "b", "a", "b", "a", "c"], object))
    other = replace(data, columns={**data.columns, "kind": column}, part=np.array([0, 0, 0, 0, 0, 2], np.uint8))
    with pytest.raises(DataError, match=r"1 row of 'c' in 'kind', a class that no training row has"):
        check_labels(other)
    check_labels(data)

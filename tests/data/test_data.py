"""Data: nothing changes it, labels are shown and hidden as asked, and its fingerprint tells every difference."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.given import DRAWS, Draw
from manyways.data.parts import TEST, TRAINING, VALIDATION
from manyways.errors import DataError, ParameterError

pytestmark = pytest.mark.quick

CLASSES = ["a"] * 60 + ["b"] * 30 + ["c"] * 10


def table(
    labels: list[Any] | NDArray[Any] = CLASSES, part: Any = None, order: NDArray[Any] | None = None, **roles: Any
) -> Data:
    """One number that counts, and a label; `order` shuffles the rows."""
    label = np.empty(len(labels), object)
    label[:] = labels
    values = label if isinstance(labels, list) else labels
    x = np.arange(len(labels), dtype=float)
    parts = np.zeros(len(labels), np.uint8) if part is None else np.asarray(part, np.uint8)
    order = np.arange(len(labels)) if order is None else order
    kind = "category" if values.dtype.kind == "O" else "number"
    columns = [Column("x", "number", x[order]), Column("y", kind, values[order])]
    return Data.from_columns(columns, {"input": ["x"], "label": ["y"], **roles}, part=parts[order], name="toy")


def shown(data: Data) -> set[float]:
    """The numbers of the rows whose labels are visible."""
    return set(data.take("x")[data.labelled].tolist())


# --- making one ----------------------------------------------------------------------------------


def test_columns_must_be_of_one_length_and_not_empty() -> None:
    x, y = Column("x", "number", np.zeros(3)), Column("y", "category", np.zeros(2, int))
    with pytest.raises(DataError, match=r"different lengths: \{'x': 3, 'y': 2\}"):
        Data.from_columns([x, y], {"input": ["x"]})
    with pytest.raises(DataError, match="toy has no rows"):
        Data.from_columns([Column("x", "number", np.zeros(0))], {"input": ["x"]}, name="toy")


def test_missing_labels_are_not_visible() -> None:
    data = table(["a", None, "b", "", float("nan")])
    assert data.labelled.tolist() == [True, False, True, False, False]
    assert data.known.tolist() == data.labelled.tolist()
    assert table(np.array([1.5, np.nan, 2.5])).labelled.tolist() == [True, False, True]


def test_without_a_label_nothing_is_visible() -> None:
    data = Data.from_columns([Column("x", "number", np.zeros(3))], {"input": ["x"]})
    assert not data.has("label")
    assert not data.labelled.any()
    with pytest.raises(DataError, match=r"no column with the role label; one is needed: label=\"…\" with one of x"):
        _ = data.label


def test_two_labels_are_no_single_label() -> None:
    columns = [Column(name, "category", np.array([0, 1])) for name in ("x", "y", "z")]
    data = Data.from_columns(columns, {"input": ["x"], "label": ["y", "z"]})
    with pytest.raises(DataError, match=r"2 columns \(y, z\) with the role label"):
        _ = data.label


def test_a_row_has_a_label_where_it_has_one_of_several() -> None:
    columns = [
        Column("x", "number", np.zeros(3)),
        Column("y", "number", np.array([1.0, np.nan, 2.0])),
        Column("z", "number", np.array([1.0, 2.0, np.nan])),
    ]
    data = Data.from_columns(columns, {"input": ["x"], "label": ["y", "z"]})
    assert data.labelled.tolist() == data.known.tolist() == [True, True, True]
    assert data.with_label("y").labelled.tolist() == [True, False, True]
    assert data.hide(np.array([0])).with_label("y").labelled.tolist() == [False, False, True]
    assert not data.classification
    assert [column.name for column in data.labels] == ["y", "z"]
    with pytest.raises(DataError, match=r"has no label 'x'; its labels are y, z\."):
        data.with_label("x")
    with pytest.raises(DataError, match="2 columns"):
        _ = data.label
    few = data.with_labels(1)
    assert int(few.labelled.sum()) == 1


# --- rows and parts ------------------------------------------------------------------------------


def test_selecting_keeps_order_and_shares_the_columns() -> None:
    data = table()
    few = data.select(np.array([7, 3, 99]))
    assert few.take("x").tolist() == [7, 3, 99]
    assert few.columns["x"] is data.columns["x"]
    assert few.select(np.array([True, False, True])).take("x").tolist() == [7, 99]
    assert np.array_equal(few.ids, data.ids[[7, 3, 99]])


def test_parts_divide_the_rows() -> None:
    data = table(part=[TRAINING] * 70 + [VALIDATION] * 10 + [TEST] * 20)
    assert (len(data.training), len(data.validation), len(data.test)) == (70, 10, 20)
    assert data.test.take("x").tolist() == list(range(80, 100))


def test_a_test_part_is_drawn_in_proportion_from_labelled_training_rows() -> None:
    data = table([*CLASSES, *[None] * 50]).with_test(0.2)
    names, counts = np.unique(data.test.take("y").astype(str), return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {"a": 12, "b": 6, "c": 2}
    assert len(data.training) == 130
    again = data.with_validation(0.25)
    assert (len(again.training), len(again.validation), len(again.test)) == (110, 20, 20)
    assert np.array_equal(again.test.rows, data.test.rows)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(DataError, match=rf"share of test rows must be in \(0, 1\); got {share}"):
        table().with_test(share)


def test_too_few_rows_for_a_part_are_refused() -> None:
    with pytest.raises(DataError, match="toy has 2 labelled rows: too few for a test part"):
        table(["a", "b"]).with_test(0.1)


# --- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 4, 10, 37, 99, 100])
def test_with_labels_shows_exactly_so_many_with_every_class(count: int) -> None:
    data = table().with_labels(count, draw="stratified")
    assert data.labelled.sum() == count
    assert set(data.take("y")[data.labelled]) == {"a", "b", "c"}


def test_with_labels_is_in_proportion_to_the_classes() -> None:
    data = table().with_labels(50, draw="stratified")
    found = data.take("y")[data.labelled].tolist()
    assert [found.count(name) for name in "abc"] == [30, 15, 5]


def test_a_random_draw_knows_nothing_of_the_classes() -> None:
    """Shares vary from seed to seed as those of a sample do, and a rare class may have none."""
    draws = [table().with_labels(20, seed) for seed in range(200)]
    assert {int(data.labelled.sum()) for data in draws} == {20}
    rare = np.array([(data.take("y")[data.labelled] == "c").sum() for data in draws])
    assert abs(rare.mean() - 2) < 0.3, "a tenth of the rows on average"
    assert abs(rare.var() - 20 * 0.1 * 0.9 * 80 / 99) < 0.5, "the variance of a hypergeometric draw"
    assert (rare == 0).any()
    assert table().with_labels(2).labelled.sum() == 2, "fewer labels than classes"


def test_a_random_draw_after_a_split_by_the_same_seed_is_random_still() -> None:
    """By the keys that the test rows were drawn by, the labels would be of the classes that gave away fewest."""
    counts = []
    for seed in range(200):
        data = table(["a", "b"] * 200).with_test(0.25, seed).with_labels(30, seed)
        counts.append(int((data.training.take("y")[data.training.labelled] == "a").sum()))
    assert abs(np.var(counts) - 30 / 4 * 270 / 299) < 2.0, "the variance of a hypergeometric draw"


@pytest.mark.parametrize("draw", DRAWS)
def test_more_labels_keep_those_shown_before(draw: Draw) -> None:
    for seed in range(3):
        before: set[float] = set()
        for count in range(3, 101):
            now = shown(table().with_labels(count, seed, draw=draw))
            assert before < now
            before = now


def test_the_draw_does_not_depend_on_the_order_of_the_rows() -> None:
    order = np.random.default_rng(1).permutation(100)
    assert shown(table().with_labels(20)) == shown(table(order=order).with_labels(20))
    tested = [set(data.with_test(0.3).test.take("x").tolist()) for data in (table(), table(order=order))]
    assert tested[0] == tested[1]


def test_another_seed_draws_others() -> None:
    assert shown(table().with_labels(20, 0)) != shown(table().with_labels(20, 1))


@pytest.mark.parametrize("dates", [False, True])
def test_of_rows_with_a_time_the_last_are_test_rows(dates: bool) -> None:
    """In the order of their time, not of the table."""
    when = np.random.default_rng(0).permutation(20)
    days = np.datetime64("2024-01-20") + when
    columns = [
        Column("x", "number", np.arange(20.0)),
        Column("label", "category", np.arange(20) % 2),
        Column("when", "category", days.astype(str).astype(object)) if dates else Column("when", "number", when),
    ]
    data = Data.from_columns(columns, {"input": ["x"], "label": ["label"], "time": ["when"]}).with_some_as_test(0.25)
    assert sorted(when[data.test.rows].tolist()) == [15, 16, 17, 18, 19]
    assert sorted(when[data.training.rows].tolist()) == list(range(15))


def test_validation_labels_are_hidden_and_test_labels_never() -> None:
    part = np.tile([TRAINING, TRAINING, VALIDATION, TEST], 25)
    data = table(part=part).with_labels(10)
    assert data.training.labelled.sum() == 10
    assert not data.validation.labelled.any()
    assert data.test.labelled.all()
    assert data.validation.known.all()


def test_with_labels_starts_from_all_known_labels_not_from_those_visible() -> None:
    few = table().with_labels(5)
    assert shown(few.with_labels(30)) == shown(table().with_labels(30))


def test_a_number_is_drawn_at_random() -> None:
    data = table(np.linspace(0, 1, 200)).with_labels(2)
    assert data.labelled.sum() == 2


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (2, "2 labels cannot cover 3 classes with one row each; ask for at least 3"),
        (101, "101 labels asked, but only 100 training rows of toy have one"),
        (0, "must be at least 1; got 0"),
        (-5, "must be at least 1; got -5"),
    ],
)
def test_a_number_of_labels_that_cannot_be_is_refused(count: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        table().with_labels(count, draw="stratified")


def test_an_unknown_draw_is_refused() -> None:
    with pytest.raises(ParameterError, match="draw must be one of random, stratified; got 'balanced'"):
        table().with_labels(5, draw="balanced")  # type: ignore[arg-type]


def test_hide_and_reveal_are_each_others_inverse() -> None:
    data = table()
    hidden = data.hide(np.array([0, 5]))
    assert (~hidden.labelled).nonzero()[0].tolist() == [0, 5]
    assert hidden.known.all()
    assert hidden.reveal(np.array([0, 5])).labelled.all()
    assert data.labelled.all(), "hiding changed the data it was asked of"


def test_positions_are_those_of_the_selection() -> None:
    few = table().select(np.array([50, 60, 70]))
    assert (~few.hide(np.array([1])).visible).nonzero()[0].tolist() == [60]


def test_a_label_that_is_not_there_cannot_be_revealed() -> None:
    with pytest.raises(DataError, match=r"1 of 2 rows to reveal have no label in toy; .*oracle=my_function"):
        table(["a", None, "b"]).reveal(np.array([0, 1]))


def test_given_labels_are_visible_and_leave_the_original_alone() -> None:
    data = table(["a", None, "b"])
    given = data.with_label_values(np.array([1]), np.array(["c"]))
    assert given.take("y").tolist() == ["a", "c", "b"]
    assert given.labelled.all()
    assert data.take("y").tolist() == ["a", None, "b"]
    longer = Data.from_columns(
        [Column("x", "number", np.zeros(2)), Column("y", "category", np.array(["a", "b"]))],
        {"input": ["x"], "label": ["y"]},
    ).with_label_values(np.array([0]), np.array(["a long name"]))
    assert longer.take("y").tolist() == ["a long name", "b"], "a label was cut to the width of the others"


def test_classes_are_those_of_all_training_rows_hidden_ones_too() -> None:
    part = [TRAINING] * 3 + [TEST]
    data = table(["b", "a", "c", "only in test"], part=part).hide(np.array([2]))
    assert data.classes == ("a", "b", "c")
    assert data.classification
    assert not table(np.linspace(0, 1, 5)).classification


# --- fingerprint ---------------------------------------------------------------------------------


def test_equal_data_has_an_equal_fingerprint() -> None:
    assert table().fingerprint == table().fingerprint


def test_every_difference_changes_the_fingerprint() -> None:
    data = table()
    relabelled = data.with_label_values(np.array([0]), np.array(["b"], object))
    others = {
        "labels hidden": data.hide(np.array([3])),
        "another label hidden": data.hide(np.array([4])),
        "drawn by another seed": data.with_labels(10, 1),
        "drawn": data.with_labels(10, 0),
        "one row less": data.select(np.arange(99)),
        "another order": data.select(np.arange(100)[::-1]),
        "a part": data.with_test(0.2),
        "a label corrected": relabelled,
        "another role": table(input=[], time=["x"]),
    }
    prints = {name: each.fingerprint for name, each in others.items()} | {"as it was": data.fingerprint}
    assert len(set(prints.values())) == len(prints), prints


def test_it_shows_what_it_is() -> None:
    assert repr(table().with_labels(7)) == "Data('toy', rows=100, inputs=[x: number], label=y, labelled=7)"

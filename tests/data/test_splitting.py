"""Splits keep groups whole and classes balanced, test on every row once in folds, and follow time."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.groups import allotted, groups_of
from manyways.data.parts import TEST
from manyways.data.splitting import Split, Splitting
from manyways.errors import DataError, ParameterError

pytestmark = pytest.mark.quick

PEOPLE, EACH = 60, 10


def table(rows: int, seed: int = 0, **roles: NDArray[np.generic]) -> Data:
    """Two inputs and a label of three unequal classes, and columns called after their role."""
    rng = np.random.default_rng(seed)
    columns = [Column(name, "number", rng.normal(size=rows)) for name in ("a", "b")]
    label = Column("label", "category", rng.choice(["x", "y", "z"], rows, p=[0.6, 0.3, 0.1]).astype(object))
    more = [Column(role, "category", values) for role, values in roles.items()]
    return Data.from_columns([*columns, label, *more], {
        "input": ("a", "b"), "label": ("label",), **{role: (role,) for role in roles},
    })  # fmt: skip


def people(role: str = "subject") -> Data:
    rng = np.random.default_rng(1)
    return table(
        PEOPLE * EACH, **{role: rng.permutation(np.repeat(np.arange(PEOPLE), EACH)).astype(str).astype(object)}
    )


def sides(data: Data) -> tuple[set[str], set[str]]:
    (name,) = data.roles.get("subject") or data.roles["group"]
    return set(data.training.take(name).tolist()), set(data.test.take(name).tolist())


@pytest.mark.parametrize("role", ["subject", "group"])
def test_no_group_is_on_both_sides_of_any_split(role: str) -> None:
    data = people(role)
    splits = [data.with_test(0.2, seed) for seed in range(3)] + [
        data.with_some_as_test(0.3),
        data.with_last_as_test(0.2),
        *(Split("random", folds=4, number=number).of(data) for number in range(8)),
    ]
    for split in splits:
        learned, tested = sides(split)
        assert learned
        assert tested
        assert not learned & tested
    validated = data.with_test(0.2).with_validation(0.2)
    parts = [set(part.take(role).tolist()) for part in (validated.training, validated.validation, validated.test)]
    assert sum(map(len, parts)) == PEOPLE


def test_groups_are_divided_with_classes_as_balanced_as_can_be() -> None:
    data = people()
    for seed in range(5):
        test = data.with_test(0.2, seed).test
        assert abs(len(test) - 0.2 * len(data)) <= EACH
        shares = [np.mean(part.take("label") == name) for name in "xyz" for part in (data, test)]
        np.testing.assert_allclose(shares[::2], shares[1::2], atol=0.03)
    drawn = {frozenset(sides(data.with_test(0.2, seed))[1]) for seed in range(5)}
    assert len(drawn) == 5, "another seed draws other people"


def test_groups_of_very_unequal_size_fill_every_part() -> None:
    sizes = [200, 5, 5, 5, 30, 1]
    groups = np.repeat(np.arange(6), sizes)
    ids = np.random.default_rng(0).integers(0, 2**64, (len(groups), 2), np.uint64)
    for seed in range(20):
        parts = allotted(groups, np.zeros(len(groups), int), (0.8, 0.2), seed, ids=ids, what="rows")
        assert parts[0] == 0, "four fifths of all rows are no fifth"
        assert set(parts.tolist()) == {0, 1}
        assert all(len(set(parts[groups == group].tolist())) == 1 for group in range(6))
    with pytest.raises(DataError, match="has 6 groups of rows that belong together, too few for 7 parts"):
        allotted(groups, np.zeros(len(groups), int), (1 / 7,) * 7, 0, ids=ids, what="rows")


def test_a_split_by_group_follows_the_rows_whatever_their_order() -> None:
    data = people()
    order = np.random.default_rng(5).permutation(len(data))
    shuffled = Data.from_columns([each.select(order) for each in data.columns.values()], data.roles)
    assert sides(data.with_test(0.2, 3)) == sides(shuffled.with_test(0.2, 3))


def test_rows_without_a_group_stand_alone_and_two_roles_join() -> None:
    data = table(6, subject=np.array(["a", "a", "b", "b", None, None], object),
                 group=np.array(["1", "2", "2", "3", "4", "5"], object))  # fmt: skip
    groups = groups_of(data)
    assert groups is not None
    assert len(set(groups[:4].tolist())) == 1, "a and b share the second group"
    assert len(set(groups.tolist())) == 3
    assert groups_of(table(3)) is None


def test_rows_without_a_label_go_with_their_group() -> None:
    data = people()
    label = data.label
    values = label.values[np.arange(len(label))].copy()
    values[::3] = None
    lacking = Data.from_columns(
        [*(each for name, each in data.columns.items() if name != "label"), replace(label, values=values)], data.roles
    )
    learned, tested = sides(lacking.with_test(0.2))
    assert not learned & tested
    assert not lacking.with_test(0.2).test.known.all(), "rows without a label went along"


def test_every_row_is_tested_once_in_folds_and_classes_have_their_share() -> None:
    data, splitting = table(203), Splitting(folds=5)
    rule = splitting.rule(data)
    for place in range(2):
        splits = [split.of(data) for split in splitting.splits(rule, place)]
        tested = np.concatenate([split.test.rows for split in splits])
        assert sorted(tested.tolist()) == list(range(203))
        assert {len(split.test) for split in splits} == {40, 41}
        rare = [int((split.test.take("label") == "z").sum()) for split in splits]
        assert max(rare) - min(rare) <= 1
    first, second = (splitting.splits(rule, place)[0].of(data).test.rows.tolist() for place in range(2))
    assert first != second, "each seed has a partition of its own"


def test_repeated_splits_differ_and_are_the_same_for_each_seed() -> None:
    data, splitting = table(100), Splitting(repeats=4, share=0.3)
    splits = splitting.splits(splitting.rule(data), 0)
    assert splits == splitting.splits("random", 2)
    rows = {tuple(split.of(data).test.rows.tolist()) for split in splits}
    assert len(rows) == 4
    assert {len(each) for each in rows} == {30}


def test_time_is_the_default_where_rows_have_one_and_folds_go_forward() -> None:
    moments = np.random.default_rng(0).permutation(100)
    data = table(100, time=moments)
    assert Splitting().rule(data) == "time"
    test = Splitting().splits("time", 0)[0].of(data)
    assert test.test.take("time").min() > test.training.take("time").max()
    tested = []
    for split in Splitting("time", folds=4).splits("time", 1):
        fold = split.of(data)
        assert fold.test.take("time").min() > fold.training.take("time").max()
        assert len(fold) == len(fold.training) + len(fold.test)
        tested += fold.test.take("time").tolist()
    assert sorted(tested) == list(range(20, 100))
    assert Splitting("random").rule(data) == "random"


def test_groups_in_time_stay_whole() -> None:
    rng = np.random.default_rng(0)
    persons = rng.integers(0, 20, 200)
    data = table(200, time=np.arange(200) + 100 * persons, subject=persons.astype(str).astype(object))
    for split in [data.with_last_as_test(0.2), *(each.of(data) for each in Splitting(folds=3).splits("time", 0))]:
        learned, tested = sides(split)
        assert not learned & tested
        assert max(map(int, learned)) < min(map(int, tested)), "those who came last are tested"


REFUSED: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: Splitting(folds=3, repeats=2), ParameterError, "give one"),
    (lambda: Splitting(folds=1), ParameterError, "folds must be a whole number of at least 2"),
    (lambda: Splitting("time", repeats=3), ParameterError, "folds=3"),
    (lambda: Splitting(share=1.5), ParameterError, r"test_share must be a number in \(0, 1\); got 1.5"),
    (lambda: Splitting("time").rule(table(9)), DataError, 'no column with the role time.*time="…"'),
    (lambda: Splitting("group").rule(table(9)), DataError, 'which rows belong together. Name it: group="…"'),
    (lambda: Splitting(folds=3).rule(table(9).with_test(0.5)), ParameterError, "test rows of its own.*folds=3"),
    (lambda: Split("random", folds=5).of(table(4)), DataError, "4 rows to be tested on, too few for 5 folds"),
    (lambda: Split("time", folds=5).of(table(4)), DataError, "too few for 5 folds and a first"),
]


@pytest.mark.parametrize(("ask", "error", "words"), REFUSED)
def test_what_cannot_be_split_is_refused_with_what_to_type(
    ask: Callable[[], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ask()


def test_read_takes_the_role(tmp_path: object) -> None:
    data = mw.read({"x": list(range(8)), "who": list("aabbccdd"), "label": list("xyxyxyxy")}, group="who")
    assert data.roles["group"] == ("who",)
    assert data.with_test(0.25).part.sum() == 2 * TEST

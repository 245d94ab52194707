"""Rounds: who takes part, how long they take, and that every row is read once in a pass."""

from collections.abc import Iterator
from itertools import chain

import numpy as np
import pytest

from manyways.methods.bases._rounds import RoundPlan, Rounds

pytestmark = pytest.mark.quick

HELD = [np.arange(0, 23), np.arange(23, 24), np.arange(24, 44), np.arange(44, 51)]


def rounds(plan: RoundPlan, seed: int = 0) -> Rounds:
    return Rounds(HELD, plan, seed)


def read(made: Rounds, number: int) -> dict[int, list[list[int]]]:
    """The rows of every batch of every client in a round, those that fill up left out."""
    found = made.round(number)
    batches: dict[int, list[list[int]]] = {int(client): [] for client in found.clients}
    for local in range(made.length(number)):
        positions, counts = found.batch(local)
        for client, row, count in zip(found.clients, positions, counts, strict=False):
            batches[int(client)].append(row[:count].tolist())
            assert set(row.tolist()) == set(row[:count].tolist()), "a batch is filled up with its own rows"
            assert row.shape == (made.width,)
    return batches


def test_a_pass_reads_every_row_once() -> None:
    made = rounds(RoundPlan(batch_size=5, epochs=2))
    for number in range(3):
        for client, batches in read(made, number).items():
            size = len(HELD[client])
            per = -(-size // 5)
            assert len(batches) == 2 * per
            assert [len(batch) for batch in batches[:per]] == [min(5, size - 5 * at) for at in range(per)]
            for epoch in (batches[:per], batches[per:]):
                assert sorted(chain(*epoch)) == HELD[client].tolist()
        first = read(made, number)[0]
        assert list(chain(*first[:5])) != list(chain(*first[5:])), "the second pass is in another order"
    assert read(made, 0) != read(made, 1)


def test_as_many_steps_of_every_client() -> None:
    made = rounds(RoundPlan(batch_size=5, steps=7))
    batches = read(made, 0)
    assert {len(each) for each in batches.values()} == {7}
    assert batches[1] == [[23]] * 7
    assert sorted(chain(*batches[2][:4])) == HELD[2].tolist()


def test_those_with_more_steps_come_first_and_the_others_stop() -> None:
    made = rounds(RoundPlan(batch_size=5))
    found = made.round(0)
    assert found.clients.tolist() == [0, 2, 3, 1]
    assert [len(found.batch(local)[1]) for local in range(5)] == [4, 3, 2, 2, 1]
    assert made.length(0) == 5


def test_steps_are_those_of_rounds_one_after_the_other() -> None:
    made = rounds(RoundPlan(share=0.5, batch_size=5, dropout_rate=0.3))
    lengths = [made.length(number) for number in range(30)]
    assert len(set(lengths)) > 2
    expected = [(number, local) for number, length in enumerate(lengths) for local in range(length)]
    assert [made.round_of(step) for step in range(len(expected))] == expected
    again = rounds(RoundPlan(share=0.5, batch_size=5, dropout_rate=0.3))
    assert again.round_of(len(expected) - 1) == expected[-1], "asked for the last step first"
    ends = np.cumsum(lengths) - 1
    assert [step for step in range(len(expected)) if made.ends(step)] == ends.tolist()
    assert [made.begun(steps) for steps in (0, 1, int(ends[0]) + 1, int(ends[0]) + 2)] == [0, 1, 1, 2]


def test_rows_of_a_client_do_not_depend_on_who_else_takes_part() -> None:
    """And everything follows from the seed."""
    few, all_of_them = rounds(RoundPlan(share=0.5)), rounds(RoundPlan())
    number = next(number for number in range(20) if 0 in few.reporting(number))
    assert read(few, number)[0] == read(all_of_them, number)[0]
    assert read(few, number) == read(rounds(RoundPlan(share=0.5)), number)
    assert read(few, number) != read(rounds(RoundPlan(share=0.5), seed=1), number)


def reports(plan: RoundPlan, clients: int = 40, many: int = 500) -> Iterator[int]:
    made = Rounds([np.array([at]) for at in range(clients)], plan, 3)
    return (len(made.reporting(number)) for number in range(many))


def test_as_many_are_asked_every_time_or_each_by_a_throw() -> None:
    assert set(reports(RoundPlan(share=0.25))) == {10}
    thrown = np.array(list(reports(RoundPlan(share=0.25, poisson=True))))
    assert thrown.mean() == pytest.approx(10, abs=0.5)
    assert thrown.var() == pytest.approx(40 * 0.25 * 0.75, rel=0.2)
    assert Rounds([np.array([0])] * 40, RoundPlan(share=0.25), 0).most == 10
    assert Rounds([np.array([0])] * 40, RoundPlan(share=0.25, poisson=True), 0).most == 40
    assert set(reports(RoundPlan(share=0.001))) == {1}, "one client at least"


def test_every_client_is_asked_as_often() -> None:
    made = Rounds([np.array([at]) for at in range(40)], RoundPlan(share=0.25, dropout_rate=0.5), 5)
    counts = np.bincount(np.concatenate([made.reporting(number) for number in range(800)]), minlength=40)
    assert counts.sum() / 800 == pytest.approx(5, abs=0.3)
    assert counts.min() > 65
    assert counts.max() < 140


def test_a_round_without_reports_takes_one_step() -> None:
    made = Rounds(HELD, RoundPlan(dropout_rate=0.9), 0)
    number = next(number for number in range(50) if not len(made.reporting(number)))
    assert made.length(number) == 1
    positions, counts = made.round(number).batch(0)
    assert positions.shape == (0, made.width)
    assert counts.shape == (0,)


def test_rows_per_step() -> None:
    assert rounds(RoundPlan(batch_size=5)).rows_per_step() == 51 / 5
    assert rounds(RoundPlan(batch_size=5, steps=4)).rows_per_step() == (5 * 4 + 4 + 20 + 14) / 4

"""Co-training: each view labels for the other what it is surest of."""

from typing import Any

import numpy as np
import pytest

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, NeedsError
from manyways.methods.semi_supervised.co_training import CoTraining
from manyways.methods.transfer.linear_probe import LinearProbe


def views(count: int = 900, seed: int = 0, noise: float = 1.3) -> Data:
    """Two independent views of a class: four numbers each, that are its centre with noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    centres = 2 * np.eye(4)[:3]
    columns = [
        Column(f"{name}{at}", "number", centres[y, at] + noise * rng.normal(size=count)) for name in "ab"
        for at in range(4)
    ]  # fmt: skip
    names = np.array(["x", "y", "z"], object)
    part = ((np.arange(count) % 3) == 0).astype(np.uint8) * 2
    roles = {"input": [column.name for column in columns], "label": ["kind"]}
    return Data.from_columns([*columns, Column("kind", "category", names[y])], roles, part=part, name="two views")


VIEW = ("a0", "a1", "a2", "a3")
PROBE = LinearProbe(penalty=1.0)


def test_what_one_view_is_sure_of_the_other_learns() -> None:
    data = views().with_labels(9, draw="stratified")
    asked: list[tuple[tuple[str, ...], np.ndarray, np.ndarray]] = []
    fit = LinearProbe.learn

    def watched(self: LinearProbe, rows: Data, *rest: Any) -> Any:
        training = rows.training
        guesses = training.labelled & ~training.truly_labelled
        names = tuple(column.name for column in rows.inputs)
        asked.append((names, np.flatnonzero(guesses), training.take("kind")[guesses]))
        return fit(self, rows, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LinearProbe, "learn", watched)
        model = CoTraining(base=PROBE, view=VIEW, rounds=2, added=4, pool=60).fit(data)
    assert [len(names) for names, _, _ in asked] == [4, 4, 4, 4, 8]
    assert not len(asked[0][1])
    assert not len(asked[1][1])
    first = LinearProbe(penalty=1.0).fit(data.with_inputs(VIEW))
    of_first, labels = asked[3][1], asked[3][2]
    assert 0 < len(of_first) <= 12, "four of a class on average, from the other view alone"
    rows = data.training.select(of_first)
    assert (first.predict(rows.with_inputs(VIEW)) == labels).all()
    assert {name: int((labels == name).sum()) for name in "xyz"} == dict.fromkeys("xyz", 4)
    facts = model.lineage.facts
    assert facts["views"][0] == list(VIEW)
    assert all(12 <= count <= 24 for count in facts["guesses"])
    assert facts["agreement"] > facts["agreement_by_chance"] + 0.2
    assert len(model.lineage.rows) == len(data.training)


def test_independent_views_gain_and_more_than_self_training() -> None:
    gains, beside = [], []
    for seed in range(6):
        data = views(seed=seed, noise=1.5).with_labels(9, seed, draw="stratified")
        alone = PROBE.fit(data).evaluate(data.test)["accuracy"]
        taught = CoTraining(base=PROBE, view=VIEW, rounds=4, added=20).fit(data).evaluate(data.test)["accuracy"]
        by_itself = mw.SelfTraining(base=PROBE, threshold=0.8).fit(data).evaluate(data.test)["accuracy"]
        gains.append(taught - alone)
        beside.append(taught - by_itself)
    assert np.mean(gains) > 0.03
    assert np.mean(beside) > -0.02


@pytest.mark.quick
def test_views_are_inputs_or_halves_of_a_table() -> None:
    method, data = CoTraining(base=PROBE), views(60)
    assert method.views(data) == (("a0", "a2", "b0", "b2"), ("a1", "a3", "b1", "b3"))
    assert CoTraining(view=VIEW).views(data)[1] == ("b0", "b1", "b2", "b3")
    text = Column("t", "text", np.array(["one two"] * 60, object))
    pair = Data.from_columns([*data.columns.values(), text], {**data.roles, "input": ("a0", "a1", "t")}, name="pair")
    assert method.views(pair) == (("a0", "a1"), ("t",))


@pytest.mark.quick
def test_data_without_two_views_are_refused() -> None:
    digits = mw.read("digits").with_labels(40)
    with pytest.raises(
        NeedsError, match=r"needs two views of each row, and digits has 1 input, image\. From one input"
    ):
        CoTraining().fit(digits, budget=20)
    few = views(60).with_labels(9)
    with pytest.raises(NeedsError, match="view names all 8 inputs"):
        CoTraining(view=tuple(column.name for column in few.inputs)).fit(few)
    with pytest.raises(NeedsError, match="has no input 'no such'"):
        CoTraining(view=("no such",)).fit(few)
    with pytest.raises(NeedsError, match="every one of them|label"):
        CoTraining().fit(views(60), budget=20)
    with pytest.raises(DataError, match="two views"):
        CoTraining().views(digits)


def test_a_killed_run_goes_on_with_the_same_guesses(tmp_path: Any) -> None:
    data = views(240).with_labels(9, draw="stratified")
    method = CoTraining(base=mw.Supervised(batch_size=8), view=VIEW, rounds=2, added=3)
    whole = method.fit(data, budget=20)

    def stop(event: Any) -> None:
        if event.stage == "round-2-view-2" and event.kind == "start":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        method.fit(data, budget=20, run=mw.Run(tmp_path, listeners=(stop,)))
    again = method.fit(data, budget=20, run=mw.Run(tmp_path))
    assert np.array_equal(again.outputs(data.test), whole.outputs(data.test))
    assert whole.lineage.steps == 20

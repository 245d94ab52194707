"""Tune: what is tried on which rows, what it costs, what is chosen, and that no other label is looked at."""

import json
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.errors import NeedsError, ParameterError
from manyways.methods.expressions import parse_method
from manyways.methods.ranges import range_of
from manyways.methods.saved import method_from_json
from manyways.methods.search._space import combinations, drawn, with_fields
from manyways.methods.search.tune import Tune
from manyways.methods.supervised.supervised import Supervised
from manyways.training.run import Run

LEARNS = {"learning_rate": [1e-9, 0.02]}


@pytest.fixture(scope="module")
def wine() -> Data:
    return mw.read("wine").with_test(0.3)


# --- what is tried -------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize(
    "text",
    [
        "tune(supervised, learning_rate=[0.001, 0.003])",
        "tune(fixmatch(batch_size=8), batch_size=[8, 16], learning_rate=log(0.0001, 0.01), trials=4)",
        "tune(simclr >> fine-tune, learning_rate=[0.001, 0.002], validation=0.3, share=0.25, metric='f1')",
        "tune(self-training, base=[ridge, supervised], grid={'base.weight_decay': [0.1]})",
        "tune(supervised, space={'size': 'uniform(0.5, 2)'})",
        "tune(supervised)",
    ],
)
def test_it_is_written_and_read_again(text: str) -> None:
    if "base.weight_decay" in text:  # of ridge there is no such field
        with pytest.raises(ParameterError, match="Ridge has no field 'weight_decay'"):
            parse_method(text)
        text = text.replace("ridge, ", "supervised(size=0.5), ")
    method = parse_method(text)
    assert parse_method(str(method)) == method
    assert method_from_json(json.loads(json.dumps(method.to_json()))) == method
    assert hash(method) == hash(parse_method(text))


@pytest.mark.quick
def test_a_grid_is_every_combination_and_a_space_is_drawn() -> None:
    grid = Tune(grid={"learning_rate": [0.1, 0.2], "batch_size": [4, 8]})
    assert grid.choices(0) == [{"learning_rate": rate, "batch_size": size} for rate in (0.1, 0.2) for size in (4, 8)]
    assert [choice in grid.choices(0) for choice in Tune(grid=dict(grid.grid), trials=3).choices(5)] == [True] * 3
    space = Tune(space={"learning_rate": "log(1e-4, 1e-2)", "batch_size": "integers(4, 8)"}, trials=200)
    choices = space.choices(1)
    rates, sizes = (np.array([choice[name] for choice in choices]) for name in ("learning_rate", "batch_size"))
    assert choices == space.choices(1) != space.choices(2)
    assert 1e-4 <= rates.min() < 1.5e-4
    assert 0.4 < (rates < 1e-3).mean() < 0.6, "even by the logarithm"
    assert set(sizes.tolist()) == {4, 5, 6, 7, 8}
    assert len(Tune(space={"learning_rate": "log(1e-4, 1e-2)"}).choices(0)) == 8
    assert combinations(()) == [{}]
    assert len(drawn((("size", (1.0, 2.0)),), (), 9, 0)) == 2


@pytest.mark.quick
def test_fields_of_methods_within_and_of_stages() -> None:
    chain = with_fields(parse_method("simclr >> fine-tune"), {"learning_rate": 0.5, "temperature": 0.7})
    assert str(chain) == "simclr(temperature=0.7) >> fine-tune(learning_rate=0.5)"
    inside = with_fields(parse_method("self-training"), {"base.learning_rate": 0.5, "rounds": 2})
    assert inside == parse_method("self-training(base=supervised(learning_rate=0.5), rounds=2)")


@pytest.mark.quick
@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (
            "tune(supervised, learning_rat=[0.1])",
            "no field 'learning_rat'.*Did you mean 'learning_rate'",
        ),
        ("tune(supervised, learning_rate=[0.1, -1.0])", r"Supervised.learning_rate must be in \(0, inf\); got -1.0"),
        ("tune(supervised, learning_rate=uniform(-1, 1))", r"Supervised.learning_rate must be in \(0, inf\); got -1.0"),
        ("tune(supervised, learning_rate=3)", "must be a range.*values to choose among are a list; got 3"),
        ("tune(supervised, learning_rate=log(1, 0.1))", "from the lower to the higher end"),
        ("tune(supervised, batch_size=integers(0.5, 4))", "must have whole numbers for its ends"),
        ("tune(supervised, grid={'batch_size': [1]}, space={'batch_size': 'integers(1, 2)'})", "leave it out of one"),
        ("tune(supervised, grid={'size.more': [1]})", "Supervised.size is no method, so it has no field 'more'"),
        ("tune(supervised, learning_rate=[])", "must have a list of values"),
        ("tune(supervised, ridge)", "is neither a constant nor a method"),
        ("tune(supervised, learning_rate=[fixmach])", "no method 'fixmach'"),
        ("fixmatch(log(1, 2))", "is neither a constant nor a method"),
    ],
)
def test_what_cannot_be_tried_is_refused_before_anything_is_learned(text: str, refusal: str) -> None:
    with pytest.raises(ParameterError, match=refusal):
        parse_method(text)


@pytest.mark.quick
def test_what_cannot_be_tuned_is_refused(wine: Data) -> None:
    with pytest.raises(NeedsError, match="must be one that learns from labels to predict them; got kmeans"):
        Tune(method=mw.KMeans())
    with pytest.raises(NeedsError, match=r"asks for labels.*active-learning\(base=tune"):
        Tune(method=mw.ActiveLearning())
    with pytest.raises(NeedsError, match=r"nothing to choose.*tune\(supervised, learning_rate=\[0.001, 0.003\]\)"):
        Tune().check(wine)
    with pytest.raises(NeedsError, match="of 3 labels none can be set aside"):
        Tune(grid=LEARNS).check(wine.with_labels(3, draw="stratified"))
    with pytest.raises(ParameterError, match="takes 3 steps at least"):
        Tune(grid=LEARNS).fit(wine, budget=2)
    with pytest.raises(ParameterError, match="must be"):
        range_of("normal(0, 1)", "here")


# --- which rows ----------------------------------------------------------------------------------


@pytest.mark.quick
def test_trials_are_scored_by_labels_that_may_be_seen_and_never_by_test_rows(wine: Data) -> None:
    few = wine.with_labels(30)
    inner = Tune(grid=LEARNS, validation=0.3)._inner(few, 0)
    assert len(inner.test) == 9
    assert inner.test.labelled.all()
    assert set(map(bytes, inner.ids)) == set(map(bytes, few.training.ids))
    seen = {bytes(row) for row in few.training.ids[few.training.labelled]}
    assert {bytes(row) for row in inner.ids[inner.labelled]} == seen
    assert not {bytes(row) for row in inner.test.ids} & {bytes(row) for row in few.test.ids}


@pytest.mark.quick
def test_every_class_keeps_a_row_to_learn_from(wine: Data) -> None:
    for seed in range(5):
        few = wine.with_labels(4, seed, draw="stratified")
        inner = Tune(grid=LEARNS, validation=0.9)._inner(few, seed)
        kept = inner.training.take("label")[inner.training.labelled]
        assert len(set(kept.tolist())) == 3
        assert len(inner.test) == 1


@pytest.mark.quick
def test_rows_that_belong_together_stay_together() -> None:
    """Of a person whose row trials are scored by none is learned from, not even one without a label."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(30), 4)
    columns = {"x": rng.normal(size=120), "y": np.array(["a", "b"], object)[person % 2], "who": person}
    data = mw.read(columns, label="y", subject="who")
    inner = Tune(grid=LEARNS)._inner(data.with_labels(40), 0)
    scored, learned = (set(part.take("who").tolist()) for part in (inner.test, inner.training))
    assert scored
    assert not scored & learned
    assert inner.test.labelled.all()


# --- what is chosen, and what it costs -----------------------------------------------------------


def test_it_chooses_what_learns_and_says_so(wine: Data) -> None:
    few = wine.with_labels(60)
    model = Tune(grid=LEARNS, validation=0.3).fit(few, budget="81 steps", seed=1)
    facts = model.lineage.facts
    assert facts["chosen"] == {"learning_rate": 0.02}
    assert [trial["fields"]["learning_rate"] for trial in facts["trials"]] == [1e-9, 0.02]
    assert facts["trials"][1]["score"] > facts["trials"][0]["score"] + 0.1
    assert facts["metric"] == "accuracy"
    assert model.evaluate(wine.test)["accuracy"] > 0.85
    assert model.lineage.plan == {"trial-1": [20, 20], "trial-2": [20, 20], "chosen": [41, 41]}
    assert model.lineage.steps == 81
    chosen, *trials = model.lineage.parents
    assert [parent.title for parent in trials] == ["supervised(learning_rate=1e-09)", "supervised(learning_rate=0.02)"]
    assert len(chosen.rows) == 60
    assert [len(parent.rows) for parent in trials] == [42, 42]


def test_the_chosen_one_is_what_its_own_training_gives(wine: Data) -> None:
    few = wine.with_labels(60)
    tuned = Tune(grid=LEARNS).fit(few, budget="40 steps", seed=1)
    alone = Supervised(learning_rate=0.02).fit(few, budget="20 steps", seed=1)
    np.testing.assert_array_equal(tuned.probabilities(wine.test), alone.probabilities(wine.test))


@pytest.mark.quick
def test_closed_forms_are_tuned_too(wine: Data) -> None:
    model = parse_method("tune(ridge, penalty=[1000000.0, 1.0])").fit(wine.with_labels(60), budget="1 step")
    assert model.lineage.facts["chosen"] == {"penalty": 1.0}
    assert model.lineage.steps == 0
    assert model.evaluate(wine.test)["accuracy"] > 0.9


def test_numbers_are_chosen_by_their_own_score() -> None:
    data = mw.read("diabetes").with_test(0.3)
    model = Tune(method=mw.Ridge(), grid={"penalty": [1e6, 1.0]}, metric="mean_absolute_error").fit(data, budget=1)
    low, high = sorted(trial["score"] for trial in model.lineage.facts["trials"])
    assert model.lineage.facts["chosen"] == {"penalty": 1.0}
    assert model.lineage.facts["trials"][1]["score"] == low < high, "the lower error is the better one"
    with pytest.raises(ParameterError, match="Tune.metric must be one of .*r2.*; got 'accuracy'"):
        Tune(method=mw.Ridge(), grid={"penalty": [1.0]}, metric="accuracy").fit(data, budget=1)


def test_finished_trials_are_not_trained_again(wine: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method, few = Tune(grid=LEARNS), wine.with_labels(60)
    whole = method.fit(few, budget="40 steps")
    names: list[str] = []
    once = Run._learned

    def noted(self: Run, child: Run, learn: object) -> mw.Model:
        if names and child.within == "chosen" and len(names) == 2:
            raise KeyboardInterrupt
        if child.folder is None or not (child.folder / "model").exists():
            names.append(child.within)
        return once(self, child, learn)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_learned", noted)
        with pytest.raises(KeyboardInterrupt):
            method.fit(few, budget="40 steps", run=Run(tmp_path))
    assert names == ["trial-1", "trial-2"]
    names.append("resumed")
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_learned", noted)
        again = method.fit(few, budget="40 steps", run=Run(tmp_path))
    assert names[3:] == ["chosen"]
    np.testing.assert_array_equal(again.probabilities(wine.test), whole.probabilities(wine.test))
    assert again.lineage.facts == whole.lineage.facts


def test_in_a_comparison_it_is_an_entry_like_others(wine: Data) -> None:
    found = mw.compare(
        wine, methods=["tune(ridge, penalty=[0.1, 10.0])"], labels=30, seeds=2, budget="1 step", workers=0
    )
    (entry,) = (entry for entry in found.entries if not entry.reference)
    assert entry.error is None
    assert entry.name == "tune(ridge, penalty=[0.1, 10.0])"

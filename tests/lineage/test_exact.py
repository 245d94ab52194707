"""Forgetting gives bitwise the weights that training without the rows gives, whatever the way of learning."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.columns import places_of
from manyways.data.data import Data
from manyways.methods.method import Method
from manyways.models.model import Model
from manyways.testing.trial import difference

ASKED = mw.LinearProbe(penalty=1.0)
WAYS: dict[str, Callable[[], Method]] = {
    "supervised": partial(mw.Supervised, size=0.5),
    "chain": lambda: mw.SimCLR(size=0.5, batch_size=16) >> mw.FineTune() >> mw.Distill(size=0.5),
    "fixmatch": lambda: mw.FixMatch(size=0.5, batch_size=8),
    "mean teacher": lambda: mw.MeanTeacher(size=0.5, batch_size=8),
    "clusters": mw.KMeans,
    "label propagation": mw.LabelPropagation,
    "linear probe of features": lambda: mw.SimCLR(size=0.5, batch_size=16) >> mw.LinearProbe(),
    "self-training": lambda: mw.SelfTraining(base=mw.Supervised(size=0.5), threshold=0.4, rounds=2),
    "active learning": lambda: mw.ActiveLearning(base=mw.LinearProbe(penalty=1.0), rounds=2, questions=9),
    "answers handed on": lambda: mw.ActiveLearning(base=ASKED, rounds=2, questions=9) >> ASKED,
    "guesses handed on": lambda: mw.SelfTraining(base=ASKED, threshold=0.4, rounds=2, hand_on=True) >> ASKED,
    "answers within self-training": lambda: mw.SelfTraining(
        base=mw.ActiveLearning(base=ASKED, rounds=2, questions=9), threshold=0.4, rounds=2
    ),
}


def gone_from(data: Data, *names: str) -> Data:
    """The rows of some people."""
    return data.select(np.isin(data.take("person"), names))


@pytest.mark.parametrize("way", WAYS)
def test_what_is_learned_again_is_bitwise_what_training_without_the_rows_gives(
    way: str, people: Data, store: mw.Store
) -> None:
    method = WAYS[way]()
    model = method.fit(people, budget=12, seed=5, run=mw.Run(store=store))
    gone = gone_from(people, "person-3", "person-7")
    done = mw.forget(model, gone)
    assert done.model is not None
    expected = method.fit(people.without(gone.ids), budget=12, seed=5)
    assert difference(done.model, expected) is None
    chosen = method.fit(people.select(~np.isin(people.take("person"), ["person-3", "person-7"])), budget=12, seed=5)
    assert difference(done.model, chosen) is None, "rows that are not selected are as good as rows that are not there"
    assert difference(model, expected) is not None, "the rows made no difference, so nothing was shown"
    assert done.model.lineage.all_rows().tolist() == expected.lineage.all_rows().tolist()
    assert (places_of(gone.ids, done.model.lineage.all_rows()) < 0).all()
    assert done.model.lineage.facts["forgotten_rows"] == len(gone_from(people, "person-3", "person-7").ids) - sum(
        gone.part[gone.rows] == 2
    )


def test_clients_forget_rows(faces: Path, store: mw.Store) -> None:
    data = mw.read(faces, subject="person").with_test(0.2, seed=9).with_clients(5, seed=1)
    method = mw.FedAvg(size=0.5, local_steps=2, batch_size=4, participation=0.6)
    model = method.fit(data, budget=8, run=mw.Run(store=store))
    gone = gone_from(data, "person-2")
    done = mw.forget(model, gone)
    assert done.model is not None
    assert difference(done.model, method.fit(data.without(gone.ids), budget=8)) is None
    shares, before = (made.lineage.facts["took_part"] for made in (done.model, model))
    assert set(shares) <= set(map(str, range(5)))
    assert sum(share["rows"] for share in shares.values()) == len(done.model.lineage.rows)
    assert sum(share["rounds"] for share in before.values()) == 4 * 3


def test_a_merge_follows_the_models_it_was_made_of(people: Data, store: mw.Store, tmp_path: Path) -> None:
    run = mw.Run(store=store)
    start = mw.Supervised(size=0.5).fit(people, budget=4, run=run)
    tuned = [mw.FineTune().fit(people, start, budget=4, seed=seed, run=run) for seed in (1, 2)]
    folders = tuple(str(model.save(tmp_path / f"m{at}")) for at, model in enumerate(tuned))
    merged = mw.Merge(models=folders).fit(run=run)
    gone = gone_from(people, "person-0")
    assert [record.title for record in store.reached(rows=gone.ids)][-1].startswith("merge")
    done = mw.forget(merged, gone)
    rest = people.without(gone.ids)
    again = mw.Supervised(size=0.5).fit(rest, budget=4)
    for at, seed in enumerate((1, 2)):
        mw.FineTune().fit(rest, again, budget=4, seed=seed).save(tmp_path / f"r{at}")
    expected = mw.Merge(models=(str(tmp_path / "r0"), str(tmp_path / "r1"))).fit()
    assert done.model is not None
    assert difference(done.model, expected) is None
    assert done.model.lineage.title == merged.lineage.title
    assert done.model.lineage.method["models"] == list(folders)


def test_a_language_model_forgets(store: mw.Store, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    texts = [f"{at} and {at + 1} make {2 * at + 1}" for at in range(40)]
    path = tmp_path / "sums.jsonl"
    rows = [f'{{"prompt": "{text.split("make")[0]}", "completion": "{text.split("make")[1]}", "who": "p{at % 5}"}}'
            for at, text in enumerate(texts)]  # fmt: skip
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    data = mw.read(path, subject="who")
    pretrain = mw.Pretrain(tokenizer="bytes", context=64, size=0.2, batch_size=4)
    reading = mw.read({"text": texts})
    start = pretrain.fit(reading, budget=3)
    method = mw.SFT(batch_size=4)
    model = method.fit(data, start, budget=5, run=mw.Run(store=store))
    done = mw.forget(model, subject="p2")
    assert done.model is not None
    rest = data.select(data.take("who") != "p2")
    assert difference(done.model, method.fit(rest, start, budget=5)) is None
    assert [step.title for step in done.plan.steps] == ["sft(batch_size=4)"], "its start never saw them"


def test_a_budget_in_seconds_is_the_steps_that_it_was_turned_into(people: Data, store: mw.Store) -> None:
    method = mw.SelfTraining(base=mw.Supervised(size=0.5), rounds=2)
    model = method.fit(people, budget="0.6s", run=mw.Run(store=store))
    plan = dict(model.lineage.plan)
    assert set(plan) == {"round-1", "round-2"}
    done = mw.forget(model, subject="person-1")
    assert done.model is not None
    assert dict(done.model.lineage.plan) == plan
    assert done.model.lineage.budget == model.lineage.budget


def test_a_run_that_the_clock_cut_short_is_cut_there_again(people: Data, store: mw.Store) -> None:
    from dataclasses import replace

    from manyways.training.budget import Planned

    method = mw.Supervised(size=0.5)
    cut = method.fit(people, budget="5s", run=mw.Run(plans={"": Planned(40, 7)}))
    assert (cut.lineage.steps, dict(cut.lineage.plan)) == (7, {"": [40, 7]})
    whole = method.fit(people, budget=40)
    assert difference(cut, whole) is not None
    store.keep(replace(cut), people)
    done = mw.forget(cut, subject="person-1")
    assert done.model is not None
    assert (done.model.lineage.steps, dict(done.model.lineage.plan)) == (7, {"": [40, 7]})


def test_streams_that_went_on_forget_what_was_in_either_piece(tmp_path: Path, store: mw.Store) -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    names = []
    for piece in range(2):
        x = rng.normal(size=(60, 3)).round(4)
        lines = ["a,b,c,who,label", *(f"{r[0]},{r[1]},{r[2]},w{at % 6},{int(r.sum() > 0)}" for at, r in enumerate(x))]
        names.append(tmp_path / f"piece{piece}.csv")
        names[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
    first, second = (mw.read(path, subject="who") for path in names)
    run = mw.Run(store=store)
    before = mw.OnlineSGD().fit(first, run=run)
    model = mw.OnlineSGD().fit(second, before, run=run)
    gone = first.select(np.array([3, 4]))
    done = mw.forget(model, gone)
    expected = mw.OnlineSGD().fit(second, mw.OnlineSGD().fit(first.without(gone.ids)))
    assert done.model is not None
    assert difference(done.model, expected) is None
    assert len(done.plan.steps) == 2


def kept_models(store: mw.Store) -> list[Model]:
    return [store.load(record.id) for record in store.models()]


def test_models_that_the_rows_never_reached_stay_as_they_are(people: Data, store: mw.Store) -> None:
    run = mw.Run(store=store)
    rest = people.without(gone_from(people, "person-1").ids)
    apart = mw.Supervised(size=0.5).fit(rest, budget=3, run=run)
    above = mw.FineTune().fit(people, apart, budget=3, run=run)
    done = mw.forget(above, subject="person-1")
    assert [step.title for step in done.plan.steps] == ["fine-tune"]
    assert any(difference(apart, model) is None for model in kept_models(store))
    assert done.model is not None
    assert difference(done.model, mw.FineTune().fit(rest, apart, budget=3)) is None


def test_a_row_that_only_stopped_the_training_counts_too(people: Data, store: mw.Store) -> None:
    model = mw.Supervised(size=0.5).fit(people, budget=30, run=mw.Run(store=store))
    watched = people.validation.select(np.arange(1))
    assert (places_of(watched.ids, model.lineage.all_rows()) < 0).all()
    assert [record.title for record in store.reached(rows=watched.ids)] == [model.lineage.title]
    done = mw.forget(model, watched)
    assert done.model is not None
    assert difference(done.model, mw.Supervised(size=0.5).fit(people.without(watched.ids), budget=30)) is None


def test_rows_that_were_tested_on_reach_no_model_and_leave_the_lists(people: Data, store: mw.Store) -> None:
    model = mw.Supervised(size=0.5).fit(people, budget=3, run=mw.Run(store=store))
    tested = people.test.select(np.arange(2))
    done = mw.forget(model, tested)
    assert done.plan.steps == ()
    assert done.model is not None
    assert difference(done.model, model) is None
    later = mw.forget(done.model, subject="person-1")
    assert later.model is not None
    assert difference(later.model, mw.Supervised(size=0.5).fit(people.without(gone_from(people, "person-1").ids),
                                                                budget=3)) is None  # fmt: skip

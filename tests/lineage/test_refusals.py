"""What cannot be forgotten is refused with the reason, and nothing is lost."""

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.columns import id_text
from manyways.data.data import Data
from manyways.errors import DataError, ParameterError, StoreError
from manyways.lineage.forgetting import retraining
from manyways.lineage.forgetting.request import abandon, plan_forgetting
from manyways.models.model import Model
from manyways.testing.trial import difference


def learned(data: Data, store: mw.Store) -> Model:
    return mw.LinearProbe(penalty=1.0).fit(data, run=mw.Run(store=store))


def assert_as_before(store: mw.Store, model: Model, match: str, **options: object) -> None:
    """Forgetting is refused with words that match, and the model is still there."""
    before = [record.id for record in store.models()]
    with pytest.raises(StoreError, match=match):
        mw.forget(subject="person-1", **options)  # type: ignore[arg-type]
    assert [record.id for record in store.models()] == before
    assert store.check().whole
    assert difference(store.load(model), model) is None


def answer(rows: Data) -> list[int]:
    """An oracle with a name."""
    return [0] * len(rows)


def test_a_subject_that_is_in_no_data(people: Data, store: mw.Store) -> None:
    with pytest.raises(StoreError, match="is empty: there is nothing to forget"):
        mw.forget(subject="nobody")
    model = learned(people, store)
    with pytest.raises(StoreError, match="has a subject 'nobody', or its rows are forgotten already"):
        mw.forget(subject="nobody")
    with pytest.raises(StoreError, match="None of the 1 rows is known to the store"):
        mw.forget(rows=np.ones((1, 2), np.uint64))
    assert difference(store.load(model), model) is None


def test_rows_that_are_forgotten_already(people: Data, store: mw.Store) -> None:
    model = learned(people, store)
    gone = people.select(people.take("person") == "person-1")
    done = mw.forget(model, gone)
    with pytest.raises(StoreError, match="or they are forgotten already"):
        mw.forget(rows=[id_text(each) for each in gone.ids])
    with pytest.raises(StoreError, match="'person-1', or its rows are forgotten already"):
        mw.forget(subject="person-1")
    some = people.select(np.isin(people.take("person"), ["person-1", "person-2"]))
    again = mw.forget(done.model, some)
    assert again.plan.rows == 20, "of rows that are partly forgotten the others go"
    assert again.model is not None
    assert again.model.lineage.facts["forgotten_rows"] == int((some.part[some.rows] < 2).sum())


def test_arguments_that_say_nothing_or_too_much(people: Data, store: mw.Store) -> None:
    with pytest.raises(ParameterError, match="forget takes rows or subject, one of them"):
        mw.forget()
    with pytest.raises(ParameterError, match="one of them"):
        mw.forget(rows=people, subject="person-1")
    with pytest.raises(DataError, match="32 hexadecimal digits"):
        mw.forget(rows=["abc"])
    with pytest.raises(ParameterError, match="or an approximate method of forgetting; got 'k-means'"):
        mw.forget(rows=people, how="k-means")
    with pytest.raises(StoreError, match="is not in the store"):
        mw.forget(mw.KMeans(clusters=3).fit(people), people)


def test_what_is_not_agreed_to_is_not_done(people: Data, store: mw.Store) -> None:
    model = learned(people, store)
    seen = []

    def refuse(plan: object) -> bool:
        seen.append(plan)
        return False

    assert_as_before(store, model, "was not agreed to", agree=refuse)
    assert len(seen) == 1
    assert plan_forgetting(subject="person-1").to_json() == seen[0].to_json()  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["linear-probe(penalty=1.0) >> distill(size=0.25)", "self-training(rounds=2)"])
def test_models_that_are_kept_afterwards(text: str, people: Data, store: mw.Store) -> None:
    """Their own parts are made again with them; what they started from must be kept, too."""
    method = mw.parse_method(text)
    model = method.fit(people, budget=4)
    mine = people.select(people.take("person") == "person-1")
    done = mw.forget(model, mine, data=people)
    assert done.model is not None
    assert difference(done.model, method.fit(people.without(mine.ids), budget=4)) is None
    start = mw.Supervised(size=0.25).fit(people, budget=2)
    above = mw.FineTune().fit(people, start, budget=2)
    with pytest.raises(StoreError, match=r"it was made from supervised\(size=0.25\), which is not in the store"):
        mw.forget(above, people.select(people.take("person") == "person-2"), data=people)


def test_a_source_that_is_gone_or_has_changed(faces: Path, tmp_path: Path, store: mw.Store) -> None:
    path = tmp_path / "faces.npz"
    shutil.copy(faces, path)
    data = mw.read(path, subject="person")
    model = learned(data, store)
    path.unlink()
    assert_as_before(store, model, r"faces.npz cannot be read again: There is no file")
    with np.load(faces) as held:
        arrays = dict(held)
    arrays["images"] = arrays["images"].copy()
    arrays["images"][5:9] += 1
    np.savez(path, **arrays)
    assert_as_before(store, model, r"4 of the 2\d0 rows of faces are no longer in")
    done = mw.forget(model, subject="person-1", data=data)
    assert done.model is not None
    gone = data.select(data.take("person") == "person-1")
    assert difference(done.model, mw.LinearProbe(penalty=1.0).fit(data.without(gone.ids))) is None


def test_rows_that_have_left_the_source_already(faces: Path, tmp_path: Path, store: mw.Store) -> None:
    path = tmp_path / "faces.npz"
    shutil.copy(faces, path)
    data = mw.read(path, subject="person").with_test(0.2)
    model = learned(data, store)
    with np.load(faces) as held:
        stays = held["person"] != "person-1"
        np.savez(path, **{name: held[name][stays] for name in held})
    done = mw.forget(model, subject="person-1")
    assert done.model is not None
    gone = data.select(data.take("person") == "person-1")
    assert difference(done.model, mw.LinearProbe(penalty=1.0).fit(data.without(gone.ids))) is None


def test_data_in_memory_must_be_given_again(store: mw.Store) -> None:
    rng = np.random.default_rng(0)
    table = {"x": rng.normal(size=40), "y": rng.normal(size=40), "who": [f"p{at % 5}" for at in range(40)],
             "label": [at % 2 for at in range(40)]}  # fmt: skip
    data = mw.read(table, subject="who").with_test(0.2)
    model = learned(data, store)
    with pytest.raises(StoreError, match="data was in memory, or has been given labels by hand"):
        mw.forget(subject="p1")
    done = mw.forget(model, subject="p1", data=mw.read(table, subject="who"))
    rest = data.without(data.select(data.take("who") == "p1").ids)
    assert done.model is not None
    assert difference(done.model, mw.LinearProbe(penalty=1.0).fit(rest)) is None


def test_other_labels_than_the_source_has(people: Data, store: mw.Store) -> None:
    """Labels that were set outside of what an origin notes are found out by the fingerprint."""
    hidden = np.flatnonzero(~people.labelled & (people.part[people.rows] == 0))[:5]
    guessed = replace(people.with_label_values(hidden, np.zeros(5, int)), origin=people.origin)
    model = learned(guessed, store)
    assert_as_before(store, model, "holds the rows of faces, but other labels or clients")
    assert mw.forget(model, subject="person-1", data=guessed).model is not None


def test_a_function_without_a_name(people: Data, store: mw.Store) -> None:
    base = mw.LinearProbe(penalty=1.0)
    nameless = mw.ActiveLearning(base=base, rounds=1, questions=3, oracle=lambda rows: [0] * len(rows))
    model = nameless.fit(people, run=mw.Run(store=store))
    assert_as_before(store, model, "oracle is .*lambda.*, a function without a name that finds it again")


def test_other_versions(people: Data, store: mw.Store) -> None:
    old = learned(people, mw.Store(store.folder.parent / "elsewhere"))
    versions = {**old.lineage.versions, "torch": "1.0"}
    old = replace(old, lineage=replace(old.lineage, versions=versions))
    store.keep(old, people)
    assert_as_before(store, old, "learned under torch 1.0, and here is")
    done = mw.forget(old, subject="person-1", other_versions=True)
    (step,) = done.plan.steps
    assert "not bitwise" in step.guarantee


def test_another_processor(people: Data, store: mw.Store) -> None:
    old = learned(people, mw.Store(store.folder.parent / "elsewhere"))
    old = replace(old, lineage=replace(old.lineage, machine={**old.lineage.machine, "processor": "abacus"}))
    store.keep(old, people)
    assert_as_before(store, old, "learned under abacus, and this machine has")
    assert (
        retraining.environment_difference({}, {"device": "cuda", "processor": "a card"})
        == "a GPU (a card), and here is none"
    )


def test_weights_that_are_missing(people: Data, faces: Path, store: mw.Store) -> None:
    run = mw.Run(store=store)
    others = people.without(people.select(people.take("person") == "person-1").ids)
    start = mw.Supervised(size=0.5).fit(others, budget=2, run=run)
    above = mw.FineTune().fit(people, start, budget=2, run=run)
    place = store.weights.place(store.find(start).weights)
    moved = place.rename(store.folder / "moved")
    with pytest.raises(StoreError, match=r"is missing; its model cannot be loaded"):
        store.load(start)
    with pytest.raises(StoreError, match="1 of 1 models cannot forget: fine-tune .* is missing"):
        mw.forget(subject="person-1")
    problems = store.check().problems
    assert len(problems) == 1
    assert "It is that of supervised(size=0.5)" in problems[0]
    moved.rename(place)
    file = next(place.rglob("*.safetensors"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(StoreError, match="has changed since it was written"):
        store.load(start)
    file.write_bytes(whole)
    # Weights of a model that is to be learned again are not needed.
    shutil.rmtree(store.weights.place(store.find(above).weights))
    assert mw.forget(above, subject="person-1").model is not None
    assert store.check().whole


def test_models_that_cannot_forget_can_be_deleted(people: Data, store: mw.Store) -> None:
    base = mw.LinearProbe(penalty=1.0)
    nameless = mw.ActiveLearning(base=base, rounds=1, questions=3, oracle=lambda rows: [0] * len(rows))
    run = mw.Run(store=store)
    model = nameless.fit(people, run=run)
    mw.Distill(size=0.25).fit(people, model, budget=2, run=run)
    other = learned(people, store)
    done = mw.forget(model, subject="person-1", delete=True)
    assert done.model is None
    assert [step.how for step in done.plan.steps] == ["deleted", "deleted", "learned again"]
    assert "which it was made from, is deleted" in done.plan.steps[1].note
    (record,) = store.models()
    assert record.title == other.lineage.title
    assert [model["after"] is None for model in done.receipt["models"]] == [True, True, False]


def test_a_model_of_one_person_is_deleted_with_the_rows(people: Data, store: mw.Store) -> None:
    mine = people.select(people.take("person") == "person-1")
    mw.KMeans(clusters=2).fit(mine, run=mw.Run(store=store))
    done = mw.forget(subject="person-1")
    (step,) = done.plan.steps
    assert (step.how, step.guarantee, step.note) == ("deleted", "it is gone", "nothing is left to learn it from")
    assert store.models() == []


def test_what_the_rest_is_too_little_for(tmp_path: Path, store: mw.Store) -> None:
    lines = ["x,who,label", *(f"{at * 7 % 13 / 2},p{at % 5},{'a' if at % 5 else 'b'}" for at in range(60))]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = mw.read(path, subject="who").with_labels(10, draw="stratified")
    model = mw.FixMatch(size=0.25, batch_size=4).fit(data, budget=2, run=mw.Run(store=store))
    only = data.select(data.labelled)
    with pytest.raises(StoreError, match="without the rows it cannot be learned: it needs labels"):
        mw.forget(model, only)
    assert difference(store.load(model), model) is None


def test_a_secret_noise_is_said(faces: Path, store: mw.Store) -> None:
    pytest.importorskip("dp_accounting")
    data = mw.read(faces, subject="person").with_clients(4, seed=1)
    method = mw.FedAvg(size=0.25, backbone="vit", local_steps=1, clip_update=1.0, noise_multiplier=1.0)
    model = method.fit(data, budget=2, run=mw.Run(store=store))
    done = mw.forget(model, subject="person-1")
    assert done.plan.steps[0].guarantee == "learned anew; its noise follows from a secret that nobody keeps"


def test_a_model_that_others_are_made_from_meanwhile(people: Data, store: mw.Store) -> None:
    """Whoever fine-tunes the old model while it forgets finds the new one's child in the store."""
    run = mw.Run(store=store)
    start = mw.Supervised(size=0.25).fit(people, budget=2, run=run)
    born = []

    def follow(event: object) -> None:
        if not born:
            born.append(mw.FineTune().fit(people, start, budget=2, run=run))

    done = mw.forget(start, subject="person-1", listeners=[follow])
    assert [step.title for step in done.plan.steps] == ["supervised(size=0.25)", "fine-tune"]
    rest = people.without(people.select(people.take("person") == "person-1").ids)
    assert done.model is not None
    expected = mw.FineTune().fit(rest, done.model, budget=2)
    assert difference(store.load(store.models()[-1].id), expected) is None


def test_a_forgetting_that_failed_can_be_given_up(people: Data, store: mw.Store) -> None:
    assert abandon() is False
    model = learned(people, store)
    second = mw.Supervised(size=0.25).fit(people, budget=4, run=mw.Run(store=store))

    def fail(event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mw.forget(subject="person-1", listeners=[fail])
    assert store.check().unfinished == "going"
    assert [record.title for record in store.models()] == ["linear-probe(penalty=1.0)", "supervised(size=0.25)"]
    assert abandon() is True
    check = store.check()
    assert (check.whole, check.orphans, check.unfinished) == (True, (), None)
    assert difference(store.load(model), model) is None
    assert difference(store.load(second), second) is None
    assert mw.forget(subject="person-1").resumed is False


def test_what_was_interrupted_is_finished_before_anything_else(people: Data, store: mw.Store, tmp_path: Path) -> None:
    mw.Supervised(size=0.25).fit(people, budget=4, run=mw.Run(store=store))

    def fail(event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mw.forget(subject="person-1", listeners=[fail], receipt=tmp_path / "first.json")
    mw.forget(subject="person-2", receipt=tmp_path / "second.json")
    assert (tmp_path / "first.json").exists()
    assert store.models()[0].forgotten == int(
        (np.isin(people.take("person"), ["person-1", "person-2"]) & (people.part[people.rows] < 2)).sum()
    )


def test_a_damaged_database(people: Data, store: mw.Store) -> None:
    learned(people, store)
    store.database.path.write_bytes(b"this is no database, whatever its name says, and it is long enough to be read")
    for name in ("store.db-wal", "store.db-shm"):
        (store.folder / name).unlink(missing_ok=True)
    with pytest.raises(StoreError, match="The store cannot be used: file is not a database"):
        store.models()
    store.database.path.unlink()
    with sqlite3.connect(store.database.path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="has the format 99; this version of Manyways reads format 1"):
        store.models()

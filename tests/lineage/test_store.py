"""The store: what is kept, found and counted; several processes at once; what a kill leaves behind."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.errors import StoreError
from manyways.lineage.store import row_registry
from manyways.lineage.store.manifest import Manifest
from manyways.lineage.store.weight_store import folder_hash
from manyways.testing.trial import difference


def probe(data: Data, store: mw.Store, **options: float) -> mw.Model:
    return mw.LinearProbe(penalty=1.0, **options).fit(data, run=mw.Run(store=store))  # type: ignore[arg-type]


# --- keeping and finding -------------------------------------------------------------------------


def test_a_chain_is_kept_with_its_stages(people: Data, store: mw.Store) -> None:
    chain = mw.SimCLR(size=0.25, batch_size=8) >> mw.FineTune()
    model = chain.fit(people, budget=4, run=mw.Run(store=store))
    first, second, whole = store.models()
    assert [record.title for record in (first, second, whole)] == [str(stage) for stage in (*chain.stages, chain)]
    assert second.parents == {"start": first.id}
    assert whole.parents == {"part:1-simclr": first.id, "part:2-fine-tune": second.id}
    assert whole.weights == second.weights, "weights that are alike are kept once"
    assert difference(store.load(whole.id[:8]), model) is None
    loaded = store.load(model).lineage
    assert loaded.to_json() == model.lineage.to_json()
    for ours, theirs in zip(loaded.stages(), model.lineage.stages(), strict=True):
        assert np.array_equal(ours.rows, theirs.rows), "rows keep their order"
    events = store.events(first.id)
    assert (events[0]["kind"], events[-1]["kind"]) == ("start", "end")
    assert "loss" in [each for each in events if each["kind"] == "step"][-1]["values"]


def test_the_same_training_is_kept_once(people: Data, store: mw.Store) -> None:
    probe(people, store)
    probe(people, store)
    assert len(store.models()) == 1
    probe(people.with_labels(30, draw="stratified"), store)
    assert len(store.models()) == 2


def test_the_parts_of_other_methods_are_not_models_of_their_own(people: Data, store: mw.Store) -> None:
    chain = mw.SimCLR(size=0.25, batch_size=8) >> mw.SelfTraining(rounds=2, threshold=0.0)
    chain.fit(people, budget=8, run=mw.Run(store=store))
    assert [record.title.partition("(")[0] for record in store.models()] == ["simclr", "self-training", "simclr"]
    plan = store.models()[-1].lineage["plan"]
    assert plan == {"1-simclr": [4, 4], "2-self-training/round-1": [2, 2], "2-self-training/round-2": [2, 2]}


def test_a_model_at_hand_and_what_it_started_from(people: Data, store: mw.Store) -> None:
    start = mw.Supervised(size=0.25).fit(people, budget=2)
    above = mw.FineTune().fit(people, start, budget=2)
    key = store.keep(above, people, start=start)
    record = store.find(key)
    assert store.models()[0].title == "supervised(size=0.25)"
    assert store.models()[0].manifest is None
    assert record.parents == {"start": store.models()[0].id}
    assert store.keep(start, people) == store.models()[0].id, "its data can be told later"
    assert store.models()[0].manifest is not None


def test_a_long_line_of_models_is_kept_and_found(people: Data, store: mw.Store) -> None:
    """A model that goes on from yesterday's every day has a lineage as deep as there are days."""
    model = probe(people, store)
    for day in range(200):
        lineage = replace(model.lineage, seed=day, parents=(model.lineage,))
        model = replace(model, lineage=lineage)
    record = store.find(store.keep(model, people))
    assert len(store.load(record.id).lineage.stages()) == 201
    assert store.check().whole


def test_folders_and_ids_find_their_models(people: Data, store: mw.Store, tmp_path: Path) -> None:
    model = probe(people, store)
    record = store.find(model.save(tmp_path / "model"))
    assert store.find(model.lineage).id == store.find(record.id[:6]).id == record.id
    with pytest.raises(StoreError, match="There is no model 'zz' in the store at .*: `manyways store list` shows all"):
        store.find("zz")
    probe(people.with_labels(30, draw="stratified"), store)
    with pytest.raises(StoreError, match="'' is the beginning of several models: .* Give more digits"):
        store.find("")
    with pytest.raises(StoreError, match="it is empty; `manyways fit` keeps what it makes"):
        mw.Store(tmp_path / "nothing").find("abc")
    assert not (tmp_path / "nothing").exists(), "a look makes no store"


def test_no_content_of_rows_is_in_the_store(people: Data, store: mw.Store) -> None:
    """The source of the names and pixels is outside; ids are hashes. Subjects stand there by name, to be found."""
    mw.KMeans(clusters=2).fit(people, run=mw.Run(store=store))
    images = [np.ascontiguousarray(image).tobytes() for image in people.take("image")]
    held = b"".join(path.read_bytes() for path in store.folder.rglob("*") if path.is_file())
    assert not any(image in held for image in images)


# --- rows ----------------------------------------------------------------------------------------


def test_rows_reach_what_was_made_from_what_they_reached(people: Data, store: mw.Store) -> None:
    run = mw.Run(store=store)
    some = people.select(np.arange(100))
    start = mw.Supervised(size=0.25).fit(some, budget=2, run=run)
    mw.FineTune().fit(people.without(some.ids), start, budget=2, run=run)
    mw.KMeans(clusters=2).fit(people.without(some.ids), run=run)
    reached = [record.title for record in store.reached(rows=some.training.ids[:1])]
    assert reached == ["supervised(size=0.25)", "fine-tune"]
    assert len(store.rows_of(start)) == len(some.training) + len(some.validation)
    subjects = store.subjects_of(start)
    expected = np.unique(some.select(some.part[some.rows] < 2).take("person"), return_counts=True)
    assert subjects == dict(zip(*(each.tolist() for each in expected), strict=True))
    assert len(store.reached(subject="person-1")) == 3


def test_equal_rows_and_other_orders_are_laid_out_again(store: mw.Store) -> None:
    x = [3.0, 1.0, 2.0, 1.0, 5.0, 1.0]
    table = mw.read({"x": x, "label": [0, 1, 0, 1, 1, 1]}).hide(np.array([3]))
    data = table.select(np.array([5, 3, 0, 1]))
    with store.database.writing() as db:
        numbers = row_registry.register(db, data.all_ids)
        assert numbers.tolist() == [0, 1, 2, 1, 3, 1]
        key = Manifest.of(data, numbers).keep(db)
    with store.database.reading() as db:
        manifest = Manifest.load(db, key)
        shuffled = mw.read({"x": [9.0, *x[::-1]], "label": [0, 1, 1, 1, 0, 1, 0]})
        known = row_registry.numbers_of(db, shuffled.all_ids)
    assert known.tolist() == [-1, 1, 3, 1, 2, 1, 0]
    again = manifest.laid_out(shuffled, known)
    assert again.fingerprint == data.fingerprint
    assert again.take("x").tolist() == [1.0, 1.0, 3.0, 1.0]
    rest = manifest.without(row_registry.bitmap(np.array([1])))
    assert (rest.numbers.tolist(), rest.rows.tolist()) == ([0, 2, 3], [0])


def test_the_registry_grows_and_forgets(store: mw.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_registry, "BLOCK", 7)
    ids = np.random.default_rng(0).integers(1, 2**63, (40, 2)).astype(np.uint64)
    with store.database.writing() as db:
        assert row_registry.register(db, ids[:10]).tolist() == list(range(10))
        assert row_registry.register(db, ids[5:40][::-1]).tolist() == [*range(10, 40), 9, 8, 7, 6, 5]
        held = row_registry.all_ids(db)
        assert np.array_equal(row_registry.numbers_of(db, held), np.arange(40))
        assert row_registry.numbers_of(db, held[[33, 4]]).tolist() == [33, 4]
        names = np.array(["a", "b", None, "", *["c"] * 36], object)
        row_registry.add_subjects(db, names, np.arange(40))
        row_registry.erase(db, row_registry.bitmap(np.array([0, 6, 7, 20, 39])))
        assert row_registry.numbers_of(db, held[[0, 1, 39]]).tolist() == [-1, 1, -1]
        assert row_registry.subjects_among(db, row_registry.bitmap(np.arange(40))) == {"b": 1, "c": 32}
        assert row_registry.register(db, held[:1]).tolist() == [40], "what comes again gets a number of its own"


# --- several processes, and kills ----------------------------------------------------------------

WRITER = """
import sys
import numpy as np, torch
torch.set_num_threads(1)
import manyways as mw
first = int(sys.argv[2])
run = mw.Run(store=mw.Store())
data = mw.read(sys.argv[1], subject="person")
print("ready", flush=True)
sys.stdin.readline()
for at in range(first, first + 6):
    mw.KMeans(clusters=2).fit(data.select(np.arange(at, at + 60)), seed=at, run=run)
"""


def test_two_processes_write_at_once_without_loss(faces: Path, store: mw.Store) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(faces), str(first)], env=environment, text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for first in (0, 3)
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.wait() for writer in writers] == [0, 0]
    for writer in writers:
        writer.stdin.close()  # type: ignore[union-attr]
        writer.stdout.close()  # type: ignore[union-attr]
    data = mw.read(faces, subject="person")
    records = {record.lineage["seed"]: record for record in store.models()}
    assert sorted(records) == list(range(9)), "three were made by both, and are kept once"
    for seed, record in records.items():
        rows = {each.tobytes() for each in store.rows_of(record.id)}
        assert rows == {each.tobytes() for each in data.select(np.arange(seed, seed + 60)).ids}
    assert store.check().whole


def test_a_kill_leaves_no_half_of_a_model(people: Data, store: mw.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = probe(people, store)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for place in (
        "manyways.lineage.store.record_writer.keep_stages",
        "manyways.lineage.store.weight_store.folder_hash",
    ):
        with monkeypatch.context() as patched:
            patched.setattr(place, killed)
            with pytest.raises(KeyboardInterrupt):
                probe(people.with_labels(30, draw="stratified"), store)
        assert [record.title for record in store.models()] == [kept.lineage.title]
        assert store.check().whole
    (orphan,) = store.check().orphans
    assert store.check(remove_orphans=True).removed
    assert not Path(orphan).exists()
    assert store.check().orphans == ()
    assert difference(store.load(kept), kept) is None


def test_what_other_processes_are_writing_is_no_orphan(people: Data, store: mw.Store) -> None:
    probe(people, store)
    mine = store.weights.folder / f".{os.getpid()}.abc.part"
    dead = store.weights.folder / ".999999999.abc.part"
    mine.mkdir()
    dead.mkdir()
    assert store.check(remove_orphans=True).orphans == (str(dead),)
    assert mine.exists()


def test_a_store_that_cannot_be_written_is_said_before_training(people: Data, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    started = []
    run = mw.Run(store=mw.Store(tmp_path / "file" / "store"), listeners=[started.append])
    with pytest.raises(StoreError, match="folder .* cannot be made: Not a directory. Set MANYWAYS_HOME"):
        mw.Supervised(size=0.25).fit(people, budget=2, run=run)
    assert started == []


def test_what_was_learned_is_not_lost_where_it_cannot_be_kept(
    people: Data, store: mw.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("manyways.lineage.store.weight_store.folder_hash", full)
    with pytest.raises(StoreError, match="Weights cannot be written to .*: the disk is full") as caught:
        probe(people, store)
    assert caught.value.model.predict(people).shape == (len(people),)


def test_the_hash_of_weights_is_of_names_and_contents(tmp_path: Path) -> None:
    for name, files in {"a": {"x": "1", "y": "2"}, "b": {"x": "1", "y": "2"}, "c": {"x": "2", "y": "1"}}.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text, encoding="utf-8")
    assert folder_hash(tmp_path / "a") == folder_hash(tmp_path / "b") != folder_hash(tmp_path / "c")


def test_metrics_and_copies(people: Data, store: mw.Store, tmp_path: Path) -> None:
    model = probe(people, store)
    record = store.find(model)
    store.note(record.id, metrics={"accuracy": 0.5}, copy=tmp_path / "model")
    assert store.find(model).metrics == {"accuracy": 0.5}
    other = probe(people.with_labels(30, draw="stratified"), store)
    store.note(store.find(other).id, copy=tmp_path / "model")
    assert store.find(model).copies == (), "the folder holds another model now"
    done = mw.forget(subject="person-1")
    assert list(done.plan.copies) == done.receipt["copies"] == [str(tmp_path / "model")]

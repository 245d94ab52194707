"""A damaged store: every command says so in one error, and `check` lists what it can."""

import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

import manyways as mw
from manyways.cli import main
from manyways.data.data import Data
from manyways.errors import ManywaysError, StoreError
from manyways.lineage.forgetting import retraining
from manyways.lineage.forgetting.request import plan_forgetting
from manyways.lineage.store import row_registry
from manyways.lineage.store.database import SCHEMA
from manyways.lineage.store.family_tree import ancestors, descendants
from manyways.lineage.store.journal import Journal
from manyways.lineage.store.model_record import load_lineage, load_records, saved_lineage

VALUES = (None, 5, "../../../x", b"\xff" * 9, "{", '{"a": 1}')
MORE = (-1, 1e300, "", "text", b"", b"\0", "[]", "null", "[[1]]")
UNSEEN = {
    ("subjects", "name"), ("models", "gives"), ("models", "parameters"), ("models", "metrics"), ("models", "events"),
    ("forgets", "id"), ("forgets", "receipt_path"),
}  # fmt: skip
"""What may be another value of its kind without anything else in the store saying so."""
FLIPS = 200


@pytest.fixture(scope="module", autouse=True)
def _versions() -> Iterator[None]:
    """The versions of what is installed are looked up once, as they are for every plan."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(retraining, "_version", cache(retraining._version))
        yield


@pytest.fixture(scope="module")
def whole(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with something in every table: a forgetting in it was begun and is not done."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MANYWAYS_HOME", str(folder))
        data = mw.read(faces, subject="person").with_test(0.2).with_labels(60, draw="stratified")
        store = mw.Store()
        run = mw.Run(store=store)
        model = (mw.Supervised(size=0.25, batch_size=8) >> mw.FineTune()).fit(data, budget=4, run=run)
        mw.LinearProbe(penalty=1.0).fit(data, model, run=run)
        store.note(store.find(model).id, metrics={"accuracy": 0.5}, copy=folder / "copy")

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            mw.forget(subject="person-1", listeners=[killed], receipt=folder / "receipt.json")
        assert store.check().whole
        assert store.check().unfinished == "going"
    with closing(sqlite3.connect(folder / "store" / "store.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode = DELETE")
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert all(db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in tables)
    return folder / "store"


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Callable[[], mw.Store]:
    """Gives the store anew, to be damaged."""

    def anew() -> mw.Store:
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        shutil.copytree(whole, tmp_path / "store")
        return mw.Store(tmp_path / "store")

    return anew


def looked_at(store: mw.Store) -> Iterator[Callable[[], object]]:
    """What can be asked of a store without changing it."""

    def shown() -> None:
        records = {record.id: record for record in store.models()}
        for record in [*records.values()][-1:]:
            ancestors(record, records, store.stage_hashes())
            descendants(record, records)
            store.rows_of(record.id)
            store.subjects_of(record.id)
            store.events(record.id)

    def loaded() -> None:
        with store.database.reading() as db:
            found = [load_lineage(db, record) for record in load_records(db)]
        if found:
            store.load(store.find(found[0]).id)

    def pending() -> None:
        with store.database.reading() as db:
            load_records(db, "TRUE")
            row_registry.numbers_of(db, row_registry.all_ids(db)[:3])
            Journal.pending(db)

    yield from (store.models, shown, loaded, pending)
    yield lambda: plan_forgetting(subject="person-2", store=store)


def refusals(store: mw.Store) -> list[str]:
    """What the commands refuse; anything but a ManywaysError fails the test."""
    said = []
    for look in looked_at(store):
        try:
            look()
        except ManywaysError as error:
            said.append(str(error))
    return said


def columns() -> list[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA)
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [(table, row[1]) for table in tables for row in db.execute(f"PRAGMA table_info({table})")]


def replaced(store: mw.Store, table: str, column: str, value: object) -> bool:
    """Put `value` into the first row of a table, where SQLite lets it; whether that changed anything."""
    with closing(sqlite3.connect(store.database.path, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table'")
        db.execute("PRAGMA writable_schema = RESET")
    with closing(sqlite3.connect(store.database.path, isolation_level=None)) as db:
        every = f"SELECT {column} FROM {table} ORDER BY 1"
        before = db.execute(every).fetchall()
        with suppress(sqlite3.Error):
            db.execute(
                f"UPDATE {table} SET {column} = ? WHERE {column} IN (SELECT {column} FROM {table} LIMIT 1)", [value]
            )
        return db.execute(every).fetchall() != before


def held_to(store: mw.Store, table: str, column: str, value: object) -> None:
    """Nothing but a ManywaysError comes of a value that was replaced, and `check` sees it."""
    if not replaced(store, table, column, value):
        return
    for said in refusals(store):
        assert "\n" not in said
        assert len(said) < 800
    check = store.check()
    assert (table, column) in UNSEEN or not check.whole, f"{value!r} is not seen"
    assert check.whole or not store.check(remove_orphans=True).removed, "nobody knows what is in use"


@pytest.mark.parametrize(("table", "column"), columns(), ids=[".".join(each) for each in columns()])
def test_a_value_that_was_replaced(damaged: Callable[[], mw.Store], table: str, column: str) -> None:
    for value in VALUES:
        held_to(damaged(), table, column, value)


@pytest.mark.slow
@pytest.mark.parametrize(("table", "column"), columns(), ids=[".".join(each) for each in columns()])
def test_more_values(damaged: Callable[[], mw.Store], table: str, column: str) -> None:
    for value in MORE:
        held_to(damaged(), table, column, value)


def flipped(store: mw.Store, rng: random.Random) -> None:
    """Another bit, or the end, of the database file."""
    content = bytearray(store.database.path.read_bytes())
    for _ in range(rng.choice((1, 1, 1, 4, 32))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    if rng.random() < 0.1:
        del content[rng.randrange(len(content)) :]
    store.database.path.write_bytes(content)


def test_bits_that_were_flipped(damaged: Callable[[], mw.Store]) -> None:
    rng, seen = random.Random(5), 0
    for _ in range(FLIPS):
        store = damaged()
        flipped(store, rng)
        refused = refusals(store)
        whole = store.check().whole
        seen += not whole
        assert not refused or not whole, f"`check` sees nothing, where commands refuse: {refused}"
    assert seen > FLIPS // 3


def test_damage_is_one_line_and_an_exit_code(
    whole: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(whole, home / "store")
    store = mw.Store()
    weights = [record.weights for record in store.models()]
    assert replaced(store, "models", "lineage", "null")
    assert replaced(store, "row_sets", "bits", b"\0")
    assert replaced(store, "subjects", "bits", b"\0")
    (store.weights.place(weights[-1]) / "description.json").write_text("{}", encoding="utf-8")
    for words in (["store", "list"], ["lineage", "ab"], ["lineage", "--subject", "person-2"],
                  ["forget", "--subject", "person-2", "--plan"]):  # fmt: skip
        assert main(words) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert said.count("\n") == 1
        assert "`manyways store check` lists all that is wrong" in said
    assert main(["store", "check"]) == 1
    said = capsys.readouterr().out
    for wrong in ("`lineage` of the model", "row 1 in row_sets has changed", "in subjects is no set of rows"):
        assert any(line.startswith("wrong: ") and wrong in line for line in said.splitlines()), said
    assert f"{store.weights.place(weights[-1])} has changed since it was written" in said
    assert "All is whole" not in said
    (store.folder / "store.db").write_bytes(b"not a database" * 40)
    assert main(["store", "check"]) == 1
    assert "wrong: The store cannot be used: file is not a database" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("version", "said"), [(2, "a newer version: upgrade"), (-1, "no version of Manyways writes"), (0, "no version of")]
)
def test_other_formats_are_named(damaged: Callable[[], mw.Store], version: int, said: str) -> None:
    store = damaged()
    with closing(sqlite3.connect(store.database.path)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(StoreError, match=f"has the format {version}[;,] .*{said}"):
        store.models()
    assert said in store.check().problems[0]


def test_the_lineage_of_a_damaged_folder(people: Data, tmp_path: Path) -> None:
    start = mw.Supervised(size=0.25).fit(people, budget=1)
    model = mw.FineTune().fit(people, start, budget=1)
    model = replace(model, lineage=replace(model.lineage, parents=(start.lineage, start.lineage)))
    folder = model.save(tmp_path / "model")
    assert len(saved_lineage(folder).stages()) == 3, "two stages share their rows, which are kept once"
    whole = {name: (folder / name).read_bytes() for name in ("model.json", "rows.safetensors")}
    saved = json.loads(whole["model.json"])
    lineages = ({**saved["lineage"], "parents": None}, {**saved["lineage"], "rows": 3}, {"method": {}}, [], None)
    texts = [b"", b"null", b"{}", *(json.dumps({**saved, "lineage": each}).encode() for each in lineages)]
    damaged = [("model.json", text) for text in texts]
    damaged += [("model.json", json.dumps({**saved, "rows": rows}).encode()) for rows in ([], [99], "0", None)]
    damaged += [("rows.safetensors", content) for content in (b"", b"\xff" * 40, whole["rows.safetensors"][:-8])]
    for name, content in damaged:
        (folder / name).write_bytes(content)
        with pytest.raises(StoreError, match="model in|lineage"):
            saved_lineage(folder)
        (folder / name).write_bytes(whole[name])

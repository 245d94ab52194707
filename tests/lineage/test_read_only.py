"""A store where nothing can be written is read all the same, and writing to it is refused in one error."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.cli import main
from manyways.data.data import Data
from manyways.errors import StoreError
from manyways.lineage.forgetting.request import plan_forgetting
from manyways.lineage.forgetting.verification import verify
from manyways.lineage.store.database import open_read_only
from manyways.testing.trial import difference


@pytest.fixture
def kept(people: Data, store: mw.Store, tmp_path: Path) -> mw.Model:
    """A model in the store, and a receipt beside it."""
    start = mw.Supervised(size=0.25, batch_size=8).fit(people, budget=2, run=mw.Run(store=store))
    model = mw.FineTune(batch_size=8).fit(people, start, budget=2, run=mw.Run(store=store))
    mw.forget(subject="person-1", receipt=tmp_path / "receipt.json")
    made = store.load(store.models()[-1].id)
    assert difference(model, made) is not None
    return made


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """`folder` on a mount that is read-only: its mode means nothing to root."""
    mount, place = shutil.which("mount"), str(folder)
    if mount is None or subprocess.run([mount, "--bind", place, place], check=False, capture_output=True).returncode:
        pytest.skip("mounts are not permitted")
    try:
        subprocess.run([mount, "-o", "remount,ro,bind", place], check=True)
        yield
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.fixture
def sealed(kept: mw.Model, store: mw.Store) -> Iterator[mw.Store]:
    """The store where nothing can be written."""
    with mounted(store.folder):
        yield store


def asked(store: mw.Store, kept: mw.Model, data: Data, receipt: Path) -> None:
    """All that only reads."""
    model = store.load(store.models()[-1].id)
    assert difference(model, kept) is None
    assert np.array_equal(model.predict(data), kept.predict(data))
    assert len(store.rows_of(model)) > 0
    assert "person-1" not in store.subjects_of(model)
    assert store.check().whole
    assert [each.verdict for each in verify(receipt, allow=mw.receipt_sources(receipt)[0]).models] == ["same", "same"]
    assert len(plan_forgetting(subject="person-2", store=store).steps) == 2


def refused(store: mw.Store, data: Data) -> None:
    """All that writes."""
    said = "can be read, but not written: store.db or its folder is read-only. Set MANYWAYS_HOME"
    started: list[object] = []
    with pytest.raises(StoreError, match=said):
        mw.KMeans(clusters=2).fit(data, run=mw.Run(store=store, listeners=[started.append]))
    assert started == [], "it is said before anything is learned"
    for write in (
        lambda: mw.forget(subject="person-2", store=store),
        lambda: store.note(store.models()[-1].id, metrics={"accuracy": 1.0}),
        lambda: store.check(remove_orphans=True),
    ):
        with pytest.raises(StoreError, match=said):
            write()


def test_a_store_on_a_read_only_mount(sealed: mw.Store, kept: mw.Model, people: Data, tmp_path: Path) -> None:
    asked(sealed, kept, people, tmp_path / "receipt.json")
    refused(sealed, people)
    assert sorted(path.name for path in sealed.folder.iterdir()) == ["forgetting.lock", "store.db", "weights"]


def test_a_store_that_may_not_be_written(
    kept: mw.Model, store: mw.Store, people: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = os.access

    def access(path: str | Path, mode: int) -> bool:
        inside = Path(path) == store.folder or store.folder in Path(path).parents
        return usual(path, mode) and not (inside and mode & os.W_OK)

    monkeypatch.setattr(os, "access", access)
    asked(store, kept, people, tmp_path / "receipt.json")
    refused(store, people)


def test_a_model_is_saved_from_a_read_only_store(
    sealed: mw.Store, kept: mw.Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = sealed.models()[-1]
    assert main(["store", "save", record.short, "--out", str(tmp_path / "saved")]) == 0
    assert "The store is read-only, so it does not know of this copy" in capsys.readouterr().out
    assert difference(mw.load(tmp_path / "saved"), kept) is None


@pytest.mark.parametrize("shared", [True, False])
def test_changes_in_a_log_are_read_or_said_to_be_there(
    kept: mw.Model, store: mw.Store, tmp_path: Path, shared: bool
) -> None:
    """A process was killed with changes in its log; with the file that readers share they can be read."""
    copy = tmp_path / "copy"
    copy.mkdir()
    with closing(sqlite3.connect(store.database.path, isolation_level=None)) as db:
        db.execute("UPDATE models SET metrics = '{\"accuracy\": 0.25}'")
        for name in ("store.db", "store.db-wal", *(["store.db-shm"] if shared else [])):
            shutil.copy(store.folder / name, copy / name)
    with mounted(copy):
        if shared:
            assert [record.metrics for record in mw.Store(copy).models()] == [{"accuracy": 0.25}] * 2
        else:
            with pytest.raises(StoreError, match=f"has changes in its log .* Copy the folder {copy} to such a place"):
                mw.Store(copy).models()


def test_an_empty_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    with pytest.raises(StoreError, match="is empty, and cannot be written"):
        open_read_only(tmp_path / "store.db")

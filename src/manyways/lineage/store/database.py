"""The store's database: SQLite, written by one process at a time and read by any; what is deleted is overwritten."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from manyways.errors import StoreError
from manyways.lineage.store.checked_values import Damage
from manyways.permissions import FILE, OTHERS, private_folder, tighten

VERSION = 1
PATIENCE = 60.0
"""Seconds to wait for another process that writes."""
MEND = "`manyways store check` lists all that is wrong; take the store's folder from a backup."
ELSEWHERE = "Set MANYWAYS_HOME to another folder."

SCHEMA = """
CREATE TABLE row_blocks (block INTEGER PRIMARY KEY, ids BLOB NOT NULL);
CREATE TABLE row_sets (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, bits BLOB NOT NULL);
CREATE TABLE subjects (name TEXT PRIMARY KEY, bits BLOB NOT NULL);
CREATE TABLE manifests (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, facts TEXT NOT NULL,
    numbers BLOB NOT NULL, part BLOB NOT NULL, visible BLOB NOT NULL, chosen BLOB
);
CREATE TABLE models (
    id TEXT PRIMARY KEY, created TEXT NOT NULL, title TEXT NOT NULL, kind TEXT NOT NULL, gives TEXT NOT NULL,
    parameters INTEGER NOT NULL, weights TEXT NOT NULL, lineage_hash TEXT NOT NULL, lineage TEXT NOT NULL,
    manifest INTEGER REFERENCES manifests, own_rows INTEGER NOT NULL REFERENCES row_sets,
    all_rows INTEGER NOT NULL REFERENCES row_sets, forgotten INTEGER NOT NULL DEFAULT 0,
    metrics TEXT NOT NULL DEFAULT '{}', events TEXT NOT NULL DEFAULT '[]', by_fit INTEGER NOT NULL DEFAULT 0,
    pending INTEGER
);
CREATE INDEX models_by_lineage ON models (lineage_hash);
CREATE TABLE stage_rows (
    model TEXT NOT NULL REFERENCES models ON DELETE CASCADE, stage INTEGER NOT NULL,
    rows INTEGER NOT NULL REFERENCES row_sets, numbers BLOB, hash TEXT NOT NULL,
    PRIMARY KEY (model, stage)
) WITHOUT ROWID;
CREATE TABLE edges (
    child TEXT NOT NULL REFERENCES models ON DELETE CASCADE, role TEXT NOT NULL,
    parent TEXT NOT NULL REFERENCES models, PRIMARY KEY (child, role)
) WITHOUT ROWID;
CREATE INDEX edges_by_parent ON edges (parent);
CREATE TABLE copies (
    model TEXT NOT NULL REFERENCES models ON DELETE CASCADE, path TEXT NOT NULL, PRIMARY KEY (model, path)
) WITHOUT ROWID;
CREATE TABLE forgets (
    id INTEGER PRIMARY KEY, request TEXT NOT NULL, state TEXT NOT NULL, plan TEXT NOT NULL, rows BLOB NOT NULL,
    receipt_path TEXT, receipt TEXT
);
"""


class Database:
    """The file `store.db` in a folder; made when it is first written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store.db"

    @property
    def exists(self) -> bool:
        """True if anything was ever kept."""
        return self.path.is_file()

    @property
    def writable(self) -> bool:
        """True if the file, and its log beside it, can be written; a store that is not made yet is tried."""
        return not self.exists or (os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK))

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the store throughout. Raises StoreError where it cannot be read."""
        with self._opened(write=False) as db:
            db.execute("BEGIN")
            yield db
            db.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are all kept at its end, or none. Only one process writes at a time.

        Raises StoreError where the store cannot be written.
        """
        with self._opened() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                if db.in_transaction:  # SQLite has undone it already where the disk is full
                    db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def compact(self) -> None:
        """Write the database anew without what was deleted, in the log of writes, too."""
        with self._opened() as db:
            db.execute("VACUUM")
            deadline = time.monotonic() + PATIENCE
            while (busy := db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]) and time.monotonic() < deadline:
                time.sleep(0.05)
            if busy:
                raise StoreError(
                    f"Another process has been reading {self.path} for {PATIENCE:.0f} seconds, so what was deleted is "
                    "still in its log. End that process, and type the same command again."
                )

    def check_writable(self) -> None:
        """Raise StoreError where the store can be read only."""
        if not self.writable:
            raise StoreError(
                f"The store at {self.path.parent} can be read, but not written: {self.path.name} or its folder is "
                "read-only. Set MANYWAYS_HOME to a folder that can be written, or keep nothing: fit --no-store."
            )

    @contextmanager
    def _opened(self, write: bool = True) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._connect(write)) as db:
                yield db
        except Damage as error:
            raise StoreError(f"{error} So says {self.path}, which is damaged. {MEND}") from error
        except UnicodeDecodeError as error:  # in SQLite's own words, which quote what it found
            raise StoreError(f"The store's database {self.path} is damaged. {MEND}") from error
        except sqlite3.Error as error:
            raise StoreError(_message(error, self.path)) from error

    def _connect(self, write: bool) -> sqlite3.Connection:
        if not self.writable:
            if write:
                self.check_writable()
            return open_read_only(self.path)
        try:
            self._make()
        except OSError as error:
            raise StoreError(
                f"The store's folder {self.path.parent} cannot be made: {error.strerror}. Set MANYWAYS_HOME to a "
                "folder that can be written."
            ) from error
        db = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        try:
            for pragma in ("foreign_keys = ON", "secure_delete = ON", "synchronous = FULL", "temp_store = MEMORY"):
                db.execute(f"PRAGMA {pragma}")
            if not _check_version(db, self.path):
                self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _make(self) -> None:
        """Make the folder and an empty file in it, for their owner alone, where they are missing.

        A store that lets others in is tightened; what else lies in its folder is not.
        """
        folder = self.path.parent
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        if all(map(_is_own, names)):
            private_folder(folder)
        if self.exists:
            if self.path.stat().st_mode & OTHERS:
                for name in filter(_is_own, names):
                    tighten(folder / name)
            return
        with suppress(FileExistsError):  # exclusively: to open and close the file of another connection ends its locks
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, FILE))
        tighten(self.path)

    def _prepare(self, db: sqlite3.Connection) -> None:
        _with_patience(db, "PRAGMA journal_mode = WAL")
        db.execute("BEGIN IMMEDIATE")
        if not _check_version(db, self.path):  # no other process was faster
            for statement in filter(str.strip, SCHEMA.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection to a database that cannot be written, nor anything beside it.

    Raises StoreError where its log holds changes that cannot be read so.
    """
    for mode in ("mode=ro", "immutable=1"):
        db = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=PATIENCE, isolation_level=None)
        try:
            db.execute("PRAGMA temp_store = MEMORY")
            if not _check_version(db, path):
                raise StoreError(f"{path} is empty, and cannot be written. {ELSEWHERE}")
            db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()  # the log is looked for when it is read
        except sqlite3.OperationalError as error:
            db.close()
            log = path.with_name(f"{path.name}-wal")
            # Where nothing can be written SQLite cannot make the file that readers share, which it needs to see that
            # the log is empty.
            if mode == "immutable=1" or (log.exists() and log.stat().st_size):
                raise StoreError(
                    f"{path} has changes in its log that can be read only where files can be written: {error}. Copy "
                    f"the folder {path.parent} to such a place, and set MANYWAYS_HOME to the one that it lies in."
                ) from error
        except BaseException:
            db.close()
            raise
        else:
            return db
    raise AssertionError


def _check_version(db: sqlite3.Connection, path: Path) -> int:
    """The format of a store, 0 for a file that is to become one. Raises StoreError for what this version cannot use."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise StoreError(
            f"{path} has the format {version}; this version of Manyways reads format {VERSION}. It was written by a "
            "newer version: upgrade Manyways, or set MANYWAYS_HOME to another folder."
        )
    tables = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0] if version != VERSION else 0
    if version < 0 or (version != VERSION and tables):
        raise StoreError(f"{path} has the format {version}, which no version of Manyways writes. It is damaged. {MEND}")
    return version


def _message(error: sqlite3.Error, path: Path) -> str:
    """Message for an error of SQLite's."""
    code = getattr(error, "sqlite_errorcode", None)
    kind = code & 0xFF if code is not None else None
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"Another process has been writing {path} for {PATIENCE:.0f} seconds. Wait for it to end."
    if kind in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY,
                sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM):  # fmt: skip
        return (
            f"The store cannot be used: {error} ({path}). Look for a full disk or a missing permission; `manyways "
            "store check` says whether it is whole."
        )
    return f"The store cannot be used: {error} ({path}). It is damaged. {MEND}"


def _is_own(name: str) -> bool:
    """True if a file or folder of this name is a store's."""
    return name.split("-", maxsplit=1)[0].removesuffix(".lock") in ("store.db", "weights", "forgetting")


def _with_patience(db: sqlite3.Connection, statement: str) -> None:
    """Carry out what SQLite refuses at once where another process is in the way."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            db.execute(statement)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return

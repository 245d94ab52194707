"""The model that a comparison starts from."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from manyways.comparison.tasks import Task
from manyways.data.storage import home_folder, make_folder
from manyways.methods.method import Method
from manyways.methods.starts import stages
from manyways.models.model import Model
from manyways.models.saving import DESCRIPTION, load_model
from manyways.permissions import tighten


@dataclass(frozen=True, eq=False)
class Start:
    """A model in a folder, where other processes find it, and a `key` that tells it from others."""

    folder: Path
    key: str

    @cached_property
    def model(self) -> Model:
        """The model itself."""
        return saved_model(str(self.folder))

    def begins(self, method: Method, task: Task) -> bool:
        """True if `method` starts from it: where it must, and for language tasks wherever it can."""
        first = stages(method)[0]
        wanted = first.needs_start() if task.has_labels else True
        return wanted and bool(first.takes & self.model.gives)

    def scored_by(self, task: Task) -> bool:
        """True if it can be scored on the task as it is."""
        return self.model.target is not None if task.labelled else bool(self.model.gives & task.scored)


def open_start(given: Model | str | Path) -> Start:
    """The start in a folder, or of a model, which is saved first. Raises ModelError where there is none."""
    if isinstance(given, Model):
        return _kept(given)
    folder = Path(given).expanduser().resolve()
    saved_model.cache_clear()
    saved_model(str(folder))  # a folder that holds no model is refused now, not in every job
    return Start(folder, folder_key(folder))


def folder_key(folder: Path) -> str:
    """A hash of a model's description, which holds those of its files; else of the files' names, sizes and times."""
    if (description := folder / DESCRIPTION).is_file():
        return hashlib.sha256(description.read_bytes()).hexdigest()[:24]
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    facts = [(str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr((str(folder), facts)).encode()).hexdigest()[:24]


@lru_cache(maxsize=1)
def saved_model(folder: str) -> Model:
    """The model in `folder`, loaded once in a process."""
    return load_model(folder)


def _kept(model: Model) -> Start:
    """`model` saved in Manyways' home under its own key."""
    place = make_folder(home_folder() / "comparisons" / "starts")
    part = tighten(model.save(place / f"part-{os.getpid()}"))
    key = folder_key(part)
    folder = place / key
    if folder.exists():
        shutil.rmtree(part)
    else:
        part.rename(folder)
    return Start(folder, key)

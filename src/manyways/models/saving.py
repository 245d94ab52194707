"""A model as a folder: safetensors for numbers, JSON for the rest, hashes of all. Never pickle."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from manyways.checked_json import DAMAGED, brief, read
from manyways.damaged import damaged
from manyways.errors import ModelError
from manyways.models.lineage import Lineage
from manyways.models.model import MODELS, Model
from manyways.models.weights import read_tensors
from manyways.whole import whole

FORMAT = 2
DESCRIPTION, ROWS = "model.json", "rows.safetensors"
DEEPEST = 1_000
"""Levels of a description: a model that goes on from another holds its lineage within its own."""
CHECKPOINTS = ("config.json", "adapter_config.json")
"""Files that make a folder one of transformers, or of adapters for peft."""
SENTENCE_MODULES = "modules.json"
"""The file that makes one of transformers a folder of sentence-transformers."""


def save_model(model: Model, folder: Path) -> Path:
    """Write `model` into `folder`, replacing a model that is there. All or nothing.

    Raises:
        ModelError: The folder cannot be written, holds something else, or the disk is full.
    """
    stored = sum(tensor.nbytes for tensor in model.network.state_dict().values())
    return write_folder(folder, model.kind, model.gives, model.lineage, model.write, stored)


def write_folder(
    folder: Path, kind: str, gives: frozenset[str], lineage: Lineage, write: Callable[[Path], dict[str, Any]],
    needed: int = 0,
) -> Path:  # fmt: skip
    """Save a model as `save_model` does.

    Args:
        folder: Folder to write.
        kind: Kind of model.
        gives: Abilities of the model.
        lineage: Its lineage.
        write: Function that writes the network into a folder; see `Model.write`.
        needed: Bytes of the network, as far as they are known.
    """
    if (
        folder.exists()
        and any(folder.iterdir() if folder.is_dir() else [folder])
        and not (folder / DESCRIPTION).exists()
    ):
        raise ModelError(f"{folder} exists and is no model folder; give a new name: --out DIR or model.save(DIR).")
    stages = lineage.stages()
    stored = sum(stage.rows.nbytes + stage.labels.nbytes for stage in stages) + needed
    what, advice = f"The model cannot be written to {folder}", "Give another folder: --out DIR."
    with whole(folder, ModelError, what, advice, stored or None) as part:
        part.mkdir(parents=True)
        own = write(part)
        # Models of one start share its rows, and a stage's rows are often those whose labels it was shown.
        rows = {id(ids): ids for stage in stages for ids in (stage.rows, stage.labels)}
        names = {key: at for at, key in enumerate(rows)}
        save_file({str(names[key]): torch.from_numpy(ids.view(np.int64)) for key, ids in rows.items()}, part / ROWS)
        description = {
            "format": FORMAT,
            "kind": kind,
            **own,
            "gives": sorted(gives),
            "lineage": lineage.to_json(),
            "rows": [names[id(stage.rows)] for stage in stages],
            "labels": [names[id(stage.labels)] for stage in stages],
            "files": {str(path.relative_to(part)): _hash(path) for path in sorted(part.rglob("*")) if path.is_file()},
        }
        text = json.dumps({**description, "hash": _text_hash(description)}, indent=1)
        (part / DESCRIPTION).write_text(text, encoding="utf-8")
    return folder


def load_model(folder: str | Path) -> Model:
    """Load the model in a folder that `save` wrote, or one of transformers, sentence-transformers, peft or llama.cpp.

    Args:
        folder: Folder of the model, a plain folder of those libraries, or a .gguf file.

    Returns:
        A model of the kind that was saved, with its lineage.

    Raises:
        ModelError: Something is missing, has changed, or has the wrong shape.
    """
    if not isinstance(folder, str | Path):
        raise ModelError(f"A model is loaded from the name of its folder, text or a Path; got {folder!r}.")
    folder = Path(folder)
    foreign = (
        any((folder / name).is_file() for name in (*CHECKPOINTS, SENTENCE_MODULES)) or folder.suffix.lower() == ".gguf"
    )
    if foreign and not (folder / DESCRIPTION).is_file():
        if (folder / SENTENCE_MODULES).is_file():
            from manyways.models import sentence_encoder

            return sentence_encoder.from_checkpoint(str(folder))
        from manyways.models.language.architectures import objective_of
        from manyways.models.language_model import from_checkpoint

        return from_checkpoint(str(folder), objective_of(str(folder)))
    saved = read_description(folder)
    return read_kind(saved["kind"], folder, saved, frozenset(saved["gives"]), read_lineage(folder, saved))


def read_kind(kind: str, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> Model:
    """The model of a kind whose network lies in `folder` and whose description is `saved`.

    Raises:
        ModelError: The description is of no such model, or fits neither itself nor the weights.
    """
    what = f"{folder / DESCRIPTION} describes no {kind} that can be made"
    advice = f"{DAMAGED[0].upper()}{DAMAGED[1:]}: copy the model again."
    with _named(folder), damaged(what, ModelError, advice):
        return MODELS.find(kind, ModelError).read(folder, saved, gives, lineage)


def read_lineage(folder: Path, saved: Mapping[str, Any]) -> Lineage:
    """The lineage in a model's folder and its description, after all its files are found to be as they were saved.

    Raises:
        ModelError: A file is missing or has changed.
    """
    for name, stated in saved["files"].items():
        path = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ModelError(f"{folder / DESCRIPTION} names the file {name!r}, which lies outside; it is not read.")
        if not path.is_file():
            raise ModelError(f"{path} is missing; the model folder is not whole. Copy it again.")
        if _hash(path) != stated:
            raise ModelError(f"{path} has changed since the model was saved (its SHA-256 differs); it is not loaded.")
    stored = read_tensors(folder / ROWS)
    if odd := [name for name, ids in stored.items() if ids.dtype != torch.int64 or ids.shape[1:] != (2,)]:
        raise ModelError(f"{folder / ROWS} must hold the ids of rows, int64 [rows, 2]; {odd[0]!r} is something else.")
    rows = {name: ids.numpy().view(np.uint64) for name, ids in stored.items()}
    order = [str(at) for at in saved.get("rows", range(len(rows)))]
    labelled = [str(at) for at in saved.get("labels", ())]
    if lost := [name for name in [*order, *labelled] if name not in rows]:
        raise ModelError(f"{folder / DESCRIPTION} names the rows {lost[0]}, which {ROWS} does not hold; {DAMAGED}.")
    with _named(folder), damaged(f"{folder / DESCRIPTION} tells no lineage", ModelError, "Copy the model again."):
        return Lineage.from_json(saved["lineage"], [rows[name] for name in order], [rows[name] for name in labelled])


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Says in which folder the description lies of which a member is damaged."""
    try:
        yield
    except ModelError as error:
        if str(folder) in str(error):
            raise
        raise ModelError(f"{folder / DESCRIPTION}: {error}") from error


def checkpoint_lineage(checkpoint: str) -> Lineage:
    """Lineage of the model in a folder, or of one on the Hub; of a strange one only its name is known."""
    folder = Path(checkpoint)
    if (folder / DESCRIPTION).is_file():
        return read_lineage(folder, read_description(folder))
    named = {"name": "checkpoint", "checkpoint": checkpoint}
    return Lineage(named, checkpoint, 0, "", "", fingerprint(folder) or "")


def fingerprint(folder: Path) -> str | None:
    """Hash that tells a folder's content from another's without reading all of it; None where there is no model."""
    try:
        if (folder / DESCRIPTION).is_file():
            return str(json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["hash"])
        paths = [folder] if folder.is_file() else sorted(folder.glob("*.safetensors"))
        files = [(path.name, path.stat()) for path in paths]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    facts = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest() if facts else None


def read_description(folder: Path) -> dict[str, Any]:
    """Content of `model.json` in `folder`.

    Raises:
        ModelError: It is missing, damaged or edited.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise ModelError(f"{folder} is no model folder: it has no {DESCRIPTION}. Models are made by `manyways fit`.")
    description = read(path, str(path), ModelError, deepest=DEEPEST)
    saved = dict(description.members)
    stated = description.get("hash", str)
    del saved["hash"]
    if stated != _text_hash(saved):
        raise ModelError(f"{path} has been edited since the model was saved (its hash differs); it is not loaded.")
    if saved.get("format") != FORMAT:
        raise ModelError(
            f"{path} has the format {brief(saved.get('format'))}; this version reads format {FORMAT}. Install the "
            "version that wrote it."
        )
    description.get("kind", str), description.all("gives", str), description.get("lineage", dict)
    for name in description.get("files", dict):
        description.object("files").get(name, str)
    for name in ("rows", "labels"):
        if name in saved:
            description.all(name, int)
    return saved


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text_hash(description: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()

"""A model as a folder: safetensors for numbers, JSON for the rest, hashes of both. Never pickle."""

import errno
import hashlib
import json
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from manyways.data.encoding import InputEncoding
from manyways.data.targets import Target
from manyways.errors import ModelError
from manyways.models.lineage import Lineage
from manyways.models.network import rebuild_network

if TYPE_CHECKING:
    from manyways.models.model import Model

FORMAT = 1
DESCRIPTION, WEIGHTS, ROWS = "model.json", "weights.safetensors", "rows.safetensors"


def save_model(model: "Model", folder: Path) -> Path:
    """Write `model` into `folder`, replacing a model that is there. All or nothing.

    Raises ModelError where the folder cannot be written, holds something else, or the disk is full.
    """
    if (
        folder.exists()
        and any(folder.iterdir() if folder.is_dir() else [folder])
        and not (folder / DESCRIPTION).exists()
    ):
        raise ModelError(f"{folder} exists and is no model folder; give a new name: --out DIR or model.save(DIR).")
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        part.mkdir(parents=True)
        weights = {
            name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.network.state_dict().items()
        }
        save_file(weights, part / WEIGHTS)
        stages = model.lineage.stages()
        save_file(
            {str(at): torch.from_numpy(stage.rows.view(np.int64)) for at, stage in enumerate(stages)},
            part / ROWS,
        )
        description = {
            "format": FORMAT,
            "network": model.network.config(),
            "inputs": model.inputs.to_json(),
            "target": model.target.to_json() if model.target else None,
            "gives": sorted(model.gives),
            "lineage": model.lineage.to_json(),
            "files": {name: _hash(part / name) for name in (WEIGHTS, ROWS)},
        }
        text = json.dumps({**description, "hash": _text_hash(description)}, indent=1)
        (part / DESCRIPTION).write_text(text, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    except OSError as error:
        why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise ModelError(f"The model cannot be written to {folder}: {why}. Give another folder: --out DIR.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def load_model(folder: str | Path) -> "Model":
    """The model in `folder`. Raises ModelError that says what is missing, changed or of the wrong shape."""
    from manyways.models.model import Model

    folder = Path(folder)
    saved = _description(folder)
    tensors = {}
    for name in (WEIGHTS, ROWS):
        path = folder / name
        if not path.is_file():
            raise ModelError(f"{path} is missing; the model folder is not whole. Copy it again.")
        if _hash(path) != saved["files"].get(name):
            raise ModelError(f"{path} has changed since the model was saved (its SHA-256 differs); it is not loaded.")
        try:
            tensors[name] = load_file(path)
        except SafetensorError as error:
            raise ModelError(f"{path} is no safetensors file ({error}); pickled weights are never loaded.") from error
    with torch.random.fork_rng():  # new layers draw weights, which are replaced at once
        network = rebuild_network(saved["network"])
    _fill(network, tensors[WEIGHTS], folder / WEIGHTS)
    rows = [tensors[ROWS][str(at)].numpy().view(np.uint64) for at in range(len(tensors[ROWS]))]
    return Model(
        network=network.eval(),
        inputs=InputEncoding.from_json(saved["inputs"]),
        target=Target.from_json(saved["target"]) if saved["target"] else None,
        gives=frozenset(saved["gives"]),
        lineage=Lineage.from_json(saved["lineage"], rows),
    )


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not path.is_file():
        raise ModelError(f"{folder} is no model folder: it has no {DESCRIPTION}. Models are made by `manyways fit`.")
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        stated = saved.pop("hash")
    except (ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"{path} is damaged: {error!r}.") from error
    if stated != _text_hash(saved):
        raise ModelError(f"{path} has been edited since the model was saved (its hash differs); it is not loaded.")
    if saved.get("format") != FORMAT:
        raise ModelError(f"{path} has the format {saved.get('format')}; this version reads format {FORMAT}.")
    return dict(saved)


def _fill(network: torch.nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if wrong := sorted(expected.items() ^ given.items()):
        name, shape = wrong[0]
        raise ModelError(
            f"{path} does not fit the network in {DESCRIPTION}: {len(wrong)} differences, the first at {name!r}: "
            f"shape {given.get(name, 'missing')} given, {expected.get(name, 'none')} expected ({shape})."
        )
    network.load_state_dict(weights)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text_hash(description: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
